package testca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Answer is what a response says about one certificate: good, for a day around
// Now, unless something else is set.
type Answer struct {
	About, Issuer *cert.Certificate
	Hash          crypto.Hash // of the CertID; SHA-1 when 0
	Status        cert.OCSPCertStatus
	RevokedAt     time.Time // a day before Now when zero
	Reason        cert.Reason
	This, Next    time.Time
	NoNext        bool
	Extensions    []cert.Extension
}

// Response is an OCSP response that an authority or a leaf signs.
type Response struct {
	Answers      []Answer
	Certificates []*cert.Certificate
	ByKey        bool              // the responder names itself by its key
	Name         *cert.Certificate // whose name stands there in place of the signer's
	Produced     time.Time         // an hour before Now when zero
	Extensions   []cert.Extension
	Algorithm    oid.AlgorithmIdentifier // that of the signer's key with SHA-256 when empty
}

// OCSP signs a response with the authority's key.
func (a *Authority) OCSP(r Response) []byte {
	a.t.Helper()
	return r.sign(a.t, a.Certificate, a.Key)
}

// OCSP signs a response with the leaf's key.
func (l *Leaf) OCSP(t testing.TB, r Response) []byte {
	t.Helper()
	return r.sign(t, l.Certificate, l.Signer())
}

// Responder issues a certificate that signs OCSP responses, trusted without a
// further question (id-pkix-ocsp-nocheck).
func (a *Authority) Responder(options ...Option) *Leaf {
	a.t.Helper()
	return a.Leaf("", P256, append([]Option{
		ExtKeyUsage(x509.ExtKeyUsageOCSPSigning), Extension(oid.ExtOCSPNoCheck, false, oid.Null),
	}, options...)...)
}

func (r *Response) sign(t testing.TB, signer *cert.Certificate, key crypto.Signer) []byte {
	t.Helper()
	alg := r.Algorithm
	if alg.Algorithm == "" {
		alg = oid.AlgorithmIdentifier{Algorithm: oid.ECDSAWithSHA256}
	}
	tbs := r.data(t, signer)
	scheme, err := signature.Read(alg, oid.AlgorithmIdentifier{})
	if err != nil {
		t.Fatalf("testca: %v", err)
	}
	sig, err := scheme.Sign(rand.Reader, key, tbs)
	if err != nil {
		t.Fatalf("testca: %v", err)
	}
	return wrapResponse(func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		alg.Add(b)
		b.AddASN1BitString(sig)
		if len(r.Certificates) > 0 {
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, c := range r.Certificates {
						b.AddBytes(c.Raw)
					}
				})
			})
		}
	})
}

// wrapResponse puts a BasicOCSPResponse into an OCSPResponse.
func wrapResponse(basic func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, oid.BasicOCSPResponse)
				b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, basic) })
			})
		})
	})
	return b.BytesOrPanic()
}

// data is ResponseData.
func (r *Response) data(t testing.TB, signer *cert.Certificate) []byte {
	t.Helper()
	name := signer
	if r.Name != nil {
		name = r.Name
	}
	produced := r.Produced
	if produced.IsZero() {
		produced = Now.Add(-time.Hour)
	}
	hash, err := name.KeyHash()
	if err != nil {
		t.Fatalf("testca: %v", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if r.ByKey {
			b.AddASN1(context(2).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(hash) })
		} else {
			b.AddASN1(context(1).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(name.RawSubject) })
		}
		b.AddASN1GeneralizedTime(produced)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for i := range r.Answers {
				r.Answers[i].add(t, b)
			}
		})
		addExtensions(b, 1, r.Extensions)
	})
	return b.BytesOrPanic()
}

func (a *Answer) add(t testing.TB, b *cryptobyte.Builder) {
	t.Helper()
	h := a.Hash
	if h == 0 {
		h = crypto.SHA1
	}
	id, err := cert.NewCertID(a.About, a.Issuer, h)
	if err != nil {
		t.Fatalf("testca: %v", err)
	}
	this, next := a.This, a.Next
	if this.IsZero() {
		this = Now.Add(-time.Hour)
	}
	if next.IsZero() {
		next = Now.Add(23 * time.Hour)
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			id.HashAlgorithm.Add(b)
			b.AddASN1OctetString(id.IssuerNameHash)
			b.AddASN1OctetString(id.IssuerKeyHash)
			b.AddASN1BigInt(id.Serial)
		})
		a.addStatus(b)
		b.AddASN1GeneralizedTime(this)
		if !a.NoNext {
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(next) })
		}
		addExtensions(b, 1, a.Extensions)
	})
}

func (a *Answer) addStatus(b *cryptobyte.Builder) {
	if a.Status != cert.OCSPRevoked {
		b.AddASN1(context(uint8(a.Status)), func(*cryptobyte.Builder) {})
		return
	}
	at := a.RevokedAt
	if at.IsZero() {
		at = Now.AddDate(0, 0, -1)
	}
	b.AddASN1(context(1).Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1GeneralizedTime(at)
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(a.Reason)) })
	})
}

func addExtensions(b *cryptobyte.Builder, tag uint8, list []cert.Extension) {
	if len(list) == 0 {
		return
	}
	b.AddASN1(context(tag).Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, e := range list {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, e.ID)
					if e.Critical {
						b.AddASN1Boolean(true)
					}
					b.AddASN1OctetString(e.Value)
				})
			}
		})
	})
}
