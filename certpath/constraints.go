package certpath

import (
	"strings"
	"unicode"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// checkNameConstraints holds every certificate on the path to the constraints
// of c, an authority above (RFC 5280 §6.1.3 (b), (c), §4.2.1.10). The
// constraints of several authorities are asked one authority at a time, which
// is their intersection and union. Self-issued authorities are passed over,
// the leaf never.
func (s *search) checkNameConstraints(path []*cert.Certificate, c *cert.Certificate) *Error {
	if c.NameConstraints == nil {
		return nil
	}
	e, _ := c.Extension(oid.ExtNameConstraints)
	rules := constraints{prepare(c.NameConstraints.Permitted), prepare(c.NameConstraints.Excluded), e.Critical}
	for i, below := range path {
		if i > 0 && below.SelfIssued() {
			continue
		}
		names := subjectNames(below)
		s.comparisons += len(names) * (len(rules.permitted) + len(rules.excluded))
		if s.comparisons > maxComparisons {
			s.exhausted = true
			return fault(Budget, c, "too many names and name constraints")
		}
		for _, n := range names {
			if why := rules.refuse(n); why != "" {
				return fault(NameConstraint, below, "%s, by %s", why, label(c))
			}
		}
	}
	return nil
}

// subjectNames lists what constraints apply to: subjectAltName, the subject
// itself, and mail addresses in the subject. RFC 5280 §4.2.1.10 asks for the
// last only when there is no subjectAltName; software that shows them does not
// make that difference, so neither do the constraints.
func subjectNames(c *cert.Certificate) []name {
	names := append([]cert.GeneralName(nil), c.AltNames...)
	if !c.Subject.Empty() {
		names = append(names, cert.GeneralName{Kind: cert.DirectoryName, Directory: c.Subject})
	}
	for _, e := range c.Subject.Get(oid.EmailAddress) {
		names = append(names, cert.GeneralName{Kind: cert.RFC822Name, Text: e})
	}
	return prepare(names)
}

// name is a name or a subtree with what comparisons need, made once: every name
// is compared with every subtree.
type name struct {
	cert.GeneralName
	readable bool   // mail addresses and their subtrees, directory names
	mailbox  string // key of the address; in a subtree only when it is one mailbox
	domain   string // host in A-labels; in a subtree of hosts below, with its dot
}

func prepare(list []cert.GeneralName) []name {
	names := make([]name, len(list))
	for i, n := range list {
		p := &names[i]
		p.GeneralName, p.readable = n, true
		switch {
		case n.Kind == cert.RFC822Name && !isASCII(n.Text):
			p.readable = false
		case n.Kind == cert.RFC822Name, n.IsSmtpUTF8Mailbox():
			p.prepareEmail()
		case n.Kind == cert.DirectoryName:
			p.readable = plainText(n.Directory)
		}
	}
	return names
}

// prepareEmail reads a mailbox, or in a subtree a host or a domain. A name that
// is only a host is told from a mailbox by having no mailbox key.
func (n *name) prepareEmail() {
	if strings.Contains(n.Text, "@") {
		m, err := mailbox.ParseUnquoted(n.Text)
		n.mailbox, n.domain, n.readable = m.Key(), m.Domain(), err == nil
		return
	}
	if n.Text == "" {
		return
	}
	host, below := strings.CutPrefix(n.Text, ".")
	domain, err := mailbox.ParseDomain(host)
	n.domain, n.readable = domain, err == nil
	if below {
		n.domain = "." + domain
	}
}

// constraints are those of one authority.
type constraints struct {
	permitted, excluded []name
	critical            bool
}

// answer to the question whether a name lies in a subtree.
type answer int

const (
	outside answer = iota
	inside
	unclear // name or subtree cannot be read: neither permitted nor clear of an exclusion
)

// refuse says why the name is not allowed, or nothing.
func (r constraints) refuse(n name) string {
	for _, base := range r.excluded {
		if !sameForm(n, base) {
			continue
		}
		switch r.within(n, base) {
		case inside:
			return describe(n.GeneralName) + " is excluded"
		case unclear:
			return describe(n.GeneralName) + " cannot be compared with an excluded name"
		}
	}
	constrained := false
	for _, base := range r.permitted {
		if !sameForm(n, base) {
			continue
		}
		constrained = true
		if r.within(n, base) == inside {
			return ""
		}
	}
	if constrained {
		return describe(n.GeneralName) + " is not permitted"
	}
	return ""
}

// sameForm: a constraint speaks about names of its own form alone. Mail
// addresses are one form in both encodings (RFC 9598 §6).
func sameForm(n, base name) bool {
	if n.IsSmtpUTF8Mailbox() && base.Kind == cert.RFC822Name {
		return true
	}
	return n.Kind == base.Kind && (n.Kind != cert.OtherName || n.Type == base.Type)
}

// within asks one subtree. Of forms that are not known here nothing can be
// said: when the constraints are critical the name is refused, and otherwise
// they are passed over (RFC 5280 §4.2.1.10).
func (r constraints) within(n, base name) answer {
	switch base.Kind {
	case cert.RFC822Name:
		return emailWithin(n, base)
	case cert.DNSName:
		return dnsWithin(n.Text, base.Text)
	case cert.URI:
		return uriWithin(n.Text, base.Text)
	case cert.IPAddress:
		return ipWithin(n.Bytes, base.Bytes)
	case cert.DirectoryName:
		// What the comparison does not fold could be a second spelling.
		if !n.readable || !base.readable {
			return unclear
		}
		return is(n.Directory.HasPrefix(base.Directory))
	}
	if r.critical {
		return unclear
	}
	return r.ignored(base)
}

// ignored answers for an unknown form so that the name passes.
func (r constraints) ignored(base name) answer {
	for _, p := range r.permitted {
		if p.Kind == base.Kind && p.Type == base.Type {
			return inside
		}
	}
	return outside
}

// emailWithin: a subtree is one mailbox, all mailboxes on one host, or all on
// the hosts below a domain, which begins with a dot; the empty one is all
// mailboxes. Hosts are compared as A-labels (RFC 9549 §2.5), mailboxes as
// addresses are everywhere here.
func emailWithin(n, base name) answer {
	switch {
	case !n.readable || n.mailbox == "" || !base.readable:
		return unclear
	case base.mailbox != "":
		return is(n.mailbox == base.mailbox)
	case strings.HasPrefix(base.domain, "."):
		return is(strings.HasSuffix(n.domain, base.domain))
	}
	return is(base.domain == "" || n.domain == base.domain)
}

func is(yes bool) answer {
	if yes {
		return inside
	}
	return outside
}

// plainText tells whether all of a name is text that a comparison folds as RFC
// 4518 does: no invisible characters and no values of other types.
func plainText(n cert.Name) bool {
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			if !a.Text || strings.ContainsFunc(a.Value, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }) {
				return false
			}
		}
	}
	return true
}
