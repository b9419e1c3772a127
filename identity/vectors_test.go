package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
)

// vector is a PKCS #12 file that others published and what is in it.
type vector struct {
	file, passphrase string
	identities       int // keys with a certificate
	bare             int // keys without one
	certificates     int
	unauthenticated  bool
	slow             bool // 600,000 iterations
	err              error
}

func vectors() []vector {
	rust := func(name, pass string) vector {
		return vector{file: "rustcrypto/pkcs12/tests/examples/" + name, passphrase: pass, identities: 1, certificates: 1}
	}
	all := []vector{
		rust("ValidCertificatePathTest1EE.p12", "password"),
		rust("ValidCertificatePathTest1EE_macos.p12", "password"),
		rust("ValidCertificatePathTest1EE_windows_aes.p12.pfx", "password"),
		rust("ValidCertificatePathTest1EE_windows_tdes.p12.pfx", "password"),
		rust("example.pfx", ""),
		{file: "rustcrypto/pkcs12/tests/examples/example11.pfx", passphrase: "1234", err: ErrUnsupported}, // MAC with BLAKE2b
		{file: "rustcrypto/cms/tests/examples/example.pfx", err: ErrPassphrase},                           // nobody says which
		{file: "openssl/test/certs/v3-certs-RC2.p12", passphrase: "v3-certs", certificates: 2},
		{file: "openssl/test/certs/v3-certs-TDES.p12", passphrase: "v3-certs", certificates: 2},
		// CVE-2024-0727: ContentInfo without content in three places.
		{file: "openssl/test/recipes/80-test_pkcs12_data/bad1.p12", err: ErrMalformed},
		{file: "openssl/test/recipes/80-test_pkcs12_data/bad2.p12", err: ErrMalformed},
		{file: "openssl/test/recipes/80-test_pkcs12_data/bad3.p12", err: ErrMalformed},
	}
	firefox := rust("ValidCertificatePathTest1EE_firefox.p12", "password")
	firefox.slow = true
	all = append(all, firefox)
	for _, n := range []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17} {
		v := rust(fmt.Sprintf("example%d.pfx", n), "1234")
		switch n {
		case 5:
			v.unauthenticated = true
		case 7:
			v.certificates = 2
		case 10:
			v.slow = true
		case 15:
			v.identities = 0
		case 16:
			v.identities, v.bare, v.certificates = 0, 1, 0
		}
		all = append(all, v)
	}
	pyca := func(name, pass string, identities, bare, certificates int) vector {
		return vector{file: "pyca-vectors/vectors/cryptography_vectors/pkcs12/" + name, passphrase: pass,
			identities: identities, bare: bare, certificates: certificates}
	}
	return append(all,
		pyca("cert-aes256cbc-no-key.p12", "cryptography", 0, 0, 1),
		pyca("cert-key-aes256cbc.p12", "cryptography", 1, 0, 1),
		pyca("cert-none-key-none.p12", "cryptography", 1, 0, 1),
		pyca("cert-rc2-key-3des.p12", "cryptography", 1, 0, 1),
		pyca("no-cert-key-aes256cbc.p12", "cryptography", 0, 1, 0),
		pyca("no-password.p12", "", 1, 0, 1),
	)
}

func TestPublishedPKCS12(t *testing.T) {
	for _, v := range vectors() {
		t.Run(filepath.Base(v.file), func(t *testing.T) {
			if v.slow && testing.Short() {
				t.Skip("600,000 iterations: not in the short run")
			}
			check(t, v, readFile(t, testdata(t, v.file)))
		})
	}
}

func check(t *testing.T, v vector, data []byte) {
	t.Helper()
	got, err := DecodePKCS12(data, passphrase(v.passphrase))
	if v.err != nil {
		if !errors.Is(err, v.err) {
			t.Fatalf("error %v, want %v", err, v.err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var identities, bare int
	for _, id := range got.Identities {
		if id.Certificate == nil {
			bare++
			continue
		}
		identities++
		if !matches(id.Certificate, Public(id.Key)) {
			t.Error("certificate and key do not belong together")
		}
	}
	if identities != v.identities || bare != v.bare || len(got.Certificates) != v.certificates {
		t.Errorf("%d identities, %d bare keys, %d certificates; want %d, %d, %d (skipped: %v)",
			identities, bare, len(got.Certificates), v.identities, v.bare, v.certificates, got.Skipped)
	}
	if got.Authenticated == v.unauthenticated {
		t.Errorf("Authenticated is %v", got.Authenticated)
	}
	if _, err := DecodePKCS12(data, passphrase(v.passphrase+"?")); !v.unauthenticated && !errors.Is(err, ErrPassphrase) {
		t.Errorf("a wrong passphrase gives %v", err)
	}
}

// Every file in the sets is named above.
func TestPublishedPKCS12AllNamed(t *testing.T) {
	for _, dir := range []string{
		"rustcrypto/pkcs12/tests/examples", "rustcrypto/cms/tests/examples", "openssl/test/certs",
		"openssl/test/recipes/80-test_pkcs12_data", "pyca-vectors/vectors/cryptography_vectors/pkcs12",
	} {
		for _, pattern := range []string{"*.p12", "*.pfx"} {
			files, err := filepath.Glob(filepath.Join(testdata(t, dir), pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				name := dir + "/" + filepath.Base(f)
				if !slices.ContainsFunc(vectors(), func(v vector) bool { return v.file == name }) {
					t.Errorf("%s is not among the vectors", name)
				}
			}
		}
	}
}

// RFC 9879, Appendix A: a1 to a3 open; a4 has a wrong count, a5 a wrong salt,
// a6 no key length. The last file's MAC has a key of one byte.
func TestPublishedPBMAC1(t *testing.T) {
	for name, want := range map[string]error{
		"rfc9579-a1.txt":              nil,
		"rfc9579-a2.txt":              nil,
		"rfc9579-a3.txt":              nil,
		"rfc9579-a4.txt":              ErrPassphrase,
		"rfc9579-a5.txt":              ErrPassphrase,
		"rfc9579-a6.txt":              ErrMalformed,
		"pbmac1-short-key-bypass.txt": ErrMalformed,
	} {
		data := decodeBase64(t, readFile(t, testdata(t, "go-pkcs12", "testdata", name)))
		got, err := DecodePKCS12(data, passphrase("1234"))
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if err == nil && (len(got.Identities) != 1 || got.Identities[0].Certificate == nil || !got.Authenticated) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// RFC 9881: all three forms of a key are read, and are those of the certificate;
// bad-1 has forms that differ, bad-2 and bad-3 are expanded keys whose halves do.
func TestPublishedMLDSAKeys(t *testing.T) {
	dir := testdata(t, "lamps-wg/dilithium-certificates/examples")
	files, err := filepath.Glob(filepath.Join(dir, "*.priv"))
	if err != nil || len(files) != 12 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		block, _ := pem.Decode(readFile(t, f))
		key, err := ParsePrivateKey(block.Bytes)
		if strings.HasPrefix(name, "bad-") {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: error %v, want %v", name, err, ErrMalformed)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		roundTrip(t, key)
		set := name[:strings.LastIndexByte(name, '-')] // of ML-DSA-44-seed.priv
		certs, err := cert.ParseAll(readFile(t, filepath.Join(dir, set+".crt")))
		if err != nil || len(certs) != 1 || !matches(certs[0], Public(key)) || !certs[0].CanSign() {
			t.Errorf("%s: not the key of the certificate: %v", name, err)
		}
		message := []byte("message")
		for _, o := range []*mldsa.Options{nil, {Context: "context"}} {
			sig, err := key.(crypto.Signer).Sign(nil, message, o)
			if err != nil || mldsa.Verify(Public(key).(*mldsa.PublicKey), message, sig, o) != nil {
				t.Errorf("%s: options %v: signature not good: %v", name, o, err)
			}
		}
		if _, err := key.(crypto.Signer).Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
			t.Errorf("%s: signed a digest", name)
		}
		if !strings.HasSuffix(name, "-seed.priv") {
			altered(t, name, block.Bytes)
		}
	}
}

// altered checks that no octet of a key can change unnoticed; those that say how
// the rest is built are passed over, and so is K of ML-DSA, from which nothing
// else is made.
func altered(t *testing.T, name string, der []byte) {
	t.Helper()
	for i := len(der) - 1; i > 140; i -= 97 {
		der[i] ^= 1
		if _, err := ParsePrivateKey(der); err == nil {
			t.Errorf("%s: octet %d altered, taken", name, i)
		}
		der[i] ^= 1
	}
}

// RFC 9935: all three forms of a key are read, and are those of the
// certificate; what differs between the forms or within the expanded one is
// refused.
func TestPublishedMLKEMKeys(t *testing.T) {
	dir := testdata(t, "lamps-wg/kyber-certificates/example")
	files, err := filepath.Glob(filepath.Join(dir, "*.priv"))
	if err != nil || len(files) != 13 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		block, _ := pem.Decode(readFile(t, f))
		key, err := ParsePrivateKey(block.Bytes)
		if strings.HasPrefix(name, "bad-") {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: error %v, want %v", name, err, ErrMalformed)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		roundTrip(t, key)
		set := name[:strings.LastIndexByte(name, '-')] // of ML-KEM-512-seed.priv
		certs, err := cert.ParseAll(readFile(t, filepath.Join(dir, set+".crt")))
		if err != nil || len(certs) != 1 || !matches(certs[0], Public(key)) || !certs[0].CanEncrypt() {
			t.Errorf("%s: not the key of the certificate: %v", name, err)
		}
		if strings.HasSuffix(name, "-both.priv") {
			altered(t, name, block.Bytes)
		}
	}
}

// The keys of curve448 that OpenSSL has in its tests, and their certificates.
func TestPublishedEd448Keys(t *testing.T) {
	for _, name := range []string{"server", "client", "root"} {
		ids, err := Read(readFile(t, testdata(t, "openssl/test/certs", name+"-ed448-key.pem")), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		roundTrip(t, ids[0].Key)
		certs, err := cert.ParseAll(readFile(t, testdata(t, "openssl/test/certs", name+"-ed448-cert.pem")))
		if err != nil || !matches(certs[0], Public(ids[0].Key)) {
			t.Errorf("%s: not the key of the certificate: %v", name, err)
		}
	}
}

func roundTrip(t *testing.T, key crypto.PrivateKey) {
	t.Helper()
	der, err := MarshalPrivateKey(key)
	if err != nil {
		t.Errorf("%T: %v", key, err)
		return
	}
	again, err := ParsePrivateKey(der)
	if err != nil {
		t.Errorf("%T: %v", key, err)
		return
	}
	k, comparable := key.(interface{ Equal(crypto.PrivateKey) bool })
	twice, err := MarshalPrivateKey(again)
	if err != nil || !bytes.Equal(twice, der) || comparable && !k.Equal(again) {
		t.Errorf("%T came back as another key: %v", key, err)
	}
}

// RFC 4134 keys are PKCS #8; those for DSA are not for us.
func TestPublishedKeys(t *testing.T) {
	for name, want := range map[string]error{
		"rfc4134/AlicePrivRSASign.pri":                            nil,
		"rfc4134/BobPrivRSAEncrypt.pri":                           nil,
		"rfc4134/AlicePrivDSSSign.pri":                            ErrUnsupported,
		"rustcrypto/pkcs12/tests/examples/key.der":                nil,
		"rustcrypto/pkcs12/tests/examples/key.pem":                nil,
		"openssl/test/smime-certs/smrsa1.pem":                     nil,
		"openssl/test/smime-certs/smec1.pem":                      nil,
		"openssl/test/smime-certs/smec3.pem":                      nil,
		"openssl/test/smime-certs/smrsa3-key.pem":                 nil,
		"openssl/test/smime-certs/smdsa1.pem":                     ErrUnsupported,
		"openssl/test/certs/ca-key-ec-explicit.pem":               ErrUnsupported,
		"openssl/test/certs/server-ecdsa-brainpoolP256r1-key.pem": ErrUnsupported,
		"openssl/test/smime-certs/smdh.pem":                       ErrUnsupported,
		"openssl/test/certs/leaf-encrypted.key":                   ErrPassphrase, // nobody says which
		"openssl/test/smime-certs/smrsa3-cert.pem":                ErrNoKey,
		"rustcrypto/pkcs12/tests/examples/GoodCACert.der":         ErrNoKey,
	} {
		ids, err := Read(readFile(t, testdata(t, name)), passphrase("guess"))
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if err != nil {
			continue
		}
		switch ids[0].Key.(type) {
		case *rsa.PrivateKey, *ecdsa.PrivateKey:
			roundTrip(t, ids[0].Key)
		default:
			t.Errorf("%s: key of type %T", name, ids[0].Key)
		}
	}
}

// One key under every encryption that OpenSSL writes; see the README there.
func TestRecordedPKCS8(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "pkcs8", "*.pem"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	want, err := Read(readFile(t, filepath.Join("testdata", "pkcs8", "plain.pem")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		ids, err := Read(readFile(t, f), passphrase("Zürich €"))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if !want[0].Key.(ed25519.PrivateKey).Equal(ids[0].Key) {
			t.Errorf("%s: another key", f)
		}
		if _, err := Read(readFile(t, f), passphrase("Zurich €")); !errors.Is(err, ErrPassphrase) && filepath.Base(f) != "plain.pem" {
			t.Errorf("%s: a wrong passphrase gives %v", f, err)
		}
	}
}
