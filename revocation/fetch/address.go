package fetch

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"syscall"
)

// errAddress is wrapped when a source lies where a stranger must not send us.
var errAddress = errors.New("not a public address")

// special are the blocks that RFC 6890 and the registries that it began set
// apart, as far as nothing of the public Internet is in them, and what
// transports another address that nobody here has looked at (6to4, Teredo).
var special = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // shared by carriers
	"127.0.0.0/8",       // loopback
	"169.254.0.0/16",    // link-local; cloud metadata
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // IETF protocol assignments
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarking
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, and broadcast
	"::/96",             // unspecified, loopback, IPv4-compatible
	"64:ff9b:1::/48",    // local translation
	"100::/64",          // discard
	"100:0:0:1::/64",    // dummy
	"2001::/23",         // IETF protocol assignments, Teredo, ORCHID, benchmarking
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
	"5f00::/16",         // segment routing
	"fc00::/7",          // unique local
	"fe80::/10",         // link-local
	"fec0::/10",         // site-local, deprecated
	"ff00::/8",          // multicast
)

// translated is NAT64: the last 32 bits are an IPv4 address.
var translated = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// public tells whether an address belongs to the public Internet.
func public(a netip.Addr) bool {
	a = a.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
	if a.Zone() != "" || !a.IsValid() {
		return false
	}
	if translated.Contains(a) {
		b := a.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// control is called with the address of every connection before it is made,
// after the name was resolved: a name that resolves to something else than a
// moment ago (DNS rebinding), a redirect and an odd way to write an address all
// come by here.
func (f *Fetcher) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errAddress, address)
	}
	return f.allowed(to.Addr())
}

func (f *Fetcher) allowed(a netip.Addr) error {
	if public(a) || f.o.Loopback && a.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s", errAddress, a)
}

// maxURL is the length of the URLs that are fetched.
const maxURL = 2048

// checkURL refuses what is no plain http. The content is signed, so that https
// would add nothing but the question whether its certificate is revoked (RFC
// 5280 §8).
func (f *Fetcher) checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http":
		return fmt.Errorf("only http is fetched, not %q", u.Scheme)
	case u.Host == "" || u.Opaque != "":
		return errors.New("it names no host")
	case u.User != nil:
		return errors.New("it has a user name")
	case len(u.String()) > maxURL:
		return fmt.Errorf("more than %d characters", maxURL)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return f.allowed(a)
	}
	return nil
}
