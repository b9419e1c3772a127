package identity

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
	"github.com/mailseal/mailseal/internal/testca"
)

// fast keeps tests from waiting: the count is not what they test.
const fast = 10

func identityOf(l *testca.Leaf, label string) *Identity {
	return &Identity{Key: l.Key, Certificate: l.Certificate, Chain: l.Chain, Label: label}
}

func encode(t testing.TB, ids []*Identity, pass string, o PKCS12Options) []byte {
	t.Helper()
	if o.Iterations == 0 {
		o.Iterations = fast
	}
	data, err := EncodePKCS12(ids, []byte(pass), &o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sameIdentity(t *testing.T, got, want *Identity) {
	t.Helper()
	if !got.Key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(want.Key) {
		t.Error("another key")
	}
	if !got.Certificate.Equal(want.Certificate) {
		t.Error("another certificate")
	}
	if got.Label != want.Label {
		t.Errorf("label %q, want %q", got.Label, want.Label)
	}
	if len(got.Chain) != len(want.Chain) {
		t.Fatalf("chain of %d, want %d", len(got.Chain), len(want.Chain))
	}
	for i, c := range got.Chain {
		if !c.Equal(want.Chain[i]) {
			t.Errorf("chain differs at %d", i)
		}
	}
}

func TestPKCS12RoundTrip(t *testing.T) {
	ca := testca.New(t)
	kinds := map[string]testca.Kind{
		"RSA-2048": testca.RSA2048, "P-256": testca.P256, "P-384": testca.P384, "P-521": testca.P521,
		"Ed25519": testca.Ed25519, "X25519": testca.X25519, "ML-DSA-65": testca.MLDSA65,
	}
	options := map[string]PKCS12Options{
		"default":            {},
		"compatible":         {Compatible: true},
		"PBMAC1":             {PBMAC1: true},
		"plain certificates": {PlainCertificates: true},
	}
	for kindName, kind := range kinds {
		want := identityOf(ca.Leaf("alice@example.com", kind), "Alice Ångström 🔑")
		for name, o := range options {
			t.Run(kindName+"/"+name, func(t *testing.T) {
				data := encode(t, []*Identity{want}, "Zürich €", o)
				for form, data := range map[string][]byte{"DER": data, "BER": indefinite(t, data)} {
					got, err := DecodePKCS12(data, passphrase("Zürich €"))
					if err != nil {
						t.Fatalf("%s: %v", form, err)
					}
					if len(got.Identities) != 1 || !got.Authenticated || len(got.Skipped) != 0 {
						t.Fatalf("%s: %+v", form, got)
					}
					sameIdentity(t, got.Identities[0], want)
				}
				if _, err := DecodePKCS12(data, passphrase("Zurich €")); !errors.Is(err, ErrPassphrase) {
					t.Errorf("a wrong passphrase gives %v", err)
				}
			})
		}
	}
}

// BER inside the MAC: the AuthenticatedSafe and the SafeContents have indefinite
// lengths and strings in pieces, as PKI.js writes them.
func TestPKCS12InnerBER(t *testing.T) {
	want := identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), "")
	e := &pkcs12Encoder{
		options:    &PKCS12Options{},
		encryption: encryption{rand.Reader, pbe.PBES2, fast},
		passphrase: pbe.NewPassphrase([]byte("secret")),
	}
	certs, err := sequenceOf(certBags([]*Identity{want}))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := e.keyBags([]*Identity{want})
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := e.encryptedContent(indefinite(t, certs))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := dataContent(indefinite(t, element(t, asn1.SEQUENCE, keys...)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.pfx(indefinite(t, element(t, asn1.SEQUENCE, encrypted, plain)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePKCS12(indefinite(t, data), passphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	sameIdentity(t, got.Identities[0], want)
}

// The parameters that readers of these files depend on.
func TestPKCS12Parameters(t *testing.T) {
	id := identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), "")
	for name, tt := range map[string]struct {
		o     PKCS12Options
		mac   string
		parts []string
	}{
		"default": {PKCS12Options{},
			"PKCS #12: HMAC-SHA-256, PKCS #12 with SHA-256, 10 iterations, salt of 8 bytes",
			[]string{"PBES2: AES-256-CBC, PBKDF2 with HMAC-SHA-256, 10 iterations, salt of 8 bytes", ""}},
		"compatible": {PKCS12Options{Compatible: true},
			"PKCS #12: HMAC-SHA-1, PKCS #12 with SHA-1, 10 iterations, salt of 8 bytes",
			[]string{"PKCS #12: 3DES-CBC, PKCS #12 with SHA-1, 10 iterations, salt of 8 bytes", ""}},
		"PBMAC1": {PKCS12Options{PBMAC1: true},
			"PBMAC1: HMAC-SHA-256, PBKDF2 with HMAC-SHA-256, 10 iterations, salt of 8 bytes",
			[]string{"PBES2: AES-256-CBC, PBKDF2 with HMAC-SHA-256, 10 iterations, salt of 8 bytes", ""}},
	} {
		s, err := DescribePKCS12(encode(t, []*Identity{id}, "secret", tt.o))
		if err != nil {
			t.Fatal(err)
		}
		if s.MAC != tt.mac {
			t.Errorf("%s: MAC %s", name, s.MAC)
		}
		if len(s.Parts) != 2 || s.Parts[0].Encryption != tt.parts[0] || s.Parts[1].Encryption != tt.parts[1] {
			t.Fatalf("%s: parts %+v", name, s.Parts)
		}
		if bags := s.Parts[1].Bags; len(bags) != 1 || bags[0].Encryption != tt.parts[0] {
			t.Errorf("%s: key bags %+v", name, bags)
		}
	}
}

func TestPKCS12DefaultIterations(t *testing.T) {
	if testing.Short() {
		t.Skip("600,000 iterations: not in the short run")
	}
	id := identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), "")
	data, err := EncodePKCS12([]*Identity{id}, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := DescribePKCS12(data)
	if err != nil {
		t.Fatal(err)
	}
	if want := "PKCS #12: HMAC-SHA-256, PKCS #12 with SHA-256, 600000 iterations, salt of 8 bytes"; s.MAC != want {
		t.Errorf("MAC %s", s.MAC)
	}
	if _, err := DecodePKCS12(data, passphrase("secret")); err != nil {
		t.Errorf("our own file: %v", err)
	}
}

func TestEncodePKCS12Refuses(t *testing.T) {
	ca := testca.New(t)
	alice, bob := ca.Leaf("alice@example.com", testca.P256), ca.Leaf("bob@example.com", testca.P256)
	good := []*Identity{identityOf(alice, "")}
	for name, tt := range map[string]struct {
		ids  []*Identity
		pass string
		o    *PKCS12Options
	}{
		"no passphrase":     {good, "", nil},
		"no identity":       {nil, "secret", nil},
		"wrong certificate": {[]*Identity{{Key: alice.Key, Certificate: bob.Certificate}}, "secret", nil},
		"no key":            {[]*Identity{{Certificate: bob.Certificate}}, "secret", nil},
		"old and new":       {good, "secret", &PKCS12Options{Compatible: true, PBMAC1: true}},
		"iterations":        {good, "secret", &PKCS12Options{Iterations: pbe.MaxIterations + 1}},
		"negative":          {good, "secret", &PKCS12Options{Iterations: -1}},
		"no randomness":     {good, "secret", &PKCS12Options{Iterations: fast, Rand: bytes.NewReader(nil)}},
	} {
		if _, err := EncodePKCS12(tt.ids, []byte(tt.pass), tt.o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Randomness comes from the option alone: the same bytes give the same file.
func TestPKCS12Rand(t *testing.T) {
	id := identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), "")
	zeros := func() io.Reader { return bytes.NewReader(make([]byte, 200)) }
	one := encode(t, []*Identity{id}, "secret", PKCS12Options{Rand: zeros()})
	two := encode(t, []*Identity{id}, "secret", PKCS12Options{Rand: zeros()})
	if !bytes.Equal(one, two) {
		t.Error("two files differ")
	}
}

// Old identities travel with the new one; shared issuers are written once.
func TestPKCS12Several(t *testing.T) {
	ca := testca.New(t)
	old, current := ca.Leaf("alice@example.com", testca.RSA2048, testca.Expired()), ca.Leaf("alice@example.com", testca.P256)
	data := encode(t, []*Identity{identityOf(current, "new"), identityOf(old, "old")}, "secret", PKCS12Options{})
	got, err := DecodePKCS12(data, passphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Identities) != 2 || len(got.Certificates) != 3 {
		t.Fatalf("%d identities, %d certificates", len(got.Identities), len(got.Certificates))
	}
	sameIdentity(t, got.Identities[0], identityOf(current, "new"))
	sameIdentity(t, got.Identities[1], identityOf(old, "old"))
}

// pfxOf builds a file by hand from contents of type data; without a passphrase
// it has no MAC.
func pfxOf(t testing.TB, pass string, safeContents ...[]byte) []byte {
	t.Helper()
	var parts [][]byte
	for _, c := range safeContents {
		part, err := dataContent(c)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	safe := element(t, asn1.SEQUENCE, parts...)
	if pass == "" {
		content, err := dataContent(safe)
		if err != nil {
			t.Fatal(err)
		}
		return element(t, asn1.SEQUENCE, []byte{2, 1, 3}, content)
	}
	e := &pkcs12Encoder{
		options:    &PKCS12Options{},
		encryption: encryption{rand.Reader, pbe.PBES2, fast},
		passphrase: pbe.NewPassphrase([]byte(pass)),
	}
	data, err := e.pfx(safe)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rawBag(id oid.OID, value []byte) []byte {
	return bagDER(id, nil, func(b *cryptobyte.Builder) { b.AddBytes(value) })
}

func plainKeyBag(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return rawBag(oid.BagKey, der)
}

// Java writes files without a passphrase: no MAC, nothing encrypted.
func TestPKCS12WithoutMAC(t *testing.T) {
	leaf := testca.New(t).Leaf("alice@example.com", testca.P256)
	id := identityOf(leaf, "")
	data := pfxOf(t, "", element(t, asn1.SEQUENCE, append(certBags([]*Identity{id}), plainKeyBag(t, leaf.Key))...))
	got, err := DecodePKCS12(data, func() ([]byte, error) { return nil, errors.New("asked for a passphrase") })
	if err != nil {
		t.Fatal(err)
	}
	if got.Authenticated {
		t.Error("a file without a MAC is called authenticated")
	}
	sameIdentity(t, got.Identities[0], id)
	if _, err := Read(data, nil); !errors.Is(err, ErrNoMAC) {
		t.Errorf("Read: %v, want %v", err, ErrNoMAC)
	}
}

// What holds no identity does not stop the reading of what does.
func TestPKCS12OtherBags(t *testing.T) {
	leaf := testca.New(t).Leaf("alice@example.com", testca.P256)
	id := identityOf(leaf, "")
	null := []byte{5, 0}
	dsa := element(t, asn1.SEQUENCE, []byte{2, 1, 0},
		element(t, asn1.SEQUENCE, []byte{6, 7, 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1}), octetString(t, []byte{2, 1, 1}))
	nested := rawBag(oid.BagSafeContents, element(t, asn1.SEQUENCE, plainKeyBag(t, leaf.Key)))
	for range maxSafeDepth - 1 {
		nested = rawBag(oid.BagSafeContents, element(t, asn1.SEQUENCE, nested))
	}
	bags := append(certBags([]*Identity{id}),
		rawBag(oid.BagCRL, null), rawBag(oid.BagSecret, null), rawBag("1.2.3.4", null),
		rawBag(oid.BagKey, dsa), rawBag(oid.BagCertificate, null), nested)
	data := pfxOf(t, "secret", element(t, asn1.SEQUENCE, bags...))
	got, err := DecodePKCS12(data, passphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Identities) != 1 || len(got.Skipped) != 2 {
		t.Fatalf("%d identities, skipped %v", len(got.Identities), got.Skipped)
	}
	if !errors.Is(got.Skipped[0], ErrUnsupported) || !errors.Is(got.Skipped[1], ErrMalformed) {
		t.Errorf("skipped %v", got.Skipped)
	}
	sameIdentity(t, got.Identities[0], id)

	deeper := rawBag(oid.BagSafeContents, element(t, asn1.SEQUENCE, nested))
	_, err = DecodePKCS12(pfxOf(t, "secret", element(t, asn1.SEQUENCE, deeper)), passphrase("secret"))
	if !errors.Is(err, ErrLimit) {
		t.Errorf("nested too deeply: %v", err)
	}
}

func TestPKCS12Limits(t *testing.T) {
	null := rawBag(oid.BagCRL, []byte{5, 0})
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"most bags":      {pfxOf(t, "", element(t, asn1.SEQUENCE, bytes.Repeat(null, MaxItems-1))), nil},
		"too many bags":  {pfxOf(t, "", element(t, asn1.SEQUENCE, bytes.Repeat(null, MaxItems))), ErrLimit},
		"too many parts": {pfxOf(t, "", bytes.Split(bytes.Repeat([]byte{'|', 0x30, 0}, MaxItems+1)[1:], []byte{'|'})...), ErrLimit},
		"too large":      {make([]byte, MaxSize+1), ErrLimit},
	} {
		if _, err := DecodePKCS12(tt.data, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// Whatever one bit is changed under the MAC, the file is refused.
func TestPKCS12Altered(t *testing.T) {
	id := identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), "Alice")
	data := encode(t, []*Identity{id}, "secret", PKCS12Options{Iterations: 1, PlainCertificates: true})
	for i := range data {
		altered := bytes.Clone(data)
		altered[i] ^= 1 << (i % 8)
		got, err := DecodePKCS12(altered, passphrase("secret"))
		if err != nil {
			continue
		}
		// What the MAC does not cover are its own parameters; with DEFAULT
		// values and unused fields a change there may be without effect.
		if len(got.Identities) != 1 || !got.Authenticated {
			t.Errorf("bit %d of byte %d altered: %+v", i%8, i, got)
			continue
		}
		sameIdentity(t, got.Identities[0], id)
	}
}

// The passphrase is asked for once, and its error is what comes back.
func TestPKCS12Passphrase(t *testing.T) {
	id := identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), "")
	data := encode(t, []*Identity{id}, "secret", PKCS12Options{})
	asked := 0
	if _, err := DecodePKCS12(data, func() ([]byte, error) { asked++; return []byte("secret"), nil }); err != nil || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	cancelled := errors.New("cancelled")
	if _, err := DecodePKCS12(data, func() ([]byte, error) { return nil, cancelled }); !errors.Is(err, cancelled) {
		t.Errorf("%v, want the callback's error", err)
	}
	if _, err := DecodePKCS12(data, nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("no callback: %v", err)
	}
}

func FuzzDecodePKCS12(f *testing.F) {
	leaf := testca.New(f).Leaf("alice@example.com", testca.P256)
	id := identityOf(leaf, "Alice")
	f.Add(encode(f, []*Identity{id}, "é", PKCS12Options{Iterations: 1}))
	f.Add(encode(f, []*Identity{id}, "é", PKCS12Options{Iterations: 1, Compatible: true, PlainCertificates: true}))
	f.Add(encode(f, []*Identity{id}, "é", PKCS12Options{Iterations: 1, PBMAC1: true}))
	f.Add(pfxOf(f, "", element(f, asn1.SEQUENCE, append(certBags([]*Identity{id}), plainKeyBag(f, leaf.Key))...)))
	f.Add(indefinite(f, pfxOf(f, "é", element(f, asn1.SEQUENCE, plainKeyBag(f, leaf.Key)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = DescribePKCS12(data) // must not panic
		got, err := decodePKCS12(data, hurried("é"))
		if err != nil {
			return
		}
		for _, i := range got.Identities {
			if i.Key == nil {
				t.Fatal("identity without a key")
			}
			if i.Certificate != nil && !matches(i.Certificate, Public(i.Key)) {
				t.Fatal("certificate of another key")
			}
		}
	})
}
