package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
)

func newBookShowCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ADDR [--json]",
		Short: "what is known of an address, and since when",
		Args:  oneBookAddress,
		RunE:  func(_ *cobra.Command, args []string) error { return p.runBookShow(args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

func oneBookAddress(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(errOneAddress(cmd), "see which ones there are: mailseal book list")
	}
	return nil
}

func (p *program) runBookShow(address string, asJSON bool) error {
	_, found, err := p.findContacts(address)
	if err != nil {
		return err
	}
	if asJSON {
		var all []contactFacts
		for _, c := range found {
			all = append(all, factsOfContact(c))
		}
		return p.printJSON(all)
	}
	s := p.newSheet(p.stdout)
	for i, c := range found {
		if i > 0 {
			s.b.WriteString("\n")
		}
		p.writeContact(s, c)
	}
	return s.print()
}

func (p *program) writeContact(s *sheet, c *identity.Contact) {
	f := factsOfContact(c)
	s.row("Address", f.Address)
	s.row("State", p.contactState(c))
	if c.Defect != nil {
		return
	}
	s.row("Subject", f.Subject)
	s.row("Issued by", f.Issuer)
	s.row("Trusted by", f.TrustedBy)
	s.row("Reads", strings.Join(f.Capabilities, ", "))
	s.row("Signed at", f.Signed)
	s.row("Learned at", f.Learned)
	s.row("Accepted at", f.Accepted)
	s.row("Fingerprint", fingerprint(c.Certificate))
}
