package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// NewLog writes one line for each event. What is logged under a request's
// context carries its number, which the answer carries too.
func NewLog(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // config knows the levels; info otherwise
	o := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(numbered{slog.NewJSONHandler(w, o)})
	}
	return slog.New(numbered{slog.NewTextHandler(w, o)})
}

type requestKey struct{}

// numbered adds the number of the request.
type numbered struct{ slog.Handler }

func (n numbered) Handle(ctx context.Context, r slog.Record) error {
	if number, ok := ctx.Value(requestKey{}).(string); ok {
		r.AddAttrs(slog.String("request", number))
	}
	return n.Handler.Handle(ctx, r)
}

func (n numbered) WithAttrs(a []slog.Attr) slog.Handler { return numbered{n.Handler.WithAttrs(a)} }
func (n numbered) WithGroup(g string) slog.Handler      { return numbered{n.Handler.WithGroup(g)} }

// observed counts and logs requests. The log has the pattern that a request
// met, not its path, and no address: neither who came nor what for.
func (s *system) observed(door string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		var random [8]byte
		rand.Read(random[:])
		number := hex.EncodeToString(random[:])
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, number))
		w.Header().Set("X-Request-Id", number)
		answer := &answer{ResponseWriter: newFlow(w, writeTimeout, longestAnswer)}
		ended := s.metrics.begin(door)
		defer func() {
			took := time.Since(begin)
			ended(r.Method, answer.code(), took)
			s.Log.DebugContext(r.Context(), "request", "door", door, "method", methodOf(r.Method), "pattern", r.Pattern,
				"status", answer.code(), "ms", took.Milliseconds())
		}()
		next.ServeHTTP(answer, r)
	})
}

// answer remembers the status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 || a.status < 200 { // RFC 9110 §15.2: an interim answer is not the last one
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}
