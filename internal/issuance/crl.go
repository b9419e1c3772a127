package issuance

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// ReasonAllowed tells whether a list of ours may name the reason (RFC 5280
// §5.3.1): removeFromCRL belongs to delta lists, aACompromise to attribute
// certificates. S/MIME BR §7.2.2 leave certificateHold to multipurpose ones.
func ReasonAllowed(r cert.Reason) bool {
	return r >= cert.Unspecified && r <= cert.CertificateHold || r == cert.PrivilegeWithdrawn
}

// Revoked is one entry of a CRL.
type Revoked struct {
	Serial *big.Int
	At     time.Time
	Reason cert.Reason // Unspecified is not written: the extension is left out
}

// RevocationList is what a full CRL says.
type RevocationList struct {
	Number                 int64 // higher than any before
	ThisUpdate, NextUpdate time.Time
	Revoked                []Revoked
}

// CRL signs a full CRL, version 2 (RFC 5280 §5).
func (is *Issuer) CRL(l RevocationList) ([]byte, error) {
	switch {
	case l.Number < 1:
		return nil, errors.New("sign CRL: a number starts at 1")
	case !l.NextUpdate.After(l.ThisUpdate):
		return nil, errors.New("sign CRL: nextUpdate is not after thisUpdate")
	case !is.certificate.Allows(cert.KeyUsageCRLSign):
		return nil, errors.New("sign CRL: the authority's certificate does not allow it")
	}
	tbs, err := is.tbsCertList(l)
	if err != nil {
		return nil, fmt.Errorf("sign CRL: %w", err)
	}
	der, err := is.signDER(tbs)
	if err != nil {
		return nil, fmt.Errorf("sign CRL: %w", err)
	}
	return der, nil
}

func (is *Issuer) tbsCertList(l RevocationList) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1) // version 2
		is.scheme.Algorithm.Add(b)
		b.AddBytes(is.certificate.RawSubject)
		addTime(b, l.ThisUpdate)
		addTime(b, l.NextUpdate)
		if len(l.Revoked) > 0 { // absent when empty (RFC 5280 §5.1.2.6)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, r := range l.Revoked {
					addRevoked(b, r)
				}
			})
		}
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			addExtensions(b, []extension{authorityKeyID(is.certificate.SubjectKeyID), crlNumber(l.Number)})
		})
	})
	return b.Bytes()
}

func addRevoked(b *cryptobyte.Builder, r Revoked) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if r.Serial == nil || !ReasonAllowed(r.Reason) {
			b.SetError(errors.New("entry without a serial number or with an unknown reason"))
			return
		}
		b.AddASN1BigInt(r.Serial)
		addTime(b, r.At)
		if r.Reason == cert.Unspecified {
			return
		}
		addExtensions(b, []extension{{oid.ExtReasonCode, false, func(b *cryptobyte.Builder) {
			b.AddASN1Enum(int64(r.Reason))
		}}})
	})
}

func crlNumber(n int64) extension {
	return extension{oid.ExtCRLNumber, false, func(b *cryptobyte.Builder) { b.AddASN1Int64(n) }}
}
