package cert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// spki writes a SubjectPublicKeyInfo.
func spki(id oid.OID, parameters, bits []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.AlgorithmIdentifier{Algorithm: id, Parameters: parameters}.Add(b)
		b.AddASN1BitString(bits)
	})
	return b.BytesOrPanic()
}

func curve(id oid.OID) []byte {
	var b cryptobyte.Builder
	oid.Add(&b, id)
	return b.BytesOrPanic()
}

func rsaKey(n, e *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(n)
		b.AddASN1BigInt(e)
	})
	return b.BytesOrPanic()
}

func TestMarshalPublicKey(t *testing.T) {
	for _, kind := range []testca.Kind{testca.P256, testca.P384, testca.P521, testca.RSA2048, testca.Ed25519, testca.MLDSA65, testca.X25519,
		testca.Ed448, testca.SLHDSA, testca.X448, testca.MLKEM512, testca.MLKEM768, testca.MLKEM1024} {
		c := testca.NewRoot(t, "Root").Leaf("alice@example.com", kind).Certificate
		der, err := cert.MarshalPublicKey(c.PublicKey)
		if err != nil || !bytes.Equal(der, c.RawSPKI) {
			t.Errorf("%T: %v", c.PublicKey, err)
		}
		again, err := cert.ParsePublicKey(der)
		if err != nil || !cert.SameKey(again, c.PublicKey) {
			t.Errorf("%T: %v", c.PublicKey, err)
		}
		if other := testca.NewRoot(t, "Root").Leaf("bob@example.com", kind).Certificate; cert.SameKey(other.PublicKey, c.PublicKey) || cert.SameKey(c.PublicKey, nil) {
			t.Errorf("%T: another's key is the same", c.PublicKey)
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.PublicKey{nil, "key", p224.Public()} {
		if _, err := cert.MarshalPublicKey(key); !errors.Is(err, cert.ErrUnknownKey) {
			t.Errorf("%T: %v", key, err)
		}
	}
}

func TestCompressedPoint(t *testing.T) {
	for id, c := range map[oid.OID]elliptic.Curve{oid.P256: elliptic.P256(), oid.P384: elliptic.P384(), oid.P521: elliptic.P521()} {
		for range 4 { // both signs
			key, err := ecdsa.GenerateKey(c, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			full, err := key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			half := len(full) / 2
			compressed := append([]byte{2 + full[len(full)-1]&1}, full[1:1+half]...)
			got, err := cert.ParsePublicKey(spki(oid.ECPublicKey, curve(id), compressed))
			if err != nil || !key.PublicKey.Equal(got) {
				t.Errorf("%s: %v", c.Params().Name, err)
			}
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	key := testca.NewRoot(t, "Root").Leaf("alice@example.com", testca.RSA2048).Signer().Public().(*rsa.PublicKey)
	three, n := big.NewInt(3), key.N
	for _, tt := range []struct {
		name    string
		der     []byte
		unknown bool
	}{
		{"brainpoolP256r1", spki(oid.ECPublicKey, curve("1.3.36.3.3.2.8.1.1.7"), make([]byte, 65)), true},
		{"explicit curve", spki(oid.ECPublicKey, []byte{0x30, 0}, make([]byte, 65)), true},
		{"no curve", spki(oid.ECPublicKey, nil, make([]byte, 65)), true},
		{"unknown algorithm", spki("1.2.3.4", nil, []byte{1}), true},
		{"point at infinity", spki(oid.ECPublicKey, curve(oid.P256), []byte{0}), false},
		{"point off the curve", spki(oid.ECPublicKey, curve(oid.P256), append([]byte{4}, make([]byte, 64)...)), false},
		{"compressed point off the curve", spki(oid.ECPublicKey, curve(oid.P256), append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)), false},
		{"short point", spki(oid.ECPublicKey, curve(oid.P256), make([]byte, 33)), false},
		{"empty point", spki(oid.ECPublicKey, curve(oid.P256), nil), false},
		{"Ed25519 of 31 octets", spki(oid.Ed25519, nil, make([]byte, 31)), false},
		{"Ed25519 with parameters", spki(oid.Ed25519, oid.Null, make([]byte, 32)), false},
		{"X25519 of 33 octets", spki(oid.X25519, nil, make([]byte, 33)), false},
		{"Ed448 of 56 octets", spki(oid.Ed448, nil, make([]byte, 56)), false},
		{"X448 of 57 octets", spki(oid.X448, nil, make([]byte, 57)), false},
		{"X448 with parameters", spki(oid.X448, oid.Null, make([]byte, 56)), false},
		{"SLH-DSA of another size", spki(oid.SLHDSASHA2_128s, nil, make([]byte, 33)), false},
		{"ML-KEM-512 of another size", spki(oid.MLKEM512, nil, make([]byte, 801)), false},
		{"ML-KEM-512 not reduced", spki(oid.MLKEM512, nil, bytes.Repeat([]byte{0xff}, 800)), false},
		{"ML-KEM-768 not reduced", spki(oid.MLKEM768, nil, bytes.Repeat([]byte{0xff}, 1184)), false},
		{"ML-KEM-1024 of another size", spki(oid.MLKEM1024, nil, make([]byte, 1184)), false},
		{"ML-DSA-65 of another size", spki(oid.MLDSA65, nil, make([]byte, 1312)), false},
		{"RSA, even modulus", spki(oid.RSAEncryption, oid.Null, rsaKey(new(big.Int).Add(n, big.NewInt(1)), three)), false},
		{"RSA, negative modulus", spki(oid.RSAEncryption, oid.Null, rsaKey(new(big.Int).Neg(n), three)), false},
		{"RSA, modulus too large", spki(oid.RSAEncryption, oid.Null, rsaKey(new(big.Int).SetBit(big.NewInt(1), cert.MaxRSABits, 1), three)), false},
		{"RSA, exponent 1", spki(oid.RSAEncryption, oid.Null, rsaKey(n, big.NewInt(1))), false},
		{"RSA, even exponent", spki(oid.RSAEncryption, oid.Null, rsaKey(n, big.NewInt(4))), false},
		{"RSA, exponent too large", spki(oid.RSAEncryption, oid.Null, rsaKey(n, big.NewInt(1<<31+1))), false},
		{"RSA, rubbish", spki(oid.RSAEncryption, oid.Null, []byte{0x30, 1}), false},
		{"no key at all", []byte{0x30, 0}, false},
		{"data behind", append(spki(oid.Ed25519, nil, make([]byte, 32)), 0), false},
	} {
		key, err := cert.ParsePublicKey(tt.der)
		if err == nil || key != nil || errors.Is(err, cert.ErrUnknownKey) != tt.unknown {
			t.Errorf("%s: %v, %v", tt.name, key, err)
		}
	}
	for name, der := range map[string][]byte{
		"RSA, largest":       spki(oid.RSAEncryption, oid.Null, rsaKey(new(big.Int).SetBit(big.NewInt(1), cert.MaxRSABits-1, 1), three)),
		"RSA, no parameters": spki(oid.RSAEncryption, nil, rsaKey(n, big.NewInt(cert.MaxRSAExponent))),
	} {
		if _, err := cert.ParsePublicKey(der); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEffort: a certificate must not cost its reader more than it counts for.
func TestEffort(t *testing.T) {
	rsaKey := func(bits uint, e int) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(1)), E: e}
	}
	for _, tc := range []struct {
		key  crypto.PublicKey
		want int
	}{
		{rsaKey(1024, 65537), 1}, {rsaKey(2048, 3), 1}, {rsaKey(2048, 65537), 1}, {rsaKey(3072, 65537), 4}, {rsaKey(4096, 65537), 4}, {rsaKey(8192, 65537), 16},
		{rsaKey(16384, 65537), 64}, {rsaKey(16384, cert.MaxRSAExponent), 192}, {&ecdsa.PublicKey{}, 1}, {nil, 1},
	} {
		if got := cert.Effort(tc.key); got != tc.want {
			t.Errorf("%T: %d, want %d", tc.key, got, tc.want)
		}
	}
}
