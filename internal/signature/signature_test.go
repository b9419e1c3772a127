package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"

	"github.com/mailseal/mailseal/internal/oid"
)

func must[K any](k K, err error) K {
	if err != nil {
		panic(err)
	}
	return k
}

func keys() map[string]crypto.Signer {
	_, ed := must2(ed25519.GenerateKey(rand.Reader))
	return map[string]crypto.Signer{
		"RSA":       must(rsa.GenerateKey(rand.Reader, 2048)),
		"P-256":     must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"P-384":     must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"P-521":     must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"Ed25519":   ed,
		"Ed448":     ed448Key(),
		"SLH-DSA":   newSLH(),
		"ML-DSA-44": must(mldsa.GenerateKey(mldsa.MLDSA44())),
		"ML-DSA-65": must(mldsa.GenerateKey(mldsa.MLDSA65())),
		"ML-DSA-87": must(mldsa.GenerateKey(mldsa.MLDSA87())),
	}
}

func ed448Key() crypto.Signer {
	_, key := must2(ed448.GenerateKey(rand.Reader))
	return key
}

func newSLH() crypto.Signer {
	_, key := must2(slhdsa.GenerateKey(rand.Reader, slhdsa.SHAKE_128f))
	return key
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func TestSignAndVerify(t *testing.T) {
	message := []byte("the message")
	all := keys()
	for name, key := range all {
		for _, o := range []Options{{}, {PSS: true}, {Hash: crypto.SHA512}, {Hash: crypto.SHA384, PSS: true}, {Hash: crypto.SHA3_256}} {
			s, err := For(key.Public(), &o)
			if err != nil {
				if errors.Is(err, ErrUnsupported) && o.Hash != 0 {
					continue
				}
				t.Fatalf("%s %+v: %v", name, o, err)
			}
			t.Run(name+" "+s.String(), func(t *testing.T) {
				sig, err := s.Sign(rand.Reader, key, message)
				if err != nil {
					t.Fatal(err)
				}
				if err := Verify(key.Public(), s.Algorithm, s.Digest, message, sig); err != nil {
					t.Error(err)
				}
				if err := Verify(key.Public(), s.Algorithm, s.Digest, []byte("the messagE"), sig); !errors.Is(err, ErrInvalid) {
					t.Error("other message:", err)
				}
				sig[len(sig)-1] ^= 1
				if err := Verify(key.Public(), s.Algorithm, s.Digest, message, sig); !errors.Is(err, ErrInvalid) {
					t.Error("altered signature:", err)
				}
				for other, k := range all {
					if other != name {
						if err := Verify(k.Public(), s.Algorithm, s.Digest, message, sig); err == nil {
							t.Error("verified with the key of", other)
						}
					}
				}
			})
		}
	}
}

func TestDigestMustBelong(t *testing.T) {
	sha256, sha1 := oid.AlgorithmIdentifier{Algorithm: oid.SHA256}, oid.AlgorithmIdentifier{Algorithm: oid.SHA1}
	for name, c := range map[string]struct {
		alg, digest oid.AlgorithmIdentifier
		want        error
	}{
		"RSA, same":                   {oid.AlgorithmIdentifier{Algorithm: oid.SHA256WithRSA, Parameters: oid.Null}, sha256, nil},
		"RSA, digest left open":       {oid.AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}, sha256, nil},
		"RSA, other digest":           {oid.AlgorithmIdentifier{Algorithm: oid.SHA256WithRSA, Parameters: oid.Null}, sha1, ErrInvalid},
		"ECDSA, other digest":         {oid.AlgorithmIdentifier{Algorithm: oid.ECDSAWithSHA256}, sha1, ErrInvalid},
		"bare key in a certificate":   {oid.AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}, oid.AlgorithmIdentifier{}, ErrUnsupported},
		"parameters with Ed25519":     {oid.AlgorithmIdentifier{Algorithm: oid.Ed25519, Parameters: oid.Null}, sha256, ErrUnsupported},
		"PSS without parameters":      {oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS}, sha256, ErrUnsupported},
		"PSS with empty parameters":   {oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS, Parameters: []byte{0x30, 0}}, sha1, nil},
		"PSS, other digest":           {oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS, Parameters: []byte{0x30, 0}}, sha256, ErrInvalid},
		"PSS with trailing data":      {oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS, Parameters: []byte{0x30, 2, 5, 0}}, sha1, ErrUnsupported},
		"unknown signature algorithm": {oid.AlgorithmIdentifier{Algorithm: "1.2.3"}, sha256, ErrUnsupported},
		"unknown digest":              {oid.AlgorithmIdentifier{Algorithm: oid.RSAEncryption}, oid.AlgorithmIdentifier{Algorithm: "1.2.3"}, ErrUnsupported},
	} {
		if _, err := Read(c.alg, c.digest); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestNeverWritesWeak(t *testing.T) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, h := range []crypto.Hash{crypto.MD5, crypto.SHA1} {
		for _, pss := range []bool{false, true} {
			if s, err := For(key.Public(), &Options{Hash: h, PSS: pss}); err == nil {
				t.Errorf("would sign with %v", s)
			}
		}
	}
	s, err := Read(oid.AlgorithmIdentifier{Algorithm: oid.SHA1WithRSA, Parameters: oid.Null}, oid.AlgorithmIdentifier{})
	if err != nil || !s.Weak() {
		t.Errorf("SHA-1 is not told as weak: %v", err)
	}
}

// S/MIME BR §7.1.3.2.1 fixes these bytes.
func TestPSSEncoding(t *testing.T) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	s, err := For(key.Public(), &Options{PSS: true})
	if err != nil {
		t.Fatal(err)
	}
	const want = "304106092a864886f70d01010a3034a00f300d0609608648016503040201" +
		"0500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
	if got := hex.EncodeToString(must(s.Algorithm.DER())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Our own verification, for masks with another digest, agrees with crypto/rsa
// where that has one, on signatures that are right and on every altered octet.
func TestVerifyPSS(t *testing.T) {
	for _, bits := range []int{1024, 1025, 1031, 2048} { // moduli whose encoding is an octet shorter, too
		key := must(rsa.GenerateKey(rand.Reader, bits))
		for _, salt := range []int{0, 20, 32} {
			sum := must(hex.DecodeString("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
			sig := must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum, &rsa.PSSOptions{SaltLength: salt}))
			if salt == 0 {
				sig = must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}))
				salt = key.Size() - 2 - 32
				if bits%8 == 1 {
					salt--
				}
			}
			if !verifyPSS(&key.PublicKey, crypto.SHA256, crypto.SHA256, salt, sum, sig) {
				t.Errorf("%d bits, salt of %d: refused", bits, salt)
			}
			if verifyPSS(&key.PublicKey, crypto.SHA256, crypto.SHA1, salt, sum, sig) || verifyPSS(&key.PublicKey, crypto.SHA256, crypto.SHA256, salt-1, sum, sig) {
				t.Errorf("%d bits, salt of %d: taken with other parameters", bits, salt)
			}
			for i := range sig {
				sig[i] ^= 1
				if verifyPSS(&key.PublicKey, crypto.SHA256, crypto.SHA256, salt, sum, sig) {
					t.Errorf("%d bits: taken with octet %d altered", bits, i)
				}
				sig[i] ^= 1
			}
			if verifyPSS(&key.PublicKey, crypto.SHA256, crypto.SHA256, salt, sum, append([]byte{0}, sig...)) {
				t.Errorf("%d bits: taken with a zero ahead", bits)
			}
		}
	}
}

// A signature that OpenSSL made with rsa_mgf1_md:sha1 under SHA-256.
func TestPSSMask(t *testing.T) {
	n, ok := new(big.Int).SetString("ab601a5e014bfbf304d0c2cc1142640b24a36d5e1cf28b8f4a20ade9e54b3e4467ff2e89254f9110cf2bf4b3c7d230da2922da9ed1a661de3de717c0a6e92dbe"+
		"8a2f251313a4dbe2e2f38009ccf17f3d8a01b6cca0339e2f9da9d3f9b526e6b54f3a0d334240de6532016309a9c4c4cce2f44ee2972f413d5b17405e4ae165f5", 16)
	if !ok {
		t.Fatal("modulus")
	}
	sig := must(hex.DecodeString("0f9842433aa63e225cfdf2b0fba246cda892b1980eea309aba1fc74af15b91257a2122e61b2bb994e339a9a00d436484da37db180b8f483295bc5a5bdcd4d8fa" +
		"0cc2b8c6af1429ab8f07933cb1d85873706a20d1b86bb9dba75cbaf642fd13a91a2193c40d973d63b58dd7d4e70e56d5a51e2a6af737f162c6efadd9d3abbef2"))
	// SHA-256, the mask's digest left at its default, salt of 32.
	params := must(hex.DecodeString("3016a00f300d06096086480165030402010500a203020120"))
	alg := oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS, Parameters: params}
	key := &rsa.PublicKey{N: n, E: 65537}
	if err := Verify(key, alg, oid.AlgorithmIdentifier{Algorithm: oid.SHA256}, []byte("the message"), sig); err != nil {
		t.Error(err)
	}
	if err := Verify(key, alg, oid.AlgorithmIdentifier{Algorithm: oid.SHA256}, []byte("the messagE"), sig); !errors.Is(err, ErrInvalid) {
		t.Error("other message:", err)
	}
}

// FIPS 202 test values for the empty message, cut to the lengths of RFC 8702.
func TestSHAKE(t *testing.T) {
	for want, a := range map[string]oid.AlgorithmIdentifier{
		"7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26":                                                                 {Algorithm: oid.SHAKE128},
		"46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762fd75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be": shake512(),
	} {
		h, ok := NewHash(a)
		if !ok || hex.EncodeToString(h.Sum(nil)) != want || hex.EncodeToString(h.Sum(nil)) != want {
			t.Errorf("%s: %x", a.Algorithm.Name(), h.Sum(nil))
		}
	}
	if _, ok := NewHash(oid.AlgorithmIdentifier{Algorithm: oid.SHAKE256Len, Parameters: []byte{2, 1, 8}}); ok {
		t.Error("SHAKE256 with eight bits of output")
	}
}

func FuzzVerify(f *testing.F) {
	all := keys()
	params := must(must(For(all["RSA"].Public(), &Options{PSS: true})).Algorithm.DER())
	f.Add(string(oid.RSASSAPSS), params[15:], string(oid.SHA256), []byte("sig"))
	f.Fuzz(func(t *testing.T, alg string, params []byte, digest string, sig []byte) {
		for _, k := range all {
			if Verify(k.Public(), oid.AlgorithmIdentifier{Algorithm: oid.OID(alg), Parameters: params}, oid.AlgorithmIdentifier{Algorithm: oid.OID(digest)}, []byte("m"), sig) == nil {
				t.Fatal("forged")
			}
		}
	})
}
