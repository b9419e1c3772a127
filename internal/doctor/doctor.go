// Package doctor examines an installation from the side: its files, clock,
// database, keys, lists, certificates, relay and log, while the server runs or
// when it does not start. It changes nothing.
//
// Start at [Examine]. Each [Finding] says what is the matter and the way out.
package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailout"
	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/store"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Well    Level = "well"
	Odd     Level = "odd"     // it works, and should be looked at
	Trouble Level = "trouble" // it does not work, or soon will not
)

// Finding is one answer.
type Finding struct {
	Check  string `json:"check"` // files, clock, database, ...
	Level  Level  `json:"level"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

// Options say what to examine.
type Options struct {
	File        *config.File // read; its values need not be good
	Warnings    []config.Problem
	Credentials string // folder of systemd's credentials, or ""
	Keys        *keys.Keys
	Now         func() time.Time
	Random      io.Reader
	// Client looks at the portal and the repository from outside; nil: a plain one.
	Client *http.Client
}

// Limits of an examination.
const (
	askTimeout   = 15 * time.Second // of one question over the network
	auditTimeout = 30 * time.Second
	leastFree    = 1 << 30 // bytes: less is odd; the server itself stops far below
)

// The alarms before something expires, in days.
var alarms = []int{7, 30, 60}

// Examine looks at everything and never stops at the first trouble.
func Examine(ctx context.Context, o Options) []Finding {
	e := &examination{Options: o}
	if e.Client == nil {
		e.Client = &http.Client{Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	e.settings()
	e.files()
	e.disk()
	e.clock()
	e.state(ctx)
	e.portal(ctx)
	e.relay(ctx)
	return e.findings
}

type examination struct {
	Options
	findings []Finding
}

func (e *examination) add(check string, level Level, what, remedy string) {
	e.findings = append(e.findings, Finding{check, level, what, remedy})
}

func (e *examination) well(check, what string) { e.add(check, Well, what, "") }

// settings repeats what is odd about the file.
func (e *examination) settings() {
	for _, w := range e.Warnings {
		e.add("settings", Odd, w.Key+": "+w.Text, w.Hint)
	}
	if len(e.Warnings) == 0 {
		e.well("settings", "nothing is odd")
	}
}

func (e *examination) disk() {
	dir := e.File.Settings.Data
	if err := server.DiskFree(dir, leastFree); err != nil {
		e.add("disk", Odd, err.Error(), "the server is not ready below 64 MiB")
		return
	}
	e.well("disk", "there is room")
}

// expiry sounds the alarms.
func (e *examination) expiry(check, what string, ends time.Time, remedy string) {
	left := ends.Sub(e.Now())
	until := ends.UTC().Format(time.DateOnly)
	if left <= 0 {
		e.add(check, Trouble, fmt.Sprintf("%s has expired, on %s", what, until), remedy)
		return
	}
	for i, days := range alarms {
		if left < time.Duration(days)*24*time.Hour {
			level := Odd
			if i == 0 {
				level = Trouble
			}
			e.add(check, level, fmt.Sprintf("%s expires in less than %d days, on %s", what, days, until), remedy)
			return
		}
	}
	e.well(check, fmt.Sprintf("%s is good until %s", what, until))
}

// state examines what the database has, and the keys.
func (e *examination) state(ctx context.Context) {
	source, err := server.Source(&e.File.Settings, e.Credentials)
	if err != nil {
		e.add("database", Trouble, err.Error(), "mend database.password")
		return
	}
	db, err := store.OpenToLook(ctx, source)
	if err != nil {
		e.add("database", Trouble, err.Error(), "is it there, and may this user open it? A new installation begins with mailseal ca init")
		return
	}
	defer db.Close()
	if err := db.Soundness(ctx); err != nil {
		e.add("database", Trouble, err.Error(), "stop the server before anything is written to it")
	} else {
		e.well("database", "it answers and is sound")
	}
	e.keys(ctx, db)
	e.authorities(ctx, db)
	e.log(ctx, db)
}

func (e *examination) keys(ctx context.Context, db *store.DB) {
	a, err := authority.Open(ctx, authority.Options{Store: db, Keys: e.Keys, Clock: e.Now, Rand: e.Random})
	switch {
	case errors.Is(err, authority.ErrNone):
		e.add("keys", Trouble, "there is no authority yet", "mailseal ca init")
		return
	case err != nil:
		e.add("keys", Trouble, err.Error(), "the passphrase or PIN is the one of mailseal ca init; see keys in the file")
		return
	}
	online := 0
	for _, m := range a.Members() {
		if !m.Offline() {
			online++
		}
		what := "the certificate of authority " + m.Name()
		if m.Active() {
			e.expiry("authority", what, m.Certificate().NotAfter, "mailseal ca rollover")
		}
	}
	if online == 0 {
		e.add("keys", Trouble, "no authority has its key here, so that nothing can be issued", "mailseal ca accept, with the certificate of the issuing authority")
		return
	}
	e.well("keys", fmt.Sprintf("%d open", online))
	e.repository(ctx, a)
}

// repository fetches one list as everybody would.
func (e *examination) repository(ctx context.Context, a *authority.Authority) {
	const remedy = "does its name lead to this machine, does repository.listen get port 80, and is the server running?"
	for _, m := range a.Members() {
		if m.Root() || !m.Active() {
			continue
		}
		address := a.BaseURL() + "/ca/" + m.Name() + ".cer"
		body, err := e.fetch(ctx, address)
		if err != nil {
			e.add("repository", Trouble, "what certificates point to is not there: "+err.Error(), remedy)
			return
		}
		if c, err := cert.Parse(body); err != nil || c.SHA256() != m.Certificate().SHA256() {
			e.add("repository", Trouble, address+" is not the certificate of this installation", remedy)
			return
		}
	}
	e.well("repository", "what certificates point to is at "+a.BaseURL())
}

const maxFetched = 64 << 10

func (e *examination) fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := e.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", address, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxFetched))
}

// authorities examines the lists, and who answers by OCSP.
func (e *examination) authorities(ctx context.Context, db *store.DB) {
	lists, err := server.RevocationLists(ctx, db, e.Now())
	switch {
	case err != nil:
		e.add("revocation", Trouble, err.Error(), "start the server, which signs them, and see its log")
	case lists == 0:
		e.add("revocation", Odd, "no list was signed yet", "start the server")
	default:
		e.well("revocation", "all lists are fresh")
	}
	err = db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Authorities()
		if err != nil {
			return err
		}
		for _, row := range rows {
			for _, purpose := range []string{"ocsp", "timestamp"} {
				delegates, err := tx.Delegates(row.ID, purpose, e.Now())
				if err != nil {
					return err
				}
				if len(delegates) > 0 {
					e.expiry(purpose, "the "+purpose+" signer of "+row.Name, delegates[0].NotAfter, "the server makes a new one by itself; see its log")
				}
			}
		}
		return nil
	})
	if err != nil {
		e.add("ocsp", Trouble, err.Error(), "see database")
	}
}

// log verifies the audit log, for as long as a quick look may take.
func (e *examination) log(ctx context.Context, db *store.DB) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	report, err := audit.Verify(ctx, db, nil)
	switch {
	case ctx.Err() != nil:
		e.add("audit", Odd, "the log is too long for a quick look", "mailseal audit verify, with a checkpoint that was kept elsewhere")
	case err != nil:
		e.add("audit", Trouble, err.Error(), "mailseal audit verify")
	case !report.Good():
		e.add("audit", Trouble, fmt.Sprintf("%d things are wrong in the log", report.Wrong), "mailseal audit verify says which; keep a copy of everything before anything else")
	default:
		e.well("audit", fmt.Sprintf("%d entries, each joined to the one before", report.Entries))
	}
}

// portal visits the site as people do.
func (e *examination) portal(ctx context.Context) {
	s := e.File.Settings
	if s.TLSByFile() {
		if pair, err := s.Portal.LoadPair(e.Credentials); err != nil {
			e.add("tls", Trouble, err.Error(), "mend portal.certificate and portal.key")
		} else {
			e.expiry("tls", "the certificate in "+s.Portal.Certificate, pair.Leaf.NotAfter, "put a new one in its place; the server takes it up by itself")
		}
	}
	if _, err := e.fetch(ctx, s.Portal.URL+"/healthz"); err != nil {
		remedy := "is the server running, and does the name lead here?"
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			remedy = "browsers refuse this TLS certificate: its chain must lead to an authority that they know"
		}
		e.add("portal", Trouble, err.Error(), remedy)
		return
	}
	e.well("portal", "it answers at "+s.Portal.URL)
}

func (e *examination) relay(ctx context.Context) {
	relay, err := server.Relay(&e.File.Settings, e.Credentials)
	if err == nil {
		relay.Now, relay.Random = e.Now, e.Random
		err = relay.Probe(ctx)
	}
	if err != nil {
		e.add("relay", Trouble, err.Error(), "mails wait until it answers; see mail in the file, and the relay's own log")
		return
	}
	what := "it answers, with TLS and our password"
	if relay.Security == mailout.Plain {
		what = "it answers, on this machine"
	}
	e.well("relay", what)
}
