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

// Reason is CRLReason of RFC 5280 §5.3.1. S/MIME BR §7.2.2 allow subscribers'
// certificates these; certificateHold only for multipurpose ones.
type Reason int

// The reasons. Unspecified is never written: the extension is left out.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	PrivilegeWithdrawn   Reason = 9
)

// Valid tells whether r is one of the reasons above.
func (r Reason) Valid() bool {
	return r >= Unspecified && r <= CertificateHold || r == PrivilegeWithdrawn
}

// Revoked is one entry of a CRL.
type Revoked struct {
	Serial *big.Int
	At     time.Time
	Reason Reason
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
		if r.Serial == nil || !r.Reason.Valid() {
			b.SetError(errors.New("entry without a serial number or with an unknown reason"))
			return
		}
		b.AddASN1BigInt(r.Serial)
		addTime(b, r.At)
		if r.Reason == Unspecified {
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
