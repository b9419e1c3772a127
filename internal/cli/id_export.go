package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
)

type exportOptions struct {
	output      string
	certificate bool
	pass        passphraseSource
}

func newIDExportCommand(p *program) *cobra.Command {
	o := &exportOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "export ADDR -o FILE.p12 | export ADDR --certificate [-o FILE.pem]",
		Short: "write your key for a mail program, or your certificate for others",
		Long: `Write your key, your certificate and its chain as a PKCS#12 file, which Thunderbird,
Outlook, Apple Mail and others import. It is protected by the same passphrase as in
the key store.

With --certificate write the certificate alone (PEM), to give to others: it holds no
secret, and with it they can encrypt to you.

Of several certificates for the address the one that ends last is taken.`,
		Example: `  mailseal id export alice@example.com -o alice.p12
  mailseal id export alice@example.com --certificate -o alice.pem`,
		Args: oneAddress,
		RunE: func(_ *cobra.Command, args []string) error { return p.runIDExport(args[0], o) },
	}
	cmd.Flags().BoolVar(&o.certificate, "certificate", false, "the certificate alone, without the key")
	addOutputFlag(cmd, &o.output)
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runIDExport(text string, o *exportOptions) error {
	_, entries, _, err := p.find(text)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Certificate != nil {
			return p.export(e, o)
		}
	}
	return broken(fmt.Errorf("%s: its key waits for a certificate", text), "go on with mailseal id request")
}

func (p *program) export(e *identity.Entry, o *exportOptions) error {
	if o.certificate {
		return p.writeResult(o.output, modePublic, e.Certificate.PEM())
	}
	secret, err := o.pass.read(e.Address.String())
	if err != nil {
		return err
	}
	id, err := e.Open(copyOf(secret))
	if err != nil {
		return passphraseFault(err)
	}
	// The root is for whoever receives mail to trust or not; a file with it in
	// would make some mail programs trust it unasked.
	id.Chain = withoutRoots(id.Chain)
	p12, err := identity.EncodePKCS12([]*identity.Identity{id}, secret, nil)
	if err != nil {
		return err
	}
	return p.writeResult(o.output, modeSecret, p12)
}

func withoutRoots(chain []*cert.Certificate) []*cert.Certificate {
	var out []*cert.Certificate
	for _, c := range chain {
		if !c.SelfIssued() {
			out = append(out, c)
		}
	}
	return out
}

// copyOf hands out a passphrase to a function that clears what it gets.
func copyOf(secret []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return append([]byte(nil), secret...), nil }
}

// writeResult writes a result that is whole already.
func (p *program) writeResult(path string, mode os.FileMode, data []byte) error {
	out, err := p.createOutput(path, mode, nil)
	if err != nil {
		return err
	}
	defer out.discard()
	if _, err := out.Write(data); err != nil {
		return err
	}
	return out.commit()
}
