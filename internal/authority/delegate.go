package authority

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// service is what an authority certifies a key of its own for.
type service struct {
	purpose string // in rows
	kind    issuance.Type
	title   string // at the end of the common name
	days    int    // the certificate is valid
	renew   int    // days before its end another one takes its place
}

var (
	// ocspService: short lives, because nobody can ask whether the certificate
	// was revoked (RFC 6960 §4.2.2.2.1).
	ocspService = service{"ocsp", issuance.OCSPSigner, "OCSP", 30, 10}
	// timestampService: what was stamped on the last day can be checked against
	// the certificate for as long as that is valid.
	timestampService = service{"timestamp", issuance.TimestampSigner, "Timestamps", 800, 400}
)

// delegate is a key that signs for an authority, with its certificate.
type delegate struct {
	certificate *cert.Certificate
	key         crypto.Signer
}

// delegate returns a key that is certified for the service and will be for a
// while: one of this node's, or a new one. A key that another node keeps in its
// own folder cannot be opened here and is passed over.
func (a *Authority) delegate(ctx context.Context, m *Member, s service) (*delegate, error) {
	if m.Offline() {
		return nil, fmt.Errorf("%w: %s", ErrOffline, m.name)
	}
	var rows []store.Delegate
	err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.Delegates(m.id, s.purpose, a.now().AddDate(0, 0, a.renewal(m, s)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s key of %s: %w", s.purpose, m.name, err)
	}
	for _, row := range rows {
		key, err := a.o.Keys.Signer(row.KeyURI)
		if err != nil {
			a.o.Log.Debug("key is not here", "purpose", s.purpose, "authority", m.name, "error", err)
			continue
		}
		c, err := cert.Parse(row.Certificate)
		if err != nil {
			return nil, fmt.Errorf("%s key of %s: %w", s.purpose, m.name, err)
		}
		return &delegate{c, key}, nil
	}
	d, err := a.newDelegate(ctx, m, s)
	if err != nil {
		return nil, fmt.Errorf("%s key of %s: %w", s.purpose, m.name, err)
	}
	return d, nil
}

// days that a new certificate of the service is valid: nothing outlives the
// authority.
func (a *Authority) days(m *Member, s service) int {
	left := int(m.certificate.NotAfter.Sub(a.now()) / (24 * time.Hour))
	return max(min(s.days, left), 1)
}

// renewal is how many days before its end a certificate is replaced. At the end
// of the authority's own life there is nothing to replace it with.
func (a *Authority) renewal(m *Member, s service) int {
	if a.days(m, s) < s.days {
		return 0
	}
	return s.renew
}

// newDelegate makes a key and certifies it, in the same durable steps as for
// subscribers. What is interrupted is refused by Recover, and the key that
// nothing names is never used.
func (a *Authority) newDelegate(ctx context.Context, m *Member, s service) (*delegate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := newID(a.o.Rand)
	if err != nil {
		return nil, err
	}
	uri, err := a.o.Keys.Create(s.purpose+"-"+id[:16], key)
	if err != nil {
		return nil, err
	}
	profile, err := issuance.NewProfile(issuance.ProfileConfig{
		Name: s.purpose, Type: s.kind, ValidityDays: a.days(m, s), KeyUse: issuance.Signing,
	})
	if err != nil {
		return nil, err
	}
	c, err := a.certify(ctx, m, profile, s.subject(m.certificate), key.Public(), func(tx *store.Tx, c *cert.Certificate) error {
		return tx.InsertDelegate(store.Delegate{
			ID: id, AuthorityID: m.id, Purpose: s.purpose, KeyURI: uri, Certificate: c.Raw, NotAfter: c.NotAfter, Created: a.now(),
		})
	})
	if err != nil {
		return nil, err
	}
	a.o.Log.Info("key certified", "purpose", s.purpose, "authority", m.name, "serial", c.SerialHex(), "until", c.NotAfter)
	return &delegate{c, key}, nil
}

// certify issues the certificate of a service; stored is the last step's
// transaction.
func (a *Authority) certify(ctx context.Context, m *Member, p *issuance.Profile, name issuance.Subject, key crypto.PublicKey,
	stored func(*store.Tx, *cert.Certificate) error) (*cert.Certificate, error) {
	keyHash, err := issuance.KeyHash(key)
	if err != nil {
		return nil, err
	}
	row, prepared, err := a.draw(ctx, m, p, store.Certificate{AuthorityID: m.id, KeyHash: keyHash}, issuance.Request{
		Key: key, Names: issuance.Names{Service: &name}, NotBefore: a.notBefore(m),
	})
	if err != nil {
		return nil, err
	}
	c, err := m.issuer.Issue(prepared)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(c.Raw)
	return c, a.o.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := tx.IssueCertificate(row.ID, c.Raw, sum[:], c.NotAfter, a.now(), time.Time{}); err != nil {
			return err
		}
		if err := stored(tx, c); err != nil {
			return err
		}
		return errors.Join(
			a.record(ctx, tx, audit.Issued(row, sum[:])),
			a.record(ctx, tx, audit.Entry{Act: audit.ActSigner, Object: m.id, Details: map[string]string{
				"for": p.Name(), "serial": c.SerialHex(),
			}}))
	})
}

// notBefore lies back for clocks that run slow, but not before the authority.
func (a *Authority) notBefore(m *Member) time.Time {
	at := a.now().Add(-backdate)
	if first := m.certificate.NotBefore; at.Before(first) {
		return first
	}
	return at
}

// maxCommonName is ub-common-name of RFC 5280 §A.1, in characters.
const maxCommonName = 64

// subject is the authority's, with what the key is for behind the name.
func (s service) subject(authority *cert.Certificate) issuance.Subject {
	common := one(authority, oid.CommonName)
	for utf8.RuneCountInString(common+" "+s.title) > maxCommonName {
		_, size := utf8.DecodeLastRuneInString(common)
		common = common[:len(common)-size]
	}
	return issuance.Subject{
		Country: one(authority, oid.Country), Organization: one(authority, oid.Organization), CommonName: common + " " + s.title,
	}
}

// one is the first value of an attribute of the subject; authorities have one
// each.
func one(c *cert.Certificate, attribute oid.OID) string {
	for _, value := range c.Subject.Get(attribute) {
		return value
	}
	return ""
}
