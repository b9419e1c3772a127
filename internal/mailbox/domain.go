package mailbox

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// registration is RFC 5891 §4 without any mapping: a label is either valid as
// it stands or refused, so that two spellings of a domain are never one by the
// grace of a table. Symbols, which IDNA2008 leaves out and registries of some
// countries sell, are taken.
var registration = idna.New(
	idna.ValidateForRegistration(),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.BidiRule(),
)

// ParseDomain reads a host name of RFC 5321 §4.1.2 and returns it as A-labels
// in lower case. U-labels are taken, address literals, trailing dots, empty
// labels, underscores and names that end in a number are not.
func ParseDomain(s string) (string, error) {
	if len(s) > 4*MaxDomainLength { // a U-label has at most four octets for each of its A-label's
		return "", syntax("domain longer than %d octets", MaxDomainLength)
	}
	if strings.HasPrefix(s, "[") {
		return "", syntax("address literals are not taken, name a domain")
	}
	var room [8]string
	labels, same := room[:0], true
	for l := range strings.SplitSeq(s, ".") {
		a, err := parseLabel(l)
		if err != nil {
			return "", err
		}
		labels, same = append(labels, a), same && a == l
	}
	if isNumeric(labels[len(labels)-1]) {
		return "", syntax("the domain ends in a number, as an IP address does")
	}
	d := s
	if !same {
		d = strings.Join(labels, ".")
	}
	if len(d) > MaxDomainLength {
		return "", syntax("domain longer than %d octets", MaxDomainLength)
	}
	return d, nil
}

// parseLabel returns one label as an A-label or NR-LDH label in lower case.
func parseLabel(s string) (string, error) {
	if s == "" {
		return "", syntax("empty label in the domain: a dot at an end or two in a row")
	}
	l := lowerASCII(s)
	if !isASCII(l) {
		a, err := registration.ToASCII(l)
		if err != nil || !strings.HasPrefix(a, "xn--") {
			return "", syntax("domain label is not a valid U-label")
		}
		l = a
	}
	if len(l) > 63 {
		return "", syntax("domain label longer than 63 octets")
	}
	if !isLDH(l) {
		return "", syntax("domain label may have only letters, digits and inner hyphens")
	}
	if strings.HasPrefix(l, "xn--") {
		return l, checkALabel(l)
	}
	return l, nil
}

// checkALabel refuses labels that look like A-labels and are none: those that
// do not decode, decode to ASCII, or come back as another label.
func checkALabel(l string) error {
	u, err := registration.ToUnicode(l)
	if err != nil || isASCII(u) {
		return syntax("domain label starts with xn-- and is no A-label")
	}
	if back, err := registration.ToASCII(u); err != nil || back != l {
		return syntax("domain label starts with xn-- and is no A-label")
	}
	for _, r := range u {
		// The joiners were allowed in their context only (RFC 5892 §A.1, §A.2).
		if r >= utf8.RuneSelf && r != 0x200c && r != 0x200d && !isVisible(r) {
			return syntax("invisible character %U in a domain label", r)
		}
	}
	return nil
}

func isLDH(l string) bool {
	for i := 0; i < len(l); i++ {
		if !isAlnum(l[i]) && l[i] != '-' {
			return false
		}
	}
	return l[0] != '-' && l[len(l)-1] != '-'
}

func isNumeric(l string) bool {
	for i := 0; i < len(l); i++ {
		if l[i] < '0' || l[i] > '9' {
			return false
		}
	}
	return true
}
