package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// world is a store with an authority, a log, an order and a session, and its
// data folder with a key.
type world struct {
	t    testing.TB
	dir  string
	db   *store.DB
	key  *age.X25519Identity
	next int
}

func filled(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), db: storetest.Open(t)}
	var err error
	if w.key, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(t.Context(), audit.Options{Store: w.db, Keys: &keys.Keys{Dir: w.dir, Plaintext: true}, Clock: clock}); err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertAuthority(store.Authority{ID: "ca", Name: "issuing", Kind: "root", KeyURI: "file:r", Certificate: []byte{0, 0xff, '"'}, CRLNumber: 7, Created: now}),
			w.entry(tx, store.ActAuthority, "ca"),
			tx.InsertAuthority(store.Authority{ID: "b", Name: "b", Kind: "issuing", ParentID: "ca", KeyURI: "file:i", Certificate: []byte("i"), Created: now}),
			w.entry(tx, store.ActAuthority, "b"),
			tx.InsertProfile([]byte("p"), "{}", now),
			tx.InsertAdministrator(store.Administrator{ID: "a", Email: "a@example.org", EmailKey: "a", Name: "\u6c34 \u2028<&>", Password: "x", Created: now}),
			tx.InsertAdministratorSession(store.AdministratorSession{TokenHash: []byte("t"), AdministratorID: "a", Created: now, Seen: now, Expires: now.Add(time.Hour)}))
	})
	w.order()
	w.job()
	return w
}

// job leaves a job that is done, whose payload has no octets any more.
func (w *world) job() {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		return tx.InsertJob(store.Job{ID: "j", Kind: "mail", Key: "k", Payload: []byte("x"), Due: now, MaxAttempts: 1, Created: now})
	})
	w.update(func(tx *store.Tx) error {
		jobs, err := tx.TakeJobs("mail", "h", now, now, 1)
		if err != nil {
			return err
		}
		return tx.JobDone(jobs[0], now)
	})
}

func (w *world) entry(tx *store.Tx, act, object string) error {
	return audit.Append(context.Background(), tx, audit.Entry{At: now, Act: act, Object: object, Details: map[string]string{"serial": "01", "sha256": object, "reason": "1"}})
}

func (w *world) update(change func(*store.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(context.Background(), change); err != nil {
		w.t.Error(err)
	}
}

func (w *world) order() {
	w.t.Helper()
	w.next++
	id := fmt.Sprintf("order%d", w.next)
	w.update(func(tx *store.Tx) error {
		return errors.Join(tx.InsertOrder(store.Order{
			ID: id, State: "applied", Name: "Alice", Language: "en", SecretHash: []byte{0}, ProfileHash: []byte("p"),
			Created: now, Expires: now, Addresses: []string{id + "@example.org"},
		}), w.entry(tx, store.ActApplied, id))
	})
}

func (w *world) copy(withKeys bool) ([]byte, *Summary) {
	w.t.Helper()
	o := Options{To: []age.Recipient{w.key.Recipient()}, Clock: clock, Program: "test"}
	if withKeys {
		o.Keys = w.dir
	}
	var b bytes.Buffer
	s, err := Write(w.t.Context(), w.db, &b, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes(), s
}

// busy writes orders until stop is called.
func (w *world) busy() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				w.order()
			}
		}
	}()
	return func() { close(quit); <-done }
}

// A copy that is made while others write is one consistent state, and what is
// restored of it goes ahead.
func TestBackupUnderLoad(t *testing.T) {
	w := filled(t)
	stop := w.busy()
	for w.db.View(t.Context(), func(tx *store.Tx) error {
		if last, err := tx.LastAuditEntry(); err != nil || last.Seq < 50 {
			return io.EOF
		}
		return nil
	}) != nil {
		time.Sleep(time.Millisecond)
	}
	data, s := w.copy(true)
	stop()
	if s.Rows["orders"] < 40 || s.Entries < 50 || len(s.Files) != 1 {
		t.Fatalf("%+v", s)
	}
	place := Place{Data: filepath.Join(t.TempDir(), "new", "data")}
	if storetest.Postgres() { // to the other engine half of the time
		place.Source = storetest.Source(t)
		storetest.SQL(t, place.Source, `DROP SCHEMA public CASCADE`)
		storetest.SQL(t, place.Source, `CREATE SCHEMA public`)
	}
	r, err := Restore(t.Context(), bytes.NewReader(data), place, Restoring{Clock: clock}, w.key)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Audit.Good() || r.Audit.Head != s.Head {
		t.Errorf("audit log of the copy: %+v", r.Audit)
	}
	again(t, w, place, s)
	if _, err := Restore(t.Context(), bytes.NewReader(data), place, Restoring{Clock: clock}, w.key); !errors.Is(err, ErrOccupied) {
		t.Errorf("restored over it: %v", err)
	}
}

// again opens what was restored and looks at it.
func again(t *testing.T, w *world, place Place, s *Summary) {
	t.Helper()
	if place.Source == "" {
		place.Source = filepath.Join(place.Data, "mailseal.db")
	}
	db, err := store.Open(t.Context(), place.Source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if report, err := audit.Verify(t.Context(), db, nil); err != nil || !report.Good() || report.Entries != s.Entries+1 {
		t.Errorf("afterwards: %+v, %v", report, err)
	}
	err = db.View(t.Context(), func(tx *store.Tx) error {
		last, err := tx.LastAuditEntry()
		if last.Act != audit.ActRestored || !strings.Contains(last.Details, s.Head) {
			t.Errorf("the last entry is %+v", last)
		}
		list, listErr := tx.Authorities()
		if len(list) != 2 || list[0].CRLNumber != 7+crlGap || !bytes.Equal(list[0].Certificate, []byte{0, 0xff, '"'}) || list[1].ParentID != "ca" {
			t.Errorf("authorities: %+v", list)
		}
		a, adminErr := tx.Administrator("a")
		if a.Name != "\u6c34 \u2028<&>" || !a.Created.Equal(now) {
			t.Errorf("administrator: %+v", a)
		}
		if _, err := tx.AdministratorSession([]byte("t")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the session is there: %v", err)
		}
		return errors.Join(err, listErr, adminErr)
	})
	if err != nil {
		t.Error(err)
	}
	// The references hold again.
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.InsertProof(store.Proof{OrderID: "nobody's", Address: "x", Proven: now, Expires: now})
	})
	if err == nil {
		t.Error("a proof of no order was written")
	}
	if _, err := audit.Open(t.Context(), audit.Options{Store: db, Keys: &keys.Keys{Dir: place.Data, Plaintext: true}, Clock: clock}); err != nil {
		t.Errorf("the key of the log: %v", err)
	}
	for name := range s.Files {
		info, err := os.Stat(filepath.Join(place.Data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// A copy that was cut, changed or belongs to somebody else makes nothing.
func TestDamaged(t *testing.T) {
	if storetest.Postgres() {
		return // what is read does not know where it came from
	}
	w := filled(t)
	data, _ := w.copy(false)
	place := Place{Data: filepath.Join(t.TempDir(), "data")}
	refused := func(what string, data []byte, want error, key age.Identity) {
		t.Helper()
		_, err := Restore(t.Context(), bytes.NewReader(data), place, Restoring{Clock: clock}, key)
		if !errors.Is(err, want) && !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if left, err := os.ReadDir(filepath.Dir(place.Data)); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v, %v", what, left, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bad := bytes.Clone(data)
		bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		refused("changed", bad, ErrNotABackup, w.key)
		refused("cut", data[:r.IntN(len(data))], ErrNotABackup, w.key)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	refused("of somebody else", data, ErrKey, other)
	if err := os.Mkdir(place.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(data), place, Restoring{Clock: clock}, w.key); err != nil {
		t.Errorf("to an empty folder: %v", err)
	}
}

// Lines that nobody of us wrote, by somebody who has the key.
func TestLines(t *testing.T) {
	const header = `{"mailseal-backup":1}` + "\n"
	for name, lines := range map[string]string{
		"nothing":          "",
		"no header":        `{"table":"orders","columns":["id"]}` + "\n",
		"another format":   `{"mailseal-backup":2}` + "\n",
		"no end":           header,
		"row of no table":  header + `["a"]` + "\n",
		"row too long":     header + `{"table":"orders","columns":["id"]}` + "\n" + `["a","b"]` + "\n",
		"object in a row":  header + `{"table":"orders","columns":["id"]}` + "\n" + `[{"x":1}]` + "\n",
		"list in a row":    header + `{"table":"orders","columns":["id"]}` + "\n" + `[[1]]` + "\n",
		"fraction in row":  header + `{"table":"orders","columns":["id"]}` + "\n" + `[1.5]` + "\n",
		"table twice":      header + strings.Repeat(`{"table":"orders","columns":["id"]}`+"\n", 2),
		"way out":          header + `{"file":"keys/../x.pem","data":""}` + "\n",
		"other folder":     header + `{"file":"mailseal.db","data":""}` + "\n",
		"hidden":           header + `{"file":"keys/.x","data":""}` + "\n",
		"large file":       header + `{"file":"keys/x.pem","data":"` + strings.Repeat("AAAA", maxFile/3+1) + `"}` + "\n",
		"long line":        header + strings.Repeat("x", maxLine+1),
		"wrong end":        header + `{"rows":{},"files":{},"sha256":"00"}` + "\n",
		"unknown kind":     header + `{"what":1}` + "\n",
		"not JSON":         header + "x\n",
		"more after it":    header + end(header) + "x\n",
		"other row counts": header + strings.Replace(end(header), `"rows":{}`, `"rows":{"orders":1}`, 1),
	} {
		if _, err := readLines(strings.NewReader(lines), visitor{}); !errors.Is(err, ErrNotABackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readLines(strings.NewReader(header+end(header)), visitor{}); err != nil {
		t.Errorf("the smallest copy: %v", err)
	}
}

func FuzzLines(f *testing.F) {
	const header = `{"mailseal-backup":1}` + "\n"
	f.Add(header + end(header))
	f.Add(header + `{"table":"orders","columns":["id","x"]}` + "\n" + `[1,{"b":"AA=="}]` + "\n")
	f.Fuzz(func(t *testing.T, lines string) {
		_, _ = readLines(strings.NewReader(lines), visitor{
			file: func(name string, _ []byte) error {
				if !filepath.IsLocal(name) || filepath.Dir(name) != keyFolder {
					t.Errorf("%q leads elsewhere", name)
				}
				return nil
			},
			row: func([]any) error { return nil },
		})
	})
}

// A copy under a passphrase, as the drill makes none.
func TestPassphrase(t *testing.T) {
	w := filled(t)
	to, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	var b bytes.Buffer
	if _, err := Write(t.Context(), w.db, &b, Options{To: []age.Recipient{to}, Clock: clock}); err != nil {
		t.Fatal(err)
	}
	for passphrase, want := range map[string]error{"correct horse": nil, "wrong horse": ErrKey} {
		key, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(bytes.NewReader(b.Bytes()), key); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", passphrase, err, want)
		}
	}
}

func TestDrill(t *testing.T) {
	w := filled(t)
	stop := w.busy()
	temp := t.TempDir()
	d, err := Drill(t.Context(), w.db, temp, Options{Clock: clock, Keys: w.dir})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	if !d.Audit.Good() || d.Rows["orders"] == 0 || d.Octets == 0 {
		t.Errorf("%+v", d)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// What came after a copy is named, from an export of the log.
func TestCompare(t *testing.T) {
	w := filled(t)
	_, s := w.copy(false)
	w.update(func(tx *store.Tx) error { return w.entry(tx, store.ActIssued, "late") })
	w.update(func(tx *store.Tx) error { return w.entry(tx, store.ActRevoked, "early") })
	export := export(t, w)
	lost, err := Compare(strings.NewReader(export), s)
	if err != nil || lost.Entries != 3 || len(lost.Issued) != 1 || lost.Issued[0].SHA256 != "late" || len(lost.Revoked) != 1 || lost.Revoked[0].Reason != "1" {
		t.Errorf("%+v, %v", lost, err)
	}
	for name, bad := range map[string]string{
		"changed":     strings.Replace(export, `"object":"late"`, `"object":"lete"`, 1),
		"a line gone": strings.Replace(export, lineOf(export, s.Entries+1), "", 1),
		"too short":   lineOf(export, 1),
		"no JSON":     "x",
	} {
		if bad == export {
			t.Fatalf("%s: nothing", name)
		}
		if _, err := Compare(strings.NewReader(bad), s); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
}
