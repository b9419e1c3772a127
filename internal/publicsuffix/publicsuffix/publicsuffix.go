// Package publicsuffix stands in for the one of the same path that zcrypto
// links. That one builds a list of ten thousand rules whenever a program
// starts, which would cost every run of mailseal, also those that look at no
// certificate, a third of its time. This one has what zcrypto calls, on top of
// the table of golang.org/x/net/publicsuffix, which costs nothing until it is
// asked. go.mod puts it in place.
package publicsuffix

import (
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// List is the Public Suffix List; there is one.
type List struct{}

// Rule is a rule of the list; only the default one is ever named.
type Rule struct{}

// The list, and the rule for names that no other one matches: "*".
var (
	DefaultList = &List{}
	DefaultRule = &Rule{}
)

// FindOptions says which rules count.
type FindOptions struct {
	IgnorePrivate bool  // only those of registries
	DefaultRule   *Rule // nil: a name without a rule is an error
}

// DomainName is a host name in its parts: TRD.SLD.TLD.
type DomainName struct {
	TLD string // the public suffix
	SLD string // the label in front of it
	TRD string // what remains
}

// ParseFromListWithOptions takes a host name apart.
func ParseFromListWithOptions(_ *List, name string, options *FindOptions) (*DomainName, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("%q is no host name", name)
	}
	suffix, managed := suffixOf(name, options.IgnorePrivate)
	switch {
	case !managed && options.DefaultRule == nil:
		return nil, fmt.Errorf("no rule for %q", name)
	case name == suffix:
		return nil, fmt.Errorf("%q is a public suffix", name)
	}
	rest := strings.TrimSuffix(name, "."+suffix)
	d := &DomainName{TLD: suffix, SLD: rest}
	if dot := strings.LastIndexByte(rest, '.'); dot >= 0 {
		d.TRD, d.SLD = rest[:dot], rest[dot+1:]
	}
	return d, nil
}

// suffixOf returns the public suffix, and whether a rule gave it. A private
// rule that does not count gives way to the one above.
func suffixOf(name string, ignorePrivate bool) (suffix string, managed bool) {
	suffix, icann := publicsuffix.PublicSuffix(name)
	for ignorePrivate && !icann && strings.Contains(suffix, ".") {
		_, above, _ := strings.Cut(suffix, ".")
		suffix, icann = publicsuffix.PublicSuffix(above)
	}
	return suffix, icann || strings.Contains(suffix, ".")
}
