package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/inspect"
)

func newBookRemoveCommand(p *program) *cobra.Command {
	var sha256 string
	cmd := &cobra.Command{
		Use:   "remove ADDR [--sha256 DIGITS]",
		Short: "forget what was learned of an address",
		Long: `Forget all that was learned of an address, changes that wait too; with --sha256 one
certificate alone. The next valid mail from there is learned again.`,
		Args: oneBookAddress,
		RunE: func(_ *cobra.Command, args []string) error { return p.runBookRemove(args[0], sha256) },
	}
	cmd.Flags().StringVar(&sha256, "sha256", "", sha256Help)
	return cmd
}

func (p *program) runBookRemove(address, sha256 string) error {
	book, found, err := p.findContacts(address)
	if err != nil {
		return err
	}
	going := chosenContact(found, sha256)
	if len(going) == 0 {
		return broken(fmt.Errorf("%s: no certificate whose SHA-256 begins with %q", found[0].Address, sha256), "see what is known: mailseal book show %s", found[0].Address)
	}
	for _, c := range going {
		if err := book.Remove(c); err != nil {
			return err
		}
	}
	p.say("mailseal: forgot %s (%d)", inspect.Visible(going[0].Address.String()), len(going))
	return nil
}
