package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
)

func newBookListCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [--json]",
		Short: "the addresses that you can encrypt to, and changes that wait",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return p.runBookList(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

func (p *program) runBookList(asJSON bool) error {
	book, err := p.book()
	if err != nil {
		return err
	}
	contacts, err := book.List()
	if err != nil {
		return err
	}
	if asJSON {
		all := []contactFacts{}
		for _, c := range contacts {
			all = append(all, factsOfContact(c))
		}
		return p.printJSON(all)
	}
	if len(contacts) == 0 {
		p.say("Nobody yet. Read a signed mail with mailseal verify or open, and its signer is in the book.")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ADDRESS\tSTATE\tISSUED BY\tSHA-256")
	for _, c := range contacts {
		f := factsOfContact(c)
		fmt.Fprintf(table, "%s\t%s\t%s\t%.16s\n", inspect.Visible(f.Address), p.contactState(c), inspect.Visible(f.Issuer), f.SHA256)
	}
	return table.Flush()
}

// contactState says in a few words what a contact is good for now.
func (p *program) contactState(c *identity.Contact) string {
	const day = "2006-01-02"
	switch {
	case c.Defect != nil:
		return "damaged: " + inspect.Visible(c.Defect.Error())
	case c.Pending:
		return "waits to be accepted"
	case p.env.Now().After(c.Certificate.NotAfter):
		return "ended " + c.Certificate.NotAfter.Format(day)
	}
	return "until " + c.Certificate.NotAfter.Format(day)
}
