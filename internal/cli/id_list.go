package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
)

func newIDListCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [--json]",
		Short: "the addresses that you have keys for",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return p.runIDList(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

func (p *program) runIDList(asJSON bool) error {
	store, err := p.store()
	if err != nil {
		return err
	}
	entries, err := store.List()
	if err != nil {
		return err
	}
	if asJSON {
		all := []entryFacts{}
		for _, e := range entries {
			f := factsOf(e)
			f.EndsSoon = e.Certificate != nil && p.endsSoon(e.Certificate)
			all = append(all, f)
		}
		return p.printJSON(all)
	}
	if len(entries) == 0 {
		p.say("No keys yet. Get one with mailseal id request, or bring one with mailseal id import FILE.")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ADDRESS\tSTATE\tISSUED BY\tSHA-256")
	for _, e := range entries {
		f := factsOf(e)
		fmt.Fprintf(table, "%s\t%s\t%s\t%.16s\n", inspect.Visible(f.Address), p.state(e), inspect.Visible(f.Issuer), f.SHA256)
	}
	return table.Flush()
}

// state says in a few words what an identity is good for now.
func (p *program) state(e *identity.Entry) string {
	const day = "2006-01-02"
	switch now := p.env.Now(); {
	case e.Defect != nil:
		return "damaged: " + inspect.Visible(e.Defect.Error())
	case e.Pending:
		return "waits for its certificate"
	case e.Certificate == nil:
		return "opened with its passphrase"
	case now.Before(e.Certificate.NotBefore):
		return "from " + e.Certificate.NotBefore.Format(day)
	case now.After(e.Certificate.NotAfter):
		return "ended " + e.Certificate.NotAfter.Format(day) + ", opens old mail"
	case p.endsSoon(e.Certificate):
		return "ends soon, " + e.Certificate.NotAfter.Format(day)
	}
	return "until " + e.Certificate.NotAfter.Format(day)
}
