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
	var b strings.Builder
	for i, c := range found {
		if i > 0 {
			b.WriteString("\n")
		}
		p.writeContact(&b, c)
	}
	_, err = p.stdout.Write([]byte(b.String()))
	return err
}

func (p *program) writeContact(b *strings.Builder, c *identity.Contact) {
	f := factsOfContact(c)
	row(b, "Address", f.Address)
	row(b, "State", p.contactState(c))
	if c.Defect != nil {
		return
	}
	row(b, "Subject", f.Subject)
	row(b, "Issued by", f.Issuer)
	row(b, "Trusted by", f.TrustedBy)
	row(b, "Reads", strings.Join(f.Capabilities, ", "))
	row(b, "Signed at", f.Signed)
	row(b, "Learned at", f.Learned)
	row(b, "Accepted at", f.Accepted)
	row(b, "Fingerprint", fingerprint(c.Certificate))
}
