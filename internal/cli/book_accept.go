package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
)

func newBookAcceptCommand(p *program) *cobra.Command {
	var sha256 string
	cmd := &cobra.Command{
		Use:   "accept ADDR [--sha256 DIGITS]",
		Short: "encrypt to a changed key from now on",
		Long: `Take the key that waits in the place of the one before. Ask the person first, by
another way than mail: compare the fingerprint that book show prints.`,
		Args: oneBookAddress,
		RunE: func(_ *cobra.Command, args []string) error { return p.runBookAccept(args[0], sha256) },
	}
	cmd.Flags().StringVar(&sha256, "sha256", "", sha256Help)
	return cmd
}

func (p *program) runBookAccept(address, sha256 string) error {
	book, found, err := p.findContacts(address)
	if err != nil {
		return err
	}
	waiting := slices.DeleteFunc(chosenContact(found, sha256), func(c *identity.Contact) bool { return !c.Pending || c.Defect != nil })
	switch {
	case len(waiting) == 0:
		return broken(fmt.Errorf("%s: no such change waits", found[0].Address), "see what is known: mailseal book show %s", found[0].Address)
	case len(waiting) > 1:
		return usage(fmt.Errorf("%s: %d changes wait", found[0].Address, len(waiting)), "say which one with --sha256; see mailseal book show %s", found[0].Address)
	}
	if err := book.Accept(waiting[0], p.env.Now()); err != nil {
		return err
	}
	p.say("mailseal: mail to %s is encrypted to certificate %.16s from now on", inspect.Visible(waiting[0].Address.String()), waiting[0].Certificate.SHA256())
	return nil
}
