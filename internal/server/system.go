package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/api"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailout"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/portal"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/repository"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// system is the opened rooms.
type system struct {
	Config
	url            string
	folder         *os.File // the data folder's lock
	store          *store.DB
	log            *audit.Log
	authority      *authority.Authority
	orders         *registration.Service
	administrators *auth.Service
	catcher        *catcher.Catcher
	handler        http.Handler
}

// open opens the rooms from the lowest up, and closes them again when one of
// them cannot be opened.
func open(ctx context.Context, c Config, url, relay string) (*system, error) {
	s := &system{Config: c, url: url}
	if err := s.openRooms(ctx, relay); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *system) openRooms(ctx context.Context, relay string) error {
	var err error
	if s.folder, err = openFolder(s.Data); err != nil {
		return err
	}
	if s.DB == "" {
		s.DB = filepath.Join(s.Data, "mailseal.db")
	}
	if s.store, err = store.Open(ctx, s.DB); err != nil {
		return err
	}
	proofs := &validation.Validator{Clock: s.Clock, Rand: s.Rand, Site: s.url}
	if err := s.openLog(ctx); err != nil {
		return err
	}
	if err := s.openAuthority(ctx, proofs); err != nil {
		return err
	}
	if err := s.openMail(); err != nil {
		return err
	}
	sender, err := s.sender(relay)
	if err != nil {
		return err
	}
	s.orders = registration.New(registration.Options{
		Store: s.store, Validation: proofs, Issuer: s.authority, Mailer: sender, Clock: s.Clock, Rand: s.Rand, Log: s.Log,
	})
	s.administrators = auth.New(auth.Options{Store: s.store, Clock: s.Clock, Rand: s.Rand})
	return s.openDoors()
}

// openLog opens the audit log and enters the start, whose time is that of the
// clock from now on.
func (s *system) openLog(ctx context.Context) (err error) {
	o := audit.Options{Store: s.store, Keys: s.keys(), Clock: s.Clock, Log: s.Log}
	if s.CheckpointFile != "" {
		o.Keep = append(o.Keep, audit.AppendTo(s.CheckpointFile))
	}
	if s.CheckpointProgram != "" {
		o.Keep = append(o.Keep, audit.GiveTo(s.CheckpointProgram))
	}
	if s.log, err = audit.Open(ctx, o); err != nil {
		return err
	}
	return s.record(ctx, audit.ActConfiguration, map[string]string{"url": s.url, "dev": strconv.FormatBool(s.Dev)})
}

// record enters an act of the server itself.
func (s *system) record(ctx context.Context, act string, details map[string]string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		return audit.Append(ctx, tx, audit.Entry{At: s.Clock(), Act: act, Details: details})
	})
}

// keys opens and makes the keys of the data folder.
func (s *system) keys() *keys.Keys { return &keys.Keys{Dir: s.Data, Plaintext: s.Dev} }

// openAuthority opens the authority of the data folder, or makes one on the
// first start, and finishes what a crash may have left half-issued.
func (s *system) openAuthority(ctx context.Context, proofs *validation.Validator) error {
	o := authority.Options{
		Store: s.store, Keys: s.keys(), Validation: proofs,
		Clock: s.Clock, Rand: s.Rand, Log: s.Log, GenerateKey: s.GenerateKey,
	}
	var err error
	s.authority, err = authority.Open(ctx, o)
	if errors.Is(err, authority.ErrNone) {
		fmt.Fprintln(s.Out, "Making a root and an issuing authority. This takes a few seconds, once.")
		s.authority, err = authority.Found(ctx, o, authority.Founding{BaseURL: s.url, Dev: s.Dev})
	}
	if errors.Is(err, authority.ErrFounded) { // by a node that was started at the same moment
		s.authority, err = authority.Open(ctx, o)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the database has an authority whose keys are not in the data folder %s: copy the folder keys from the node that has them", err, s.Data)
	}
	if err != nil {
		return err
	}
	return s.authority.Recover(ctx)
}

func (s *system) openMail() (err error) {
	s.catcher, err = catcher.Open(catcher.Options{
		Dir: filepath.Join(s.Data, "mail"), Now: s.Clock, Random: s.Rand, Log: s.Log,
	})
	return err
}

// sender submits to the catcher. Its domain is one that RFC 6761 §6.3 keeps
// for this machine, so that nobody elsewhere is named as the sender.
func (s *system) sender(relay string) (validation.Mailer, error) {
	from, err := mailbox.Parse("no-reply@mailseal.localhost")
	if err != nil {
		return nil, fmt.Errorf("sender of mails: %w", err)
	}
	return mailer{&mailout.Relay{
		Address: relay, From: mailout.Sender{Name: "mailseal", Mailbox: from}, Now: s.Clock, Random: s.Rand,
	}}, nil
}

// openDoors makes the one handler out of the doors, each under its own paths.
func (s *system) openDoors() error {
	site, err := portal.New(portal.Config{
		Orders: s.orders, Administrators: s.administrators,
		Authority: overview{s.store, s.authority, s.orders},
		Mail:      s.catcher, Dev: s.Dev, Now: s.Clock, Log: s.Log,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.Handle("/api/", api.New(s.orders, s.Log))
	mux.Handle("/", site)
	s.handler = loopbackOnly(repository.New(s.authority, s.Clock, s.Log, mux))
	return nil
}

// health answers when the process serves; it says nothing about anybody.
func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok\n") // the client is gone: nobody left to tell
}

// greetTimeout bounds the look for the first administrator.
const greetTimeout = 10 * time.Second

// greet tells the person at the console where to click, and the one-time code
// as long as there is no administrator.
func (s *system) greet(ctx context.Context) {
	fmt.Fprintf(s.Out, `
mailseal is running, for development: nothing here is to be trusted.

  Portal           %[1]s/
  Caught mails     %[1]s/dev/mail
  Administration   %[1]s/admin
`, s.url)
	if at := s.authority.BaseURL(); at != s.url {
		fmt.Fprintf(s.Out, `
Its certificates say that revocation lists are at %s,
where it was first started: programs that check them look there.
`, at)
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	code, err := s.administrators.FirstCode(ctx)
	if err != nil {
		s.Log.Error("one-time code of the first administrator not made", "error", err)
		return
	}
	if code != "" {
		fmt.Fprintf(s.Out, `
The first administrator claims the place at %s/admin/claim with

  %s
`, s.url, code)
	}
	fmt.Fprint(s.Out, "\nStop it with Ctrl-C.\n")
}

// close closes what was opened; the folder is free for the next process last.
func (s *system) close() error {
	var err error
	if s.store != nil {
		err = s.store.Close()
	}
	if s.folder != nil {
		err = errors.Join(err, s.folder.Close())
	}
	return err
}
