package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/authority"
)

func newCAListCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [--json]",
		Short: "list the authorities and their keys",
		Long: `List the authorities: each key with its certificate, roots first, newest first. No key
is opened.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.lookAtCA(cmd, o, func(ctx context.Context, room *caRoom) error { return p.listCA(ctx, room, asJSON) })
		},
	}
	o.stateFlags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// authorityFacts is an authority's key as list and show print it.
type authorityFacts struct {
	Name     string   `json:"name"`
	Line     string   `json:"line"`
	Kind     string   `json:"kind"`  // root, issuing
	State    string   `json:"state"` // active, retired, waiting
	Offline  bool     `json:"offline"`
	Key      string   `json:"key"`
	Domains  []string `json:"domains"`
	Types    []string `json:"types"`
	Subject  string   `json:"subject"`
	Serial   string   `json:"serial"`
	SHA256   string   `json:"sha256"`
	NotAfter string   `json:"not_after"` // RFC 3339
	CRL      string   `json:"crl"`       // the first of them
	CRLs     int      `json:"crl_partitions"`
	LastCRL  int64    `json:"last_crl"`
}

func factsOfMember(a *authority.Authority, m *authority.Member) authorityFacts {
	c := m.Certificate()
	f := authorityFacts{
		Name: m.Name(), Line: m.Line(), Kind: "issuing", State: "retired", Offline: m.KeyURI() == "", Key: m.KeyURI(),
		Domains: append([]string{}, m.Domains()...), Types: []string{}, Subject: c.Subject.String(), Serial: c.SerialHex(), SHA256: c.SHA256(),
		NotAfter: c.NotAfter.UTC().Format(time.RFC3339), CRL: a.BaseURL() + "/crl/" + m.Name() + ".crl", CRLs: m.Partitions(), LastCRL: m.LastCRL(),
	}
	if f.CRLs > 1 {
		f.CRL = a.BaseURL() + "/crl/" + m.Name() + "/0.crl"
	}
	for _, t := range m.Types() {
		f.Types = append(f.Types, string(t))
	}
	if m.Root() {
		f.Kind = "root"
	}
	if m.Active() {
		f.State = "active"
	}
	return f
}

func (p *program) listCA(ctx context.Context, room *caRoom, asJSON bool) error {
	a, err := room.look(ctx)
	if err != nil {
		return err
	}
	facts := []authorityFacts{}
	for _, m := range a.Members() {
		facts = append(facts, factsOfMember(a, m))
	}
	requests, err := authority.Requests(ctx, room.store)
	if err != nil {
		return err
	}
	for _, r := range requests {
		facts = append(facts, authorityFacts{Name: r.Name, Kind: "issuing", State: "waiting", Key: r.KeyURI, Domains: append([]string{}, r.Domains...), Types: []string{}})
	}
	if asJSON {
		return p.printJSON(facts)
	}
	for _, f := range facts {
		state := f.State
		if f.Offline {
			state += ", key elsewhere"
		}
		fmt.Fprintf(p.stdout, "%-16s %-8s %-22s %s  %s\n", f.Name, f.Kind, state, strings.TrimSuffix(f.NotAfter, "T00:00:00Z"), f.Subject)
	}
	return nil
}
