package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// row is an entry as somebody sees it who has the database and no key.
type row struct {
	seq, at                     int64
	actor, act, object, details string
	hash                        []byte
}

// chain computes hashes as docs/audit.md describes them, in code of its own.
func chain(rows []row, from int) {
	for i := from; i < len(rows); i++ {
		var previous []byte
		if i > 0 {
			previous = rows[i-1].hash
		}
		r := &rows[i]
		var b bytes.Buffer
		number := func(v any) { _ = binary.Write(&b, binary.BigEndian, v) }
		field := func(s string) { number(uint32(len(s))); b.WriteString(s) }
		b.WriteString("mailseal audit entry 1\n")
		number(r.seq)
		field(string(previous))
		number(r.at)
		field(r.actor)
		field(r.act)
		field(r.object)
		field(r.details)
		sum := sha256.Sum256(b.Bytes())
		r.hash = sum[:]
	}
}

func (w *world) rows() (rows []row) {
	w.t.Helper()
	list, err := w.raw.Query(`SELECT seq, at, actor, act, object, details, hash FROM audit_entries ORDER BY seq`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer list.Close()
	for list.Next() {
		var r row
		if err := list.Scan(&r.seq, &r.at, &r.actor, &r.act, &r.object, &r.details, &r.hash); err != nil {
			w.t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// Our own code computes the same hashes as the documented encoding.
func TestEncoding(t *testing.T) {
	w := open(t)
	w.fill(5)
	rows := w.rows()
	again := slices.Clone(rows)
	chain(again, 0)
	for i := range rows {
		if !bytes.Equal(rows[i].hash, again[i].hash) {
			t.Errorf("entry %d: hash %x, as documented %x", i+1, rows[i].hash, again[i].hash)
		}
	}
}

// tamper draws a change of the log and what of it is written anew: rows by
// their seq, nil to delete.
type tamper struct {
	r    *rand.Rand
	rows []row
}

func (m *tamper) any() int { return m.r.IntN(len(m.rows)) }

func (m *tamper) spoil(s string) string {
	switch i := m.r.IntN(len(s) + 1); {
	case i < len(s) && m.r.IntN(3) > 0:
		b := []byte(s)
		b[i] = "abcdefghijklmnopqrstuvwxyz{}:,\" 0123456789"[m.r.IntN(42)]
		if string(b) != s {
			return string(b)
		}
		return s[:i] + s[i+1:]
	case i < len(s):
		return s[:i] + s[i+1:]
	}
	return s + "x"
}

// edit changes one column of a row; the hash is one only where it stays so.
func (m *tamper) edit(r *row, columns int) string {
	switch m.r.IntN(columns) {
	case 0:
		r.at += 1 + m.r.Int64N(1<<m.r.IntN(40))
		return "time"
	case 1:
		r.actor = m.spoil(r.actor)
		return "actor"
	case 2:
		r.act = m.spoil(r.act)
		return "act"
	case 3:
		r.object = m.spoil(r.object)
		return "object"
	case 4:
		r.details = m.spoil(r.details)
		return "details"
	}
	r.hash = bytes.Clone(r.hash)
	r.hash[m.r.IntN(len(r.hash))] ^= 1 << m.r.IntN(8)
	return "hash"
}

// change returns a name and the log after the change; kept tells that only a
// checkpoint from elsewhere can find it.
func (m *tamper) change() (name string, rows []row, kept bool) {
	rows = slices.Clone(m.rows)
	i, j := m.any(), m.any()
	switch m.r.IntN(12) {
	case 0, 1, 2, 3:
		return "edit " + m.edit(&rows[i], 6), rows, false
	case 4: // the row's own hash made to fit
		what := m.edit(&rows[i], 5)
		chain(rows[:i+1], i)
		return "edit and hash " + what, rows, false
	case 5: // all hashes made to fit: the checkpoints do not
		what := m.edit(&rows[i], 5)
		chain(rows, i)
		return "edit and chain " + what, rows, false
	case 6: // contents change places
		for i == j {
			j = m.any()
		}
		rows[i], rows[j] = rows[j], rows[i]
		rows[i].seq, rows[j].seq = rows[j].seq, rows[i].seq
		return "swap", rows, false
	case 7: // an entry moves
		moved := rows[i]
		for i == j {
			j = m.any()
		}
		rows = slices.Insert(slices.Delete(rows, i, i+1), j, moved)
		for k := range rows {
			rows[k].seq = int64(k + 1)
		}
		if m.r.IntN(2) == 0 {
			chain(rows, min(i, j))
		}
		return "move", rows, false
	case 8:
		rows = slices.Delete(rows, i, i+1)
		if m.r.IntN(2) == 0 {
			return "delete", rows, i == len(rows)
		}
		for k := range rows {
			rows[k].seq = int64(k + 1)
		}
		chain(rows, i)
		return "delete and chain", rows, i == len(rows)
	case 9:
		forged := rows[i]
		m.edit(&forged, 5)
		rows = slices.Insert(rows, j, forged)
		for k := range rows {
			rows[k].seq = int64(k + 1)
		}
		if m.r.IntN(2) == 0 {
			chain(rows, j)
		}
		return "insert", rows, false
	case 10:
		return "truncate", rows[:1+m.r.IntN(len(rows)-1)], true
	}
	// An older state, and on from there.
	rows = rows[:1+m.r.IntN(len(rows)-1)]
	for range 1 + m.r.IntN(30) {
		more := rows[len(rows)-1]
		more.seq++
		more.at++
		more.act = "ceremony.step"
		rows = append(rows, more)
	}
	chain(rows, 1)
	return "roll back and go on", rows, true
}

// 10,000 random changes of the log, by somebody who can write the whole
// database and has no key: all are found.
func TestTampering(t *testing.T) {
	changes := 10_000
	if storetest.Postgres() { // the same code: the rows come another way
		changes = 200
	}
	w := open(t)
	w.fill(9)
	w.checkpoint()
	w.fill(9)
	kept := &audit.VerifyOptions{Kept: []*audit.Checkpoint{w.checkpoint()}}
	w.good(kept)
	// References would be in the way; who can write the tables can drop them.
	for _, table := range []string{"audit_keys", "audit_checkpoints"} {
		w.sql(`CREATE TABLE loose AS SELECT * FROM ` + table)
		w.sql(`DROP TABLE ` + table)
		w.sql(`ALTER TABLE loose RENAME TO ` + table)
	}
	m := &tamper{r: rand.New(rand.NewPCG(1, 2)), rows: w.rows()}
	w.good(kept)

	seen := map[string]int{}
	now := m.rows
	for range changes {
		name, rows, cut := m.change()
		w.write(now, rows)
		now = rows
		seen[name]++
		if r := w.verify(kept); r.Good() {
			t.Errorf("%s: not found", name)
		} else if cut && r.Findings[0].Kind != audit.RolledBack {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
	w.write(now, m.rows)
	w.good(kept)
	t.Log(seen)
	if len(seen) < 20 {
		t.Errorf("only %d kinds of changes", len(seen))
	}
}

// write brings the table from one state to another.
func (w *world) write(from, to []row) {
	w.t.Helper()
	tx, err := w.raw.Begin()
	if err != nil {
		w.t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		if _, err := tx.Exec(query, args...); err != nil {
			w.t.Fatal(err)
		}
	}
	for i, r := range from {
		if i >= len(to) || !same(r, to[i]) {
			exec(`DELETE FROM audit_entries WHERE seq = $1`, r.seq)
		}
	}
	for i, r := range to {
		if i >= len(from) || !same(r, from[i]) {
			exec(`INSERT INTO audit_entries (seq, at, actor, act, object, details, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				r.seq, r.at, r.actor, r.act, r.object, r.details, r.hash)
		}
	}
	if err := tx.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

func same(a, b row) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// A value of another type with the same letters is an edit, too, and so is a
// checkpoint that was changed.
func TestOddEdits(t *testing.T) {
	edits := []string{
		`UPDATE audit_entries SET seq = seq + 100 WHERE seq = 20`,
		`UPDATE audit_entries SET seq = -1 WHERE seq = 20`,
		`DELETE FROM audit_entries WHERE seq < 5`,
		`DELETE FROM audit_entries`,
		`UPDATE audit_checkpoints SET note = replace(note, 'time 2', 'time 3') WHERE seq = 10`,
		`UPDATE audit_checkpoints SET note = note || ' ' WHERE seq = 10`,
		`UPDATE audit_checkpoints SET seq = 11 WHERE seq = 10`,
		`UPDATE audit_checkpoints SET note = '' WHERE seq = 10`,
		`UPDATE audit_entries SET hash = $1 WHERE seq = 20`,
	}
	if !storetest.Postgres() {
		edits = append(edits,
			`UPDATE audit_entries SET actor = CAST(actor AS BLOB) WHERE seq = 20`,
			`UPDATE audit_entries SET details = CAST(details AS BLOB) WHERE seq = 20`,
			`UPDATE audit_entries SET hash = hex(hash) WHERE seq = 20`,
			`UPDATE audit_entries SET at = at || 'x' WHERE seq = 20`,
			`UPDATE audit_entries SET seq = seq || 'x' WHERE seq = 20`,
			`UPDATE audit_entries SET seq = seq + 0.5 WHERE seq = 20`,
		)
	}
	for _, edit := range edits {
		t.Run(edit, func(t *testing.T) {
			w := open(t)
			w.fill(9)
			w.checkpoint()
			w.fill(10)
			kept := &audit.VerifyOptions{Kept: []*audit.Checkpoint{w.checkpoint()}}
			for _, table := range []string{"audit_keys", "audit_checkpoints"} {
				w.sql(`CREATE TABLE loose AS SELECT * FROM ` + table)
				w.sql(`DROP TABLE ` + table)
				w.sql(`ALTER TABLE loose RENAME TO ` + table)
			}
			w.good(kept)
			if bytes.Contains([]byte(edit), []byte("$1")) {
				w.sql(edit, []byte{})
			} else {
				w.sql(edit)
			}
			if r := w.verify(kept); r.Good() {
				t.Error("not found")
			}
		})
	}
}
