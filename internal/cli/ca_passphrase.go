package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/server"
)

func newCAPassphraseCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var fresh string
	cmd := &cobra.Command{
		Use:   "passphrase [--new-passphrase-file FILE]",
		Short: "change the passphrase of a folder's keys",
		Long: `Encrypt all key files of a data folder, or of a signer's folder, under another
passphrase. A backup keeps the old one. When it was interrupted, do it again.`,
		Example: `  mailseal ca passphrase --data /var/lib/mailseal --passphrase-file old --new-passphrase-file new`,
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return p.runCAPassphrase(o, fresh) },
	}
	o.keyFlags.add(cmd)
	cmd.Flags().StringVar(&o.data, "data", "./var", "`DIR` of the keys")
	cmd.Flags().StringVar(&fresh, "new-passphrase-file", "", "`FILE` (mode 0600) whose first line is the new passphrase (else a prompt)")
	return cmd
}

func (p *program) runCAPassphrase(o *caOptions, fresh string) error {
	if err := o.exists(); err != nil {
		return err
	}
	if err := keys.Harden(); err != nil {
		return fmt.Errorf("keep the keys out of core files: %w", err)
	}
	lock, err := server.LockFolder(o.data)
	if err != nil {
		return broken(err, "is a server running on it? stop it first")
	}
	defer lock.Close()
	n, err := p.authorityKeys(o.data, &o.keyFlags, false).ChangePassphrase(&keys.Secrets{PassphraseFile: fresh, Ask: func(what string, again bool) ([]byte, error) {
		return p.askSecret("new "+what, again)
	}})
	if err != nil {
		return caFault(err)
	}
	p.say("mailseal: %d key files have the new passphrase", n)
	return nil
}
