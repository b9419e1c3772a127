package authority

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
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
func (k maker) issuing(above *issuance.Issuer, key crypto.PublicKey, s issuance.Subject, domains []string) (*cert.Certificate, error) {
	serial, err := newSerial(k.o.Rand)
	if err != nil {
		return nil, err
	}
	end := k.now.AddDate(issuingYears, 0, 0)
	if last := above.Certificate().NotAfter; end.After(last) {
		end = last
	}
	return above.IssueAuthority(issuance.AuthorityRequest{
		Subject: s, Key: key, Serial: serial, Domains: domains,
		NotBefore: k.now.Add(-backdate), NotAfter: end,
	})
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

// keep stores the key of an authority. The name of the key is new each time, so
// that what was interrupted is in nobody's way.
func (k maker) keep(row store.Authority, key crypto.Signer) (uri string, err error) {
	return k.o.Keys.Create(row.Name+"-"+row.ID[:8], key)
}
