package api

import (
	"context"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/internal/auth"
)

// route is one line of the table that serves and that the OpenAPI document is
// written from.
type route struct {
	method  string
	path    string // with {names}
	id      string // operationId
	summary string
	access  access

	query  reflect.Type // of the parameters in the query; nil: none
	in     reflect.Type // of the JSON object in the body; nil: none
	media  []string     // of a body that is no JSON
	limit  int64        // octets of the body
	status int          // of a success
	out    reflect.Type // of the JSON answer; nil: there is none, or a file
	file   []string     // media types of an answer that is no JSON
	partly bool         // a part may wait for a second member: 202
	secret bool         // the answer holds what is shown once, and is kept nowhere

	serve func(*call) (any, error)
}

// access says who may use a route. The functions behind it look again: the door
// refuses at once whoever has none of the roles.
type access struct {
	kind  accessKind
	roles []auth.Role
}

type accessKind int

const (
	byAnybody    accessKind = iota
	byOrderToken            // whoever has the order's own token
	byToken                 // a token of an account
)

// anybody needs no token, whoever has an order's token needs that one.
var (
	anybody    = access{kind: byAnybody}
	orderToken = access{kind: byOrderToken}
	anyAccount = access{kind: byToken}
)

// for these roles: of the organization in the path where there is one and the
// role is of one, of the whole installation otherwise.
func roles(list ...auth.Role) access { return access{byToken, list} }

// admits tells whether an actor has one of the roles.
func (a access) admits(actor auth.Actor, organization string) bool {
	if len(a.roles) == 0 {
		return true
	}
	return slices.ContainsFunc(a.roles, func(r auth.Role) bool {
		switch scoped := r.OfOrganization() || r == auth.Reader; {
		case scoped && organization == "":
			return slices.ContainsFunc(actor.Grants, func(g auth.Grant) bool { return g.Role == r })
		case scoped:
			return actor.Has(r, organization)
		}
		return actor.Has(r, "")
	})
}

// call is one request on its way through a route.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context
	actor  auth.Actor
	token  string // of the order, where that is what opens it
	body   []byte
	status int // in the place of the route's, unless 0
}

func (c *call) path(name string) string { return c.r.PathValue(name) }

// org is the organization in the path.
func (c *call) org() string { return c.path("organization") }

// none is an input or output that there is not.
type none struct{}

// file is an answer that is no JSON.
type file struct {
	media string
	name  string
	body  []byte
}

// get makes a route that looks and changes nothing; Q are its parameters.
func get[Q, Out any](path, id, summary string, a access, serve func(*call, Q) (Out, error)) *route {
	r := described[Out](http.MethodGet, path, id, summary, a)
	r.query = typeOf[Q]()
	r.serve = func(c *call) (any, error) {
		var q Q
		if err := readQuery(c.r, &q); err != nil {
			return nil, err
		}
		return serve(c, q)
	}
	return r
}

// act makes a route that changes something; In is the JSON object in its body.
func act[In, Out any](method, path, id, summary string, a access, serve func(*call, In) (Out, error)) *route {
	r := described[Out](method, path, id, summary, a)
	r.in = typeOf[In]()
	r.serve = func(c *call) (any, error) {
		var in In
		if err := noQuery(c.r); err != nil {
			return nil, err
		}
		if r.in != nil {
			if err := decode(c.body, &in); err != nil {
				return nil, err
			}
		}
		return serve(c, in)
	}
	return r
}

// post makes a route whose body is a JSON object and that answers 201 Created.
func post[In, Out any](path, id, summary string, a access, serve func(*call, In) (Out, error)) *route {
	return act(http.MethodPost, path, id, summary, a, serve).answers(http.StatusCreated)
}

// do makes a route whose body is a JSON object and that answers 200.
func do[In, Out any](path, id, summary string, a access, serve func(*call, In) (Out, error)) *route {
	return act(http.MethodPost, path, id, summary, a, serve)
}

// upload makes a route whose body is a file of one of the media types; Q are its
// parameters.
func upload[Q, Out any](path, id, summary string, a access, limit int64, media []string, serve func(*call, Q) (Out, error)) *route {
	r := described[Out](http.MethodPost, path, id, summary, a)
	r.query, r.media, r.limit = typeOf[Q](), media, limit
	r.serve = func(c *call) (any, error) {
		var q Q
		if err := readQuery(c.r, &q); err != nil {
			return nil, err
		}
		return serve(c, q)
	}
	return r
}

func described[Out any](method, path, id, summary string, a access) *route {
	r := &route{method: method, path: path, id: id, summary: summary, access: a, out: typeOf[Out](), status: http.StatusOK, limit: maxJSON}
	if r.out == reflect.TypeFor[file]() {
		r.out, r.file = nil, []string{"application/octet-stream"}
	} else if r.out == nil {
		r.status = http.StatusNoContent
	}
	return r
}

// answers sets the status of a success, files the media types of the answer.
func (r *route) answers(status int) *route { r.status = status; return r }

func (r *route) files(media ...string) *route { r.file = media; return r }

// partlyWaits says that a part may wait for a second member.
func (r *route) partlyWaits() *route { r.partly = true; return r }

// shownOnce says that the answer must not be kept.
func (r *route) shownOnce() *route { r.secret = true; return r }

// upTo bounds a JSON body that holds more than a form.
func (r *route) upTo(limit int64) *route { r.limit = limit; return r }

// typeOf is nil for none.
func typeOf[T any]() reflect.Type {
	if t := reflect.TypeFor[T](); t != reflect.TypeFor[none]() {
		return t
	}
	return nil
}

var pathName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{([a-z_]+)\}`) })

// names lists what stands in braces in the path.
func (r *route) names() (names []string) {
	for _, m := range pathName().FindAllStringSubmatch(r.path, -1) {
		names = append(names, m[1])
	}
	return names
}

// replayable tells whether an Idempotency-Key means anything here.
func (r *route) replayable() bool {
	return r.method == http.MethodPost && r.access.kind == byToken
}

// pattern is that of http.ServeMux.
func (r *route) pattern() string { return r.method + " " + r.path }

// tag is what the browsable page and the document group routes by.
func (r *route) tag() string {
	parts := strings.Split(strings.TrimPrefix(r.path, "/api/v1/"), "/")
	if parts[0] == "organizations" && len(parts) > 2 {
		return parts[2]
	}
	return parts[0]
}
