package registration

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// ErrOutside: the certification request is kept, and goes to the authority
// outside that the organization has chosen.
var ErrOutside = errors.New("registration: the request waits for the authority outside")

// Limits of certificates that come in.
const (
	maxForeignFile = 16 << 20
	maxForeign     = 5000 // in one file
	maxChain       = 10
)

// send keeps a certification request for the authority outside. The same one
// again is no error.
func (s *Service) send(ctx context.Context, actor auth.Actor, a authorization) error {
	if len(a.r.Certification) == 0 {
		return fmt.Errorf("%w: an authority outside takes certification requests, not keys", ErrRequest)
	}
	if s.state(a.row) == StateIssued {
		return fmt.Errorf("%w: it is %s", ErrState, StateIssued)
	}
	request, err := derOf(a.r.Certification)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		key, err := tx.StandingOfKey(a.hash, a.row.ID)
		if err != nil {
			return err
		}
		if !key.Open {
			return ErrOtherKey
		}
		if err := tx.OrderKey(a.row.ID, a.hash); err != nil {
			return err
		}
		if err := tx.InsertExternalRequest(a.row.ID, request, s.now()); err != nil {
			return conflicting(err, nil) // it is there already, for the same key
		}
		if err := tx.OrderWaits(a.row.ID, string(WaitingIssuer)); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.o.Log.InfoContext(ctx, "request kept for an authority outside", "order", a.row.ID, "actor", actor.String())
	return ErrOutside
}

// derOf takes one DER value out of DER or PEM.
func derOf(file []byte) ([]byte, error) {
	if block, _ := pem.Decode(file); block != nil {
		return block.Bytes, nil
	}
	if len(file) == 0 {
		return nil, errors.New("nothing there")
	}
	return file, nil
}

// ExternalRequest returns the certification request of an order as it goes to
// the authority outside, in DER.
func (s *Service) ExternalRequest(ctx context.Context, actor auth.Actor, organization, order string) (request []byte, err error) {
	if !administers(actor, organization) {
		return nil, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Order(order)
		if err != nil {
			return hidden(err)
		}
		if row.OrganizationID != organization {
			return ErrForbidden
		}
		request, err = tx.ExternalRequest(order)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("%w: no key has come for it", ErrState)
		}
		return err
	})
	return request, err
}

// CertificateIn takes the certificate that an authority outside made for an
// order: it must be for that key and those mailboxes. File holds it and, if it
// likes, those above it, in PEM or DER. TrustRoots has the organization trust the
// roots in the file from now on.
func (s *Service) CertificateIn(ctx context.Context, actor auth.Actor, organization, order string, file []byte, trustRoots bool) (held Held, err error) {
	if !administers(actor, organization) {
		return held, ErrForbidden
	}
	certificates, err := readCertificates(file)
	if err != nil {
		return held, err
	}
	var f store.ForeignCertificate
	judge := func(trusted *trustees) error {
		if trustRoots {
			trusted.own = append(trusted.own, rootsOf(certificates)...)
		}
		err := s.o.Store.View(ctx, func(tx *store.Tx) error {
			row, c, chain, err := s.waitsFor(tx, organization, order, certificates)
			if err != nil {
				return err
			}
			f, err = s.foreign(c, chain, actor, organization, row.PersonID)
			return err
		})
		if err != nil {
			return err
		}
		f.OrderID, f.ForeignTrust = order, trusted.judge(f)
		return nil
	}
	err = s.judging(ctx, organization, judge, func(tx *store.Tx) error {
		row, c, _, err := s.waitsFor(tx, organization, order, certificates)
		if err != nil {
			return err
		}
		if !bytes.Equal(c.Raw, f.DER) || row.PersonID != f.PersonID {
			return fmt.Errorf("%w: it has changed meanwhile", ErrState)
		}
		if trustRoots {
			if err := s.trustRoots(ctx, tx, actor, organization, certificates); err != nil {
				return err
			}
		}
		if err := s.insertForeign(ctx, tx, actor, f); err != nil {
			return err
		}
		held = heldOf(store.Holding{
			ID: f.ID, PersonID: f.PersonID, OrganizationID: organization, OrderID: order, Issuer: f.Issuer, Serial: f.Serial, SHA256: f.SHA256,
			Use: row.Use, Profile: row.Profile, Issued: f.NotBefore, NotAfter: f.NotAfter,
			Trust: f.Trust, TrustProblem: f.Problem, TrustDetail: f.Detail,
		})
		return tx.OrderIssued(order)
	})
	if err == nil && trustRoots {
		err = s.JudgeChains(ctx, organization)
	}
	return held, conflicting(err, ErrState)
}

// waitsFor reads an order that waits for its certificate, and picks that out of a
// file with those above it.
func (s *Service) waitsFor(tx *store.Tx, organization, order string, certificates []*cert.Certificate) (row store.Order, c *cert.Certificate, chain []byte, err error) {
	if row, err = tx.Order(order); err != nil {
		return row, nil, nil, hidden(err)
	}
	switch {
	case row.OrganizationID != organization || row.Issuer != IssuerExternal:
		return row, nil, nil, ErrForbidden
	case row.State != string(StateProven) || row.WaitingFor != string(WaitingIssuer):
		return row, nil, nil, fmt.Errorf("%w: it does not wait for a certificate", ErrState)
	}
	if c, chain, err = forKey(certificates, row.KeyHash); err == nil {
		err = s.checkForeign(c, row.Addresses, row.Use)
	}
	return row, c, chain, err
}

func (s *Service) insertForeign(ctx context.Context, tx *store.Tx, actor auth.Actor, f store.ForeignCertificate) error {
	if err := tx.InsertForeignCertificate(f); err != nil {
		return conflicting(err, wrong("certificate", "input.certificate.twice", f.Issuer))
	}
	return s.actForeign(ctx, tx, actor, f)
}

func (s *Service) actForeign(ctx context.Context, tx *store.Tx, actor auth.Actor, f store.ForeignCertificate) error {
	return s.act(ctx, tx, actor, store.ActForeign, f.ID, map[string]string{
		"organization": f.OrganizationID, "order": f.OrderID, "sha256": fmt.Sprintf("%x", f.SHA256), "trust": cmp.Or(f.Trust, f.Problem),
	})
}

// readCertificates reads a file of certificates: PEM, DER one after the other,
// or PKCS #7.
func readCertificates(file []byte) ([]*cert.Certificate, error) {
	if len(file) > maxForeignFile {
		return nil, wrong("certificate", "input.file", maxForeignFile>>20)
	}
	list, err := cert.ParseAll(file)
	switch {
	case err != nil:
		return nil, wrong("certificate", "input.certificate", err.Error())
	case len(list) > maxForeign:
		return nil, wrong("certificate", "input.certificates", maxForeign)
	}
	return list, nil
}

// forKey picks the certificate of a key; the others are its chain.
func forKey(list []*cert.Certificate, keyHash []byte) (c *cert.Certificate, chain []byte, err error) {
	for _, one := range list {
		hash, err := issuance.KeyHash(one.PublicKey)
		if err == nil && c == nil && bytes.Equal(hash, keyHash) {
			c = one
			continue
		}
		chain = append(chain, one.Raw...)
	}
	switch {
	case c == nil:
		return nil, nil, wrong("certificate", "input.certificate.key")
	case len(list) > maxChain+1:
		return nil, nil, wrong("certificate", "input.certificates", maxChain+1)
	}
	return c, chain, nil
}

// mailboxesOf reads the mail addresses of a certificate.
func mailboxesOf(c *cert.Certificate) (list []mailbox.Mailbox, err error) {
	for _, address := range c.Emails() {
		m, err := mailbox.Parse(address)
		if err != nil {
			return nil, wrong("certificate", "input.certificate.address", address)
		}
		if !slices.ContainsFunc(list, m.Equal) {
			list = append(list, m)
		}
	}
	return list, nil
}

// checkForeign holds a certificate by somebody else against the mailboxes that
// it was asked for, all of them and no others, and its use.
func (s *Service) checkForeign(c *cert.Certificate, addresses []string, use string) error {
	names, err := mailboxesOf(c)
	if err != nil {
		return err
	}
	var got []string
	for _, m := range names {
		got = append(got, m.String())
	}
	for _, address := range addresses {
		m, err := mailbox.Parse(address)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(names, m.Equal)
		if i < 0 {
			return wrong("certificate", "input.certificate.names", strings.Join(got, ", "), strings.Join(addresses, ", "))
		}
		names = slices.Delete(names, i, i+1)
	}
	if len(names) > 0 {
		return wrong("certificate", "input.certificate.names", strings.Join(got, ", "), strings.Join(addresses, ", "))
	}
	if err := s.usable(c); err != nil {
		return err
	}
	if use != string(issuance.Encryption) && !c.CanSign() || use != string(issuance.Signing) && !c.CanEncrypt() {
		return wrong("certificate", "input.certificate.use", use)
	}
	return nil
}

// usable: it is a subscriber's, for mail, and valid now.
func (s *Service) usable(c *cert.Certificate) error {
	now := s.now()
	switch {
	case c.BasicConstraints.CA:
		return wrong("certificate", "input.certificate.authority")
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return wrong("certificate", "input.certificate.time", c.NotBefore.Format("2006-01-02"), c.NotAfter.Format("2006-01-02"))
	case len(c.ExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, oid.EmailProtection) && !slices.Contains(c.ExtKeyUsage, oid.AnyExtendedKeyUsage):
		return wrong("certificate", "input.certificate.mail")
	}
	return nil
}

func (s *Service) foreign(c *cert.Certificate, chain []byte, actor auth.Actor, organization, person string) (f store.ForeignCertificate, err error) {
	hash, err := issuance.KeyHash(c.PublicKey)
	if err != nil {
		return f, wrong("certificate", "input.certificate", err.Error())
	}
	id, err := s.newID()
	if chain == nil {
		chain = []byte{}
	}
	sum := sha256.Sum256(c.Raw)
	return store.ForeignCertificate{
		ID: id, OrganizationID: organization, PersonID: person, Issuer: issuerName(c), Serial: c.Serial.Bytes(), DER: c.Raw, Chain: chain,
		SHA256: sum[:], KeyHash: hash, NotBefore: c.NotBefore, NotAfter: c.NotAfter, AddedBy: whose(actor), Added: s.now(),
	}, err
}

// issuerName is how the issuer is shown.
func issuerName(c *cert.Certificate) string {
	const longest = 200
	name := []rune(c.Issuer.String())
	return string(name[:min(len(name), longest)])
}

// Imported is what became of one certificate of a file.
type Imported struct {
	Certificate Held
	Subject     string // for people
	Err         error
}

// ImportCertificates takes certificates that people of an organization have
// already, to be watched and renewed in time: each goes to whoever has one of its
// mailboxes. What cannot be taken keeps out that one alone. Authorities in the file
// are what chains are made of; with trustRoots the organization trusts the roots
// among them from now on.
func (s *Service) ImportCertificates(ctx context.Context, actor auth.Actor, organization string, file []byte, trustRoots bool) (list []Imported, err error) {
	if !administers(actor, organization) && !(ours(actor) && organization != "") {
		return nil, ErrForbidden
	}
	certificates, err := readCertificates(file)
	if err != nil {
		return nil, err
	}
	authorities := slices.DeleteFunc(slices.Clone(certificates), func(c *cert.Certificate) bool { return !c.BasicConstraints.CA })
	people := slices.DeleteFunc(certificates, func(c *cert.Certificate) bool { return c.BasicConstraints.CA })
	if trustRoots {
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			if _, err := s.desk(tx, organization); err != nil {
				return err
			}
			return s.trustRoots(ctx, tx, actor, organization, authorities)
		})
		if err != nil {
			return nil, err
		}
		// Before those of the file: what was found about others has been taken back.
		if err := s.JudgeChains(ctx, organization); err != nil {
			return nil, err
		}
	}
	for part := range slices.Chunk(people, peopleAtOnce) {
		var done []Imported
		var refusals []error
		read := make([]store.ForeignCertificate, len(part))
		judge := func(trusted *trustees) (err error) {
			if refusals, err = s.refusals(ctx, organization, part); err != nil {
				return err
			}
			for i, c := range part {
				if refusals[i] != nil {
					continue
				}
				read[i] = store.ForeignCertificate{DER: c.Raw, Chain: above(c, authorities)}
				read[i].ForeignTrust = trusted.judge(read[i])
			}
			return nil
		}
		err := s.judging(ctx, organization, judge, func(tx *store.Tx) error {
			done = nil
			if _, err := s.desk(tx, organization); err != nil {
				return err
			}
			for i, c := range part {
				held, err := Held{}, refusals[i]
				if err == nil {
					held, err = s.importOne(ctx, tx, actor, organization, c, read[i])
				}
				if err != nil && !errors.Is(err, ErrInput) {
					return err
				}
				done = append(done, Imported{held, c.Subject.String(), err})
			}
			return nil
		})
		if err != nil {
			return list, err
		}
		list = append(list, done...)
	}
	return list, nil
}

// refusals says of each certificate why it cannot be taken in, where that is so
// wherever its chain leads: a file may hold thousands that are nobody's here, and
// to verify a chain takes long.
func (s *Service) refusals(ctx context.Context, organization string, list []*cert.Certificate) (refusals []error, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		refusals = make([]error, len(list))
		if _, err := s.desk(tx, organization); err != nil {
			return err
		}
		for i, c := range list {
			if refusals[i] = s.refusal(tx, organization, c); refusals[i] != nil && !errors.Is(refusals[i], ErrInput) {
				return refusals[i]
			}
		}
		return nil
	})
	return refusals, err
}

func (s *Service) refusal(tx *store.Tx, organization string, c *cert.Certificate) error {
	if _, err := s.ownerOf(tx, organization, c); err != nil {
		return err
	}
	sum := sha256.Sum256(c.Raw)
	have, err := tx.ForeignCertificateBySHA256(organization, sum[:])
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err == nil && have.Trust != "":
		return wrong("certificate", "input.certificate.twice", have.Issuer)
	}
	return err
}

// ownerOf finds who of an organization has the mailboxes of a usable certificate.
func (s *Service) ownerOf(tx *store.Tx, organization string, c *cert.Certificate) (person string, err error) {
	if err := s.usable(c); err != nil {
		return "", err
	}
	names, err := mailboxesOf(c)
	if err != nil {
		return "", err
	}
	for _, m := range names {
		who, err := tx.MemberByMailbox(organization, m.Key())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		if person != "" && person != who {
			return "", wrong("certificate", "input.certificate.people")
		}
		person = who
	}
	if person == "" {
		return "", wrong("certificate", "input.certificate.nobody")
	}
	return person, nil
}

// importOne takes in a certificate whose chain was read and judged. Whose it is is
// asked again: that may have changed meanwhile.
func (s *Service) importOne(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, c *cert.Certificate, read store.ForeignCertificate) (held Held, err error) {
	person, err := s.ownerOf(tx, organization, c)
	if err != nil {
		return held, err
	}
	f, err := s.foreign(c, read.Chain, actor, organization, person)
	if err != nil {
		return held, err
	}
	f.ForeignTrust = read.ForeignTrust
	if f.ID, err = s.keepForeign(ctx, tx, actor, f); err != nil {
		return held, err
	}
	h, err := tx.Holding(organization, f.ID)
	return heldOf(h), err
}

// keepForeign writes a new one, or the chain that was missing to one that is here.
func (s *Service) keepForeign(ctx context.Context, tx *store.Tx, actor auth.Actor, f store.ForeignCertificate) (id string, err error) {
	have, err := tx.ForeignCertificateBySHA256(f.OrganizationID, f.SHA256)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return f.ID, s.insertForeign(ctx, tx, actor, f)
	case err != nil:
		return "", err
	case have.Trust != "" || f.Trust == "":
		return "", wrong("certificate", "input.certificate.twice", f.Issuer)
	}
	if err := tx.CompleteForeign(have.ID, f.Chain, f.ForeignTrust); err != nil {
		return "", err
	}
	have.ForeignTrust = f.ForeignTrust
	return have.ID, s.actForeign(ctx, tx, actor, have)
}

// Certificate returns a certificate of an organization or, when a person is
// signed in, one of theirs, with those above it.
func (s *Service) Certificate(ctx context.Context, actor auth.Actor, organization, id string) (c *cert.Certificate, chain []*cert.Certificate, err error) {
	var der, above []byte
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		der, above, err = s.certificate(tx, actor, organization, id)
		return hidden(err)
	})
	if err != nil {
		return nil, nil, err
	}
	if c, err = cert.Parse(der); err != nil {
		return nil, nil, err
	}
	if above == nil {
		chain, _, err = s.o.Issuer.Above(c)
		return c, chain, err
	}
	if len(above) > 0 {
		chain, err = cert.ParseAll(above)
	}
	return c, chain, err
}

// certificate reads the octets; above is nil for one of our own.
func (s *Service) certificate(tx *store.Tx, actor auth.Actor, organization, id string) (der, above []byte, err error) {
	if actor.Kind == auth.KindPerson && actor.ID != "" {
		mine, err := tx.PersonHoldings(actor.ID)
		if err != nil {
			return nil, nil, err
		}
		i := slices.IndexFunc(mine, func(h store.Holding) bool { return h.ID == id })
		if i < 0 {
			return nil, nil, ErrForbidden
		}
		organization = mine[i].OrganizationID
		if mine[i].AuthorityID != "" {
			der, err = tx.CertificateDER(id)
			return der, nil, err
		}
	} else if !reads(actor, organization) {
		return nil, nil, ErrForbidden
	}
	h, err := tx.Holding(organization, id)
	if err != nil {
		return nil, nil, err
	}
	if h.AuthorityID != "" {
		der, err = tx.CertificateDER(id)
		return der, nil, err
	}
	f, err := tx.ForeignCertificate(organization, id)
	return f.DER, append([]byte{}, f.Chain...), err
}
