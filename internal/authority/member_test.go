package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
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
	for _, m := range w.Members() {
		is, err := m.Issuer()
		if err != nil {
			t.Fatal(err)
		}
		for n := range m.Partitions() {
			if at := "http://ca.example.org" + m.ListPath(n); at != is.PartitionURL(n) {
				t.Errorf("list %d of %s is said to be at %s", n, m.Name(), at)
			}
		}
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

// A rollover that another node made is followed without a restart: by the next
// certificate, by answers for both keys; what is on its way ends well. A node that
// has not got the key yet says so, goes on, and follows when it has it.
func TestRolloverElsewhere(t *testing.T) {
	w := found(t)
	node, err := authority.Open(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	poorDir := t.TempDir()
	o := w.options()
	o.Keys = &keys.Keys{Dir: poorDir, Plaintext: true}
	copyKeys(t, w.dir, poorDir)
	poor, err := authority.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	before := w.issued()

	// On its way while the key is retired.
	key := newKey(t)
	onItsWay := w.order(key)
	o = w.options()
	o.Stop = func(step string) error {
		if step != authority.StepPrepared {
			return nil
		}
		_, err := authority.Rollover(t.Context(), w.options(), "issuing", "")
		return err
	}
	busy, err := authority.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := busy.Issue(t.Context(), w.warrant(onItsWay), key.Public()); err != nil {
		t.Errorf("what was on its way: %v", err)
	}

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); node.Maintain(ctx) }()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := node.Member("issuing-2"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the node does not see the new key")
		}
	}
	stop()
	<-done
	issue := func(a *authority.Authority) *cert.Certificate {
		t.Helper()
		key := newKey(t)
		c, err := a.Issue(t.Context(), w.warrant(w.order(key)), key.Public())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	after := issue(node)
	if after.CRLDistributionPoints[0] != "http://ca.example.org/crl/issuing-2.crl" {
		t.Errorf("issued for the list at %q", after.CRLDistributionPoints)
	}
	if node.Behind() != nil {
		t.Error(node.Behind())
	}
	for name, c := range map[string]*cert.Certificate{"old": before, "new": after} {
		if _, _, err := node.Above(c); err != nil {
			t.Errorf("chain of the %s one: %v", name, err)
		}
		if list, err := node.CRL(t.Context(), strings.TrimSuffix(path.Base(c.CRLDistributionPoints[0]), ".crl"), 0); err != nil || len(list.DER) == 0 {
			t.Errorf("list of the %s one: %v", name, err)
		}
	}

	poor.Reload(t.Context())
	if err := poor.Behind(); err == nil || !strings.Contains(err.Error(), "issuing-2") {
		t.Errorf("without the key it says %v", err)
	}
	issue(poor)
	copyKeys(t, w.dir, poorDir)
	poor.Reload(t.Context())
	if c := issue(poor); poor.Behind() != nil || c.CRLDistributionPoints[0] != after.CRLDistributionPoints[0] {
		t.Errorf("with the key: %v, list at %q", poor.Behind(), c.CRLDistributionPoints)
	}
}

// copyKeys copies the key files of a data folder to another one.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "keys", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.MkdirAll(filepath.Join(to, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, "keys", filepath.Base(file)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Of two who make the next key at once one does, and the other one is told.
func TestTwoRolloversAtOnce(t *testing.T) {
	w := found(t)
	for _, line := range []string{"root", "issuing"} {
		o := w.options()
		o.GenerateKey = func() (crypto.Signer, error) {
			if _, err := authority.Rollover(t.Context(), w.options(), line, ""); err != nil {
				t.Fatal(err)
			}
			return p256()
		}
		if _, err := authority.Rollover(t.Context(), o, line, ""); err == nil || !strings.Contains(err.Error(), "somebody else made its next key") {
			t.Errorf("%s: %v", line, err)
		}
	}
	w.restart()
	active := map[string]int{}
	for _, m := range w.Members() {
		if m.Active() {
			active[m.Line()]++
		}
	}
	if len(w.Members()) != 4 || active["root"] != 1 || active["issuing"] != 1 {
		t.Errorf("%d keys, active: %v", len(w.Members()), active)
	}
	if r, err := audit.Verify(t.Context(), w.db, nil); err != nil || !r.Good() {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of two first starts at once one makes the authorities, the other one is told.
func TestTwoFoundedAtOnce(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), source: storetest.Source(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	w.v = &validation.Validator{Clock: w.clock}
	w.openStore()
	t.Cleanup(func() { w.db.Close() })
	f := authority.Founding{BaseURL: "http://ca.example.org", Dev: true}
	o := w.options()
	var once sync.Once
	o.GenerateKey = func() (crypto.Signer, error) {
		once.Do(func() {
			if _, err := authority.Found(t.Context(), w.options(), f); err != nil {
				t.Error(err)
			}
		})
		return p256()
	}
	if _, err := authority.Found(t.Context(), o, f); !errors.Is(err, authority.ErrFounded) {
		t.Errorf("the other one: %v", err)
	}
	w.restart()
	if n := len(w.Members()); n != 2 {
		t.Errorf("%d authorities", n)
	}
}
