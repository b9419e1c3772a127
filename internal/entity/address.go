package entity

import (
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// MaxAddresses is the largest number of addresses in one field.
const MaxAddresses = 10_000

// Address is one address of an address list (RFC 5322 §3.4).
type Address struct {
	// Mailbox is who is meant; nothing else in an Address identifies anybody.
	Mailbox mailbox.Mailbox
	// Display is the display name, or the comment behind the address that older programs write, with encoded words decoded as
	// far as their character set is known here. It is chosen freely by the sender.
	Display string
	// Group is the name of the group that the address is a member of (RFC 5322 §3.4), usually "".
	Group string

	written string // the display name and all comments as they stand there
	raw     string // the same with every encoded word decoded to bytes
}

// Addresses parses all fields of this name as one address list: From, Sender, To, Cc. No field is no address.
// An error wraps [ErrAmbiguous] or [ErrLimit] and no address is returned with it.
func (h Header) Addresses(name string) ([]Address, error) {
	var all []Address
	for _, f := range h.Fields {
		if !f.Is(name) {
			continue
		}
		list, err := ParseAddressList(f.Value())
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		if all == nil {
			all = list
		} else if all = append(all, list...); len(all) > MaxAddresses {
			return nil, fmt.Errorf("parse %s: %w: more than %d addresses", name, ErrLimit, MaxAddresses)
		}
	}
	return all, nil
}

// NamesGroup tells whether any field of this name has the syntax of a group, which may be one of nobody: its name is shown like an
// address, and Addresses knows only of its members.
func (h Header) NamesGroup(name string) bool {
	for _, f := range h.Fields {
		if !f.Is(name) {
			continue
		}
		p := addressParser{scanner: scanner{s: f.Value()}}
		if strings.Contains(p.s, ":") && (p.parse() != nil || p.groups > 0) {
			return true
		}
	}
	return false
}

// ParseAddressList parses an unfolded field value (RFC 5322 §3.4).
//
// Taken beyond the modern grammar, because everybody reads it alike: empty list elements, dots in display names (§4.1), UTF-8
// (RFC 6532), local parts in pieces of atoms and quoted strings (§4.4), an address that is its own unquoted display name, and
// local parts with dots at an end or in a row, which Japanese mobile carriers once gave out; such an address becomes its quoted
// form.
//
// Refused, because programs are known to read it differently: comments or white space inside an address, source routes,
// addresses without angle brackets beside a display name, anything behind the closing bracket, encoded words in an address
// (RFC 2047 §5 forbids them), backslashes in an address, control characters.
func ParseAddressList(v string) ([]Address, error) {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return nil, fmt.Errorf("%w: control character %#02x in an address list", ErrAmbiguous, c)
		}
	}
	p := &addressParser{scanner: scanner{s: v}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.list, nil
}

type addressParser struct {
	scanner
	list    []Address
	group   string
	groups  int // so far, empty ones too
	inGroup bool
}

func (p *addressParser) parse() error {
	for {
		if err := p.element(); err != nil {
			return err
		}
		if p.eof() {
			break
		}
	}
	if p.inGroup {
		return fmt.Errorf("%w: a group without its end", ErrAmbiguous)
	}
	if n := len(p.list); n > 0 {
		p.list[n-1].addComments(p.comments)
	}
	return nil
}

// word is a piece of a phrase or of a local part.
type word struct {
	text    string
	quoted  bool
	escaped bool // quoted, with a backslash inside
	dot     bool // the special "."
	spaced  bool // white space or a comment stands in front of it
}

// element reads up to and with the next comma, semicolon or colon.
func (p *addressParser) element() error {
	words, err := p.words()
	if err != nil {
		return err
	}
	switch c := p.peek(); {
	case c == '<':
		return p.angle(words)
	case c == '@':
		return p.bare(words)
	case c == ':' && !p.inGroup && len(words) > 0:
		p.i++
		p.group, _ = display(words)
		p.inGroup = true
		p.groups++
		return nil
	case len(words) > 0:
		return fmt.Errorf("%w: %q is not an address", ErrAmbiguous, clip(words[0].text))
	}
	return p.separator()
}

// separator reads what ends an address.
func (p *addressParser) separator() error {
	switch {
	case p.eof(), p.take(','):
		return nil
	case p.inGroup && p.take(';'):
		p.inGroup, p.group = false, ""
		if err := p.skip(); err != nil {
			return err
		}
		if !p.eof() && p.peek() != ',' {
			return fmt.Errorf("%w: %q behind a group", ErrAmbiguous, clip(p.rest()))
		}
		return nil
	}
	return fmt.Errorf("%w: %q where an address ends", ErrAmbiguous, clip(p.rest()))
}

// words reads atoms, quoted strings and dots up to a special character.
func (p *addressParser) words() ([]word, error) {
	var words []word
	for {
		from := p.i
		if err := p.skip(); err != nil {
			return nil, err
		}
		w := word{spaced: p.i > from}
		switch c := p.peek(); {
		case p.eof():
			return words, nil
		case c == '"':
			start := p.i
			text, err := p.quoted()
			if err != nil {
				return nil, err
			}
			w.text, w.quoted, w.escaped = text, true, strings.Contains(p.s[start:p.i], `\`)
		case c == '.':
			p.i++
			w.text, w.dot = ".", true
		case isAtom(c):
			w.text = p.run(isAtom)
		default:
			if w.spaced && c == '@' {
				return nil, fmt.Errorf("%w: white space or a comment inside an address", ErrAmbiguous)
			}
			return words, nil
		}
		words = append(words, w)
	}
}

// angle reads <addr-spec> behind a display name.
func (p *addressParser) angle(name []word) error {
	m, err := p.bracketed()
	if err != nil {
		return err
	}
	d, raw := display(name)
	return p.add(Address{Mailbox: m, Display: d, written: phrase(name), raw: raw})
}

func (p *addressParser) bracketed() (mailbox.Mailbox, error) {
	p.i++
	// RFC 5322 §4.4's obsolete route and white space inside the brackets are where readers part ways.
	words, err := p.words()
	if err != nil {
		return mailbox.Mailbox{}, err
	}
	if p.peek() != '@' || len(words) == 0 || words[0].spaced {
		return mailbox.Mailbox{}, fmt.Errorf("%w: no plain address in angle brackets", ErrAmbiguous)
	}
	m, err := p.addrSpec(words)
	if err != nil {
		return mailbox.Mailbox{}, err
	}
	if !p.take('>') {
		return mailbox.Mailbox{}, fmt.Errorf("%w: an angle bracket without its end", ErrAmbiguous)
	}
	return m, nil
}

// bare reads an addr-spec without brackets. Many programs use the address as its own display name and forget the quotes, and
// whichever of the two a reader takes, it is the same; two that differ are the oldest trick there is.
func (p *addressParser) bare(words []word) error {
	m, err := p.addrSpec(words)
	if err != nil {
		return err
	}
	if err := p.skip(); err != nil {
		return err
	}
	if p.peek() == '<' {
		again, err := p.bracketed()
		if err != nil {
			return err
		}
		if !again.Equal(m) {
			return fmt.Errorf("%w: the address %s with the unquoted name %s", ErrAmbiguous, again, m)
		}
	}
	return p.add(Address{Mailbox: m})
}

// add finishes an address with the comment that may follow it.
func (p *addressParser) add(a Address) error {
	if err := p.skip(); err != nil {
		return err
	}
	a.addComments(p.comments)
	p.comments = nil
	a.Group = p.group
	if p.list = append(p.list, a); len(p.list) > MaxAddresses {
		return fmt.Errorf("%w: more than %d addresses", ErrLimit, MaxAddresses)
	}
	return p.separator()
}

func (a *Address) addComments(comments []string) {
	for _, c := range comments {
		shown, raw := display([]word{{text: c}})
		if a.Display == "" {
			a.Display = shown
		}
		a.written += " " + c
		a.raw += " " + raw
	}
}

// addrSpec joins the words of a local part and reads the domain behind the at sign.
func (p *addressParser) addrSpec(words []word) (mailbox.Mailbox, error) {
	local, err := localPart(words)
	if err != nil {
		return mailbox.Mailbox{}, err
	}
	p.i++ // the at sign
	domain := p.run(func(c byte) bool { return isAtom(c) || c == '.' })
	m, err := mailbox.Parse(local + "@" + domain)
	if err != nil {
		return mailbox.Mailbox{}, fmt.Errorf("%w: %w", ErrAmbiguous, err)
	}
	return m, nil
}

// localPart joins dot-atoms and quoted strings. What needs quotes gets them; mailbox.Parse decides whether it may stand there.
func localPart(words []word) (string, error) {
	var b strings.Builder
	quote := false
	for i, w := range words {
		switch {
		case i > 0 && w.spaced:
			return "", fmt.Errorf("%w: white space or a comment inside an address", ErrAmbiguous)
		case i > 0 && !w.dot && !words[i-1].dot:
			return "", fmt.Errorf("%w: a quoted string beside an atom in an address", ErrAmbiguous)
		case strings.Contains(w.text, "=?"):
			return "", fmt.Errorf("%w: an encoded word in an address", ErrAmbiguous)
		case w.escaped: // not everybody takes the backslash away
			return "", fmt.Errorf("%w: a backslash in an address", ErrAmbiguous)
		}
		// A dot at an end or beside another one has no unquoted form.
		oddDot := w.dot && (i == 0 || i == len(words)-1 || words[i-1].dot)
		quote = quote || w.quoted || oddDot
		b.WriteString(w.text)
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("%w: an address without a local part", ErrAmbiguous)
	}
	if quote {
		return `"` + b.String() + `"`, nil
	}
	return b.String(), nil
}

// phrase joins the words of a phrase as they stand there.
func phrase(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 && w.spaced {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	return b.String()
}

// display gives a phrase for people, and with every encoded word as bytes.
func display(words []word) (shown, raw string) {
	written := phrase(words)
	if !strings.Contains(written, "=?") { // no encoded words
		return strings.ToValidUTF8(written, string(utf8.RuneError)), written
	}
	known := mime.WordDecoder{}
	asBytes := mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}
	raw, err := asBytes.DecodeHeader(written)
	if err != nil {
		raw = written
	}
	shown, err = known.DecodeHeader(written)
	if err != nil {
		shown = written
	}
	return strings.ToValidUTF8(shown, string(utf8.RuneError)), raw
}

// DisplayedAddresses returns the addresses that the display name or a comment pretends to be or to contain. Mail programs that show
// only the name make a reader believe them. decode turns a field's value with encoded words into text, in more character sets than
// this package knows; nil does without.
func (a Address) DisplayedAddresses(decode func(string) string) []mailbox.Mailbox {
	if a.written == "" {
		return nil
	}
	texts := []string{a.Display, a.raw, strings.ReplaceAll(a.raw, "\x00", "")} // UTF-16 has NULs between its letters
	if decode != nil {
		texts = append(texts, decode(a.written))
	}
	var found []mailbox.Mailbox
	for _, text := range texts {
		for _, piece := range strings.FieldsFunc(strings.Map(narrow, text), isAddressBreak) {
			m, err := mailbox.Parse(strings.Trim(piece, "."))
			if err == nil && !containsMailbox(found, m) {
				found = append(found, m)
			}
		}
	}
	return found
}

// narrow folds the forms that Asian keyboards give to ASCII signs, which fool the eye as well as the plain ones.
func narrow(r rune) rune {
	switch {
	case r >= 0xff01 && r <= 0xff5e:
		return r - 0xff01 + '!'
	case r == 0xfe6b:
		return '@'
	case r == 0x3002, r == 0xff61, r == 0xfe52:
		return '.'
	case r == 0x00ad, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2069, r == 0xfeff:
		return -1 // not seen at all
	}
	return r
}

func isAddressBreak(r rune) bool {
	return unicode.IsSpace(r) || r < ' ' || strings.ContainsRune("<>()[]{}|\"',;:\\", r)
}

func containsMailbox(list []mailbox.Mailbox, m mailbox.Mailbox) bool {
	for _, o := range list {
		if o.Equal(m) {
			return true
		}
	}
	return false
}
