// Package catcher is the mail relay of development: a real SMTP receiver
// (RFC 5321) that delivers nothing and keeps every mail as a file.
//
// Start with [Open], then Serve; List and Get read back what was caught.
//
// A mail is one .eml file, written to a temporary name, synced and renamed, so
// that a file that is there is whole. It begins with the fields of a final
// delivery (Return-Path, Delivered-To, Received), followed by the message
// byte for byte as it came. Messages with a bare CR or LF are refused, because
// relays disagree about where their lines end (RFC 5321 §2.3.8).
//
// It has no authentication and must listen on loopback only.
package catcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Limits of one SMTP session.
const (
	maxMessageBytes = 25 << 20
	maxRecipients   = 100 // RFC 5321 §4.5.3.1.8
	idleTimeout     = time.Minute
)

// Options say how a Catcher works; all fields are needed.
type Options struct {
	Dir    string // where the .eml files go; made if it is not there
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
}

// Catcher receives mails by SMTP and keeps them in a folder. It is safe for
// concurrent use.
type Catcher struct {
	options Options
	server  *smtp.Server

	mu       sync.Mutex
	stopped  bool
	listener *listener // nil until Serve
}

// Open makes the folder and removes what an interrupted run left half-written.
func Open(o Options) (*Catcher, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make mail folder: %w", err)
	}
	if err := removeTemporary(o.Dir); err != nil {
		return nil, fmt.Errorf("clean mail folder: %w", err)
	}
	c := &Catcher{options: o}
	s := smtp.NewServer(smtp.BackendFunc(func(conn *smtp.Conn) (smtp.Session, error) {
		return &session{catcher: c, conn: conn}, nil
	}))
	s.Domain = "localhost"
	s.MaxMessageBytes = maxMessageBytes
	s.MaxRecipients = maxRecipients
	s.ReadTimeout = idleTimeout
	s.WriteTimeout = idleTimeout
	s.EnableSMTPUTF8 = true
	s.ErrorLog = slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn)
	c.server = s
	return c, nil
}

// Serve receives mails on l until Shutdown, and closes it. It is called once.
func (c *Catcher) Serve(l net.Listener) error {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return l.Close()
	}
	c.listener = &listener{Listener: l, conns: map[*conn]struct{}{}}
	c.mu.Unlock()
	if err := c.server.Serve(c.listener); err != nil {
		return fmt.Errorf("receive mail: %w", err)
	}
	return nil
}

// Shutdown stops listening and waits for sessions under way until ctx ends,
// then cuts them off.
func (c *Catcher) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	l := c.listener
	c.mu.Unlock()
	err := c.server.Shutdown(ctx)
	if l != nil {
		// go-smtp does not know a listener yet whose Serve is only beginning.
		_ = l.Close()
		l.cut()
	}
	if err == nil || errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	if ctx.Err() != nil {
		c.options.Log.Warn("mail sessions cut off", "error", err)
		return nil
	}
	return fmt.Errorf("stop mail catcher: %w", err)
}
