package cert_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// issue makes a leaf whose template is changed by the options.
func issue(t testing.TB, options ...testca.Option) *cert.Certificate {
	t.Helper()
	return testca.NewRoot(t, "Root").Leaf("alice@example.com", testca.P256, options...).Certificate
}

// parseEdited replaces octets in a certificate; its signature is of no interest.
func parseEdited(t *testing.T, c *cert.Certificate, old, with string) (*cert.Certificate, error) {
	t.Helper()
	if bytes.Count(c.Raw, []byte(old)) != 1 || len(old) != len(with) {
		t.Fatalf("%x occurs %d times", old, bytes.Count(c.Raw, []byte(old)))
	}
	return cert.Parse(bytes.Replace(c.Raw, []byte(old), []byte(with), 1))
}

// TestTolerance reads what old and careless authorities have written.
func TestTolerance(t *testing.T) {
	serial := func(n int64) testca.Option {
		return func(c *x509.Certificate) { c.SerialNumber = big.NewInt(n) }
	}
	t.Run("negative serial number", func(t *testing.T) {
		c, err := parseEdited(t, issue(t, serial(0x61a2b3c4)), "\x02\x04\x61\xa2\xb3\xc4", "\x02\x04\x81\xa2\xb3\xc4")
		if err != nil || c.Serial.Sign() >= 0 || c.SerialHex() != "-7e5d4c3c" {
			t.Errorf("%v, %v", c.SerialHex(), err)
		}
	})
	t.Run("serial number with leading zeros", func(t *testing.T) {
		c, err := parseEdited(t, issue(t, serial(0x61a2b3c4)), "\x02\x04\x61\xa2\xb3\xc4", "\x02\x04\x00\x00\x00\xc4")
		if err != nil || c.SerialHex() != "c4" {
			t.Errorf("%v, %v", c.SerialHex(), err)
		}
	})
	t.Run("year 1950 and 2049", func(t *testing.T) {
		c, err := parseEdited(t, issue(t), "\x17\x0d260501120000Z", "\x17\x0d500501120000Z")
		if err != nil || c.NotBefore.Year() != 1950 {
			t.Errorf("%v, %v", c.NotBefore, err)
		}
		c, err = parseEdited(t, issue(t), "\x17\x0d260501120000Z", "\x17\x0d490501120000Z")
		if err != nil || c.NotBefore.Year() != 2049 {
			t.Errorf("%v, %v", c.NotBefore, err)
		}
	})
	t.Run("date that is none", func(t *testing.T) {
		if c, err := parseEdited(t, issue(t), "\x17\x0d260501120000Z", "\x17\x0d261301120000Z"); err == nil {
			t.Errorf("read as %v", c.NotBefore)
		}
	})
	t.Run("two signature algorithms", func(t *testing.T) {
		c := issue(t)
		raw := bytes.Clone(c.Raw)
		i := bytes.LastIndex(raw, []byte("\x2a\x86\x48\xce\x3d\x04\x03\x02"))
		raw[i+7] = 3
		c, err := cert.Parse(raw)
		if err != nil || len(c.Defects) == 0 {
			t.Errorf("%v, %v", c, err)
		}
	})
	t.Run("key off its curve", func(t *testing.T) {
		c := issue(t)
		bits := c.RawSPKI[len(c.RawSPKI)-64:]
		raw := bytes.Replace(c.Raw, bits, bytes.Repeat([]byte{7}, 64), 1)
		c, err := cert.Parse(raw)
		if err != nil || len(c.Defects) == 0 || c.PublicKey != nil {
			t.Errorf("%v, %v", c, err)
		}
	})
	t.Run("extensions in version 1", func(t *testing.T) {
		c, err := parseEdited(t, issue(t), "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x00")
		if err != nil || len(c.Defects) == 0 {
			t.Errorf("%v, %v", c, err)
		}
	})
	t.Run("no such version", func(t *testing.T) {
		if _, err := parseEdited(t, issue(t), "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x07"); err == nil {
			t.Error("read")
		}
	})
	t.Run("extension twice", func(t *testing.T) {
		c := issue(t, testca.Extension(oid.ExtSubjectKeyID, false, []byte("\x04\x01a")), testca.Extension(oid.ExtIssuerAltName, false, []byte("\x04\x01b")))
		c, err := parseEdited(t, c, "\x55\x1d\x12", "\x55\x1d\x0e")
		if err != nil || len(c.Defects) != 1 || string(c.SubjectKeyID) != "a" {
			t.Errorf("%v, %v, %q", c.Defects, err, c.SubjectKeyID)
		}
	})
	t.Run("trailing data", func(t *testing.T) {
		if _, err := cert.Parse(append(bytes.Clone(issue(t).Raw), 0)); err == nil {
			t.Error("read")
		}
	})
	t.Run("ends like a line", func(t *testing.T) {
		raw := bytes.Clone(issue(t).Raw)
		raw[len(raw)-1] = '\n'
		if list, err := cert.ParseAll(raw); err != nil || len(list) != 1 {
			t.Errorf("%d, %v", len(list), err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		raw := issue(t).Raw
		for n := range raw {
			if _, err := cert.Parse(raw[:n]); err == nil {
				t.Fatalf("%d of %d octets read", n, len(raw))
			}
		}
	})
}

// TestBER reads a certificate with indefinite and long lengths. What was signed
// is what stands in the file.
func TestBER(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	leaf := root.Leaf("alice@example.com", testca.P256).Certificate
	content := leaf.Raw[4:]
	indefinite := append(append([]byte{0x30, 0x80}, content...), 0, 0)
	c, err := cert.Parse(indefinite)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignatureFrom(root.Certificate); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(c.RawTBS, leaf.RawTBS) || !bytes.Equal(c.Raw, indefinite) {
		t.Error("raw octets were changed")
	}

	// A body with a length that is longer than it need be, signed as it is.
	long := append([]byte{0x30, 0x83, 0x00}, leaf.RawTBS[2:]...)
	signed := root.Sign(long, leaf.SignatureAlgorithm)
	c, err = cert.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignatureFrom(root.Certificate); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(c.RawTBS, long) || c.Emails()[0] != "alice@example.com" {
		t.Error("raw octets were changed")
	}
}

// TestOldStrings: the string types of X.520 beside UTF8String.
func TestOldStrings(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"T61", "\x14\x06M\xfcller", "Müller"},
		{"BMP", "\x1e\x08\x00M\x00\xfc\x00l\x5c\x71", "Mül山"},
		{"Universal", "\x1c\x08\x00\x00\x00M\x00\x01\xf6\x00", "M😀"},
		{"Latin-1 in PrintableString", "\x13\x06M\xfcller", "Müller"},
		{"IA5", "\x16\x06Muller", "Muller"},
		{"Numeric", "\x12\x0212", "12"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			value := asn1.RawValue{FullBytes: []byte(tt.value)}
			c := issue(t, testca.Subject(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: value}}}))
			if got := c.Subject.Get(oid.CommonName); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%q", got)
			}
			if got := c.Subject.String(); got != "CN="+tt.want {
				t.Errorf("String gives %q", got)
			}
		})
	}
}

func TestNameString(t *testing.T) {
	cn := func(s string) pkix.Name { return pkix.Name{CommonName: s} }
	for _, tt := range []struct {
		name pkix.Name
		want string
	}{
		{pkix.Name{Country: []string{"DE"}, Organization: []string{"Example"}, CommonName: "Alice"}, "CN=Alice,O=Example,C=DE"},
		{cn("a,b+c=d"), `CN=a\,b\+c\=d`},
		{cn(` a "b" <c>; #\ `), `CN=\ a \"b\" \<c\>\; #\\\ `},
		{cn("#1"), `CN=\#1`},
		{cn("a\nO=Other"), `CN=a\0AO\=Other`},
		{cn("a\x00b\x1b[2J"), `CN=a\00b\1B[2J`},
		{cn("Alice\u202eecilA"), `CN=Alice\E2\80\AEecilA`},
		{cn("A\u200blice\u2066"), `CN=A\E2\80\8Blice\E2\81\A6`},
		{cn("A\u00a0B\u2028C"), `CN=A\C2\A0B\E2\80\A8C`},
		{cn("山田 太郎"), "CN=山田 太郎"},
		{pkix.Name{}, ""},
	} {
		c := issue(t, testca.Subject(tt.name))
		if got := c.Subject.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestNameEqual(t *testing.T) {
	name := func(values ...string) cert.Name {
		var n pkix.Name
		n.CommonName, n.Organization = values[0], values[1:]
		return issue(t, testca.Subject(n)).Subject
	}
	for _, tt := range []struct {
		a, b  cert.Name
		equal bool
	}{
		{name("Alice", "Example"), name("Alice", "Example"), true},
		{name("Alice", "Example"), name("ALICE", "example"), true},
		{name("Alice  Smith", "Example"), name(" Alice Smith ", "Example"), true},
		{name("ＡＬＩＣＥ", "Example"), name("alice", "Example"), true},
		{name("e\u0301", "Example"), name("\u00e9", "Example"), true},
		{name("Alice", "Example"), name("Bob", "Example"), false},
		{name("Alice", "Example"), name("AliceExample", ""), false},
		{name("Alice"), name("Alice", "Example"), false},
		{name("Alice\x00", "Example"), name("Alice", "Example"), false},
		{name("Al ice", "Example"), name("Alice", "Example"), false},
		{name("alice", "a", "b"), name("alice", "b", "a"), true}, // crypto/x509 puts both in one set
	} {
		if tt.a.Equal(tt.b) != tt.equal || tt.b.Equal(tt.a) != tt.equal {
			t.Errorf("%v and %v: want %v", tt.a, tt.b, tt.equal)
		}
		if tt.equal && (!tt.a.HasPrefix(tt.b) || !tt.b.HasPrefix(tt.a)) {
			t.Errorf("%v and %v are not in each other's subtree", tt.a, tt.b)
		}
	}
	long, short := name("Alice", "Example"), issue(t, testca.Subject(pkix.Name{Organization: []string{"Example"}})).Subject
	if !long.HasPrefix(short) || short.HasPrefix(long) || !long.HasPrefix(cert.Name{}) {
		t.Error("subtrees")
	}
}

func TestUsage(t *testing.T) {
	const sign, encrypt = true, true
	for _, tt := range []struct {
		name          string
		kind          testca.Kind
		usage         x509.KeyUsage
		sign, encrypt bool
	}{
		{"RSA, none", testca.RSA2048, 0, sign, encrypt},
		{"RSA, both", testca.RSA2048, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, sign, encrypt},
		{"RSA, signature", testca.RSA2048, x509.KeyUsageDigitalSignature, sign, !encrypt},
		{"RSA, nonRepudiation", testca.RSA2048, x509.KeyUsageContentCommitment, sign, !encrypt},
		{"RSA, keyEncipherment", testca.RSA2048, x509.KeyUsageKeyEncipherment, !sign, encrypt},
		{"RSA, keyAgreement", testca.RSA2048, x509.KeyUsageKeyAgreement, !sign, !encrypt},
		{"RSA, certSign", testca.RSA2048, x509.KeyUsageCertSign, !sign, !encrypt},
		{"EC, none", testca.P256, 0, sign, encrypt},
		{"EC, keyAgreement", testca.P256, x509.KeyUsageKeyAgreement, !sign, encrypt},
		{"EC, keyAgreement to decipher only", testca.P256, x509.KeyUsageKeyAgreement | x509.KeyUsageDecipherOnly, !sign, !encrypt},
		{"EC, keyEncipherment", testca.P256, x509.KeyUsageKeyEncipherment, !sign, !encrypt},
		{"Ed25519, none", testca.Ed25519, 0, sign, !encrypt},
		{"ML-DSA, none", testca.MLDSA65, 0, sign, !encrypt},
		{"X25519, none", testca.X25519, 0, !sign, encrypt},
	} {
		c := testca.NewRoot(t, "Root").Leaf("alice@example.com", tt.kind, testca.KeyUsage(tt.usage)).Certificate
		if c.CanSign() != tt.sign || c.CanEncrypt() != tt.encrypt {
			t.Errorf("%s: sign %v, encrypt %v", tt.name, c.CanSign(), c.CanEncrypt())
		}
	}
	c := issue(t, testca.Extension(oid.ExtKeyUsage, true, []byte{5, 0}))
	if c.CanSign() || c.CanEncrypt() {
		t.Error("a keyUsage that cannot be read allows")
	}
}

func TestCheckSignatureFrom(t *testing.T) {
	root, other := testca.NewRoot(t, "Root"), testca.NewRoot(t, "Other")
	leaf := root.Leaf("alice@example.com", testca.P256).Certificate
	if err := leaf.CheckSignatureFrom(root.Certificate); err != nil {
		t.Error(err)
	}
	if err := leaf.CheckSignatureFrom(other.Certificate); !errors.Is(err, cert.ErrSignature) {
		t.Errorf("%v", err)
	}
	unknown := *root.Certificate
	unknown.PublicKey = nil
	if err := leaf.CheckSignatureFrom(&unknown); !errors.Is(err, cert.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

// TestKeyBoundToPSS: a key's own identifier limits what it may sign (RFC 4055
// §1.2).
func TestKeyBoundToPSS(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	rsa := root.AuthorityOf(testca.RSA2048, "RSA")
	pkcs1 := rsa.Leaf("alice@example.com", testca.P256).Certificate
	pss256 := rsa.Leaf("alice@example.com", testca.P256, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS }).Certificate
	pss512 := rsa.Leaf("alice@example.com", testca.P256, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA512WithRSAPSS }).Certificate

	bound := func(id oid.AlgorithmIdentifier) *cert.Certificate {
		c := *rsa.Certificate
		c.SPKIAlgorithm = id
		return &c
	}
	anyPSS := bound(oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS})
	only256 := bound(pss256.SignatureAlgorithm)
	oaep := bound(oid.AlgorithmIdentifier{Algorithm: oid.RSAESOAEP})
	for _, tt := range []struct {
		name   string
		c      *cert.Certificate
		issuer *cert.Certificate
		good   bool
	}{
		{"PKCS1, free key", pkcs1, rsa.Certificate, true},
		{"PSS, free key", pss256, rsa.Certificate, true},
		{"PKCS1, PSS key", pkcs1, anyPSS, false},
		{"PSS, PSS key", pss256, anyPSS, true},
		{"PSS SHA-256, key for that", pss256, only256, true},
		{"PSS SHA-512, key for SHA-256", pss512, only256, false},
		{"PKCS1, OAEP key", pkcs1, oaep, false},
		{"PSS, OAEP key", pss256, oaep, false},
	} {
		if err := tt.c.CheckSignatureFrom(tt.issuer); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestParseAll(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256).Certificate
	all := []*cert.Certificate{leaf, ca.Issuing.Certificate, ca.Root.Certificate}
	var bundle, row []byte
	for _, c := range all {
		bundle = append(append(bundle, "Subject: "+c.Subject.String()+"\r\n"...), c.PEM()...)
		row = append(row, c.Raw...)
	}
	tagged := func(tag byte, b []byte) []byte {
		return append([]byte{tag, 0x82, byte(len(b) >> 8), byte(len(b))}, b...)
	}
	pkcs7 := func(certificates []byte) []byte {
		signed := append([]byte("\x02\x01\x01\x31\x00\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"), tagged(0xa0, certificates)...)
		signed = append(signed, 0x31, 0)
		return tagged(0x30, append([]byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), tagged(0xa0, tagged(0x30, signed))...))
	}
	ber := pkcs7(row)
	ber = append(append([]byte{0x30, 0x80}, ber[4:]...), 0, 0)
	space := bytes.Clone(leaf.Raw)
	space[len(space)-1] = '\n'
	for _, tt := range []struct {
		name string
		data []byte
		want int // certificates, -1 for an error
	}{
		{"DER that holds a line of PEM", issue(t, testca.Subject(pkix.Name{CommonName: "-----BEGIN CERTIFICATE-----"})).Raw, 1},
		{"PEM after a line that begins with 0", append([]byte("0 s:CN=Alice\n"), leaf.PEM()...), 1},
		{"DER that ends like a line", append(bytes.Clone(row), space...), 4},
		{"PKCS #7 with a line end", append(pkcs7(row), "\r\n"...), 3},
		{"PEM with text between", bundle, 3},
		{"DER", leaf.Raw, 1},
		{"DER with a line end", append(bytes.Clone(leaf.Raw), '\n'), 1},
		{"DER in a row", row, 3},
		{"PKCS #7", pkcs7(row), 3},
		{"PKCS #7, BER", ber, 3},
		{"PKCS #7, PEM", pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: pkcs7(row)}), 3},
		{"key between certificates", append(append(leaf.PEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})...), leaf.PEM()...), 2},
		{"trusted certificate", pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(leaf.Raw), 0x30, 0)}), 1},
		{"nothing", nil, -1},
		{"text", []byte("hello"), -1},
		{"only a key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), -1},
		{"broken among good ones", append(leaf.PEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw[:100]})...), -1},
		{"PKCS #7 without any", pkcs7(nil), -1},
		{"DER and rubbish", append(bytes.Clone(leaf.Raw), 0x30, 0x05, 1), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := cert.ParseAll(tt.data)
			if tt.want < 0 {
				if err == nil {
					t.Fatalf("%d certificates", len(list))
				}
				return
			}
			if err != nil || len(list) != tt.want || len(list) > 1 && !list[0].Equal(leaf) {
				t.Fatalf("%d certificates, %v", len(list), err)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	for _, kind := range []testca.Kind{testca.P256, testca.P384, testca.P521, testca.RSA2048, testca.RSA3072, testca.Ed25519, testca.MLDSA65} {
		key := testca.NewRoot(t, "Root").Leaf("alice@example.com", kind).Signer()
		der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{"Alice@EXAMPLE.com", "ália@bücher.example"}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := cert.ParseRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Emails(); !slices.Equal(got, []string{"Alice@example.com", "ália@xn--bcher-kva.example"}) {
			t.Errorf("%q", got)
		}
		if !r.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) || !r.Subject.Empty() {
			t.Error("another key, or a subject")
		}
		if _, err := cert.ParseRequest(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})); err != nil {
			t.Error(err)
		}
		if kind == testca.MLDSA65 {
			continue
		}
		std, err := x509.ParseCertificateRequest(der)
		if err != nil || std.CheckSignature() != nil || !slices.Equal(std.EmailAddresses, []string{"Alice@example.com"}) {
			t.Errorf("crypto/x509: %v", err)
		}
	}
}

// What public authorities read: the subject, with the address in it.
func TestRequestSubject(t *testing.T) {
	key := testca.NewRoot(t, "Root").Leaf("alice@example.com", testca.P256).Signer()
	der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{
		Emails: []string{"alice@example.com", "ália@example.com"}, CommonName: "Álice", Organization: "Example", Country: "JP", EmailInSubject: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil || r.CheckSignature() != nil {
		t.Fatal(err)
	}
	for _, e := range r.Extensions {
		if e.Critical {
			t.Errorf("%v is critical, and the subject is not empty", e.Id)
		}
	}
	ours, err := cert.ParseRequest(der)
	if err != nil || !slices.Equal(ours.Emails(), []string{"alice@example.com", "ália@example.com"}) {
		t.Errorf("%v, %v", ours, err)
	}
	if got := ours.Subject.String(); got != "emailAddress=alice@example.com,CN=Álice,O=Example,C=JP" {
		t.Errorf("subject %s", got)
	}
	for name, bad := range map[string]*cert.RequestTemplate{
		"country of three letters": {Country: "JPN"},
		"country in lower case":    {Country: "jp"},
		"control character":        {CommonName: "Alice\nMallory"},
		"65 characters":            {CommonName: strings.Repeat("あ", 65)},
		"no UTF-8":                 {Organization: "\xff"},
	} {
		if _, err := cert.CreateRequest(rand.Reader, key, bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestRequestRefused(t *testing.T) {
	key := testca.NewRoot(t, "Root").Leaf("alice@example.com", testca.P256).Signer()
	if _, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{"Alice <alice@example.com>"}}); err == nil {
		t.Error("made for something that is no address")
	}
	der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{"alice@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		if r, err := cert.ParseRequest(bad); err == nil {
			t.Fatalf("octet %d changed: taken, %q", i, r.Emails())
		}
	}
	if _, err := cert.ParseRequest(append(der, 0)); err == nil {
		t.Error("taken with data behind it")
	}
	if _, err := cert.ParseRequest(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err == nil {
		t.Error("taken from a PEM block of another type")
	}
}

// TestOtherPEMIsNoCRL: somebody who gives a certificate for a CRL hears so, and not of BER.
func TestOtherPEMIsNoCRL(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	_, err := cert.ParseCRL(root.Certificate.PEM())
	if err == nil || !strings.Contains(err.Error(), `"CERTIFICATE"`) {
		t.Errorf("%v", err)
	}
	if _, err := cert.ParseCRL(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: root.CRL(nil)})); err != nil {
		t.Error(err)
	}
}

// TestLongCRL: a list of many entries is read and asked without a number and a
// time for each of them.
func TestLongCRL(t *testing.T) {
	const entries = 100000
	root := testca.NewRoot(t, "Root")
	revoked := make([]testca.Revoked, entries)
	for i := range revoked {
		revoked[i] = testca.Revoked{SerialNumber: big.NewInt(int64(i)*3 + 1), RevocationTime: testca.Now.Add(-time.Hour)}
	}
	der := root.CRL(revoked)
	allocations := testing.AllocsPerRun(1, func() {
		l, err := cert.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		for serial, want := range map[int64]bool{1: true, 4: true, 3*(entries-1) + 1: true, 2: false, 0: false, 3 * entries: false} {
			if e, found := l.Lookup(root.Certificate.Subject, big.NewInt(serial)); found != want || found && e.Serial.Int64() != serial {
				t.Errorf("serial %d: found %v, %v", serial, found, e.Serial)
			}
		}
		if l.Len() != entries {
			t.Errorf("%d entries", l.Len())
		}
	})
	if allocations > entries/10 && !underRace {
		t.Errorf("%.0f allocations for %d entries", allocations, entries)
	}
}

func TestEmails(t *testing.T) {
	c := issue(t, testca.AltNames(false, testca.Mailbox("alice@example.com"), testca.UTF8Mailbox("ália@example.com")), testca.SubjectEmail("other@example.com"))
	if got := c.Emails(); !slices.Equal(got, []string{"alice@example.com", "ália@example.com"}) {
		t.Errorf("%q", got)
	}
	c = issue(t, testca.Emails(), testca.SubjectEmail("other@example.com"))
	if got := c.Emails(); !slices.Equal(got, []string{"other@example.com"}) {
		t.Errorf("%q", got)
	}
	c = issue(t, testca.Extension(oid.ExtSubjectAltName, false, []byte{5, 0}), testca.SubjectEmail("other@example.com"))
	if got := c.Emails(); len(got) != 0 {
		t.Errorf("%q from a certificate whose subjectAltName cannot be read", got)
	}
}

func TestLimits(t *testing.T) {
	if _, err := cert.Parse(make([]byte, cert.MaxCertificateSize+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
	if _, err := cert.ParseRequest(make([]byte, cert.MaxRequestSize+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
	root := testca.NewRoot(t, "Root")
	for n, good := range map[int]bool{cert.MaxExtensions: true, cert.MaxExtensions + 1: false} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		for i := range n {
			template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, i}, Value: []byte{5, 0}})
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, root.Key.Public(), root.Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Parse(der); (err == nil) != good {
			t.Errorf("%d extensions: %v", n, err)
		}
	}
}
