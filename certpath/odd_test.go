package certpath

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// extension is an Extension in DER.
func extension(id oid.OID, critical bool, value []byte) []byte {
	parts := [][]byte{oidDER(id)}
	if critical {
		parts = append(parts, []byte{1, 1, 0xff})
	}
	return sequence(append(parts, element(asn1.OCTET_STRING, value))...)
}

// without leaves an extension out; with puts one behind the others, in place puts it where the other of its kind was.
func without(id oid.OID) func(*testca.TBS) {
	return func(f *testca.TBS) {
		f.Extensions = slices.DeleteFunc(f.Extensions, func(e []byte) bool { return bytes.Contains(e, oidDER(id)) })
	}
}

func with(e []byte) func(*testca.TBS) {
	return func(f *testca.TBS) { f.Extensions = append(f.Extensions, e) }
}

func inPlace(id oid.OID, critical bool, value []byte) func(*testca.TBS) {
	return func(f *testca.TBS) {
		without(id)(f)
		with(extension(id, critical, value))(f)
	}
}

func numbered(n *big.Int) func(*testca.TBS) {
	return func(f *testca.TBS) {
		var b cryptobyte.Builder
		b.AddASN1BigInt(n)
		f.Serial = b.BytesOrPanic()
	}
}

// TestOddCertificates: departures from the profile of RFC 5280 §4, in a leaf and in an authority. What path validation (§6) can decide
// all the same does not hurt; what could be understood in two ways does.
func TestOddCertificates(t *testing.T) {
	private := oid.OID("1.3.6.1.4.1.99999.1")
	keep := func(*testca.TBS) {}
	long := new(big.Int).Lsh(big.NewInt(1), 159) // DER needs an octet more for the sign
	for _, tt := range []struct {
		name            string
		change          func(*testca.TBS)
		leaf, authority Reason
	}{
		{"nothing", keep, 0, 0},

		// Key identifiers are hints (RFC 5280 §4.2.1.1).
		{"no authorityKeyIdentifier", without(oid.ExtAuthorityKeyID), 0, 0},
		{"no subjectKeyIdentifier", without(oid.ExtSubjectKeyID), 0, 0},
		{"neither of them", func(f *testca.TBS) { without(oid.ExtAuthorityKeyID)(f); without(oid.ExtSubjectKeyID)(f) }, 0, 0},
		{"authorityKeyIdentifier of another", inPlace(oid.ExtAuthorityKeyID, false, sequence(element(context(0), []byte{1, 2, 3}))), 0, 0},
		{"authorityKeyIdentifier critical", inPlace(oid.ExtAuthorityKeyID, true, sequence(element(context(0), []byte{1, 2, 3}))), Malformed, Malformed},
		{"subjectKeyIdentifier critical", inPlace(oid.ExtSubjectKeyID, true, element(asn1.OCTET_STRING, []byte{1, 2, 3})), Malformed, Malformed},

		// Users of certificates are to handle such numbers (RFC 5280 §4.1.2.2, PKITS 4.4.14).
		{"serial number zero", numbered(new(big.Int)), 0, 0},
		{"negative serial number", numbered(big.NewInt(-5)), 0, 0},
		{"serial number of 21 octets", numbered(long), 0, 0},

		{"version 1 with extensions", func(f *testca.TBS) { f.Version = nil }, Malformed, Malformed},
		{"version 2 with extensions", func(f *testca.TBS) { f.Version = element(constructed(0), integer(1)) }, Malformed, Malformed},
		{"version 1", func(f *testca.TBS) { f.Version, f.Extensions = nil, nil }, 0, NotCA},
		{"version 3 without extensions", func(f *testca.TBS) { f.Extensions = nil }, 0, NotCA},

		{"extension doubled", with(extension(private, false, []byte{5, 0})), 0, 0},
		{"unknown extension twice", func(f *testca.TBS) {
			with(extension(private, false, []byte{5, 0}))(f)
			with(extension(private, false, []byte{5, 0}))(f)
		}, Malformed, Malformed},
		{"basicConstraints twice", func(f *testca.TBS) {
			inPlace(oid.ExtBasicConstraints, true, sequence([]byte{1, 1, 0xff}))(f)
			with(extension(oid.ExtBasicConstraints, true, sequence()))(f)
		}, Malformed, Malformed},
		{"subjectAltName twice", func(f *testca.TBS) {
			inPlace(oid.ExtSubjectAltName, false, sequence(testca.Mailbox(alice)))(f)
			with(extension(oid.ExtSubjectAltName, false, sequence(testca.Mailbox("eve@example.com"))))(f)
		}, Malformed, Malformed},
		{"empty subjectAltName", inPlace(oid.ExtSubjectAltName, false, sequence()), Malformed, Malformed},
		{"empty extended key usage", inPlace(oid.ExtExtKeyUsage, false, sequence()), Malformed, Malformed},
		{"keyUsage without any bit", inPlace(oid.ExtKeyUsage, true, []byte{3, 1, 0}), 0, NotCA},
		{"basicConstraints not critical", inPlace(oid.ExtBasicConstraints, false, sequence([]byte{1, 1, 0xff})), 0, 0},
		{"basicConstraints with cA as FALSE in full", inPlace(oid.ExtBasicConstraints, true, sequence([]byte{1, 1, 0})), 0, NotCA},
		{"negative pathLenConstraint", inPlace(oid.ExtBasicConstraints, true, sequence([]byte{1, 1, 0xff}, integer(-1))), Malformed, Malformed},
		{"huge pathLenConstraint", inPlace(oid.ExtBasicConstraints, true, sequence([]byte{1, 1, 0xff}, integer(1<<40))), 0, 0},

		{"unknown and critical", with(extension(private, true, []byte{5, 0})), UnknownCritical, UnknownCritical},
		{"nameConstraints not critical", inPlace(oid.ExtNameConstraints, false, sequence(element(constructed(0), sequence(testca.Mailbox("example.com"))))), Malformed, 0},
		{"nameConstraints not critical, and not kept", inPlace(oid.ExtNameConstraints, false, sequence(element(constructed(0), sequence(testca.Mailbox("example.org"))))), Malformed, NameConstraint},

		// S/MIME alone, by name or by any (RFC 8550 §4.4.4).
		{"for any purpose", inPlace(oid.ExtExtKeyUsage, false, sequence(oidDER(oid.AnyExtendedKeyUsage))), 0, 0},
		{"for any purpose and for servers", inPlace(oid.ExtExtKeyUsage, false, sequence(oidDER(oid.ServerAuth), oidDER(oid.AnyExtendedKeyUsage))), 0, 0},
		{"for servers and clients", inPlace(oid.ExtExtKeyUsage, false, sequence(oidDER(oid.ServerAuth), oidDER(oid.ClientAuth))), WrongPurpose, WrongPurpose},
		{"for mail, critical", inPlace(oid.ExtExtKeyUsage, true, sequence(oidDER(oid.EmailProtection))), 0, 0},

		{"another algorithm inside than outside", func(f *testca.TBS) { f.Signature = sequence(oidDER(oid.ECDSAWithSHA384)) }, Malformed, Malformed},
		{"begins after its end", func(f *testca.TBS) {
			f.Validity = sequence(element(asn1.UTCTime, []byte("270101000000Z")), element(asn1.UTCTime, []byte("260101000000Z")))
		}, NotYetValid, NotYetValid},
		{"GeneralizedTime before 2050", func(f *testca.TBS) {
			f.Validity = sequence(element(asn1.GeneralizedTime, []byte("20260101000000Z")), element(asn1.GeneralizedTime, []byte("20270101000000Z")))
		}, 0, 0},
		{"no end", func(f *testca.TBS) {
			f.Validity = sequence(element(asn1.UTCTime, []byte("260101000000Z")), element(asn1.GeneralizedTime, []byte("99991231235959Z")))
		}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ca := testca.New(t)
			l := ca.Leaf(alice, testca.P256)
			p := of(ca.Root, l)
			p.leaf = ca.Issuing.Rebuild(l.Certificate, tt.change)
			check(t, p, options(p), tt.leaf)

			odd := ca.Issuing.With(ca.Root.Rebuild(ca.Issuing.Certificate, tt.change))
			p = of(ca.Root, odd.Leaf(alice, testca.P256))
			check(t, p, options(p), tt.authority)
		})
	}
}

// TestOddAnchors: an anchor of version 1 cannot say that it is an authority. One that could, and does not, is none.
func TestOddAnchors(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	bare := func(f *testca.TBS) { f.Version, f.Extensions = nil, nil }
	for _, tt := range []struct {
		name   string
		anchor *cert.Certificate
		want   Reason
	}{
		{"version 1", root.Rebuild(root.Certificate, bare), 0},
		{"version 3 without extensions", root.Rebuild(root.Certificate, func(f *testca.TBS) { f.Extensions = nil }), NotCA},
		{"version 1, issued by another", testca.NewRoot(t, "Above").Rebuild(testca.NewRoot(t, "Above").CrossSign(root), bare), NotCA},
		{"its number is negative and it names no key", root.Rebuild(root.Certificate, func(f *testca.TBS) {
			numbered(big.NewInt(-1))(f)
			without(oid.ExtSubjectKeyID)(f)
		}), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pki{root.Leaf(alice, testca.P256).Certificate, nil, []*cert.Certificate{tt.anchor}}
			check(t, p, options(p), tt.want)
		})
	}
	// A self-issued certificate of version 1 below an anchor is no authority.
	a := root.Authority("A")
	rolled := root.With(root.Rebuild(root.CrossSign(a, func(c *x509.Certificate) { c.KeyUsage = 0 }), func(f *testca.TBS) {
		bare(f)
		f.Subject = f.Issuer
	}))
	leaf := testca.Renamed(a, pkix.Name{CommonName: "Root", Organization: []string{"Example"}}).Leaf(alice, testca.P256)
	p := pki{leaf.Certificate, []*cert.Certificate{rolled.Certificate}, []*cert.Certificate{root.Certificate}}
	check(t, p, options(p), NotCA)
}

// TestSignedByItself: nobody is an anchor for having signed themself.
func TestSignedByItself(t *testing.T) {
	own := testca.NewRoot(t, "Alice herself", testca.Emails(alice), testca.NotCA(), testca.KeyUsage(x509.KeyUsageDigitalSignature))
	p := pki{own.Certificate, []*cert.Certificate{own.Certificate}, []*cert.Certificate{testca.NewRoot(t, "Root").Certificate}}
	check(t, p, options(p), NoPath)
	p.anchors = append(p.anchors, own.Certificate)
	check(t, p, options(p), 0)
}

// TestWeakInside: an old digest or a short key anywhere below the anchor spoils the path, and that of the anchor's own signature nothing.
func TestWeakInside(t *testing.T) {
	rsaRoot := testca.NewRoot(t, "Root").AuthorityOf(testca.RSA2048, "RSA")
	md5 := oid.AlgorithmIdentifier{Algorithm: oid.MD5WithRSA, Parameters: oid.Null}
	old := func(a *testca.Authority, c *cert.Certificate) *cert.Certificate {
		c.SignatureAlgorithm = md5
		var b cryptobyte.Builder
		md5.Add(&b)
		return a.Rebuild(c, func(f *testca.TBS) { f.Signature = b.BytesOrPanic() })
	}
	anchor := []*cert.Certificate{rsaRoot.Certificate}
	leaf := rsaRoot.Leaf(alice, testca.P256)
	check(t, pki{old(rsaRoot, leaf.Certificate), nil, anchor}, options(pki{anchors: anchor}), Weak)
	a := rsaRoot.Authority("A")
	a = a.With(old(rsaRoot, a.Certificate))
	p := pki{a.Leaf(alice, testca.P256).Certificate, []*cert.Certificate{a.Certificate}, anchor}
	check(t, p, options(p), Weak)
	p.anchors = []*cert.Certificate{a.Certificate}
	check(t, p, options(p), 0)
}

// TestWhatIsTold: of several reasons why there is no path, the one that helps.
func TestWhatIsTold(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf(alice, testca.P256).Certificate
	unnamed := ca.Issuing.Rebuild(leaf, without(oid.ExtAuthorityKeyID))
	namesake := func(name string, options ...testca.Option) *testca.Authority {
		return ca.Root.Authority(name, append(options, testca.Subject(pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}}))...)
	}
	stranger := namesake("another key")
	silent := stranger.With(ca.Root.Rebuild(stranger.Certificate, without(oid.ExtSubjectKeyID)))
	for _, tt := range []struct {
		name   string
		leaf   *cert.Certificate
		issuer *testca.Authority
		want   Reason
	}{
		// Two authorities of one name, of which the wrong one is here: the right one is missing, and nothing is forged.
		{"another key of that name", leaf, stranger, NoPath},
		{"another key of that name, and the leaf names none", unnamed, stranger, BadSignature},
		{"another key of that name, and it names none", leaf, silent, BadSignature},
		{"the key that is named did not sign", tampered(t, leaf), ca.Issuing, BadSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pki{tt.leaf, []*cert.Certificate{tt.issuer.Certificate}, []*cert.Certificate{ca.Root.Certificate}}
			check(t, p, options(p), tt.want)
		})
	}
	root, none := testca.NewRoot(t, "Root", testca.PathLen(0)), testca.NewRoot(t, "Root", testca.NotCA())
	below := root.Authority("A")
	for _, anchors := range [][]*cert.Certificate{{root.Certificate, none.Certificate}, {none.Certificate, root.Certificate}} {
		p := pki{below.Leaf(alice, testca.P256).Certificate, []*cert.Certificate{below.Certificate}, anchors}
		check(t, p, options(p), PathLen)
	}
	if got := Expired.String() + ", " + Reason(99).String(); got != "expired, reason 99" {
		t.Error(got)
	}
}
