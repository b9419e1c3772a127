package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/testca"
)

// scene is a PKI in which every certificate of the chain has to be covered.
type scene struct {
	t    *testing.T
	root *testca.Authority
	ca   *testca.Authority
	leaf *cert.Certificate

	chain []*cert.Certificate // of leaf; built where it is nil
	lists []*cert.CRL
	certs []*cert.Certificate
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, root: testca.NewRoot(t, "Anchor")}
	s.ca = s.root.Authority("CA")
	s.add(s.root)
	return s
}

// user issues the leaf.
func (s *scene) user(a *testca.Authority, options ...testca.Option) {
	s.leaf = a.Leaf("alice@example.com", testca.P256, options...).Certificate
}

// add adds a list.
func (s *scene) add(a *testca.Authority, change ...func(*template)) { s.addWith(a, nil, change...) }

func (s *scene) addWith(a *testca.Authority, revoked []testca.Revoked, change ...func(*template)) {
	s.t.Helper()
	l, err := cert.ParseCRL(a.CRL(revoked, change...))
	if err != nil {
		s.t.Fatal(err)
	}
	s.lists = append(s.lists, l)
}

func entries(r ...testca.Revoked) []testca.Revoked { return r }

// revokes is an entry about the leaf.
func (s *scene) revokes(reason cert.Reason) testca.Revoked {
	return testca.Entry(s.leaf.Serial, int(reason))
}

// path builds the chain of the leaf from everything that there is.
func (s *scene) path() []*cert.Certificate {
	s.t.Helper()
	if s.chain != nil {
		return s.chain
	}
	chain, err := certpath.Verify(s.leaf, &certpath.Options{
		Anchors: []*cert.Certificate{s.root.Certificate}, Intermediates: append([]*cert.Certificate{s.ca.Certificate}, s.certs...),
		At: testca.Now, Purpose: certpath.AnyPurpose,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return chain
}

func (s *scene) check() (Status, error) {
	s.t.Helper()
	return Check(s.path(), &Options{Evidence: Evidence{CRLs: s.lists, Certificates: s.certs}, At: testca.Now, Every: true})
}

func dn(cn string) pkix.Name { return pkix.Name{CommonName: cn, Organization: []string{"Example"}} }

// other is an authority of the same name with another key.
func other(above *testca.Authority, a string, options ...testca.Option) *testca.Authority {
	return above.Authority("another key of "+a, append([]testca.Option{testca.Subject(dn(a))}, options...)...)
}

// forLists makes a certificate that signs lists and nothing else.
func forLists() testca.Option {
	return func(c *x509.Certificate) {
		c.KeyUsage, c.IsCA, c.MaxPathLen = x509.KeyUsageCRLSign, false, 0
	}
}

var (
	week    = 7 * 24 * time.Hour
	private = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	null    = []byte{5, 0}
)

const uri1, uri2 = "http://example.com/1.crl", "http://example.com/2.crl"

// listCase is one row: what there is beside the anchor's own list, and the
// answer.
type listCase struct {
	name   string
	build  func(s *scene)
	want   Status
	detail string
}

func run(t *testing.T, cases []listCase) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.build(s)
			status, err := s.check()
			if status != tt.want {
				t.Fatalf("%v, %v; want %v", status, err, tt.want)
			}
			if tt.detail != "" && (err == nil || !strings.Contains(err.Error(), tt.detail)) {
				t.Errorf("%v does not say %q", err, tt.detail)
			}
			// The order of the lists is of no meaning.
			for i, j := 0, len(s.lists)-1; i < j; i, j = i+1, j-1 {
				s.lists[i], s.lists[j] = s.lists[j], s.lists[i]
			}
			if again, err := s.check(); again != status {
				t.Errorf("in reverse order: %v, %v", again, err)
			}
		})
	}
}

// TestBasicLists: what PKITS §4.4 is about.
func TestBasicLists(t *testing.T) {
	negative, long := big.NewInt(-1), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))
	longer := new(big.Int).Sub(long, big.NewInt(1))
	run(t, []listCase{
		{"all covered", func(s *scene) { s.user(s.ca); s.add(s.ca) }, Good, ""},
		{"missing", func(s *scene) { s.user(s.ca) }, Unknown, "alice@example.com is not known: no list of its issuer CN=CA"},
		{"missing for the authority", func(s *scene) { s.user(s.ca); s.lists = nil; s.add(s.ca) }, Unknown, "certificate CN=CA,O=Example is not known: no list of its issuer"},
		{"authority revoked", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca)
			s.lists = s.lists[1:]
			s.addWith(s.root, entries(testca.Entry(s.ca.Certificate.Serial, 1)))
		}, Revoked, "CN=CA"},
		{"user revoked", func(s *scene) { s.user(s.ca); s.addWith(s.ca, entries(s.revokes(cert.KeyCompromise))) }, Revoked, "keyCompromise"},
		{"another user revoked", func(s *scene) { s.user(s.ca); s.addWith(s.ca, entries(testca.Entry(big.NewInt(7), 1))) }, Good, ""},
		{"signature of another key", func(s *scene) {
			s.user(s.ca)
			s.add(testca.Renamed(s.root.Authority("Other"), dn("CA")))
		}, Unknown, "signature is wrong"},
		{"name of another issuer", func(s *scene) { s.user(s.ca); s.add(testca.Renamed(s.ca, dn("Elsewhere"))) }, Unknown, "no list of its issuer"},
		{"the anchor's list in its place", func(s *scene) { s.user(s.ca); s.add(s.root) }, Unknown, "no list of its issuer"},
		{"two lists, one of them wrong", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca)
			s.addWith(testca.Renamed(s.root.Authority("Other"), dn("CA")), entries(s.revokes(cert.KeyCompromise)))
		}, Good, ""},
		{"unknown critical extension of an entry about another", func(s *scene) {
			s.user(s.ca)
			e := testca.Entry(big.NewInt(7), 0)
			e.ExtraExtensions = []pkix.Extension{{Id: private, Critical: true, Value: null}}
			s.addWith(s.ca, entries(e))
		}, Unknown, "entry with an unknown critical extension"},
		{"unknown extension of an entry about another", func(s *scene) {
			s.user(s.ca)
			e := testca.Entry(big.NewInt(7), 0)
			e.ExtraExtensions = []pkix.Extension{{Id: private, Value: null}}
			s.addWith(s.ca, entries(e))
		}, Good, ""},
		{"unknown critical extension of its entry", func(s *scene) {
			s.user(s.ca)
			e := s.revokes(0)
			e.ExtraExtensions = []pkix.Extension{{Id: private, Critical: true, Value: null}}
			s.addWith(s.ca, entries(e))
		}, Revoked, ""},
		{"unknown critical extension of the list", func(s *scene) { s.user(s.ca); s.add(s.ca, testca.ListExtension(private, true, null)) }, Unknown, "unknown critical extension"},
		{"unknown critical extension of the list, listed", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(s.revokes(0)), testca.ListExtension(private, true, null))
		}, Revoked, ""},
		{"certificateIssuer in a list that is not indirect", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(testca.EntryIssuer(testca.Entry(big.NewInt(7), 0), testca.NameDER(dn("Other")))))
		}, Unknown, "certificateIssuer"},
		{"certificateIssuer hides nothing in a list that is not indirect", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(testca.EntryIssuer(testca.Entry(big.NewInt(7), 0), testca.NameDER(dn("Other"))), s.revokes(0)))
		}, Revoked, ""},
		{"old", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca, testca.Updates(testca.Now.Add(-2*week), testca.Now.Add(-week)))
		}, Unknown, "out of date"},
		{"from the last century", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca, testca.Updates(time.Date(1998, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 1, 1, 12, 1, 0, 0, time.UTC)))
		}, Unknown, "out of date since 1999"},
		{"to the next half of the century", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca, testca.Updates(testca.Now.Add(-week), time.Date(2050, 1, 1, 12, 1, 0, 0, time.UTC)))
		}, Good, ""},
		{"negative serial number, its positive twin revoked", func(s *scene) {
			s.user(s.ca)
			s.leaf = s.withSerial(s.ca, negative)
			s.addWith(s.ca, entries(testca.Entry(big.NewInt(255), 1)))
		}, Good, ""},
		{"negative serial number revoked", func(s *scene) {
			s.user(s.ca)
			s.leaf = s.withSerial(s.ca, negative)
			s.addRaw(s.ca, negative)
		}, Revoked, ""},
		{"long serial number", func(s *scene) {
			s.user(s.ca, testca.SerialNumber(long))
			s.addWith(s.ca, entries(testca.Entry(longer, 1)))
		}, Good, ""},
		{"long serial number revoked", func(s *scene) {
			s.user(s.ca, testca.SerialNumber(long))
			s.addWith(s.ca, entries(testca.Entry(longer, 1), testca.Entry(long, 1)))
		}, Revoked, ""},

		{"separate key for lists", func(s *scene) {
			s.user(s.ca)
			k := other(s.root, "CA", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.add(k)
		}, Good, ""},
		{"separate key for lists, revoked", func(s *scene) {
			s.user(s.ca)
			k := other(s.root, "CA", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.addWith(k, entries(s.revokes(cert.KeyCompromise)))
		}, Revoked, ""},
		{"separate key for lists, itself revoked", func(s *scene) {
			s.user(s.ca)
			k := other(s.root, "CA", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.lists = nil
			s.addWith(s.root, entries(testca.Entry(k.Certificate.Serial, 1)))
			s.add(k)
		}, Unknown, "its signer's certificate is revoked"},
		{"separate key for lists, not known", func(s *scene) {
			s.user(s.ca)
			s.add(other(s.root, "CA", forLists()))
		}, Unknown, "signature is wrong"},
		{"separate key without cRLSign", func(s *scene) {
			s.user(s.ca)
			k := other(s.root, "CA", testca.KeyUsage(x509.KeyUsageCertSign))
			s.certs = append(s.certs, k.Certificate)
			s.add(k)
		}, Unknown, "cRLSign"},
		{"separate key that has ended", func(s *scene) {
			s.user(s.ca)
			k := other(s.root, "CA", forLists(), testca.Expired())
			s.certs = append(s.certs, k.Certificate)
			s.add(k)
		}, Unknown, "no path to the anchor"},
		{"separate key under another anchor", func(s *scene) {
			s.user(s.ca)
			k := other(testca.NewRoot(s.t, "Other Anchor"), "CA", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.add(k)
		}, Unknown, "no path to the anchor"},
		{"separate key under a revoked authority", func(s *scene) {
			s.user(s.ca)
			mid := s.root.Authority("Middle")
			k := other(mid, "CA", forLists())
			s.certs = append(s.certs, k.Certificate, mid.Certificate)
			s.lists = nil
			s.addWith(s.root, entries(testca.Entry(mid.Certificate.Serial, 1)))
			s.add(mid)
			s.add(k)
		}, Unknown, "its signer's certificate is revoked"},
	})
}

// withSerial re-issues the leaf with a serial number that crypto/x509 does not
// write: one octet, for which the template's has one octet too.
func (s *scene) withSerial(a *testca.Authority, n *big.Int) *cert.Certificate {
	c := a.Leaf("alice@example.com", testca.P256, testca.SerialNumber(big.NewInt(0x55))).Certificate
	return a.Edit(c, "\xa0\x03\x02\x01\x02\x02\x01\x55", "\xa0\x03\x02\x01\x02\x02\x01\xff")
}

// addRaw adds a list with an entry whose serial number crypto/x509 does not
// write.
func (s *scene) addRaw(a *testca.Authority, n *big.Int) {
	s.t.Helper()
	l, err := cert.ParseCRL(a.CRL(entries(testca.Entry(big.NewInt(0x55), 1))))
	if err != nil {
		s.t.Fatal(err)
	}
	tbs := strings.Replace(string(l.RawTBS), "\x02\x01\x55\x17", "\x02\x01\xff\x17", 1)
	if l, err = cert.ParseCRL(a.Sign([]byte(tbs), l.SignatureAlgorithm)); err != nil {
		s.t.Fatal(err)
	}
	if _, found := l.Lookup(l.Issuer, n); !found {
		s.t.Fatal("no such entry")
	}
	s.lists = append(s.lists, l)
}

// TestSelfIssuedKeys: what PKITS §4.5 asks of lists.
func TestSelfIssuedKeys(t *testing.T) {
	// roll gives the authority a new key, certified by the old one.
	roll := func(s *scene, options ...testca.Option) *testca.Authority {
		k := other(s.ca, "CA", options...)
		s.certs = append(s.certs, k.Certificate)
		return k
	}
	partition := testca.Points(testca.Point{URIs: []string{uri1}})
	scope := testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri1}}})
	run(t, []listCase{
		{"new key signs, the old one lists", func(s *scene) { s.user(roll(s)); s.add(s.ca) }, Good, ""},
		{"new key signs, the old one lists it revoked", func(s *scene) {
			s.user(roll(s))
			s.addWith(s.ca, entries(s.revokes(1)))
		}, Revoked, ""},
		{"new key signs, and its certificate is revoked", func(s *scene) {
			k := roll(s)
			s.user(k)
			s.addWith(s.ca, entries(testca.Entry(k.Certificate.Serial, 1)))
		}, Revoked, "CN=CA"},
		{"new key lists, the old one tells of the new in a list of its own", func(s *scene) {
			s.user(s.ca)
			s.add(roll(s, partition))
			s.add(s.ca, scope)
		}, Good, ""},
		{"new key lists it revoked, the old one tells of the new", func(s *scene) {
			s.user(s.ca)
			s.addWith(roll(s, partition), entries(s.revokes(1)))
			s.add(s.ca, scope)
		}, Revoked, ""},
		{"new key lists, and the old one tells that it is revoked", func(s *scene) {
			s.user(s.ca)
			k := roll(s, partition)
			s.add(k)
			s.addWith(s.ca, entries(testca.Entry(k.Certificate.Serial, 1)), scope)
		}, Unknown, ""},
		{"new key lists, and nobody but itself tells of it", func(s *scene) {
			s.user(s.ca)
			s.add(roll(s))
		}, Unknown, "speak for themselves"},
		{"key for lists", func(s *scene) {
			s.user(s.ca)
			s.add(roll(s, partition, forLists()))
			s.add(s.ca, scope)
		}, Good, ""},
	})
}

// TestDistributionPoints: what PKITS §4.14, cases 1 to 21, is about.
func TestDistributionPoints(t *testing.T) {
	full := func(cn ...string) testca.Point {
		return testca.Point{Names: []pkix.Name{{Organization: []string{"Example"}, CommonName: strings.Join(cn, "")}}}
	}
	// below is the name that has a relative name below the authority's.
	below := testca.Point{Names: []pkix.Name{{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Example"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "CA"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Part"},
	}}}}
	relative := testca.Point{Relative: "Part"}
	with := func(points ...testca.Point) testca.Option { return testca.Points(points...) }
	about := func(p testca.Point) func(*template) { return testca.Scoped(testca.Scope{Point: p}) }
	reasons := func(bits ...int) func(*template) {
		return testca.Scoped(testca.Scope{Point: testca.Point{Reasons: bits}})
	}
	uris := func(u ...string) testca.Point { return testca.Point{URIs: u} }
	subCA := func(s *scene) {
		sub := s.ca.Authority("Sub", testca.Subject(dn("Sub")))
		s.leaf = sub.Certificate
	}
	run(t, []listCase{
		{"its point", func(s *scene) { s.user(s.ca, with(full("A"))); s.add(s.ca, about(full("A"))) }, Good, ""},
		{"its point, revoked", func(s *scene) {
			s.user(s.ca, with(full("A")))
			s.addWith(s.ca, entries(s.revokes(1)), about(full("A")))
		}, Revoked, ""},
		{"another point", func(s *scene) { s.user(s.ca, with(full("B"))); s.add(s.ca, about(full("A"))) }, Unknown, "other certificates"},
		{"another point, revoked", func(s *scene) {
			s.user(s.ca, with(full("B")))
			s.addWith(s.ca, entries(s.revokes(1)), about(full("A")))
		}, Revoked, ""},
		{"relative name in the certificate", func(s *scene) { s.user(s.ca, with(relative)); s.add(s.ca, about(below)) }, Good, ""},
		{"relative name in the list", func(s *scene) { s.user(s.ca, with(below)); s.add(s.ca, about(relative)) }, Good, ""},
		{"relative name in both", func(s *scene) { s.user(s.ca, with(relative)); s.add(s.ca, about(relative)) }, Good, ""},
		{"relative name in both, revoked", func(s *scene) { s.user(s.ca, with(relative)); s.addWith(s.ca, entries(s.revokes(1)), about(relative)) }, Revoked, ""},
		{"relative name, another", func(s *scene) { s.user(s.ca, with(testca.Point{Relative: "Other"})); s.add(s.ca, about(relative)) }, Unknown, "other certificates"},
		{"relative name against the same name elsewhere", func(s *scene) { s.user(s.ca, with(relative)); s.add(s.ca, about(full("Part"))) }, Unknown, "other certificates"},
		{"relative name in the list, none in the certificate", func(s *scene) { s.user(s.ca); s.add(s.ca, about(relative)) }, Unknown, "other certificates"},
		{"one of several names", func(s *scene) {
			s.user(s.ca, with(uris(uri1, uri2)))
			s.add(s.ca, about(uris("http://example.com/3.crl", uri2)))
		}, Good, ""},
		{"second of several points", func(s *scene) { s.user(s.ca, with(uris(uri1), uris(uri2))); s.add(s.ca, about(uris(uri2))) }, Good, ""},
		{"host in other case", func(s *scene) { s.user(s.ca, with(uris("HTTP://Example.COM/1.crl"))); s.add(s.ca, about(uris(uri1))) }, Good, ""},
		{"path in other case", func(s *scene) { s.user(s.ca, with(uris("http://example.com/1.CRL"))); s.add(s.ca, about(uris(uri1))) }, Unknown, "other certificates"},
		{"list without a point", func(s *scene) { s.user(s.ca, with(uris(uri1))); s.add(s.ca) }, Good, ""},
		{"list about a point that is left to another issuer", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, CRLIssuer: testca.NameDER(dn("Other"))}))
			s.add(s.ca, about(uris(uri1)))
		}, Unknown, "other certificates"},
		{"list about a point that is left to an indirect list", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, CRLIssuer: testca.NameDER(dn("CA"))}))
			s.add(s.ca, about(uris(uri1)))
		}, Unknown, "other certificates"},
		{"indirect list about its point", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, CRLIssuer: testca.NameDER(dn("CA"))}))
			s.add(s.ca, testca.Scoped(testca.Scope{Point: uris(uri1), Indirect: true}))
		}, Good, ""},
		{"list about the issuer's name, certificate without points", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca, about(testca.Point{Names: []pkix.Name{dn("CA")}}))
		}, Good, ""},

		{"list of users", func(s *scene) { s.user(s.ca); s.add(s.ca, testca.Scoped(testca.Scope{Users: true})) }, Good, ""},
		{"list of users, asked about an authority", func(s *scene) { subCA(s); s.add(s.ca, testca.Scoped(testca.Scope{Users: true})) }, Unknown, "other certificates"},
		{"list of authorities", func(s *scene) { subCA(s); s.add(s.ca, testca.Scoped(testca.Scope{CAs: true})) }, Good, ""},
		{"list of authorities, asked about a user", func(s *scene) { s.user(s.ca); s.add(s.ca, testca.Scoped(testca.Scope{CAs: true})) }, Unknown, "other certificates"},
		{"list of attribute certificates", func(s *scene) { s.user(s.ca); s.add(s.ca, testca.Scoped(testca.Scope{Attributes: true})) }, Unknown, "other certificates"},
		{"an attribute certificate has its serial number", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca)
			s.addWith(s.ca, entries(s.revokes(1)), testca.Scoped(testca.Scope{Attributes: true}))
		}, Good, ""},

		{"all reasons in two lists", func(s *scene) { s.user(s.ca); s.add(s.ca, reasons(1, 2)); s.add(s.ca, reasons(3, 4, 5, 6, 7, 8)) }, Good, ""},
		{"all reasons in two lists, revoked in the first", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(s.revokes(cert.KeyCompromise)), reasons(1, 2))
			s.add(s.ca, reasons(3, 4, 5, 6, 7, 8))
		}, Revoked, ""},
		{"all reasons in two lists, on hold in the second", func(s *scene) {
			s.user(s.ca)
			s.add(s.ca, reasons(1, 2))
			s.addWith(s.ca, entries(s.revokes(cert.CertificateHold)), reasons(3, 4, 5, 6, 7, 8))
		}, Revoked, ""},
		{"on hold, and a newer list for other reasons", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(s.revokes(cert.CertificateHold)))
			s.add(s.ca, reasons(1, 2), testca.Updates(testca.Now.Add(-time.Hour), testca.Now.Add(time.Hour)))
		}, Revoked, "certificateHold"},
		{"not all reasons", func(s *scene) { s.user(s.ca); s.add(s.ca, reasons(1, 2)); s.add(s.ca, reasons(3, 4, 5, 6, 7)) }, Unknown, "all reasons"},
		{"points for reasons", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, Reasons: []int{1, 2}}, testca.Point{URIs: []string{uri2}, Reasons: []int{3, 4, 5, 6, 7, 8}}))
			s.add(s.ca, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri1}, Reasons: []int{1, 2}}}))
			s.add(s.ca, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri2}, Reasons: []int{3, 4, 5, 6, 7, 8}}}))
		}, Good, ""},
		{"points for reasons, one list missing", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, Reasons: []int{1, 2}}, testca.Point{URIs: []string{uri2}, Reasons: []int{3, 4, 5, 6, 7, 8}}))
			s.add(s.ca, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri1}, Reasons: []int{1, 2}}}))
		}, Unknown, "all reasons"},
		{"point for some reasons, list for all", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, Reasons: []int{1}}))
			s.add(s.ca, about(uris(uri1)))
		}, Unknown, "all reasons"},
		{"points for reasons exchanged", func(s *scene) {
			s.user(s.ca, with(testca.Point{URIs: []string{uri1}, Reasons: []int{1, 2}}, testca.Point{URIs: []string{uri2}, Reasons: []int{3, 4, 5, 6, 7, 8}}))
			s.add(s.ca, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri2}, Reasons: []int{1, 2}}}))
			s.add(s.ca, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri1}, Reasons: []int{3, 4, 5, 6, 7, 8}}}))
		}, Unknown, "other certificates"},
	})
}

// TestIndirectLists: what PKITS §4.14, cases 22 to 35, is about.
func TestIndirectLists(t *testing.T) {
	indirect := testca.Scoped(testca.Scope{Indirect: true})
	// issuer makes a CRL issuer below the anchor and has the leaf name it.
	issuer := func(s *scene, above *testca.Authority) *testca.Authority {
		k := above.Authority("Lister", forLists())
		s.certs = append(s.certs, k.Certificate)
		s.user(s.ca, testca.Points(testca.Point{CRLIssuer: k.Certificate.RawSubject}))
		return k
	}
	ca := testca.NameDER(dn("CA"))
	run(t, []listCase{
		{"own list that is indirect", func(s *scene) { s.user(s.ca); s.add(s.ca, indirect) }, Good, ""},
		{"own list that is indirect, revoked", func(s *scene) { s.user(s.ca); s.addWith(s.ca, entries(s.revokes(1)), indirect) }, Revoked, ""},
		{"own list, another issuer's certificate has the number", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(testca.EntryIssuer(s.revokes(1), testca.NameDER(dn("Other")))), indirect)
		}, Good, ""},
		{"the issuer of an entry holds on", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(testca.EntryIssuer(testca.Entry(big.NewInt(7), 1), testca.NameDER(dn("Other"))), s.revokes(1)), indirect)
		}, Good, ""},
		{"until another is named", func(s *scene) {
			s.user(s.ca)
			s.addWith(s.ca, entries(testca.EntryIssuer(testca.Entry(big.NewInt(7), 1), testca.NameDER(dn("Other"))),
				testca.EntryIssuer(testca.Entry(big.NewInt(8), 1), ca), s.revokes(1)), indirect)
		}, Revoked, ""},

		{"list of another issuer", func(s *scene) { s.add(issuer(s, s.root), indirect) }, Good, ""},
		{"list of another issuer, revoked", func(s *scene) {
			k := issuer(s, s.root)
			s.addWith(k, entries(testca.EntryIssuer(s.revokes(1), ca)), indirect)
		}, Revoked, ""},
		{"list of another issuer, the number is of its own certificate", func(s *scene) {
			k := issuer(s, s.root)
			s.addWith(k, entries(s.revokes(1)), indirect)
		}, Good, ""},
		{"list of another issuer, revoked behind others", func(s *scene) {
			k := issuer(s, s.root)
			s.addWith(k, entries(testca.Entry(big.NewInt(5), 1), testca.EntryIssuer(testca.Entry(big.NewInt(7), 1), ca), testca.Entry(big.NewInt(9), 1), s.revokes(1)), indirect)
		}, Revoked, ""},
		{"list of another issuer that is not indirect", func(s *scene) { s.add(issuer(s, s.root)) }, Unknown, "no list of its issuer"},
		{"list of another issuer that is not named", func(s *scene) {
			k := issuer(s, s.root)
			s.user(s.ca)
			s.add(k, indirect)
		}, Unknown, "no list of its issuer"},
		{"revoked by another issuer that is not named", func(s *scene) {
			k := issuer(s, s.root)
			s.user(s.ca)
			s.add(s.ca)
			s.addWith(k, entries(testca.EntryIssuer(s.revokes(1), ca)), indirect)
		}, Good, ""},
		{"the issuer's own list will do, too", func(s *scene) { issuer(s, s.root); s.add(s.ca) }, Good, ""},
		{"list of another issuer whose certificate is not here", func(s *scene) {
			k := issuer(s, s.root)
			s.certs = nil
			s.add(k, indirect)
		}, Unknown, "no certificate of it is here"},
		{"list of another issuer that is revoked", func(s *scene) {
			k := issuer(s, s.root)
			s.lists = nil
			s.addWith(s.root, entries(testca.Entry(k.Certificate.Serial, 1)))
			s.add(k, indirect)
		}, Unknown, "its signer's certificate is revoked"},
		{"list of another issuer without cRLSign", func(s *scene) {
			k := s.root.Authority("Lister", testca.KeyUsage(x509.KeyUsageDigitalSignature), testca.NotCA())
			s.certs = append(s.certs, k.Certificate)
			s.user(s.ca, testca.Points(testca.Point{CRLIssuer: k.Certificate.RawSubject}))
			s.add(k, indirect)
		}, Unknown, "cRLSign"},
		{"list of another issuer under another anchor", func(s *scene) {
			s.add(issuer(s, testca.NewRoot(s.t, "Other Anchor")), indirect)
		}, Unknown, "no path to the anchor"},

		{"issuer of lists below the authority, which tells of it itself", func(s *scene) {
			s.add(issuer(s, s.ca), indirect)
			s.add(s.ca, testca.Scoped(testca.Scope{Point: testca.Point{Names: []pkix.Name{dn("CA")}}}))
		}, Good, ""},
		{"issuer of lists below the authority, in charge of its own certificate too", func(s *scene) {
			k := s.ca.Authority("Lister", forLists(), testca.Points(testca.Point{CRLIssuer: testca.NameDER(dn("Lister"))}))
			s.certs = append(s.certs, k.Certificate)
			s.user(s.ca, testca.Points(testca.Point{CRLIssuer: k.Certificate.RawSubject}))
			s.add(k, indirect)
		}, Good, ""},
		{"the same, and it names itself revoked", func(s *scene) {
			k := s.ca.Authority("Lister", forLists(), testca.Points(testca.Point{CRLIssuer: testca.NameDER(dn("Lister"))}))
			s.certs = append(s.certs, k.Certificate)
			s.user(s.ca, testca.Points(testca.Point{CRLIssuer: k.Certificate.RawSubject}))
			s.addWith(k, entries(testca.EntryIssuer(testca.Entry(k.Certificate.Serial, 1), ca)), indirect)
		}, Unknown, "its signer's certificate is revoked"},
		{"issuer of lists below the authority, of which nobody tells", func(s *scene) {
			s.add(issuer(s, s.ca), indirect)
		}, Unknown, ""},

		{"relative to the CRL issuer", func(s *scene) {
			k := s.root.Authority("Lister", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.user(s.ca, testca.Points(testca.Point{Relative: "Part", CRLIssuer: k.Certificate.RawSubject}))
			s.add(k, testca.Scoped(testca.Scope{Indirect: true, Point: testca.Point{Relative: "Part"}}))
		}, Good, ""},
		{"relative to the CRL issuer, another part", func(s *scene) {
			k := s.root.Authority("Lister", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.user(s.ca, testca.Points(testca.Point{Relative: "Other", CRLIssuer: k.Certificate.RawSubject}))
			s.add(k, testca.Scoped(testca.Scope{Indirect: true, Point: testca.Point{Relative: "Part"}}))
		}, Unknown, "other certificates"},
		{"scope is the CRL issuer's name, as the certificate has no other", func(s *scene) {
			k := issuer(s, s.root)
			s.add(k, testca.Scoped(testca.Scope{Indirect: true, Point: testca.Point{Names: []pkix.Name{dn("Lister")}}}))
		}, Good, ""},
		{"scope is another name", func(s *scene) {
			k := issuer(s, s.root)
			s.add(k, testca.Scoped(testca.Scope{Indirect: true, Point: testca.Point{Names: []pkix.Name{dn("Other")}}}))
		}, Unknown, "other certificates"},
	})
}

// TestDeltaLists: what PKITS §4.15 is about.
func TestDeltaLists(t *testing.T) {
	base := func(s *scene, e ...testca.Revoked) { s.user1(); s.addWith(s.ca, e, testca.Numbered(1)) }
	hold := func(s *scene) testca.Revoked { return s.revokes(cert.CertificateHold) }
	lift := func(s *scene) testca.Revoked { return s.revokes(cert.RemoveFromCRL) }
	today := testca.Updates(testca.Now.Add(-time.Hour), testca.Now.Add(24*time.Hour))
	stale := testca.Updates(testca.Now.Add(-2*week), testca.Now.Add(-week))
	run(t, []listCase{
		{"without its base", func(s *scene) { s.user1(); s.add(s.ca, testca.Delta(2, 1)) }, Unknown, "delta"},
		{"without its base, revoked", func(s *scene) { s.user1(); s.addWith(s.ca, entries(s.revokes(1)), testca.Delta(2, 1)) }, Revoked, ""},
		{"without its base, removed", func(s *scene) { s.user1(); s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1)) }, Unknown, "delta"},
		{"in neither", func(s *scene) { base(s); s.add(s.ca, testca.Delta(2, 1), today) }, Good, ""},
		{"in the base", func(s *scene) { s.user1(); base(s, s.revokes(1)); s.add(s.ca, testca.Delta(2, 1), today) }, Revoked, ""},
		{"in the delta", func(s *scene) { base(s); s.addWith(s.ca, entries(s.revokes(1)), testca.Delta(2, 1), today) }, Revoked, ""},
		{"on hold in the base", func(s *scene) { s.user1(); base(s, hold(s)); s.add(s.ca, testca.Delta(2, 1), today) }, Revoked, "certificateHold"},
		{"on hold in the base, removed in the delta", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), today)
		}, Good, ""},
		{"on hold in the base, revoked in the delta", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.addWith(s.ca, entries(s.revokes(cert.KeyCompromise)), testca.Delta(2, 1), today)
		}, Revoked, "keyCompromise"},
		{"on hold in the delta", func(s *scene) { base(s); s.addWith(s.ca, entries(hold(s)), testca.Delta(2, 1), today) }, Revoked, ""},
		{"revoked in the base for good, removed in the delta", func(s *scene) {
			s.user1()
			base(s, s.revokes(cert.KeyCompromise))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), today)
		}, Revoked, "keyCompromise"},
		{"not in the base, removed in the delta", func(s *scene) { base(s); s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), today) }, Good, ""},
		{"removed in a complete list", func(s *scene) { s.user1(); base(s, lift(s)) }, Unknown, ""},
		{"base newer than the delta's", func(s *scene) {
			s.user1()
			s.add(s.ca, testca.Numbered(3), stale)
			s.add(s.ca, testca.Delta(5, 1), today)
		}, Good, ""},
		{"base newer than the delta's, revoked", func(s *scene) {
			s.user1()
			s.add(s.ca, testca.Numbered(3), stale)
			s.addWith(s.ca, entries(s.revokes(1)), testca.Delta(5, 1), today)
		}, Revoked, ""},
		{"base older than the delta's, and out of date", func(s *scene) {
			s.user1()
			s.add(s.ca, testca.Numbered(3), stale)
			s.add(s.ca, testca.Delta(5, 4), today)
		}, Unknown, ""},
		{"base older than the delta's, and in date", func(s *scene) {
			s.user1()
			s.add(s.ca, testca.Numbered(3))
			s.add(s.ca, testca.Delta(5, 4), today)
		}, Good, ""},
		{"complete list as new as the delta, and out of date", func(s *scene) {
			s.user1()
			s.add(s.ca, testca.Numbered(5), stale)
			s.add(s.ca, testca.Delta(5, 4), today)
		}, Unknown, ""},
		{"delta out of date, base too", func(s *scene) {
			s.user1()
			s.add(s.ca, testca.Numbered(1), stale)
			s.add(s.ca, testca.Delta(2, 1), stale)
		}, Unknown, "out of date"},
		{"hold lifted by a delta that is out of date", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), stale)
		}, Revoked, "certificateHold"},
		{"hold lifted by a delta of another scope", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), today, testca.Scoped(testca.Scope{Users: true}))
		}, Revoked, "certificateHold"},
		{"hold lifted by a delta of the same scope", func(s *scene) {
			s.user1()
			s.addWith(s.ca, entries(hold(s)), testca.Numbered(1), testca.Scoped(testca.Scope{Users: true}))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), today, testca.Scoped(testca.Scope{Users: true}))
		}, Good, ""},
		{"hold lifted by a delta with an unknown critical extension", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), today, testca.ListExtension(private, true, null))
		}, Revoked, "certificateHold"},
		{"hold lifted by a stranger's delta", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.addWith(testca.Renamed(s.root.Authority("Other"), dn("CA")), entries(lift(s)), testca.Delta(2, 1), today)
		}, Revoked, "certificateHold"},
		{"hold lifted by a delta of another key", func(s *scene) {
			s.user1()
			base(s, hold(s))
			k := other(s.root, "CA", forLists())
			s.certs = append(s.certs, k.Certificate)
			s.addWith(k, entries(lift(s)), testca.Delta(2, 1), today)
		}, Revoked, "certificateHold"},
		{"the newest of two deltas counts", func(s *scene) {
			s.user1()
			base(s)
			s.addWith(s.ca, entries(hold(s)), testca.Delta(2, 1), testca.Updates(testca.Now.Add(-3*time.Hour), testca.Now.Add(time.Hour)))
			s.addWith(s.ca, entries(lift(s)), testca.Delta(3, 1), today)
		}, Good, ""},
		{"the newest of two deltas counts, the other way", func(s *scene) {
			s.user1()
			base(s)
			s.addWith(s.ca, entries(lift(s)), testca.Delta(2, 1), testca.Updates(testca.Now.Add(-3*time.Hour), testca.Now.Add(time.Hour)))
			s.addWith(s.ca, entries(hold(s)), testca.Delta(3, 1), today)
		}, Revoked, ""},
		{"hold in a complete list, lifted in the next", func(s *scene) {
			s.user1()
			base(s, hold(s))
			s.add(s.ca, testca.Numbered(2), today)
		}, Good, ""},
		{"no hold in a complete list, but in the next", func(s *scene) {
			s.user1()
			base(s)
			s.addWith(s.ca, entries(hold(s)), testca.Numbered(2), today)
		}, Revoked, ""},
	})
}

// user1 issues the leaf once.
func (s *scene) user1() {
	if s.leaf == nil {
		s.user(s.ca)
	}
}

// TestUnasked: without Options.Every, the signer of a list is asked about like
// an authority.
func TestUnasked(t *testing.T) {
	s := newScene(t)
	s.user(s.ca)
	k := other(s.root, "CA", forLists())
	s.certs = append(s.certs, k.Certificate)
	s.lists = nil
	s.add(k)
	o := &Options{Evidence: Evidence{CRLs: s.lists, Certificates: s.certs}, At: testca.Now}
	if status, err := Check(s.path(), o); status != Good {
		t.Errorf("%v, %v", status, err)
	}
	o.Every = true
	if status, err := Check(s.path(), o); status != Unknown {
		t.Errorf("every: %v, %v", status, err)
	}
}

// TestLaterSigner: a list that is younger than the proven time may be signed
// with a key that is younger, too.
func TestLaterSigner(t *testing.T) {
	s := newScene(t)
	s.user(s.ca)
	k := other(s.root, "CA", forLists(), testca.Validity(testca.Now.Add(-48*time.Hour), testca.Now.AddDate(1, 0, 0)))
	s.certs = append(s.certs, k.Certificate)
	s.add(k) // a day old
	o := &Options{Evidence: Evidence{CRLs: s.lists, Certificates: s.certs}, At: testca.Now.AddDate(0, 0, -10), Proven: true, Now: testca.Now, Every: true}
	if status, err := Check(s.path(), o); status != Good {
		t.Errorf("%v, %v", status, err)
	}
}

// TestManyLists: the work is limited.
func TestManyLists(t *testing.T) {
	s := newScene(t)
	s.user(s.ca)
	s.add(s.ca)
	good := s.lists
	s.lists = nil
	stranger := testca.Renamed(s.root.Authority("Other"), dn("CA"))
	s.add(stranger)
	bad := s.lists[0]
	s.lists = nil
	for range MaxLists - 1 {
		s.lists = append(s.lists, bad)
	}
	s.lists = append(s.lists, good...)
	if status, err := s.check(); status != Good {
		t.Errorf("%d lists: %v, %v", MaxLists, status, err)
	}
	s.lists = append([]*cert.CRL{bad}, s.lists...)
	if status, err := s.check(); status != Unknown || !strings.Contains(err.Error(), "more than 100 lists") {
		t.Errorf("one more: %v, %v", status, err)
	}
}
