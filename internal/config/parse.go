package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Limits of the file.
const (
	MaxSize  = 256 << 10 // bytes
	maxDepth = 8
	maxItems = 1000 // keys of a mapping, items of a list
)

// Problem is one thing about the file, and what to do about it.
type Problem struct {
	Line int    // 0: the file as a whole
	Key  string // as portal.listen, "" for the file
	Text string
	Hint string
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	if p.Hint != "" {
		b.WriteString(": " + p.Hint)
	}
	return b.String()
}

// File is a file that was read.
type File struct {
	Settings Settings
	lines    map[string]int // by key
}

// Error is everything that is wrong with a file.
type Error struct{ Problems []Problem }

// Error implements error.
func (e *Error) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func failed(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{problems}
}

// Parse reads a file. The error is an *Error with every problem of its form.
func Parse(text []byte) (*File, error) {
	f := &File{lines: map[string]int{}}
	if len(text) > MaxSize {
		return nil, failed([]Problem{{Text: fmt.Sprintf("longer than %d bytes", MaxSize), Hint: "is it the right file?"}})
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, failed([]Problem{syntax(err)})
	}
	d := &decoder{lines: f.lines}
	if len(document.Content) > 0 {
		d.value(document.Content[0], reflect.ValueOf(&f.Settings).Elem(), "", 0)
	}
	if err := failed(d.problems); err != nil {
		return nil, err
	}
	f.Settings.withDefaults()
	return f, nil
}

// syntax takes the line out of the library's text.
func syntax(err error) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := Problem{Text: "not YAML: " + text, Hint: "keys and values are separated by a colon and a space, levels by two more spaces"}
	if rest, found := strings.CutPrefix(text, "line "); found {
		number, what, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			p.Line, p.Text = n, "not YAML: "+what
		}
	}
	return p
}

type decoder struct {
	lines    map[string]int
	problems []Problem
}

func (d *decoder) complain(n *yaml.Node, key, hint, format string, args ...any) {
	d.problems = append(d.problems, Problem{n.Line, key, fmt.Sprintf(format, args...), hint})
}

// value reads a node into a field.
func (d *decoder) value(n *yaml.Node, into reflect.Value, key string, depth int) {
	if _, twice := d.lines[key]; !twice {
		d.lines[key] = n.Line
	}
	switch {
	case depth > maxDepth:
		d.complain(n, key, "", "more than %d levels deep", maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.complain(n, key, "write the value out", "anchors and aliases are not read")
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null": // a key with nothing behind it: the default
	case into.Kind() == reflect.Struct && into.Addr().Type() != reflect.TypeFor[*Secret]():
		d.mapping(n, into, key, depth)
	case into.Kind() == reflect.Slice:
		d.list(n, into, key, depth)
	case n.Kind != yaml.ScalarNode:
		d.complain(n, key, "", "one value is wanted here, not a list or further keys")
	default:
		if err := scalar(n, into); err != nil {
			d.complain(n, key, "", "%s", err)
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, into reflect.Value, key string, depth int) {
	if n.Kind != yaml.MappingNode || len(n.Content) > 2*maxItems {
		d.complain(n, key, "", "keys are wanted here: %s", strings.Join(keysOf(into.Type()), ", "))
		return
	}
	known, seen := keysOf(into.Type()), map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, node := n.Content[i], n.Content[i+1]
		inner := strings.TrimPrefix(key+"."+name.Value, ".")
		at := slices.Index(known, name.Value)
		switch {
		case at < 0:
			d.complain(name, inner, suggestion(name.Value, known), "there is no such key")
		case seen[name.Value]:
			d.complain(name, inner, "remove one", "given twice")
		default:
			seen[name.Value] = true
			d.lines[inner] = name.Line
			d.value(node, into.Field(at), inner, depth+1)
		}
	}
}

func (d *decoder) list(n *yaml.Node, into reflect.Value, key string, depth int) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxItems {
		d.complain(n, key, "", "a list is wanted here, as [one, two]")
		return
	}
	list := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", key, i), depth+1)
	}
	into.Set(list)
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("yaml"))
	}
	return keys
}

func scalar(n *yaml.Node, into reflect.Value) error {
	if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return text.UnmarshalText([]byte(n.Value))
	}
	switch into.Interface().(type) {
	case string:
		into.SetString(n.Value)
	case bool:
		if n.Tag != "!!bool" {
			return fmt.Errorf("%q is neither true nor false", n.Value)
		}
		into.SetBool(n.Value == "true")
	case int:
		v, err := strconv.Atoi(n.Value)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", n.Value)
		}
		into.SetInt(int64(v))
	case time.Duration:
		v, err := time.ParseDuration(n.Value)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 20s or 5m", n.Value)
		}
		into.SetInt(int64(v))
	default:
		return errors.New("this key cannot be read") // a field of a kind that nobody taught us
	}
	return nil
}

// suggestion names the known key that is nearest to what was written.
func suggestion(written string, known []string) string {
	best, least := "", max(len(written)/2, 2)+1
	for _, key := range known {
		if far := distance(written, key); far < least {
			best, least = key, far
		}
	}
	if best == "" {
		return "known here: " + strings.Join(known, ", ")
	}
	return "did you mean " + best + "?"
}

// distance counts the letters to change, insert or remove (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
