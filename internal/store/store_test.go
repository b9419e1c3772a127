package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func update(t *testing.T, db *store.DB, change func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), unrecorded(change)); err != nil {
		t.Fatal(err)
	}
}

// filled opens a store with an authority and a proven order.
func filled(t *testing.T) (*store.DB, store.Order) {
	t.Helper()
	db := storetest.Open(t)
	o := store.Order{
		ID: "order", State: "proven", Name: "Alice", Language: "en", SecretHash: []byte("s"), ProfileHash: []byte("p"),
		Created: now, Expires: now.Add(time.Hour), Addresses: []string{"alice@example.org", "alias@example.org"},
		Kind: "self", Profile: "basic", Issuer: "local", Use: "dual",
	}
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertAuthority(store.Authority{ID: "root", Name: "root", Kind: "root", KeyURI: "file:r", Certificate: []byte("r"), Created: now}),
			tx.InsertAuthority(store.Authority{ID: "ca", Name: "issuing", Kind: "issuing", ParentID: "root", KeyURI: "file:i", Certificate: []byte("i"), Created: now}),
			tx.InsertProfile(o.ProfileHash, "{}", now), tx.InsertProfile(o.ProfileHash, "{}", now),
			tx.InsertOrder(o))
	})
	return db, o
}

func TestReopen(t *testing.T) {
	source := storetest.Source(t)
	db := open(t, source)
	update(t, db, func(tx *store.Tx) error {
		return tx.InsertOperator(store.Operator{Name: "Example", PolicyArc: "2.25.1", BaseURL: "http://ca.example.org", Created: now})
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, source)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		o, err := tx.Operator()
		if o.Name != "Example" || !o.Created.Equal(now) || o.Created.Location() != time.UTC {
			t.Errorf("after reopening: %+v", o)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a newer program wrote is not touched by an older one.
func TestNewerDatabase(t *testing.T) {
	source := storetest.Source(t)
	if err := open(t, source).Close(); err != nil {
		t.Fatal(err)
	}
	storetest.SQL(t, source, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	db, err := store.Open(t.Context(), source)
	if err == nil {
		db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "newer mailseal") {
		t.Errorf("opened a newer database: %v", err)
	}
}

func TestViewDoesNotWrite(t *testing.T) {
	db := storetest.Open(t)
	err := db.View(t.Context(), func(tx *store.Tx) error { return tx.AddEvent("id", []byte("k"), now) })
	if err == nil {
		t.Error("a view wrote")
	}
}

func TestRollback(t *testing.T) {
	db, _ := filled(t)
	boom := errors.New("boom")
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.InsertPerson(store.Person{ID: "p", Created: now}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("%v, want the error of the function", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = db.Update(ctx, func(tx *store.Tx) error {
		defer cancel()
		return tx.InsertPerson(store.Person{ID: "p", Created: now})
	})
	if err == nil {
		t.Error("committed for a caller who has gone")
	}
	err = db.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Person("p"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after two rollbacks: %v, want %v", err, store.ErrNotFound)
	}
}

// Every change of state happens from the one state that allows it.
func TestConditionalUpdates(t *testing.T) {
	db, o := filled(t)
	row := store.Certificate{ID: "c", AuthorityID: "ca", Serial: []byte{1}, OrderID: o.ID, ProfileHash: o.ProfileHash, KeyHash: []byte("k"), TBS: []byte("t"), Reserved: now}
	other := row
	other.ID, other.OrderID = "d", ""
	steps := []struct {
		name string
		do   func(*store.Tx) error
		want error
	}{
		{"apply again", func(tx *store.Tx) error { return tx.InsertOrder(o) }, store.ErrConflict},
		{"prove again", func(tx *store.Tx) error { return tx.OrderProven(o.ID, "", now) }, store.ErrConflict},
		{"extend", func(tx *store.Tx) error { return tx.ExtendOrder(o.ID, now) }, store.ErrConflict},
		{"key", func(tx *store.Tx) error { return tx.OrderKey(o.ID, []byte("k")) }, nil},
		{"key again", func(tx *store.Tx) error { return tx.OrderKey(o.ID, []byte("k")) }, nil},
		{"other key", func(tx *store.Tx) error { return tx.OrderKey(o.ID, []byte("l")) }, store.ErrConflict},
		{"issue before", func(tx *store.Tx) error { return tx.IssueCertificate("c", []byte("d"), []byte("h"), now, now, now) }, store.ErrConflict},
		{"prepare", func(tx *store.Tx) error { return tx.PrepareCertificate(row) }, nil},
		{"prepare again", func(tx *store.Tx) error { r := row; r.ID, r.Serial = "e", []byte{2}; return tx.PrepareCertificate(r) }, store.ErrConflict},
		{"serial again", func(tx *store.Tx) error { return tx.PrepareCertificate(other) }, store.ErrConflict},
		{"revoke before", func(tx *store.Tx) error { return tx.RevokeCertificate("ca", []byte{1}, now, 1) }, store.ErrConflict},
		{"refuse", func(tx *store.Tx) error { return tx.RefuseCertificate("c", "test") }, nil},
		{"refuse again", func(tx *store.Tx) error { return tx.RefuseCertificate("c", "test") }, store.ErrConflict},
		{"serial of the refused", func(tx *store.Tx) error { return tx.PrepareCertificate(other) }, store.ErrConflict},
		{"prepare anew", func(tx *store.Tx) error { r := row; r.ID, r.Serial = "e", []byte{2}; return tx.PrepareCertificate(r) }, nil},
		{"issue", func(tx *store.Tx) error {
			return tx.IssueCertificate("e", []byte("d"), []byte("h"), now.AddDate(1, 0, 0), now, now)
		}, nil},
		{"issue again", func(tx *store.Tx) error { return tx.IssueCertificate("e", []byte("d"), []byte("i"), now, now, now) }, store.ErrConflict},
		{"order issued", func(tx *store.Tx) error { return tx.OrderIssued(o.ID) }, nil},
		{"order issued again", func(tx *store.Tx) error { return tx.OrderIssued(o.ID) }, store.ErrConflict},
		{"refuse the issued", func(tx *store.Tx) error { return tx.OrderRefused(o.ID, "test") }, store.ErrConflict},
		{"refuse its certificate", func(tx *store.Tx) error { return tx.RefuseCertificate("e", "test") }, store.ErrConflict},
		{"revoke", func(tx *store.Tx) error { return tx.RevokeCertificate("ca", []byte{2}, now, 1) }, nil},
		{"revoke again", func(tx *store.Tx) error { return tx.RevokeCertificate("ca", []byte{2}, now, 4) }, store.ErrConflict},
		{"unknown profile", func(tx *store.Tx) error {
			r := other
			r.Serial, r.ProfileHash = []byte{3}, []byte("x")
			return tx.PrepareCertificate(r)
		}, errAny},
		{"unknown authority", func(tx *store.Tx) error {
			r := other
			r.Serial, r.AuthorityID = []byte{3}, "x"
			return tx.PrepareCertificate(r)
		}, errAny},
	}
	for _, step := range steps {
		err := db.Update(t.Context(), unrecorded(step.do))
		if step.want == errAny && err != nil {
			continue
		}
		if !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		c, err := tx.CertificateOf(o.ID)
		if err != nil {
			return err
		}
		if c.State != "issued" || string(c.TBS) != "t" || string(c.DER) != "d" || c.RevokedFor != 1 || !c.Revoked.Equal(now) || !c.Issued.Equal(now) {
			t.Errorf("in the end %+v", c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var errAny = errors.New("any error")

func TestOrderRoundTrip(t *testing.T) {
	db, want := filled(t)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Order(want.ID)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if _, err := tx.Order("nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown order: %v", err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Only the last challenge of an address is open, and it closes once.
func TestChallenges(t *testing.T) {
	db, o := filled(t)
	c := store.Challenge{ID: "1", OrderID: o.ID, Address: o.Addresses[0], CodeHash: []byte("h"), Created: now, Expires: now.Add(time.Hour)}
	update(t, db, func(tx *store.Tx) error {
		second, alias := c, c
		second.ID = "2"
		alias.ID, alias.Address = "3", o.Addresses[1]
		return errors.Join(tx.InsertChallenge(c), tx.InsertChallenge(alias), tx.InsertChallenge(second))
	})
	update(t, db, func(tx *store.Tx) error {
		open, err := tx.OpenChallenges(o.ID)
		if len(open) != 2 || open[0].ID != "3" || open[1].ID != "2" {
			t.Errorf("open are %+v", open)
		}
		for want := 1; want <= 2; want++ {
			if n, err := tx.ChallengeWrong("2"); n != want || err != nil {
				t.Errorf("wrong codes: %d, %v, want %d", n, err, want)
			}
		}
		if _, err := tx.ChallengeWrong("1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("wrong code for a void challenge: %v", err)
		}
		return errors.Join(err, tx.CloseChallenge("2", "used"))
	})
	for _, id := range []string{"1", "2"} {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.CloseChallenge(id, "used") }); !errors.Is(err, store.ErrConflict) {
			t.Errorf("closing %s again: %v", id, err)
		}
	}
	foreign := c
	foreign.ID, foreign.Address = "4", "eve@example.com"
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertChallenge(foreign) }); err == nil {
		t.Error("a challenge for an address that the order does not have")
	}
}

func TestMailboxHolders(t *testing.T) {
	db, _ := filled(t)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertPerson(store.Person{ID: "a", Name: "Alice", Language: "en", Created: now}),
			tx.InsertPerson(store.Person{ID: "b", Name: "Bob", Language: "ja", Created: now}),
			tx.HoldMailbox("alice@example.org", "Alice@example.org", "a", now))
	})
	err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.HoldMailbox("alice@example.org", "alice@example.org", "b", now) })
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("two hold one mailbox: %v", err)
	}
	update(t, db, func(tx *store.Tx) error { return tx.RenamePerson("a", "Alicia", "ja") })
	err = db.View(t.Context(), func(tx *store.Tx) error {
		p, err := tx.HolderOf("alice@example.org")
		if p.ID != "a" || p.Name != "Alicia" || p.Language != "ja" {
			t.Errorf("held by %+v", p)
		}
		if _, err := tx.HolderOf("bob@example.org"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("held by nobody: %v", err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// CRL numbers rise one by one, whoever asks at the same time.
func TestCRLNumbers(t *testing.T) {
	db, _ := filled(t)
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := db.Update(t.Context(), unrecorded(func(tx *store.Tx) error {
				n, err := tx.CRLNumber("ca")
				if err != nil {
					return err
				}
				n++
				if err := tx.TakeCRLNumber("ca", n); err != nil {
					return err
				}
				mu.Lock()
				seen[n] = true
				mu.Unlock()
				return tx.InsertCRL(store.CRL{AuthorityID: "ca", Number: n, ThisUpdate: now, NextUpdate: now, DER: []byte{byte(n)}})
			}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for n := int64(1); n <= 20; n++ {
		if !seen[n] {
			t.Errorf("number %d was skipped", n)
		}
	}
	update(t, db, func(tx *store.Tx) error {
		last, err := tx.LastCRL("ca", 0)
		if last.Number != 20 {
			t.Errorf("the last is %+v", last)
		}
		for number, want := range map[int64][]byte{20: {20}, 19: {19}, 18: nil} { // who reads the last but one may finish
			if der, err := tx.CRLOctets("ca", number); !bytes.Equal(der, want) || (err != nil) != (want == nil) {
				t.Errorf("list %d is %x, %v, want %x", number, der, err, want)
			}
		}
		if _, err := tx.LastCRL("root", 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of the root: %v", err)
		}
		if _, err := tx.LastCRL("ca", 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of another partition: %v", err)
		}
		for _, number := range []int64{20, 22} {
			if err := tx.TakeCRLNumber("ca", number); !errors.Is(err, store.ErrConflict) {
				t.Errorf("number %d after 20: %v", number, err)
			}
		}
		if err := tx.InsertCRL(store.CRL{AuthorityID: "ca", Number: 19, ThisUpdate: now, NextUpdate: now}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("an older list was stored after: %v", err)
		}
		if _, err := tx.CRLNumber("nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		return err
	})
}

func TestRevocations(t *testing.T) {
	db, o := filled(t)
	update(t, db, func(tx *store.Tx) error {
		var errs []error
		for i := range byte(4) {
			id := string('a' + i)
			end := now.AddDate(0, 0, int(i))
			errs = append(errs,
				tx.PrepareCertificate(store.Certificate{ID: id, AuthorityID: "ca", Serial: []byte{i + 1}, ProfileHash: o.ProfileHash, KeyHash: []byte(id), TBS: []byte(id), Reserved: now}),
				tx.IssueCertificate(id, []byte(id), []byte(id), end, now, now))
			if i != 2 {
				errs = append(errs, tx.RevokeCertificate("ca", []byte{i + 1}, now.Add(time.Duration(i)*time.Minute), int(i)))
			}
		}
		return errors.Join(errs...)
	})
	err := db.View(t.Context(), func(tx *store.Tx) error {
		var list []store.Revocation
		err := tx.EachRevocation("ca", 0, now.AddDate(0, 0, 1), func(r store.Revocation) error {
			list = append(list, r)
			return nil
		})
		if stop := errors.New("stop"); tx.EachRevocation("ca", 0, time.Time{}, func(store.Revocation) error { return stop }) != stop {
			t.Error("does not stop")
		}
		if len(list) != 2 || list[0].Serial[0] != 2 || list[1].Serial[0] != 4 || list[1].Reason != 3 {
			t.Errorf("listed: %+v", list)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEvents(t *testing.T) {
	db, _ := filled(t)
	update(t, db, func(tx *store.Tx) error {
		for i := range 5 {
			if err := tx.AddEvent(fmt.Sprint(i), []byte("k"), now.Add(time.Duration(i)*time.Minute)); err != nil {
				return err
			}
		}
		n, first, err := tx.CountEvents([]byte("k"), now.Add(time.Minute))
		if n != 3 || !first.Equal(now.Add(2*time.Minute)) {
			t.Errorf("after a minute %d, the first at %v", n, first)
		}
		if n, first, err := tx.CountEvents([]byte("other"), now); n != 0 || !first.IsZero() || err != nil {
			t.Errorf("of another kind: %d, %v, %v", n, first, err)
		}
		if err := tx.ForgetEvents(now.Add(3 * time.Minute)); err != nil {
			return err
		}
		if n, _, err := tx.CountEvents([]byte("k"), now.Add(-time.Hour)); n != 1 || err != nil {
			t.Errorf("remembered: %d, %v", n, err)
		}
		return err
	})
}
