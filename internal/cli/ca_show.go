package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newCAShowCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME [--json]",
		Short: "show one key of an authority",
		Args:  oneName("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.lookAtCA(cmd, o, func(ctx context.Context, room *caRoom) error { return p.showCA(ctx, room, args[0], asJSON) })
		},
	}
	o.stateFlags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (p *program) showCA(ctx context.Context, room *caRoom, name string, asJSON bool) error {
	a, err := room.look(ctx)
	if err != nil {
		return err
	}
	m, err := a.Member(name)
	if err != nil {
		return err
	}
	f := factsOfMember(a, m)
	if asJSON {
		return p.printJSON(f)
	}
	s := p.newSheet(p.stdout)
	for _, row := range [][2]string{
		{"name", f.Name}, {"kind", f.Kind}, {"state", f.State}, {"key", f.Key}, {"domains", strings.Join(f.Domains, " ")},
		{"types", strings.Join(f.Types, " ")}, {"subject", f.Subject}, {"serial", f.Serial}, {"SHA-256", f.SHA256},
		{"until", f.NotAfter}, {"list at", f.CRL}, {"lists", strconv.Itoa(f.CRLs)}, {"last list", strconv.FormatInt(f.LastCRL, 10)},
	} {
		s.row(row[0], row[1])
	}
	return s.print()
}
