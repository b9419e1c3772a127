package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
)

type exportOptions struct {
	output      string
	certificate bool
	client      string
	all         bool
	withRoot    bool
	generate    bool
	sha256      string
	pass        passphraseSource
}

func newIDExportCommand(p *program) *cobra.Command {
	o := &exportOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "export ADDR [--for CLIENT] [--all] -o FILE.p12 | export ADDR --certificate [-o FILE.pem]",
		Short: "write your key for a mail program, or your certificate for others",
		Long: `Write your key, your certificate and its chain as a PKCS#12 file, for other software to
import. --for says for which, because no form is read by all:
` + exportHelp() + `
The file is protected by the same passphrase as in the key store (600,000 iterations),
or with --generate by a new one that nobody could guess, which is shown once.

Of several certificates for the address the ones in use are taken: the one that signs
and, where another does that, the one that decrypts. --all takes the old ones too, so
that the other program opens old mail; --sha256 takes a single one. The root stays out
unless --with-root: some programs would trust it unasked.

With --certificate write the certificates alone (PEM), to give to others: they hold no
secret, and with them others can encrypt to you.`,
		Example: `  mailseal id export alice@example.com -o alice.p12
  mailseal id export alice@example.com --for ios --generate -o alice.p12
  mailseal id export alice@example.com --certificate -o alice.pem`,
		Args: oneAddress,
		RunE: func(_ *cobra.Command, args []string) error { return p.runIDExport(args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.certificate, "certificate", false, "the certificates alone, without the keys")
	f.StringVar(&o.client, "for", "any", "`CLIENT` that is to import it, see above")
	f.BoolVar(&o.all, "all", false, "the keys of old certificates, too")
	f.BoolVar(&o.withRoot, "with-root", false, "the root of the chain, too, if it is known")
	f.BoolVar(&o.generate, "generate", false, "under a new passphrase, shown once on standard error")
	f.StringVar(&o.sha256, "sha256", "", "only the one whose certificate's SHA-256 begins with `HEX`")
	addOutputFlag(cmd, &o.output)
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runIDExport(text string, o *exportOptions) error {
	form, err := exportFormFor(o.client)
	if err != nil {
		return err
	}
	_, entries, _, err := p.find(text)
	if err != nil {
		return err
	}
	chosen, err := p.toExport(text, entries, o)
	if err != nil {
		return err
	}
	if o.certificate {
		var pem bytes.Buffer
		for _, e := range chosen {
			pem.Write(e.Certificate.PEM())
		}
		return p.writeResult(o.output, modePublic, pem.Bytes())
	}
	return p.export(chosen, form, o)
}

// toExport chooses among the entries of an address, which come with the certificate
// that ends last first.
func (p *program) toExport(text string, entries []*identity.Entry, o *exportOptions) ([]*identity.Entry, error) {
	var certified []*identity.Entry
	for _, e := range entries {
		if e.Certificate != nil && strings.HasPrefix(e.Certificate.SHA256(), strings.ToLower(o.sha256)) {
			certified = append(certified, e)
		}
	}
	switch {
	case len(certified) == 0 && o.sha256 != "":
		return nil, broken(fmt.Errorf("%s: no certificate whose SHA-256 begins with %s", text, o.sha256), "see mailseal id show %s", text)
	case len(certified) == 0:
		return nil, broken(fmt.Errorf("%s: its key waits for a certificate", text), "import it with mailseal id import FILE, or go on with mailseal id request")
	case o.all:
		return certified, nil
	case o.sha256 != "":
		return certified[:1], nil
	}
	return p.inUse(certified), nil
}

// inUse returns the first that may sign now and the first that may be encrypted to
// now, most often the same; where none may do either, the first.
func (p *program) inUse(entries []*identity.Entry) []*identity.Entry {
	var used []*identity.Entry
	for _, able := range []func(*cert.Certificate) bool{(*cert.Certificate).CanSign, (*cert.Certificate).CanEncrypt} {
		for _, e := range entries {
			if !p.inForce(e.Certificate) || !able(e.Certificate) {
				continue
			}
			if len(used) == 0 || used[0] != e {
				used = append(used, e)
			}
			break
		}
	}
	if len(used) == 0 {
		return entries[:1]
	}
	return used
}

func (p *program) export(entries []*identity.Entry, form *identity.PKCS12Form, o *exportOptions) error {
	secret, err := o.pass.read(entries[0].Address.String())
	if err != nil {
		return err
	}
	var ids []*identity.Identity
	for _, e := range entries {
		id, err := e.Open(copyOf(secret))
		if err != nil {
			return passphraseFault(err)
		}
		if !o.withRoot {
			id.Chain = withoutRoots(id.Chain)
		}
		if id.Label == "" { // some programs list nothing else
			id.Label = e.Address.String()
		}
		ids = append(ids, id)
	}
	options := form.Options
	if o.generate {
		secret, options.Iterations = newPassphrase(), identity.GeneratedIterations
	}
	p12, err := identity.EncodePKCS12(ids, secret, &options)
	if errors.Is(err, identity.ErrLimit) {
		return broken(err, "take fewer: without --all, or one by one with --sha256; or --generate")
	}
	if err != nil {
		return err
	}
	if err := p.writeResult(o.output, modeSecret, p12); err != nil {
		return err
	}
	if o.generate {
		p.say("Its passphrase, which is shown only now: %s", secret)
	}
	return nil
}

// newPassphrase makes one with 130 random bits, to be read aloud or typed.
func newPassphrase() []byte {
	var random [20]byte
	rand.Read(random[:])
	text := strings.ToLower(base32.StdEncoding.EncodeToString(random[:]))[:26]
	var groups []string
	for len(text) > 5 {
		groups, text = append(groups, text[:5]), text[5:]
	}
	return []byte(strings.Join(append(groups, text), "-"))
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
