package portal

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/roster"
)

// maxForm bounds a form. A certification request comes with a sealed key at most:
// recovery.MaxEnrolment bounds it.
const maxForm = 64 << 10

// Bounds of what else comes in: lists of people, documents, and forms in which
// hundreds of people may be ticked.
const (
	maxList     = roster.MaxBytes + maxForm
	maxDocument = 16 << 20
	maxTicked   = 1 << 20
)

// bodyLimit bounds a request by where it goes.
func bodyLimit(r *http.Request) int64 {
	organization := strings.HasPrefix(r.URL.Path, "/org/")
	switch {
	case organization && strings.HasSuffix(r.URL.Path, "/import"):
		return maxList
	case organization && (strings.HasSuffix(r.URL.Path, "/evidence") || strings.HasSuffix(r.URL.Path, "/adopt/certificates")):
		return maxDocument
	case organization && strings.HasSuffix(r.URL.Path, "/recovery/answer"):
		return recovery.MaxFile + maxForm
	case organization, r.URL.Path == "/admin/again": // which may hold such a form
		return maxTicked
	case strings.HasPrefix(r.URL.Path, "/i/"):
		return enrollment.MaxOld + maxForm
	case r.URL.Path == "/key":
		return recovery.MaxEnrolment
	}
	return maxForm
}

// policy lets a page load its own files and talk to its own server, and nothing
// else: no inline script or style, no frame around it, no form to elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// headers sets what holds for every answer, and bounds every request.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store") // pages show addresses; assets override it
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r))
		next.ServeHTTP(w, r)
	})
}

// readForm reads the form of a request.
func readForm(r *http.Request) error { return unreadable(r.ParseForm()) }

// unreadable is an error of reading what somebody sends. Unless it is for being
// too large, it is none of ours: cut off, too slow, or malformed.
func unreadable(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); err == nil || large {
		return err
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
}
