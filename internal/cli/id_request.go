package cli

import (
	"bufio"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/mailbox"
)

type requestOptions struct {
	server    string
	email     string
	name      string
	code      string
	key       string
	keyGiven  bool // --key was said, not left to its default
	trustRoot bool
	pass      passphraseSource
}

func newIDRequestCommand(p *program) *cobra.Command {
	o := &requestOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "request --server URL --email ADDR [--name NAME] [--code CODE] [--key KIND] [--trust-root]",
		Short: "get a certificate for your address from a mailseal server",
		Long: `Get a certificate for your address. The key is made here and never leaves; the
server mails a code to the address; you paste it here, which proves that you read
that mail. The identity goes to the key store, protected by your passphrase.

The code is asked for at the terminal, or read as a line from standard input. If you
interrupt the command, run it again: it goes on where it was.

--trust-root also trusts the root of that server's authority from now on: every
certificate that it signs will then count as valid for you. Use it when you know who
runs the server, and compare the fingerprint that is shown with the one they tell you.`,
		Example: `  mailseal id request --server https://ca.example.com --email alice@example.com`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.keyGiven = cmd.Flags().Changed("key")
			return p.runIDRequest(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.server, "server", "", "`URL` of the server, https://...")
	cmd.Flags().StringVar(&o.email, "email", "", "your mail address, `ADDR`")
	cmd.Flags().StringVar(&o.name, "name", "", "your `NAME`: a label for the key, never part of the certificate")
	cmd.Flags().StringVar(&o.code, "code", "-", "the `CODE` from the mail; - asks, or reads a line from standard input")
	cmd.Flags().StringVar(&o.key, "key", "rsa3072", "`KIND` of key: "+keyKinds)
	cmd.Flags().BoolVar(&o.trustRoot, "trust-root", false, "trust the root of this server's authority from now on")
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runIDRequest(ctx context.Context, o *requestOptions) error {
	if o.server == "" || o.email == "" {
		return usage(errors.New("the server or the address is missing"), "mailseal id request --server URL --email ADDR")
	}
	address, err := mailbox.Parse(o.email)
	if err != nil {
		return usage(fmt.Errorf("--email: %w", err), "one plain address, like alice@example.com")
	}
	client, err := newOrderClient(o.server)
	if err != nil {
		return err
	}
	pass, err := o.pass.choose("the key of " + address.String())
	if err != nil {
		return err
	}
	return p.enroll(ctx, client, address, o, pass)
}

// enroll walks the line from address to stored identity, each step kept so that the
// next run can go on from it.
func (p *program) enroll(ctx context.Context, client *orderClient, address mailbox.Mailbox, o *requestOptions, pass []byte) error {
	pending, err := p.loadPending(client.base.String(), address, o.key, pass)
	if err != nil {
		return err
	}
	if o.keyGiven && keyKind(pending.key.Public()) != normalKind(o.key) {
		return usage(fmt.Errorf("the unfinished request for %s has a key of kind %s", address, keyKind(pending.key.Public())),
			"finish it without --key, or give it up first: mailseal id remove %s --pending --yes", address)
	}
	if err := p.prove(ctx, client, pending, o); err != nil {
		return err
	}
	request, err := cert.CreateRequest(rand.Reader, pending.key, &cert.RequestTemplate{Emails: []string{address.String()}})
	if err != nil {
		return fmt.Errorf("make the certification request: %w", err)
	}
	answer, err := client.enroll(ctx, pending.Order, pending.Token, request)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	id, root, err := p.examine(answer, pending.key, address)
	if err != nil {
		return broken(fmt.Errorf("the server's certificate is not what was asked for: %w", err), "tell the administrator; nothing was stored")
	}
	id.Label = o.name
	if id.Label == "" {
		id.Label = address.String()
	}
	store, err := p.store()
	if err != nil {
		return err
	}
	if err := store.Put(address, id, pass); err != nil {
		return err
	}
	if err := pending.finish(store); err != nil {
		return err
	}
	p.say("%s has a certificate until %s; it is in your key store.", address, id.Certificate.NotAfter.Format("2 January 2006"))
	p.say("For a mail program: mailseal id export %s -o FILE.p12", address)
	return p.offerRoot(client, root, o.trustRoot)
}

// prove brings the order to the state in which a certificate may be asked for.
func (p *program) prove(ctx context.Context, client *orderClient, pending *pendingRequest, o *requestOptions) error {
	proven, err := p.resume(ctx, client, pending, o)
	if err != nil || proven {
		return err
	}
	code, err := p.code(ctx, o.code, pending.Email)
	if err != nil {
		return err
	}
	err = client.prove(ctx, pending.Order, pending.Token, code)
	var refused *problem
	if errors.As(err, &refused) {
		return no(fmt.Errorf("code: %w", err), "run the same command again to try once more; the newest mail has the code that counts")
	}
	return err
}

// resume finds out where the order stands, or makes one.
func (p *program) resume(ctx context.Context, client *orderClient, pending *pendingRequest, o *requestOptions) (proven bool, err error) {
	if pending.Order != "" {
		known, err := client.get(ctx, pending.Order, pending.Token)
		switch {
		case err == nil && (known.State == "proven" || known.State == "issued"):
			p.say("Going on with the request that was begun before: the code was accepted already.")
			return true, nil
		case err == nil && known.State == "applied":
			p.say("Going on with the request that was begun before.")
			p.sayOfMail(known, pending.Email)
			return false, nil
		case err != nil && !gone(err):
			return false, err
		}
	}
	made, err := client.create(ctx, pending.Email, o.name)
	if err != nil {
		return false, fmt.Errorf("request for %s: %w", pending.Email, err)
	}
	pending.Order, pending.Token = made.ID, made.Token
	p.sayOfMail(made, pending.Email)
	return false, pending.save()
}

// sayOfMail says how far the mail with the code came.
func (p *program) sayOfMail(o *order, email string) {
	switch o.Mail {
	case "waiting":
		p.say("The mail with a code to %s has not left yet: the server's relay does not answer. It is tried again for a day.", email)
	case "refused", "bounced":
		p.say("The mail with a code to %s could not be delivered. The mail server says: %s", email, inspect.Visible(o.MailReason))
	default:
		p.say("A mail with a code is on its way to %s.", email)
	}
}

// code is what the person pastes, or the next line of standard input.
func (p *program) code(ctx context.Context, given, email string) (string, error) {
	if given != "" && given != "-" {
		return given, nil
	}
	if p.isTerminal(p.stdin) {
		fmt.Fprintf(p.stderr, "Code from the mail to %s: ", email)
	}
	line := make(chan string, 1)
	fault := make(chan error, 1)
	go func() { // a blocked read of a terminal cannot be cancelled; the process ends instead
		text, err := bufio.NewReader(p.stdin).ReadString('\n')
		if text = strings.TrimSpace(text); text == "" && err != nil {
			fault <- err
			return
		}
		line <- text
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case text := <-line:
		return text, nil
	case err := <-fault:
		if errors.Is(err, io.EOF) {
			err = errors.New("no code on standard input")
		}
		return "", broken(err, "run the same command again with the code; the request is kept")
	}
}

// examine holds the server's answer against what was asked for: our key, our
// address, and a chain to the root that it names.
func (p *program) examine(answer *enrolled, key crypto.Signer, address mailbox.Mailbox) (id *identity.Identity, root *cert.Certificate, err error) {
	leaf, err := oneCertificate(answer.Certificate)
	if err != nil {
		return nil, nil, err
	}
	certs := []*cert.Certificate{leaf}
	for _, text := range answer.Chain {
		c, err := oneCertificate(text)
		if err != nil {
			return nil, nil, fmt.Errorf("chain: %w", err)
		}
		certs = append(certs, c)
	}
	if root, err = oneCertificate(answer.Root); err != nil {
		return nil, nil, fmt.Errorf("root: %w", err)
	}
	if id, err = identity.Join(key, certs); err != nil {
		return nil, nil, fmt.Errorf("it holds another key: %w", err)
	}
	if !certpath.Names(leaf, address) {
		return nil, nil, fmt.Errorf("it does not name %s", address)
	}
	_, err = certpath.Verify(leaf, &certpath.Options{Anchors: []*cert.Certificate{root}, Intermediates: certs[1:], At: p.env.Now()})
	return id, root, err
}

func oneCertificate(text string) (*cert.Certificate, error) {
	found, err := cert.ParseAll([]byte(text))
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d certificates where one was expected", len(found))
	}
	return found[0], nil
}

// offerRoot trusts the authority's root if that was asked for, and says what it
// means either way.
func (p *program) offerRoot(client *orderClient, root *cert.Certificate, trust bool) error {
	p.say("Its authority's root: %s", root.Subject)
	p.say("  SHA-256 %s", fingerprint(root))
	if !trust {
		p.say("You do not trust that root: mails signed under it are 'untrusted' for you, and so they")
		p.say("are for everyone who has not installed it. To trust it, run the next request with")
		p.say("--trust-root, or give the file to verify: --trust ROOT.pem (from %s)", client.base.JoinPath("ca/root.pem"))
		return nil
	}
	path, err := p.trustRoot(root)
	if err != nil {
		return fmt.Errorf("trust the root: %w", err)
	}
	p.say("It is trusted from now on: whatever it signs is valid for you. To take that back,")
	p.say("remove %s", path)
	return nil
}
