package testca

import (
	"bytes"
	"crypto"
	"crypto/rand"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Edit replaces octets in the signed part of a certificate that a issued, and
// signs it anew: for what crypto/x509 does not make. Both strings must be of
// one length and old must occur.
func (a *Authority) Edit(c *cert.Certificate, old, with string) *cert.Certificate {
	a.t.Helper()
	if len(old) != len(with) || !bytes.Contains(c.RawTBS, []byte(old)) {
		a.t.Fatalf("testca: cannot replace %x by %x", old, with)
	}
	edited, err := cert.Parse(a.Sign(bytes.ReplaceAll(c.RawTBS, []byte(old), []byte(with)), c.SignatureAlgorithm))
	if err != nil {
		a.t.Fatalf("testca: edited certificate: %v", err)
	}
	return edited
}

// Rekey replaces the public key of a certificate that a issued, and signs it
// anew.
func (a *Authority) Rekey(c *cert.Certificate, key crypto.PublicKey) *cert.Certificate {
	a.t.Helper()
	spki, err := cert.MarshalPublicKey(key)
	if err != nil {
		a.t.Fatalf("testca: %v", err)
	}
	return a.ReplaceKey(c, spki)
}

// ReplaceKey is Rekey with a SubjectPublicKeyInfo, whatever it says.
func (a *Authority) ReplaceKey(c *cert.Certificate, spki []byte) *cert.Certificate {
	a.t.Helper()
	before, after, found := bytes.Cut(c.RawTBS, c.RawSPKI)
	in := cryptobyte.String(before)
	var tag asn1.Tag
	var length cryptobyte.String // of the whole; the key has another
	if whole := cryptobyte.String(c.RawTBS); !found || !whole.ReadAnyASN1(&length, &tag) {
		a.t.Fatal("testca: no key to replace")
	}
	in.Skip(len(c.RawTBS) - len(length))
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(in)
		b.AddBytes(spki)
		b.AddBytes(after)
	})
	rekeyed, err := cert.Parse(a.Sign(b.BytesOrPanic(), c.SignatureAlgorithm))
	if err != nil {
		a.t.Fatalf("testca: rekeyed certificate: %v", err)
	}
	return rekeyed
}

// Sign signs a body (tbsCertificate, tbsCertList) with the authority's key and
// returns the whole structure.
func (a *Authority) Sign(tbs []byte, alg oid.AlgorithmIdentifier) []byte {
	a.t.Helper()
	scheme, err := signature.Read(alg, oid.AlgorithmIdentifier{})
	if err != nil {
		a.t.Fatalf("testca: %v", err)
	}
	sig, err := scheme.Sign(rand.Reader, a.Key, tbs)
	if err != nil {
		a.t.Fatalf("testca: %v", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		alg.Add(b)
		b.AddASN1BitString(sig)
	})
	return b.BytesOrPanic()
}

// TBS is the content of a TBSCertificate, each field in DER; what is nil is left out (RFC 5280 §4.1).
type TBS struct {
	Version, Serial, Signature, Issuer, Validity, Subject, SPKI []byte
	Extensions                                                  [][]byte // each an Extension; none leaves the field out
}

// Rebuild takes a certificate that a issued to pieces, changes them and signs it anew: for what no certificate should be.
func (a *Authority) Rebuild(c *cert.Certificate, change func(*TBS)) *cert.Certificate {
	a.t.Helper()
	var f TBS
	var body, inner cryptobyte.String
	var extensions cryptobyte.String
	in := cryptobyte.String(c.RawTBS)
	fields := []*[]byte{&f.Version, &f.Serial, &f.Signature, &f.Issuer, &f.Validity, &f.Subject, &f.SPKI}
	ok := in.ReadASN1(&body, asn1.SEQUENCE)
	for _, field := range fields {
		var element cryptobyte.String
		var tag asn1.Tag
		ok = ok && body.ReadAnyASN1Element(&element, &tag)
		*field = element
	}
	ok = ok && body.ReadASN1(&inner, asn1.Tag(3).ContextSpecific().Constructed()) && inner.ReadASN1(&extensions, asn1.SEQUENCE)
	for ok && !extensions.Empty() {
		var e cryptobyte.String
		ok = extensions.ReadASN1Element(&e, asn1.SEQUENCE)
		f.Extensions = append(f.Extensions, e)
	}
	if !ok {
		a.t.Fatal("testca: cannot take the certificate to pieces")
	}
	change(&f)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, field := range fields {
			b.AddBytes(*field)
		}
		if len(f.Extensions) == 0 {
			return
		}
		b.AddASN1(asn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, e := range f.Extensions {
					b.AddBytes(e)
				}
			})
		})
	})
	rebuilt, err := cert.Parse(a.Sign(b.BytesOrPanic(), c.SignatureAlgorithm))
	if err != nil {
		a.t.Fatalf("testca: rebuilt certificate: %v", err)
	}
	return rebuilt
}

// With is a with another certificate for its key.
func (a *Authority) With(c *cert.Certificate) *Authority {
	other := *a
	other.Certificate, other.Chain = c, append([]*cert.Certificate{c}, a.Chain[min(1, len(a.Chain)):]...)
	return &other
}
