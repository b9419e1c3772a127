// Package server puts the rooms together into the one process that `mailseal
// serve` runs: store, authority, registration, portal, API, repository, and
// with --dev the catcher that outgoing mail goes to.
//
// Start with [Run]. It decides nothing about certificates; it opens things in
// their order, gives them to each other, serves until its context ends, and
// closes them in the opposite order.
//
// Today it runs for development only: on loopback, over plain http, with the
// authority's keys unencrypted in the data folder.
package server

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
)

// Config says what to serve and where.
type Config struct {
	Data       string // folder of everything that must survive; made if it is not there
	DB         string // postgres://... for a database that several nodes share; empty: SQLite in Data
	Listen     string // loopback address of the portal and the API, host:port; port 0 takes a free one
	SMTPListen string // loopback address of the mail catcher, likewise
	// Where checkpoints of the audit log go, so that they are kept elsewhere:
	// a file that each is appended to, a program that gets each as its input.
	CheckpointFile    string
	CheckpointProgram string

	Dev   bool // must be set: the only way to run so far
	Clock func() time.Time
	Rand  io.Reader
	Log   *slog.Logger
	Out   io.Writer // where a person reads what to do next

	// GenerateKey makes the keys of a new authority; nil: as the authority
	// wants them, RSA-4096. For tests that cannot wait.
	GenerateKey func() (crypto.Signer, error)

	// Ready, if set, is called with the portal's address, without a final
	// slash, when everything serves.
	Ready func(url string)
}

const (
	headerTimeout   = 10 * time.Second
	readTimeout     = 30 * time.Second
	writeTimeout    = time.Minute
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	maxHeader       = 64 << 10
)

// Run serves until ctx ends, then lets requests under way finish and closes
// everything. It returns nil after such an end, and an error when it could not
// start or something stopped serving by itself.
func Run(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	// First the ports: whoever starts a second server on them should know at
	// once, and nothing should be made that is not going to be served.
	web, err := listen(ctx, c.Listen, "--listen")
	if err != nil {
		return err
	}
	defer func() { _ = web.Close() }()
	smtp, err := listen(ctx, c.SMTPListen, "--smtp")
	if err != nil {
		return err
	}
	defer func() { _ = smtp.Close() }()

	s, err := open(ctx, c, "http://"+web.Addr().String(), smtp.Addr().String())
	if err != nil {
		return err
	}
	return errors.Join(s.serve(ctx, web, smtp), s.close())
}

func (c *Config) check() error {
	if !c.Dev {
		return errors.New("serve: only development is there today: start with --dev, on this machine alone")
	}
	if c.Clock == nil || c.Rand == nil || c.Log == nil || c.Out == nil || c.Data == "" {
		return errors.New("serve: configuration is not complete")
	}
	return nil
}

// serve runs everything that waits for the network until ctx ends or one of
// them fails.
func (s *system) serve(ctx context.Context, web, smtp net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	failures := make(chan error, 2)
	go func() { failures <- s.catcher.Serve(smtp) }()
	go func() { failures <- serveHTTP(server, web) }()
	maintained := make(chan struct{})
	go func() { defer close(maintained); s.authority.Maintain(ctx) }()
	logged := make(chan struct{})
	logging, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLog()
	go func() { defer close(logged); s.log.Maintain(logging) }()

	s.greet(ctx)
	if s.Ready != nil {
		s.Ready(s.url)
	}
	var err error
	running := cap(failures)
	select {
	case <-ctx.Done():
	case err = <-failures:
		running--
	}
	stop()
	err = errors.Join(err, s.shutdown(server))
	for range running {
		err = errors.Join(err, <-failures)
	}
	<-maintained
	err = errors.Join(err, s.record(context.WithoutCancel(ctx), audit.ActStopped, nil))
	stopLog()
	<-logged
	return err
}

func serveHTTP(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// shutdown lets what is under way finish, the portal first, because it may
// still be submitting a mail.
func (s *system) shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.Log.Warn("requests cut off", "error", err)
		_ = server.Close()
	}
	return s.catcher.Shutdown(ctx)
}
