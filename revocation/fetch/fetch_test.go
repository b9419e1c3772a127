package fetch

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

// world is a chain whose leaf names sources on a server of the test.
type world struct {
	t      *testing.T
	ca     *testca.CA
	leaf   *cert.Certificate
	server *httptest.Server
	hits   atomic.Int32
}

// newWorld makes a leaf with these sources, in which SERVER stands for the
// address of the server.
func newWorld(t *testing.T, handler http.HandlerFunc, ocsp []string, points ...testca.Point) *world {
	w := &world{t: t, ca: testca.New(t)}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.hits.Add(1)
		handler(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.leaf = issue(w.ca.Issuing, w.server.URL, ocsp, points...)
	return w
}

func issue(a *testca.Authority, server string, ocsp []string, points ...testca.Point) *cert.Certificate {
	var options []testca.Option
	if len(points) > 0 {
		for i := range points {
			for j := range points[i].URIs {
				points[i].URIs[j] = strings.ReplaceAll(points[i].URIs[j], "SERVER", server)
			}
		}
		options = append(options, testca.Points(points...))
	}
	for i := range ocsp {
		ocsp[i] = strings.ReplaceAll(ocsp[i], "SERVER", server)
	}
	options = append(options, testca.OCSPServers(ocsp...))
	return a.Leaf("alice@example.com", testca.P256, options...).Certificate
}

func (w *world) chain() []*cert.Certificate {
	return []*cert.Certificate{w.leaf, w.ca.Issuing.Certificate, w.ca.Root.Certificate}
}

// check asks with a Fetcher that may reach the server of the test.
func (w *world) check(o *Options) (revocation.Status, error) {
	if o == nil {
		o = &Options{}
	}
	o.Loopback = true
	return revocation.Check(w.chain(), &revocation.Options{Fetcher: New(context.Background(), o), At: testca.Now})
}

// request reads the OCSP request of POST or GET.
func request(t *testing.T, r *http.Request) *cert.OCSPRequest {
	der, err := io.ReadAll(r.Body)
	if r.Method == http.MethodGet {
		var text string
		if text, err = url.PathUnescape(r.URL.EscapedPath()[strings.LastIndexByte(r.URL.EscapedPath(), '/')+1:]); err == nil {
			der, err = base64.StdEncoding.DecodeString(text)
		}
	} else if got := r.Header.Get("Content-Type"); got != "application/ocsp-request" {
		t.Errorf("Content-Type %q", got)
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	q, err := cert.ParseOCSPRequest(der)
	if err != nil {
		t.Error(err)
		return nil
	}
	return q
}

func nonceExtension(nonce []byte) []cert.Extension {
	var b cryptobyte.Builder
	b.AddASN1OctetString(nonce)
	return []cert.Extension{{ID: oid.OCSPNonce, Value: b.BytesOrPanic()}}
}

// responder answers like an authority that signs each time.
func (w *world) responder(change func(q *cert.OCSPRequest, a *testca.Answer, r *testca.Response)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		q := request(w.t, r)
		if q == nil {
			return
		}
		a := testca.Answer{About: w.leaf, Issuer: w.ca.Issuing.Certificate}
		if q.CertIDs[0].HashAlgorithm.Algorithm == oid.SHA256 {
			a.Hash = crypto.SHA256
		}
		response := testca.Response{}
		if q.Nonce != nil {
			response.Extensions = nonceExtension(q.Nonce)
		}
		if change != nil {
			change(q, &a, &response)
		}
		response.Answers = append(response.Answers, a)
		rw.Write(w.ca.Issuing.OCSP(response))
	}
}

const ocspURL, crlURL = "SERVER/ocsp", "SERVER/a.crl"

func TestOCSP(t *testing.T) {
	unauthorized := []byte{0x30, 3, 0x0a, 1, byte(cert.OCSPUnauthorized)}
	for _, tt := range []struct {
		name   string
		change func(q *cert.OCSPRequest, a *testca.Answer, r *testca.Response)
		before func(rw http.ResponseWriter, r *http.Request) bool // true: has answered
		want   revocation.Status
		detail string
		hits   int32
	}{
		{name: "good", want: revocation.Good, hits: 1},
		{name: "revoked", want: revocation.Revoked, hits: 1, change: func(_ *cert.OCSPRequest, a *testca.Answer, _ *testca.Response) {
			a.Status = cert.OCSPRevoked
		}},
		{name: "no nonce comes back", want: revocation.Good, hits: 1, change: func(_ *cert.OCSPRequest, _ *testca.Answer, r *testca.Response) {
			r.Extensions = nil
		}},
		{name: "another nonce comes back", want: revocation.Unknown, detail: "nonce is not ours", hits: 1, change: func(q *cert.OCSPRequest, _ *testca.Answer, r *testca.Response) {
			other := bytes.Clone(q.Nonce)
			other[0] ^= 1
			r.Extensions = nonceExtension(other)
		}},
		{name: "old answer played again", want: revocation.Unknown, detail: "settles nothing", hits: 1, change: func(_ *cert.OCSPRequest, a *testca.Answer, r *testca.Response) {
			r.Extensions, a.This, a.Next = nil, testca.Now.Add(-48*time.Hour), testca.Now.Add(-24*time.Hour)
		}},
		{name: "does not know it", want: revocation.Unknown, hits: 1, change: func(_ *cert.OCSPRequest, a *testca.Answer, _ *testca.Response) {
			a.Status = cert.OCSPUnknown
		}},
		{name: "takes no POST", want: revocation.Good, hits: 2, before: func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				rw.WriteHeader(http.StatusMethodNotAllowed)
				return true
			}
			return false
		}},
		{name: "knows no nonce", want: revocation.Good, hits: 2, before: func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				rw.Write([]byte{0x30, 3, 0x0a, 1, byte(cert.OCSPMalformedRequest)})
				return true
			}
			return false
		}},
		{name: "knows no SHA-1", want: revocation.Good, hits: 3, before: func(rw http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if q, err := cert.ParseOCSPRequest(body); err != nil || q.CertIDs[0].HashAlgorithm.Algorithm == oid.SHA1 {
				rw.Write(unauthorized)
				return true
			}
			return false
		}},
		{name: "is not responsible", want: revocation.Unknown, detail: "unauthorized", hits: 3, before: func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Write(unauthorized)
			return true
		}},
		{name: "try later", want: revocation.Unknown, detail: "tryLater", hits: 1, before: func(rw http.ResponseWriter, r *http.Request) bool {
			rw.Write([]byte{0x30, 3, 0x0a, 1, byte(cert.OCSPTryLater)})
			return true
		}},
		{name: "no OCSP at all", want: revocation.Unknown, detail: "parse OCSP response", hits: 1, before: func(rw http.ResponseWriter, r *http.Request) bool {
			io.WriteString(rw, "<html>Welcome</html>")
			return true
		}},
		{name: "nothing there", want: revocation.Unknown, detail: "HTTP status 404", hits: 3, before: func(rw http.ResponseWriter, r *http.Request) bool {
			rw.WriteHeader(http.StatusNotFound)
			return true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w *world
			w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
				if tt.before == nil || !tt.before(rw, r) {
					w.responder(tt.change)(rw, r)
				}
			}, []string{ocspURL})
			status, err := w.check(nil)
			if status != tt.want || w.hits.Load() != tt.hits {
				t.Fatalf("%v, %v after %d requests; want %v after %d", status, err, w.hits.Load(), tt.want, tt.hits)
			}
			if tt.detail != "" && (err == nil || !strings.Contains(err.Error(), tt.detail)) {
				t.Errorf("%v does not say %q", err, tt.detail)
			}
		})
	}
}

func TestLists(t *testing.T) {
	point := func(u ...string) testca.Point { return testca.Point{URIs: u} }
	revoked := func(w *world) []testca.Revoked { return []testca.Revoked{testca.Entry(w.leaf.Serial, 1)} }
	for _, tt := range []struct {
		name   string
		points []testca.Point
		ocsp   []string
		files  map[string]func(w *world) []byte
		want   revocation.Status
		hits   int32
	}{
		{"good", []testca.Point{point("SERVER/a")}, nil, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte { return w.ca.Issuing.CRL(nil) },
		}, revocation.Good, 1},
		{"revoked", []testca.Point{point("SERVER/a")}, nil, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte { return w.ca.Issuing.CRL(revoked(w)) },
		}, revocation.Revoked, 1},
		{"second name of the point", []testca.Point{point("ldap://localhost/", "SERVER/none", "SERVER/a")}, nil, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte { return w.ca.Issuing.CRL(nil) },
		}, revocation.Good, 2},
		{"reasons in two points", []testca.Point{{URIs: []string{"SERVER/a"}, Reasons: []int{1, 2}}, {URIs: []string{"SERVER/b"}, Reasons: []int{3, 4, 5, 6, 7, 8}}}, nil, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte {
				return w.ca.Issuing.CRL(nil, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{w.server.URL + "/a"}, Reasons: []int{1, 2}}}))
			},
			"/b": func(w *world) []byte {
				return w.ca.Issuing.CRL(nil, testca.Scoped(testca.Scope{Point: testca.Point{URIs: []string{w.server.URL + "/b"}, Reasons: []int{3, 4, 5, 6, 7, 8}}}))
			},
		}, revocation.Good, 2},
		{"signed by a stranger", []testca.Point{point("SERVER/a")}, nil, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte { return w.ca.Root.CRL(nil) },
		}, revocation.Unknown, 1},
		{"no list", []testca.Point{point("SERVER/a")}, nil, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte { return []byte("hello") },
		}, revocation.Unknown, 1},
		{"list where the responder is silent", []testca.Point{point("SERVER/a")}, []string{"SERVER/none"}, map[string]func(w *world) []byte{
			"/a": func(w *world) []byte { return w.ca.Issuing.CRL(nil) },
		}, revocation.Good, 4},
		{"ldap alone", []testca.Point{point("ldap://localhost/cn=CA")}, nil, nil, revocation.Unknown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w *world
			w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
				if file := tt.files[r.URL.Path]; file != nil {
					rw.Write(file(w))
					return
				}
				rw.WriteHeader(http.StatusNotFound)
			}, tt.ocsp, tt.points...)
			if status, err := w.check(nil); status != tt.want || w.hits.Load() != tt.hits {
				t.Errorf("%v, %v after %d requests; want %v after %d", status, err, w.hits.Load(), tt.want, tt.hits)
			}
		})
	}
}

// TestDelta: a delta list that the complete one names is fetched too.
func TestDelta(t *testing.T) {
	var w *world
	w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a":
			freshest := testca.ListExtension([]int{2, 5, 29, 46}, false, testca.PointsDER(testca.Point{URIs: []string{w.server.URL + "/d"}}))
			rw.Write(w.ca.Issuing.CRL(nil, testca.Numbered(1), freshest))
		case "/d":
			rw.Write(w.ca.Issuing.CRL([]testca.Revoked{testca.Entry(w.leaf.Serial, 1)}, testca.Delta(2, 1)))
		}
	}, nil, testca.Point{URIs: []string{"SERVER/a"}})
	if status, err := w.check(nil); status != revocation.Revoked || w.hits.Load() != 2 {
		t.Errorf("%v, %v after %d requests", status, err, w.hits.Load())
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(rw http.ResponseWriter, r *http.Request)
		points  int
		o       Options
		detail  string
		hits    int32
	}{
		{"endless list", func(rw http.ResponseWriter, r *http.Request) {
			for {
				if _, err := rw.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, 1, Options{}, "more than 10485760 octets", 1},
		{"endless redirects", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path+"a", http.StatusFound) }, 1, Options{}, "more than 3 redirects", MaxRedirects + 1},
		{"a slow server", func(rw http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}, 1, Options{Timeout: 100 * time.Millisecond}, "deadline exceeded", 1},
		{"many slow servers share the time", func(rw http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}, 3, Options{Timeout: 100 * time.Millisecond}, "no time is left", 1},
		{"compressed", func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				t.Error("asks for compression")
			}
			rw.Header().Set("Content-Encoding", "gzip")
			rw.Write(make([]byte, 100))
		}, 1, Options{}, "parse CRL", 1},
		{"long header", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X", strings.Repeat("x", maxHeader))
		}, 1, Options{}, "exceeded", 1},
		{"many points", func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusNotFound) }, MaxSources + 1, Options{}, "HTTP status 404", MaxSources},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var points []testca.Point
			for i := range tt.points {
				points = append(points, testca.Point{URIs: []string{fmt.Sprintf("SERVER/%d", i)}})
			}
			w := newWorld(t, tt.handler, nil, points...)
			began := time.Now()
			status, err := w.check(&tt.o)
			if status != revocation.Unknown || err == nil || !strings.Contains(err.Error(), tt.detail) || w.hits.Load() != tt.hits {
				t.Errorf("%v, %v after %d requests", status, err, w.hits.Load())
			}
			if tt.o.Timeout > 0 && time.Since(began) > 3*time.Second {
				t.Errorf("took %v", time.Since(began))
			}
			for _, r := range err.Error() {
				if r < ' ' {
					t.Errorf("%U in %q", r, err)
				}
			}
		})
	}
}

// TestRequests: one Fetcher makes so many requests, for all certificates
// together.
func TestRequests(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusNotFound) }, []string{ocspURL})
	f := New(context.Background(), &Options{Loopback: true})
	var err error
	for range MaxRequests {
		_, err = f.Fetch(w.leaf, w.ca.Issuing.Certificate, func(revocation.Evidence) bool { return false })
	}
	if w.hits.Load() != MaxRequests || !strings.Contains(err.Error(), "more than 20 requests") {
		t.Errorf("%v after %d requests", err, w.hits.Load())
	}
}

// TestInterrupted: the caller's context ends the work.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {}, []string{ocspURL})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := New(ctx, &Options{Loopback: true})
	if _, err := f.Fetch(w.leaf, w.ca.Issuing.Certificate, func(revocation.Evidence) bool { return true }); err == nil || w.hits.Load() != 0 {
		t.Errorf("%v after %d requests", err, w.hits.Load())
	}
}
