package certpath

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// under makes a leaf below an authority with constraints of its own.
func under(constraint testca.Option, leaf ...testca.Option) func(*testing.T) pki {
	return func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Constrained", constraint).Leaf(alice, testca.P256, leaf...))
	}
}

var subtrees = testca.NameConstraints

func names(n ...[]byte) [][]byte { return n }

func otherName(id oid.OID, value string) []byte {
	return element(constructed(0), oidDER(id), element(constructed(0), element(12, []byte(value))))
}

func TestNameConstraints(t *testing.T) {
	dns := func(permitted, excluded []string) testca.Option {
		return func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = permitted, excluded, true
		}
	}
	uri := func(permitted, excluded []string) testca.Option {
		return func(c *x509.Certificate) {
			c.PermittedURIDomains, c.ExcludedURIDomains, c.PermittedDNSDomainsCritical = permitted, excluded, true
		}
	}
	ip := func(permitted, excluded []string) testca.Option {
		parse := func(list []string) (nets []*net.IPNet) {
			for _, s := range list {
				_, n, err := net.ParseCIDR(s)
				if err != nil {
					t.Fatal(err)
				}
				nets = append(nets, n)
			}
			return nets
		}
		return func(c *x509.Certificate) {
			c.PermittedIPRanges, c.ExcludedIPRanges, c.PermittedDNSDomainsCritical = parse(permitted), parse(excluded), true
		}
	}
	dnsNames := func(list ...string) testca.Option { return func(c *x509.Certificate) { c.DNSNames = list } }
	ips := func(s string) testca.Option {
		return func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(s)} }
	}
	san := func(n ...[]byte) testca.Option { return testca.AltNames(false, n...) }
	upn := oid.OID("1.3.6.1.4.1.311.20.2.3")
	example := pkix.Name{CommonName: alice, Organization: []string{"Example"}, Country: []string{"DE"}}
	base := func(n pkix.Name) []byte { return testca.Directory(n) }

	for _, tt := range []struct {
		name string
		make func(*testing.T) pki
		want Reason
	}{
		// rfc822Name: host, domain, mailbox; permitted and excluded
		{"permitted host", under(testca.PermitEmails("example.com")), 0},
		{"permitted host, upper case", under(testca.PermitEmails("EXAMPLE.com")), 0},
		{"another host", under(testca.PermitEmails("example.org")), NameConstraint},
		{"host does not mean below", under(testca.PermitEmails("example.com"), testca.Emails("alice@sub.example.com")), NameConstraint},
		{"host is no suffix", under(testca.PermitEmails("example.com"), testca.Emails("alice@badexample.com")), NameConstraint},
		{"domain means below", under(testca.PermitEmails(".example.com"), testca.Emails("alice@sub.example.com")), 0},
		{"domain means far below", under(testca.PermitEmails(".example.com"), testca.Emails("alice@a.b.example.com")), 0},
		{"domain does not mean itself", under(testca.PermitEmails(".example.com")), NameConstraint},
		{"domain is no suffix", under(testca.PermitEmails(".example.com"), testca.Emails("alice@badexample.com")), NameConstraint},
		{"permitted mailbox", under(testca.PermitEmails(alice)), 0},
		{"another mailbox", under(testca.PermitEmails("bob@example.com")), NameConstraint},
		{"one of several permitted, first", under(testca.PermitEmails("example.com", "example.org")), 0},
		{"one of several permitted, last", under(testca.PermitEmails("example.org", "example.com")), 0},
		{"none of several permitted", under(testca.PermitEmails("example.org", "example.net")), NameConstraint},
		{"excluded host", under(testca.ExcludeEmails("example.com")), NameConstraint},
		{"excluded is another host", under(testca.ExcludeEmails("example.org")), 0},
		{"first of several excluded", under(testca.ExcludeEmails("example.com", "example.org")), NameConstraint},
		{"last of several excluded", under(testca.ExcludeEmails("example.org", "example.com")), NameConstraint},
		{"excluded domain", under(testca.ExcludeEmails(".example.com"), testca.Emails("alice@sub.example.com")), NameConstraint},
		{"excluded mailbox", under(testca.ExcludeEmails(alice)), NameConstraint},
		{"excluded mailbox in another case", under(testca.ExcludeEmails("ALICE@example.com")), NameConstraint},
		{"excluded is another mailbox", under(testca.ExcludeEmails("bob@example.com")), 0},
		{"permitted and excluded", under(func(c *x509.Certificate) {
			testca.PermitEmails("example.com")(c)
			testca.ExcludeEmails(alice)(c)
		}), NameConstraint},
		{"one of two addresses", under(testca.PermitEmails("example.com"), testca.Emails(alice, "alice@example.org")), NameConstraint},
		{"address not readable, permitted", under(testca.PermitEmails("example.com"), san(testca.Mailbox("alice@example.com\x00"))), NameConstraint},
		{"address not readable, excluded", under(testca.ExcludeEmails("example.org"), san(testca.Mailbox("alice@example.com "))), NameConstraint},
		{"address not ASCII", under(testca.PermitEmails("example.com"), san(testca.Mailbox("ália@example.com"))), NameConstraint},
		{"no address at all", under(testca.PermitEmails("example.org"), testca.Emails()), 0},
		{"constraint not readable", under(subtrees(true, nil, names(testca.Mailbox("a b")))), NameConstraint},
		{"everything excluded", under(subtrees(true, nil, names(testca.Mailbox("")))), NameConstraint},
		{"subject's address outside", under(testca.PermitEmails("example.org"), testca.Emails(), testca.SubjectEmail(alice)), NameConstraint},
		{"subject's address inside", under(testca.PermitEmails("example.com"), testca.Emails(), testca.SubjectEmail(alice)), 0},
		{"subject's address outside beside a good one", under(testca.PermitEmails("example.com"), testca.SubjectEmail("bob@example.org")), NameConstraint},

		// internationalized: RFC 9549, RFC 9598 §6
		{"SmtpUTF8Mailbox permitted", under(testca.PermitEmails("example.com"), san(testca.UTF8Mailbox("ália@example.com"))), 0},
		{"SmtpUTF8Mailbox outside", under(testca.PermitEmails("example.org"), san(testca.UTF8Mailbox("ália@example.com"))), NameConstraint},
		{"SmtpUTF8Mailbox excluded", under(testca.ExcludeEmails("example.com"), san(testca.UTF8Mailbox("ália@example.com"))), NameConstraint},
		{"SmtpUTF8Mailbox with U-labels excluded", under(testca.ExcludeEmails("xn--bcher-kva.example"), san(testca.UTF8Mailbox("ália@bücher.example"))), NameConstraint},
		{"SmtpUTF8Mailbox with U-labels permitted", under(testca.PermitEmails(".xn--bcher-kva.example"), san(testca.UTF8Mailbox("ália@a.bücher.example"))), 0},

		// dNSName
		{"DNS permitted", under(dns([]string{"example.com"}, nil), dnsNames("mail.example.com", "example.com")), 0},
		{"DNS outside", under(dns([]string{"example.com"}, nil), dnsNames("badexample.com")), NameConstraint},
		{"DNS excluded", under(dns(nil, []string{"example.com"}), dnsNames("mail.EXAMPLE.com")), NameConstraint},
		{"DNS not excluded", under(dns(nil, []string{"example.com"}), dnsNames("example.org")), 0},
		{"DNS wildcard inside", under(dns([]string{"example.com"}, nil), dnsNames("*.example.com")), 0},
		{"DNS wildcard covers an excluded name", under(dns(nil, []string{"secret.example.com"}), dnsNames("*.example.com")), NameConstraint},
		{"DNS malformed", under(dns(nil, []string{"example.org"}), san(testca.DNS("a..b"))), NameConstraint},
		{"DNS constraint and no DNS name", under(dns([]string{"example.com"}, nil)), 0},
		{"all DNS excluded, none named", under(subtrees(true, nil, names(testca.DNS("")))), 0},
		{"all DNS excluded", under(subtrees(true, nil, names(testca.DNS(""))), dnsNames("a.example")), NameConstraint},

		// iPAddress
		{"IP permitted", under(ip([]string{"192.0.2.0/24"}, nil), ips("192.0.2.7")), 0},
		{"IP outside", under(ip([]string{"192.0.2.0/24"}, nil), ips("192.0.3.7")), NameConstraint},
		{"IP excluded", under(ip(nil, []string{"192.0.2.0/25"}), ips("192.0.2.7")), NameConstraint},
		{"IP next to excluded", under(ip(nil, []string{"192.0.2.0/25"}), ips("192.0.2.128")), 0},
		{"IPv6 permitted", under(ip([]string{"2001:db8::/32"}, nil), ips("2001:db8::1")), 0},
		{"IPv6 where IPv4 is permitted", under(ip([]string{"0.0.0.0/0"}, nil), ips("2001:db8::1")), NameConstraint},
		{"IP mask with holes", under(subtrees(true, nil, names(element(context(7), []byte{10, 0, 0, 0, 255, 0, 255, 0}))), ips("192.0.2.7")), NameConstraint},

		// URI
		{"URI permitted host", under(uri([]string{"example.com"}, nil), san(testca.URI("https://example.com/a"))), 0},
		{"URI permitted host with port", under(uri([]string{"example.com"}, nil), san(testca.URI("https://u@example.com:80/a"))), 0},
		{"URI host is not below", under(uri([]string{"example.com"}, nil), san(testca.URI("https://a.example.com/"))), NameConstraint},
		{"URI below a domain", under(uri([]string{".example.com"}, nil), san(testca.URI("https://a.example.com/"))), 0},
		{"URI excluded", under(uri(nil, []string{"example.com"}), san(testca.URI("ldap://example.com/"))), NameConstraint},
		{"URI without host", under(uri(nil, []string{"example.com"}), san(testca.URI("urn:a:b"))), NameConstraint},
		{"URI with an IP address", under(uri(nil, []string{"example.com"}), san(testca.URI("http://192.0.2.1/"))), NameConstraint},

		// directoryName
		{"directory permitted", under(subtrees(true, names(base(pkix.Name{Country: []string{"DE"}})), nil), testca.Subject(example)), 0},
		{"directory permitted in another case", under(subtrees(true, names(base(pkix.Name{Country: []string{"DE"}, Organization: []string{"EXAMPLE "}})), nil), testca.Subject(example)), 0},
		{"directory outside", under(subtrees(true, names(base(pkix.Name{Country: []string{"FR"}})), nil), testca.Subject(example)), NameConstraint},
		{"directory excluded", under(subtrees(true, nil, names(base(pkix.Name{Country: []string{"DE"}}))), testca.Subject(example)), NameConstraint},
		{"directory next to excluded", under(subtrees(true, nil, names(base(pkix.Name{Country: []string{"FR"}}))), testca.Subject(example)), 0},
		{"directory hidden behind an invisible character", under(subtrees(true, nil, names(base(pkix.Name{Organization: []string{"Example"}}))),
			testca.Subject(pkix.Name{Organization: []string{"Exam\u00adple"}})), NameConstraint},
		{"directory in subjectAltName excluded", under(subtrees(true, nil, names(base(pkix.Name{Country: []string{"DE"}}))), san(base(example))), NameConstraint},
		{"empty subject under directory constraints", under(subtrees(true, names(base(pkix.Name{Country: []string{"DE"}})), nil), testca.Subject(pkix.Name{})), 0},

		// forms that are not known
		{"unknown form, critical, present", under(subtrees(true, names(otherName(upn, "example")), nil), san(otherName(upn, "a@example"))), NameConstraint},
		{"unknown form excluded, critical, present", under(subtrees(true, nil, names(otherName(upn, "example"))), san(otherName(upn, "a@example"))), NameConstraint},
		{"unknown form, critical, absent", under(subtrees(true, names(otherName(upn, "example")), nil)), 0},
		{"unknown form, critical, of another type", under(subtrees(true, names(otherName(upn, "example")), nil), san(otherName("1.3.6.1.5.2.2", "a"))), 0},
		{"unknown form, not critical", under(subtrees(false, nil, names(otherName(upn, "example"))), san(otherName(upn, "a@example"))), 0},
		{"known form counts without critical", under(subtrees(false, nil, names(testca.Mailbox("example.com")))), NameConstraint},
		{"subtree with a maximum", under(testca.Extension(oid.ExtNameConstraints, true, sequence(element(constructed(0), sequence(testca.Mailbox("example.com"), element(context(1), []byte{9})))))), Malformed},
		{"empty constraints", under(testca.Extension(oid.ExtNameConstraints, true, sequence())), Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.make(t)
			check(t, p, options(p), tt.want)
		})
	}
}

// TestNameConstraintsOfSeveral: each authority above binds, the root too, and
// self-issued authorities are passed over where the leaf is not.
func TestNameConstraintsOfSeveral(t *testing.T) {
	for _, tt := range []struct {
		name        string
		root, above testca.Option
		want        Reason
	}{
		{"both permit", testca.PermitEmails("example.com", "example.org"), testca.PermitEmails("example.com"), 0},
		{"root does not permit", testca.PermitEmails("example.org"), testca.PermitEmails("example.com"), NameConstraint},
		{"issuing does not permit", testca.PermitEmails("example.com"), testca.PermitEmails("example.org"), NameConstraint},
		{"root excludes what issuing permits", testca.ExcludeEmails("example.com"), testca.PermitEmails("example.com"), NameConstraint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := testca.NewRoot(t, "Root", tt.root)
			p := of(root, root.Authority("A", tt.above).Leaf(alice, testca.P256))
			check(t, p, options(p), tt.want)
		})
	}
	t.Run("authority below is bound by its name", func(t *testing.T) {
		root := testca.NewRoot(t, "Root", subtrees(true, nil, names(testca.Directory(pkix.Name{Country: []string{"FR"}}))))
		a := root.Authority("A", testca.Subject(pkix.Name{Country: []string{"FR"}, CommonName: "A"}))
		p := of(root, a.Leaf(alice, testca.P256))
		check(t, p, options(p), NameConstraint)
	})
	t.Run("self-issued leaf is not passed over", func(t *testing.T) {
		root := testca.NewRoot(t, "Root")
		name := testca.Subject(pkix.Name{CommonName: "Alice"})
		a := root.Authority("Alice", name, testca.PermitEmails("example.org"))
		p := of(root, a.Leaf(alice, testca.P256, name))
		if !p.leaf.SelfIssued() {
			t.Fatal("the leaf is not self-issued")
		}
		check(t, p, options(p), NameConstraint)
	})
	t.Run("self-issued authority is passed over", func(t *testing.T) {
		root := testca.NewRoot(t, "Root")
		fr := testca.Subject(pkix.Name{Country: []string{"FR"}, CommonName: "A"})
		a := root.Authority("A", fr, subtrees(true, nil, names(testca.Directory(pkix.Name{Country: []string{"FR"}}))))
		rolled := a.AuthorityOf(testca.P384, "A", fr)
		p := of(root, rolled.Leaf(alice, testca.P256))
		check(t, p, options(p), 0)
	})
}
