package cms

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
	"github.com/mailseal/mailseal/internal/testca"
)

// bound issues the leaf's certificate anew with another identifier on its key
// (RFC 4055 §1.2).
func bound(t *testing.T, ca *testca.CA, l *testca.Leaf, alg AlgorithmIdentifier) *testca.Leaf {
	t.Helper()
	in := cryptobyte.String(l.Certificate.RawSPKI)
	var seq, old, bits cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&old, asn1.SEQUENCE) || !seq.ReadASN1Element(&bits, asn1.BIT_STRING) {
		t.Fatal("no key")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		alg.Add(b)
		b.AddBytes(bits)
	})
	out := *l
	out.Certificate = ca.Issuing.ReplaceKey(l.Certificate, b.BytesOrPanic())
	return &out
}

func TestKeyForPSSAlone(t *testing.T) {
	ca := testca.New(t)
	free := ca.Leaf("alice@example.com", testca.RSA2048)
	sha384, err := signature.For(free.Signer().Public(), &signature.Options{PSS: true, Hash: crypto.SHA384})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		alg    AlgorithmIdentifier
		digest OID
	}{
		"any parameters": {AlgorithmIdentifier{Algorithm: oid.RSASSAPSS}, oid.SHA256},
		"SHA-384":        {sha384.Algorithm, oid.SHA384},
	} {
		leaf := bound(t, ca, free, c.alg)
		message := signed(t, []byte("text"), []*Signer{signerOf(leaf, ca)}, nil)
		_, s, err := verify(message, nil)
		if err != nil || s.Signers()[0].SignatureAlgorithm.Algorithm != oid.RSASSAPSS || s.Signers()[0].DigestAlgorithm.Algorithm != c.digest {
			t.Errorf("%s: %v", name, err)
		}
		// The same key signed with PKCS #1 v1.5, which this certificate rules out.
		_, s, err = verify(signed(t, []byte("text"), []*Signer{signerOf(free, ca)}, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte("text"))
		with := &checker{contentType: oid.Data, certificates: []*cert.Certificate{leaf.Certificate}, digests: map[OID][]byte{oid.SHA256: sum[:]}}
		if r := with.check(s.Signers()[0].SignerInfo); !errors.Is(r.Err, ErrSignature) || !errors.Is(r.Err, cert.ErrSignature) {
			t.Errorf("%s, signed with PKCS #1 v1.5: %v", name, r.Err)
		}
	}
	if _, err := Sign(&bytes.Buffer{}, []*Signer{signerOf(bound(t, ca, free, AlgorithmIdentifier{Algorithm: oid.RSAESOAEP}), ca)}, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("signs with a key for encryption: %v", err)
	}
}

func TestKeyForOAEPAlone(t *testing.T) {
	ca := testca.New(t)
	free := ca.Leaf("alice@example.com", testca.RSA2048)
	sha512, err := oaep(crypto.SHA512, []byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	for name, alg := range map[string]AlgorithmIdentifier{"any parameters": {Algorithm: oid.RSAESOAEP}, "SHA-512 and a label": sha512} {
		to, keys := recipients(t, bound(t, ca, free, alg))
		got, e, err := decrypt(encrypted(t, []byte("text"), to, nil), keys...)
		if err != nil || string(got) != "text" || e.Recipients()[0].Algorithm.Algorithm != oid.RSAESOAEP ||
			alg.Parameters != nil && !bytes.Equal(e.Recipients()[0].Algorithm.Parameters, alg.Parameters) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		// PKCS #1 v1.5 to the same key is not opened under this certificate.
		plain, _ := recipients(t, free)
		if _, _, err := decrypt(encrypted(t, []byte("text"), plain, nil), keys...); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s, PKCS #1 v1.5: %v", name, err)
		}
	}
}
