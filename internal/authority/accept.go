package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// Request is a key of an issuing authority that waits for its certificate.
type Request struct {
	Name    string // that it will have in addresses
	Domains []string
	KeyURI  string
	DER     []byte
}

// Requests lists those that wait.
func Requests(ctx context.Context, db *store.DB) (list []Request, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.AuthorityRequests()
		for _, r := range rows {
			list = append(list, Request{r.Name, r.Domains, r.KeyURI, r.Request})
		}
		return err
	})
	return list, err
}

// Accepted says what [Accept] took something for.
type Accepted struct {
	Kind        string // root, issuing, cross, crl
	Name        string // of the authority that it is for, or that made the list
	Certificate *cert.Certificate
	CRL         *cert.CRL
}

// Accept takes in what was made where a root's key is: certificates of issuing
// authorities that wait for them, a new root with its cross certificates, and
// lists. All or nothing is taken. Everything must be signed by a root that is
// known here: a new root by its predecessor, in a cross certificate.
func Accept(ctx context.Context, o Options, certificates []*cert.Certificate, lists []*cert.CRL) ([]Accepted, error) {
	o.Keys = nil // nothing is signed
	a, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	var t *taking
	err = a.change(ctx, a.maker(), func(r record) (err error) {
		if t != nil { // the database asks for it once more, and roots were added to a
			if a, err = Open(ctx, o); err != nil {
				return err
			}
		}
		t = &taking{a: a, k: r.k}
		for _, step := range []func(record, []*cert.Certificate) error{t.roots, t.issuing, t.cross} {
			if err := step(r, certificates); err != nil {
				return err
			}
		}
		for _, c := range certificates {
			if !t.took(c) {
				return fmt.Errorf("%s (serial %s) is for no key that waits here, and between no two roots that are known", c.Subject, c.SerialHex())
			}
		}
		return t.lists(r, lists)
	})
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	return t.accepted, nil
}

// taking is one call of Accept. members grows while roots are taken.
type taking struct {
	a        *Authority
	k        maker
	accepted []Accepted
}

func (t *taking) took(c *cert.Certificate) bool {
	for _, done := range t.accepted {
		if done.Certificate != nil && done.Certificate.Equal(c) {
			return true
		}
	}
	return false
}

// signer returns the known root that signed the certificate; nil: none.
func (t *taking) signer(c *cert.Certificate) *Member {
	for _, m := range t.a.all() {
		if m.Root() && issued(m.certificate, c) && c.CheckSignatureFrom(m.certificate) == nil {
			return m
		}
	}
	return nil
}

// roots takes new roots. The one before it must have certified its key: whoever
// brings the files cannot bring a root of their own.
func (t *taking) roots(r record, certificates []*cert.Certificate) error {
	for _, c := range certificates {
		if !c.SelfIssued() || t.known(c) {
			continue
		}
		old := t.a.active(kindRoot)
		if old == nil || !t.certifiedBy(old, c, certificates) {
			return fmt.Errorf("%s is a new root, and the active root's cross certificate for it is not among the files", c.Subject)
		}
		if err := c.CheckSignatureFrom(c); err != nil {
			return err
		}
		row, err := t.k.row(generation{old.row.Line, old.row.Generation + 1}, kindRoot, "", c)
		if err != nil {
			return err
		}
		row.Domains = issuance.PermittedDomains(c)
		if err := r.install(row); err != nil {
			return err
		}
		old.row.State = "retired"
		made := &Member{id: row.ID, name: row.Name, row: row, certificate: c}
		made.row.State = stateActive
		t.a.state().members = append(t.a.all(), made)
		t.accepted = append(t.accepted, Accepted{Kind: kindRoot, Name: row.Name, Certificate: c})
	}
	return nil
}

func (t *taking) known(c *cert.Certificate) bool {
	_, err := t.a.find(func(m *Member) bool { return m.certificate.Equal(c) })
	return err == nil
}

// certifiedBy tells whether old's cross certificate for the key and the name of
// root is among the certificates.
func (t *taking) certifiedBy(old *Member, root *cert.Certificate, certificates []*cert.Certificate) bool {
	for _, c := range certificates {
		if !c.SelfIssued() && bytes.Equal(c.RawSPKI, root.RawSPKI) && bytes.Equal(c.RawSubject, root.RawSubject) && t.signer(c) == old {
			return true
		}
	}
	return false
}

// issuing takes certificates for the keys that wait. What was certified must be
// what was asked for.
func (t *taking) issuing(w record, certificates []*cert.Certificate) error {
	requests, err := w.tx.AuthorityRequests()
	if err != nil {
		return err
	}
	for _, r := range requests {
		request, err := cert.ParseRequest(r.Request)
		if err != nil {
			return err
		}
		for _, c := range certificates {
			if !bytes.Equal(c.RawSPKI, request.RawSPKI) {
				continue
			}
			if err := t.install(w, r, request, c); err != nil {
				return fmt.Errorf("certificate of %s: %w", r.Name, err)
			}
			break
		}
	}
	return nil
}

func (t *taking) install(w record, r store.AuthorityRequest, request *cert.Request, c *cert.Certificate) error {
	root := t.signer(c)
	switch now := t.k.now; {
	case root == nil:
		return errors.New("no root that is known here signed it")
	case !bytes.Equal(c.RawSubject, request.RawSubject):
		return fmt.Errorf("it is for %s, which is not what was asked for", c.Subject)
	case !sameConstraints(request, c):
		return errors.New("its name constraints are not those that were asked for")
	case slices.Contains(c.ExtKeyUsage, oid.TimeStamping) != slices.Contains(r.Types, string(issuance.TimestampSigner)):
		return errors.New("its key purposes are not those that were asked for")
	case !c.BasicConstraints.CA || !c.Allows(cert.KeyUsageCertSign) || !c.Allows(cert.KeyUsageCRLSign) || len(c.SubjectKeyID) == 0 || len(c.Defects) > 0:
		return errors.New("it is not an authority's")
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return errors.New("it is not valid now")
	}
	row := store.Authority{
		ID: r.ID, Name: r.Name, Line: r.Line, Generation: r.Generation, Kind: kindIssuing, ParentID: root.id, KeyURI: r.KeyURI,
		Certificate: c.Raw, Domains: r.Domains, Types: r.Types, Partitions: r.Partitions, Created: t.k.now,
	}
	certified, err := t.k.certified(root.id, certifiedAuthority, c)
	if err != nil {
		return err
	}
	if err := errors.Join(w.install(row), w.certified(certified)); err != nil {
		return err
	}
	t.accepted = append(t.accepted, Accepted{Kind: kindIssuing, Name: r.Name, Certificate: c})
	return w.tx.DeleteAuthorityRequest(r.ID)
}

func sameConstraints(request *cert.Request, c *cert.Certificate) bool {
	nc, ok := c.Extension(oid.ExtNameConstraints)
	for _, e := range request.Extensions {
		if e.ID == oid.ExtNameConstraints {
			return ok && nc.Critical == e.Critical && bytes.Equal(nc.Value, e.Value)
		}
	}
	return !ok
}

// cross takes certificates of one known root for another.
func (t *taking) cross(r record, certificates []*cert.Certificate) error {
	for _, c := range certificates {
		if c.SelfIssued() || t.took(c) {
			continue
		}
		by := t.signer(c)
		of, err := t.a.find(func(m *Member) bool { return m.Root() && crossOf(c, m.certificate) })
		if by == nil || err != nil {
			continue
		}
		row, err := t.k.certified(by.id, certifiedCross, c)
		if err != nil {
			return err
		}
		if err := r.certified(row); err != nil {
			return fmt.Errorf("cross certificate of %s by %s: %w", of.name, by.name, err)
		}
		t.accepted = append(t.accepted, Accepted{Kind: certifiedCross, Name: crossName(of, by), Certificate: c})
	}
	return nil
}

// crossOf tells whether c is for the key and the name of root.
func crossOf(c, root *cert.Certificate) bool {
	return bytes.Equal(c.RawSPKI, root.RawSPKI) && bytes.Equal(c.RawSubject, root.RawSubject)
}

// crossName is the name of a cross certificate in addresses.
func crossName(of, by *Member) string { return of.name + "-by-" + by.name }

// lists takes full lists of the roots that are elsewhere, newer than the last.
func (t *taking) lists(r record, lists []*cert.CRL) error {
	for _, l := range lists {
		m, err := t.a.find(func(m *Member) bool {
			return m.Root() && bytes.Equal(l.RawIssuer, m.certificate.RawSubject) && bytes.Equal(l.AuthorityKeyID, m.certificate.SubjectKeyID)
		})
		if err != nil {
			return fmt.Errorf("no root that is known here made the list of %s", l.Issuer)
		}
		if err := t.checkList(m, l); err != nil {
			return fmt.Errorf("list of %s: %w", m.name, err)
		}
		number := l.Number.Int64()
		err = r.tx.AdoptCRLNumber(m.id, number)
		if errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("list of %s: number %d is not above that of the last one", m.name, number)
		}
		if err != nil {
			return err
		}
		row := store.CRL{AuthorityID: m.id, Number: number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, DER: l.Raw}
		if err := r.tx.InsertCRL(row); err != nil {
			return err
		}
		if err := r.append(store.ActCRL, m.id, crlDetails(row)); err != nil {
			return err
		}
		t.accepted = append(t.accepted, Accepted{Kind: "crl", Name: m.name, CRL: l})
	}
	return nil
}

func (t *taking) checkList(m *Member, l *cert.CRL) error {
	switch {
	case m.row.KeyURI != "":
		return errors.New("its key is here: lists are made here")
	case l.Number == nil || !l.Number.IsInt64() || l.BaseNumber != nil || l.IssuingDistributionPoint != nil || len(l.Defects) > 0:
		return errors.New("it is not a full list with a number")
	case !t.k.now.Before(l.NextUpdate):
		return errors.New("it is too old")
	}
	return l.CheckSignatureFrom(m.certificate)
}
