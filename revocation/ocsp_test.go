package revocation

import (
	"crypto"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ocsp"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// parsed reads a response that a test has made.
func parsed(t *testing.T, der []byte) *cert.OCSPResponse {
	t.Helper()
	r, err := cert.ParseOCSPResponse(der)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// at writes a GeneralizedTime.
func generalized(t time.Time) []byte {
	var b cryptobyte.Builder
	b.AddASN1GeneralizedTime(t)
	return b.BytesOrPanic()
}

// sha1 signs with ECDSA and SHA-1.
var sha1 = oid.AlgorithmIdentifier{Algorithm: oid.ECDSAWithSHA1}

func TestOCSP(t *testing.T) {
	const keyCompromise = cert.KeyCompromise
	for _, tt := range []struct {
		name    string
		options []testca.Option // of the leaf
		build   func(w *world, a testca.Answer) []byte
		want    Status
		detail  string
	}{
		{name: "good, by the issuer", want: Good, build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "good, by the issuer's key", want: Good, build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, ByKey: true})
		}},
		{name: "good, SHA-256", want: Good, build: func(w *world, a testca.Answer) []byte {
			a.Hash = crypto.SHA256
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "revoked", want: Revoked, detail: "keyCompromise", build: func(w *world, a testca.Answer) []byte {
			a.Status, a.Reason = cert.OCSPRevoked, keyCompromise
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "on hold", want: Revoked, detail: "certificateHold", build: func(w *world, a testca.Answer) []byte {
			a.Status, a.Reason = cert.OCSPRevoked, cert.CertificateHold
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "unknown", want: Unknown, detail: "does not know", build: func(w *world, a testca.Answer) []byte {
			a.Status = cert.OCSPUnknown
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},

		// whose word counts
		{name: "delegated", want: Good, build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "delegated, by its key, behind other certificates", want: Good, build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, ByKey: true,
				Certificates: []*cert.Certificate{w.ca.Root.Certificate, w.leaf.Certificate, r.Certificate}})
		}},
		{name: "delegated, revoked", want: Revoked, build: func(w *world, a testca.Answer) []byte {
			a.Status = cert.OCSPRevoked
			r := w.ca.Issuing.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "delegated, its certificate left out", want: Unknown, detail: "neither by the issuer", build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.Responder().OCSP(w.t, testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "delegated without OCSPSigning", want: Unknown, detail: "OCSPSigning", build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder(testca.ExtKeyUsage(x509.ExtKeyUsageEmailProtection))
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "delegated for any purpose", want: Unknown, detail: "OCSPSigning", build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder(testca.ExtKeyUsage(x509.ExtKeyUsageAny))
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "delegated without extended key usage", want: Unknown, detail: "OCSPSigning", build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder(testca.ExtKeyUsage())
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "delegated by the authority above", want: Unknown, build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Root.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "delegated by one whom the issuer delegated", want: Unknown, build: func(w *world, a testca.Answer) []byte {
			mid := w.ca.Issuing.Authority("Middle")
			r := mid.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate, mid.Certificate}})
		}},
		{name: "delegated by a stranger of the issuer's name", want: Unknown, build: func(w *world, a testca.Answer) []byte {
			r := w.stranger.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "several responders sent along, one of them the signer", want: Good, build: func(w *world, a testca.Answer) []byte {
			r, other := w.ca.Issuing.Responder(), w.ca.Issuing.Leaf("other", testca.P384, testca.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning))
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{other.Certificate, r.Certificate}})
		}},
		{name: "responder in the name of the issuer", want: Unknown, build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Name: w.ca.Issuing.Certificate, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "responder that has ended", want: Unknown, detail: "expired", build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder(testca.Expired())
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "responder whose key is not for signatures", want: Unknown, detail: "keyUsage", build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder(testca.KeyUsage(x509.KeyUsageKeyAgreement))
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "responder with an unknown critical extension", want: Unknown, detail: "critical", build: func(w *world, a testca.Answer) []byte {
			r := w.ca.Issuing.Responder(testca.Extension("1.3.6.1.4.1.99999.1", true, oid.Null))
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "issuer for mail alone delegates all the same", want: Good, build: func(w *world, a testca.Answer) []byte {
			w.ca = testca.New(w.t, testca.ExtKeyUsage(x509.ExtKeyUsageEmailProtection))
			w.leaf = w.ca.Leaf("alice@example.com", testca.P256)
			a.About, a.Issuer = w.leaf.Certificate, w.ca.Issuing.Certificate
			r := w.ca.Issuing.Responder()
			return r.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{r.Certificate}})
		}},
		{name: "by the certificate itself", want: Unknown, detail: "speaks for itself", build: func(w *world, a testca.Answer) []byte {
			w.leaf = w.ca.Leaf("alice@example.com", testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageOCSPSigning))
			a.About = w.leaf.Certificate
			return w.leaf.OCSP(w.t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{w.leaf.Certificate}})
		}},
		{name: "signed by a stranger in the issuer's name", want: Unknown, detail: "signature is wrong", build: func(w *world, a testca.Answer) []byte {
			return w.stranger.OCSP(testca.Response{Answers: []testca.Answer{a}, Name: w.ca.Issuing.Certificate})
		}},
		{name: "signed by the issuer in another's name", want: Unknown, build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Name: w.ca.Root.Certificate})
		}},

		// about which certificate
		{name: "about another", want: Unknown, detail: "no list", build: func(w *world, a testca.Answer) []byte {
			a.About = w.ca.Leaf("bob@example.com", testca.P256).Certificate
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "another is revoked", want: Good, build: func(w *world, a testca.Answer) []byte {
			b := a
			b.About, b.Status = w.ca.Leaf("bob@example.com", testca.P256).Certificate, cert.OCSPRevoked
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{b, a}})
		}},
		{name: "several answers, one of them revoked", want: Revoked, build: func(w *world, a testca.Answer) []byte {
			b := a
			b.Status = cert.OCSPRevoked
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a, b}})
		}},
		{name: "hold, lifted in a newer answer", want: Good, build: func(w *world, a testca.Answer) []byte {
			b := a
			b.Status, b.Reason, b.This = cert.OCSPRevoked, cert.CertificateHold, testca.Now.Add(-2*time.Hour)
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a, b}})
		}},
		{name: "serial number under another issuer", want: Unknown, detail: "no list", build: func(w *world, a testca.Answer) []byte {
			a.Issuer = w.ca.Root.Certificate
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},

		// freshness
		{name: "out of date", want: Unknown, detail: "out of date", build: func(w *world, a testca.Answer) []byte {
			a.This, a.Next = testca.Now.Add(-48*time.Hour), testca.Now.Add(-time.Second)
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "revoked, out of date", want: Revoked, build: func(w *world, a testca.Answer) []byte {
			a.Status, a.This, a.Next = cert.OCSPRevoked, testca.Now.Add(-48*time.Hour), testca.Now.Add(-time.Second)
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "from the future", want: Unknown, detail: "later than", build: func(w *world, a testca.Answer) []byte {
			a.This = testca.Now.Add(Skew + time.Second)
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "from a clock that is ahead a little", want: Good, build: func(w *world, a testca.Answer) []byte {
			a.This = testca.Now.Add(Skew)
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "without nextUpdate, young", want: Good, build: func(w *world, a testca.Answer) []byte {
			a.This, a.NoNext = testca.Now.Add(-time.Minute), true
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "without nextUpdate, old", want: Unknown, detail: "out of date", build: func(w *world, a testca.Answer) []byte {
			a.This, a.NoNext = testca.Now.Add(-2*time.Hour), true
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "after the certificate had ended", options: []testca.Option{testca.Expired()}, want: Unknown, detail: "had ended", build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "after the certificate had ended, with an archive", options: []testca.Option{testca.Expired()}, want: Good, build: func(w *world, a testca.Answer) []byte {
			a.Extensions = []cert.Extension{{ID: oid.OCSPArchiveCutoff, Value: generalized(testca.Now.AddDate(-1, 0, 0))}}
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "after the certificate had ended, with a young archive", options: []testca.Option{testca.Expired()}, want: Unknown, detail: "had ended", build: func(w *world, a testca.Answer) []byte {
			a.Extensions = []cert.Extension{{ID: oid.OCSPArchiveCutoff, Value: generalized(testca.Now.Add(-time.Hour))}}
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},

		// what is not understood
		{name: "unknown critical extension of the response", want: Unknown, detail: "critical", build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Extensions: []cert.Extension{{ID: "1.3.6.1.4.1.99999.1", Critical: true, Value: oid.Null}}})
		}},
		{name: "unknown critical extension of the answer", want: Unknown, detail: "critical", build: func(w *world, a testca.Answer) []byte {
			a.Extensions = []cert.Extension{{ID: "1.3.6.1.4.1.99999.1", Critical: true, Value: oid.Null}}
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}})
		}},
		{name: "unknown extension", want: Good, build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Extensions: []cert.Extension{{ID: "1.3.6.1.4.1.99999.1", Value: oid.Null}}})
		}},
		{name: "nonce", want: Good, build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Extensions: []cert.Extension{{ID: oid.OCSPNonce, Value: []byte{4, 1, 7}}}})
		}},
		{name: "malformed nonce", want: Unknown, detail: "malformed", build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Extensions: []cert.Extension{{ID: oid.OCSPNonce, Value: []byte{4, 0}}}})
		}},
		{name: "signed with SHA-1", want: Unknown, detail: "weak", build: func(w *world, a testca.Answer) []byte {
			return w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Algorithm: sha1})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.options...)
			der := tt.build(w, testca.Answer{About: w.leaf.Certificate, Issuer: w.ca.Issuing.Certificate})
			status, err := Check(w.chain(), &Options{Evidence: Evidence{Responses: []*cert.OCSPResponse{parsed(t, der)}}, At: testca.Now})
			if status != tt.want {
				t.Fatalf("%v, %v; want %v", status, err, tt.want)
			}
			if tt.detail != "" && (err == nil || !strings.Contains(err.Error(), tt.detail)) {
				t.Errorf("%v does not say %q", err, tt.detail)
			}
		})
	}
}

// TestResponderStanding: a responder without id-pkix-ocsp-nocheck may be
// revoked itself.
func TestResponderStanding(t *testing.T) {
	w := newWorld(t)
	plain := func(options ...testca.Option) *testca.Leaf {
		return w.ca.Issuing.Leaf("", testca.P256, append([]testca.Option{testca.ExtKeyUsage(x509.ExtKeyUsageOCSPSigning)}, options...)...)
	}
	named := plain(func(c *x509.Certificate) { c.CRLDistributionPoints = []string{uri1} })
	silent := plain()
	nocheck := w.ca.Issuing.Responder()
	// The leaf's own list is elsewhere: this one tells of the responders alone.
	leaf := w.ca.Leaf("alice@example.com", testca.P256, testca.Points(testca.Point{URIs: []string{uri2}}))
	chain := []*cert.Certificate{leaf.Certificate, w.ca.Issuing.Certificate, w.ca.Root.Certificate}
	list := func(revoked ...testca.Revoked) *cert.CRL {
		return w.list(w.ca.Issuing, revoked, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{uri1}}}))
	}
	for _, tt := range []struct {
		name      string
		responder *testca.Leaf
		list      *cert.CRL
		want      Status
		detail    string
	}{
		{"nocheck", nocheck, nil, Good, ""},
		{"names a source, which nobody asked", named, nil, Unknown, "the OCSP responder"},
		{"names a source, and is not revoked", named, list(), Good, ""},
		{"names a source, and is revoked", named, list(testca.Entry(named.Certificate.Serial, 1)), Unknown, ""},
		{"names no source", silent, nil, Good, ""},
		{"names no source, and is revoked", silent, list(testca.Entry(silent.Certificate.Serial, 1)), Unknown, ""},
	} {
		a := testca.Answer{About: leaf.Certificate, Issuer: w.ca.Issuing.Certificate}
		der := tt.responder.OCSP(t, testca.Response{Answers: []testca.Answer{a}, Certificates: []*cert.Certificate{tt.responder.Certificate}})
		o := &Options{Evidence: Evidence{Responses: []*cert.OCSPResponse{parsed(t, der)}}, At: testca.Now}
		if tt.list != nil {
			o.CRLs = []*cert.CRL{tt.list}
		}
		status, err := Check(chain, o)
		if status != tt.want || tt.detail != "" && (err == nil || !strings.Contains(err.Error(), tt.detail)) {
			t.Errorf("%s: %v, %v", tt.name, status, err)
		}
	}
}

// One signature by a long RSA key is one signature.
func TestResponderOfLongKey(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	ca := root.AuthorityOf(testca.RSA3072, "Long Key")
	alice, r := ca.Leaf("alice@example.com", testca.P256), ca.Responder()
	response, err := cert.ParseOCSPResponse(r.OCSP(t, testca.Response{
		Answers: []testca.Answer{{About: alice.Certificate, Issuer: ca.Certificate}}, Certificates: []*cert.Certificate{r.Certificate},
	}))
	if err != nil {
		t.Fatal(err)
	}
	status, err := Check([]*cert.Certificate{alice.Certificate, ca.Certificate, root.Certificate}, &Options{
		At: testca.Now, Evidence: Evidence{Responses: []*cert.OCSPResponse{response}},
	})
	if status != Good {
		t.Errorf("%v, %v", status, err)
	}
}

// TestOCSPOfOthers reads what golang.org/x/crypto makes.
func TestOCSPOfOthers(t *testing.T) {
	w := newWorld(t)
	std := func(c *cert.Certificate) *x509.Certificate {
		s, err := x509.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for status, want := range map[int]Status{ocsp.Good: Good, ocsp.Revoked: Revoked, ocsp.Unknown: Unknown} {
		for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			issuer := std(w.ca.Issuing.Certificate)
			der, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{
				Status: status, SerialNumber: w.leaf.Certificate.Serial, IssuerHash: h,
				ThisUpdate: testca.Now.Add(-time.Hour), NextUpdate: testca.Now.Add(time.Hour), RevokedAt: testca.Now.Add(-time.Hour),
			}, w.ca.Issuing.Key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Check(w.chain(), &Options{Evidence: Evidence{Responses: []*cert.OCSPResponse{parsed(t, der)}}, At: testca.Now})
			if got != want {
				t.Errorf("%v, %v: %v, %v", want, h, got, err)
			}
		}
	}
}

// TestManyResponses: the work is limited.
func TestManyResponses(t *testing.T) {
	w := newWorld(t)
	a := testca.Answer{About: w.leaf.Certificate, Issuer: w.ca.Issuing.Certificate}
	bad := parsed(t, w.stranger.OCSP(testca.Response{Answers: []testca.Answer{a}, Name: w.ca.Issuing.Certificate}))
	good := parsed(t, w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}}))
	var list []*cert.OCSPResponse
	for range MaxResponses - 1 {
		list = append(list, bad)
	}
	list = append(list, good)
	if status, err := Check(w.chain(), &Options{Evidence: Evidence{Responses: list}, At: testca.Now}); status != Good {
		t.Errorf("%v, %v", status, err)
	}
	list = append([]*cert.OCSPResponse{bad}, list...)
	if status, err := Check(w.chain(), &Options{Evidence: Evidence{Responses: list}, At: testca.Now}); status != Unknown || !strings.Contains(err.Error(), "more than 100 OCSP responses") {
		t.Errorf("one more: %v, %v", status, err)
	}
}
