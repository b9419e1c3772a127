package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/registration"
)

func newOrgDomainCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "domain COMMAND",
		Short: "an organization's mail domains",
		Long: `An organization's mail domains. One is proven by a TXT record, for 398 days; mailboxes
in it need no code by mail then.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newOrgDomainAddCommand(p), newOrgDomainListCommand(p), newOrgDomainCheckCommand(p), newOrgDomainRemoveCommand(p))
	return cmd
}

// domainFacts is a domain as the commands print it.
type domainFacts struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	State       string `json:"state"` // waiting, proven, lapsed
	RecordName  string `json:"record_name"`
	RecordValue string `json:"record_value"`
	Problem     string `json:"problem"`
	Expires     string `json:"expires"` // RFC 3339, or empty
}

func factsOfDomain(d registration.Domain) domainFacts {
	return domainFacts{d.ID, d.Name, string(d.State), d.RecordName, d.RecordValue, d.Problem("en"), moment(d.Expires)}
}

// moment is a time in JSON, empty where there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func (f domainFacts) line() string {
	switch {
	case f.State == string(registration.DomainProven):
		return fmt.Sprintf("%s  proven until %s", f.Name, f.Expires[:len(time.DateOnly)])
	case f.Problem != "":
		return fmt.Sprintf("%s  %s: %s", f.Name, f.State, f.Problem)
	}
	return fmt.Sprintf("%s  %s", f.Name, f.State)
}

// printDomain prints it, and what to enter into the DNS where that is to be done.
func (p *program) printDomain(d registration.Domain, asJSON bool) error {
	f := factsOfDomain(d)
	if asJSON {
		return p.printJSON(f)
	}
	fmt.Fprintln(p.stdout, f.line())
	if d.State != registration.DomainProven {
		fmt.Fprintf(p.stdout, "%s. IN TXT %q\n", f.RecordName, f.RecordValue)
	}
	return nil
}

func newOrgDomainAddCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "add ORG DOMAIN", Short: "say that a domain is the organization's", Args: orgArguments(1, 1, " and a domain"),
		Long: `Say that a mail domain is the organization's, and print the record that proves it. When
it is in the DNS: mailseal org domain check.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				d, err := r.AddDomain(ctx, r.actor, org.ID, args[1])
				if err != nil {
					return err
				}
				return p.printDomain(d, o.asJSON)
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}

func newOrgDomainListCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "list ORG [--json]", Short: "list an organization's domains", Long: "List an organization's domains, and how far each is proven.", Args: orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				list, err := r.Domains(ctx, r.actor, org.ID)
				if err != nil {
					return err
				}
				facts := []domainFacts{}
				for _, d := range list {
					facts = append(facts, factsOfDomain(d))
				}
				if o.asJSON {
					return p.printJSON(facts)
				}
				for _, f := range facts {
					fmt.Fprintln(p.stdout, f.line())
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}

// domainNamed finds one by its name or id.
func (r orgRoom) domainNamed(ctx context.Context, organization, name string) (registration.Domain, error) {
	list, err := r.Domains(ctx, r.actor, organization)
	for _, d := range list {
		if d.Name == name || d.ID == name {
			return d, err
		}
	}
	if err == nil {
		err = broken(fmt.Errorf("the organization has no domain %q", name), "mailseal org domain list ORG shows them")
	}
	return registration.Domain{}, err
}

func newOrgDomainCheckCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "check ORG DOMAIN [--dns ADDR]", Short: "look whether the DNS proves a domain", Args: orgArguments(1, 1, " and a domain"),
		Long: `Ask the DNS for the record that proves a domain. The answer is yes (exit status 0) or
no (1), with what was found instead.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				d, err := r.domainNamed(ctx, org.ID, args[1])
				if err != nil {
					return err
				}
				if d, err = r.CheckDomain(ctx, r.actor, org.ID, d.ID); err != nil {
					return err
				}
				if err := p.printDomain(d, o.asJSON); err != nil {
					return err
				}
				if d.Problem("en") != "" {
					return errAnsweredNo
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVar(&o.dns, "dns", "", "`ADDR` (host:port) of the resolver (default the system's)")
	return cmd
}

func newOrgDomainRemoveCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "remove ORG DOMAIN", Short: "take a domain from an organization", Args: orgArguments(1, 1, " and a domain"),
		Long: `Take a domain from an organization. Certificates that exist stay valid; revoke those
that must not.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				d, err := r.domainNamed(ctx, org.ID, args[1])
				if err != nil {
					return err
				}
				return r.RemoveDomain(ctx, r.actor, org.ID, d.ID)
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}
