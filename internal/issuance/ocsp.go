package issuance

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// Responder signs OCSP responses (RFC 6960 §4.2) about one authority's
// certificates, with a key that the authority certified for that alone.
type Responder struct {
	signer
	certificate *cert.Certificate
	id          []byte // byKey
}

// NewResponder joins a delegated responder's certificate with its key. RFC 6960
// §4.2.2.2: it was issued by the authority itself and names id-kp-OCSPSigning;
// S/MIME BR §4.9.9: it has id-pkix-ocsp-nocheck.
func NewResponder(authority, c *cert.Certificate, key crypto.Signer) (*Responder, error) {
	s, err := newSigner(key)
	if err != nil {
		return nil, fmt.Errorf("OCSP responder: %w", err)
	}
	spki, err := encodeKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("OCSP responder: %w", err)
	}
	_, noCheck := c.Extension(oid.ExtOCSPNoCheck)
	switch {
	case !bytes.Equal(spki, c.RawSPKI):
		return nil, errors.New("OCSP responder: the private key is not that of the certificate")
	case !bytes.Equal(c.RawIssuer, authority.RawSubject):
		return nil, errors.New("OCSP responder: the authority did not issue its certificate")
	case !slices.Equal(c.ExtKeyUsage, []oid.OID{oid.OCSPSigning}) || !noCheck || !c.Allows(cert.KeyUsageDigitalSignature) || len(c.Defects) > 0:
		return nil, errors.New("OCSP responder: the certificate is not one for signing OCSP responses alone")
	}
	if err := c.CheckSignatureFrom(authority); err != nil {
		return nil, fmt.Errorf("OCSP responder: %w", err)
	}
	hash, err := c.KeyHash()
	if err != nil {
		return nil, fmt.Errorf("OCSP responder: %w", err)
	}
	return &Responder{s, c, hash}, nil
}

// Certificate returns the responder's certificate.
func (r *Responder) Certificate() *cert.Certificate { return r.certificate }

// Standing is what a responder says about one certificate.
type Standing struct {
	CertID    cert.CertID // as it was asked for: clients compare octets
	Status    cert.OCSPCertStatus
	RevokedAt time.Time   // when it is OCSPRevoked
	Reason    cert.Reason // likewise; Unspecified is not written
}

// Answers is what a response says.
type Answers struct {
	Standings              []Standing
	Produced               time.Time
	ThisUpdate, NextUpdate time.Time
	Nonce                  []byte // of the request; nil for none
}

// Respond signs a response. The certificate goes along: whoever asks has only
// the authority's.
func (r *Responder) Respond(a Answers) ([]byte, error) {
	switch {
	case len(a.Standings) == 0 || len(a.Standings) > cert.MaxOCSPRequests:
		return nil, fmt.Errorf("sign OCSP response: %d answers, 1 to %d are possible", len(a.Standings), cert.MaxOCSPRequests)
	case !a.NextUpdate.After(a.ThisUpdate):
		return nil, errors.New("sign OCSP response: nextUpdate is not after thisUpdate")
	case len(a.Nonce) > cert.MaxNonce:
		return nil, fmt.Errorf("sign OCSP response: nonce of %d octets, more than %d (RFC 9654 §2.1)", len(a.Nonce), cert.MaxNonce)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { r.addResponseData(b, a) })
	tbs, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("sign OCSP response: %w", err)
	}
	sig, err := r.signature(tbs)
	if err != nil {
		return nil, fmt.Errorf("sign OCSP response: %w", err)
	}
	return ocspResponse(func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		r.scheme.Algorithm.Add(b)
		b.AddASN1BitString(sig)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(r.certificate.Raw) })
		})
	})
}

func (r *Responder) addResponseData(b *cryptobyte.Builder, a Answers) {
	b.AddASN1(contextTag(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(r.id) }) // byKey
	b.AddASN1GeneralizedTime(a.Produced.UTC())
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, s := range a.Standings {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addCertID(b, s.CertID)
				s.addStatus(b)
				b.AddASN1GeneralizedTime(a.ThisUpdate.UTC())
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(a.NextUpdate.UTC()) })
			})
		}
	})
	if a.Nonce != nil {
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
			addExtensions(b, []extension{{oid.OCSPNonce, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(a.Nonce) }}})
		})
	}
}

func addCertID(b *cryptobyte.Builder, id cert.CertID) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		id.HashAlgorithm.Add(b)
		b.AddASN1OctetString(id.IssuerNameHash)
		b.AddASN1OctetString(id.IssuerKeyHash)
		b.AddASN1BigInt(id.Serial)
	})
}

// addStatus writes CertStatus. The reason stands here and never in
// singleExtensions (S/MIME BR §7.3.2).
func (s Standing) addStatus(b *cryptobyte.Builder) {
	switch s.Status {
	case cert.OCSPRevoked:
		if !ReasonAllowed(s.Reason) {
			b.SetError(fmt.Errorf("reason %d is not one of ours", int(s.Reason)))
			return
		}
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(s.RevokedAt.UTC())
			if s.Reason != cert.Unspecified {
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
			}
		})
	case cert.OCSPGood, cert.OCSPUnknown:
		b.AddASN1(contextPrimitive(uint8(s.Status)), func(*cryptobyte.Builder) {}) // NULL, IMPLICIT
	default:
		b.SetError(fmt.Errorf("no certificate has status %d", int(s.Status)))
	}
}

func ocspResponse(basic func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(cert.OCSPSuccessful))
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, oid.BasicOCSPResponse)
				b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, basic) })
			})
		})
	})
	return b.Bytes()
}

// OCSPError is a response that says only why there is no answer; nobody signs
// it (RFC 6960 §2.3).
func OCSPError(status cert.OCSPStatus) []byte {
	return []byte{byte(asn1.SEQUENCE), 3, byte(asn1.ENUM), 1, byte(status)}
}
