package cms

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// quick wants f to be no hang. A busy machine gets more than one chance.
func quick(t *testing.T, f func()) {
	t.Helper()
	took := time.Duration(math.MaxInt64)
	for range 3 {
		start := time.Now()
		f()
		if took = min(took, time.Since(start)); took <= slowest {
			return
		}
	}
	t.Errorf("took %v", took)
}

// signedWith makes a SignedData of these certificates and signer infos.
func signedWith(t testing.TB, content []byte, certs, infos [][]byte) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(0x30, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		b.AddASN1(0xa0, func(b *cryptobyte.Builder) {
			b.AddASN1(0x30, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(3)
				b.AddASN1(0x31, func(b *cryptobyte.Builder) { AlgorithmIdentifier{Algorithm: oid.SHA256}.Add(b) })
				b.AddASN1(0x30, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					b.AddASN1(0xa0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
				})
				addSetOf(b, context0.Constructed(), certs)
				addSetOf(b, 0x31, infos)
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Hundreds of certificates that a signer identifier fits, for dozens of
// signers: the readers must not try each for each.
func TestManyCandidates(t *testing.T) {
	ca := testca.New(t)
	shared := func(c *x509.Certificate) { c.SubjectKeyId = []byte("shared") }
	var certs [][]byte
	var leaf *testca.Leaf
	for range 900 {
		leaf = ca.Leaf("alice@example.com", testca.P256, shared)
		certs = append(certs, leaf.Certificate.Raw)
	}
	signer := &Signer{Key: ca.Leaf("mallory@example.com", testca.P256).Signer(), Certificate: leaf.Certificate}
	info := infoByKey(t, signer)
	var infos [][]byte
	for range MaxSigners {
		infos = append(infos, info)
	}
	message := signedWith(t, []byte("text"), certs, infos)
	if len(message) > 1<<20 {
		t.Fatalf("%d octets", len(message))
	}
	quick(t, func() {
		if _, _, err := verify(message, nil); !errors.Is(err, ErrSignature) {
			t.Error(err)
		}
	})
}

// infoByKey is a SignerInfo by key identifier with a signature of another key.
func infoByKey(t testing.TB, s *Signer) []byte {
	t.Helper()
	scheme, err := (&Signer{Key: s.Key, Certificate: &cert.Certificate{PublicKey: s.Key.Public()}}).scheme()
	if err != nil {
		t.Fatal(err)
	}
	var a signedAttributes
	a.add(oid.AttrContentType, func(b *cryptobyte.Builder) { oid.Add(b, oid.Data) })
	h := scheme.Hash().New()
	h.Write([]byte("text"))
	a.add(oid.AttrMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(h.Sum(nil)) })
	set := encodeSet(a.list)
	sig, err := scheme.Sign(random(nil), s.Key, set)
	if err != nil {
		t.Fatal(err)
	}
	set[0] = 0xa0
	var b cryptobyte.Builder
	b.AddASN1(0x30, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddBytes(s.Certificate.SubjectKeyID) })
		scheme.Digest.Add(b)
		b.AddBytes(set)
		scheme.Algorithm.Add(b)
		b.AddASN1OctetString(sig)
	})
	return b.BytesOrPanic()
}

// Keys that take long, for as many signers as there may be: only so many are tried.
func TestSlowKeys(t *testing.T) {
	ca := testca.New(t)
	modulus := new(big.Int).Lsh(big.NewInt(1), cert.MaxRSABits-1)
	slow := &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: cert.MaxRSAExponent}
	certificate := ca.Issuing.Rekey(ca.Leaf("alice@example.com", testca.P256, func(c *x509.Certificate) { c.SubjectKeyId = []byte("shared") }).Certificate, slow)
	info := infoByKey(t, &Signer{Key: ca.Leaf("mallory@example.com", testca.RSA2048).Signer(), Certificate: certificate})
	message := signedWith(t, []byte("text"), [][]byte{certificate.Raw}, slices.Repeat([][]byte{info}, MaxSigners))
	_, s, err := verify(message, nil)
	if err == nil {
		t.Fatal("valid")
	}
	tried := 0
	for _, r := range s.Signers() {
		if errors.Is(r.Err, ErrSignature) {
			tried++
		} else if !errors.Is(r.Err, ErrUnsupported) {
			t.Error(r.Err)
		}
	}
	if want := MaxWork / cert.Effort(slow); tried != want {
		t.Errorf("%d signatures were checked, %d are right", tried, want)
	}
}

// An issuer's name of two hundred kilobytes, and certificates with its serial number.
func TestLongName(t *testing.T) {
	ca := testca.New(t)
	serial := big.NewInt(7)
	var certs [][]byte
	for range 900 {
		certs = append(certs, ca.Leaf("", testca.P256, func(c *x509.Certificate) { c.SerialNumber, c.Subject = serial, pkix.Name{} }).Certificate.Raw)
	}
	s := signerOf(ca.Leaf("alice@example.com", testca.P256), ca)
	var name cryptobyte.Builder
	name.AddASN1(0x30, func(b *cryptobyte.Builder) {
		for range 2_500 {
			b.AddASN1(0x31, func(b *cryptobyte.Builder) {
				b.AddASN1(0x30, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.CommonName)
					b.AddASN1(0x0c, func(b *cryptobyte.Builder) { b.AddBytes([]byte(strings.Repeat("ﬀ", 20))) })
				})
			})
		}
	})
	named := *s.Certificate
	named.RawIssuer, named.Serial = name.BytesOrPanic(), serial
	message := signedWith(t, []byte("text"), certs, [][]byte{rawSigner(t, signed(t, []byte("text"), []*Signer{{Key: s.Key, Certificate: &named}}, nil))})
	if len(message) > 1<<20 {
		t.Fatalf("%d octets", len(message))
	}
	quick(t, func() {
		if _, _, err := verify(message, nil); !errors.Is(err, ErrNoCertificate) {
			t.Error(err)
		}
	})
}

// The right one of several certificates with one key identifier is found, and
// one that is there twice counts once.
func TestSharedKeyIdentifier(t *testing.T) {
	ca := testca.New(t)
	shared := func(c *x509.Certificate) { c.SubjectKeyId = []byte("shared") }
	alice, bob := ca.Leaf("alice@example.com", testca.P256, shared), ca.Leaf("bob@example.com", testca.P256, shared)
	message := signedWith(t, []byte("text"), [][]byte{alice.Certificate.Raw, bob.Certificate.Raw}, [][]byte{infoByKey(t, &Signer{Key: bob.Signer(), Certificate: bob.Certificate})})
	extra := []*cert.Certificate{}
	for range 10 {
		extra = append(extra, alice.Certificate)
	}
	_, s, err := verify(message, &SignedOptions{Certificates: extra})
	if err != nil || !bytes.Equal(s.Signers()[0].Certificate.Raw, bob.Certificate.Raw) {
		t.Error(err)
	}
}
