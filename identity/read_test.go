package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/pbe"
	"github.com/mailseal/mailseal/internal/testca"
)

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must(t testing.TB) func(der []byte, err error) []byte {
	return func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
}

// A PEM file may hold things in any order and with any text between them, as
// `openssl pkcs12 -nodes` writes.
func TestReadPEM(t *testing.T) {
	ca := testca.New(t)
	rsaLeaf, ecLeaf := ca.Leaf("alice@example.com", testca.RSA2048), ca.Leaf("bob@example.com", testca.P256)
	pkcs8 := must(t)(MarshalPrivateKey(rsaLeaf.Key))
	sec1 := must(t)(x509.MarshalECPrivateKey(ecLeaf.Key.(*ecdsa.PrivateKey)))
	file := bytes.Join([][]byte{
		[]byte("Bag Attributes\n    friendlyName: Alice\n"),
		ca.Root.Certificate.PEM(),
		pemBlock("EC PRIVATE KEY", sec1),
		ca.Issuing.Certificate.PEM(),
		ecLeaf.Certificate.PEM(),
		[]byte("Key Attributes: <No Attributes>\n"),
		pemBlock("PRIVATE KEY", pkcs8),
		pemBlock("CERTIFICATE REQUEST", []byte{0x30, 0}),
		rsaLeaf.Certificate.PEM(),
	}, nil)
	for name, data := range map[string][]byte{"LF": file, "CRLF": bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n"))} {
		ids, err := Read(data, func() ([]byte, error) { return nil, errors.New("asked for a passphrase") })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(ids) != 2 {
			t.Fatalf("%s: %d identities", name, len(ids))
		}
		full := []*cert.Certificate{ca.Issuing.Certificate, ca.Root.Certificate}
		sameIdentity(t, ids[0], &Identity{Key: ecLeaf.Key, Certificate: ecLeaf.Certificate, Chain: full})
		sameIdentity(t, ids[1], &Identity{Key: rsaLeaf.Key, Certificate: rsaLeaf.Certificate, Chain: full})
	}
}

func TestReadForms(t *testing.T) {
	leaf := testca.New(t).Leaf("alice@example.com", testca.RSA2048)
	key := leaf.Key.(*rsa.PrivateKey)
	pkcs8 := must(t)(MarshalPrivateKey(key))
	encrypted := must(t)(encryptPKCS8(randOr(nil), key, []byte("secret"), fast))
	legacy, err := x509.EncryptPEMBlock(randOr(nil), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), []byte("secret"), x509.PEMCipherAES128) //nolint:staticcheck // old files are what this is about
	if err != nil {
		t.Fatal(err)
	}
	p12 := encode(t, []*Identity{identityOf(leaf, "")}, "secret", PKCS12Options{})
	for name, tt := range map[string]struct {
		data                 []byte
		certified, encrypted bool
	}{
		"PKCS #12":              {p12, true, true},
		"PKCS #12 BER":          {indefinite(t, p12), true, true},
		"PKCS #12 PEM":          {pemBlock("PKCS12", p12), true, true},
		"PKCS #8":               {pkcs8, false, false},
		"PKCS #8 BER":           {indefinite(t, pkcs8), false, false},
		"PKCS #1":               {x509.MarshalPKCS1PrivateKey(key), false, false},
		"PKCS #1 PEM":           {pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), false, false},
		"encrypted":             {encrypted, false, true},
		"encrypted PEM":         {pemBlock("ENCRYPTED PRIVATE KEY", encrypted), false, true},
		"RFC 1423 headers":      {pem.EncodeToMemory(legacy), false, true},
		"RFC 1423, certificate": {append(leaf.Certificate.PEM(), pem.EncodeToMemory(legacy)...), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			ids, err := Read(tt.data, func() ([]byte, error) { asked++; return []byte("secret"), nil })
			if err != nil {
				t.Fatal(err)
			}
			if len(ids) != 1 || !key.Equal(ids[0].Key) || (ids[0].Certificate != nil) != tt.certified {
				t.Errorf("%+v", ids[0])
			}
			if (asked == 1) != tt.encrypted || asked > 1 {
				t.Errorf("asked %d times", asked)
			}
			if _, err := Read(tt.data, passphrase("Secret")); tt.encrypted && !errors.Is(err, ErrPassphrase) {
				t.Errorf("a wrong passphrase gives %v", err)
			}
		})
	}
}

func TestPKCS8(t *testing.T) {
	if testing.Short() {
		t.Skip("600,000 iterations: not in the short run")
	}
	key := testca.New(t).Leaf("alice@example.com", testca.P256).Key
	der := must(t)(EncryptPKCS8(randOr(nil), key, []byte("secret")))
	again, err := DecryptPKCS8(der, []byte("secret"))
	if err != nil || !key.(*ecdsa.PrivateKey).Equal(again) {
		t.Errorf("%v", err)
	}
	e, err := readEncryptedKeyInfo(der)
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(pbe.Describe(e.algorithm)); got != "PBES2: AES-256-CBC, PBKDF2 with HMAC-SHA-256, 600000 iterations, salt of 8 bytes" {
		t.Error(got)
	}
	if _, err := DecryptPKCS8(der, []byte("Secret")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("a wrong passphrase gives %v", err)
	}
	if _, err := EncryptPKCS8(randOr(nil), key, nil); err == nil {
		t.Error("encrypted without a passphrase")
	}
}

func TestReadRefuses(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"empty":            {nil, ErrMalformed},
		"text":             {[]byte("Dear Bob,"), ErrMalformed},
		"some BER":         {[]byte{0x30, 3, 2, 1, 9}, ErrMalformed},
		"certificate":      {leaf.Certificate.Raw, ErrNoKey},
		"certificate PEM":  {leaf.Certificate.PEM(), ErrNoKey},
		"broken PEM":       {[]byte("-----BEGIN PRIVATE KEY-----\n"), ErrNoKey},
		"damaged key":      {pemBlock("PRIVATE KEY", []byte{0x30, 0}), ErrMalformed},
		"damaged cert":     {pemBlock("CERTIFICATE", []byte{0x30, 0}), ErrMalformed},
		"too many blocks":  {bytes.Repeat(pemBlock("X509 CRL", []byte{0x30, 0}), MaxItems+1), ErrLimit},
		"as many as may":   {bytes.Repeat(pemBlock("X509 CRL", []byte{0x30, 0}), MaxItems), ErrNoKey},
		"too large":        {make([]byte, MaxSize+1), ErrLimit},
		"PKCS #12, no key": {pfxOf(t, "", octetsOfCerts(t, leaf)), ErrNoKey},
	} {
		if _, err := Read(tt.data, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func octetsOfCerts(t testing.TB, leaf *testca.Leaf) []byte {
	return must(t)(sequenceOf(certBags([]*Identity{identityOf(leaf, "")})))
}

func TestJoin(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	// The same key certified again: the fresh certificate comes first, the old
	// one stays findable.
	expired := ca.Leaf("alice@example.com", testca.P256, testca.Expired())
	bag := []*cert.Certificate{expired.Certificate, testca.NewRoot(t, "Other Root").Certificate, ca.Root.Certificate, leaf.Certificate, ca.Issuing.Certificate, leaf.Certificate}
	id, err := Join(leaf.Key, bag)
	if err != nil {
		t.Fatal(err)
	}
	sameIdentity(t, id, &Identity{Key: leaf.Key, Certificate: leaf.Certificate,
		Chain: []*cert.Certificate{ca.Issuing.Certificate, ca.Root.Certificate}})
	if all := JoinAll(leaf.Key, "", bag); len(all) != 2 || !all[1].Certificate.Equal(expired.Certificate) {
		t.Errorf("%d identities of a key with two certificates", len(all))
	}
	if _, err := Join(ca.Leaf("bob@example.com", testca.P256).Key, bag); !errors.Is(err, ErrNoKey) {
		t.Errorf("foreign certificates: %v", err)
	}
	if _, err := Join("not a key", bag); !errors.Is(err, ErrNoKey) {
		t.Errorf("not a key: %v", err)
	}
}

// Two authorities that certify each other do not make an endless chain.
func TestChainLoop(t *testing.T) {
	a, b := testca.NewRoot(t, "A"), testca.NewRoot(t, "B")
	ab, ba := a.CrossSign(b), b.CrossSign(a)
	leaf := a.Leaf("alice@example.com", testca.P256)
	got := chain(leaf.Certificate, []*cert.Certificate{ab, ba})
	if len(got) != 2 || !slices.ContainsFunc(got, ab.Equal) || !slices.ContainsFunc(got, ba.Equal) {
		t.Errorf("chain of %d", len(got))
	}
}

func FuzzRead(f *testing.F) {
	leaf := testca.New(f).Leaf("alice@example.com", testca.P256)
	key := must(f)(MarshalPrivateKey(leaf.Key))
	f.Add(append(pemBlock("PRIVATE KEY", key), leaf.Certificate.PEM()...))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Add(leaf.Certificate.PEM())
	f.Add(key)
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, err := readAll(data, hurried("secret"))
		if (len(ids) == 0) == (err == nil) {
			t.Fatalf("%d identities, error %v", len(ids), err)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, kind := range []testca.Kind{testca.P256, testca.RSA1024, testca.Ed25519, testca.X25519, testca.MLDSA65,
		testca.Ed448, testca.X448, testca.SLHDSA, testca.MLKEM512, testca.MLKEM768, testca.MLKEM1024} {
		f.Add(must(f)(MarshalPrivateKey(testca.New(f).Leaf("alice@example.com", kind).Key)))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := ParsePrivateKey(der)
		if err == nil {
			roundTrip(t, key)
		}
		p, _ := hurried("secret").get()
		_, _ = decryptKeyInfo(p, der) // must not panic
	})
}
