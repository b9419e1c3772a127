package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

type importOptions struct {
	address string
	pass    passphraseSource
}

func newIDImportCommand(p *program) *cobra.Command {
	o := &importOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "import FILE [--address ADDR]",
		Short: "put a key and its certificate into the key store",
		Long: `Put the keys of a PKCS#12 or PEM file into the key store, each under the first
address that its certificate names (or under --address). They stay under the
passphrase of the file; a file without one gets a new one.`,
		Example: `  mailseal id import alice.p12`,
		Args:    oneFile,
		RunE:    func(_ *cobra.Command, args []string) error { return p.runIDImport(first(args), o) },
	}
	cmd.Flags().StringVar(&o.address, "address", "", "`ADDR` to file it under, where the certificate names none or another")
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runIDImport(file string, o *importOptions) error {
	if file == "" {
		return usage(errors.New("no file to import"), "mailseal id import FILE")
	}
	data, err := readSmall(file)
	if err != nil {
		return err
	}
	var secret []byte
	found, err := identity.Read(data, func() (text []byte, err error) {
		if secret, err = o.pass.read(file); err != nil {
			return nil, err
		}
		return copyOf(secret)()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", file, passphraseFault(err))
	}
	if len(secret) == 0 {
		if secret, err = o.pass.choose("the key store"); err != nil {
			return err
		}
	}
	store, err := p.store()
	if err != nil {
		return err
	}
	for _, id := range found {
		if err := p.importOne(store, id, o.address, secret); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func (p *program) importOne(store *identity.Store, id *identity.Identity, address string, secret []byte) error {
	if id.Certificate == nil {
		return errors.New("a key without a certificate")
	}
	if address == "" {
		emails := id.Certificate.Emails()
		if len(emails) == 0 {
			return usage(errors.New("the certificate names no address"), "say under which one to keep it: --address ADDR")
		}
		address = emails[0]
	}
	m, err := mailbox.Parse(address)
	if err != nil {
		return usage(err, "say under which address to keep it: --address ADDR")
	}
	if err := store.Put(m, id, secret); err != nil {
		return err
	}
	p.say("%s is in your key store, until %s.", m, id.Certificate.NotAfter.Format("2 January 2006"))
	return nil
}
