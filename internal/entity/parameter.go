package entity

import (
	"bytes"
	"slices"
	"strings"
)

// WithParameter returns a Content-Type or Content-Disposition field with one more parameter, on a line of its own. One of this name
// that is there already must be dropped first; see [Field.WithoutParameters]. The value must be one that a quoted-string can hold
// without a backslash.
func (f Field) WithParameter(name, value string) Field {
	raw := strings.TrimRight(string(f.Raw), " \t\r\n;")
	f.Raw = []byte(raw + ";\r\n\t" + name + "=\"" + value + "\"\r\n")
	return f
}

// WithoutParameters returns the field without the parameters of these names, in whatever form of RFC 2231 they are written. All else
// keeps its bytes. A field that cannot be parsed is returned as it is.
func (f Field) WithoutParameters(names ...string) Field {
	if bytes.IndexByte(f.Raw, ';') < 0 {
		return f
	}
	head, value, found := strings.Cut(string(f.Raw), ":")
	if !found {
		return f
	}
	s := &scanner{s: value}
	s.passType(f.Is("Content-Type"))
	var b strings.Builder
	b.WriteString(head + ":" + value[:s.i])
	dropped := false
	for !s.eof() {
		start := s.i
		name, _, ok := s.passParameter()
		if !ok {
			return f
		}
		base, _, _ := strings.Cut(name, "*")
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, base) }) {
			dropped = true
			continue
		}
		b.WriteString(value[start:s.i])
	}
	if !dropped {
		return f
	}
	f.Raw = []byte(strings.TrimRight(b.String(), " \t\r\n;") + "\r\n")
	return f
}

// ParameterValue is a value as it is written: a token as it is, all else as a quoted-string (RFC 2045 §5.1).
func ParameterValue(value string) string {
	token := value != ""
	for i := range len(value) {
		token = token && isToken(value[i])
	}
	if token {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// passType passes over the type and, with slash, the subtype, and returns them. It returns "" for what nobody is sure to read as one,
// and passes over it up to where the parameters seem to begin.
func (s *scanner) passType(slash bool) string {
	start := s.i
	typ, err := parseTypeName(s, slash)
	behind := s.i
	if err == nil && s.skip() == nil && (s.eof() || s.peek() == ';') {
		s.i = behind
		return typ
	}
	s.i = start
	s.run(func(c byte) bool { return c != ';' && c != '(' && c != '"' })
	return ""
}

// passParameter passes over a semicolon, or a comment in front of one, and over the parameter behind it. The value is as it
// stands there, but for quotes.
func (s *scanner) passParameter() (name, value string, ok bool) {
	if s.skip() != nil {
		return "", "", false
	}
	if s.eof() {
		return "", "", true
	}
	if !s.take(';') {
		return "", "", false
	}
	if s.skip() != nil {
		return "", "", false
	}
	name = s.run(isToken)
	if s.skip() != nil {
		return "", "", false
	}
	if !s.take('=') {
		return name, "", s.eof() || s.peek() == ';'
	}
	if name == "" {
		return "", "", false
	}
	if s.skip() != nil {
		return "", "", false
	}
	if s.peek() == '"' {
		value, err := s.quoted()
		return name, value, err == nil
	}
	return name, s.run(isUnquoted), true
}
