package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/inspect"
)

func newIDShowCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ADDR [--json]",
		Short: "all about the certificates of one address",
		Args:  oneAddress,
		RunE:  func(_ *cobra.Command, args []string) error { return p.runIDShow(args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

func (p *program) runIDShow(text string, asJSON bool) error {
	_, entries, _, err := p.find(text)
	if err != nil {
		return err
	}
	reports := []*inspect.Report{}
	for _, e := range entries {
		if e.Certificate != nil {
			reports = append(reports, inspect.Certificate(e.Certificate))
		}
	}
	if asJSON {
		return p.printJSON(reports)
	}
	for i, e := range entries {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if e.Certificate == nil {
			fmt.Fprintf(p.stdout, "%s: %s\n", inspect.Visible(e.Address.String()), p.state(e))
			continue
		}
		if err := inspect.Certificate(e.Certificate).WriteText(p.stdout); err != nil {
			return err
		}
	}
	return nil
}
