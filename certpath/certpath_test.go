package certpath

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

const alice = "alice@example.com"

// pki is what a case makes: a leaf, what came with it and what is trusted.
type pki struct {
	leaf          *cert.Certificate
	intermediates []*cert.Certificate
	anchors       []*cert.Certificate
}

func of(root *testca.Authority, leaf *testca.Leaf) pki {
	return pki{leaf.Certificate, leaf.Chain, []*cert.Certificate{root.Certificate}}
}

func options(p pki) *Options {
	return &Options{Anchors: p.anchors, Intermediates: p.intermediates, At: testca.Now}
}

// cases are PKIs with one fact each that decides. Reason 0 is acceptance.
var cases = []struct {
	name   string
	make   func(t *testing.T) pki
	change func(*Options)
	want   Reason
}{
	{name: "control", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256))
	}},
	{name: "leaf directly under the root", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Leaf(alice, testca.P256))
	}},
	{name: "intermediate missing", want: NoPath, make: func(t *testing.T) pki {
		ca := testca.New(t)
		p := of(ca.Root, ca.Leaf(alice, testca.P256))
		p.intermediates = nil
		return p
	}},
	{name: "nothing trusted", want: NoPath, make: func(t *testing.T) pki {
		ca := testca.New(t)
		p := of(ca.Root, ca.Leaf(alice, testca.P256))
		p.anchors, p.intermediates = nil, append(p.intermediates, ca.Root.Certificate)
		return p
	}},
	{name: "another root", want: NoPath, make: func(t *testing.T) pki {
		ca := testca.New(t)
		p := of(ca.Root, ca.Leaf(alice, testca.P256))
		p.anchors = []*cert.Certificate{testca.NewRoot(t, "Another Root").Certificate}
		return p
	}},

	// time
	{name: "leaf expired", want: Expired, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Expired()))
	}},
	{name: "leaf not yet valid", want: NotYetValid, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.NotYetValid()))
	}},
	{name: "issuing expired", want: Expired, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", testca.Expired()).Leaf(alice, testca.P256))
	}},
	{name: "root expired", want: Expired, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.Expired())
		return of(root, root.Leaf(alice, testca.P256))
	}},
	{name: "first second", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Validity(testca.Now, testca.Now.AddDate(1, 0, 0))))
	}},
	{name: "second before", want: NotYetValid, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Validity(testca.Now.Add(time.Second), testca.Now.AddDate(1, 0, 0))))
	}},
	{name: "last second", change: func(o *Options) { o.At = o.At.Add(time.Second - 1) }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Validity(testca.Now.AddDate(-1, 0, 0), testca.Now)))
	}},
	{name: "second after", want: Expired, change: func(o *Options) { o.At = o.At.Add(time.Second) }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Validity(testca.Now.AddDate(-1, 0, 0), testca.Now)))
	}},
	{name: "no time given", want: NotYetValid, change: func(o *Options) { o.At = time.Time{} }, make: control},

	// authorities
	{name: "issuing is no authority", want: NotCA, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", testca.NotCA()).Leaf(alice, testca.P256))
	}},
	{name: "issuing without basicConstraints", want: NotCA, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", func(c *x509.Certificate) {
			c.BasicConstraintsValid, c.IsCA, c.MaxPathLen = false, false, 0
		}).Leaf(alice, testca.P256))
	}},
	{name: "issuing without keyCertSign", want: NotCA, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", testca.KeyUsage(x509.KeyUsageCRLSign)).Leaf(alice, testca.P256))
	}},
	{name: "issuing without keyUsage", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", testca.KeyUsage(0)).Leaf(alice, testca.P256))
	}},
	{name: "root is no authority", want: NotCA, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.NotCA())
		return of(root, root.Leaf(alice, testca.P256))
	}},
	{name: "leaf as issuer", want: NotCA, make: func(t *testing.T) pki {
		ca := testca.New(t)
		mallory := ca.Leaf("mallory@example.com", testca.P256)
		forger := testca.As(t, mallory)
		return of(ca.Root, forger.Leaf(alice, testca.P256))
	}},
	{name: "authority without a name", want: Malformed, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("", testca.Subject(pkix.Name{})).Leaf(alice, testca.P256))
	}},
	{name: "pathLen 0 with one below", want: PathLen, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("A", testca.PathLen(0)).Authority("B").Leaf(alice, testca.P256))
	}},
	{name: "pathLen 0 with none below", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("A", testca.PathLen(0)).Leaf(alice, testca.P256))
	}},
	{name: "pathLen 1 with one below", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("A", testca.PathLen(1)).Authority("B").Leaf(alice, testca.P256))
	}},
	{name: "pathLen of the root", want: PathLen, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.PathLen(0))
		return of(root, root.Authority("A").Leaf(alice, testca.P256))
	}},
	{name: "pathLen does not count self-issued", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		a := root.Authority("A", testca.PathLen(0))
		rolled := a.AuthorityOf(testca.P384, "A") // same name, new key
		return of(root, rolled.Leaf(alice, testca.P256))
	}},

	// signatures
	{name: "signature of the leaf", want: BadSignature, make: func(t *testing.T) pki {
		p := control(t)
		p.leaf = tampered(t, p.leaf)
		return p
	}},
	{name: "signature of the issuing authority", want: BadSignature, make: func(t *testing.T) pki {
		p := control(t)
		p.intermediates = []*cert.Certificate{tampered(t, p.intermediates[0])}
		return p
	}},
	{name: "signature of the root is not asked for", make: func(t *testing.T) pki {
		p := control(t)
		p.anchors = []*cert.Certificate{tampered(t, p.anchors[0])}
		return p
	}},

	// strength
	{name: "leaf signed with SHA-1", want: Weak, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.SHA1(ca.Issuing)))
	}},
	{name: "issuing signed with SHA-1", want: Weak, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", testca.SHA1(root)).Leaf(alice, testca.P256))
	}},
	{name: "leaf with RSA-1024", want: Weak, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.RSA1024))
	}},
	{name: "leaf with RSA-2048", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.RSA2048))
	}},
	{name: "issuing with RSA-1024", want: Weak, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.AuthorityOf(testca.RSA1024, "Small").Leaf(alice, testca.P256))
	}},

	// purposes
	{name: "leaf for another purpose", want: WrongPurpose, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth)))
	}},
	{name: "leaf without extKeyUsage", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.ExtKeyUsage()))
	}},
	{name: "leaf for any purpose", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageAny)))
	}},
	// contradictions in the leaf
	{name: "leaf may sign certificates and is no authority", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.KeyUsage(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign)))
	}},
	{name: "leaf is an authority", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.KeyUsage(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign),
			func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }))
	}},
	{name: "leaf with pathLen and no authority", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Extension(oid.ExtBasicConstraints, true, sequence(integer(0)))))
	}},
	{name: "leaf with name constraints and no authority", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.PermitEmails("example.com")))
	}},
	{name: "leaf without subject, subjectAltName critical", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Subject(pkix.Name{})))
	}},
	{name: "leaf without subject, subjectAltName not critical", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Subject(pkix.Name{}), testca.AltNames(false, testca.Mailbox(alice))))
	}},
	{name: "leaf without any name", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf("", testca.P256, testca.Subject(pkix.Name{})))
	}},
	{name: "critical authorityKeyIdentifier", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Extension(oid.ExtAuthorityKeyID, true, sequence(element(context(0), ca.Issuing.Certificate.SubjectKeyID)))))
	}},
	{name: "critical subjectKeyIdentifier in an authority", want: Malformed, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("A", testca.Extension(oid.ExtSubjectKeyID, true, element(asn1.OCTET_STRING, []byte{1, 2, 3}))).Leaf(alice, testca.P256))
	}},
	{name: "signature that is not made of octets", want: BadSignature, make: func(t *testing.T) pki {
		p := control(t)
		raw := append([]byte(nil), p.leaf.Raw...)
		raw[len(raw)-len(p.leaf.Signature)-1] = 1 // unused bits
		bad, err := cert.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		p.leaf = bad
		return p
	}},
	{name: "issuing for another purpose", want: WrongPurpose, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("Issuing", testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth)).Leaf(alice, testca.P256))
	}},
	{name: "root for another purpose", want: WrongPurpose, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth))
		return of(root, root.Leaf(alice, testca.P256))
	}},
	{name: "purpose not asked for", change: func(o *Options) { o.Purpose = AnyPurpose }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageServerAuth)))
	}},
	{name: "client authentication", change: func(o *Options) { o.Purpose = ClientAuth }, want: WrongPurpose, make: control},
	{name: "OCSP signing must be named", change: func(o *Options) { o.Purpose = OCSPSigning }, want: WrongPurpose, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf("", testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageAny)))
	}},
	{name: "OCSP signing", change: func(o *Options) { o.Purpose = OCSPSigning }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf("", testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning)))
	}},
	{name: "time stamping must be critical", change: func(o *Options) { o.Purpose = TimeStamping }, want: WrongPurpose, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf("", testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageTimeStamping)))
	}},
	{name: "time stamping", change: func(o *Options) { o.Purpose = TimeStamping }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf("", testca.P256, testca.ExtKeyUsage(), testca.Extension(oid.ExtExtKeyUsage, true, sequence(oidDER(oid.TimeStamping)))))
	}},
	{name: "unknown purpose", change: func(o *Options) { o.Purpose = 99 }, want: WrongPurpose, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.ExtKeyUsage()))
	}},
	{name: "leaf's key is for something else", want: KeyUsage, change: func(o *Options) { o.KeyUsage = cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.KeyUsage(x509.KeyUsageKeyAgreement)))
	}},
	{name: "leaf's key is for one of several", change: func(o *Options) { o.KeyUsage = cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.KeyUsage(x509.KeyUsageContentCommitment)))
	}},
	{name: "leaf without keyUsage", change: func(o *Options) { o.KeyUsage = cert.KeyUsageDigitalSignature }, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.KeyUsage(0)))
	}},

	// extensions
	{name: "unknown critical extension in the leaf", want: UnknownCritical, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Extension("1.3.6.1.4.1.99999.1", true, []byte{5, 0})))
	}},
	{name: "unknown extension in the leaf", make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Extension("1.3.6.1.4.1.99999.1", false, []byte{5, 0})))
	}},
	{name: "unknown critical extension in an authority", want: UnknownCritical, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		return of(root, root.Authority("A", testca.Extension("1.3.6.1.4.1.99999.1", true, []byte{5, 0})).Leaf(alice, testca.P256))
	}},
	{name: "unknown critical extension in the root", want: UnknownCritical, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.Extension("1.3.6.1.4.1.99999.1", true, []byte{5, 0}))
		return of(root, root.Leaf(alice, testca.P256))
	}},
	{name: "malformed keyUsage", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Extension(oid.ExtKeyUsage, true, []byte{5, 0})))
	}},
	{name: "malformed subjectAltName, not critical", want: Malformed, make: func(t *testing.T) pki {
		ca := testca.New(t)
		return of(ca.Root, ca.Leaf(alice, testca.P256, testca.Extension(oid.ExtSubjectAltName, false, []byte{5, 0})))
	}},

	// a leaf as an anchor
	{name: "leaf is listed", make: func(t *testing.T) pki {
		ca := testca.New(t)
		leaf := ca.Leaf(alice, testca.P256).Certificate
		return pki{leaf: leaf, anchors: []*cert.Certificate{leaf}}
	}},
	{name: "leaf is listed and expired", want: Expired, make: func(t *testing.T) pki {
		ca := testca.New(t)
		leaf := ca.Leaf(alice, testca.P256, testca.Expired()).Certificate
		return pki{leaf: leaf, anchors: []*cert.Certificate{leaf}}
	}},
	{name: "another certificate of the listed leaf's key", want: NoPath, make: func(t *testing.T) pki {
		ca := testca.New(t)
		listed := ca.Leaf(alice, testca.P256).Certificate
		return pki{leaf: ca.Leaf(alice, testca.P256).Certificate, anchors: []*cert.Certificate{listed}}
	}},
	{name: "a listed leaf issues", want: NotCA, make: func(t *testing.T) pki {
		ca := testca.New(t)
		bob := testca.As(t, ca.Leaf("bob@example.com", testca.P256))
		return pki{leaf: bob.Leaf(alice, testca.P256).Certificate, anchors: []*cert.Certificate{bob.Certificate}}
	}},
	{name: "issuing authority is listed", make: func(t *testing.T) pki {
		p := control(t)
		p.anchors, p.intermediates = p.intermediates, nil
		return p
	}},

	// ways to build
	{name: "cross-signed: the second way counts", make: func(t *testing.T) pki {
		old, young := testca.NewRoot(t, "Old"), testca.NewRoot(t, "Young")
		a := old.Authority("A")
		p := of(young, a.Leaf(alice, testca.P256))
		p.intermediates = append(p.intermediates, young.CrossSign(a))
		return p
	}},
	{name: "cross-signed: the expired way does not hide the good one", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		a := root.Authority("A")
		p := of(root, a.Leaf(alice, testca.P256))
		p.intermediates = append([]*cert.Certificate{root.CrossSign(a, testca.Expired())}, p.intermediates...)
		return p
	}},
	{name: "cross-signed: all ways expired", want: Expired, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		a := root.Authority("A", testca.Expired())
		p := of(root, a.Leaf(alice, testca.P256))
		p.intermediates = append(p.intermediates, root.CrossSign(a, testca.NotCA()))
		return p
	}},
	{name: "two anchors of one key, the milder fault is told", want: Expired, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.NotCA())
		expired := testca.NewRoot(t, "Root", testca.Expired())
		p := of(root, root.Leaf(alice, testca.P256))
		p.anchors = append(p.anchors, expired.Certificate)
		return p
	}},
	{name: "two anchors of one key, told in the other order", want: Expired, make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root", testca.Expired())
		none := testca.NewRoot(t, "Root", testca.NotCA())
		p := of(root, root.Leaf(alice, testca.P256))
		p.anchors = append(p.anchors, none.Certificate)
		return p
	}},
	{name: "two anchors of one key, one good", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		none := testca.NewRoot(t, "Root", testca.NotCA())
		p := of(root, root.Leaf(alice, testca.P256))
		p.anchors = append([]*cert.Certificate{none.Certificate}, p.anchors...)
		return p
	}},
	{name: "an impostor with the issuer's name comes first", make: func(t *testing.T) pki {
		ca := testca.New(t)
		p := of(ca.Root, ca.Leaf(alice, testca.P256))
		impostor := testca.NewRoot(t, "impostor", testca.Subject(pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}}))
		p.intermediates = append([]*cert.Certificate{impostor.Certificate}, p.intermediates...)
		return p
	}},
	{name: "a circle of authorities", want: NoPath, make: func(t *testing.T) pki {
		a, b := testca.NewRoot(t, "A"), testca.NewRoot(t, "B")
		leaf := a.Leaf(alice, testca.P256)
		return pki{leaf.Certificate, []*cert.Certificate{b.CrossSign(a), a.CrossSign(b), a.Certificate, b.Certificate}, nil}
	}},
	{name: "root again among the intermediates", make: func(t *testing.T) pki {
		p := control(t)
		p.intermediates = append(p.intermediates, p.anchors[0], p.leaf)
		return p
	}},
	{name: "names compare without case and doubled spaces", make: func(t *testing.T) pki {
		root := testca.NewRoot(t, "Root")
		a := root.Authority("A Name")
		p := of(root, a.Leaf(alice, testca.P256))
		p.intermediates = []*cert.Certificate{root.CrossSign(testca.Renamed(a, pkix.Name{CommonName: "a   NAME ", Organization: []string{"EXAMPLE"}}))}
		return p
	}},
}

// TestAccept: the caller's own question is asked of every path without fault.
func TestAccept(t *testing.T) {
	root, other := testca.NewRoot(t, "Root"), testca.NewRoot(t, "Other")
	a := root.Authority("A")
	p := of(root, a.Leaf(alice, testca.P256))
	cross := other.CrossSign(a)
	p.anchors, p.intermediates = append(p.anchors, other.Certificate), append(p.intermediates, cross)
	refuse := errors.New("refused")
	asked := 0
	refuseAll := func(chain []*cert.Certificate) error { asked++; return refuse }
	refuseOne := func(chain []*cert.Certificate) error {
		if chain[1].Equal(a.Certificate) {
			return refuse
		}
		return nil
	}
	o := options(p)
	o.Accept = refuseOne
	if chain, err := Verify(p.leaf, o); err != nil || !chain[1].Equal(cross) {
		t.Errorf("one path refused: %v", err)
	}
	o.Accept = refuseAll
	if chain, err := Verify(p.leaf, o); err != refuse || chain != nil || asked != 2 {
		t.Errorf("all refused: %v, asked %d times", err, asked)
	}
	o.Anchors, asked = []*cert.Certificate{p.leaf}, 0
	if _, err := Verify(p.leaf, o); err != refuse || asked != 1 {
		t.Errorf("trusted itself: %v, asked %d times", err, asked)
	}
	o.Anchors, asked = nil, 0
	if _, err := Verify(p.leaf, o); err == nil || err == refuse || asked != 0 {
		t.Errorf("no path: %v, asked %d times", err, asked)
	}
}

// TestAcceptIsAskedSoOften: whoever refuses everything is not asked for ever.
func TestAcceptIsAskedSoOften(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a := root.Authority("A")
	p := of(root, a.Leaf(alice, testca.P256))
	for range 3 * maxRefusals {
		p.intermediates = append(p.intermediates, root.CrossSign(a))
	}
	asked := 0
	o := options(p)
	o.Accept = func([]*cert.Certificate) error { asked++; return errors.New("refused") }
	if _, err := Verify(p.leaf, o); err == nil || asked != maxRefusals {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func control(t *testing.T) pki {
	ca := testca.New(t)
	return of(ca.Root, ca.Leaf(alice, testca.P256))
}

// tampered flips a bit of the signature.
func tampered(t *testing.T, c *cert.Certificate) *cert.Certificate {
	t.Helper()
	raw := append([]byte(nil), c.Raw...)
	raw[len(raw)-1] ^= 1
	bad, err := cert.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

func TestVerify(t *testing.T) {
	for _, tt := range cases {
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

func check(t *testing.T, p pki, o *Options, want Reason) {
	t.Helper()
	chain, err := Verify(p.leaf, o)
	if want == 0 {
		if err != nil {
			t.Fatal(err)
		}
		if !chain[0].Equal(p.leaf) || !contains(o.Anchors, chain[len(chain)-1]) {
			t.Fatalf("chain of %d does not lead from the leaf to an anchor", len(chain))
		}
		for i := range chain[:len(chain)-1] {
			if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
				t.Fatalf("chain, link %d: %v", i, err)
			}
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("err = %v, want %v", err, want)
	}
	if e.Reason != want {
		t.Fatalf("%v: want %v", e, want)
	}
	if chain != nil || e.Certificate == nil || e.Detail == "" {
		t.Fatalf("incomplete refusal: %v, chain of %d", e, len(chain))
	}
}

func contains(list []*cert.Certificate, c *cert.Certificate) bool {
	for _, o := range list {
		if o.Equal(c) {
			return true
		}
	}
	return false
}

// differs are cases in which crypto/x509 means to judge otherwise.
var differs = map[string]string{
	"leaf with RSA-1024":                                "takes it",
	"issuing with RSA-1024":                             "takes it",
	"signature of the root is not asked for":            "the pool finds certificates by their digest",
	"names compare without case and doubled spaces":     "compares names by their bytes",
	"pathLen does not count self-issued":                "counts them",
	"malformed subjectAltName, not critical":            "does not parse it",
	"malformed keyUsage":                                "does not parse it",
	"authority without a name":                          "takes it",
	"leaf may sign certificates and is no authority":    "takes it",
	"leaf with pathLen and no authority":                "takes it",
	"leaf with name constraints and no authority":       "takes it",
	"leaf without subject, subjectAltName not critical": "takes it",
	"leaf without any name":                             "takes it",
}

// TestAgreesWithStandardLibrary holds the cases that crypto/x509 can judge
// against its judgement.
func TestAgreesWithStandardLibrary(t *testing.T) {
	agreed := 0
	for _, tt := range cases {
		if tt.change != nil {
			continue
		}
		if _, differs := differs[tt.name]; differs {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			p := tt.make(t)
			roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
			for _, c := range p.anchors {
				roots.AddCert(std(t, c))
			}
			for _, c := range p.intermediates {
				intermediates.AddCert(std(t, c))
			}
			_, err := std(t, p.leaf).Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: intermediates, CurrentTime: testca.Now,
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
			})
			if (err == nil) != (tt.want == 0) {
				t.Errorf("crypto/x509 says %v, we say %v", err, tt.want)
			}
			agreed++
		})
	}
	if agreed < 40 {
		t.Errorf("only %d cases were held against crypto/x509", agreed)
	}
}

func std(t *testing.T, c *cert.Certificate) *x509.Certificate {
	t.Helper()
	s, err := x509.ParseCertificate(c.Raw)
	if err != nil {
		t.Skipf("crypto/x509 does not parse it: %v", err)
	}
	return s
}

// store is an AnchorStore of one anchor.
type store struct {
	anchor   *cert.Certificate
	distrust time.Time
	asked    int
}

func (s *store) Named(subject cert.Name) []*cert.Certificate {
	s.asked++
	if s.anchor.Subject.Equal(subject) {
		return []*cert.Certificate{s.anchor}
	}
	return nil
}

func (s *store) DistrustAfter(c *cert.Certificate) time.Time {
	if c.Equal(s.anchor) {
		return s.distrust
	}
	return time.Time{}
}

func TestAnchorStore(t *testing.T) {
	p := control(t)
	root := p.anchors[0]
	p.anchors = []*cert.Certificate{testca.NewRoot(t, "Another Root").Certificate}
	began := p.leaf.NotBefore
	for _, tt := range []struct {
		name     string
		distrust time.Time
		want     Reason
	}{
		{"trusted", time.Time{}, 0},
		{"trusted until after the leaf was made", began.Add(time.Second), 0},
		{"trusted until the leaf was made", began, 0},
		{"distrusted before", began.Add(-time.Second), Distrusted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(p)
			o.Store = &store{anchor: root, distrust: tt.distrust}
			chain, err := Verify(p.leaf, o)
			var e *Error
			if tt.want == 0 && (err != nil || !chain[2].Equal(root)) || tt.want != 0 && (!errors.As(err, &e) || e.Reason != tt.want) {
				t.Errorf("%d certificates, %v", len(chain), err)
			}
		})
	}
	// Who is trusted by the caller's own list is not held to the store's dates, unless it is the same certificate.
	o := options(p)
	o.Anchors = append(o.Anchors, root)
	o.Store = &store{anchor: testca.NewRoot(t, "Third Root").Certificate, distrust: began.Add(-time.Hour)}
	if _, err := Verify(p.leaf, o); err != nil {
		t.Error(err)
	}
	s := &store{anchor: p.leaf, distrust: began.Add(-time.Hour)}
	o = options(p)
	o.Store = s
	check(t, pki{leaf: p.leaf}, o, Distrusted)
	if s.asked > 5 {
		t.Errorf("the store was asked %d times about three names", s.asked)
	}
	o.Store = &store{anchor: p.leaf}
	if chain, err := Verify(p.leaf, o); err != nil || len(chain) != 1 {
		t.Errorf("a leaf in the store: %v", err)
	}
}
