package testca

import (
	"bytes"
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
