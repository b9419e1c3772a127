package entity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxParameters is the largest number of parameters of one Content-Type or Content-Disposition.
const MaxParameters = 64

// MediaType is a parsed Content-Type (RFC 2045 §5.1) or Content-Disposition (RFC 2183).
type MediaType struct {
	// Type in lower case: "multipart/signed", or "attachment" of a Content-Disposition.
	Type string

	params []parameter
}

// parameter has its name in lower case.
type parameter struct{ name, value string }

// Parameter returns the value of a parameter, "" if it is absent. The name is in lower case.
func (m MediaType) Parameter(name string) string {
	v, _ := find(m.params, name)
	return v
}

func find(list []parameter, name string) (value string, found bool) {
	for _, p := range list {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// IsMultipart tells whether the body has parts.
func (m MediaType) IsMultipart() bool { return strings.HasPrefix(m.Type, "multipart/") }

// ContentType parses the Content-Type field; text/plain if there is none (RFC 2045 §5.2).
// An error wraps [ErrAmbiguous] or [ErrLimit]: several fields, a parameter given twice, or no syntax that everybody reads alike.
func (h Header) ContentType() (MediaType, error) {
	v, err := h.Only("Content-Type")
	if err != nil {
		return MediaType{}, err
	}
	if v == "" && !h.Has("Content-Type") {
		return MediaType{Type: "text/plain"}, nil
	}
	m, err := parseMediaType(v, true)
	if err != nil {
		return MediaType{}, fmt.Errorf("parse Content-Type: %w", err)
	}
	return m, nil
}

// Disposition parses the Content-Disposition field; the zero MediaType if there is none.
func (h Header) Disposition() (MediaType, error) {
	v, err := h.Only("Content-Disposition")
	if err != nil || v == "" {
		return MediaType{}, err
	}
	m, err := parseMediaType(v, false)
	if err != nil {
		return MediaType{}, fmt.Errorf("parse Content-Disposition: %w", err)
	}
	return m, nil
}

func parseMediaType(v string, slash bool) (MediaType, error) {
	s := &scanner{s: v}
	typ, err := parseTypeName(s, slash)
	if err != nil {
		return MediaType{}, err
	}
	var set parameterSet
	for {
		if err := s.skip(); err != nil {
			return MediaType{}, err
		}
		if s.eof() {
			break
		}
		if !s.take(';') {
			return MediaType{}, fmt.Errorf("%w: %q where a semicolon belongs", ErrAmbiguous, clip(s.rest()))
		}
		if err := parseParameter(s, &set); err != nil {
			return MediaType{}, err
		}
	}
	params, err := set.join()
	return MediaType{typ, params}, err
}

func parseTypeName(s *scanner, slash bool) (string, error) {
	if err := s.skip(); err != nil {
		return "", err
	}
	start := s.i
	typ := s.run(isToken)
	if slash {
		if err := s.skip(); err != nil {
			return "", err
		}
		if !s.take('/') {
			return "", fmt.Errorf("%w: no type and subtype in %q", ErrAmbiguous, clip(s.s))
		}
		if err := s.skip(); err != nil {
			return "", err
		}
		sub := s.run(isToken)
		if sub == "" {
			return "", fmt.Errorf("%w: no subtype in %q", ErrAmbiguous, clip(s.s))
		}
		if whole := s.s[start:s.i]; len(whole) == len(typ)+1+len(sub) {
			typ = whole // nothing stands in between
		} else {
			typ += "/" + sub
		}
	}
	if typ == "" || typ[0] == '/' {
		return "", fmt.Errorf("%w: no type in %q", ErrAmbiguous, clip(s.s))
	}
	return strings.ToLower(typ), nil
}

// parseParameter reads what follows a semicolon, perhaps nothing: many programs end the field with one.
func parseParameter(s *scanner, set *parameterSet) error {
	if err := s.skip(); err != nil {
		return err
	}
	if s.eof() || s.peek() == ';' {
		return nil
	}
	name := strings.ToLower(s.run(isToken))
	if err := s.skip(); err != nil {
		return err
	}
	if name == "" || !s.take('=') {
		return fmt.Errorf("%w: %q where a parameter belongs", ErrAmbiguous, clip(s.rest()))
	}
	if err := s.skip(); err != nil {
		return err
	}
	if s.peek() == '"' {
		v, err := s.quoted()
		if err != nil {
			return err
		}
		return set.add(name, v)
	}
	// Unquoted values with a slash or an equals sign (protocol=application/pkcs7-signature) are wrong and common.
	v := s.run(isUnquoted)
	if v == "" {
		return fmt.Errorf("%w: parameter %s has no value", ErrAmbiguous, clip(name))
	}
	return set.add(name, v)
}

func isUnquoted(c byte) bool { return c > ' ' && c != ';' && c != '"' && c != '(' && c != 0x7f }

// parameterSet gathers parameters with the continuations and character sets of RFC 2231.
type parameterSet struct {
	n        int
	plain    []parameter
	extended map[string]map[int]segment
}

type segment struct {
	value   string
	encoded bool
}

func (p *parameterSet) add(name, value string) error {
	if p.n++; p.n > MaxParameters {
		return fmt.Errorf("%w: more than %d parameters", ErrLimit, MaxParameters)
	}
	base, suffix, star := strings.Cut(name, "*")
	if !star {
		if _, twice := find(p.plain, name); twice {
			return fmt.Errorf("%w: parameter %s given twice", ErrAmbiguous, clip(name))
		}
		if p.plain == nil {
			p.plain = make([]parameter, 0, 4)
		}
		p.plain = append(p.plain, parameter{name, value})
		return nil
	}
	index, encoded, err := parseSuffix(suffix)
	if err != nil {
		return err
	}
	if _, twice := p.extended[base][index]; twice {
		return fmt.Errorf("%w: parameter %s given twice", ErrAmbiguous, clip(name))
	}
	if p.extended == nil {
		p.extended = map[string]map[int]segment{}
	}
	if p.extended[base] == nil {
		p.extended[base] = map[int]segment{}
	}
	p.extended[base][index] = segment{value, encoded}
	return nil
}

// parseSuffix reads what follows the first asterisk of a name: "" (name*), "0" (name*0) or "0*" (name*0*).
func parseSuffix(suffix string) (index int, encoded bool, err error) {
	if suffix == "" {
		return 0, true, nil
	}
	digits, star := strings.CutSuffix(suffix, "*")
	n, err := strconv.ParseUint(digits, 10, 8)
	if err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, false, fmt.Errorf("%w: parameter section %q", ErrAmbiguous, clip(suffix))
	}
	return int(n), star, nil
}

func (p *parameterSet) join() ([]parameter, error) {
	for name, segments := range p.extended {
		// RFC 6266 §4.3's habit of a plain name for old readers beside an extended one is known for file names only.
		_, both := find(p.plain, name)
		if both && name != "filename" && name != "name" {
			return nil, fmt.Errorf("%w: parameter %s given twice", ErrAmbiguous, clip(name))
		}
		v, err := joinSegments(segments)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", clip(name), err)
		}
		if both {
			p.plain = slices.DeleteFunc(p.plain, func(o parameter) bool { return o.name == name })
		}
		p.plain = append(p.plain, parameter{name, v})
	}
	return p.plain, nil
}

func joinSegments(segments map[int]segment) (string, error) {
	var b strings.Builder
	for i := range len(segments) {
		seg, ok := segments[i]
		if !ok {
			return "", fmt.Errorf("%w: section %d is missing", ErrAmbiguous, i)
		}
		v := seg.value
		if seg.encoded {
			if i == 0 {
				// RFC 2231 §4: charset'language'text. The characters stay bytes: only file names are written like this.
				parts := strings.SplitN(v, "'", 3)
				if len(parts) != 3 {
					return "", fmt.Errorf("%w: no character set in %q", ErrAmbiguous, clip(v))
				}
				v = parts[2]
			}
			var err error
			if v, err = unpercent(v); err != nil {
				return "", err
			}
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func unpercent(v string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] != '%' {
			b.WriteByte(v[i])
			continue
		}
		if i+2 >= len(v) {
			return "", fmt.Errorf("%w: percent encoding %q", ErrAmbiguous, clip(v))
		}
		n, err := strconv.ParseUint(v[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%w: percent encoding %q", ErrAmbiguous, clip(v))
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), nil
}

// Encoding is a Content-Transfer-Encoding (RFC 2045 §6).
type Encoding string

// The encodings of RFC 2045 §6.1.
const (
	SevenBit        Encoding = "7bit"
	EightBit        Encoding = "8bit"
	Binary          Encoding = "binary"
	Base64          Encoding = "base64"
	QuotedPrintable Encoding = "quoted-printable"
)

// TransferEncoding parses the Content-Transfer-Encoding field; [SevenBit] if there is none (RFC 2045 §6.1).
func (h Header) TransferEncoding() (Encoding, error) {
	v, err := h.Only("Content-Transfer-Encoding")
	if err != nil {
		return "", err
	}
	if v == "" {
		return SevenBit, nil
	}
	s := &scanner{s: v}
	if err := s.skip(); err != nil {
		return "", err
	}
	e := Encoding(strings.ToLower(s.run(isToken)))
	if err := s.skip(); err != nil {
		return "", err
	}
	// "base64;" is written by some old programs.
	if s.take(';'); !s.eof() {
		return "", fmt.Errorf("%w: Content-Transfer-Encoding %q", ErrAmbiguous, clip(v))
	}
	switch e {
	case SevenBit, EightBit, Binary, Base64, QuotedPrintable:
		return e, nil
	}
	return "", fmt.Errorf("%w: Content-Transfer-Encoding %q is not known", ErrAmbiguous, clip(v))
}

// Identity tells whether the encoding leaves the bytes as they are.
func (e Encoding) Identity() bool { return e == SevenBit || e == EightBit || e == Binary }

// clip shortens hostile input for an error text.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
