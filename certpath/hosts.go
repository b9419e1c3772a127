package certpath

import (
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"strings"

	"github.com/mailseal/mailseal/cert"
)

// host reads a DNS name in the preferred form with what names in the wild have
// beside it: underscores, and a wildcard as the whole first label.
func host(s string) (string, bool) {
	if s == "" || len(s) > 253 {
		return "", false
	}
	b := []byte(s)
	label := 0
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = -1
		case c == '*':
			if i != 0 || len(s) < 3 || s[1] != '.' {
				return "", false
			}
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
		if label++; label > 63 {
			return "", false
		}
	}
	return string(b), label > 0
}

// dnsWithin: a subtree is a domain and everything below it. A leading dot, which
// the standard has for other forms and not here, is read in two ways by those
// who read it, with the domain itself and without.
func dnsWithin(name, base string) answer {
	n, ok := host(name)
	if !ok {
		return unclear
	}
	if base == "" {
		return inside
	}
	b, ok := host(base)
	if !ok || strings.HasPrefix(b, "*") {
		return unclear
	}
	if rest, wild := strings.CutPrefix(n, "*."); wild {
		switch {
		case rest == b || strings.HasSuffix(rest, "."+b):
			return inside // all that the wildcard stands for
		case strings.HasSuffix(b, "."+rest):
			return unclear // some of it
		}
		return outside
	}
	return is(n == b || strings.HasSuffix(n, "."+b))
}

// uriWithin: the constraint is on the host of the URI; one without a host, or
// with an IP address, must be refused (RFC 5280 §4.2.1.10).
func uriWithin(uri, base string) answer {
	u, err := url.Parse(uri)
	if err != nil {
		return unclear
	}
	n, ok := host(u.Hostname())
	if !ok || strings.HasPrefix(n, "*") {
		return unclear
	}
	if _, err := netip.ParseAddr(n); err == nil {
		return unclear
	}
	if base == "" {
		return inside
	}
	below, isDomain := strings.CutPrefix(base, ".")
	b, ok := host(below)
	if !ok {
		return unclear
	}
	if isDomain {
		return is(strings.HasSuffix(n, "."+b))
	}
	return is(n == b)
}

// ipWithin: a subtree is an address and a mask of the same family.
func ipWithin(ip, base []byte) answer {
	if len(ip) != 4 && len(ip) != 16 || len(base) != 8 && len(base) != 32 {
		return unclear
	}
	if len(base) != 2*len(ip) {
		return outside
	}
	addr, mask := base[:len(ip)], base[len(ip):]
	if !contiguous(mask) {
		return unclear
	}
	for i := range ip {
		if ip[i]&mask[i] != addr[i]&mask[i] {
			return outside
		}
	}
	return inside
}

// contiguous tells whether the mask is ones and then zeros.
func contiguous(mask []byte) bool {
	zeros := false
	for _, c := range mask {
		for bit := byte(0x80); bit != 0; bit >>= 1 {
			if c&bit != 0 && zeros {
				return false
			}
			zeros = zeros || c&bit == 0
		}
	}
	return true
}

// describe names a name in an error text, one bounded line without tricks.
func describe(n cert.GeneralName) string {
	kinds := [...]string{"otherName", "rfc822Name", "dNSName", "x400Address", "directoryName", "ediPartyName", "URI", "iPAddress", "registeredID"}
	kind := "name"
	if int(n.Kind) < len(kinds) {
		kind = kinds[n.Kind]
	}
	switch {
	case n.Kind == cert.DirectoryName:
		return kind + " " + label(&cert.Certificate{Subject: n.Directory, Serial: new(big.Int)})
	case n.Kind == cert.IPAddress:
		return fmt.Sprintf("%s %x", kind, clip(string(n.Bytes)))
	case n.Text != "":
		return fmt.Sprintf("%s %+q", kind, clip(n.Text))
	}
	return kind
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:120]
	}
	return s
}
