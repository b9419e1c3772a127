package portal

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// handler is a page; what it returns as an error becomes a page too, in serve.
type handler func(w http.ResponseWriter, r *http.Request) error

// view is what a template sees.
type view struct {
	Page  string // its name; "<page>.title" is its title
	Path  string // where the language switch comes back to
	Dev   bool
	Mail  bool  // /dev/mail is there
	Admin bool  // the page belongs to the administrator
	Desk  *desk // nil where nobody is signed in
	Now   time.Time
	Data  any
}

// administration are the pages of the administrator.
var administration = []string{"overview", "signin", "claim", "reports", "revoke", "certificate", "second", "accept"}

// steps are the pages of the way to a certificate, in their order.
var steps = []string{"apply", "code", "key", "install"}

// Step is the page if it is one of the steps, or "".
func (v view) Step() string {
	if slices.Contains(steps, v.Page) {
		return v.Page
	}
	return ""
}

// before tells whether step a comes before step b.
func before(a, b string) bool { return slices.Index(steps, a) < slices.Index(steps, b) }

func (p *portal) serve(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p.serveProblem(w, r, err)
		}
	})
}

// render writes a page. It is composed first, so that a failing template
// becomes an error page and not half a page.
func (p *portal) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	t := p.tongueOf(r)
	template, ok := t.pages[page]
	if !ok {
		return fmt.Errorf("no page %q", page)
	}
	v := view{
		Page: page, Path: pathOf(r), Dev: p.Dev, Mail: p.Mail != nil, Now: p.Now(), Data: data,
		Admin: slices.Contains(administration, page), Desk: deskOf(r.Context(), placeIn(page, data)),
	}
	var b bytes.Buffer
	if err := template.ExecuteTemplate(&b, "layout.html", v); err != nil {
		return fmt.Errorf("render page %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", t.tag)
	w.Header().Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	if err != nil {
		p.Log.Debug("page not delivered", "page", page, "error", err)
	}
	return nil
}

// placeIn is where a page stands in the navigation: at its name, unless its data
// say otherwise.
func placeIn(page string, data any) string {
	if d, ok := data.(interface{ Place() string }); ok {
		return d.Place()
	}
	return page
}

// pathOf is where the language switch returns to. A page that answers a POST
// has the path of the form that it shows again.
func pathOf(r *http.Request) string {
	if r.URL.RawQuery == "" || r.Method != http.MethodGet {
		return r.URL.Path
	}
	return r.URL.Path + "?" + r.URL.RawQuery
}
