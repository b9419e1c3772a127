package repository_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/repository"
	"github.com/mailseal/mailseal/internal/testca"
)

// answering is an authority with three partitions that answers one OCSP request.
type answering struct {
	request  []byte
	response *authority.OCSPResponse
	list     func(name string, partition int) (authority.CRL, error)
	issuing  *cert.Certificate
}

func (a *answering) Partitions(name string) (int, error) {
	n, ok := map[string]int{"root": 1, "issuing": 3}[name]
	if !ok {
		return 0, authority.ErrUnknown
	}
	return n, nil
}

func (a *answering) CRL(_ context.Context, name string, partition int) (authority.CRL, error) {
	return a.list(name, partition)
}

func (a *answering) Certificate(name string) (*cert.Certificate, error) {
	if name != "issuing" {
		return nil, authority.ErrUnknown
	}
	return a.issuing, nil
}

func (a *answering) Certificates(context.Context, string) ([]*cert.Certificate, error) {
	return []*cert.Certificate{a.issuing, a.issuing}, nil
}

func (a *answering) OCSP(_ context.Context, request []byte) *authority.OCSPResponse {
	if !bytes.Equal(request, a.request) {
		return &authority.OCSPResponse{DER: []byte("refused")}
	}
	return a.response
}

func (a *answering) Timestamp(_ context.Context, request []byte) ([]byte, error) {
	if !bytes.Equal(request, a.request) {
		return nil, errors.New("no key")
	}
	return []byte("stamped"), nil
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func serve(t testing.TB, a *answering) http.Handler {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "somebody else's", http.StatusTeapot) })
	return repository.New(a, func() time.Time { return now }, slog.New(slog.DiscardHandler), next)
}

func send(h http.Handler, method, target, contentType string, body []byte, fields ...string) *http.Response {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A request in a path comes as RFC 6960 §A.1 has it, and as clients write it:
// unescaped, unpadded, and with slashes in a row.
func TestOCSPRequests(t *testing.T) {
	request := []byte{0xff, 0xff, 0xff, 0xfe, 0xfb, 0xef, 0x01} // "/////vvvAQ=="
	a := &answering{request: request, response: &authority.OCSPResponse{
		DER: []byte("answer"), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour),
	}}
	h := serve(t, a)
	text := base64.StdEncoding.EncodeToString(request)
	const media = "application/ocsp-request"
	for name, test := range map[string]struct {
		method, target, media string
		body                  []byte
		status                int
		want                  string
	}{
		"GET escaped":   {"GET", "/ocsp/%2F%2F%2F%2F%2Fvvv%41Q%3D%3D", "", nil, 200, "answer"},
		"GET unescaped": {"GET", "/ocsp/" + text, "", nil, 200, "answer"},
		"GET unpadded":  {"GET", "/ocsp/" + strings.TrimRight(text, "="), "", nil, 200, "answer"},
		"GET no base64": {"GET", "/ocsp/%ff%00", "", nil, 200, "refused"},
		"GET nothing":   {"GET", "/ocsp", "", nil, 200, "refused"},
		"GET too long":  {"GET", "/ocsp/" + strings.Repeat("AAAA", 1025), "", nil, 200, "refused"},
		"HEAD":          {"HEAD", "/ocsp/" + text, "", nil, 200, ""},
		"POST":          {"POST", "/ocsp", media, request, 200, "answer"},
		"POST slash":    {"POST", "/ocsp/", media + "; charset=x", request, 200, "answer"},
		"POST form":     {"POST", "/ocsp", "application/x-www-form-urlencoded", request, 415, "Content-Type must be " + media + "\n"},
		"POST too long": {"POST", "/ocsp", media, make([]byte, cert.MaxOCSPRequestSize+1), 413, "the request is longer than 65536 bytes\n"},
		"PUT":           {"PUT", "/ocsp", media, request, 405, "the method is not allowed here\n"},
		"elsewhere":     {"GET", "/ocspx", "", nil, 418, "somebody else's\n"},
	} {
		r := send(h, test.method, test.target, test.media, test.body)
		if got := body(t, r); r.StatusCode != test.status || got != test.want {
			t.Errorf("%s: %d %q, want %d %q", name, r.StatusCode, got, test.status, test.want)
		}
		if ct := r.Header.Get("Content-Type"); test.status == 200 && ct != "application/ocsp-response" {
			t.Errorf("%s: Content-Type %q", name, ct)
		}
	}
	r := send(h, "POST", "/ocsp", media, nil)
	r.Body.Close()
}

// RFC 5019 §6.2, with a shorter life in caches than nextUpdate.
func TestOCSPCaching(t *testing.T) {
	a := &answering{request: []byte{}, response: &authority.OCSPResponse{
		DER: []byte("answer"), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(48 * time.Hour),
	}}
	h := serve(t, a)
	r := send(h, "GET", "/ocsp/", "", nil)
	for field, want := range map[string]string{
		"Cache-Control": "max-age=600, public, no-transform, must-revalidate", "Expires": "Mon, 23 Nov 2026 12:10:00 GMT",
		"Last-Modified": "Mon, 23 Nov 2026 11:00:00 GMT", "Content-Length": "6",
	} {
		if got := r.Header.Get(field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	tag := r.Header.Get("ETag")
	for _, field := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if again := send(h, "GET", "/ocsp/", "", nil, "If-None-Match: "+field); again.StatusCode != http.StatusNotModified || body(t, again) != "" {
			t.Errorf("If-None-Match: %s gives %d", field, again.StatusCode)
		}
	}
	if again := send(h, "GET", "/ocsp/", "", nil, `If-None-Match: "other"`); again.StatusCode != 200 {
		t.Errorf("another tag gives %d", again.StatusCode)
	}
	a.response.NextUpdate = now.Add(30 * time.Second)
	if got := send(h, "GET", "/ocsp/", "", nil).Header.Get("Cache-Control"); !strings.HasPrefix(got, "max-age=30,") {
		t.Errorf("half a minute before its end: %q", got)
	}
	for _, next := range []time.Time{{}, now, now.Add(-time.Second)} {
		a.response.NextUpdate = next
		if r := send(h, "GET", "/ocsp/", "", nil); r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("ETag") != "" {
			t.Errorf("next at %v: %v", next, r.Header)
		}
	}
}

func TestCRLPartitions(t *testing.T) {
	h := serve(t, &answering{list: func(name string, partition int) (authority.CRL, error) {
		switch {
		case partition < 0 || partition > 2:
			return authority.CRL{}, authority.ErrUnknown
		case partition == 1:
			return authority.CRL{}, errors.New("database gone")
		}
		return authority.CRL{DER: []byte(name), Number: int64(partition) + 5, ThisUpdate: now, NextUpdate: now.Add(time.Minute)}, nil
	}})
	for path, want := range map[string]int{
		"/crl/root.crl": 200, "/crl/root/0.crl": 404, "/crl/issuing.crl": 404, "/crl/issuing/0.crl": 200, "/crl/issuing/2.crl": 200,
		"/crl/issuing/1.crl": 503, "/crl/issuing/3.crl": 404, "/crl/issuing/-1.crl": 404, "/crl/issuing/00.crl": 404, "/crl/issuing/2": 404,
		"/crl/nobody/0.crl": 404,
	} {
		r := send(h, "GET", path, "", nil)
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
		if want == 200 && r.Header.Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("%s, a minute before its end: %q", path, r.Header.Get("Cache-Control"))
		}
	}
}

// caIssuers may lead to one certificate or to a certs-only message.
func TestCertsOnly(t *testing.T) {
	a := &answering{issuing: testca.New(t).Issuing.Certificate}
	r := send(serve(t, a), "GET", "/ca/issuing.p7c", "", nil)
	list, err := cert.ParseAll([]byte(body(t, r)))
	if err != nil || len(list) == 0 || !list[0].Equal(a.issuing) || r.Header.Get("Content-Type") != "application/pkcs7-mime" {
		t.Errorf("%d certificates, %v, %q", len(list), err, r.Header.Get("Content-Type"))
	}
}

// Whatever stands in a path is answered as OCSP, and an OCSP request arrives as
// it was sent.
func FuzzOCSPPath(f *testing.F) {
	for _, seed := range []string{"", "MA", "MAA=", "%2F%2f//==", "%zz", "+/+/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.NewRequest(http.MethodGet, "http://ca.example.org/ocsp/"+text, nil)
		if err != nil {
			return
		}
		r.URL.RawQuery, r.URL.Fragment = "", ""
		if !strings.HasPrefix(r.URL.Path, "/ocsp/") {
			return
		}
		want, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.URL.Path, "/ocsp/"))
		if err != nil {
			want = nil
		}
		got := &answering{response: &authority.OCSPResponse{DER: []byte("answer")}, request: want}
		w := httptest.NewRecorder()
		serve(t, got).ServeHTTP(w, r)
		if w.Code != 200 || len(want) > 0 && len(want) < 3000 && w.Body.String() != "answer" {
			t.Errorf("%q: %d %q", text, w.Code, w.Body)
		}
	})
}

func TestTimestamps(t *testing.T) {
	h := serve(t, &answering{request: []byte("query")})
	const media = "application/timestamp-query"
	for name, test := range map[string]struct {
		method, media string
		body          []byte
		status        int
	}{
		"POST":     {"POST", media, []byte("query"), 200},
		"GET":      {"GET", "", nil, 405},
		"form":     {"POST", "text/plain", []byte("query"), 415},
		"too long": {"POST", media, make([]byte, authority.MaxTimestampRequest+1), 413},
		"no key":   {"POST", media, []byte("other"), 503},
	} {
		r := send(h, test.method, "/timestamp", test.media, test.body)
		if r.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", name, r.StatusCode, test.status)
		}
		if got := body(t, r); test.status == 200 && (got != "stamped" || r.Header.Get("Content-Type") != "application/timestamp-reply") {
			t.Errorf("%s: %q, %v", name, got, r.Header)
		}
	}
}
