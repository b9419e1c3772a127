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
