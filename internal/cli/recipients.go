package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/smime"
)

// recipientsWith returns an entry for every certificate that a --to names, with
// options for how each gets the key.
func (p *program) recipientsWith(to []string, o *cms.RecipientOptions, online *onlineOptions) ([]*cms.Recipient, error) {
	addressees, err := p.addressees(to, nil)
	if err != nil {
		return nil, err
	}
	policy, err := p.policy(addressees, nil, nil)
	if err != nil {
		return nil, err
	}
	if policy.Revocation, policy.Issuers, err = online.sources(p); err != nil {
		return nil, err
	}
	policy.Cipher = cms.AES256CBC // what is in the message is not the plan's choice here
	plan := smime.PlanFor(addressees, policy)
	if missing := plan.Missing(); len(missing) > 0 {
		return nil, missingKeys(missing)
	}
	var all []*cms.Recipient
	for _, e := range plan.Messages[0].Entries {
		r, err := cms.NewRecipient(e.Certificate, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// policy judges the certificates that were not given by hand by the roots that are
// always trusted, or by those that --trust names. Where there are none such, no root is
// looked for: files are encrypted to without any home.
func (p *program) policy(to []smime.Addressee, trust, intermediates []string) (*smime.Policy, error) {
	o := &smime.Policy{At: p.env.Now()}
	judged := func(c smime.Candidate) bool { return !c.Trusted }
	if !slices.ContainsFunc(to, func(a smime.Addressee) bool { return slices.ContainsFunc(a.Candidates, judged) }) {
		return o, nil
	}
	var err error
	if o.Anchors, o.Store, err = p.trustAnchors(trust); err != nil {
		return nil, fmt.Errorf("trusted roots: %w", err)
	}
	if o.Intermediates, err = readIntermediates(intermediates); err != nil {
		return nil, fmt.Errorf("intermediates: %w", err)
	}
	return o, nil
}

// addressees are those whom each --to and --bcc names.
func (p *program) addressees(to, bcc []string) ([]smime.Addressee, error) {
	var all []smime.Addressee
	for i, name := range slices.Concat(to, bcc) {
		found, err := p.addresseesOf(name)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			a.Hidden = i >= len(to)
			all = append(all, a)
		}
	}
	return all, nil
}

// addresseesOf reads a certificate file or bundle, or finds an address in the key
// store and the address book.
func (p *program) addresseesOf(name string) ([]smime.Addressee, error) {
	data, err := readSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		a, err := p.addresseeAt(name)
		return []smime.Addressee{a}, err
	}
	if err != nil {
		return nil, err
	}
	if err := p.notAlsoAnAddress(name); err != nil {
		return nil, err
	}
	certs, err := cert.ParseAll(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return holders(name, certs), nil
}

// notAlsoAnAddress refuses the name of a file that is an address of which a certificate
// is known: whoever can put a file here, as an attachment, could read what is meant for
// the address.
func (p *program) notAlsoAnAddress(name string) error {
	a, err := p.addresseeAt(name)
	if err != nil || len(a.Candidates) == 0 {
		return nil //nolint:nilerr // no address, then
	}
	return usage(fmt.Errorf("%s is a file here, and an address whose certificate is known", name), "for the file, write ./%s; for the address, run this in another folder", name)
}

// holders sorts the certificates of a file by whose they are. The authorities in it
// are nobody's, unless there is nothing else.
func holders(file string, certs []*cert.Certificate) []smime.Addressee {
	people := slices.DeleteFunc(slices.Clone(certs), func(c *cert.Certificate) bool { return c.BasicConstraints.CA })
	if len(people) == 0 {
		people = certs
	}
	var all []smime.Addressee
	index := map[string]int{}
	for i, c := range people {
		key, name := fmt.Sprint(i), file
		if named := certpath.Mailboxes(c); len(named) > 0 {
			key = named[0].Key()
			if len(people) > 1 {
				name = fmt.Sprintf("%s in %s", named[0], file)
			}
		}
		at, known := index[key]
		if !known {
			at = len(all)
			index[key] = at
			all = append(all, smime.Addressee{Name: name})
		}
		all[at].Candidates = append(all[at].Candidates, smime.Candidate{Certificate: c, Chain: certs, Trusted: true})
	}
	return all
}

const askThem = "ask them for a signed mail and read it with mailseal verify, or for their certificate file"

// addresseeAt finds an address: in the key store, where one's own certificates are, or
// else in the address book.
func (p *program) addresseeAt(name string) (smime.Addressee, error) {
	a := smime.Addressee{Name: name, Hint: askThem}
	address, err := mailbox.ParseUnquoted(name)
	if err != nil {
		return a, broken(fmt.Errorf("%s: no such file, and not an address", name), "--to takes a certificate file, or an address that `mailseal book list` or `mailseal id list` shows")
	}
	own, err := p.ownCertificates(address)
	if err != nil {
		return a, fmt.Errorf("key store: %s: %w", name, err)
	}
	for _, c := range own {
		a.Candidates = append(a.Candidates, smime.Candidate{Certificate: c, Trusted: true})
	}
	if len(own) > 0 {
		return a, nil
	}
	a.Address = address.String()
	return a, p.addLearned(&a, address)
}

// ownCertificates are those of an address in the key store; none if there is no store.
func (p *program) ownCertificates(address mailbox.Mailbox) ([]*cert.Certificate, error) {
	if !p.hasFolder("identities") {
		return nil, nil
	}
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	certs, err := store.Certificates(address)
	if errors.Is(err, identity.ErrNotFound) {
		return nil, nil
	}
	return certs, err
}

// hasFolder tells whether the home has that folder: what only looks makes none, and
// does without a home.
func (p *program) hasFolder(name string) bool {
	home, err := p.home()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// addLearned adds what the address book has: its certificate is a candidate, a change
// that waits is none.
func (p *program) addLearned(a *smime.Addressee, address mailbox.Mailbox) error {
	contacts, err := p.contacts(address)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		switch {
		case c.Defect != nil:
			a.Hint = c.Defect.Error()
		case c.Pending:
			a.Hint = "another key for this address waits to be accepted: mailseal book show " + address.String()
		default:
			candidate := smime.Candidate{Certificate: c.Certificate, Chain: c.Chain, Capabilities: c.Capabilities}
			if c.Anchor != nil {
				candidate.Anchors = []*cert.Certificate{c.Anchor}
			}
			a.Candidates = append(a.Candidates, candidate)
		}
	}
	return nil
}
