// Package server puts the rooms together into the one process that `mailseal
// serve` runs: store, authority, registration, portal, API, repository, and
// with --dev the catcher that outgoing mail goes to.
//
// Start with [Run]. It decides nothing about certificates; it opens things in
// their order, gives them to each other, serves until its context ends, and
// closes them in the opposite order.
//
// It listens at several doors, each with a handler of its own: the portal with
// the API, over TLS; the repository, over plain HTTP because what it serves is
// signed; the door for client certificates; the operator's metrics; and an SMTP
// listener for bounces. With --dev there is one door, on loopback, and the
// catcher.
package server

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/keys"
)

// Config says what to serve and where: with Dev the fields above Settings, without
// it Settings.
type Config struct {
	Dev        bool
	Data       string // folder of everything that must survive; made if it is not there
	DB         string // postgres://... for a database that several nodes share; empty: SQLite in Data
	DNS        string // host:port of the resolver that is asked about domains; empty: the system's
	Listen     string // loopback address of the portal and the API, host:port; port 0 takes a free one
	SMTPListen string // loopback address of the mail catcher, likewise
	// Where checkpoints of the audit log go, so that they are kept elsewhere:
	// a file that each is appended to, a program that gets each as its input.
	CheckpointFile    string
	CheckpointProgram string

	Settings    *config.Settings        // checked
	Credentials string                  // the folder of secrets that systemd handed over, or ""
	Sockets     map[string]net.Listener // those that systemd opened, by name
	Reload      <-chan struct{}         // asks to read the TLS certificate again; may be nil
	Version     string

	Clock func() time.Time
	Rand  io.Reader
	Log   *slog.Logger
	Out   io.Writer // where a person reads what to do next

	// GenerateKey makes the keys of a new authority; nil: as the authority
	// wants them, RSA-4096. For tests that cannot wait.
	GenerateKey func() (crypto.Signer, error)

	// Keys opens the authorities' keys and is closed with the server; nil with Dev.
	Keys *keys.Keys

	// Ready, if set, is called with the portal's address, without a final
	// slash, when everything serves.
	Ready func(url string)

	// Doors, if set, is called with where each door listens before anything is
	// opened. For tests, which let the system choose ports.
	Doors func(map[string]net.Addr)
}

// Run serves until ctx ends, then lets requests under way finish and closes
// everything. It returns nil after such an end, and an error when it could not
// start or something stopped serving by itself.
func Run(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	idle := make([]byte, idleMemory)
	defer runtime.KeepAlive(idle)
	// First the ports: whoever starts a second server on them should know at
	// once, and nothing should be made that is not going to be served.
	ports, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer ports.close()
	if c.Doors != nil {
		c.Doors(ports.addresses())
	}
	s, err := open(ctx, c, ports)
	if err != nil {
		return err
	}
	return errors.Join(s.serve(ctx), s.close())
}

func (c *Config) check() error {
	if c.Clock == nil || c.Rand == nil || c.Log == nil || c.Out == nil {
		return errors.New("serve: configuration is not complete")
	}
	switch {
	case c.Dev && c.Data == "":
		return errors.New("serve: configuration is not complete")
	case !c.Dev && c.Settings != nil && c.Keys == nil:
		return errors.New("serve: configuration is not complete")
	case !c.Dev && c.Settings == nil:
		return errors.New("serve: give --config FILE, or --dev for a look on this machine alone")
	case !c.Dev:
		c.Data = c.Settings.Data
	}
	if c.Credentials == "" && c.Version == "" {
		c.Version = "dev"
	}
	return nil
}

// stopTime is what requests under way get when the server stops.
func (c *Config) stopTime() time.Duration {
	if c.Dev {
		return 10 * time.Second
	}
	return c.Settings.Limits.Stop
}

// serve runs everything that waits for the network until ctx ends or one of
// them fails.
func (s *system) serve(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	failures := make(chan error, len(s.doors))
	for _, d := range s.doors {
		go func() { failures <- d.serve() }()
	}
	// Background work goes on until the last request is answered: one may be
	// waiting for it.
	background, rest := context.WithCancel(context.WithoutCancel(ctx))
	defer rest()
	done := s.work(background)
	logging, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLog()
	logged := make(chan struct{})
	go func() { defer close(logged); s.log.Maintain(logging) }()

	s.greet(work)
	if s.Ready != nil {
		s.Ready(s.url)
	}
	var err error
	running := len(s.doors)
	select {
	case <-ctx.Done():
	case err = <-failures:
		running--
	}
	stop()
	s.Log.Info("stopping", "grace", s.stopTime().String())
	err = errors.Join(err, s.shutdown())
	for range running {
		err = errors.Join(err, <-failures)
	}
	rest()
	<-done
	// The log goes last: its final entry says that all else has stopped.
	err = errors.Join(err, s.record(context.WithoutCancel(ctx), audit.ActStopped, nil))
	stopLog()
	<-logged
	return err
}

// work starts what goes on beside the doors; the channel is closed when all of
// it has ended.
func (s *system) work(ctx context.Context) <-chan struct{} {
	tasks := []func(context.Context){s.authority.Maintain, s.outbox.Run, s.reports.Maintain, s.keepDomains, s.enrollment.Maintain}
	if s.certificates != nil {
		tasks = append(tasks, s.certificates.watch)
	}
	ended := make(chan struct{}, len(tasks))
	for _, task := range tasks {
		go func() { task(ctx); ended <- struct{}{} }()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range tasks {
			<-ended
		}
	}()
	return done
}

// shutdown lets what is under way finish, door by door in their order: mail
// goes last, because the portal may still be submitting one.
func (s *system) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.stopTime())
	defer cancel()
	var err error
	for _, d := range s.doors {
		err = errors.Join(err, d.stop(ctx))
	}
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}
