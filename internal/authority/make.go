package authority

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// Lives of authorities' certificates.
const (
	rootYears    = 20
	issuingYears = 10
)

// Kinds of certificates that authorities get from authorities.
const (
	certifiedAuthority = "authority"
	certifiedCross     = "cross"
)

// generation names one key of an authority.
type generation struct {
	line   string
	number int64
}

// name is what stands in addresses: those of the first key are the line's own.
func (g generation) name() string {
	if g.number == 1 {
		return g.line
	}
	return fmt.Sprintf("%s-%d", g.line, g.number)
}

// maker makes authorities at one moment. Nothing that it returns is stored yet.
type maker struct {
	o    Options
	base string
	now  time.Time
}

func (k maker) root(key crypto.Signer, s issuance.Subject, domains []string) (*cert.Certificate, error) {
	serial, err := newSerial(k.o.Rand)
	if err != nil {
		return nil, err
	}
	return issuance.NewRoot(key, issuance.AuthorityRequest{
		Subject: s, Serial: serial, Domains: domains,
		NotBefore: k.now.Add(-backdate), NotAfter: k.now.AddDate(rootYears, 0, 0),
	})
}

// issuing certifies an issuing authority, which ends with the one above it.
func (k maker) issuing(above *issuance.Issuer, r issuance.AuthorityRequest) (*cert.Certificate, error) {
	serial, err := newSerial(k.o.Rand)
	if err != nil {
		return nil, err
	}
	end := k.now.AddDate(issuingYears, 0, 0)
	if last := above.Certificate().NotAfter; end.After(last) {
		end = last
	}
	r.Serial, r.NotBefore, r.NotAfter = serial, k.now.Add(-backdate), end
	return above.IssueAuthority(r)
}

func (k maker) row(g generation, kind, parent string, c *cert.Certificate) (store.Authority, error) {
	id, err := newID(k.o.Rand)
	if err != nil {
		return store.Authority{}, err
	}
	return store.Authority{
		ID: id, Name: g.name(), Line: g.line, Generation: g.number, Kind: kind, ParentID: parent,
		Certificate: c.Raw, Created: k.now,
	}, nil
}

func (k maker) certified(issuerID, kind string, c *cert.Certificate) (store.AuthorityCertificate, error) {
	id, err := newID(k.o.Rand)
	if err != nil {
		return store.AuthorityCertificate{}, err
	}
	sum := sha256.Sum256(c.Raw)
	return store.AuthorityCertificate{
		ID: id, IssuerID: issuerID, Serial: c.Serial.Bytes(), Kind: kind, Certificate: c.Raw, SHA256: sum[:],
		NotAfter: c.NotAfter, Issued: k.now,
	}, nil
}

// request asks a root that is elsewhere for the certificate of an issuing
// authority, and keeps its key.
func (k maker) request(g generation, key crypto.Signer, s issuance.Subject, n NewIssuing) (store.AuthorityRequest, error) {
	id, err := newID(k.o.Rand)
	if err != nil {
		return store.AuthorityRequest{}, err
	}
	der, err := issuance.RequestAuthority(key, issuance.AuthorityRequest{Subject: s, Domains: n.Domains, Timestamps: n.timestamps()})
	if err != nil {
		return store.AuthorityRequest{}, err
	}
	uri, err := k.keep(g.name(), id, key, n.KeyURI)
	return store.AuthorityRequest{
		ID: id, Name: g.name(), Line: g.line, Generation: g.number, Domains: n.Domains, Types: n.types(),
		Partitions: n.Partitions, KeyURI: uri, Request: der, Created: k.now,
	}, err
}

// issuer joins an authority with its key and its addresses.
func (k maker) issuer(c *cert.Certificate, key crypto.Signer, name string) (*issuance.Issuer, error) {
	return issuance.NewIssuer(c, key, crlURL(k.base, name), certificateURL(k.base, name))
}

// keep stores the key of an authority, unless it is kept already, at uri. The
// name of the file is new each time, so that what was interrupted is in nobody's
// way.
func (k maker) keep(name, id string, key crypto.Signer, uri string) (string, error) {
	if uri != "" {
		return uri, nil
	}
	return k.o.Keys.Create(name+"-"+id[:8], key)
}

// newKey opens the key of a URI, or makes one that is not stored yet.
func (o Options) newKey(uri string) (key crypto.Signer, err error) {
	if uri != "" {
		key, err = o.Keys.Signer(uri)
	} else {
		key, err = o.GenerateKey()
	}
	if err != nil {
		return nil, err
	}
	return key, checkStrength(key.Public())
}

// minRSABits: S/MIME BR §6.1.5, for authorities' keys that are made since
// 2026-09-15.
const minRSABits = 4096

func checkStrength(key crypto.PublicKey) error {
	if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() < minRSABits {
		return fmt.Errorf("an authority's RSA key has at least %d bits, not %d", minRSABits, k.N.BitLen())
	}
	return nil
}

// partitions checks in how many partitions a CRL is to be published.
func partitions(n int) (int, error) {
	if n < 0 || n > issuance.MaxPartitions {
		return n, fmt.Errorf("a CRL has 1 to %d partitions, not %d", issuance.MaxPartitions, n)
	}
	return max(n, 1), nil
}

// nameOf returns country, organization and common name of an authority.
func nameOf(c *cert.Certificate) (s issuance.Subject) {
	first := func(id oid.OID) string {
		if list := c.Subject.Get(id); len(list) > 0 {
			return list[0]
		}
		return ""
	}
	return issuance.Subject{Country: first(oid.Country), Organization: first(oid.Organization), CommonName: first(oid.CommonName)}
}
