package issuance

import (
	"crypto/elliptic"
	"slices"
	"strings"
	"testing"
)

func TestParseDomains(t *testing.T) {
	got, err := ParseDomains([]string{"Example.ORG", ".example.org", "例え.jp"})
	if want := []string{"example.org", ".example.org", "xn--r8jz45g.jp"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"", ".", "..example.org", "alice@example.org", "a b.org", "example.org/"} {
		if _, err := ParseDomains([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := ParseDomains([]string{"example.org", "EXAMPLE.org"}); err == nil {
		t.Error("the same domain twice was taken")
	}
	many := strings.Fields(strings.Repeat("x ", MaxDomains+1))
	if _, err := ParseDomains(many); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too many: %v", err)
	}
}

func TestDomainPermitted(t *testing.T) {
	domains := []string{"example.org", ".example.com"}
	for domain, want := range map[string]bool{
		"example.org": true, "mail.example.org": false, "notexample.org": false,
		"example.com": false, "mail.example.com": true, "notexample.com": false,
	} {
		if DomainPermitted(domains, domain) != want {
			t.Errorf("%s: %v", domain, !want)
		}
	}
}

// An authority has the domains of the one above it, or some of these.
func TestDomainsOfAuthorities(t *testing.T) {
	rootKey := ecKey(t, elliptic.P256())
	request := AuthorityRequest{
		Subject: Subject{"XX", "Example", "Example Root"}, Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
		Domains: []string{"example.org", ".example.com"},
	}
	root, err := NewRoot(rootKey, request)
	if err != nil {
		t.Fatal(err)
	}
	is, err := NewIssuer(root, rootKey, "http://ca.example.org/crl/root.crl", "http://ca.example.org/ca/root.cer")
	if err != nil {
		t.Fatal(err)
	}
	below := request
	below.Subject.CommonName, below.Key = "Example Issuing", ecKey(t, elliptic.P256()).Public()
	for _, tt := range []struct{ ask, want []string }{
		{nil, []string{"example.org", ".example.com"}},
		{[]string{"example.org"}, []string{"example.org"}},
		{[]string{"mail.example.com"}, []string{"mail.example.com"}},
		{[]string{".mail.example.com"}, []string{".mail.example.com"}},
		{[]string{"example.com"}, nil},
		{[]string{".example.org"}, nil},
		{[]string{"example.org", "example.net"}, nil},
	} {
		below.Domains = tt.ask
		c, err := is.IssueAuthority(below)
		switch {
		case tt.want == nil && err == nil:
			t.Errorf("%q: made", tt.ask)
		case tt.want != nil && err != nil:
			t.Errorf("%q: %v", tt.ask, err)
		case tt.want != nil && !slices.Equal(PermittedDomains(c), tt.want):
			t.Errorf("%q: permits %q", tt.ask, PermittedDomains(c))
		}
	}
}
