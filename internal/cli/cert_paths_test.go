package cli_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// path is what a case gives to cert verify.
type path struct {
	leaf          *cert.Certificate
	intermediates []*cert.Certificate
	root          *cert.Certificate
	lists         [][]byte
}

// pathCase is one fact that decides. Good and bad cases stand in pairs; the numbers
// are the sections of NIST's PKITS that ask for the same, as far as there is one.
type pathCase struct {
	section string
	name    string
	make    func(t *testing.T) path
	flags   string
	cause   string // "" is valid
	openssl string // why OpenSSL judges otherwise; "" when it agrees
}

const (
	policy1 oid.OID = "2.16.840.1.101.3.2.1.48.1"
	policy2 oid.OID = "2.16.840.1.101.3.2.1.48.2"
	policy3 oid.OID = "2.16.840.1.101.3.2.1.48.3"
)

// usual are the options of cases that put one thing at one place.
type usual struct{ root, ca, sub, leaf []testca.Option }

// chain is root, one or two authorities, leaf. The second authority is there when
// it has options, an empty list among them.
func chain(o usual) func(t *testing.T) path {
	return func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor", o.root...)
		last := root.Authority("CA", o.ca...)
		if o.sub != nil {
			last = last.Authority("Sub CA", o.sub...)
		}
		return pathOf(root, last.Leaf("alice@example.com", testca.P256, o.leaf...))
	}
}

func pathOf(root *testca.Authority, leaf *testca.Leaf, lists ...[]byte) path {
	return path{leaf.Certificate, leaf.Chain, root.Certificate, lists}
}

func with(o ...testca.Option) []testca.Option { return append([]testca.Option{}, o...) }

// revoke writes a list that names certificates.
func revoke(a *testca.Authority, certs ...*cert.Certificate) []byte {
	var list []testca.Revoked
	for _, c := range certs {
		list = append(list, testca.Revoked{SerialNumber: c.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1), ReasonCode: int(cert.KeyCompromise)})
	}
	return a.CRL(list)
}

// listed is a path of which lists tell; change may replace the lists.
func listed(change func(root, ca *testca.Authority, leaf *testca.Leaf) [][]byte, o usual) func(t *testing.T) path {
	return func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor", o.root...)
		ca := root.Authority("CA", o.ca...)
		leaf := ca.Leaf("alice@example.com", testca.P256, o.leaf...)
		return pathOf(root, leaf, change(root, ca, leaf)...)
	}
}

func bothLists(root, ca *testca.Authority, leaf *testca.Leaf) [][]byte {
	return [][]byte{revoke(root), revoke(ca)}
}

func subject(cn string, ou ...string) pkix.Name {
	return pkix.Name{Country: []string{"US"}, Organization: []string{"Test"}, OrganizationalUnit: ou, CommonName: cn}
}

// permit and exclude are critical constraints of one name.
func permit(names ...[]byte) testca.Option  { return testca.NameConstraints(true, names, nil) }
func exclude(names ...[]byte) testca.Option { return testca.NameConstraints(true, nil, names) }

func isCA(c *x509.Certificate) {
	c.BasicConstraintsValid, c.IsCA, c.MaxPathLen = true, true, -1
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

// rolled is root, CA, a self-issued certificate for another key of the CA, leaf.
func rolled(ca, again, leaf []testca.Option) func(t *testing.T) path {
	return func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor")
		a := root.Authority("CA", ca...)
		return pathOf(root, a.AuthorityOf(testca.P384, "CA", again...).Leaf("alice@example.com", testca.P256, leaf...))
	}
}

var pathCases = []pathCase{
	// 4.1 signatures
	{"4.1.1", "signatures are right", chain(usual{}), "", "", ""},
	{"4.1.2", "the authority's signature is wrong", func(t *testing.T) path {
		p := chain(usual{})(t)
		p.intermediates = []*cert.Certificate{flip(t, p.intermediates[0])}
		return p
	}, "", "bad signature", ""},
	{"4.1.3", "the leaf's signature is wrong", func(t *testing.T) path {
		p := chain(usual{})(t)
		p.leaf = flip(t, p.leaf)
		return p
	}, "", "bad signature", ""},
	{"4.1", "an algorithm that nobody knows", func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor")
		leaf := root.Leaf("alice@example.com", testca.P256)
		leaf.Certificate = rename(t, leaf.Certificate, "\x2a\x86\x48\xce\x3d\x04\x03\x02", "\x2a\x86\x48\xce\x3d\x04\x03\x63")
		return pathOf(root, leaf)
	}, "", "unsupported", ""},

	// 4.2 validity
	{"4.2.1", "the authority begins later", chain(usual{ca: with(testca.NotYetValid())}), "", "not yet valid", ""},
	{"4.2.2", "the leaf begins later", chain(usual{leaf: with(testca.NotYetValid())}), "", "not yet valid", ""},
	{"4.2.3", "begins in 1950", chain(usual{leaf: with(testca.Validity(time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), testca.Now.AddDate(1, 0, 0)))}), "", "", ""},
	{"4.2.5", "the authority has ended", chain(usual{ca: with(testca.Expired())}), "", "expired", ""},
	{"4.2.6", "the leaf has ended", chain(usual{leaf: with(testca.Expired())}), "", "expired", ""},
	{"4.2.7", "ended before 2000", chain(usual{leaf: with(testca.Validity(time.Date(1998, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)))}), "", "expired", ""},
	{"4.2.8", "ends in 2050", chain(usual{leaf: with(testca.Validity(testca.Now.AddDate(-1, 0, 0), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)))}), "", "", ""},
	{"4.2", "the last second", chain(usual{leaf: with(testca.Validity(testca.Now.AddDate(-1, 0, 0), testca.Now))}), "", "", "notAfter is inclusive (RFC 5280 §4.1.2.5), and not for OpenSSL"},

	// 4.3 names
	{"4.3.1", "issued by another name", func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor")
		ca := root.Authority("CA")
		leaf := testca.Renamed(ca, subject("Another")).Leaf("alice@example.com", testca.P256)
		return path{leaf: leaf.Certificate, intermediates: []*cert.Certificate{ca.Certificate}, root: root.Certificate}
	}, "", "no path", ""},
	{"4.3.2", "names in another order", func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor")
		ca := root.Authority("CA", testca.Subject(pkix.Name{ExtraNames: attributes("2.5.4.10", "A", "2.5.4.11", "B")}))
		leaf := testca.Renamed(ca, pkix.Name{ExtraNames: attributes("2.5.4.11", "B", "2.5.4.10", "A")}).Leaf("alice@example.com", testca.P256)
		return path{leaf: leaf.Certificate, intermediates: []*cert.Certificate{ca.Certificate}, root: root.Certificate}
	}, "", "no path", ""},
	{"4.3.3", "white space and capitals do not count", func(t *testing.T) path {
		root := testca.NewRoot(t, "Trust Anchor")
		ca := root.Authority("CA", testca.Subject(subject("Name  Chaining CA")))
		leaf := testca.Renamed(ca, subject(" name chaining ca ")).Leaf("alice@example.com", testca.P256)
		return path{leaf: leaf.Certificate, intermediates: []*cert.Certificate{ca.Certificate}, root: root.Certificate}
	}, "", "", ""},

	// 4.4 lists
	{"4.4", "both lists are good", listed(bothLists, usual{}), "", "", ""},
	{"4.4.1", "the authority's list is missing", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root)}
	}, usual{}), "", "revocation unknown", ""},
	{"4.4.2", "the authority is revoked", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root, ca.Certificate), revoke(ca)}
	}, usual{}), "", "revoked", ""},
	{"4.4.3", "the leaf is revoked", listed(func(root, ca *testca.Authority, leaf *testca.Leaf) [][]byte {
		return [][]byte{revoke(root), revoke(ca, leaf.Certificate)}
	}, usual{}), "", "revoked", ""},
	{"4.4.4", "the list's signature is wrong", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		bad := revoke(ca)
		bad[len(bad)-1] ^= 1
		return [][]byte{revoke(root), bad}
	}, usual{}), "", "revocation unknown", ""},
	{"4.4.6", "the list of another authority", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root), revoke(testca.Renamed(ca, subject("Another")))}
	}, usual{}), "", "revocation unknown", ""},
	{"4.4.7", "two lists, one by a stranger of the name", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		stranger := testca.Renamed(root.Authority("Stranger"), pkix.Name{CommonName: "CA", Organization: []string{"Example"}})
		return [][]byte{revoke(root), revoke(stranger), revoke(ca)}
	}, usual{}), "", "", ""},
	{"4.4.9", "a list with an unknown critical extension", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root), ca.CRL(nil, func(l *x509.RevocationList) {
			l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}})
		})}
	}, usual{}), "", "revocation unknown", ""},
	{"4.4.11", "the list is out of date", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root), ca.CRL(nil, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = testca.Now.AddDate(0, 0, -9), testca.Now.AddDate(0, 0, -2)
		})}
	}, usual{}), "", "revocation unknown", ""},
	{"4.4.16", "a long serial number beside a listed one", listed(func(root, ca *testca.Authority, leaf *testca.Leaf) [][]byte {
		near := *leaf.Certificate
		near.Serial = new(big.Int).Add(near.Serial, big.NewInt(1))
		return [][]byte{revoke(root), revoke(ca, &near)}
	}, usual{}), "", "", ""},
	{"4.7.4", "the authority may not sign lists", listed(bothLists, usual{ca: with(testca.KeyUsage(x509.KeyUsageCertSign))}), "", "revocation unknown", ""},

	// 4.5 self-issued
	{"4.5.1", "a self-issued certificate for a new key", rolled(nil, nil, nil), "", "", ""},
	{"4.6.15", "self-issued ones do not count in pathLen", rolled(with(testca.PathLen(0)), nil, nil), "", "", ""},

	// 4.6 basic constraints
	{"4.6.1", "no basicConstraints", chain(usual{ca: with(func(c *x509.Certificate) { c.BasicConstraintsValid = false; c.IsCA = false })}), "", "not an authority", ""},
	{"4.6.2", "cA is false", chain(usual{ca: with(testca.NotCA())}), "", "not an authority", ""},
	{"4.6.4", "basicConstraints is not critical", chain(usual{ca: with(testca.Extension(oid.ExtBasicConstraints, false, []byte("\x30\x03\x01\x01\xff")))}), "", "", ""},
	{"4.6.5", "pathLen 0 with an authority below", chain(usual{ca: with(testca.PathLen(0)), sub: with()}), "", "path length", ""},
	{"4.6.7", "pathLen 0 with a leaf below", chain(usual{ca: with(testca.PathLen(0))}), "", "", ""},
	{"4.6.8", "pathLen 0 with an authority as the leaf", chain(usual{ca: with(testca.PathLen(0)), leaf: with(isCA)}), "", "", ""},
	{"4.6.13", "pathLen 1 with an authority below", chain(usual{ca: with(testca.PathLen(1)), sub: with()}), "", "", ""},
	{"4.6", "pathLen of the anchor", chain(usual{root: with(testca.PathLen(0))}), "", "path length", ""},

	// 4.7 key usage
	{"4.7.1", "keyUsage without keyCertSign", chain(usual{ca: with(testca.KeyUsage(x509.KeyUsageCRLSign))}), "", "not an authority", ""},
	{"4.7.3", "no keyUsage", chain(usual{ca: with(testca.KeyUsage(0))}), "", "", ""},

	// 4.8 policies
	{"4.8.1", "one policy all the way, required", chain(usual{ca: with(testca.Policies(policy1)), leaf: with(testca.Policies(policy1))}), "--explicit-policy", "", ""},
	{"4.8.1", "the same, and the user takes it", chain(usual{ca: with(testca.Policies(policy1)), leaf: with(testca.Policies(policy1))}), "--explicit-policy --policy " + string(policy1), "", ""},
	{"4.8.1", "the same, and the user takes another", chain(usual{ca: with(testca.Policies(policy1)), leaf: with(testca.Policies(policy1))}), "--explicit-policy --policy " + string(policy2), "policy", ""},
	{"4.8.2", "no policies", chain(usual{}), "", "", ""},
	{"4.8.2", "no policies, required", chain(usual{}), "--explicit-policy", "policy", ""},
	{"4.8.3", "different policies", chain(usual{ca: with(testca.Policies(policy1)), leaf: with(testca.Policies(policy2))}), "", "", ""},
	{"4.8.4", "different policies, required", chain(usual{ca: with(testca.Policies(policy1)), leaf: with(testca.Policies(policy2))}), "--explicit-policy", "policy", ""},
	{"4.8.6", "overlapping policies", chain(usual{ca: with(testca.Policies(policy1, policy2)), sub: with(testca.Policies(policy1, policy3)), leaf: with(testca.Policies(policy1))}), "--explicit-policy --policy " + string(policy1), "", ""},
	{"4.8.11", "anyPolicy all the way", chain(usual{ca: with(testca.Policies(oid.AnyPolicy)), leaf: with(testca.Policies(oid.AnyPolicy))}), "--explicit-policy --policy " + string(policy1), "", ""},
	{"4.8.14", "anyPolicy above, and the user takes another", chain(usual{ca: with(testca.Policies(oid.AnyPolicy)), leaf: with(testca.Policies(policy1))}), "--explicit-policy --policy " + string(policy2), "policy", ""},

	// 4.9 requireExplicitPolicy
	{"4.9.1", "required far below", chain(usual{ca: with(testca.PolicyConstraints(9, -1)), sub: with()}), "", "", ""},
	{"4.9.3", "required at once", chain(usual{ca: with(testca.PolicyConstraints(0, -1)), sub: with()}), "", "policy", ""},
	{"4.9.4", "required at once, and there", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyConstraints(0, -1)), leaf: with(testca.Policies(policy1))}), "", "", ""},
	{"4.9.6", "self-issued ones do not count", rolled(with(testca.PolicyConstraints(2, -1)), nil, nil), "", "", ""},

	// 4.10 mappings
	{"4.10.1", "mapped", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyMappings(policy1, policy2)), leaf: with(testca.Policies(policy2))}), "--explicit-policy --policy " + string(policy1), "", ""},
	{"4.10.1", "mapped, and the user takes the lower name", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyMappings(policy1, policy2)), leaf: with(testca.Policies(policy2))}), "--explicit-policy --policy " + string(policy2), "policy", ""},
	{"4.10.1", "mapped, and the user inhibits it", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyMappings(policy1, policy2)), leaf: with(testca.Policies(policy2))}), "--explicit-policy --inhibit-policy-mapping", "policy", ""},
	{"4.10.7", "mapped from anyPolicy", chain(usual{ca: with(testca.Policies(oid.AnyPolicy), testca.PolicyMappings(oid.AnyPolicy, policy1)), leaf: with(testca.Policies(policy1))}), "", "policy", ""},
	{"4.10.8", "mapped to anyPolicy", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyMappings(policy1, oid.AnyPolicy)), leaf: with(testca.Policies(policy1))}), "", "policy", ""},

	// 4.11 inhibitPolicyMapping
	{"4.11.1", "inhibited for the next", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyConstraints(0, 0)), sub: with(testca.Policies(policy1), testca.PolicyMappings(policy1, policy2)), leaf: with(testca.Policies(policy2))}), "", "policy", ""},
	{"4.11.2", "inhibited for the one after", chain(usual{ca: with(testca.Policies(policy1), testca.PolicyConstraints(0, 1)), sub: with(testca.Policies(policy1), testca.PolicyMappings(policy1, policy2)), leaf: with(testca.Policies(policy2))}), "", "", ""},

	// 4.12 inhibitAnyPolicy
	{"4.12.1", "inhibited for the leaf", chain(usual{ca: with(testca.Policies(policy1), testca.InhibitAnyPolicy(0), testca.PolicyConstraints(0, -1)), leaf: with(testca.Policies(oid.AnyPolicy))}), "", "policy", ""},
	{"4.12.2", "inhibited, and the leaf names one", chain(usual{ca: with(testca.Policies(policy1), testca.InhibitAnyPolicy(0), testca.PolicyConstraints(0, -1)), leaf: with(testca.Policies(policy1))}), "", "", ""},
	{"4.12.3", "inhibited by the user", chain(usual{ca: with(testca.Policies(oid.AnyPolicy)), leaf: with(testca.Policies(policy1))}), "--explicit-policy --inhibit-any-policy", "policy", ""},
	{"4.12.9", "a self-issued one may assert it", rolled(with(testca.Policies(policy1), testca.InhibitAnyPolicy(0), testca.PolicyConstraints(0, -1)), with(testca.Policies(oid.AnyPolicy)), with(testca.Policies(policy1))), "", "", ""},

	// 4.13 name constraints
	{"4.13.1", "directory name within", chain(usual{ca: with(permit(testca.Directory(subject("", "permitted")))), leaf: with(testca.Subject(subject("Alice", "permitted")))}), "", "", ""},
	{"4.13.2", "directory name without", chain(usual{ca: with(permit(testca.Directory(subject("", "permitted")))), leaf: with(testca.Subject(subject("Alice", "excluded")))}), "", "name constraint", ""},
	{"4.13.7", "directory name excluded", chain(usual{ca: with(exclude(testca.Directory(subject("", "excluded")))), leaf: with(testca.Subject(subject("Alice", "excluded")))}), "", "name constraint", ""},
	{"4.13.12", "narrowed below", chain(usual{ca: with(permit(testca.Mailbox("example.com"), testca.Mailbox("example.org"))), sub: with(permit(testca.Mailbox("example.org")))}), "", "name constraint", ""},
	{"4.13.15", "not widened below", chain(usual{ca: with(permit(testca.Mailbox("example.org"))), sub: with(permit(testca.Mailbox("example.com")))}), "", "name constraint", ""},
	{"4.13.19", "a self-issued one is passed over", rolled(with(permit(testca.Directory(subject("", "permitted")))), nil, with(testca.Subject(subject("Alice", "permitted")))), "", "", ""},
	{"4.13.21", "mail below a domain", chain(usual{ca: with(permit(testca.Mailbox(".example.com"))), leaf: with(testca.Emails("a@mail.example.com"))}), "", "", ""},
	{"4.13.22", "mail at the domain, below it is permitted", chain(usual{ca: with(permit(testca.Mailbox(".example.com")))}), "", "name constraint", ""},
	{"4.13.23", "mail on the host", chain(usual{ca: with(permit(testca.Mailbox("example.com")))}), "", "", ""},
	{"4.13.24", "mail below the host", chain(usual{ca: with(permit(testca.Mailbox("example.com"))), leaf: with(testca.Emails("a@mail.example.com"))}), "", "name constraint", ""},
	{"4.13.26", "mail on an excluded host", chain(usual{ca: with(exclude(testca.Mailbox("example.com")))}), "", "name constraint", ""},
	{"4.13.26", "the second of several exclusions", chain(usual{ca: with(exclude(testca.Mailbox("example.org"), testca.Mailbox("example.com"), testca.Mailbox("example.net")))}), "", "name constraint", ""},
	{"4.13.29", "mail in the subject", chain(usual{ca: with(permit(testca.Mailbox("example.com"))), leaf: with(testca.Emails(), testca.SubjectEmail("a@example.org"))}), "", "name constraint", ""},
	{"4.13.30", "host within", chain(usual{ca: with(permit(testca.DNS("example.com"))), leaf: with(testca.AltNames(false, testca.DNS("a.example.com")))}), "", "", ""},
	{"4.13.31", "host without", chain(usual{ca: with(permit(testca.DNS("example.com"))), leaf: with(testca.AltNames(false, testca.DNS("example.org")))}), "", "name constraint", ""},
	{"4.13.33", "host excluded", chain(usual{ca: with(exclude(testca.DNS("example.com"))), leaf: with(testca.AltNames(false, testca.DNS("a.example.com")))}), "", "name constraint", ""},
	{"4.13.38", "a host that ends like it", chain(usual{ca: with(permit(testca.DNS("example.com"))), leaf: with(testca.AltNames(false, testca.DNS("myexample.com")))}), "", "name constraint", ""},
	{"4.13.34", "URI within", chain(usual{ca: with(permit(testca.URI(".example.com"))), leaf: with(testca.AltNames(false, testca.URI("http://a.example.com/x")))}), "", "", ""},
	{"4.13.35", "URI without", chain(usual{ca: with(permit(testca.URI(".example.com"))), leaf: with(testca.AltNames(false, testca.URI("http://example.com/x")))}), "", "name constraint", ""},
	{"4.13.37", "URI excluded", chain(usual{ca: with(exclude(testca.URI("a.example.com"))), leaf: with(testca.AltNames(false, testca.URI("ftp://a.example.com:21/x")))}), "", "name constraint", ""},

	// 4.14 distribution points: see also package revocation
	{"4.14.11", "a list for users covers no authority", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{root.CRL(nil, scope("\x30\x03\x81\x01\xff")), revoke(ca)}
	}, usual{}), "", "revocation unknown", ""},
	{"4.14.13", "a list for authorities covers one", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{root.CRL(nil, scope("\x30\x03\x82\x01\xff")), revoke(ca)}
	}, usual{}), "", "", ""},
	{"4.14.15", "some reasons are not all", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root), ca.CRL(nil, scope("\x30\x04\x83\x02\x06\x40"))}
	}, usual{}), "", "revocation unknown", ""},
	{"4.15.1", "a delta without its base", listed(func(root, ca *testca.Authority, _ *testca.Leaf) [][]byte {
		return [][]byte{revoke(root), ca.CRL(nil, func(l *x509.RevocationList) {
			l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}})
		})}
	}, usual{}), "", "revocation unknown", ""},

	// 4.16 private extensions
	{"4.16.1", "unknown, not critical", chain(usual{leaf: with(testca.Extension("1.3.6.1.4.1.99999.1", false, []byte{5, 0}))}), "", "", ""},
	{"4.16.2", "unknown and critical", chain(usual{leaf: with(testca.Extension("1.3.6.1.4.1.99999.1", true, []byte{5, 0}))}), "", "unknown critical extension", ""},
	{"4.16.2", "unknown and critical in the authority", chain(usual{ca: with(testca.Extension("1.3.6.1.4.1.99999.1", true, []byte{5, 0}))}), "", "unknown critical extension", ""},
}

// scope is an issuingDistributionPoint for a list.
func scope(value string) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte(value)})
	}
}

// TestPaths holds cert verify to each case, and OpenSSL beside it.
func TestPaths(t *testing.T) {
	for _, tt := range pathCases {
		t.Run(tt.section+" "+tt.name, func(t *testing.T) {
			dir := t.TempDir()
			p := tt.make(t)
			args := append([]string{"cert", "verify", "--json", "--purpose", "any", "--trust", "root.pem", "--intermediates", "between.pem"}, strings.Fields(tt.flags)...)
			if p.lists != nil {
				args = append(args, "--crl", "lists.pem")
			}
			write(t, dir, p)
			stdout, stderr, exit := mailseal(t, dir, append(args, "leaf.pem")...)
			var v struct{ Cause, Reason string }
			if err := json.Unmarshal([]byte(stdout), &v); err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			if v.Cause != tt.cause || (exit == 0) != (tt.cause == "") {
				t.Errorf("exit status %d, cause %q, want %q: %s", exit, v.Cause, tt.cause, v.Reason)
			}
			if good, said := opensslVerify(t, dir, tt.flags, p.lists != nil); (good != (tt.cause == "")) != (tt.openssl != "") {
				t.Errorf("OpenSSL, of which is said %q: %s", tt.openssl, said)
			}
		})
	}
}

func write(t *testing.T, dir string, p path) {
	var between, lists bytes.Buffer
	for _, c := range p.intermediates {
		between.Write(c.PEM())
	}
	for _, der := range p.lists {
		lists.Write(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	for name, data := range map[string][]byte{"leaf.pem": p.leaf.PEM(), "root.pem": p.root.PEM(), "between.pem": between.Bytes(), "lists.pem": lists.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// opensslVerify asks `openssl verify` the same.
func opensslVerify(t *testing.T, dir, flags string, lists bool) (good bool, said string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	args := []string{"verify", "-no-CApath", "-no-CAstore", "-CAfile", "root.pem", "-purpose", "any", "-attime", fmt.Sprint(testca.Now.Unix())}
	if info, err := os.Stat(filepath.Join(dir, "between.pem")); err == nil && info.Size() > 0 {
		args = append(args, "-untrusted", "between.pem")
	}
	if lists {
		args = append(args, "-crl_check_all", "-extended_crl", "-CRLfile", "lists.pem")
	}
	if !strings.Contains(flags, "--policy") {
		args = append(args, "-policy_check", "-policy", string(oid.AnyPolicy)) // without, its user takes none
	}
	args = append(args, strings.Fields(strings.NewReplacer("--explicit-policy", "-explicit_policy",
		"--inhibit-policy-mapping", "-inhibit_map", "--inhibit-any-policy", "-inhibit_any", "--policy ", "-policy_check -policy ").Replace(flags))...)
	cmd := exec.Command("openssl", append(args, "leaf.pem")...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// flip damages a signature.
func flip(t *testing.T, c *cert.Certificate) *cert.Certificate {
	raw := bytes.Clone(c.Raw)
	raw[len(raw)-1] ^= 1
	return parse(t, raw)
}

// rename replaces octets everywhere in a certificate, which breaks its signature.
func rename(t *testing.T, c *cert.Certificate, old, with string) *cert.Certificate {
	return parse(t, bytes.ReplaceAll(c.Raw, []byte(old), []byte(with)))
}

func parse(t *testing.T, der []byte) *cert.Certificate {
	t.Helper()
	c, err := cert.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// attributes are pairs of a type and a value.
func attributes(pairs ...string) (list []pkix.AttributeTypeAndValue) {
	for i := 0; i < len(pairs); i += 2 {
		var id []int
		for _, arc := range strings.Split(pairs[i], ".") {
			n, _ := strconv.Atoi(arc)
			id = append(id, n)
		}
		list = append(list, pkix.AttributeTypeAndValue{Type: id, Value: pairs[i+1]})
	}
	return list
}
