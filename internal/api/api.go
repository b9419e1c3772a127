// Package api is the JSON door over HTTP, for programs: everything that the portal
// does, by the same functions.
//
// One table of routes serves, and is what the OpenAPI document and the page at
// /api/ are written from, so that they say what is so; [New] puts it together from
// the files of this package, one for each kind of thing. What the types of inputs
// say is enforced (schema.go): members and parameters that are not known are
// refused, and so is a value that is none of those named.
//
// Programs show a bearer token (RFC 6750) of an account, which has roles; whoever
// opens an order for themselves needs none, and goes on with the token that opening
// it returned. Cookies are never looked at, so no other site can make a browser act
// here. Refusals are problem+json (RFC 9457) with a member "code" for programs.
// Lists come in pages, with a cursor for the next one. A POST with an
// Idempotency-Key is done once.
package api

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/pdf"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// Limits on request bodies, in bytes. An RSA-8192 request with a handful of
// attributes has 5 kB as PEM.
const (
	maxJSON    = 16 << 10
	maxRequest = 64 << 10
)

// Options are what the API needs.
type Options struct {
	Registration *registration.Service
	Enrollment   *enrollment.Service
	Reports      Reports
	Recovery     *recovery.Service
	Jobs         *jobs.Service
	Accounts     *auth.Service             // knows who a program is
	Store        *store.DB                 // for Idempotency-Keys
	ReportFont   func() (*pdf.Font, error) // what reports are set in; nil, or one that returns nil: Helvetica
	Clock        func() time.Time
	Ticker       func(time.Duration) (ticks <-chan time.Time, stop func()) // nil: a time.Ticker
	Log          *slog.Logger
}

func ticker(every time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(every)
	return t.C, t.Stop
}

// handler answers by the table.
type handler struct {
	Options
	table  []*route
	limits limits
}

// New returns the handler of everything below /api/.
func New(o Options) (http.Handler, error) {
	if o.Ticker == nil {
		o.Ticker = ticker
	}
	h := &handler{Options: o, limits: newLimits(o.Clock)}
	h.table = slices.Concat(
		h.organizations(), h.domains(), h.evidence(), h.people(), h.companyOrders(), h.certificates(), h.anchors(), h.deadJobs(), h.runs(), h.keyRecovery(), h.accounts(), h.changes(), h.auditLog(), h.sheets(),
		h.orders(), h.problemReports(),
	)
	text, err := document(h.table)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	page, err := browse(h.table)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	mux := http.NewServeMux()
	methods := map[string][]string{"/api/openapi.json": {"GET"}, "/api/{$}": {"GET"}}
	for _, r := range h.table {
		mux.Handle(r.pattern(), h.served(r))
		methods[r.path] = append(methods[r.path], r.method)
	}
	mux.Handle("GET /api/openapi.json", static("application/json", text))
	mux.Handle("GET /api/{$}", static("text/html; charset=utf-8", page))
	for path, list := range methods {
		sort.Strings(list)
		refused := h.rendered(onlyBy(strings.Join(list, ", ")))
		// One by one: a pattern without a method would be in the way of another path
		// that has a name where this one has a word.
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if !slices.Contains(list, method) {
				mux.Handle(method+" "+path, refused)
			}
		}
	}
	mux.Handle("/", h.rendered(func(http.ResponseWriter, *http.Request) error { return errNoSuchPage }))
	return mux, nil
}

// static serves what is the same for everybody.
func static(media string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		head := w.Header()
		head.Set("Content-Type", media)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "max-age=300")
		_, _ = w.Write(body) // whoever asked may have gone
	})
}

// onlyBy refuses every other method than those that a path has (RFC 9110
// §15.5.6).
func onlyBy(methods string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", methods)
		return errMethod
	}
}

// rendered is the one place where errors become answers.
func (h *handler) rendered(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := serve(w, r); err != nil {
			h.refuse(w, r, err)
		}
	})
}

// served answers by a route: who is it, may they, what do they ask, has it been
// answered before.
func (h *handler) served(r *route) http.Handler {
	return h.rendered(func(w http.ResponseWriter, request *http.Request) error {
		c := &call{w: w, r: request, ctx: request.Context()}
		if err := h.identify(r, c); err != nil {
			return err
		}
		if err := readBody(r, c); err != nil {
			return err
		}
		a, err := h.once(r, c)
		if err != nil {
			return err
		}
		return a.write(w)
	})
}

// identify finds out who asks, and refuses whoever may not.
func (h *handler) identify(r *route, c *call) error {
	if r.access.kind == byAnybody {
		return nil
	}
	token, err := bearer(c.r)
	if err != nil {
		return err
	}
	if r.access.kind == byOrderToken {
		c.token = token
		return nil
	}
	if c.actor, err = h.Accounts.Authenticate(c.ctx, token); err != nil {
		return err
	}
	if err := h.limits.take(c.actor.String()); err != nil {
		return err
	}
	if !r.access.admits(c.actor, c.org()) {
		return auth.ErrForbidden
	}
	return nil
}

// answer is what goes back.
type answer struct {
	status   int
	media    string
	name     string // of a file
	body     []byte
	replayed bool
}

func (a *answer) write(w http.ResponseWriter) error {
	if a.media != "" {
		w.Header().Set("Content-Type", a.media)
	}
	if a.name != "" {
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.name}))
	}
	if a.replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(a.status)
	// The status is out; whoever asked may have gone, and may ask again.
	_, _ = w.Write(a.body)
	return nil
}

// run does what a route is for.
func (h *handler) run(r *route, c *call) (*answer, error) {
	out, err := r.serve(c)
	if err != nil {
		return nil, err
	}
	a := &answer{status: r.status}
	if c.status != 0 {
		a.status = c.status
	}
	switch out := out.(type) {
	case none:
	case file:
		a.media, a.name, a.body = out.media, out.name, out.body
	default:
		a.media = "application/json"
		if a.body, err = json.Marshal(out); err != nil {
			return nil, err
		}
		a.body = append(a.body, '\n')
	}
	return a, nil
}

// bearer reads the token of RFC 6750 §2.1. Tokens in the query or the body
// (§2.2, §2.3) end up in logs and are not taken.
func bearer(r *http.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errNoToken
	}
	return token, nil
}

// readBody reads the body that a route has, and refuses one where it has none.
func readBody(r *route, c *call) error {
	types := r.media
	if r.in != nil {
		types = []string{"application/json"}
	}
	if len(types) == 0 {
		var one [1]byte
		if n, _ := io.ReadFull(c.r.Body, one[:]); n > 0 {
			return fmt.Errorf("%w: there must be no body", errJSON)
		}
		return nil
	}
	given, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, given) {
		return fmt.Errorf("%w: Content-Type must be %s", errMediaType, strings.Join(types, ", or "))
	}
	if c.body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, r.limit)); err != nil && !tooLarge(err) {
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	return err
}

func parseValues(query string) (url.Values, error) { return url.ParseQuery(query) }
