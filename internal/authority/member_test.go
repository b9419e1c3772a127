package authority_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
)

func mailboxes(t *testing.T, addresses ...string) (list []mailbox.Mailbox) {
	t.Helper()
	for _, a := range addresses {
		m, err := mailbox.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// add makes another issuing authority and opens the folder again.
func (w *world) add(n authority.NewIssuing) {
	w.t.Helper()
	if _, err := authority.AddIssuing(w.t.Context(), w.options(), n); err != nil {
		w.t.Fatal(err)
	}
	w.restart()
}

// The authority that is closest to the mailboxes issues, and its certificate
// permits them.
func TestIssuingAuthorityIsChosen(t *testing.T) {
	w := found(t)
	w.add(authority.NewIssuing{Line: "example", CommonName: "Example Mail", Domains: []string{"example.com", ".example.com"}})
	w.add(authority.NewIssuing{Line: "other", CommonName: "Other Types", Types: []issuance.Type{"sponsor-validated"}})
	for _, tt := range []struct {
		addresses []string
		want      string
	}{
		{[]string{"alice@example.com"}, "example"},
		{[]string{"alice@mail.example.com", "alice@example.com"}, "example"},
		{[]string{"alice@example.org"}, "issuing"},
		{[]string{"alice@example.com", "alice@example.org"}, "issuing"},
		{[]string{"alice@notexample.com"}, "issuing"},
	} {
		m, err := w.Issuing(w.Profile(), mailboxes(t, tt.addresses...))
		if err != nil || m.Name() != tt.want {
			t.Errorf("%q are served by %v, %v, want %s", tt.addresses, m, err, tt.want)
		}
	}
	m, err := w.Member("example")
	if err != nil {
		t.Fatal(err)
	}
	var permitted []string
	for _, n := range m.Certificate().NameConstraints.Permitted {
		permitted = append(permitted, n.Text)
	}
	if !slices.Equal(permitted, []string{"example.com", ".example.com"}) {
		t.Errorf("the certificate permits %q", permitted)
	}
	if _, err := w.Member("nobody"); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("no such member: %v", err)
	}
}

func TestAddIssuingRefusals(t *testing.T) {
	w := found(t)
	for name, n := range map[string]authority.NewIssuing{
		"name taken":     {Line: "issuing", CommonName: "Twice"},
		"name of a path": {Line: "../root", CommonName: "Path"},
		"name of a key":  {Line: "issuing-2", CommonName: "Generation"},
		"no common name": {Line: "nameless"},
		"no domain":      {Line: "example", CommonName: "Example", Domains: []string{"alice@example.org"}},
		"no type":        {Line: "example", CommonName: "Example", Types: []issuance.Type{"any"}},
	} {
		if _, err := authority.AddIssuing(t.Context(), w.options(), n); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	if n := len(w.Members()); n != 2 {
		t.Errorf("%d members after refusals", n)
	}
}

// After the rollover the new key issues, with addresses of its own, and the old
// one still answers for what it issued.
func TestRolloverOfIssuing(t *testing.T) {
	w := found(t)
	oldKey, newKeyOfAlice := newKey(t), newKey(t)
	before, err := w.issue(w.order(oldKey), oldKey)
	if err != nil {
		t.Fatal(err)
	}
	prepared := w.order(newKeyOfAlice)
	w.crashAt(authority.StepPrepared)
	w.restart()
	if _, err := w.issue(prepared, newKeyOfAlice); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	w.stop = nil
	made, err := authority.Rollover(t.Context(), w.options(), "issuing", "")
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	if made.Name != "issuing-2" {
		t.Errorf("the new key is %q", made.Name)
	}
	// What was prepared for the old key is not signed any more.
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := w.issue(prepared, newKeyOfAlice)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"http://ca.example.org/crl/issuing-2.crl"}; !slices.Equal(after.CRLDistributionPoints, want) {
		t.Errorf("the new certificate's list is at %q, want %q", after.CRLDistributionPoints, want)
	}
	for _, c := range []*cert.Certificate{before, after} {
		chain, root, err := w.Above(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.CheckSignatureFrom(chain[0]), chain[0].CheckSignatureFrom(root)); err != nil {
			t.Error(err)
		}
		if err := w.Revoke(t.Context(), c.Serial, cert.Superseded); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]*cert.Certificate{"issuing": before, "issuing-2": after} {
		list := w.crl(name)
		if n := len(list.RevokedCertificateEntries); n != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(c.Serial) != 0 {
			t.Errorf("the list of %s has %d entries, or another one than its own", name, n)
		}
	}
	if err := w.Revoke(t.Context(), big.NewInt(1), cert.Superseded); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("revoking what nobody issued: %v", err)
	}
	if _, err := authority.Rollover(t.Context(), w.options(), "nobody", ""); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("rollover of nobody: %v", err)
	}
}

// An authority's revocations are divided into lists when it is made; so are those
// of its later keys, and of one that waits for its certificate.
func TestPartitions(t *testing.T) {
	w := foundAs(t, authority.Founding{BaseURL: "http://ca.example.org", Dev: true, Partitions: 3})
	key := newKey(t)
	c, err := w.issue(w.order(key), key)
	if err != nil {
		t.Fatal(err)
	}
	its := int(new(big.Int).Mod(c.Serial, big.NewInt(3)).Int64())
	if want := []string{fmt.Sprintf("http://ca.example.org/crl/issuing/%d.crl", its)}; !slices.Equal(c.CRLDistributionPoints, want) {
		t.Errorf("its list is at %q, want %q", c.CRLDistributionPoints, want)
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		list, err := w.CRL(t.Context(), "issuing", n)
		if err != nil {
			t.Fatal(err)
		}
		if has := bytes.Contains(list.DER, c.Serial.Bytes()); has != (n == its) {
			t.Errorf("list %d has it: %v", n, has)
		}
	}
	if _, err := authority.Rollover(t.Context(), w.options(), "issuing", ""); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if n, err := w.Partitions("issuing-2"); n != 3 || err != nil {
		t.Errorf("its next key has %d, %v", n, err)
	}

	o := separated(t)
	if err := o.accept(t, []*cert.Certificate{o.certify(t)}); err != nil {
		t.Fatal(err)
	}
	if _, err := authority.AddIssuing(t.Context(), o.site.options(), authority.NewIssuing{Line: "acme", CommonName: "Acme", Partitions: 5}); err != nil {
		t.Fatal(err)
	}
	if err := o.accept(t, []*cert.Certificate{o.certify(t)}); err != nil {
		t.Fatal(err)
	}
	if n, err := o.site.Partitions("acme"); n != 5 || err != nil {
		t.Errorf("the one that waited has %d, %v", n, err)
	}
	for _, n := range []int{-1, issuance.MaxPartitions + 1} {
		if _, err := authority.AddIssuing(t.Context(), w.options(), authority.NewIssuing{Line: "many", CommonName: "Many", Partitions: n}); err == nil {
			t.Errorf("%d partitions were taken", n)
		}
	}
}
