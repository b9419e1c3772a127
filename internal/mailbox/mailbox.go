// Package mailbox has the one type for a mail address that the whole of
// mailseal uses. A string becomes a Mailbox once, at the door, by [Parse];
// behind it nobody looks at address strings again, so that no two rooms can
// read the same bytes as two different people.
//
// The grammar is Mailbox of RFC 5321 §4.1.2 with the UTF-8 local parts of
// RFC 6531 §3.3, narrowed on purpose: whatever mail software is known to read
// in two ways is refused. Refused are comments, white space (also inside
// quotes), control characters, quoted pairs, source routes, the percent hack
// and bang paths, address literals, trailing dots, bare IP addresses, bidi
// controls and invisible characters. What a header parser does around an
// address (display names, groups, folding, encoded words) is not done here.
//
// Domains are held as A-labels in lower case (RFC 5891); look-alike domains
// stay different, because nothing is mapped but ASCII case.
package mailbox

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of RFC 5321 §4.5.3.1, in octets. A path holds 256 with its angle
// brackets, which leaves 254 for the mailbox itself (RFC 3696, erratum 1690).
const (
	MaxLength       = 254
	MaxLocalLength  = 64
	MaxDomainLength = 253
)

// ErrSyntax is wrapped by every error of this package.
var ErrSyntax = errors.New("not a mail address")

// Mailbox is one mail address. Its zero value is no address; only [Parse]
// makes others. Compare with [Mailbox.Equal], or by [Mailbox.Key] in a map.
type Mailbox struct {
	local  string // the value of the local part, without quotes
	domain string // A-labels, lower case
}

// Parse reads exactly one mailbox, local-part@domain, and nothing around it.
// Errors wrap [ErrSyntax], say what is wrong and never repeat the input.
func Parse(s string) (Mailbox, error) {
	if len(s) > MaxLength {
		return Mailbox{}, syntax("longer than %d octets", MaxLength)
	}
	local, domain, err := split(s)
	if err != nil {
		return Mailbox{}, err
	}
	if len(local) > MaxLocalLength {
		return Mailbox{}, syntax("local part longer than %d octets", MaxLocalLength)
	}
	value, err := parseLocal(local)
	if err != nil {
		return Mailbox{}, err
	}
	d, err := ParseDomain(domain)
	if err != nil {
		return Mailbox{}, err
	}
	m := Mailbox{local: value, domain: d}
	// A U-label may grow on its way to an A-label, and quotes may be dropped:
	// the limit holds for what String gives.
	if m.length() > MaxLength {
		return Mailbox{}, syntax("longer than %d octets", MaxLength)
	}
	return m, nil
}

// ParseUnquoted is Parse for an address as people and careless software write it: dots at an end of the local part or in a row may
// stand without the quotes that RFC 5321 asks for. Japanese mobile carriers gave out such addresses (a..b@, .a@, a.@), and everybody
// reads them alike. The Mailbox is the same as that of the quoted form.
func ParseUnquoted(s string) (Mailbox, error) {
	local, domain, err := split(s)
	if err != nil || local[0] == '"' || strings.Trim(local, ".") == "" || isDotString(local) {
		return Parse(s)
	}
	for i := range len(local) {
		if local[i] != '.' && !isAtext(local[i]) {
			return Parse(s)
		}
	}
	return Parse(`"` + local + `"@` + domain)
}

// split cuts at the one at sign. Quoted at signs are legal in RFC 5321, but
// a@b@c has too many readers who cut elsewhere.
func split(s string) (local, domain string, err error) {
	local, domain, found := strings.Cut(s, "@")
	switch {
	case s == "":
		return "", "", syntax("empty")
	case !found:
		return "", "", syntax("no at sign")
	case strings.Contains(domain, "@"):
		return "", "", syntax("more than one at sign")
	case local == "":
		return "", "", syntax("empty local part")
	case domain == "":
		return "", "", syntax("empty domain")
	}
	return local, domain, nil
}

// String returns the address as it belongs in a certificate or an SMTP
// command: the local part as it was written (quoted only where it must be),
// the domain as A-labels in lower case.
func (m Mailbox) String() string {
	if m == (Mailbox{}) {
		return ""
	}
	local := m.local
	if !isDotString(local) {
		local = `"` + local + `"`
	}
	return local + "@" + m.domain
}

// length is that of String.
func (m Mailbox) length() int {
	n := len(m.local) + len("@") + len(m.domain)
	if !isDotString(m.local) {
		n += len(`""`)
	}
	return n
}

// Local returns the value of the local part: without quotes, case kept.
func (m Mailbox) Local() string { return m.local }

// Domain returns the domain as A-labels in lower case.
func (m Mailbox) Domain() string { return m.domain }

// ASCII tells whether the local part is ASCII, so that the address fits an
// rfc822Name and any mail server; otherwise it needs SmtpUTF8Mailbox (RFC
// 9598) and SMTPUTF8 (RFC 6531).
func (m Mailbox) ASCII() bool { return isASCII(m.local) }

// IsZero tells whether m is no address at all.
func (m Mailbox) IsZero() bool { return m == Mailbox{} }

// Equal compares as RFC 8550 §3 asks: the domain by its A-labels, the local
// part without regard to ASCII case. Other characters are compared exactly
// (RFC 9598 §5), tags and dots are not folded, and no address equals the zero
// Mailbox.
func (m Mailbox) Equal(o Mailbox) bool {
	return !m.IsZero() && m.domain == o.domain && lowerASCII(m.local) == lowerASCII(o.local)
}

// Key returns a string that two mailboxes share exactly when they are Equal.
// It is for maps and indexes, not for mailing.
func (m Mailbox) Key() string {
	if m.IsZero() {
		return ""
	}
	return lowerASCII(m.local) + "@" + m.domain
}

func syntax(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSyntax, fmt.Sprintf(format, args...))
}
