package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// world is a data folder with an authority that can be stopped and started.
type world struct {
	*authority.Authority
	t      testing.TB
	dir    string // of the keys
	source string // of the store
	db     *store.DB
	now    time.Time
	stop   func(step string) error
	rand   io.Reader
	v      *validation.Validator
	count  int
}

func p256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := p256()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) clock() time.Time { return w.now }

func (w *world) options() authority.Options {
	return authority.Options{
		Store: w.db, Keys: &keys.Keys{Dir: w.dir, Plaintext: true}, Validation: w.v, Clock: w.clock,
		GenerateKey: p256, Stop: w.stop, Rand: w.rand,
	}
}

func (w *world) openStore() {
	w.t.Helper()
	db, err := store.Open(context.Background(), w.source)
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
}

func found(t testing.TB) *world {
	t.Helper()
	return foundAs(t, authority.Founding{BaseURL: "http://ca.example.org", Dev: true})
}

func foundAs(t testing.TB, f authority.Founding) *world {
	t.Helper()
	return foundAt(t, storetest.Source(t), f)
}

func foundAt(t testing.TB, source string, f authority.Founding) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), source: source, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	w.v = &validation.Validator{Clock: w.clock}
	w.openStore()
	t.Cleanup(func() { w.db.Close() })
	a, err := authority.Found(t.Context(), w.options(), f)
	if err != nil {
		t.Fatal(err)
	}
	w.Authority = a
	return w
}

// restart drops everything in memory and opens the folder again.
func (w *world) restart() {
	w.t.Helper()
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.openStore()
	a, err := authority.Open(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.Authority = a
}

func (w *world) update(change func(*store.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(w.t.Context(), change); err != nil {
		w.t.Fatal(err)
	}
}

// order writes an order that is proven and bound to the key.
func (w *world) order(key crypto.Signer) store.Order {
	w.t.Helper()
	hash, err := issuance.KeyHash(key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	w.count++
	o, err := w.numbered(w.count, hash)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// numbered writes the order of a number.
func (w *world) numbered(n int, keyHash []byte) (store.Order, error) {
	o := store.Order{
		ID: fmt.Sprintf("order%d", n), State: "proven", Language: "en", SecretHash: []byte{1}, ProfileHash: w.Profile().Hash(),
		Created: w.now, Expires: w.now.Add(24 * time.Hour), Addresses: []string{fmt.Sprintf("alice%d@example.org", n)},
	}
	return o, w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertProfile(o.ProfileHash, string(w.Profile().Text()), w.now),
			tx.InsertOrder(o), tx.OrderKey(o.ID, keyHash), w.record(tx, o, store.ActApplied), w.record(tx, o, store.ActProven),
			tx.InsertProof(store.Proof{
				OrderID: o.ID, Address: o.Addresses[0], Method: "3.2.2.2", Proven: w.now, Expires: w.now.Add(validation.ProofLife),
			}))
	})
}

func (w *world) record(tx *store.Tx, o store.Order, act string) error {
	return audit.Append(w.t.Context(), tx, audit.Entry{At: w.now, Act: act, Object: o.ID})
}

func (w *world) issue(o store.Order, key crypto.Signer) (*cert.Certificate, error) {
	w.t.Helper()
	return w.Issue(w.t.Context(), w.warrant(o), key.Public())
}

func (w *world) warrant(o store.Order) (warrant validation.Warrant) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		warrant, err = w.v.Warrant(tx, o)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return warrant
}

// state reads what there is of an order.
func (w *world) state(o store.Order) (order store.Order, row store.Certificate, has bool) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		if order, err = tx.Order(o.ID); err != nil {
			return err
		}
		row, err = tx.CertificateOf(o.ID)
		has = err == nil
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return order, row, has
}

// check re-derives what must hold at rest: nothing is half done, an order is
// issued exactly when it has a certificate, and that is the prepared bytes
// signed by the authority, for the order's mailbox and key.
func (w *world) check(orders ...store.Order) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *store.Tx) error {
		rows, err := tx.UnfinishedCertificates()
		if len(rows) != 0 {
			w.t.Errorf("%d certificates are half done", len(rows))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	serials := map[string]bool{}
	for _, o := range orders {
		order, row, has := w.state(o)
		if has != (order.State == "issued") {
			w.t.Errorf("order %s is %s, certificate: %v", o.ID, order.State, has)
		}
		if !has {
			continue
		}
		c, err := cert.Parse(row.DER)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := c.CheckSignatureFrom(w.Chain()[0]); err != nil {
			w.t.Error(err)
		}
		hash, err := issuance.KeyHash(c.PublicKey)
		if err != nil {
			w.t.Fatal(err)
		}
		if !bytes.Equal(c.RawTBS, row.TBS) || !bytes.Equal(c.Serial.Bytes(), row.Serial) || !bytes.Equal(hash, order.KeyHash) {
			w.t.Errorf("order %s: the certificate is not what was prepared", o.ID)
		}
		if got := c.Emails(); len(got) != 1 || got[0] != o.Addresses[0] {
			w.t.Errorf("order %s: the certificate names %q", o.ID, got)
		}
		if serials[c.SerialHex()] {
			w.t.Errorf("serial number %s is there twice", c.SerialHex())
		}
		serials[c.SerialHex()] = true
	}
}

var errCrash = errors.New("crash")

// crashAt stops at a step, every time.
func (w *world) crashAt(step string) {
	w.stop = func(s string) error {
		if s == step {
			return errCrash
		}
		return nil
	}
}

// What cannot be finished keeps neither the start nor the others waiting, and is
// tried again.
func TestRecoverGoesOn(t *testing.T) {
	w := found(t)
	key, other := newKey(t), newKey(t)
	first, second := w.order(key), w.order(other)
	w.crashAt(authority.StepPrepared)
	w.restart()
	for o, k := range map[*store.Order]crypto.Signer{&first: key, &second: other} {
		if _, err := w.issue(*o, k); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	signed := 0
	w.stop = func(step string) error {
		if step == authority.StepSigned {
			if signed++; signed == 1 {
				return errCrash
			}
		}
		return nil
	}
	w.restart()
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	issued := 0
	for _, o := range []store.Order{first, second} {
		if order, _, _ := w.state(o); order.State == "issued" {
			issued++
		}
	}
	if issued != 1 {
		t.Errorf("%d of two are finished", issued)
	}
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.check(first, second)
}

// At every durable step the process ends. After the restart the order has its
// certificate, or can still get it, and nothing is half done.
func TestCrash(t *testing.T) {
	for _, step := range authority.Steps() {
		t.Run(step, func(t *testing.T) {
			w := found(t)
			key := newKey(t)
			o := w.order(key)
			w.crashAt(step)
			w.restart()
			if _, err := w.issue(o, key); !errors.Is(err, errCrash) {
				t.Fatalf("no crash: %v", err)
			}
			_, before, _ := w.state(o)

			w.stop = nil
			w.restart()
			if err := w.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.check(o)
			order, after, has := w.state(o)
			if !has {
				t.Errorf("after the restart the order is %s", order.State)
			}
			if !bytes.Equal(before.Serial, after.Serial) {
				t.Error("another certificate than the one that was prepared")
			}
			c, err := w.issue(o, key)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(c.Raw, after.DER) {
				t.Error("the order got a second certificate")
			}
			w.check(o)
		})
	}
}

// The same, but the call is repeated in the same process; and a crash while
// what a crash left is being finished.
func TestCrashAndRetry(t *testing.T) {
	for _, step := range authority.Steps() {
		t.Run(step, func(t *testing.T) {
			w := found(t)
			key := newKey(t)
			o := w.order(key)
			w.crashAt(step)
			w.restart()
			for range 3 {
				_, err := w.issue(o, key)
				if err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				if err := w.Recover(t.Context()); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			w.stop = nil
			w.restart()
			if _, err := w.issue(o, key); err != nil {
				t.Fatal(err)
			}
			if err := w.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.check(o)
		})
	}
}

// What was prepared is not signed any more when the order lost its right to it.
func TestRecoverRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*world, store.Order, store.Certificate){
		"order refused": func(w *world, o store.Order, _ store.Certificate) {
			w.update(func(tx *store.Tx) error {
				return errors.Join(tx.OrderRefused(o.ID, "test"), w.record(tx, o, store.ActDenied))
			})
		},
		"proof expired": func(w *world, _ store.Order, _ store.Certificate) { w.now = w.now.Add(validation.ProofLife) },
		"certificate expired": func(w *world, _ store.Order, _ store.Certificate) {
			w.now = w.now.AddDate(3, 0, 0)
			w.sql(`UPDATE proofs SET expires_at = $1`, w.now.AddDate(1, 0, 0).Unix())
		},
		"bytes changed": func(w *world, _ store.Order, row store.Certificate) {
			changed := bytes.Replace(row.TBS, []byte("alice1@"), []byte("malice@"), 1)
			w.sql(`UPDATE certificates SET tbs = $1 WHERE id = $2`, changed, row.ID)
		},
		"bytes lost": func(w *world, _ store.Order, row store.Certificate) {
			w.sql(`UPDATE certificates SET tbs = NULL WHERE id = $1`, row.ID)
		},
		"serial changed": func(w *world, _ store.Order, row store.Certificate) {
			w.sql(`UPDATE certificates SET serial = $1 WHERE id = $2`, []byte{1, 2, 3}, row.ID)
		},
		"key of the order changed": func(w *world, o store.Order, _ store.Certificate) {
			w.sql(`UPDATE orders SET key_hash = $1 WHERE id = $2`, make([]byte, 32), o.ID)
		},
		"address of the order changed": func(w *world, o store.Order, _ store.Certificate) {
			w.sql(`DELETE FROM proofs`)
			w.sql(`UPDATE order_mailboxes SET address = 'eve@example.com' WHERE order_id = $1`, o.ID)
			w.sql(`INSERT INTO proofs VALUES ($1, 'eve@example.com', '3.2.2.2', '', $2, $3)`, o.ID, w.now.Unix(), w.now.Unix()+1000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := found(t)
			key := newKey(t)
			o := w.order(key)
			w.crashAt(authority.StepPrepared)
			w.restart()
			if _, err := w.issue(o, key); !errors.Is(err, errCrash) {
				t.Fatalf("no crash: %v", err)
			}
			_, row, _ := w.state(o)
			w.stop = nil
			spoil(w, o, row)
			w.restart()
			if err := w.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.check(o)
			if _, _, has := w.state(o); has {
				t.Error("it was issued")
			}
		})
	}
}

// sql changes the database behind the store's back.
func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	storetest.SQL(w.t, w.source, query, args...)
}

func TestSecondStart(t *testing.T) {
	w := found(t)
	root, issuing, policy := w.Root(), w.Chain()[0], w.Profile().Hash()
	before, err := w.CRL(t.Context(), "issuing", 0)
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	if !w.Root().Equal(root) || !w.Chain()[0].Equal(issuing) || !bytes.Equal(w.Profile().Hash(), policy) {
		t.Error("another authority after the restart")
	}
	after, err := w.CRL(t.Context(), "issuing", 0)
	if err != nil || !bytes.Equal(before.DER, after.DER) {
		t.Errorf("another CRL after the restart, %v", err)
	}
	if _, err := authority.Found(t.Context(), w.options(), authority.Founding{BaseURL: "http://ca.example.org", Dev: true}); !errors.Is(err, authority.ErrFounded) {
		t.Errorf("founding again: %v, want %v", err, authority.ErrFounded)
	}
	if got := root.Subject.String(); got != `CN=mailseal Root (DEV\, do not trust),O=mailseal,C=XX` {
		t.Errorf("the root's name is %s", got)
	}
}

func TestFoundingRefusals(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), source: storetest.Source(t), now: time.Now()}
	w.openStore()
	defer w.db.Close()
	if _, err := authority.Open(t.Context(), w.options()); !errors.Is(err, authority.ErrNone) {
		t.Errorf("opening an empty store: %v, want %v", err, authority.ErrNone)
	}
	o := w.options()
	broken := o
	broken.GenerateKey = func() (crypto.Signer, error) { return nil, errCrash }
	locked := o
	locked.Keys = &keys.Keys{Dir: w.dir}
	for name, err := range map[string]error{
		"no operator":        foundError(t, o, authority.Founding{BaseURL: "http://ca.example.org"}),
		"localhost":          foundError(t, o, authority.Founding{Organization: "Example", BaseURL: "http://LOCALHOST.:8080"}),
		"loopback":           foundError(t, o, authority.Founding{Organization: "Example", BaseURL: "http://127.0.0.1"}),
		"loopback 6":         foundError(t, o, authority.Founding{Organization: "Example", BaseURL: "http://[::1]:8080"}),
		"mapped loopback":    foundError(t, o, authority.Founding{Organization: "Example", BaseURL: "http://[::ffff:127.0.0.1]"}),
		"any address":        foundError(t, o, authority.Founding{Organization: "Example", BaseURL: "http://0.0.0.0"}),
		"query":              foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org?a=b"}),
		"policy arc":         foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org", PolicyArc: "1.2.three"}),
		"reserved arc":       foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org", PolicyArc: "2.23.140.1.5.1"}),
		"mail domain":        foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org", Domains: []string{"a@b"}}),
		"two roots":          foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org", Root: found(t).Root(), RootOnly: true}),
		"no root":            foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org", Root: found(t).Chain()[0]}),
		"no address":         foundError(t, o, authority.Founding{Dev: true}),
		"https":              foundError(t, o, authority.Founding{Dev: true, BaseURL: "https://ca.example.org"}),
		"final slash":        foundError(t, o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org/"}),
		"broken generator":   foundError(t, broken, authority.Founding{Dev: true, BaseURL: "http://ca.example.org"}),
		"no place for a key": foundError(t, locked, authority.Founding{Dev: true, BaseURL: "http://ca.example.org"}),
	} {
		if err == nil {
			t.Errorf("%s: founded", name)
		}
	}
	if _, err := authority.Found(t.Context(), o, authority.Founding{Dev: true, BaseURL: "http://ca.example.org"}); err != nil {
		t.Errorf("after all these: %v", err)
	}
}

func foundError(t *testing.T, o authority.Options, f authority.Founding) error {
	_, err := authority.Found(t.Context(), o, f)
	return err
}

func TestKeyOfAnotherFolder(t *testing.T) {
	w, other := found(t), found(t)
	files, err := filepath.Glob(filepath.Join(w.dir, "keys", "issuing-*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	others, err := filepath.Glob(filepath.Join(other.dir, "keys", "issuing-*.pem"))
	if err != nil || len(others) != 1 {
		t.Fatal(others, err)
	}
	if err := os.Rename(others[0], files[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Open(t.Context(), w.options()); err == nil {
		t.Error("opened with the key of another authority")
	}
}

// A serial number that is taken is drawn again; when randomness is broken,
// nothing is issued.
func TestSerialTaken(t *testing.T) {
	w := found(t)
	keys := []crypto.Signer{newKey(t), newKey(t), newKey(t)}
	orders := []store.Order{w.order(keys[0]), w.order(keys[1]), w.order(keys[2])}
	serial := bytes.Repeat([]byte{0x41}, 16)
	ids := [][]byte{bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16), bytes.Repeat([]byte{3}, 16), bytes.Repeat([]byte{4}, 16)}
	fresh := bytes.Repeat([]byte{0x42}, 16)
	w.rand = bytes.NewReader(bytes.Join([][]byte{serial, ids[0], serial, ids[1], fresh, ids[2]}, nil))
	w.restart()
	first, err := w.issue(orders[0], keys[0])
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.issue(orders[1], keys[1])
	if err != nil {
		t.Fatal(err)
	}
	if first.Serial.Cmp(new(big.Int).SetBytes(serial)) != 0 || second.Serial.Cmp(new(big.Int).SetBytes(fresh)) != 0 {
		t.Errorf("serial numbers %x and %x", first.Serial, second.Serial)
	}
	w.rand = endless(serial)
	w.restart()
	if _, err := w.issue(orders[2], keys[2]); err == nil {
		t.Error("issued with a serial number that is taken")
	}
	w.check(orders...)
}

// endless repeats itself: broken randomness.
type endless []byte

func (e endless) Read(p []byte) (int, error) { return copy(p, e), nil }

func TestIssueRefusals(t *testing.T) {
	w := found(t)
	key := newKey(t)
	o := w.order(key)
	warrant := w.warrant(o)
	other := w.order(newKey(t))
	if _, err := w.Issue(t.Context(), validation.Warrant{}, key.Public()); !errors.Is(err, authority.ErrNotAllowed) {
		t.Errorf("no warrant: %v, want %v", err, authority.ErrNotAllowed)
	}
	for _, when := range []string{"before", "after"} { // it has a certificate
		if _, err := w.Issue(t.Context(), warrant, newKey(t).Public()); !errors.Is(err, authority.ErrOtherKey) {
			t.Errorf("another key %s: %v, want %v", when, err, authority.ErrOtherKey)
		}
		w.check(o, other)
		if _, err := w.Issue(t.Context(), warrant, key.Public()); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(validation.ProofLife)
	if _, err := w.Issue(t.Context(), warrant, key.Public()); !errors.Is(err, authority.ErrNotAllowed) {
		t.Errorf("expired warrant: %v, want %v", err, authority.ErrNotAllowed)
	}
	w.check(o, other)
}

// A refusal by the profile burns the serial number, not the order.
func TestWeakKeyLeavesTheOrder(t *testing.T) {
	w := found(t)
	weak, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o := w.order(weak)
	if _, err := w.issue(o, weak); !errors.Is(err, issuance.ErrWeakKey) {
		t.Errorf("%v, want %v", err, issuance.ErrWeakKey)
	}
	w.check(o)
	if order, _, has := w.state(o); has || order.State != "proven" {
		t.Errorf("the order is %s, certificate: %v", order.State, has)
	}
}

func (w *world) crl(name string) *x509.RevocationList {
	w.t.Helper()
	served, err := w.CRL(w.t.Context(), name, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(served.DER)
	if err != nil {
		w.t.Fatal(err)
	}
	if list.Number.Int64() != served.Number || !list.ThisUpdate.Equal(served.ThisUpdate) || !list.NextUpdate.Equal(served.NextUpdate) {
		w.t.Errorf("the list says other numbers than its row")
	}
	return list
}

// TestRevokeBeforeTheFirstList holds that the very first list has what was
// revoked before it.
func TestRevokeBeforeTheFirstList(t *testing.T) {
	w := found(t)
	key := newKey(t)
	c, err := w.issue(w.order(key), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	list := w.crl("issuing")
	if list.Number.Int64() != 1 || len(list.RevokedCertificateEntries) != 1 {
		t.Errorf("number %v with %d entries, want the first list with one", list.Number, len(list.RevokedCertificateEntries))
	}
}

func TestCRLs(t *testing.T) {
	w := found(t)
	if _, err := w.CRL(t.Context(), "nobody", 0); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("CRL of nobody: %v", err)
	}
	first := w.crl("issuing")
	if first.Number.Int64() != 1 || w.crl("root").Number.Int64() != 1 {
		t.Error("the first lists are not number 1")
	}
	if life := first.NextUpdate.Sub(first.ThisUpdate); life > 10*24*time.Hour {
		t.Errorf("subscribers' list lives %v, the BR allow 10 days", life)
	}
	w.now = w.now.Add(23 * time.Hour)
	if n := w.crl("issuing").Number.Int64(); n != 1 {
		t.Errorf("after 23 hours number %d", n)
	}
	w.now = w.now.Add(time.Hour)
	if n := w.crl("issuing").Number.Int64(); n != 2 {
		t.Errorf("after a day number %d", n)
	}

	key := newKey(t)
	c, err := w.issue(w.order(key), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	list := w.crl("issuing")
	if list.Number.Int64() != 3 || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(c.Serial) != 0 ||
		list.RevokedCertificateEntries[0].ReasonCode != int(cert.KeyCompromise) {
		t.Errorf("after the revocation number %v with %v", list.Number, list.RevokedCertificateEntries)
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	if err := w.Revoke(t.Context(), big.NewInt(1), cert.KeyCompromise); !errors.Is(err, authority.ErrUnknown) {
		t.Errorf("unknown serial number: %v", err)
	}
	for _, reason := range []cert.Reason{cert.CACompromise, 7, 8, 10, -1} {
		if err := w.Revoke(t.Context(), c.Serial, reason); err == nil || errors.Is(err, authority.ErrUnknown) {
			t.Errorf("reason %d: %v", reason, err)
		}
	}

	// The clock is set back: the numbers go on, the times do not go back.
	w.now = w.now.Add(-12 * time.Hour)
	key = newKey(t)
	o := w.order(key)
	w.now = w.now.Add(time.Minute)
	other, err := w.issue(o, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Revoke(t.Context(), other.Serial, cert.Unspecified); err != nil {
		t.Fatal(err)
	}
	if next := w.crl("issuing"); next.Number.Int64() != 4 || next.ThisUpdate.Before(list.ThisUpdate) {
		t.Errorf("clock set back: number %v of %v after %v", next.Number, next.ThisUpdate, list.ThisUpdate)
	}

	// An entry stays until it was on a list made after the certificate's end.
	w.now = c.NotAfter.Add(time.Hour)
	if n := len(w.crl("issuing").RevokedCertificateEntries); n != 2 {
		t.Errorf("on the first list after the end %d entries, want 2", n)
	}
	w.now = w.now.Add(25 * time.Hour)
	if n := len(w.crl("issuing").RevokedCertificateEntries); n != 0 {
		t.Errorf("on the second list after the end %d entries, want none", n)
	}
}

// When the store cannot be written, the last list is served while it is valid.
func TestCRLWhenTheDiskIsFull(t *testing.T) {
	w := found(t)
	w.crl("issuing")
	allow := storetest.Refuse(t, w.source, "INSERT ON crls")
	w.now = w.now.Add(48 * time.Hour)
	if n := w.crl("issuing").Number.Int64(); n != 1 {
		t.Errorf("number %d", n)
	}
	w.now = w.now.Add(6 * 24 * time.Hour)
	if _, err := w.CRL(t.Context(), "issuing", 0); err == nil {
		t.Error("a stale list was served")
	}
	allow()
	if n := w.crl("issuing").Number.Int64(); n != 2 {
		t.Errorf("after that number %d, want 2: numbers are not skipped", n)
	}
}

// The write that fails takes all of the step with it.
func TestFailingWrites(t *testing.T) {
	for _, event := range []string{"INSERT ON certificates", "UPDATE ON certificates", "UPDATE OF state ON orders"} {
		t.Run(event, func(t *testing.T) {
			w := found(t)
			key := newKey(t)
			o := w.order(key)
			allow := storetest.Refuse(t, w.source, event)
			if _, err := w.issue(o, key); err == nil {
				t.Fatal("issued without a place for it")
			}
			allow()
			if _, err := w.issue(o, key); err != nil {
				t.Fatal(err)
			}
			w.check(o)
		})
	}
}

// Two nodes have the same order in hand: both get the one certificate.
func TestOvertaken(t *testing.T) {
	w := found(t)
	key := newKey(t)
	o := w.order(key)
	other, err := authority.Open(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	shared := w.options()
	shared.Shared = true
	cautious, err := authority.Open(t.Context(), shared)
	if err != nil {
		t.Fatal(err)
	}
	// While this node has signed and not yet stored, the others tidy up.
	w.stop = func(step string) error {
		if step != authority.StepSigned {
			return nil
		}
		if err := cautious.Recover(t.Context()); err != nil {
			t.Error(err)
		}
		if _, row, _ := w.state(o); row.State != "prepared" {
			t.Errorf("a node at work lost its certificate to one that started: %s", row.State)
		}
		return other.Recover(t.Context())
	}
	if w.Authority, err = authority.Open(t.Context(), w.options()); err != nil {
		t.Fatal(err)
	}
	c, err := w.issue(o, key)
	if err != nil {
		t.Fatal(err)
	}
	w.check(o)
	again, err := w.issue(o, key)
	if err != nil || !again.Equal(c) {
		t.Errorf("asked again: another certificate, or %v", err)
	}
	// What has settled is taken up by a node that runs.
	key = newKey(t)
	o = w.order(key)
	w.stop = func(step string) error {
		if step == authority.StepPrepared {
			return errCrash
		}
		return nil
	}
	if w.Authority, err = authority.Open(t.Context(), w.options()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.issue(o, key); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); cautious.Maintain(ctx) }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, row, _ := w.state(o); row.State == "issued" || time.Now().After(end) {
			break
		}
	}
	stop()
	<-done
	w.check(o)
	if _, row, _ := w.state(o); row.State != "issued" {
		t.Error("what a node left behind was not finished")
	}
}

// A key that recovery officers can give to others signs nothing.
func TestEscrowedKey(t *testing.T) {
	w := found(t)
	key := newKey(t)
	o := w.order(key)
	hash, err := issuance.KeyHash(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertOrganization(store.Organization{ID: "org", Standing: "active", Created: w.now}), w.record(tx, o, store.ActOrganization),
			tx.InsertPerson(store.Person{ID: "p", Created: w.now}),
			tx.InsertRecoveryQuorum(store.RecoveryQuorum{ID: "q", OrganizationID: "org", Threshold: 2, Proposed: w.now}, nil), w.record(tx, o, store.ActOfficersProposed),
			tx.InsertRecoveryEscrow(store.RecoveryEscrow{ID: "e", OrganizationID: "org", PersonID: "p", KeyHash: hash, QuorumID: "q", Sealed: []byte("s"), Created: w.now}),
			w.record(tx, o, store.ActEscrowed))
	})
	if _, err := w.issue(o, key); !errors.Is(err, issuance.ErrWeakKey) {
		t.Errorf("%v, want %v", err, issuance.ErrWeakKey)
	}
	if _, _, has := w.state(o); has {
		t.Error("there is a certificate that signs")
	}
}

// An order that brought a key to be kept gets a certificate for no other: another
// node may have taken in a second key, for which the first was dropped, after this
// one had looked.
func TestKeyThatGaveWay(t *testing.T) {
	w := found(t)
	dropped, kept := newKey(t), newKey(t)
	hash, err := issuance.KeyHash(kept.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.count++
	o, err := w.numbered(w.count, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertOrganization(store.Organization{ID: "org", Standing: "active", Created: w.now}), w.record(tx, o, store.ActOrganization),
			tx.InsertPerson(store.Person{ID: "p", Created: w.now}),
			tx.InsertRecoveryQuorum(store.RecoveryQuorum{ID: "q", OrganizationID: "org", Threshold: 2, Proposed: w.now}, nil), w.record(tx, o, store.ActOfficersProposed),
			tx.InsertRecoveryEscrow(store.RecoveryEscrow{ID: "e", OrganizationID: "org", PersonID: "p", OrderID: o.ID, KeyHash: hash, QuorumID: "q", Sealed: []byte("s"), Created: w.now}),
			w.record(tx, o, store.ActEscrowed))
	})
	if _, err := w.issue(o, dropped); !errors.Is(err, authority.ErrOtherKey) {
		t.Errorf("%v, want %v", err, authority.ErrOtherKey)
	}
	if _, _, has := w.state(o); has {
		t.Error("the key that gave way has a certificate")
	}
	err = w.db.View(t.Context(), func(tx *store.Tx) error {
		standing, err := tx.StandingOfKey(hash, o.ID)
		if err == nil && !(standing.Open && standing.Escrowed) {
			t.Errorf("the key that is kept: %+v", standing)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.issue(w.order(dropped), dropped); err != nil {
		t.Errorf("for an order that brought none: %v", err)
	}
}
