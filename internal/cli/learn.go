package cli

import (
	"errors"
	"path/filepath"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/smime"
)

// book opens the person's address book, making the folder if it is not there yet.
func (p *program) book() (*identity.Book, error) {
	home, err := p.home()
	if err != nil {
		return nil, err
	}
	return identity.OpenBook(filepath.Join(home, "book"))
}

// contacts are those of an address; none if there is no book.
func (p *program) contacts(address mailbox.Mailbox) ([]*identity.Contact, error) {
	if !p.hasFolder("book") {
		return nil, nil
	}
	book, err := p.book()
	if err != nil {
		return nil, err
	}
	found, err := book.Find(address)
	if errors.Is(err, identity.ErrNotFound) {
		return nil, nil
	}
	return found, err
}

// learn keeps what a valid mail told about its signer, and says so. A book that cannot
// be written does not change what is said about the mail. A judgement about another
// time (--at) is not one about what to encrypt with now.
func (p *program) learn(m *smime.Message, o *judgeOptions) {
	if m.Learned == nil || o.noLearn || o.at != "" {
		return
	}
	if _, err := p.home(); err != nil {
		return // nobody's machine
	}
	if err := p.learnAll(m.Learned, len(o.trust) > 0); err != nil {
		p.say("mailseal: warning: what the mail tells about its signer was not kept: %v", err)
	}
}

func (p *program) learnAll(l *smime.Learned, trustGiven bool) error {
	address, err := mailbox.Parse(l.Address)
	if err != nil {
		return err
	}
	own, err := p.ownCertificates(address)
	if err != nil || len(own) > 0 {
		return err // one's own mail tells nothing new
	}
	for _, s := range l.Signers {
		if s.Encryption == nil || len(s.EncryptionChain) == 0 {
			continue
		}
		book, err := p.book()
		if err != nil {
			return err
		}
		c := &identity.Contact{
			Address: address, Certificate: s.Encryption, Capabilities: s.Capabilities, Signed: s.SigningTime, Learned: p.env.Now(),
			Chain: s.EncryptionChain[1:],
		}
		if trustGiven && !p.trustedAnyway(c) {
			c.Anchor = s.EncryptionChain[len(s.EncryptionChain)-1]
		}
		change, err := book.Learn(c)
		if err != nil {
			return err
		}
		p.sayLearned(change, c)
		if c.Anchor != nil && (change == identity.Added || change == identity.Renewed) {
			p.say("mailseal: for %s alone the root of --trust counts from now on: %s", inspect.Visible(address.String()), inspect.Visible(c.Anchor.Subject.String()))
			p.say("mailseal: hint: if it was for this once: mailseal book remove %s, and --no-learn", inspect.Visible(address.String()))
		}
		return nil // who signs twice has one key to be answered with
	}
	return nil
}

// trustedAnyway tells whether a certificate leads to a root that is trusted without
// --trust: then the contact needs none of its own.
func (p *program) trustedAnyway(c *identity.Contact) bool {
	own, store, err := p.trustAnchors(nil)
	if err != nil {
		return false
	}
	_, err = certpath.Verify(c.Certificate, &certpath.Options{Anchors: own, Store: store, Intermediates: c.Chain, At: p.env.Now()})
	return err == nil
}

func (p *program) sayLearned(change identity.Change, c *identity.Contact) {
	address := inspect.Visible(c.Address.String())
	switch change {
	case identity.Added:
		p.say("mailseal: learned the certificate of %s; --to %s finds it from now on", address, address)
	case identity.Renewed:
		p.say("mailseal: learned what %s can read now, or a renewed certificate for the same key", address)
	case identity.Deferred:
		p.say("mailseal: warning: %s signs for another key than before (certificate %.16s)", address, c.Certificate.SHA256())
		p.say("mailseal: hint: ask them whether it is theirs, then: mailseal book accept %s", address)
	case identity.Crowded:
		p.say("mailseal: warning: %s signs for yet another key, and %d wait already; this one is not kept", address, identity.MaxPending)
	}
}
