package issuance

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

const testArc = "2.25.340282366920938463463374607431768211455"

func evidence(section string) Evidence {
	return Evidence{Method: section, Reference: "file 17", Validated: now.AddDate(0, -1, 0)}
}

func organizationConfig() OrganizationConfig {
	return OrganizationConfig{
		Name: "株式会社見本", Identifier: "NTRJP-0100-01-000001", Affiliate: "Example Affiliate K.K.",
		Address:  Address{Country: "JP", StateOrProvince: "東京都", Locality: "港区", Street: "芝1-2-3", PostalCode: "105-0011"},
		Evidence: evidence("3.2.3"),
	}
}

func individualConfig() IndividualConfig {
	return IndividualConfig{
		GivenName: "太郎", Surname: "田中", Display: "田中 太郎 (Taro TANAKA)", Title: "部長", SerialNumber: "000123",
		Address: Address{Country: "JP", Locality: "Minato"}, Evidence: evidence("3.2.4.1"),
	}
}

// namesFor is what a certificate of that type is made of.
func namesFor(t testing.TB, kind Type) Names {
	t.Helper()
	n := Names{Mailboxes: []mailbox.Mailbox{parse(t, "alice@example.org"), parse(t, "田中@example.org")}}
	var err error
	if kind == OrganizationValidated || kind == SponsorValidated {
		if n.Organization, err = NewOrganization(organizationConfig()); err != nil {
			t.Fatal(err)
		}
	}
	if kind == SponsorValidated || kind == IndividualValidated {
		if n.Individual, err = NewIndividual(individualConfig()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// typeConfig is the profile of a kind.
func typeConfig(kind Type, generation Generation, use KeyUse) ProfileConfig {
	return ProfileConfig{
		Name: fmt.Sprintf("%s %s %s", kind, generation, use), Type: kind, Generation: generation, KeyUse: use,
		Policy: OperatorPolicy(testArc, kind, generation), ValidityDays: MaxValidityDays,
		Capabilities: []oid.OID{oid.AES256CBC, oid.AES128CBC},
	}
}

func issueNames(t testing.TB, p *Profile, is *Issuer, key crypto.PublicKey, n Names) *cert.Certificate {
	t.Helper()
	prepared, err := Prepare(p, is, Request{Key: key, Names: n, Serial: serial(t), NotBefore: now})
	if err != nil {
		t.Fatalf("%s: %v", p.Name(), err)
	}
	c, err := is.Issue(prepared)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Four types, two generations, one key or two, every kind of key: the lints
// that anybody can run find nothing, and OpenSSL and Go build the chain.
func TestTypes(t *testing.T) {
	root, is := authorities(t, ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256()))
	keys := map[Algorithm]crypto.Signer{
		RSA: rsaKey(t, 2048), P256: ecKey(t, elliptic.P256()), P384: ecKey(t, elliptic.P384()), Ed25519: edKey(t),
	}
	var issued []*cert.Certificate
	for _, kind := range lint.Types {
		for _, generation := range []Generation{Multipurpose, Strict} {
			for _, use := range []KeyUse{Dual, Signing, Encryption} {
				p := profile(t, typeConfig(kind, generation, use))
				for _, a := range p.algorithms() {
					c := issueNames(t, p, is, keys[a].Public(), namesFor(t, kind))
					issued = append(issued, c)
					t.Run(p.Name()+" "+string(a), func(t *testing.T) { checkIssued(t, p, c, root, is.Certificate()) })
				}
			}
		}
	}
	opensslChain(t, root, is.Certificate(), issued)
}

func checkIssued(t *testing.T, p *Profile, c, root, issuing *cert.Certificate) {
	t.Helper()
	kind := lint.Kind{Type: p.config.Type, Generation: p.config.Generation}
	if found := lint.Check(&lint.Subject{Certificate: c, Kind: kind, Private: true}); len(found) > 0 {
		t.Errorf("our rules: %+v", found)
	}
	twin, err := lint.Twin(c.RawTBS, kind.ReservedPolicy())
	if err != nil {
		t.Fatal(err)
	}
	found, err := lint.ZLint(twin)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("zlint: %+v", f)
	}
	usage := x509.ExtKeyUsageEmailProtection
	goChain(t, c, root, issuing, usage, true)
	logsIn := kind.Generation == Multipurpose && c.KeyUsage&cert.KeyUsageDigitalSignature != 0
	goChain(t, c, root, issuing, x509.ExtKeyUsageClientAuth, logsIn)
	if c.CanSign() != (p.KeyUse() != Encryption) || c.CanEncrypt() != (p.KeyUse() != Signing && c.SPKIAlgorithm.Algorithm != oid.Ed25519) {
		t.Errorf("signs %v, encrypts %v", c.CanSign(), c.CanEncrypt())
	}
}

func goChain(t *testing.T, c, root, issuing *cert.Certificate, usage x509.ExtKeyUsage, want bool) {
	t.Helper()
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	}
	o.Roots.AppendCertsFromPEM(root.PEM())
	o.Intermediates.AppendCertsFromPEM(issuing.PEM())
	leaf, err := x509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(o); (err == nil) != want {
		t.Errorf("crypto/x509, usage %d: %v", usage, err)
	}
}

// openssl returns the path of the program: a newer one where OPENSSL names it.
func openssl(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("OPENSSL"); path != "" {
		return path
	}
	path, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("openssl is missing: run scripts/test-deps")
	}
	if err != nil {
		t.Skip("openssl is missing: run scripts/test-deps")
	}
	return path
}

// opensslChain has OpenSSL build all chains in one run.
func opensslChain(t *testing.T, root, issuing *cert.Certificate, leaves []*cert.Certificate) {
	t.Helper()
	program, dir := openssl(t), t.TempDir()
	write := func(name string, c *cert.Certificate) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{
		"verify", "-x509_strict", "-purpose", "any", "-attime", fmt.Sprint(now.Unix()),
		"-CAfile", write("root.pem", root), "-untrusted", write("issuing.pem", issuing),
	}
	for i, c := range leaves {
		args = append(args, write(fmt.Sprintf("%d.pem", i), c))
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	if n := bytes.Count(out, []byte(": OK")); err != nil || n != len(leaves) {
		t.Errorf("OpenSSL builds %d of %d chains: %v\n%s", n, len(leaves), err, out)
	}
}

// What stands in the subject of each type, in order.
func TestSubjects(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	key := ecKey(t, elliptic.P256()).Public()
	const address, street = "C=JP,ST=東京都,L=港区", ",postalCode=105-0011,street=芝1-2-3"
	const organization = ",O=株式会社見本,OU=Example Affiliate K.K.,organizationIdentifier=NTRJP-0100-01-000001"
	const person = "SN=田中,givenName=太郎,title=部長,serialNumber=000123"
	for _, tt := range []struct {
		kind       Type
		generation Generation
		common     CommonName
		want       string
	}{
		{MailboxValidated, Strict, "", "CN=alice@example.org"},
		{OrganizationValidated, Multipurpose, "", address + street + organization + ",CN=株式会社見本"},
		{OrganizationValidated, Strict, NameMailbox, address + organization + ",CN=alice@example.org"},
		{SponsorValidated, Multipurpose, "", address + street + organization + "," + person + ",CN=田中 太郎 (Taro TANAKA)"},
		{SponsorValidated, Strict, NameMailbox, address + organization + "," + person + ",CN=alice@example.org"},
		{IndividualValidated, Strict, NamePerson, "C=JP,L=Minato," + person + ",CN=田中 太郎 (Taro TANAKA)"},
	} {
		c := typeConfig(tt.kind, tt.generation, Dual)
		c.CommonName = tt.common
		got := issueNames(t, profile(t, c), is, key, namesFor(t, tt.kind))
		var parts []string
		for _, rdn := range got.Subject.RDNs {
			parts = append(parts, short(rdn[0].Type)+"="+rdn[0].Value)
		}
		if text := strings.Join(parts, ","); text != tt.want {
			t.Errorf("%s %s: %s\nwant %s", tt.kind, tt.generation, text, tt.want)
		}
		if emails := got.Emails(); !slices.Equal(emails, []string{"alice@example.org", "田中@example.org"}) {
			t.Errorf("%s: mailboxes %q", tt.kind, emails)
		}
	}
}

// short names attribute types as RFC 4519 does.
func short(id oid.OID) string {
	switch id {
	case oid.StateOrProvince:
		return "ST"
	case oid.Surname:
		return "SN"
	case oid.StreetAddress:
		return "street"
	}
	return id.Name()
}

// Names come in as values that were validated, or not at all.
func TestNamesRefused(t *testing.T) {
	organization := func(change func(*OrganizationConfig)) error {
		c := organizationConfig()
		change(&c)
		return second(NewOrganization(c))
	}
	person := func(change func(*IndividualConfig)) error {
		c := individualConfig()
		change(&c)
		return second(NewIndividual(c))
	}
	for name, err := range map[string]error{
		"organization without a name":       organization(func(c *OrganizationConfig) { c.Name = "" }),
		"organization with a long name":     organization(func(c *OrganizationConfig) { c.Name = strings.Repeat("株", 65) }),
		"organization of dots":              organization(func(c *OrganizationConfig) { c.Name = "..." }),
		"organization with a line break":    organization(func(c *OrganizationConfig) { c.Name = "Example\nInc." }),
		"organization turned around":        organization(func(c *OrganizationConfig) { c.Name = "Example \u202einc." }),
		"organization not composed":         organization(func(c *OrganizationConfig) { c.Name = "Cafe\u0301" }),
		"organization not UTF-8":            organization(func(c *OrganizationConfig) { c.Name = "Caf\xe9" }),
		"organization with space around":    organization(func(c *OrganizationConfig) { c.Name = "Example " }),
		"organization without identifier":   organization(func(c *OrganizationConfig) { c.Identifier = "" }),
		"identifier without a scheme":       organization(func(c *OrganizationConfig) { c.Identifier = "0100-01-000001" }),
		"identifier of another country":     organization(func(c *OrganizationConfig) { c.Identifier = "NTRUS-1" }),
		"country that is none":              organization(func(c *OrganizationConfig) { c.Address.Country, c.Identifier = "QQ", "INTXG" }),
		"locality without a country":        organization(func(c *OrganizationConfig) { c.Address.Country = "" }),
		"street without a place":            organization(func(c *OrganizationConfig) { c.Address.Locality, c.Address.StateOrProvince = "", "" }),
		"affiliate that says nothing":       organization(func(c *OrganizationConfig) { c.Affiliate = "-" }),
		"organization without evidence":     organization(func(c *OrganizationConfig) { c.Evidence = Evidence{} }),
		"organization by a mailbox's proof": organization(func(c *OrganizationConfig) { c.Evidence.Method = "3.2.2.2" }),
		"organization by a longer number":   organization(func(c *OrganizationConfig) { c.Evidence.Method = "3.2.31" }),
		"evidence without documents":        organization(func(c *OrganizationConfig) { c.Evidence.Reference = "" }),
		"evidence without a time":           organization(func(c *OrganizationConfig) { c.Evidence.Validated = time.Time{} }),

		"pseudonym beside a name":            person(func(c *IndividualConfig) { c.Pseudonym = "nobody" }),
		"given name alone":                   person(func(c *IndividualConfig) { c.Surname = "" }),
		"nobody":                             person(func(c *IndividualConfig) { c.Surname, c.GivenName = "", "" }),
		"another pseudonym in the display":   person(func(c *IndividualConfig) { c.Surname, c.GivenName, c.Pseudonym = "", "", "nobody" }),
		"display name like a mailbox":        person(func(c *IndividualConfig) { c.Display = "eve@example.org" }),
		"display name too long":              person(func(c *IndividualConfig) { c.Display = strings.Repeat("田", 65) }),
		"title that says nothing":            person(func(c *IndividualConfig) { c.Title = "." }),
		"serial number in kanji":             person(func(c *IndividualConfig) { c.SerialNumber = "一" }),
		"serial number with an at sign":      person(func(c *IndividualConfig) { c.SerialNumber = "a@b" }),
		"person by the organization's proof": person(func(c *IndividualConfig) { c.Evidence.Method = "3.2.3" }),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, err := range map[string]error{
		"country XX":        organization(func(c *OrganizationConfig) { c.Address.Country, c.Identifier = "XX", "INTXG" }),
		"no address":        organization(func(c *OrganizationConfig) { c.Address = Address{} }),
		"one name only":     person(func(c *IndividualConfig) { c.GivenName = "" }),
		"pseudonym alone":   person(func(c *IndividualConfig) { *c = IndividualConfig{Pseudonym: "山田", Evidence: c.Evidence} }),
		"ideographic space": person(func(c *IndividualConfig) { c.Display = "田中\u3000太郎" }),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The names must be those of the type, and their evidence young enough.
func TestNamesOfTheType(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	key := ecKey(t, elliptic.P256()).Public()
	prepare := func(kind Type, n Names) error {
		return second(Prepare(profile(t, typeConfig(kind, Strict, Dual)), is, Request{Key: key, Names: n, Serial: serial(t), NotBefore: now}))
	}
	for _, kind := range lint.Types {
		for _, other := range lint.Types {
			if err := prepare(kind, namesFor(t, other)); (err == nil) != (kind == other) {
				t.Errorf("%s with the names of %s: %v", kind, other, err)
			}
		}
	}
	for age, want := range map[time.Duration]bool{
		EvidenceLife: true, EvidenceLife + time.Second: false, -clockSlack: true, -clockSlack - time.Second: false,
	} {
		c := organizationConfig()
		c.Evidence.Validated = now.Add(-age)
		o, err := NewOrganization(c)
		if err != nil {
			t.Fatal(err)
		}
		n := namesFor(t, OrganizationValidated)
		n.Organization = o
		if err := prepare(OrganizationValidated, n); (err == nil) != want {
			t.Errorf("evidence %v old: %v", age, err)
		}
		i := individualConfig()
		i.Evidence.Validated = now.Add(-age)
		n = namesFor(t, IndividualValidated)
		if n.Individual, err = NewIndividual(i); err != nil {
			t.Fatal(err)
		}
		if err := prepare(IndividualValidated, n); (err == nil) != want {
			t.Errorf("evidence of a person %v old: %v", age, err)
		}
	}
}

// What is linted is what is signed, but for the policy: with its own one the
// twin is the original again, octet for octet; and the same request gives the
// same bytes.
func TestLintedIsSigned(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	p := profile(t, typeConfig(SponsorValidated, Multipurpose, Dual))
	r := Request{Key: ecKey(t, elliptic.P256()).Public(), Names: namesFor(t, SponsorValidated), Serial: serial(t), NotBefore: now}
	first, err := Prepare(p, is, r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Prepare(p, is, r)
	if err != nil || !bytes.Equal(again.TBS(), first.TBS()) {
		t.Errorf("the same request gives other bytes, or %v", err)
	}
	twin, err := lint.Twin(first.TBS(), ReservedPolicy(SponsorValidated, Multipurpose))
	if err != nil {
		t.Fatal(err)
	}
	read, err := cert.Parse(twin)
	if err != nil {
		t.Fatal(err)
	}
	back, err := lint.Twin(read.RawTBS, p.config.Policy)
	if err != nil {
		t.Fatal(err)
	}
	if read, err = cert.Parse(back); err != nil || !bytes.Equal(read.RawTBS, first.TBS()) {
		t.Errorf("the twin differs in more than the policy: %v", err)
	}
	want := first.TBS()
	c, err := is.Issue(first)
	if err != nil || !bytes.Equal(c.RawTBS, want) {
		t.Errorf("what was signed is not what was linted: %v", err)
	}
}

// What keeps its profile and breaks a rule that only zlint knows is refused:
// an address that not everybody reaches, under the CA/Browser Forum's policy. A
// private authority may have a private network.
func TestLintRefuses(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	_, public := authorities(t, ecKey(t, elliptic.P256()), key)
	is, err := NewIssuer(public.Certificate(), key, "http://ca.example.org/crl/issuing.crl", "http://ca.intranet/ca/issuing.cer")
	if err != nil {
		t.Fatal(err)
	}
	r := Request{
		Key: ecKey(t, elliptic.P256()).Public(), Serial: serial(t), NotBefore: now,
		Names: Names{Mailboxes: []mailbox.Mailbox{parse(t, "alice@example.org")}},
	}
	if _, err := Prepare(profile(t, config()), is, r); err != nil {
		t.Errorf("private: %v", err)
	}
	c := config()
	c.Policy, c.Compliance = ReservedPolicy(c.Type, c.Generation), "declared"
	if _, err := Prepare(profile(t, c), is, r); !errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), internalNames) {
		t.Errorf("public: %v, want %s", err, internalNames)
	}
	if _, err := Prepare(profile(t, c), public, r); err != nil {
		t.Errorf("public, at an address for everybody: %v", err)
	}
}

// Every form of an organizationIdentifier that the requirements name can be
// issued (S/MIME BR §7.1.4.2.2 (d)).
func TestOrganizationIdentifiers(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	key := ecKey(t, elliptic.P256()).Public()
	p := profile(t, typeConfig(OrganizationValidated, Strict, Dual))
	for id, country := range map[string]string{
		"NTRJP-0100-01-000001": "JP", "NTRUS+CA-12345678": "US", "NTRDE-DER3306.HRB12345": "DE", "PSDBE-NBB-1234.567.890": "BE",
		"VATEL-123456789": "GR", "GOVUS": "US", "GOVUS+CA": "US", "INTXG": "XX", "LEIXG-529900T8BM49AURSDO55": "JP", "NTRGB-12345678": "",
	} {
		c := organizationConfig()
		c.Identifier, c.Address = id, Address{Country: country}
		o, err := NewOrganization(c)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		n := namesFor(t, OrganizationValidated)
		n.Organization = o
		if _, err := Prepare(p, is, Request{Key: key, Names: n, Serial: serial(t), NotBefore: now}); err != nil {
			t.Errorf("%s in %q: %v", id, country, err)
		}
	}
}

// People under a pseudonym, with one name, with a long one.
func TestPeople(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	key := ecKey(t, elliptic.P256()).Public()
	for _, tt := range []struct {
		person IndividualConfig
		common string
	}{
		{IndividualConfig{Pseudonym: "影武者"}, "影武者"},
		{IndividualConfig{Pseudonym: "Kage", Display: "Kage (PN)"}, "Kage (PN)"},
		{IndividualConfig{Surname: "Suharto"}, "Suharto"},
		{IndividualConfig{GivenName: strings.Repeat("é", 31), Surname: strings.Repeat("ü", 32)}, strings.Repeat("é", 31) + " " + strings.Repeat("ü", 32)},
	} {
		tt.person.Evidence = evidence("3.2.4")
		i, err := NewIndividual(tt.person)
		if err != nil {
			t.Errorf("%s: %v", tt.common, err)
			continue
		}
		for _, kind := range []Type{IndividualValidated, SponsorValidated} {
			n := namesFor(t, kind)
			n.Individual = i
			c := issueNames(t, profile(t, typeConfig(kind, Multipurpose, Dual)), is, key, n)
			if got := c.Subject.Get(oid.CommonName); len(got) != 1 || got[0] != tt.common {
				t.Errorf("%s: commonName %q, want %q", kind, got, tt.common)
			}
		}
	}
}

// Both tables of rules are asked, ours and zlint's: a certificate of one type is
// none of another.
func TestBothLint(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	mailbox := profile(t, typeConfig(MailboxValidated, Strict, Dual))
	c := issueNames(t, mailbox, is, ecKey(t, elliptic.P256()).Public(), namesFor(t, MailboxValidated))
	if err := mailbox.lint(c); err != nil {
		t.Errorf("as what it is: %v", err)
	}
	err := profile(t, typeConfig(SponsorValidated, Strict, Dual)).lint(c)
	for _, rule := range []string{"personal-name-required (mailseal", "organization-required (mailseal", "e_invalid_individual_identity (zlint"} {
		if err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("%v lacks %s", err, rule)
		}
	}
}

// The authority's own services.
func TestServices(t *testing.T) {
	rootKey, key := ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256())
	_, is := authorities(t, rootKey, key)
	name := &Subject{Country: "JP", Organization: "Example", CommonName: "Example OCSP 1"}
	service := ecKey(t, elliptic.P256()).Public()
	for _, tt := range []struct {
		kind     Type
		purpose  oid.OID
		critical bool
	}{{OCSPSigner, oid.OCSPSigning, false}, {TimestampSigner, oid.TimeStamping, true}} {
		p := profile(t, ProfileConfig{Name: "service", Type: tt.kind, ValidityDays: 90, KeyUse: Signing})
		c := issueNames(t, p, is, service, Names{Service: name})
		e, _ := c.Extension(oid.ExtExtKeyUsage)
		if !slices.Equal(c.ExtKeyUsage, []oid.OID{tt.purpose}) || e.Critical != tt.critical || c.KeyUsage != cert.KeyUsageDigitalSignature {
			t.Errorf("%s: extKeyUsage %v, critical %v, keyUsage %v", tt.kind, c.ExtKeyUsage, e.Critical, c.KeyUsage)
		}
		if _, noCheck := c.Extension(oid.ExtOCSPNoCheck); noCheck != (tt.kind == OCSPSigner) || (len(c.CRLDistributionPoints) == 0) != noCheck {
			t.Errorf("%s: nocheck %v, CRLs %v", tt.kind, noCheck, c.CRLDistributionPoints)
		}
		if len(c.AltNames) != 0 || len(c.Policies) != 0 {
			t.Errorf("%s: names %v, policies %v", tt.kind, c.AltNames, c.Policies)
		}
		for what, n := range map[string]Names{
			"nobody": {}, "a mailbox": {Mailboxes: []mailbox.Mailbox{parse(t, "a@example.org")}},
			"a mailbox, too":  {Service: name, Mailboxes: []mailbox.Mailbox{parse(t, "a@example.org")}},
			"an organization": namesFor(t, OrganizationValidated),
		} {
			if _, err := Prepare(p, is, Request{Key: service, Names: n, Serial: serial(t), NotBefore: now}); err == nil {
				t.Errorf("%s: prepared for %s", tt.kind, what)
			}
		}
	}
	if _, err := Prepare(profile(t, config()), is, Request{Key: service, Names: Names{Service: name}, Serial: serial(t), NotBefore: now}); err == nil {
		t.Error("a service got a subscriber's certificate")
	}
	for what, c := range map[string]ProfileConfig{
		"dual":       {Name: "x", Type: OCSPSigner, ValidityDays: 90},
		"policy":     {Name: "x", Type: OCSPSigner, ValidityDays: 90, KeyUse: Signing, Policy: "2.25.1"},
		"generation": {Name: "x", Type: OCSPSigner, ValidityDays: 90, KeyUse: Signing, Generation: Strict},
		"ML-KEM":     {Name: "x", Type: TimestampSigner, ValidityDays: 90, KeyUse: Signing, Algorithms: []Algorithm{MLKEM}},
	} {
		if _, err := NewProfile(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
