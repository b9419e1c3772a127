package fetch

import (
	"encoding/asn1"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

// ask asks at a time with a cache in dir.
func (w *world) ask(dir string, at time.Time) (revocation.Status, error) {
	f := New(w.t.Context(), &Options{Loopback: true, Cache: Folder(dir), Now: at})
	return revocation.Check(w.chain(), &revocation.Options{Fetcher: f, At: at})
}

func TestCache(t *testing.T) {
	for name, sources := range map[string]struct {
		ocsp   []string
		points []testca.Point
	}{
		"response": {ocsp: []string{ocspURL}},
		"list":     {points: []testca.Point{{URIs: []string{crlURL}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var w *world
			this := testca.Now.Add(-time.Hour)
			w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.responder(func(_ *cert.OCSPRequest, a *testca.Answer, _ *testca.Response) {
						a.This, a.Next = this, this.Add(3*time.Hour)
					})(rw, r)
					return
				}
				rw.Write(w.ca.Issuing.CRL(nil, testca.Updates(this, this.Add(3*time.Hour))))
			}, sources.ocsp, sources.points...)
			dir := filepath.Join(t.TempDir(), "deep", "cache")
			for _, step := range []struct {
				at   time.Duration
				hits int32
				want revocation.Status
			}{
				{0, 1, revocation.Good},
				{time.Hour, 1, revocation.Good},        // from the cache
				{3 * time.Hour, 2, revocation.Unknown}, // over: asked, and the server has nothing newer
			} {
				status, err := w.ask(dir, testca.Now.Add(step.at))
				if status != step.want || w.hits.Load() != step.hits {
					t.Fatalf("after %v: %v, %v, %d requests", step.at, status, err, w.hits.Load())
				}
			}
			this = testca.Now.Add(2 * time.Hour)
			if status, err := w.ask(dir, testca.Now.Add(3*time.Hour)); status != revocation.Good || w.hits.Load() != 3 {
				t.Fatalf("new: %v, %v, %d requests", status, err, w.hits.Load())
			}
			if sources.points != nil {
				if _, found := Folder(dir).Get(listKey(w.leaf.CRLDistributionPoints[0]), this.Add(3*time.Hour)); found {
					t.Error("kept beyond nextUpdate")
				}
			}
			info, err := os.Stat(dir)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}

// TestForgedIsNotKept: what settled nothing is asked for again.
func TestForgedIsNotKept(t *testing.T) {
	var w *world
	forged := true
	w = newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if forged {
			rw.Write(testca.NewRoot(t, "Stranger").CRL(nil))
			return
		}
		rw.Write(w.ca.Issuing.CRL(nil))
	}, nil, testca.Point{URIs: []string{crlURL}})
	dir := t.TempDir()
	if status, err := w.ask(dir, testca.Now); status != revocation.Unknown {
		t.Fatalf("%v, %v", status, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Fatalf("%d files are kept", len(files))
	}
	forged = false
	if status, err := w.ask(dir, testca.Now); status != revocation.Good {
		t.Fatalf("%v, %v", status, err)
	}
	// Nor is a forged file in the cache believed.
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	content := fmt.Sprintf("%s\n%s", testca.Now.AddDate(1, 0, 0).Format(time.RFC3339), testca.NewRoot(t, "Stranger").CRL(nil))
	if err := os.WriteFile(filepath.Join(dir, files[0].Name()), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	hits := w.hits.Load()
	if status, err := w.ask(dir, testca.Now); status != revocation.Good || w.hits.Load() != hits+1 {
		t.Fatalf("%v, %v, %d requests", status, err, w.hits.Load()-hits)
	}
}

// TestFreshestOfItself: a list that names itself as the place of its deltas, by
// mistake or not, is read from the cache once.
func TestFreshestOfItself(t *testing.T) {
	var w *world
	w = newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		freshest := testca.PointsDER(testca.Point{URIs: []string{w.leaf.CRLDistributionPoints[0]}})
		rw.Write(w.ca.Issuing.CRL(nil, testca.ListExtension(asn1.ObjectIdentifier{2, 5, 29, 46}, false, freshest)))
	}, nil, testca.Point{URIs: []string{crlURL}})
	dir := t.TempDir()
	for range 2 {
		if status, err := w.ask(dir, testca.Now); status != revocation.Good || w.hits.Load() != 2 {
			t.Fatalf("%v, %v, %d requests", status, err, w.hits.Load())
		}
	}
}

func TestFolder(t *testing.T) {
	now := testca.Now
	d := Folder(filepath.Join(t.TempDir(), "cache"))
	d.Put("a", []byte("1\n2"), now.Add(time.Hour), now)
	if data, found := d.Get("a", now); !found || string(data) != "1\n2" {
		t.Errorf("%q, %v", data, found)
	}
	if _, found := d.Get("b", now); found {
		t.Error("something else is found")
	}
	if _, found := d.Get("a", now.Add(time.Hour)); found {
		t.Error("found when its time is over")
	}
	d.Put("b", nil, now.Add(3*time.Hour), now.Add(2*time.Hour))
	if files, _ := os.ReadDir(string(d)); len(files) != 1 {
		t.Errorf("%d files; the one whose time is over should be gone", len(files))
	}
	for i := range MaxCacheFiles + 10 {
		d.Put(fmt.Sprint(i), nil, now.Add(time.Hour), now)
	}
	if files, _ := os.ReadDir(string(d)); len(files) > MaxCacheFiles {
		t.Errorf("%d files", len(files))
	}
	// A folder that cannot be made keeps nothing, and breaks nothing.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	Folder(filepath.Join(file, "below")).Put("a", nil, now.Add(time.Hour), now)
}
