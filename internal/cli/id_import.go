package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/mailbox"
)

type importOptions struct {
	address    string
	withoutMAC bool
	pass       passphraseSource
}

func newIDImportCommand(p *program) *cobra.Command {
	o := &importOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "import FILE [FILE ...] [--address ADDR]",
		Short: "put a key and its certificate into the key store",
		Long: `Put the keys of a PKCS#12 or PEM file into the key store, each under the first
address that its certificate names (or under --address). They stay under the
passphrase of the file; a file without one gets a new one. A key without a certificate
waits for it under --address.

Files without a key are what an authority sends for a request (mailseal id new --csr):
certificates as PEM, DER or PKCS#7, with the issuing ones. Each joins the key in the
store that it is for, and that key's passphrase is asked for. A certificate for a key
that has one already is kept beside it.

Give all files of one delivery at once: certificates in one are issuers of another's.`,
		Example: `  mailseal id import alice.p12
  mailseal id import alice.crt issuing-ca.crt`,
		RunE: func(_ *cobra.Command, args []string) error { return p.runIDImport(args, o) },
	}
	cmd.Flags().StringVar(&o.address, "address", "", "`ADDR` to file it under, where the certificate names none or another")
	cmd.Flags().BoolVar(&o.withoutMAC, "without-mac", false, "take a PKCS#12 file that nothing protects against change, because you know where it comes from")
	o.pass.addFlag(cmd)
	return cmd
}

// delivery is what the files of one import hold.
type delivery struct {
	keys  []keyFile
	certs []*cert.Certificate // of the files without keys
}

// keyFile is the content of one file with keys.
type keyFile struct {
	name       string
	passphrase []byte // empty when the file needed none
	identities []*identity.Identity
}

func (p *program) runIDImport(files []string, o *importOptions) error {
	if len(files) == 0 {
		return usage(errors.New("no file to import"), "mailseal id import FILE [FILE ...]")
	}
	var d delivery
	for _, file := range files {
		if err := p.takeIn(&d, file, o); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	store, err := p.store()
	if err != nil {
		return err
	}
	if len(d.keys) == 0 {
		return p.importCertificates(store, strings.Join(files, ", "), d.certs, o)
	}
	for _, f := range d.keys {
		if err := p.importKeys(store, f, d.certs, o); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// takeIn reads one file: keys, or certificates alone.
func (p *program) takeIn(d *delivery, file string, o *importOptions) error {
	data, err := readSmall(file)
	if err != nil {
		return err
	}
	f := keyFile{name: file}
	ask := func() (text []byte, err error) {
		if f.passphrase, err = o.pass.read(file); err != nil {
			return nil, err
		}
		return copyOf(f.passphrase)()
	}
	f.identities, err = identity.Read(data, ask)
	if errors.Is(err, identity.ErrNoMAC) && o.withoutMAC {
		f.identities, err = readWithoutMAC(data, ask)
	}
	if err == nil {
		d.keys = append(d.keys, f)
		return nil
	}
	if certs, noCerts := cert.ParseAll(data); errors.Is(err, identity.ErrNoKey) && noCerts == nil {
		d.certs = append(d.certs, certs...)
		return nil
	}
	return passphraseFault(err)
}

func readWithoutMAC(data []byte, ask func() ([]byte, error)) ([]*identity.Identity, error) {
	p12, err := identity.DecodePKCS12(data, ask)
	if err != nil {
		return nil, err
	}
	if len(p12.Identities) == 0 {
		return nil, identity.ErrNoKey
	}
	return p12.Identities, nil
}

func (p *program) importKeys(store *identity.Store, f keyFile, certs []*cert.Certificate, o *importOptions) (err error) {
	if len(f.passphrase) == 0 {
		if f.passphrase, err = o.pass.choose("the key store"); err != nil {
			return err
		}
	}
	for _, id := range f.identities {
		if err := p.importOne(store, id, certs, o.address, f.passphrase); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) importOne(store *identity.Store, id *identity.Identity, certs []*cert.Certificate, address string, secret []byte) error {
	id = withIssuers(id, certs)
	if address == "" {
		if id.Certificate == nil {
			return usage(errors.New("a key without a certificate"), "give the file of its certificate too, or say for which address it waits for one: --address ADDR")
		}
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
	if id.Certificate == nil {
		if err := store.PutPending(m, id.Key, secret); err != nil {
			return err
		}
		p.say("A key for %s is in your key store; it waits for its certificate.", m)
		return nil
	}
	if err := store.Put(m, id, secret); err != nil {
		return err
	}
	p.saySaved(m, id)
	return nil
}

// withIssuers completes an identity by certificates that came in other files.
func withIssuers(id *identity.Identity, certs []*cert.Certificate) *identity.Identity {
	if id.Certificate != nil {
		certs = append(append([]*cert.Certificate{id.Certificate}, id.Chain...), certs...)
	}
	joined, err := identity.Join(id.Key, certs)
	if err != nil || id.Certificate != nil && !joined.Certificate.Equal(id.Certificate) {
		return id
	}
	joined.Label = id.Label
	return joined
}

// importCertificates joins certificates with the keys in the store that they are for.
func (p *program) importCertificates(store *identity.Store, files string, certs []*cert.Certificate, o *importOptions) error {
	if o.address != "" {
		return usage(errors.New("--address is for keys: a certificate goes to the key that it is for"), "leave it away")
	}
	done, err := store.Complete(certs, func() ([]byte, error) { return o.pass.read("the waiting key") })
	if errors.Is(err, identity.ErrNotFound) {
		return broken(fmt.Errorf("%s: no key in the key store is for a new certificate in it", files),
			"see which keys wait: mailseal id list; a certificate of somebody else needs no import")
	}
	if err != nil {
		return passphraseFault(err)
	}
	for _, d := range done {
		p.saySaved(d.Address, d.Identity)
		if !certpath.Names(d.Identity.Certificate, d.Address) {
			p.say("mailseal: warning: the certificate does not name %s, for which the key was made, but %s",
				d.Address, inspect.Visible(strings.Join(d.Identity.Certificate.Emails(), ", ")))
		}
	}
	return nil
}

// saySaved tells what is in the store now and what may be amiss with it.
func (p *program) saySaved(m mailbox.Mailbox, id *identity.Identity) {
	c := id.Certificate
	p.say("%s is in your key store, until %s.", m, c.NotAfter.Format("2 January 2006"))
	if !p.inForce(c) {
		p.say("mailseal: warning: the certificate is not in force (%s)", period(c))
	}
	if len(id.Chain) == 0 && !c.SelfIssued() {
		p.say("mailseal: warning: the file has no issuing certificate, without which others may not be able to check your mail; import it together with this one")
	}
}
