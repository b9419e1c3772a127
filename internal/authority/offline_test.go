package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
)

const address = "http://pki.example.com"

// offline is a place where a root's key is, and the place that issues.
type offline struct {
	vault, site *world
}

// separated makes both, and carries the request over.
func separated(t *testing.T) *offline {
	t.Helper()
	vault := foundAs(t, authority.Founding{Organization: "Example Ltd", Country: "GB", BaseURL: address, Domains: []string{"example.com", ".example.com"}, RootOnly: true})
	site := foundAs(t, authority.Founding{BaseURL: address, Root: vault.Root(), Domains: []string{"example.com"}})
	return &offline{vault, site}
}

func (o *offline) request(t *testing.T) authority.Request {
	t.Helper()
	requests, err := authority.Requests(t.Context(), o.site.db)
	if err != nil || len(requests) != 1 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	return requests[0]
}

// siteKey opens the key that waits.
func (o *offline) siteKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := o.site.options().Keys.Signer(o.request(t).KeyURI)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (o *offline) certify(t *testing.T) *cert.Certificate {
	t.Helper()
	c, err := authority.Certify(t.Context(), o.vault.options(), o.request(t).DER)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (o *offline) lists(t *testing.T) (lists []*cert.CRL) {
	t.Helper()
	made, err := authority.NewLists(t.Context(), o.vault.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range made {
		parsed, err := cert.ParseCRL(l.DER)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, parsed)
	}
	return lists
}

// accept carries files to the place that issues, and opens it again.
func (o *offline) accept(t *testing.T, certificates []*cert.Certificate, lists ...*cert.CRL) error {
	t.Helper()
	_, err := authority.Accept(t.Context(), o.site.options(), certificates, lists)
	o.site.restart()
	return err
}

// chains holds a subscriber's certificate to the roots by Go's own validation.
func chains(t *testing.T, c *cert.Certificate, roots, intermediates []*cert.Certificate, at time.Time) error {
	t.Helper()
	pool := func(list []*cert.Certificate) *x509.CertPool {
		p := x509.NewCertPool()
		for _, c := range list {
			parsed, err := x509.ParseCertificate(c.Raw)
			if err != nil {
				t.Fatal(err)
			}
			p.AddCert(parsed)
		}
		return p
	}
	leaf, err := x509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: pool(roots), Intermediates: pool(intermediates), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	})
	return err
}

// The root's key is never where certificates are issued: files go there and back.
func TestOfflineRoot(t *testing.T) {
	o := separated(t)
	if m, err := o.site.Member("root"); err != nil || !m.Offline() {
		t.Fatalf("the root's key is where certificates are issued: %v", err)
	}
	if _, err := o.site.Issuing(o.site.Profile(), mailboxes(t, "alice@example.com")); !errors.Is(err, authority.ErrNotAllowed) {
		t.Errorf("issues before there is an issuing authority: %v", err)
	}
	if _, err := o.site.CRL(t.Context(), "root", 0); !errors.Is(err, authority.ErrOffline) {
		t.Errorf("a list of a root whose key is elsewhere: %v", err)
	}
	c := o.certify(t)
	if _, err := authority.Certify(t.Context(), o.vault.options(), o.request(t).DER); !errors.Is(err, authority.ErrCertified) {
		t.Errorf("certified twice: %v", err)
	}
	lists := o.lists(t)
	if err := o.accept(t, []*cert.Certificate{c}, lists...); err != nil {
		t.Fatal(err)
	}
	if requests, err := authority.Requests(t.Context(), o.site.db); err != nil || len(requests) != 0 {
		t.Errorf("%d requests wait, %v", len(requests), err)
	}
	if list := o.site.crl("root"); list.Number.Int64() != 1 {
		t.Errorf("list %v is served", list.Number)
	}
	m, err := o.site.Issuing(o.site.Profile(), mailboxes(t, "alice@example.com"))
	if err != nil || m.Certificate().Subject.String() != "CN=Example Ltd Issuing,O=Example Ltd,C=GB" {
		t.Fatalf("issued by %v, %v", m, err)
	}
	if _, err := o.site.Issuing(o.site.Profile(), mailboxes(t, "alice@example.org")); !errors.Is(err, authority.ErrNotAllowed) {
		t.Errorf("issues for a domain that the root excludes: %v", err)
	}

	// A list is too old when nobody carried a new one over.
	o.site.now = o.site.now.AddDate(1, 0, 0)
	if _, err := o.site.CRL(t.Context(), "root", 0); !errors.Is(err, authority.ErrOffline) {
		t.Errorf("a list that ended: %v", err)
	}
	if err := o.accept(t, nil, lists...); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("accepted a list that ended: %v", err)
	}
}

// What does not come from the root that is known is not taken, and nothing with it.
func TestAcceptRefusals(t *testing.T) {
	o := separated(t)
	c, list := o.certify(t), o.lists(t)[0]
	last := c
	other := separated(t)
	foreign, foreignList := other.certify(t), other.lists(t)[0]
	wider := foundAs(t, authority.Founding{Organization: "Example Ltd", Country: "GB", BaseURL: address, RootOnly: true})
	someRequest, err := issuance.RequestAuthority(newKey(t), issuance.AuthorityRequest{
		Subject: issuance.Subject{Country: "GB", Organization: "Example Ltd", CommonName: "Mallory"}, Domains: []string{"example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	unasked, err := authority.Certify(t.Context(), o.vault.options(), someRequest)
	if err != nil {
		t.Fatal(err)
	}
	spoiled, err := cert.ParseCRL(changed(list.Raw))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := cert.Parse(changed(c.Raw))
	if err != nil {
		t.Fatal(err)
	}
	twin, err := authority.Certify(t.Context(), wider.options(), o.request(t).DER) // our key, under a root that nobody knows
	if err != nil {
		t.Fatal(err)
	}
	key := o.siteKey(t)
	certified := func(s issuance.Subject, domains ...string) *cert.Certificate {
		t.Helper()
		request, err := issuance.RequestAuthority(key, issuance.AuthorityRequest{Subject: s, Domains: domains})
		if err != nil {
			t.Fatal(err)
		}
		if err := authority.RevokeAuthority(t.Context(), o.vault.options(), last.Serial, cert.Superseded); err != nil {
			t.Fatal(err)
		}
		last, err = authority.Certify(t.Context(), o.vault.options(), request)
		if err != nil {
			t.Fatal(err)
		}
		return last
	}
	name := issuance.Subject{Country: "GB", Organization: "Example Ltd", CommonName: "Example Ltd Issuing"}
	otherName := name
	otherName.CommonName = "Example Ltd Mallory"
	narrower, renamed := certified(name, "mail.example.com"), certified(otherName, "example.com")
	for name, tt := range map[string]struct {
		certificates []*cert.Certificate
		lists        []*cert.CRL
		want         string
	}{
		"spoiled certificate":   {[]*cert.Certificate{forged}, nil, "no root that is known here"},
		"other domains":         {[]*cert.Certificate{narrower}, nil, "name constraints are not those"},
		"other name":            {[]*cert.Certificate{renamed}, nil, "not what was asked for"},
		"another's certificate": {[]*cert.Certificate{c, foreign}, nil, "for no key that waits here"},
		"unknown root":          {[]*cert.Certificate{twin}, nil, "no root that is known here"},
		"nobody asked for it":   {[]*cert.Certificate{unasked}, nil, "for no key that waits here"},
		"another's root":        {[]*cert.Certificate{wider.Root()}, nil, "is not among the files"},
		"another's list":        {[]*cert.Certificate{c}, []*cert.CRL{foreignList}, "no root that is known here"},
		"spoiled list":          {[]*cert.Certificate{c}, []*cert.CRL{spoiled}, "signature"},
		"list twice":            {[]*cert.Certificate{c}, []*cert.CRL{list, list}, "not above"},
	} {
		if err := o.accept(t, tt.certificates, tt.lists...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		o.request(t) // still waits
	}
	now := o.site.now
	o.site.now = now.AddDate(11, 0, 0)
	if err := o.accept(t, []*cert.Certificate{c}); err == nil || !strings.Contains(err.Error(), "not valid now") {
		t.Errorf("a certificate that has ended: %v", err)
	}
	o.site.now = now
	if _, err := authority.Accept(t.Context(), o.vault.options(), nil, []*cert.CRL{list}); err == nil || !strings.Contains(err.Error(), "made here") {
		t.Errorf("a list where the key is: %v", err)
	}
	if err := o.accept(t, []*cert.Certificate{c}, list); err != nil {
		t.Errorf("after all these: %v", err)
	}
	if err := o.accept(t, []*cert.Certificate{c}); err == nil {
		t.Error("the same certificate was taken twice")
	}
}

// changed flips a bit of the signature.
func changed(der []byte) []byte {
	out := bytes.Clone(der)
	out[len(out)-1] ^= 1
	return out
}

// After its rollover those who trust either root alone accept what is below the
// old one and the new one, by the cross certificates.
func TestRolloverOfRoot(t *testing.T) {
	o := separated(t)
	first := o.certify(t)
	if err := o.accept(t, []*cert.Certificate{first}, o.lists(t)...); err != nil {
		t.Fatal(err)
	}
	issue := func() *cert.Certificate {
		t.Helper()
		key := newKey(t)
		order := o.site.order(key)
		o.site.sql("DELETE FROM proofs WHERE order_id = $1", order.ID)
		o.site.sql("UPDATE order_mailboxes SET address = 'alice@example.com' WHERE order_id = $1", order.ID)
		o.site.sql("INSERT INTO proofs VALUES ($1, 'alice@example.com', '3.2.2.2', '', $2, $3)", order.ID, o.site.now.Unix(), o.site.now.Unix()+1000)
		order.Addresses = []string{"alice@example.com"}
		c, err := o.site.issue(order, key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := issue()
	old := o.vault.Root()

	made, err := authority.Rollover(t.Context(), o.vault.options(), "root", "")
	if err != nil {
		t.Fatal(err)
	}
	o.vault.restart()
	root, newByOld, oldByNew := made.Certificates[0], made.Certificates[1], made.Certificates[2]
	if !o.vault.Root().Equal(root) || made.Name != "root-2" {
		t.Fatalf("the active root is %s", o.vault.Root().Subject)
	}
	if got := root.Subject.String(); got != "CN=Example Ltd Root G2,O=Example Ltd,C=GB" {
		t.Errorf("the new root's name is %s", got)
	}
	// Both sign lists from now on.
	lists := o.lists(t)
	if len(lists) != 2 {
		t.Fatalf("%d lists", len(lists))
	}
	if err := o.accept(t, []*cert.Certificate{root, oldByNew}); err == nil {
		t.Error("a new root was taken without its predecessor's word")
	}
	if err := o.accept(t, made.Certificates, lists...); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]*cert.Certificate{"root": old, "root-2": root, "root-2-by-root": newByOld, "root-by-root-2": oldByNew} {
		if c, err := o.site.Certificate(name); err != nil || !c.Equal(want) {
			t.Errorf("%s is not served: %v", name, err)
		}
	}

	// A new issuing authority under the new root.
	if _, err := authority.Rollover(t.Context(), o.site.options(), "issuing", ""); err != nil {
		t.Fatal(err)
	}
	o.site.restart()
	if _, _, err := o.site.Above(issue()); err != nil {
		t.Errorf("the old key does not issue while the new one waits: %v", err)
	}
	second := o.certify(t)
	if err := o.accept(t, []*cert.Certificate{second}); err != nil {
		t.Fatal(err)
	}
	after := issue()
	for name, tt := range map[string]struct {
		leaf  *cert.Certificate
		root  *cert.Certificate
		above []*cert.Certificate
		ok    bool
	}{
		"old below old":           {before, old, []*cert.Certificate{first}, true},
		"new below new":           {after, root, []*cert.Certificate{second}, true},
		"old, new trusted":        {before, root, []*cert.Certificate{first, oldByNew}, true},
		"new, old trusted":        {after, old, []*cert.Certificate{second, newByOld}, true},
		"new, old, without cross": {after, old, []*cert.Certificate{second}, false},
		"old, new, without cross": {before, root, []*cert.Certificate{first}, false},
	} {
		err := chains(t, tt.leaf, []*cert.Certificate{tt.root}, tt.above, o.site.now)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, top, err := o.site.Above(before); err != nil || !top.Equal(old) {
		t.Errorf("the old certificate's chain ends elsewhere, %v", err)
	}
	if _, top, err := o.site.Above(after); err != nil || !top.Equal(root) {
		t.Errorf("the new certificate's chain ends elsewhere, %v", err)
	}
}

// A root's lists name the authorities that it took back, with the reason.
func TestRevokeAuthority(t *testing.T) {
	o := separated(t)
	c := o.certify(t)
	if n := o.lists(t)[0].Len(); n != 0 {
		t.Errorf("%d entries before", n)
	}
	for _, reason := range []cert.Reason{cert.Unspecified, cert.CertificateHold, 7} {
		if err := authority.RevokeAuthority(t.Context(), o.vault.options(), c.Serial, reason); err == nil {
			t.Errorf("revoked for reason %d", reason)
		}
	}
	if err := authority.RevokeAuthority(t.Context(), o.vault.options(), big.NewInt(1), cert.CACompromise); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("revoked what nobody issued: %v", err)
	}
	if err := authority.RevokeAuthority(t.Context(), o.vault.options(), c.Serial, cert.CACompromise); err != nil {
		t.Fatal(err)
	}
	list := o.lists(t)[0]
	entries := slices.Collect(list.Entries())
	if len(entries) != 1 || entries[0].Serial.Cmp(c.Serial) != 0 || entries[0].Reason != cert.CACompromise {
		t.Errorf("the list has %v", entries)
	}
	// The key may be certified again: it was the certificate that was taken back.
	if _, err := authority.Certify(t.Context(), o.vault.options(), o.request(t).DER); err != nil {
		t.Error(err)
	}
}

func TestNewListsElsewhere(t *testing.T) {
	o := separated(t)
	if _, err := authority.NewLists(t.Context(), o.site.options()); !errors.Is(err, authority.ErrOffline) {
		t.Errorf("lists of a root whose key is elsewhere: %v", err)
	}
	if err := authority.RevokeAuthority(t.Context(), o.site.options(), o.certify(t).Serial, cert.CACompromise); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("revoked where the certificate is not known: %v", err)
	}
}

// Whoever runs the server hears a month ahead that the root's list ends.
func TestReminder(t *testing.T) {
	o := separated(t)
	if err := o.accept(t, []*cert.Certificate{o.certify(t)}, o.lists(t)...); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		days int
		want bool
	}{{0, false}, {140, false}, {151, true}} {
		now := o.site.now.AddDate(0, 0, tt.days)
		var log bytes.Buffer
		options := o.site.options()
		options.Log, options.Clock = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
		a, err := authority.Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		a.Maintain(ctx)
		stop()
		if got := strings.Contains(log.String(), "ends soon"); got != tt.want {
			t.Errorf("after %d days: %v\n%s", tt.days, got, log.String())
		}
	}
}
