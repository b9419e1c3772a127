package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

type template = x509.RevocationList

// world is a chain and the authorities that sign lists about it.
type world struct {
	t        *testing.T
	ca       *testca.CA
	leaf     *testca.Leaf
	stranger *testca.Authority // another key under the issuing authority's name
}

func newWorld(t *testing.T, options ...testca.Option) *world {
	ca := testca.New(t)
	name := pkix.Name{CommonName: "Test Issuing", Organization: []string{"Example"}}
	return &world{t, ca, ca.Leaf("alice@example.com", testca.P256, options...),
		testca.Renamed(testca.NewRoot(t, "Stranger"), name)}
}

func (w *world) chain() []*cert.Certificate {
	return []*cert.Certificate{w.leaf.Certificate, w.ca.Issuing.Certificate, w.ca.Root.Certificate}
}

func (w *world) list(a *testca.Authority, revoked []testca.Revoked, change ...func(*template)) *cert.CRL {
	w.t.Helper()
	l, err := cert.ParseCRL(a.CRL(revoked, change...))
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// entry revokes a certificate a day before Now.
func entry(c *cert.Certificate, r cert.Reason) []testca.Revoked {
	return []testca.Revoked{{SerialNumber: c.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1), ReasonCode: int(r)}}
}

func extension(id asn1.ObjectIdentifier, critical bool, value string) func(*template) {
	return func(l *template) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: []byte(value)})
	}
}

func period(from, to time.Time) func(*template) {
	return func(l *template) { l.ThisUpdate, l.NextUpdate = from, to }
}

// The issuingDistributionPoint extension and values for it.
var idp = asn1.ObjectIdentifier{2, 5, 29, 28}

const (
	onlyUser      = "\x30\x03\x81\x01\xff"
	onlyCA        = "\x30\x03\x82\x01\xff"
	someReasons   = "\x30\x04\x83\x02\x06\x40" // keyCompromise
	otherReasons  = "\x30\x05\x83\x03\x07\x3f\x80"
	isIndirect    = "\x30\x03\x84\x01\xff"
	onlyAttribute = "\x30\x03\x85\x01\xff"
)

// partition is an issuingDistributionPoint with a URI.
func partition(uri string) string {
	n := byte(len(uri))
	return string([]byte{0x30, n + 6, 0xa0, n + 4, 0xa0, n + 2, 0x86, n}) + uri
}

// check asks lists alone.
func check(chain []*cert.Certificate, lists ...*cert.CRL) (Status, error) {
	return Check(chain, &Options{Evidence: Evidence{CRLs: lists}, At: testca.Now})
}

func TestCheck(t *testing.T) {
	const here, there = "http://example.com/1.crl", "http://example.com/2.crl"
	week := 7 * 24 * time.Hour
	points := func(uris ...string) testca.Option {
		return func(c *x509.Certificate) { c.CRLDistributionPoints = uris }
	}
	for _, tt := range []struct {
		name    string
		options []testca.Option
		lists   func(w *world) []*cert.CRL
		want    Status
		detail  string
	}{
		{name: "no lists", want: NotChecked, lists: func(w *world) []*cert.CRL { return nil }},
		{name: "not listed", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil)}
		}},
		{name: "others are listed", want: Good, lists: func(w *world) []*cert.CRL {
			other := w.ca.Leaf("bob@example.com", testca.P256)
			return []*cert.CRL{w.list(w.ca.Issuing, entry(other.Certificate, cert.KeyCompromise))}
		}},
		{name: "listed", want: Revoked, detail: "keyCompromise", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.KeyCompromise))}
		}},
		{name: "on hold", want: Revoked, detail: "certificateHold", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.CertificateHold))}
		}},
		{name: "listed by another authority", want: Unknown, detail: "no list of its issuer", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(testca.NewRoot(w.t, "Other"), entry(w.leaf.Certificate, cert.KeyCompromise))}
		}},
		{name: "listed by a stranger of the same name", want: Unknown, detail: "signature is wrong", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.stranger, entry(w.leaf.Certificate, cert.KeyCompromise))}
		}},
		{name: "not listed by a stranger of the same name", want: Unknown, detail: "signature is wrong", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.stranger, nil)}
		}},
		{name: "a stranger's list does not spoil a good one", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.stranger, nil), w.list(w.ca.Issuing, nil), w.list(w.stranger, nil)}
		}},

		// freshness
		{name: "stale", want: Unknown, detail: "out of date", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, period(testca.Now.Add(-2*week), testca.Now.Add(-time.Second)))}
		}},
		{name: "last moment", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, period(testca.Now.Add(-week), testca.Now))}
		}},
		{name: "from the future", want: Unknown, detail: "later than the time asked about", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, period(testca.Now.Add(Skew+time.Second), testca.Now.Add(week)))}
		}},
		{name: "listed in a stale list", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.Superseded), period(testca.Now.Add(-2*week), testca.Now.Add(-week)))}
		}},
		{name: "listed in a stale list, gone from the fresh one", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil),
				w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.Superseded), period(testca.Now.Add(-2*week), testca.Now.Add(-week)))}
		}},
		{name: "hold in a stale list, lifted in the fresh one", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.CertificateHold), period(testca.Now.Add(-2*week), testca.Now.Add(-week))),
				w.list(w.ca.Issuing, nil)}
		}},
		{name: "hold in a stale list alone", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.CertificateHold), period(testca.Now.Add(-2*week), testca.Now.Add(-week)))}
		}},
		{name: "revoked after the time asked about", want: Unknown, detail: "later date", lists: func(w *world) []*cert.CRL {
			e := entry(w.leaf.Certificate, cert.KeyCompromise)
			e[0].RevocationTime = testca.Now.Add(time.Hour)
			return []*cert.CRL{w.list(w.ca.Issuing, e, period(testca.Now.Add(2*time.Hour), testca.Now.Add(week)))}
		}},
		{name: "revoked before the time asked about, list after it", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.KeyCompromise), period(testca.Now.Add(time.Hour), testca.Now.Add(week)))}
		}},
		{name: "list made after the certificate ended", options: []testca.Option{testca.Expired()}, want: Unknown, detail: "had ended", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, period(testca.Now.Add(-time.Hour), testca.Now.Add(week)))}
		}},

		// what is not understood
		{name: "unknown critical extension", want: Unknown, detail: "critical", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, true, "\x05\x00"))}
		}},
		{name: "unknown extension", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, false, "\x05\x00"))}
		}},
		{name: "listed in a list with an unknown critical extension", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.KeyCompromise), extension(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, true, "\x05\x00"))}
		}},
		{name: "delta", want: Unknown, detail: "delta", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(asn1.ObjectIdentifier{2, 5, 29, 27}, true, "\x02\x01\x01"))}
		}},
		{name: "malformed scope", want: Unknown, detail: "malformed", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, "\x05\x00"))}
		}},
		{name: "signed with SHA-1", want: Unknown, detail: "weak", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, func(l *template) { l.SignatureAlgorithm = x509.ECDSAWithSHA1 })}
		}},

		// scope
		{name: "for users", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, onlyUser))}
		}},
		{name: "for authorities", want: Unknown, detail: "other certificates", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, onlyCA))}
		}},
		{name: "for attributes", want: Unknown, detail: "other certificates", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, onlyAttribute))}
		}},
		{name: "its partition", options: []testca.Option{points(there, here)}, want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, partition(here)))}
		}},
		{name: "another partition", options: []testca.Option{points(here)}, want: Unknown, detail: "other certificates", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, partition(there)))}
		}},
		{name: "a partition, and the certificate names none", want: Unknown, detail: "other certificates", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, partition(here)))}
		}},
		{name: "some reasons", want: Unknown, detail: "reasons", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, someReasons))}
		}},
		{name: "some reasons and the others", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil, extension(idp, true, someReasons)), w.list(w.ca.Issuing, nil, extension(idp, true, otherReasons))}
		}},
		{name: "listed for some reasons", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.KeyCompromise), extension(idp, true, someReasons))}
		}},
		{name: "indirect, own entries", want: Revoked, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.KeyCompromise), extension(idp, true, isIndirect))}
		}},

		// authorities above
		{name: "issuing authority listed by the root", want: Revoked, detail: "Test Issuing", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil), w.list(w.ca.Root, entry(w.ca.Issuing.Certificate, cert.CACompromise))}
		}},
		{name: "issuing authority's list is stale", want: Unknown, detail: "Test Issuing", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Issuing, nil), w.list(w.ca.Root, nil, period(testca.Now.Add(-2*week), testca.Now.Add(-week)))}
		}},
		{name: "all good", want: Good, lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Root, nil), w.list(w.ca.Issuing, nil)}
		}},
		{name: "only the root's list", want: Unknown, detail: "no list", lists: func(w *world) []*cert.CRL {
			return []*cert.CRL{w.list(w.ca.Root, nil)}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.options...)
			status, err := check(w.chain(), tt.lists(w)...)
			if status != tt.want {
				t.Fatalf("%v, %v; want %v", status, err, tt.want)
			}
			var e *Error
			if answered := status == Good || status == NotChecked; answered != (err == nil) {
				t.Fatalf("%v with error %v", status, err)
			} else if !answered && (!errors.As(err, &e) || e.Status != status || e.Certificate == nil) {
				t.Fatalf("%v with error %#v", status, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("%q does not say %q", err, tt.detail)
			}
		})
	}
}

// TestIssuerMayNotSignLists: keyUsage without cRLSign.
func TestIssuerMayNotSignLists(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a := root.Authority("A", testca.KeyUsage(x509.KeyUsageCertSign))
	leaf := a.Leaf("alice@example.com", testca.P256)
	l, err := cert.ParseCRL(a.CRL(entry(leaf.Certificate, cert.KeyCompromise)))
	if err != nil {
		t.Fatal(err)
	}
	status, err := check([]*cert.Certificate{leaf.Certificate, a.Certificate, root.Certificate}, l)
	if status != Unknown || !strings.Contains(err.Error(), "cRLSign") {
		t.Errorf("%v, %v", status, err)
	}
}

// TestIndirectEntry: in an indirect list, an entry may be another issuer's
// certificate with the same serial number.
func TestIndirectEntry(t *testing.T) {
	w := newWorld(t)
	raw, err := asn1.Marshal(pkix.Name{CommonName: "Elsewhere"}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	tagged := func(tag byte, b []byte) []byte { return append([]byte{tag, byte(len(b))}, b...) }
	e := entry(w.leaf.Certificate, cert.KeyCompromise)
	e[0].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: tagged(0x30, tagged(0xa4, raw))}}
	next := w.ca.Leaf("bob@example.com", testca.P256)
	e = append(e, entry(next.Certificate, cert.KeyCompromise)...)
	l := w.list(w.ca.Issuing, e, extension(idp, true, isIndirect))
	if status, err := check(w.chain(), l); status != Good {
		t.Errorf("%v, %v", status, err)
	}
	w.leaf = next // its entry stands behind, and belongs to the other issuer too
	if status, err := check(w.chain(), l); status != Good {
		t.Errorf("entry behind: %v, %v", status, err)
	}
}

func TestRevokedSays(t *testing.T) {
	w := newWorld(t)
	e := entry(w.leaf.Certificate, cert.KeyCompromise)
	e[0].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: []byte("\x18\x0f20260501120000Z")}}
	_, err := check(w.chain(), w.list(w.ca.Issuing, e))
	var got *Error
	if !errors.As(err, &got) {
		t.Fatal(err)
	}
	if !got.At.Equal(testca.Now.AddDate(0, 0, -1)) || got.Reason != cert.KeyCompromise || !got.Certificate.Equal(w.leaf.Certificate) ||
		!got.InvalidityDate.Equal(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
}

func TestNoChain(t *testing.T) {
	if status, err := check(nil); status != Unknown || err == nil {
		t.Errorf("%v, %v", status, err)
	}
	// An anchor alone has nobody above who could revoke it.
	w := newWorld(t)
	if status, err := check(w.chain()[2:], w.list(w.ca.Root, nil)); status != Good || err != nil {
		t.Errorf("%v, %v", status, err)
	}
}
