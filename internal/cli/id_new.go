package cli

import (
	"crypto"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/token"
)

type newIDOptions struct {
	csr          bool
	waiting      bool
	token        string
	key          string
	name         string
	organization string
	country      string
	output       string
	pass         passphraseSource
}

func newIDNewCommand(p *program) *cobra.Command {
	o := &newIDOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "new [--csr] ADDR [ADDR ...] [--key KIND] [--name NAME] [--waiting | --token URI] [-o FILE]",
		Short: "make a key, and a request that any authority takes",
		Long: `Make a key for your address, or for several addresses of yours. It waits in the key
store, protected by your passphrase, until its certificate comes.

With --csr write the certification request (PKCS#10, PEM) that a public authority asks
for when you order an S/MIME certificate: paste it into its form. It names the
addresses, and you by --name, --organization and --country as far as you give them. The
key itself never leaves. What the authority sends back joins the key:

  mailseal id import FILE [FILE ...]

--waiting makes no new key and writes the request for the one that waits already;
--token writes it for a key that was made in a PKCS#11 token, and stays there.

A new certificate takes a new key: the old one stays, for old mail.`,
		Example: `  mailseal id new --csr alice@example.com -o alice.csr
  mailseal id new --csr alice@example.com --name "Alice Example" --organization "Example K.K." --country JP`,
		RunE: func(_ *cobra.Command, args []string) error { return p.runIDNew(args, o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.csr, "csr", false, "write the certification request")
	f.BoolVar(&o.waiting, "waiting", false, "no new key: the one that waits for a certificate")
	f.StringVar(&o.token, "token", "", "no new key: the one in a token that a pkcs11: `URI` names")
	f.StringVar(&o.key, "key", "rsa3072", "`KIND` of key: "+keyKinds+"; ed25519 signs only, and few authorities take it")
	f.StringVar(&o.name, "name", "", "your `NAME` in the request; default the address")
	f.StringVar(&o.organization, "organization", "", "your `ORGANIZATION` in the request")
	f.StringVar(&o.country, "country", "", "two letters, `CC`, in the request")
	addOutputFlag(cmd, &o.output)
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runIDNew(args []string, o *newIDOptions) error {
	addresses, err := plainAddresses(args)
	if err != nil {
		return err
	}
	if !o.csr && (o.output != "" || o.waiting || o.token != "") {
		return usage(errors.New("-o, --waiting and --token are for the request"), "add --csr")
	}
	if o.waiting && o.token != "" {
		return usage(errors.New("--waiting and --token name two keys"), "give one of them")
	}
	// What cannot be asked for is found before a key is made for it.
	template := o.template(addresses)
	if err := checkTemplate(template); err != nil {
		return usage(err, "run: mailseal id new --help")
	}
	key, err := p.requestKey(addresses[0], o)
	if err != nil {
		return err
	}
	if !o.csr {
		p.say("Its certification request: mailseal id new --csr --waiting %s", addresses[0])
		return nil
	}
	request, err := cert.CreateRequest(rand.Reader, key, template)
	if err != nil {
		return err
	}
	if err := p.writeResult(o.output, modePublic, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})); err != nil {
		return err
	}
	if o.token != "" {
		p.say("Give the request to your authority, and put the certificate that it sends back into the token, beside the key.")
		return nil
	}
	p.say("Give the request to your authority; what it sends back: mailseal id import FILE [FILE ...]")
	return nil
}

// requestKey is the key that the request is for: a new one, unless told otherwise.
func (p *program) requestKey(address mailbox.Mailbox, o *newIDOptions) (crypto.Signer, error) {
	if o.token != "" {
		return p.tokenKey(o.token, &o.pass)
	}
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	if o.waiting {
		return p.waitingKey(store, address, &o.pass)
	}
	return p.newWaitingKey(store, address, o)
}

// tokenKey is the one key in a token that the URI names.
func (p *program) tokenKey(uri string, pass *passphraseSource) (crypto.Signer, error) {
	if !strings.HasPrefix(uri, token.Scheme) {
		return nil, usage(fmt.Errorf("--token %s: not a URI of a token", uri), "pkcs11:token=LABEL;object=LABEL")
	}
	found, err := p.tokenIdentities(uri, pass)
	if err != nil {
		return nil, err
	}
	var key crypto.Signer
	for _, id := range found { // a key is there once for each of its certificates
		signer, ok := id.Key.(crypto.Signer)
		if !ok || key != nil && key != signer {
			return nil, usage(fmt.Errorf("%s: several keys match", uri), "name one with object= or id=")
		}
		key = signer
	}
	return key, nil
}

func plainAddresses(args []string) ([]mailbox.Mailbox, error) {
	if len(args) == 0 {
		return nil, usage(errors.New("no address"), "mailseal id new --csr alice@example.com")
	}
	var all []mailbox.Mailbox
	for _, text := range args {
		m, err := mailbox.Parse(text)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", text, err), "one plain address, like alice@example.com")
		}
		if !slices.ContainsFunc(all, m.Equal) {
			all = append(all, m)
		}
	}
	return all, nil
}

func (o *newIDOptions) template(addresses []mailbox.Mailbox) *cert.RequestTemplate {
	t := &cert.RequestTemplate{CommonName: o.name, Organization: o.organization, Country: o.country, EmailInSubject: true}
	for _, m := range addresses {
		t.Emails = append(t.Emails, m.String())
	}
	if t.CommonName == "" && len(t.Emails[0]) <= 64 {
		t.CommonName = t.Emails[0]
	}
	return t
}

// checkTemplate makes a request with a key that nobody keeps.
func checkTemplate(t *cert.RequestTemplate) error {
	key, err := newKey("p256")
	if err == nil {
		_, err = cert.CreateRequest(rand.Reader, key, t)
	}
	return err
}

func (p *program) newWaitingKey(store *identity.Store, address mailbox.Mailbox, o *newIDOptions) (crypto.Signer, error) {
	key, err := newKey(o.key)
	if err != nil {
		return nil, err
	}
	pass, err := o.pass.choose("the key of " + address.String())
	if err != nil {
		return nil, err
	}
	if err := store.PutPending(address, key, pass); err != nil {
		return nil, err
	}
	p.say("A new %s key for %s waits in your key store.", keyKind(key.Public()), address)
	return key, nil
}

// waitingKey opens the one key of the address that waits.
func (p *program) waitingKey(store *identity.Store, address mailbox.Mailbox, pass *passphraseSource) (crypto.Signer, error) {
	entries, err := store.Find(address)
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e *identity.Entry) bool { return !e.Pending })
	switch len(entries) {
	case 0:
		return nil, broken(fmt.Errorf("%s: no key waits for a certificate", address), "make one: mailseal id new --csr %s", address)
	case 1:
	default:
		return nil, broken(fmt.Errorf("%s: %d keys wait for a certificate", address, len(entries)),
			"make another without --waiting, or give those up first: mailseal id remove %s --pending --yes", address)
	}
	secret, err := pass.read(address.String())
	if err != nil {
		return nil, err
	}
	id, err := entries[0].Open(copyOf(secret))
	if err != nil {
		return nil, passphraseFault(err)
	}
	key, ok := id.Key.(crypto.Signer)
	if !ok {
		return nil, broken(fmt.Errorf("%s: the key that waits does not sign, and a request is signed", address), "make another without --waiting")
	}
	return key, nil
}

// keyKinds are the names that --key knows.
const keyKinds = "rsa3072 (every mail program takes it), rsa2048, p256, p384, ed25519"

// normalKind takes rsa-3072 and RSA3072 for rsa3072.
func normalKind(kind string) string { return strings.ReplaceAll(strings.ToLower(kind), "-", "") }
