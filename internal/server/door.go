package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/mailout/catcher"
)

const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	maxStreams    = 100 // of one HTTP/2 connection at a time
)

// door is one thing that waits for the network.
type door struct {
	serve func() error
	stop  func(context.Context) error
}

// httpDoor serves HTTP/1.1 and, over TLS, HTTP/2. Settings nil: plain.
func (s *system) httpDoor(name string, l net.Listener, h http.Handler, settings *tls.Config) door {
	server := &http.Server{
		Handler:           s.observed(name, h),
		TLSConfig:         settings,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		// Handshakes that fail are the other side's trouble, and many.
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	serve := func() (err error) {
		if settings != nil {
			err = server.ServeTLS(l, "", "")
		} else {
			err = server.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve %s: %w", name, err)
	}
	return door{serve, func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			s.Log.Warn("requests cut off", "door", name, "error", err)
			_ = server.Close()
		}
		return nil
	}}
}

func catcherDoor(c *catcher.Catcher, l net.Listener) door {
	return door{func() error { return c.Serve(l) }, c.Shutdown}
}
