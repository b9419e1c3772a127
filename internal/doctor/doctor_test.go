package doctor

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/config"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func look(settings config.Settings) *examination {
	return &examination{Options: Options{
		File: &config.File{Settings: settings}, Now: func() time.Time { return noon }, Client: http.DefaultClient,
	}}
}

// TestAlarms sounds them in time, and each louder than the one before.
func TestAlarms(t *testing.T) {
	const day = 24 * time.Hour
	for left, want := range map[time.Duration]struct {
		level Level
		says  string
	}{
		61 * day:         {Well, "good until 2027-01-27"},
		60*day - 1:       {Odd, "less than 60 days"},
		30 * day:         {Odd, "less than 60 days"},
		30*day - 1:       {Odd, "less than 30 days"},
		7*day - 1:        {Trouble, "less than 7 days"},
		0:                {Trouble, "has expired"},
		-400 * day:       {Trouble, "has expired"},
		10 * 365 * day:   {Well, "good until 2036"},
		60 * day:         {Well, "good until 2027-01-26"},
		7 * day:          {Odd, "less than 30 days"},
		24 * time.Second: {Trouble, "less than 7 days, on 2026-11-27"},
	} {
		e := look(config.Settings{})
		e.expiry("x", "the certificate", noon.Add(left), "renew it")
		got := e.findings[0]
		if len(e.findings) != 1 || got.Level != want.level || !strings.Contains(got.What, want.says) || (got.Remedy == "") != (got.Level == Well) {
			t.Errorf("%v left: %+v, want %+v", left, e.findings, want)
		}
	}
}

// TestPortal sees the site as people do: also that browsers refuse its TLS.
func TestPortal(t *testing.T) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	settings := config.Settings{Portal: config.Portal{URL: site.URL, TrustedProxies: []string{"127.0.0.1"}}}
	e := look(settings)
	e.portal(t.Context())
	if got := e.findings[0]; got.Level != Trouble || !strings.Contains(got.Remedy, "browsers refuse") {
		t.Errorf("a certificate that nobody knows: %+v", got)
	}
	e = look(settings)
	e.Client = site.Client()
	e.portal(t.Context())
	if got := e.findings[0]; got.Level != Well {
		t.Errorf("one that is known: %+v", got)
	}
	e.File.Settings.Portal.URL += "/elsewhere"
	e.portal(t.Context())
	if got := e.findings[1]; got.Level != Trouble || !strings.Contains(got.What, "404") {
		t.Errorf("somebody else's site: %+v", got)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"mine": 0o600, "read": 0o644, "written": 0o662} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	e := look(config.Settings{Data: dir})
	e.files()
	levels := map[string]Level{}
	for _, f := range e.findings {
		path, _, _ := strings.Cut(f.What, " ")
		levels[filepath.Base(path)] = f.Level
		if !strings.HasPrefix(f.Remedy, "chmod go-rwx "+path) {
			t.Errorf("no way out: %+v", f)
		}
	}
	if len(levels) != 2 || levels["read"] != Odd || levels["written"] != Trouble {
		t.Errorf("found %v", levels)
	}
	e = look(config.Settings{Data: filepath.Join(dir, "nothing")})
	e.files()
	if e.findings[0].Level != Trouble {
		t.Errorf("no folder: %+v", e.findings)
	}
}
