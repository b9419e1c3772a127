package certpath

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestSmallChanges holds what changes of the code in single places would let
// through, as scripts/mutation found.
func TestSmallChanges(t *testing.T) {
	upn, other := oid.OID("1.3.6.1.4.1.311.20.2.3"), oid.OID("1.3.6.1.4.1.99999.7")
	san := func(n ...[]byte) testca.Option { return testca.AltNames(false, n...) }
	number := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: []int{2, 5, 4, 10}, Value: "Example"}, {Type: []int{2, 5, 4, 3}, Value: 5}}}
	invisible := pkix.Name{Organization: []string{"Exam\u200bple"}}
	explicit := func(o *Options) { o.ExplicitPolicy = true }
	for _, tt := range []struct {
		name   string
		make   func(*testing.T) pki
		change func(*Options)
		want   Reason
	}{
		// names chain, even where the key is right
		{"the anchor's key under another name", func(t *testing.T) pki {
			root := testca.NewRoot(t, "Root")
			return pki{testca.Renamed(root, pkix.Name{CommonName: "Another"}).Leaf(alice, testca.P256).Certificate, nil, []*cert.Certificate{root.Certificate}}
		}, nil, NoPath},
		{"the anchor's name with another key", func(t *testing.T) pki {
			root := testca.NewRoot(t, "Root")
			stranger := testca.Renamed(testca.NewRoot(t, "Stranger"), pkix.Name{CommonName: "Root", Organization: []string{"Example"}})
			return pki{stranger.Leaf(alice, testca.P256).Certificate, nil, []*cert.Certificate{root.Certificate}}
		}, nil, NoPath},
		{"one key under two names", func(t *testing.T) pki {
			root := testca.NewRoot(t, "Root")
			a := root.Authority("A")
			b := testca.Renamed(a, pkix.Name{CommonName: "B"})
			leaf := b.Leaf(alice, testca.P256)
			return pki{leaf.Certificate, []*cert.Certificate{a.CrossSign(b), a.Certificate}, []*cert.Certificate{root.Certificate}}
		}, nil, 0},
		{"nothing where a certificate should be", func(t *testing.T) pki {
			p := control(t)
			return pki{p.leaf, append([]*cert.Certificate{nil}, p.intermediates...), append([]*cert.Certificate{nil}, p.anchors...)}
		}, nil, 0},

		// of two faults the worse one
		{"ended, and for another purpose", func(t *testing.T) pki {
			ca := testca.New(t)
			return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Expired(), testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth)))
		}, nil, WrongPurpose},
		{"unknown, and ended", func(t *testing.T) pki {
			ca := testca.New(t)
			return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Expired(), testca.Extension(other, true, []byte{5, 0})))
		}, nil, UnknownCritical},

		// an intermediate of version 1 is no authority, a root may be
		{"time stamping and something else", func(t *testing.T) pki {
			ca := testca.New(t)
			return of(ca.Root, ca.Leaf("", testca.P256, testca.ExtKeyUsage(), testca.Extension(oid.ExtExtKeyUsage, true, sequence(oidDER(oid.TimeStamping), oidDER(oid.ClientAuth)))))
		}, func(o *Options) { o.Purpose = TimeStamping }, WrongPurpose},
		{"critical, and not for time stamping", func(t *testing.T) pki {
			ca := testca.New(t)
			return of(ca.Root, ca.Leaf("", testca.P256, testca.ExtKeyUsage(), testca.Extension(oid.ExtExtKeyUsage, true, sequence(oidDER(oid.ClientAuth)))))
		}, func(o *Options) { o.Purpose = TimeStamping }, WrongPurpose},

		// constraints that cannot be read permit nothing
		{"unreadable permitted mailbox", under(subtrees(true, names(testca.Mailbox("a@b@example.com")), nil)), nil, NameConstraint},
		{"unreadable permitted host", under(subtrees(true, names(testca.Mailbox("exa mple.com")), nil)), nil, NameConstraint},
		{"unreadable excluded mailbox", under(subtrees(true, nil, names(testca.Mailbox("a@b@example.com")))), nil, NameConstraint},
		{"non-ASCII excluded host", under(subtrees(true, nil, names(testca.Mailbox("exämple.com")))), nil, NameConstraint},
		{"non-ASCII permitted host", under(subtrees(true, names(testca.Mailbox("bücher.example")), nil), testca.Emails("a@xn--bcher-kva.example")), nil, NameConstraint},
		{"all mail is permitted", under(subtrees(true, names(testca.Mailbox("")), nil)), nil, 0},
		{"all mail is excluded", under(subtrees(true, nil, names(testca.Mailbox("")))), nil, NameConstraint},
		{"unreadable address, all mail is permitted", under(subtrees(true, names(testca.Mailbox("")), nil), san(testca.Mailbox("a@@example.com"))), nil, NameConstraint},
		{"a host for an address, all mail is permitted", under(subtrees(true, names(testca.Mailbox("")), nil), san(testca.Mailbox("example.com"))), nil, NameConstraint},
		{"a host for an address, the host is permitted", under(subtrees(true, names(testca.Mailbox("example.com")), nil), san(testca.Mailbox("example.com"))), nil, NameConstraint},
		{"invisible letters in an excluded name", under(subtrees(true, nil, names(testca.Directory(invisible))), testca.Subject(pkix.Name{Organization: []string{"Example"}})), nil, NameConstraint},
		{"a number in a name, elsewhere excluded", under(subtrees(true, nil, names(testca.Directory(pkix.Name{Organization: []string{"Else"}}))), testca.Subject(number)), nil, NameConstraint},

		// forms that are not known
		{"not critical, unknown form permitted", under(subtrees(false, names(otherName(upn, "x")), nil), san(testca.Mailbox(alice), otherName(upn, "y"))), nil, 0},
		{"not critical, unknown form excluded", under(subtrees(false, nil, names(otherName(upn, "x"))), san(testca.Mailbox(alice), otherName(upn, "x"))), nil, 0},
		{"not critical, another unknown form permitted", under(subtrees(false, names(otherName(other, "x")), nil), san(testca.Mailbox(alice), otherName(upn, "y"))), nil, 0},
		{"not critical, unknown forms permitted and excluded", under(subtrees(false, names(otherName(other, "x"), testca.URI("a.example")), names(otherName(upn, "x"))), san(testca.Mailbox(alice), otherName(upn, "y"))), nil, 0},
		{"critical, another unknown form", under(subtrees(true, nil, names(otherName(other, "x"))), san(testca.Mailbox(alice), otherName(upn, "y"))), nil, 0},
		{"critical, an address in UTF-8 and unknown form", under(subtrees(true, nil, names(otherName(other, "x"))), san(testca.UTF8Mailbox("ä@example.com"))), nil, 0},

		// policies
		{"an unasserted policy is mapped, mapping inhibited", levels(level{asserts(gold), requires(-1, 0)}, level{asserts(gold), mapsTo(bronze, silver)}, level{asserts(gold)}), explicit, 0},
		{"what is removed does not count above", levels(level{asserts(gold, bronze), requires(-1, 0)}, level{asserts(gold, bronze), mapsTo(gold, silver)}, level{asserts(bronze, silver)}),
			func(o *Options) { o.ExplicitPolicy, o.Policies = true, []oid.OID{gold} }, Policy},
		{"mapping inhibited in two, used in one", levels(level{asserts(gold), requires(-1, 2)}, level{asserts(gold)}, level{asserts(gold), mapsTo(gold, silver)}, level{asserts(silver)}), explicit, 0},
		{"mapping inhibited in one, used in two", levels(level{asserts(gold), requires(-1, 1)}, level{asserts(gold)}, level{asserts(gold), mapsTo(gold, silver)}, level{asserts(silver)}), explicit, Policy},
		{"anyPolicy inhibited in two, used in one", levels(level{asserts(gold), inhibitsAny(2)}, level{asserts(gold)}, level{asserts(anyPolicy)}), explicit, 0},
		{"anyPolicy inhibited in one, used in two", levels(level{asserts(gold), inhibitsAny(1)}, level{asserts(gold)}, level{asserts(anyPolicy)}), explicit, Policy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.make(t)
			o := options(p)
			if tt.change != nil {
				tt.change(o)
			}
			check(t, p, o, tt.want)
		})
	}
}

func levels(l ...level) func(*testing.T) pki {
	return func(t *testing.T) pki { return hierarchy(t, l) }
}

// TestAcceptAsksOnce: going further up does not ask about a path again.
func TestAcceptAsksOnce(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a, b := root.Authority("A"), root.Authority("B")
	p := of(root, a.Leaf(alice, testca.P256))
	p.intermediates = append(p.intermediates, b.CrossSign(a), b.Certificate)
	seen := map[int]int{}
	o := options(p)
	o.Accept = func(chain []*cert.Certificate) error { seen[len(chain)]++; return errors.New("refused") }
	if _, err := Verify(p.leaf, o); err == nil || seen[3] != 1 || seen[4] != 1 || len(seen) != 2 {
		t.Errorf("asked %v", seen)
	}
}

// TestFaultyPolicies: a chain that does not hold has no policies, and the fault
// names the certificate at which they end.
func TestFaultyPolicies(t *testing.T) {
	p := hierarchy(t, []level{{asserts(gold)}, {asserts(silver)}, {asserts(silver)}})
	o := options(p)
	chain, err := Verify(p.leaf, o)
	if err != nil {
		t.Fatal(err)
	}
	o.ExplicitPolicy = true
	if got := Policies(chain, o); got != nil {
		t.Errorf("%v", got)
	}
	var e *Error
	if _, err := Verify(p.leaf, o); !errors.As(err, &e) || !e.Certificate.Equal(chain[1]) {
		t.Errorf("%v", err)
	}
	p = hierarchy(t, []level{{asserts(gold)}, {asserts(gold)}})
	o = options(p)
	o.ExplicitPolicy, o.Policies = true, []oid.OID{silver}
	if _, err := Verify(p.leaf, o); !errors.As(err, &e) || !e.Certificate.Equal(p.leaf) {
		t.Errorf("%v", err)
	}
}

// TestMildestPath: of several paths with a fault the one that is nearest to right
// is told of, in whatever order they come.
func TestMildestPath(t *testing.T) {
	one, two := testca.NewRoot(t, "One"), testca.NewRoot(t, "Two")
	a := one.Authority("A", testca.Expired())
	p := of(one, a.Leaf(alice, testca.P256))
	p.anchors = append(p.anchors, two.Certificate)
	worse := two.CrossSign(a, testca.NotCA())
	for _, between := range [][]*cert.Certificate{{a.Certificate, worse}, {worse, a.Certificate}} {
		p.intermediates = between
		check(t, p, options(p), Expired)
	}
}

// TestTexts: what an error says of a name or a certificate.
func TestTexts(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		option, leaf testca.Option
		want         string
	}{
		{testca.PermitEmails("example.org"), testca.Emails(alice), `rfc822Name "alice@example.com" is not permitted`},
		{testca.NameConstraints(true, nil, names(testca.DNS(""))), testca.AltNames(false, testca.DNS("a.example")), `dNSName "a.example" is excluded`},
		{testca.NameConstraints(true, nil, names(testca.URI(""))), testca.AltNames(false, testca.URI("http://a.example/"+long)), `...`},
		{testca.NameConstraints(true, nil, names(testca.Directory(pkix.Name{CommonName: "A"}))), testca.Subject(pkix.Name{CommonName: "A"}), `directoryName CN=A is excluded`},
		{func(c *x509.Certificate) {
			c.ExcludedIPRanges, c.PermittedDNSDomainsCritical = nil, true
			testca.NameConstraints(true, nil, names([]byte("\x87\x08\x0a\x00\x00\x00\xff\x00\x00\x00")))(c)
		}, testca.AltNames(false, []byte("\x87\x04\x0a\x01\x02\x03")), `iPAddress 0a010203 is excluded`},
		{testca.NameConstraints(true, nil, names(otherName("1.2.3", "x"))), testca.AltNames(false, otherName("1.2.3", "x")), `otherName cannot be compared with an excluded name`},
	} {
		p := under(tt.option, tt.leaf)(t)
		_, err := Verify(p.leaf, options(p))
		if tt.want == "..." {
			if err == nil || len(err.Error()) > 400 {
				t.Errorf("too long: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	nameless := &Error{Reason: Expired, Certificate: &cert.Certificate{Serial: control(t).leaf.Serial}, Detail: "x"}
	if !strings.Contains(nameless.Error(), "certificate serial "+nameless.Certificate.SerialHex()) {
		t.Error(nameless)
	}
	ca := testca.New(t)
	named := &Error{Reason: Expired, Certificate: ca.Leaf(alice, testca.P256, testca.Subject(pkix.Name{CommonName: long})).Certificate, Detail: "x"}
	if text := named.Error(); !strings.Contains(text, "CN="+long[:117]+"...") || len(text) > 200 {
		t.Error(text)
	}
	if got := Reason(99).String(); got != "reason 99" {
		t.Error(got)
	}
	noUsage := ca.Leaf(alice, testca.P256, testca.KeyUsage(0), testca.Extension(oid.ExtKeyUsage, true, []byte{3, 2, 7, 0})).Certificate
	o := options(pki{noUsage, []*cert.Certificate{ca.Issuing.Certificate}, []*cert.Certificate{ca.Root.Certificate}})
	o.KeyUsage = cert.KeyUsageDigitalSignature
	if _, err := Verify(noUsage, o); err == nil || !strings.Contains(err.Error(), "keyUsage is empty, and none of digitalSignature") {
		t.Error(err)
	}
	o.KeyUsage = cert.KeyUsageKeyEncipherment
	signer := ca.Leaf(alice, testca.P256, testca.KeyUsage(x509.KeyUsageDigitalSignature)).Certificate
	if _, err := Verify(signer, o); err == nil || !strings.Contains(err.Error(), "keyUsage is digitalSignature, and") {
		t.Error(err)
	}
}

// TestSubjectAddressIsASCII: emailAddress is an IA5String, whatever its first
// octet is.
func TestSubjectAddressIsASCII(t *testing.T) {
	ca := testca.New(t)
	asked, err := mailbox.Parse("ä@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*cert.Certificate{
		"subject":    ca.Leaf("", testca.P256, testca.Emails(), testca.SubjectEmail("ä@example.com")).Certificate,
		"rfc822Name": ca.Leaf("", testca.P256, testca.AltNames(false, testca.Mailbox("ä@example.com"))).Certificate,
	} {
		if Names(c, asked) {
			t.Errorf("%s names it", name)
		}
	}
}

// TestRemarksOfAnchors: only a root's own certificate need not name its issuer's key.
func TestRemarksOfAnchors(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a := *root.Authority("A").Certificate
	a.AuthorityKeyID = nil
	if got := Remarks([]*cert.Certificate{&a}); len(got) != 1 || !strings.Contains(got[0], "authorityKeyIdentifier") {
		t.Errorf("an authority as the anchor: %q", got)
	}
	again := *root.AuthorityOf(testca.P384, "Root").Certificate
	again.AuthorityKeyID = nil
	if got := Remarks([]*cert.Certificate{&again, root.Certificate}); len(got) != 1 {
		t.Errorf("self-issued and no anchor: %q", got)
	}
}
