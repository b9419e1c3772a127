package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The page at /api/: the table for people, without a script.

//go:embed browse.html
var browseText string

//go:embed browse.css
var browseStyle string

// styleHash lets the page's own style through its Content-Security-Policy.
var styleHash = func() string {
	sum := sha256.Sum256([]byte(browseStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

// group is the routes about one kind of thing.
type group struct {
	Name   string
	Routes []entry
}

// entry is a route as the page shows it.
type entry struct {
	ID, Method, Path, Summary, Who string
	Parameters, Body, Answer       []member
	Media, Files                   []string
	Status                         string
	Replayable                     bool
}

// member is a parameter or a member of an object.
type member struct {
	Name, Type, Doc string
	Required        bool
}

func browse(table []*route) ([]byte, error) {
	t, err := template.New("browse").Parse(browseText)
	if err != nil {
		return nil, err
	}
	var groups []*group
	for _, r := range table {
		i := slices.IndexFunc(groups, func(g *group) bool { return g.Name == r.tag() })
		if i < 0 {
			groups = append(groups, &group{Name: r.tag()})
			i = len(groups) - 1
		}
		groups[i].Routes = append(groups[i].Routes, describe(r))
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Style": template.CSS(browseStyle), "Groups": groups})
	return b.Bytes(), err
}

func describe(r *route) entry {
	d := entry{
		ID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Who: whoMay(r.access), Media: r.media, Files: r.file,
		Status: fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)), Replayable: r.replayable(),
	}
	if r.query != nil {
		d.Parameters = members("", r.query)
	}
	if r.in != nil {
		d.Body = members("", r.in)
	}
	if r.out != nil {
		d.Answer = members("", r.out)
	}
	return d
}

func whoMay(a access) string {
	switch {
	case a.kind == byAnybody:
		return "anybody"
	case a.kind == byOrderToken:
		return "the order's token"
	case len(a.roles) == 0:
		return "any account's token"
	}
	names := make([]string, len(a.roles))
	for i, r := range a.roles {
		names[i] = string(r)
	}
	return "a token with one of these roles: " + strings.Join(names, ", ")
}

// members lists what an object has, and what the objects in it have.
func members(at string, t reflect.Type) (list []member) {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range fields(t) {
		r := rulesOf(f)
		list = append(list, member{at + r.name, typeName(f.Type, r), r.doc, r.required})
		inner := f.Type
		suffix := "."
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			if inner.Kind() == reflect.Slice {
				suffix = "[]."
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() {
			list = append(list, members(at+r.name+suffix, inner)...)
		}
	}
	return list
}

func typeName(t reflect.Type, r rules) string {
	s := r.schema(t)
	name, _ := s["type"].(string)
	switch {
	case len(r.enum) > 0:
		return "one of " + strings.Join(r.enum, ", ")
	case s["format"] == "date-time":
		return "time (RFC 3339)"
	case s["contentEncoding"] == "base64":
		return "base64"
	case name == "array":
		return "list"
	}
	if r.max > 0 {
		return fmt.Sprintf("%s, at most %d", name, r.max)
	}
	return name
}
