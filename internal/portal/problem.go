package portal

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/pdf"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/store"
)

var (
	errNoPage     = errors.New("no such page")
	errNoSession  = errors.New("this browser has asked for nothing")
	errForeign    = errors.New("another site sent this request")
	errUnreadable = errors.New("what was sent cannot be read")
	errPickup     = errors.New("the invitation is over")
	errBusy       = errors.New("too many pages are followed at a time")
)

// problem is an error as a person meets it: what happened and the way out.
type problem struct {
	status int
	key    string // "<key>.title" and "<key>.text" in text/*.json
	action string // "<action>" is the button's text
	href   string
	retry  int // minutes, for {minutes}
}

// Title, Text, Action, Href and Minutes are for the template.
func (p problem) Title() string   { return p.key + ".title" }
func (p problem) Text() string    { return p.key + ".text" }
func (p problem) Action() string  { return p.action }
func (p problem) Href() string    { return p.href }
func (p problem) Minutes() string { return strconv.Itoa(p.retry) }

// problems translates errors of the rooms below, once, at this edge.
var problems = []struct {
	err error
	problem
}{
	{errNoPage, problem{http.StatusNotFound, "problem.page", "action.start", "/", 0}},
	{catcher.ErrNotFound, problem{http.StatusNotFound, "problem.mail", "action.mails", "/dev/mail", 0}},
	{errForeign, problem{http.StatusForbidden, "problem.foreign", "action.start", "/", 0}},
	{errUnreadable, problem{http.StatusBadRequest, "problem.unreadable", "action.start", "/", 0}},
	{errNoSession, problem{http.StatusForbidden, "problem.session", "action.apply", "/apply", 0}},
	{registration.ErrNotFound, problem{http.StatusForbidden, "problem.session", "action.apply", "/apply", 0}},
	{registration.ErrState, problem{http.StatusConflict, "problem.state", "action.apply", "/apply", 0}},
	{registration.ErrRequest, problem{http.StatusUnprocessableEntity, "problem.request", "action.apply", "/apply", 0}},
	{registration.ErrRootsChange, problem{http.StatusConflict, "problem.roots", "action.start", "/", 0}},
	{registration.ErrOtherKey, problem{http.StatusConflict, "problem.otherkey", "action.apply", "/apply", 0}},
	{recovery.ErrOfficersChanged, problem{http.StatusConflict, "problem.officers", "action.start", "/", 0}},
	{recovery.ErrState, problem{http.StatusConflict, "problem.state", "action.start", "/", 0}},
	{recovery.ErrSigns, problem{http.StatusUnprocessableEntity, "problem.request", "action.start", "/", 0}},
	{errNoCertificate, problem{http.StatusForbidden, "problem.nocertificate", "action.again", "/", 0}},
	{errCertificate, problem{http.StatusForbidden, "problem.certificate", "action.again", "/", 0}},
	{enrollment.ErrNoPreview, problem{http.StatusNotFound, "problem.preview", "action.start", "/", 0}},
	{roster.ErrSize, problem{http.StatusRequestEntityTooLarge, "problem.large", "action.start", "/", 0}},
	{errPickup, problem{http.StatusGone, "problem.pickup", "action.start", "/", 0}},
	{pdf.ErrFont, problem{http.StatusConflict, "problem.font", "action.start", "/", 0}},
	{errBusy, problem{http.StatusServiceUnavailable, "problem.unavailable", "action.start", "/", 1}},
	{registration.ErrForbidden, problem{http.StatusForbidden, "problem.forbidden", "action.start", "/", 0}},
	{enrollment.ErrGone, problem{http.StatusGone, "problem.pickup", "action.start", "/", 0}},
	{auth.ErrForbidden, problem{http.StatusForbidden, "problem.forbidden", "action.start", "/", 0}},
	{auth.ErrPasskey, problem{http.StatusUnprocessableEntity, "problem.passkey", "action.signin", "/admin/sign-in", 0}},
	{auth.ErrProvider, problem{http.StatusBadGateway, "problem.provider", "action.signin", "/admin/sign-in", 0}},
	{auth.ErrNoSession, problem{http.StatusForbidden, "problem.ended", "action.signin", "/admin/sign-in", 0}},
	{auth.ErrAgain, problem{http.StatusForbidden, "problem.again", "action.again.show", againPath, 0}},
	{auth.ErrWeak, problem{http.StatusForbidden, "problem.weak", "action.signin", "/admin/sign-in", 0}},
	{auth.ErrInvitation, problem{http.StatusForbidden, "problem.invitation", "action.signin", "/admin/sign-in", 0}},
	{auth.ErrState, problem{http.StatusConflict, "problem.accountstate", "action.start", "/", 0}},
	{auth.ErrTooMany, problem{http.StatusTooManyRequests, "problem.tries", "action.start", "/", 1}},
	{auth.ErrClaimed, problem{http.StatusConflict, "problem.claimed", "action.signin", "/admin/sign-in", 0}},
}

func problemOf(err error) problem {
	for _, known := range problems {
		if errors.Is(err, known.err) {
			return known.problem
		}
	}
	var tooMany *registration.TooManyError
	if errors.As(err, &tooMany) {
		minutes := int(math.Ceil(tooMany.Retry.Minutes()))
		return problem{http.StatusTooManyRequests, "problem.toomany", "action.start", "/", max(minutes, 1)}
	}
	var reports *problemreport.TooManyError
	if errors.As(err, &reports) {
		minutes := int(math.Ceil(reports.Retry.Minutes()))
		return problem{http.StatusTooManyRequests, "problem.reports", "action.start", "/", max(minutes, 1)}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return problem{http.StatusRequestEntityTooLarge, "problem.large", "action.start", "/", 0}
	}
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return problem{http.StatusServiceUnavailable, "problem.unavailable", "action.start", "/", 1}
	}
	return problem{http.StatusInternalServerError, "problem.internal", "action.start", "/", 0}
}

// serveProblem is the one place where an error becomes an answer: a page, or
// problem+json (RFC 9457) for the page's own script. What went wrong inside is
// for the log.
func (p *portal) serveProblem(w http.ResponseWriter, r *http.Request, err error) {
	what := problemOf(err)
	level := slog.LevelDebug
	// Whoever went away while we were at work is no trouble of ours.
	if what.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		level = slog.LevelError
	}
	p.Log.Log(r.Context(), level, "page failed", "method", r.Method, "path", r.URL.Path, "error", err)
	if what.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(what.retry*60))
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		err = p.writeProblem(w, r, what)
	} else {
		err = p.render(w, r, what.status, "problem", what)
	}
	if err != nil {
		p.Log.Error("problem page failed", "path", r.URL.Path, "error", err)
		http.Error(w, "mailseal: internal error", http.StatusInternalServerError)
	}
}

func (p *portal) writeProblem(w http.ResponseWriter, r *http.Request, what problem) error {
	t := p.tongueOf(r)
	title, err := t.plain(what.Title())
	if err != nil {
		return err
	}
	detail, err := t.plain(what.Text(), "minutes", what.Minutes())
	if err != nil {
		return err
	}
	said := map[string]any{"title": title, "detail": detail, "status": what.status}
	if what.href == againPath { // the script leads there
		said["again"] = againPath
	}
	return writeJSON(w, "application/problem+json", what.status, said)
}

func writeJSON(w http.ResponseWriter, contentType string, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone: nobody left to tell
	return nil
}
