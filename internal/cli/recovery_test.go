package cli_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/testca"
)

// Officers become ones, give their shares, and who asked opens the key: all that
// is done on a machine of their own by the commands, the rest as a server does.
func TestRecoveryCommands(t *testing.T) {
	ctx, dir, ca := t.Context(), t.TempDir(), testca.New(t)
	db, err := store.Open(ctx, filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := func() time.Time { return testca.Now }
	jobs, err := outbox.New(outbox.Options{Store: db, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	s := recovery.New(recovery.Options{Store: db, Clock: now, Mails: mailqueue.New(mailqueue.Options{Store: db, Outbox: jobs, Clock: now})})
	file := func(name string, data []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	leaves, grants := map[string]*testca.Leaf{}, map[string]auth.Grant{"dan": {Role: auth.Administrator, Organization: "org"}}
	for _, name := range []string{"ana", "ben", "chie"} {
		grants[name] = auth.Grant{Role: auth.RecoveryOfficer, Organization: "org"}
	}
	update := func(f func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Update(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *store.Tx) error {
		err := errors.Join(
			tx.InsertOrganization(store.Organization{ID: "org", Standing: "active", Created: now()}),
			audit.Append(ctx, tx, audit.Entry{At: now(), Act: store.ActOrganization, Object: "org"}),
			tx.InsertPerson(store.Person{ID: "p", Name: "Alice", Language: "en", Created: now()}))
		for name, g := range grants {
			leaves[name] = ca.Leaf(name+"@example.org", testca.P256)
			err = errors.Join(err, tx.InsertAdministrator(store.Administrator{ID: name, Name: name, Email: name + "@example.org", EmailKey: name + "@example.org", Created: now()}),
				auth.GiveRole(ctx, tx, auth.Console(), name, g, now()))
		}
		return err
	})
	for name, l := range leaves {
		p12, err := identity.EncodePKCS12([]*identity.Identity{{Key: l.Key, Certificate: l.Certificate}}, []byte(passphrase), &identity.PKCS12Options{Iterations: 1000})
		file(name+".p12", p12, err)
	}
	actor := func(name string) auth.Actor {
		return auth.Actor{Kind: auth.KindAccount, ID: name, Fresh: true, Grants: []auth.Grant{grants[name]}}
	}
	share := func(name string, kind recovery.Kind, object string) *recovery.Answer {
		t.Helper()
		task, err := s.Task(ctx, actor(name), "org", kind, object)
		if err != nil {
			t.Fatal(err)
		}
		data, err := recovery.Encode(task)
		in := file("task.json", data, err)
		if _, stderr, exit := mailseal(t, dir, "recovery", "share", "--as", name+".p12", in); exit != 2 || !strings.Contains(stderr, "--yes") {
			t.Errorf("without a terminal to ask at: %d %s", exit, stderr)
		}
		if _, stderr, exit := mailseal(t, dir, "recovery", "share", "--as", "dan.p12", "--yes", in); exit != 1 {
			t.Errorf("as another: %d %s", exit, stderr)
		}
		stdout, stderr, exit := mailseal(t, dir, "recovery", "share", "--as", name+".p12", "--yes", in)
		if exit != 0 {
			t.Fatalf("share: %d %s", exit, stderr)
		}
		a, err := recovery.ParseAnswer([]byte(stdout))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var choices []recovery.Choice
	for _, name := range []string{"ana", "ben", "chie"} {
		choices = append(choices, recovery.Choice{Account: name, Certificate: leaves[name].Certificate.Raw})
	}
	q, err := s.SetOfficers(ctx, actor("dan"), "org", 0, choices)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ana", "ben", "chie"} {
		if err := s.Answer(ctx, actor(name), "org", share(name, recovery.Confirm, q.ID)); err != nil {
			t.Fatal(err)
		}
	}
	lost := ca.Leaf("alice@example.org", testca.P256, testca.KeyUsage(x509.KeyUsageKeyAgreement))
	if q, err = s.Quorum(ctx, "org"); err != nil {
		t.Fatal(err)
	}
	sealed, err := q.Seal(rand.Reader, lost.Key)
	if err != nil {
		t.Fatal(err)
	}
	digest, hash := lost.Certificate.Digest(), sha256.Sum256(lost.Certificate.RawSPKI)
	update(func(tx *store.Tx) error {
		row := store.Certificate{ID: "c", AuthorityID: "ca", Serial: []byte{1}, ProfileHash: []byte("p"), KeyHash: hash[:], Reserved: now()}
		return errors.Join(s.Escrow(ctx, tx, "org", "p", sealed), tx.InsertProfile([]byte("p"), "{}", now()),
			tx.InsertAuthority(store.Authority{ID: "ca", Name: "ca", Kind: "issuing", Certificate: ca.Issuing.Certificate.Raw, Created: now()}),
			audit.Append(ctx, tx, audit.Entry{At: now(), Act: store.ActAuthority, Object: "ca"}),
			tx.PrepareCertificate(row), tx.IssueCertificate("c", lost.Certificate.Raw, digest[:], lost.Certificate.NotAfter, now(), time.Time{}),
			audit.Append(ctx, tx, audit.Entry{At: now(), Act: store.ActIssued, Object: "c"}))
	})
	r, err := s.Request(ctx, actor("dan"), "org", recovery.Asking{Person: "p", Recipient: leaves["dan"].Certificate.Raw, Reason: "the laptop was stolen"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"chie", "ben"} {
		if err := s.Answer(ctx, actor(name), "org", share(name, recovery.Release, r.ID)); err != nil {
			t.Fatal(err)
		}
	}
	bundle, err := s.Release(ctx, actor("dan"), "org", r.ID)
	if err != nil {
		t.Fatal(err)
	}
	data, err := recovery.Encode(bundle)
	in, out := file("bundle.json", data, err), filepath.Join(dir, "old.p12")
	if _, stderr, exit := mailseal(t, dir, "recovery", "open", "--as", "ben.p12", "-o", "old.p12", in); exit != 1 {
		t.Errorf("an officer opens it: %d %s", exit, stderr)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("there is an output of a refusal")
	}
	_, stderr, exit := mailseal(t, dir, "recovery", "open", "--as", "dan.p12", "-o", "old.p12", in)
	secret := regexp.MustCompile(`[a-z2-7]{5}(-[a-z2-7]+)+`).FindString(stderr)
	if exit != 0 || secret == "" {
		t.Fatalf("open: %d %s", exit, stderr)
	}
	p12, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Read(p12, func() ([]byte, error) { return []byte(secret), nil })
	if err != nil || len(ids) != 1 || !ids[0].Certificate.Equal(lost.Certificate) {
		t.Errorf("%v, %v", ids, err)
	}
	_, stderr, exit = mailseal(t, dir, "recovery", "open", "--as", "dan.p12", "--together", "-o", "all.p12", in)
	if p12, err = os.ReadFile(filepath.Join(dir, "all.p12")); err != nil {
		t.Fatal(exit, stderr, err)
	}
	secret = regexp.MustCompile(`[a-z2-7]{5}(-[a-z2-7]+)+`).FindString(stderr)
	ids, err = identity.Read(p12, func() ([]byte, error) { return []byte(secret), nil })
	if err != nil || len(ids) != 2 || !ids[0].Certificate.Equal(lost.Certificate) || !ids[1].Certificate.Equal(leaves["dan"].Certificate) {
		t.Errorf("together: %v, %v", ids, err)
	}
}
