package issuance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// MaxDomains limits the mail domains that one authority is made for.
const MaxDomains = 100

// ParseDomains reads the mail domains that an authority is limited to, in the
// form of RFC 5280 §4.2.1.10: a host, or with a leading dot all hosts below it.
// Domains are written as A-labels in lower case, each once.
func ParseDomains(list []string) ([]string, error) {
	if len(list) > MaxDomains {
		return nil, fmt.Errorf("%d mail domains; at most %d", len(list), MaxDomains)
	}
	var domains []string
	for _, text := range list {
		host, below := strings.CutPrefix(text, ".")
		domain, err := mailbox.ParseDomain(host)
		if err != nil {
			return nil, fmt.Errorf("mail domain %q: %w", text, err)
		}
		if below {
			domain = "." + domain
		}
		if slices.Contains(domains, domain) {
			return nil, fmt.Errorf("mail domain %q is there twice", text)
		}
		domains = append(domains, domain)
	}
	return domains, nil
}

// DomainPermitted tells whether mail of a domain, in the form of the mailbox
// type, is in one of an authority's domains.
func DomainPermitted(domains []string, domain string) bool {
	return slices.ContainsFunc(domains, func(d string) bool {
		return d == domain || d[0] == '.' && strings.HasSuffix(domain, d)
	})
}

// PermittedDomains returns the mail domains that an authority's certificate is
// limited to; none: every one.
func PermittedDomains(c *cert.Certificate) (domains []string) {
	if c.NameConstraints == nil {
		return nil
	}
	for _, n := range c.NameConstraints.Permitted {
		if n.Kind == cert.RFC822Name {
			domains = append(domains, n.Text)
		}
	}
	return domains
}

// narrow puts the domains of a new authority inside those of the one above it:
// what is outside could never be used (RFC 5280 §6.1.4 (g)).
func (r *AuthorityRequest) narrow(above *cert.Certificate) error {
	outer := PermittedDomains(above)
	switch {
	case outer == nil:
		return nil
	case len(r.Domains) == 0:
		r.Domains = outer
		return nil
	}
	for _, d := range r.Domains {
		if !slices.Contains(outer, d) && !DomainPermitted(outer, d) {
			return fmt.Errorf("%q is none of the mail domains of the authority above: %s", d, strings.Join(outer, ", "))
		}
	}
	return nil
}
