package issuance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rsaKeys makes each size once: the keys mean nothing.
var rsaKeys sync.Map

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	made, _ := rsaKeys.LoadOrStore(bits, sync.OnceValues(func() (*rsa.PrivateKey, error) {
		return rsa.GenerateKey(rand.Reader, bits)
	}))
	key, err := made.(func() (*rsa.PrivateKey, error))()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

func parse(t testing.TB, address string) mailbox.Mailbox {
	t.Helper()
	m, err := mailbox.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// authorities returns a root and an issuer below it, with keys of that kind.
func authorities(t testing.TB, rootKey, issuingKey crypto.Signer) (*cert.Certificate, *Issuer) {
	t.Helper()
	root, err := NewRoot(rootKey, AuthorityRequest{
		Subject: Subject{"XX", "Example", "Example Root"}, Serial: serial(t),
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	above, err := NewIssuer(root, rootKey, "http://ca.example.org/crl/root.crl", "http://ca.example.org/ca/root.cer")
	if err != nil {
		t.Fatal(err)
	}
	c, err := above.IssueAuthority(AuthorityRequest{
		Subject: Subject{"XX", "Example", "Example Issuing"}, Serial: serial(t), Key: issuingKey.Public(),
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	is, err := NewIssuer(c, issuingKey, "http://ca.example.org/crl/issuing.crl", "http://ca.example.org/ca/issuing.cer")
	if err != nil {
		t.Fatal(err)
	}
	return root, is
}

func config() ProfileConfig {
	return ProfileConfig{
		Name: "basic", Type: MailboxValidated, Generation: Multipurpose, ValidityDays: 730,
		Policy:       OperatorPolicy("2.25.340282366920938463463374607431768211455", MailboxValidated, Multipurpose),
		Capabilities: []oid.OID{oid.AES256CBC, oid.AES128CBC},
	}
}

func profile(t testing.TB, c ProfileConfig) *Profile {
	t.Helper()
	p, err := NewProfile(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func issue(t testing.TB, p *Profile, is *Issuer, key crypto.PublicKey, addresses ...string) *cert.Certificate {
	t.Helper()
	r := Request{Key: key, Serial: serial(t), NotBefore: now}
	for _, a := range addresses {
		r.Names.Mailboxes = append(r.Names.Mailboxes, parse(t, a))
	}
	prepared, err := Prepare(p, is, r)
	if err != nil {
		t.Fatal(err)
	}
	want := prepared.TBS()
	c, err := is.Issue(prepared)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.RawTBS, want) {
		t.Fatal("what was signed is not what was prepared")
	}
	if _, err := is.Issue(prepared); err == nil {
		t.Error("one preparation was issued twice")
	}
	return c
}

// The chain as crypto/x509 sees it, for every kind of key on both sides.
func TestOracle(t *testing.T) {
	for name, keys := range map[string][2]crypto.Signer{
		"RSA":     {ecKey(t, elliptic.P384()), rsaKey(t, 4096)},
		"P-256":   {ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256())},
		"Ed25519": {edKey(t), edKey(t)},
	} {
		t.Run(name, func(t *testing.T) {
			root, is := authorities(t, keys[0], keys[1])
			for subject, key := range map[string]crypto.Signer{
				"RSA-2048": rsaKey(t, 2048), "P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "Ed25519": edKey(t),
			} {
				c := issue(t, profile(t, config()), is, key.Public(), "alice@example.org")
				checkOracle(t, subject, c, is.Certificate(), root)
			}
		})
	}
}

func checkOracle(t *testing.T, name string, c, issuing, root *cert.Certificate) {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatalf("%s: crypto/x509: %v", name, err)
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now}
	for pool, c := range map[*x509.CertPool]*cert.Certificate{o.Roots: root, o.Intermediates: issuing} {
		parsed, err := x509.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatalf("%s: crypto/x509: %v", name, err)
		}
		pool.AddCert(parsed)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth} {
		o.KeyUsages = []x509.ExtKeyUsage{usage}
		if _, err := leaf.Verify(o); err != nil {
			t.Errorf("%s: usage %d: %v", name, usage, err)
		}
	}
	o.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := leaf.Verify(o); err == nil {
		t.Errorf("%s: the certificate serves a TLS server", name)
	}
	if len(leaf.EmailAddresses) != 1 || leaf.EmailAddresses[0] != "alice@example.org" {
		t.Errorf("%s: crypto/x509 reads the addresses %q", name, leaf.EmailAddresses)
	}
}

// A host certificate below our authorities must fail by the name constraints,
// even when the purpose is not looked at.
func TestNoHosts(t *testing.T) {
	rootKey, key := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	root, is := authorities(t, rootKey, key)
	for _, authority := range []*cert.Certificate{root, is.Certificate()} {
		e, ok := authority.Extension(oid.ExtNameConstraints)
		if !ok || !e.Critical {
			t.Fatalf("%s: no critical name constraints", authority.Subject)
		}
	}
	issuing, err := x509.ParseCertificate(is.Certificate().Raw)
	if err != nil {
		t.Fatal(err)
	}
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	parsed, err := x509.ParseCertificate(root.Raw)
	if err != nil {
		t.Fatal(err)
	}
	o.Roots.AddCert(parsed)
	o.Intermediates.AddCert(issuing)
	for name, template := range map[string]*x509.Certificate{
		"DNS":  {DNSNames: []string{"www.example.org"}},
		"IPv4": {IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}},
		"IPv6": {IPAddresses: []net.IP{net.ParseIP("2001:db8::1")}},
	} {
		template.SerialNumber = serial(t)
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, issuing, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		host, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = host.Verify(o)
		if refused, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || refused.Reason != x509.CANotAuthorizedForThisName {
			t.Errorf("%s: %v, want it to break the name constraints", name, err)
		}
	}
}

// What private authorities issue carries their operator's policy, which lints
// do not know. So the same certificate is made once more with the reserved
// identifier, signed by a key that is thrown away, and linted.
func TestLint(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P384()), rsaKey(t, 4096))
	_, ecIssuer := authorities(t, ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256()))
	keys := map[string]crypto.PublicKey{
		"RSA-2048": rsaKey(t, 2048).Public(), "RSA-3072": rsaKey(t, 3072).Public(),
		"P-256": ecKey(t, elliptic.P256()).Public(), "P-384": ecKey(t, elliptic.P384()).Public(), "Ed25519": edKey(t).Public(),
	}
	long := strings.Repeat("a", 60) + "@" + "example.org"
	for _, generation := range []Generation{Multipurpose, Strict} {
		c := config()
		c.Generation, c.Compliance, c.ValidityDays = generation, "twin for lint, never issued", MaxValidityDays
		c.Policy = ReservedPolicy(c.Type, generation)
		for name, key := range keys {
			for _, issuer := range []*Issuer{is, ecIssuer} {
				for _, address := range []string{"alice@example.org", long} {
					lintTwin(t, string(generation)+" "+name, issue(t, profile(t, c), issuer, key, address))
				}
			}
		}
	}
}

// lintTwin wants no error and no warning, and that the S/MIME lints ran.
func lintTwin(t *testing.T, name string, c *cert.Certificate) {
	t.Helper()
	parsed, err := zx509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatalf("%s: zlint: %v", name, err)
	}
	ran := 0
	for id, r := range zlint.LintCertificate(parsed).Results {
		if r.Status >= lint.Warn {
			t.Errorf("%s: %s: %v %s", name, id, r.Status, r.Details)
		}
		if r.Status == lint.Pass && lint.GlobalRegistry().ByName(id).Source == lint.CABFSMIMEBaselineRequirements {
			ran++
		}
	}
	if ran < 10 {
		t.Errorf("%s: only %d lints of the S/MIME Baseline Requirements ran", name, ran)
	}
}

// Each rule has a certificate that breaks it alone, and is never signed.
func TestRules(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	_, other := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	p := profile(t, config())
	alice := parse(t, "alice@example.org")
	replace := func(e extension) func(*tbsCertificate) {
		return func(c *tbsCertificate) {
			for i := range c.extensions {
				if c.extensions[i].id == e.id {
					c.extensions[i] = e
				}
			}
		}
	}
	without := func(id oid.OID) func(*tbsCertificate) {
		return func(c *tbsCertificate) {
			var kept []extension
			for _, e := range c.extensions {
				if e.id != id {
					kept = append(kept, e)
				}
			}
			c.extensions = kept
		}
	}
	add := func(e extension) func(*tbsCertificate) {
		return func(c *tbsCertificate) { c.extensions = append(c.extensions, e) }
	}
	subject := func(attributes ...attribute) func(*tbsCertificate) {
		return func(c *tbsCertificate) {
			var err error
			if c.subject, err = name(attributes...); err != nil {
				t.Fatal(err)
			}
		}
	}
	raw := func(id oid.OID, value []byte) extension {
		return extension{id, false, func(b *cryptobyte.Builder) { b.AddBytes(value) }}
	}
	spki := func(key crypto.PublicKey) []byte {
		der, err := encodeKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	eve := []mailbox.Mailbox{parse(t, "eve@example.com")}
	for _, test := range []struct {
		name   string
		change func(*tbsCertificate)
		want   string
	}{
		{"serial zero", func(c *tbsCertificate) { c.serial = new(big.Int) }, "serial number"},
		{"serial negative", func(c *tbsCertificate) { c.serial = new(big.Int).Neg(c.serial) }, "serial number"},
		{"serial short", func(c *tbsCertificate) { c.serial = big.NewInt(1<<62 + 1) }, "serial number"},
		{"serial long", func(c *tbsCertificate) { c.serial = new(big.Int).Lsh(big.NewInt(1), 159) }, "serial number"},
		{"issuer of somebody else", func(c *tbsCertificate) { c.issuer = c.subject }, "issuer is not"},
		{"algorithm inside differs", func(c *tbsCertificate) { c.algorithm.Algorithm = oid.ECDSAWithSHA384 }, "algorithm differs"},
		{"a second too long", func(c *tbsCertificate) { c.notAfter = c.notAfter.Add(time.Second) }, "valid for"},
		{"a day short", func(c *tbsCertificate) { c.notAfter = c.notAfter.Add(-24 * time.Hour) }, "valid for"},
		{"before the authority", func(c *tbsCertificate) {
			c.notBefore, c.notAfter = c.notBefore.Add(-2*time.Hour), c.notAfter.Add(-2*time.Hour)
		}, "outside the validity"},
		{"after the authority", func(c *tbsCertificate) {
			c.notBefore, c.notAfter = c.notBefore.AddDate(9, 0, 0), c.notBefore.AddDate(9, 0, 730).Add(-time.Second)
		}, "outside the validity"},
		{"weak key", func(c *tbsCertificate) { c.spki = spki(rsaKey(t, 1024).Public()) }, "1024 bits"},
		{"curve off the list", func(c *tbsCertificate) { c.spki = spki(ecKey(t, elliptic.P521()).Public()) }, "P-521"},
		{"key in another form", func(c *tbsCertificate) { c.spki = compressed(t, c.spki) }, "canonical form"},
		{"key of another usage", func(c *tbsCertificate) { c.spki = spki(edKey(t).Public()) }, "keyUsage"},
		{"key identifier of another key", func(c *tbsCertificate) { c.spki = spki(ecKey(t, elliptic.P256()).Public()) }, "subjectKeyIdentifier"},
		{"keyUsage too wide", replace(keyUsage(cert.KeyUsageDigitalSignature | cert.KeyUsageKeyAgreement | cert.KeyUsageCertSign)), "keyUsage"},
		{"keyUsage missing", without(oid.ExtKeyUsage), "keyUsage"},
		{"keyUsage not critical", func(c *tbsCertificate) { c.extensions[0].critical = false }, "critical is false"},
		{"extKeyUsage serverAuth", replace(extKeyUsage(oid.EmailProtection, oid.ClientAuth, oid.ServerAuth)), "extKeyUsage"},
		{"extKeyUsage any", replace(extKeyUsage(oid.AnyExtendedKeyUsage)), "extKeyUsage"},
		{"extKeyUsage missing", without(oid.ExtExtKeyUsage), "extKeyUsage"},
		{"authority", add(basicConstraints(0)), "basicConstraints"},
		{"key identifier missing", without(oid.ExtSubjectKeyID), "subjectKeyIdentifier"},
		{"issuer's key identifier wrong", replace(authorityKeyID(make([]byte, 20))), "authorityKeyIdentifier"},
		{"policy of somebody else", replace(certificatePolicies("2.25.1.1.2")), "certificatePolicies"},
		{"reserved policy", replace(certificatePolicies(ReservedPolicy(MailboxValidated, Multipurpose))), "certificatePolicies"},
		{"policy missing", without(oid.ExtCertificatePolicies), "certificatePolicies"},
		{"CRL elsewhere", replace(crlDistributionPoint("http://example.com/x.crl")), "cRLDistributionPoints"},
		{"CRL missing", without(oid.ExtCRLDistributionPoints), "cRLDistributionPoints"},
		{"authority's certificate elsewhere", replace(authorityInfoAccess("", "http://example.com/x.cer")), "authorityInfoAccess"},
		{"OCSP nobody answers", replace(authorityInfoAccess("http://ca.example.org/ocsp", is.certificateURL)), "authorityInfoAccess"},
		{"capabilities with GCM", replace(capabilities([]oid.OID{oid.AES256GCM})), "smimeCapabilities"},
		{"capabilities missing", without(oid.ExtSMIMECapabilities), "smimeCapabilities"},
		{"capabilities broken", replace(raw(oid.ExtSMIMECapabilities, []byte{0x30, 0x02, 0x05, 0x00})), "smimeCapabilities"},
		{"unknown extension", add(raw("1.2.3.4", []byte{0x05, 0x00})), "no place in the profile"},
		{"subjectDirectoryAttributes", add(raw(oid.ExtSubjectDirectoryAttributes, []byte{0x30, 0x00})), "no place in the profile"},
		{"repeated extension", add(extKeyUsage(oid.EmailProtection, oid.ClientAuth)), "repeated"},
		{"broken extension", replace(raw(oid.ExtExtKeyUsage, []byte{0x30, 0x05})), "malformed"},
		{"name of somebody else", replace(subjectAltName(eve, false)), "not the proven mailbox"},
		{"one name more", replace(subjectAltName([]mailbox.Mailbox{alice, eve[0]}, false)), "2 names for 1"},
		{"no name", without(oid.ExtSubjectAltName), "0 names for 1"},
		{"name in the wrong form", replace(extension{oid.ExtSubjectAltName, false, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte{0x30, 0x13, 0x82, 0x11})
			b.AddBytes([]byte("alice@example.org"))
		}}), "not the proven mailbox"},
		{"NUL in the name", replace(extension{oid.ExtSubjectAltName, false, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte{0x30, 0x14, 0x81, 0x12})
			b.AddBytes([]byte("alice@example.org\x00"))
		}}), "not the proven mailbox"},
		{"names critical", replace(subjectAltName([]mailbox.Mailbox{alice}, true)), "critical is true"},
		{"subject is a person", subject(attribute{oid.CommonName, "Alice Example"}), "subject is not what"},
		{"subject says more", subject(attribute{oid.Organization, "Example"}, attribute{oid.CommonName, "alice@example.org"}), "subject is not what"},
		{"subject empty", subject(), "subject is not what"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tbs, err := p.build(is, Request{
				Key: ecKey(t, elliptic.P256()).Public(), Serial: serial(t), NotBefore: now, Names: Names{Mailboxes: []mailbox.Mailbox{alice}},
			})
			if err != nil {
				t.Fatal(err)
			}
			der, err := tbs.der()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Resume(p, is, der, Names{Mailboxes: []mailbox.Mailbox{alice}}); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			if _, err := Resume(p, other, der, Names{Mailboxes: []mailbox.Mailbox{alice}}); err == nil {
				t.Error("another authority took it")
			}
			test.change(tbs)
			if der, err = tbs.der(); err != nil {
				t.Fatal(err)
			}
			_, err = Resume(p, is, der, Names{Mailboxes: []mailbox.Mailbox{alice}})
			if !errors.Is(err, ErrProfile) && !errors.Is(err, ErrWeakKey) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want a refusal that says %q", err, test.want)
			}
		})
	}
}

// compressed writes the point of an EC key in its short form.
func compressed(t *testing.T, spki []byte) []byte {
	t.Helper()
	key, err := cert.ParsePublicKey(spki)
	if err != nil {
		t.Fatal(err)
	}
	ec := key.(*ecdsa.PublicKey)
	var b cryptobyte.Builder
	b.AddASN1(0x30, func(b *cryptobyte.Builder) {
		oid.AlgorithmIdentifier{Algorithm: oid.ECPublicKey, Parameters: []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}}.Add(b)
		b.AddASN1BitString(elliptic.MarshalCompressed(ec.Curve, ec.X, ec.Y))
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestNames(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	p := profile(t, config())
	key := ecKey(t, elliptic.P256()).Public()
	long := strings.Repeat("a", 60) + "@example.org"
	for _, test := range []struct {
		addresses []string
		subject   string
	}{
		{[]string{"alice@example.org"}, "CN=alice@example.org"},
		{[]string{"alice@example.org", "a.example@example.com"}, "CN=alice@example.org"},
		{[]string{long}, ""},
		{[]string{"\u7530\u4e2d@example.org"}, "CN=\u7530\u4e2d@example.org"},
	} {
		c := issue(t, p, is, key, test.addresses...)
		if got := c.Subject.String(); got != test.subject {
			t.Errorf("subject %q, want %q", got, test.subject)
		}
		if got := c.Emails(); strings.Join(got, " ") != strings.Join(test.addresses, " ") {
			t.Errorf("names %q, want %q", got, test.addresses)
		}
		e, _ := c.Extension(oid.ExtSubjectAltName)
		if e.Critical != (test.subject == "") {
			t.Errorf("%q: subjectAltName critical %v", test.addresses, e.Critical)
		}
	}
	for name, mailboxes := range map[string][]mailbox.Mailbox{
		"none": nil, "too many": make([]mailbox.Mailbox, MaxMailboxes+1), "zero": {{}},
	} {
		if _, err := Prepare(p, is, Request{Key: key, Serial: serial(t), NotBefore: now, Names: Names{Mailboxes: mailboxes}}); err == nil {
			t.Errorf("%s mailboxes: prepared", name)
		}
	}
}

func TestProfiles(t *testing.T) {
	good := profile(t, config())
	again, err := ParseProfile(good.Text())
	if err != nil || !bytes.Equal(again.Hash(), good.Hash()) {
		t.Errorf("read back: %v, or another hash", err)
	}
	if _, err := ParseProfile([]byte(`{"name":"x","surprise":1}`)); err == nil {
		t.Error("a profile with an unknown member was read")
	}
	for name, change := range map[string]func(*ProfileConfig){
		"no name":                    func(c *ProfileConfig) { c.Name = "" },
		"no type":                    func(c *ProfileConfig) { c.Type = "" },
		"other type":                 func(c *ProfileConfig) { c.Type = "domain-validated" },
		"legacy":                     func(c *ProfileConfig) { c.Generation = "legacy" },
		"no time":                    func(c *ProfileConfig) { c.ValidityDays = 0 },
		"too long":                   func(c *ProfileConfig) { c.ValidityDays = MaxValidityDays + 1 },
		"no policy":                  func(c *ProfileConfig) { c.Policy = "" },
		"broken policy":              func(c *ProfileConfig) { c.Policy = "2.25.-1" },
		"reserved, undeclared":       func(c *ProfileConfig) { c.Policy = "2.23.140.1.5.1.2" },
		"reserved for another type":  func(c *ProfileConfig) { c.Policy, c.Compliance = "2.23.140.1.5.3.2", "declared" },
		"reserved for strict":        func(c *ProfileConfig) { c.Policy, c.Compliance = "2.23.140.1.5.1.3", "declared" },
		"unknown capability":         func(c *ProfileConfig) { c.Capabilities = []oid.OID{oid.DES3CBC} },
		"capability named two times": func(c *ProfileConfig) { c.Capabilities = []oid.OID{oid.AES256CBC, oid.AES256CBC} },
	} {
		c := config()
		change(&c)
		if _, err := NewProfile(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestIssuerRefusals(t *testing.T) {
	rootKey, key := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	_, is := authorities(t, rootKey, key)
	leaf := issue(t, profile(t, config()), is, key.Public(), "alice@example.org")
	const crl, ca = "http://ca.example.org/x.crl", "http://ca.example.org/x.cer"
	for name, err := range map[string]error{
		"other key":    second(NewIssuer(is.Certificate(), rootKey, crl, ca)),
		"not a CA":     second(NewIssuer(leaf, key, crl, ca)),
		"https CRL":    second(NewIssuer(is.Certificate(), key, "https://ca.example.org/x.crl", ca)),
		"no host":      second(NewIssuer(is.Certificate(), key, crl, "http:///x.cer")),
		"password":     second(NewIssuer(is.Certificate(), key, crl, "http://u:p@ca.example.org/")),
		"outlives":     second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"XX", "A", "B"}, Key: key.Public(), Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(11, 0, 0)})),
		"no name":      second(is.IssueAuthority(AuthorityRequest{Key: key.Public(), Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})),
		"country":      second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"x@", "A", "B"}, Key: key.Public(), Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})),
		"long name":    second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"XX", "A", strings.Repeat("B", 65)}, Key: key.Public(), Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})),
		"weak":         second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"XX", "A", "B"}, Key: rsaKey(t, 1024).Public(), Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})),
		"RSA-2048":     second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"XX", "A", "B"}, Key: rsaKey(t, 2048).Public(), Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})),
		"no serial":    second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"XX", "A", "B"}, Key: key.Public(), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})),
		"backwards":    second(is.IssueAuthority(AuthorityRequest{Subject: Subject{"XX", "A", "B"}, Key: key.Public(), Serial: serial(t), NotBefore: now, NotAfter: now})),
		"zero token":   second(is.Issue(&Prepared{})),
		"no token":     second(is.Issue(nil)),
		"weak request": second(Prepare(profile(t, config()), is, Request{Key: rsaKey(t, 1024).Public(), Serial: serial(t), NotBefore: now, Names: Names{Mailboxes: []mailbox.Mailbox{parse(t, "a@example.org")}}})),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// FuzzResume: whatever bytes come back from the store, nothing is admitted
// that does not name alice alone and is not valid for the profile's time.
func FuzzResume(f *testing.F) {
	_, is := authorities(f, ecKey(f, elliptic.P256()), ecKey(f, elliptic.P256()))
	p := profile(f, config())
	alice := []mailbox.Mailbox{parse(f, "alice@example.org")}
	tbs, err := p.build(is, Request{Key: ecKey(f, elliptic.P256()).Public(), Serial: serial(f), NotBefore: now, Names: Names{Mailboxes: alice}})
	if err != nil {
		f.Fatal(err)
	}
	der, err := tbs.der()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		prepared, err := Resume(p, is, der, Names{Mailboxes: alice})
		if err != nil {
			return
		}
		c, err := is.Issue(prepared)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Emails(); len(got) != 1 || got[0] != "alice@example.org" || c.BasicConstraints.CA {
			t.Fatalf("admitted %q, authority %v", got, c.BasicConstraints.CA)
		}
	})
}
