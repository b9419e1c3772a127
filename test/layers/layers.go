// Package layers holds the map of rooms: which package of the module may import
// which, and what the library that others import may link.
//
// The map is text, in the manner of go/build's deps_test.go, so that a change of
// direction shows up in a review as a changed line with a reason.
package layers

import (
	"fmt"
	"slices"
	"strings"
)

// Package is what the check needs to know of one package; the fields are those
// of `go list -json`.
type Package struct {
	ImportPath string
	Standard   bool
	Imports    []string // named in its files, tests left out
	Deps       []string // everything it links, transitively
}

// Map is the parsed form of the text of rooms and rules.
type Map struct {
	module string
	line   map[string]int    // room -> line, low to high
	reason map[string]string // room -> what lives there
	public []string          // rooms that are the library
}

// Parse reads the map. Rooms on one line (a paragraph of the text) may not import
// each other; a room may import any room of an earlier paragraph. A star before
// the path marks a public package. Everything after the path is the reason for
// its place and is required.
func Parse(module, text string) (*Map, error) {
	m := &Map{module: module, line: map[string]int{}, reason: map[string]string{}}
	line := 1
	for row := range strings.Lines(text) {
		row = strings.TrimSpace(row)
		if row == "" {
			line++
			continue
		}
		room, reason, _ := strings.Cut(row, " ")
		room, public := strings.CutPrefix(room, "*")
		reason = strings.TrimSpace(reason)
		if reason == "" {
			return nil, fmt.Errorf("room %s: no reason for its place", room)
		}
		if _, twice := m.line[room]; twice {
			return nil, fmt.Errorf("room %s: named twice", room)
		}
		m.line[room], m.reason[room] = line, reason
		if public {
			m.public = append(m.public, room)
		}
	}
	return m, nil
}

// Rule forbids the library to link something, with the reason.
type Rule struct {
	Path   string // of a package; with /... at its end, also of all below it
	Reason string
}

// Limits are the rules for the public packages.
type Limits struct {
	Allowed   []string // prefixes of import paths outside the module and the standard library
	Forbidden []Rule   // packages that no public package links, not even indirectly
	Unnamed   []Rule   // packages that no public package imports itself
	Excepted  map[string][]string
	TestOnly  []string // rooms that only tests import
}

// Check returns one sentence for each import that turns back or reaches too far.
func (m *Map) Check(packages []Package, l *Limits) []string {
	var wrong []string
	byPath := map[string]*Package{}
	for i := range packages {
		byPath[packages[i].ImportPath] = &packages[i]
	}
	for i := range packages {
		p := &packages[i]
		own, ours := m.relative(p.ImportPath)
		if !ours {
			continue
		}
		room := m.room(own)
		if room == "" {
			wrong = append(wrong, fmt.Sprintf("%s is in no room: add it to the map with a reason", own))
			continue
		}
		wrong = append(wrong, m.direction(p, room, l)...)
		if slices.Contains(m.public, room) {
			wrong = append(wrong, m.library(p, own, byPath, l)...)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// direction reports the imports of p that do not go down.
func (m *Map) direction(p *Package, room string, l *Limits) []string {
	var wrong []string
	for _, path := range p.Imports {
		target, ours := m.relative(path)
		if !ours {
			continue
		}
		to := m.room(target)
		switch {
		case to == room || to == "":
		case slices.Contains(l.TestOnly, to):
			wrong = append(wrong, fmt.Sprintf("%s imports %s, which only tests may", room, target))
		case m.line[to] >= m.line[room]:
			wrong = append(wrong, fmt.Sprintf("%s (line %d: %s) imports %s (line %d: %s): imports go down only",
				room, m.line[room], m.reason[room], target, m.line[to], m.reason[to]))
		}
	}
	return wrong
}

// library reports what a public package links or names and should not.
func (m *Map) library(p *Package, own string, byPath map[string]*Package, l *Limits) []string {
	var wrong []string
	for _, dep := range p.Deps {
		if _, ours := m.relative(dep); ours {
			continue
		}
		if r, hit := find(l.Forbidden, dep); hit {
			wrong = append(wrong, fmt.Sprintf("%s links %s: %s", own, dep, r))
		}
		if d := byPath[dep]; (d == nil || !d.Standard) && !hasPrefix(l.Allowed, dep) {
			wrong = append(wrong, fmt.Sprintf("%s links %s: the library stands on the standard library and %s alone",
				own, dep, strings.Join(l.Allowed, ", ")))
		}
	}
	for _, path := range p.Imports {
		if r, hit := find(l.Unnamed, path); hit && !slices.Contains(l.Excepted[own], path) {
			wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", own, path, r))
		}
	}
	return wrong
}

// relative strips the module's path; ours is false for everyone else's packages.
func (m *Map) relative(path string) (own string, ours bool) {
	if path == m.module {
		return ".", true
	}
	return strings.CutPrefix(path, m.module+"/")
}

// room finds the deepest room that holds the package, so that a folder below a
// room belongs to it unless the map names that folder itself.
func (m *Map) room(own string) string {
	for path := own; path != "."; {
		if _, named := m.line[path]; named {
			return path
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return ""
		}
		path = path[:i]
	}
	return ""
}

func find(rules []Rule, path string) (reason string, hit bool) {
	for _, r := range rules {
		root, below := strings.CutSuffix(r.Path, "/...")
		if path == root || below && strings.HasPrefix(path, root+"/") {
			return r.Reason, true
		}
	}
	return "", false
}

func hasPrefix(prefixes []string, path string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return path == p || strings.HasPrefix(path, p+"/")
	})
}
