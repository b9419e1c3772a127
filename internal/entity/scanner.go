package entity

import (
	"fmt"
	"strings"
)

// maxComment is how deep comments may be nested.
const maxComment = 16

// scanner reads the lexical tokens that RFC 5322 §3.2 and RFC 2045 §5.1 share from an unfolded field value.
type scanner struct {
	s        string
	i        int
	comments []string // those passed over
}

func (s *scanner) eof() bool { return s.i >= len(s.s) }

func (s *scanner) peek() byte {
	if s.eof() {
		return 0
	}
	return s.s[s.i]
}

// take consumes c if it is next.
func (s *scanner) take(c byte) bool {
	if !s.eof() && s.s[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) rest() string { return s.s[s.i:] }

// skip passes over white space and comments (CFWS, RFC 5322 §3.2.2).
func (s *scanner) skip() error {
	for !s.eof() {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.i++
		case '(':
			if err := s.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (s *scanner) comment() error {
	start := s.i
	for depth := 0; !s.eof(); s.i++ {
		switch s.peek() {
		case '(':
			if depth++; depth > maxComment {
				return fmt.Errorf("%w: comments nested deeper than %d", ErrLimit, maxComment)
			}
		case '\\':
			s.i++
		case ')':
			if depth--; depth == 0 {
				s.comments = append(s.comments, s.s[start+1:s.i])
				s.i++
				return nil
			}
		}
	}
	return fmt.Errorf("%w: a comment without its end", ErrAmbiguous)
}

// quoted reads a quoted-string (RFC 5322 §3.2.4) and returns what it stands for.
func (s *scanner) quoted() (string, error) {
	s.i++
	if end := strings.IndexAny(s.rest(), `"\\`); end >= 0 && s.s[s.i+end] == '"' { // nothing to take out
		text := s.s[s.i : s.i+end]
		s.i += end + 1
		return text, nil
	}
	var b strings.Builder
	for ; !s.eof(); s.i++ {
		switch c := s.peek(); c {
		case '"':
			s.i++
			return b.String(), nil
		case '\\':
			if s.i++; s.eof() {
				break
			}
			b.WriteByte(s.peek())
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("%w: a quoted string without its end", ErrAmbiguous)
}

// run reads bytes as long as ok says so.
func (s *scanner) run(ok func(byte) bool) string {
	start := s.i
	for !s.eof() && ok(s.s[s.i]) {
		s.i++
	}
	return s.s[start:s.i]
}

// isToken is RFC 2045 §5.1's token character.
func isToken(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=':
		return false
	}
	return c > ' ' && c < 0x7f
}

// isAtom is RFC 5322 §3.2.3's atext, with the UTF-8 of RFC 6532 §3.2.
func isAtom(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '.', '"':
		return false
	}
	return c > ' ' && c != 0x7f
}
