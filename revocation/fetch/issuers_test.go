package fetch

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// issuersWorld is a leaf two authorities below its root, where each certificate says
// where its issuer's is.
type issuersWorld struct {
	t                  *testing.T
	server             *httptest.Server
	files              map[string][]byte
	hits               atomic.Int32
	root, mid, issuing *testca.Authority
	leaf               *cert.Certificate
}

func caIssuers(urls ...string) testca.Option {
	return func(c *x509.Certificate) { c.IssuingCertificateURL = urls }
}

func newIssuersWorld(t *testing.T, sources ...string) *issuersWorld {
	w := &issuersWorld{t: t, files: map[string][]byte{}}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.hits.Add(1)
		data, found := w.files[r.URL.Path]
		if !found {
			http.NotFound(rw, r)
			return
		}
		rw.Write(data)
	}))
	t.Cleanup(w.server.Close)
	for i := range sources {
		sources[i] = strings.ReplaceAll(sources[i], "SERVER", w.server.URL)
	}
	w.root = testca.NewRoot(t, "Issuers Root")
	w.mid = w.root.Authority("Issuers Mid")
	w.issuing = w.mid.Authority("Issuers Issuing", caIssuers(w.server.URL+"/mid.p7c"))
	w.leaf = w.issuing.Leaf("alice@example.com", testca.P256, caIssuers(sources...)).Certificate
	w.files["/issuing.cer"] = w.issuing.Certificate.Raw
	var p7c bytes.Buffer
	if err := cms.CertsOnly(&p7c, []*cert.Certificate{w.root.Certificate, w.mid.Certificate}, nil); err != nil {
		t.Fatal(err)
	}
	w.files["/mid.p7c"] = p7c.Bytes()
	return w
}

// verify looks for a path, with a Fetcher that may reach the server of the test.
func (w *issuersWorld) verify(o *Options, intermediates ...*cert.Certificate) ([]*cert.Certificate, error) {
	w.t.Helper()
	var failed error
	f := New(context.Background(), o)
	chain, err := certpath.Verify(w.leaf, &certpath.Options{
		Anchors: []*cert.Certificate{w.root.Certificate}, Intermediates: intermediates, At: testca.Now,
		Issuers: func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate {
			found, err := f.Issuers(leaf, known)
			failed = errors.Join(failed, err)
			return found
		},
	})
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	return chain, nil
}

// TestIssuers: what is missing between leaf and root is fetched, a level at a time,
// and nothing that is there.
func TestIssuers(t *testing.T) {
	w := newIssuersWorld(t, "ldap://directory.example.com/", "SERVER/nothing", "SERVER/issuing.cer")
	loopback := &Options{Loopback: true}
	chain, err := w.verify(loopback)
	if err != nil || len(chain) != 4 || !chain[1].Equal(w.issuing.Certificate) || !chain[2].Equal(w.mid.Certificate) || w.hits.Load() != 3 {
		t.Fatalf("%v, a path of %d, %d requests", err, len(chain), w.hits.Load())
	}
	if _, err := w.verify(loopback, w.issuing.Certificate); err != nil || w.hits.Load() != 4 {
		t.Errorf("one was there: %v, %d requests", err, w.hits.Load())
	}
	if _, err := w.verify(loopback, w.issuing.Certificate, w.mid.Certificate); err != nil || w.hits.Load() != 4 {
		t.Errorf("all were there: %v, %d requests", err, w.hits.Load())
	}
	if _, err := w.verify(nil); err == nil || !strings.Contains(err.Error(), "not a public address") || w.hits.Load() != 4 {
		t.Errorf("this machine itself: %v, %d requests", err, w.hits.Load())
	}
	// What was fetched once, for one mail or for another one soon after, is kept.
	cached := &Options{Loopback: true, Now: testca.Now, Cache: Folder(filepath.Join(t.TempDir(), "cache"))}
	for i := range int32(2) { // the place that had nothing is asked again
		if _, err := w.verify(cached); err != nil || w.hits.Load() != 7+i {
			t.Errorf("%v, %d requests", err, w.hits.Load())
		}
		w.files = map[string][]byte{}
	}
	f := New(context.Background(), loopback)
	for range 3 {
		if _, err := f.Issuers(w.leaf, nil); err == nil || w.hits.Load() != 10 {
			t.Errorf("asked again: %v, %d requests", err, w.hits.Load())
		}
	}
}

// TestIssuersRefused: what comes is bounded, must be what was asked for, and is
// believed only by the way to the root.
func TestIssuersRefused(t *testing.T) {
	loopback := &Options{Loopback: true}
	for name, tt := range map[string]struct {
		sources []string
		file    func(w *issuersWorld) []byte
		want    string
		hits    int32
	}{
		"nothing named":     {nil, nil, "names no place", 0},
		"https":             {[]string{"https://SERVER/x"}, nil, "only http", 0},
		"too large":         {[]string{"SERVER/issuing.cer"}, func(*issuersWorld) []byte { return make([]byte, MaxIssuerSize+1) }, "octets", 1},
		"no certificate":    {[]string{"SERVER/issuing.cer"}, func(*issuersWorld) []byte { return []byte("<html>") }, "none found", 1},
		"another authority": {[]string{"SERVER/issuing.cer"}, func(w *issuersWorld) []byte { return w.mid.Certificate.Raw }, "no certificate of that issuer", 1},
		"another of its name": {[]string{"SERVER/issuing.cer"}, func(w *issuersWorld) []byte {
			return testca.NewRoot(w.t, "Issuers Issuing").Certificate.Raw
		}, "no path", 1},
		"too many sources": {[]string{"SERVER/1", "SERVER/2", "SERVER/3", "SERVER/4", "SERVER/issuing.cer"}, nil, "404", MaxSources},
	} {
		w := newIssuersWorld(t, tt.sources...)
		if tt.file != nil {
			w.files["/issuing.cer"] = tt.file(w)
		}
		if _, err := w.verify(loopback); err == nil || !strings.Contains(err.Error(), tt.want) || w.hits.Load() > tt.hits+1 || w.hits.Load() < tt.hits {
			t.Errorf("%s: %v, %d requests", name, err, w.hits.Load())
		}
	}
	w := newIssuersWorld(t, "SERVER/slow")
	release := make(chan struct{})
	w.server.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	began := time.Now()
	if _, err := w.verify(&Options{Loopback: true, Timeout: 50 * time.Millisecond}); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("a slow server: %v after %v", err, time.Since(began))
	}
}
