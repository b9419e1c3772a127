package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// Finding is one thing that is wrong with a log.
type Finding struct {
	Kind   string `json:"kind"`             // one of the kinds below
	Entry  int64  `json:"entry,omitempty"`  // seq, 0 where it is about none
	Object string `json:"object,omitempty"` // id of the certificate, order or authority
	Text   string `json:"text"`
}

// Kinds of findings.
const (
	Altered    = "altered"    // an entry is not what its hash says
	Gap        = "gap"        // entries are missing, or in another order
	Unreadable = "unreadable" // a column holds what was never written there
	Unsigned   = "unsigned"   // a checkpoint is missing or its signature wrong
	RolledBack = "rolledback" // the log ends before a checkpoint, or says something else there
	Unrecorded = "unrecorded" // something was done without an entry
	Unfounded  = "unfounded"  // an entry says what was not done, or not so
)

// Report is what [Verify] found.
type Report struct {
	Entries  int64     `json:"entries"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Log      string    `json:"log"`      // hash of the first entry, in hexadecimal
	Head     string    `json:"head"`     // hash of the last
	Keys     []string  `json:"keys"`     // names of the keys that signed checkpoints, in their order
	Covered  int64     `json:"covered"`  // seq of the last entry that a checkpoint of the store covers
	Kept     int       `json:"kept"`     // checkpoints from elsewhere that were compared
	Issued   int64     `json:"issued"`   // certificates with their entry
	Refused  int64     `json:"refused"`  //
	Revoked  int64     `json:"revoked"`  //
	Notes    []string  `json:"notes"`    // worth knowing, not wrong
	Findings []Finding `json:"findings"` // the first of them
	Wrong    int64     `json:"wrong"`    // how many there are
}

// Good tells whether nothing is wrong.
func (r *Report) Good() bool { return r.Wrong == 0 }

const (
	maxFindings = 100
	maxNotes    = 20
)

func (r *Report) wrong(kind string, entry int64, object, format string, args ...any) {
	r.Wrong++
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, Finding{kind, entry, object, fmt.Sprintf(format, args...)})
	}
}

func (r *Report) note(format string, args ...any) {
	if len(r.Notes) < maxNotes {
		r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	}
}

// VerifyOptions are what a log is held against. Nil: against itself, which
// finds everything but an end that was cut off, and what somebody did who has
// the key.
type VerifyOptions struct {
	Kept     []*Checkpoint     // checkpoints that were kept elsewhere
	Key      ed25519.PublicKey // that must have signed the first checkpoints
	Copy     bool              // it is an old copy: kept checkpoints may be of a later time
	Progress func(entries int64)
}

// Verify reads the whole log of a store and what it is about, in one consistent
// state. The error says that it could not be read to the end.
func Verify(ctx context.Context, db *store.DB, o *VerifyOptions) (r *Report, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		r, err = VerifyIn(tx, o)
		return err
	})
	return r, err
}

// VerifyIn does so in a transaction.
func VerifyIn(tx *store.Tx, o *VerifyOptions) (*Report, error) {
	if o == nil {
		o = &VerifyOptions{}
	}
	v := &verifier{o: o, r: &Report{}}
	if err := v.readCheckpoints(tx); err != nil {
		return nil, fmt.Errorf("audit: verify: %w", err)
	}
	if err := tx.AuditEntries(v.entry); err != nil {
		return nil, fmt.Errorf("audit: verify: %w", err)
	}
	v.finish()
	if err := v.join(tx); err != nil {
		return nil, fmt.Errorf("audit: verify: %w", err)
	}
	return v.r, nil
}

// verifier goes through a log once.
type verifier struct {
	o *VerifyOptions
	r *Report

	stored map[int64]*Checkpoint   // by seq
	kept   map[int64][]*Checkpoint // likewise
	key    ed25519.PublicKey       // that signs from here on
	last   store.AuditEntry
}

func (v *verifier) readCheckpoints(tx *store.Tx) error {
	v.stored, v.kept = map[int64]*Checkpoint{}, map[int64][]*Checkpoint{}
	for _, c := range v.o.Kept {
		v.kept[c.Entries] = append(v.kept[c.Entries], c)
	}
	return tx.AuditCheckpoints(func(row store.AuditCheckpoint, err error) error {
		var c *Checkpoint
		if err == nil {
			c, err = ParseCheckpoint(row.Note)
		}
		switch {
		case err != nil:
			v.r.wrong(Unsigned, row.Seq, "", "the checkpoint of entry %d in the store cannot be read: %v", row.Seq, err)
		case c.Entries != row.Seq:
			v.r.wrong(Unsigned, row.Seq, "", "the checkpoint of entry %d in the store is one of entry %d", row.Seq, c.Entries)
		default:
			v.stored[row.Seq] = c
		}
		return nil
	})
}

// entry takes the next one. What is wrong with one entry is held against it
// alone: the next one is chained to the hash that stands there.
func (v *verifier) entry(e store.AuditEntry, err error) error {
	if err != nil {
		v.r.wrong(Unreadable, e.Seq, "", "entry %d cannot be read: %v", e.Seq, err)
		if e.Seq == 0 {
			e.Seq = v.last.Seq + 1
		}
		v.last = e
		return nil
	}
	r := v.r
	want := v.last.Seq + 1
	switch {
	case e.Seq > want:
		r.wrong(Gap, e.Seq, "", "entries %d to %d are missing", want, e.Seq-1)
	case e.Seq < want:
		r.wrong(Gap, e.Seq, "", "entry %d follows entry %d", e.Seq, v.last.Seq)
	}
	if !bytes.Equal(hashOf(e, v.last.Hash), e.Hash) {
		r.wrong(Altered, e.Seq, "", "entry %d is not what was written after entry %d: one of the two was changed, moved or made later", e.Seq, v.last.Seq)
	}
	if r.Entries == 0 {
		r.First, r.Log = e.At, hex.EncodeToString(e.Hash)
	} else if e.At.Before(v.last.At.Add(-clockTolerance)) {
		r.note("between entries %d and %d the clock went back by %v", v.last.Seq, e.Seq, v.last.At.Sub(e.At))
	}
	r.Entries++
	v.last = e
	v.remember(e)
	v.compare(e)
	if v.o.Progress != nil && r.Entries%1024 == 0 {
		v.o.Progress(r.Entries)
	}
	return nil
}

// remember takes notice of entries that matter for what follows.
func (v *verifier) remember(e store.AuditEntry) {
	switch e.Act {
	case ActKey:
		key, err := keyOf(e)
		if err != nil {
			v.r.wrong(Altered, e.Seq, "", "%v", err)
			return
		}
		if v.key == nil && v.o.Key != nil && !key.Equal(v.o.Key) {
			v.r.wrong(Unsigned, e.Seq, "", "the log's key is %s, and not the %s that was given", KeyName(key), KeyName(v.o.Key))
		}
		if v.key != nil {
			v.r.note("entry %d brings in another key, %s", e.Seq, KeyName(key))
		}
		v.key = key
		v.r.Keys = append(v.r.Keys, KeyName(key))
	case ActRestored:
		v.r.note("entry %d: a copy was restored here, %s", e.Seq, e.Details)
	}
}

// compare holds an entry against the checkpoints that were made of it.
func (v *verifier) compare(e store.AuditEntry) {
	if c := v.stored[e.Seq]; c != nil {
		delete(v.stored, e.Seq)
		if v.agrees(c, e, "in the store") {
			v.r.Covered = e.Seq
		}
	}
	for _, c := range v.kept[e.Seq] {
		v.agrees(c, e, "that was kept")
		v.r.Kept++
	}
	delete(v.kept, e.Seq)
}

func (v *verifier) agrees(c *Checkpoint, e store.AuditEntry, which string) bool {
	switch {
	case v.key == nil || !c.SignedBy(v.key):
		v.r.wrong(Unsigned, e.Seq, "", "the checkpoint of entry %d %s is not signed by the log's key", e.Seq, which)
	case c.Log != v.r.Log:
		v.r.wrong(RolledBack, e.Seq, "", "the checkpoint of entry %d %s is of another log, which began with %.16s", e.Seq, which, c.Log)
	case c.Head != hex.EncodeToString(e.Hash):
		v.r.wrong(RolledBack, e.Seq, "", "at %s entry %d was another one, says the checkpoint %s", c.At.Format(time.RFC3339), e.Seq, which)
	default:
		return true
	}
	return false
}

// finish looks at what the end of the log should have been.
func (v *verifier) finish() {
	r := v.r
	r.Last, r.Head = v.last.At, hex.EncodeToString(v.last.Hash)
	for seq, c := range v.stored {
		r.wrong(RolledBack, seq, "", "there is no entry %d, of which the store has a checkpoint of %s", seq, c.At.Format(time.RFC3339))
	}
	for seq, list := range v.kept {
		for _, c := range list {
			r.Kept++
			if v.o.Copy {
				v.later(c)
				continue
			}
			r.wrong(RolledBack, seq, "", "the log ends with entry %d: at %s it had %d, says the checkpoint that was kept", v.last.Seq, c.At.Format(time.RFC3339), seq)
		}
	}
	if open := r.Entries - r.Covered; open > 2*defaultEvery {
		r.wrong(Unsigned, v.last.Seq, "", "no checkpoint covers the last %d entries", open)
	} else if open > 0 {
		r.note("no checkpoint covers the last %d entries", open)
	}
	if v.o.Key != nil && v.key == nil {
		r.wrong(Unsigned, 0, "", "the log names no key, and one was given")
	}
}

// later looks at a checkpoint of the time after a copy.
func (v *verifier) later(c *Checkpoint) {
	switch {
	case c.Log != v.r.Log:
		v.r.wrong(RolledBack, 0, "", "the checkpoint of entry %d that was kept is of another log, which began with %.16s", c.Entries, c.Log)
	case v.key != nil && c.Key != KeyName(v.key):
		v.r.note("the checkpoint of entry %d that was kept is signed by the key %s, which the copy does not know yet", c.Entries, c.Key)
	case v.key == nil || !c.SignedBy(v.key):
		v.r.wrong(Unsigned, 0, "", "the checkpoint of entry %d that was kept is not signed by the log's key", c.Entries)
	}
}

// join holds the log against what the store holds.
func (v *verifier) join(tx *store.Tx) error {
	c := &certificateJoin{r: v.r}
	if err := tx.RecordedCertificates(c.row); err != nil {
		return err
	}
	c.end()
	o := &orderJoin{r: v.r}
	if err := tx.RecordedOrders(o.row); err != nil {
		return err
	}
	o.end()
	seen := map[string]bool{}
	err := tx.RecordedAuthorities(func(id, act string) error {
		if act == "" || seen[id] {
			v.r.wrong(Unrecorded, 0, id, "authority %s has no entry, or more than one", id)
		}
		seen[id] = true
		return nil
	})
	if err != nil {
		return err
	}
	return tx.UnknownObjects(func(e store.AuditEntry, err error) error {
		if err == nil {
			v.r.wrong(Unfounded, e.Seq, e.Object, "entry %d says %s of something that is not there", e.Seq, e.Act)
		}
		return nil
	})
}

// certificateJoin goes through certificates and their entries.
type certificateJoin struct {
	r    *Report
	now  store.Recorded
	acts map[string]int
}

func (j *certificateJoin) row(c store.Recorded, err error) error {
	if err != nil {
		return err
	}
	if c.ID != j.now.ID || j.acts == nil {
		j.end()
		j.now, j.acts = c, map[string]int{}
	}
	if c.Act != "" {
		j.acts[c.Act]++
		j.compare(c)
	}
	return nil
}

// compare holds what an entry says against the certificate.
func (j *certificateJoin) compare(c store.Recorded) {
	var said map[string]string
	if err := json.Unmarshal([]byte(c.Details), &said); err != nil {
		return // the chain says so already
	}
	if said["serial"] != hex.EncodeToString(c.Serial) {
		j.r.wrong(Unfounded, 0, c.ID, "certificate %s has serial number %x, and its entry %s says %s", c.ID, c.Serial, c.Act, said["serial"])
	}
	switch c.Act {
	case store.ActIssued:
		sum := sha256.Sum256(c.DER)
		if !bytes.Equal(sum[:], c.SHA256) || said["sha256"] != hex.EncodeToString(c.SHA256) {
			j.r.wrong(Unfounded, 0, c.ID, "certificate %s is not the one that was issued, which had SHA-256 %s", c.ID, said["sha256"])
		}
	case store.ActRevoked:
		if c.Revoked && said["reason"] != strconv.FormatInt(c.RevokedFor, 10) {
			j.r.wrong(Unfounded, 0, c.ID, "certificate %s was revoked for reason %s, and the store says %d", c.ID, said["reason"], c.RevokedFor)
		}
	}
}

// end asks whether the certificate has the entries that its state asks for.
func (j *certificateJoin) end() {
	if j.acts == nil {
		return
	}
	for _, want := range []struct {
		act   string
		is    bool
		count *int64
	}{
		{store.ActIssued, j.now.State == "issued", &j.r.Issued},
		{store.ActRefused, j.now.State == "refused", &j.r.Refused},
		{store.ActRevoked, j.now.Revoked, &j.r.Revoked},
	} {
		switch n := j.acts[want.act]; {
		case want.is && n == 1:
			*want.count++
		case want.is && n == 0:
			j.r.wrong(Unrecorded, 0, j.now.ID, "certificate %s (serial number %x) has no entry %s", j.now.ID, j.now.Serial, want.act)
		case want.is:
			j.r.wrong(Unfounded, 0, j.now.ID, "certificate %s has %d entries %s", j.now.ID, n, want.act)
		case n > 0:
			j.r.wrong(Unfounded, 0, j.now.ID, "an entry says %s of certificate %s, which is %s and not so", want.act, j.now.ID, j.now.State)
		}
	}
	j.acts = nil
}

// orderJoin goes through orders and their entries.
type orderJoin struct {
	r         *Report
	id, state string
	acts      map[string]int
}

func (j *orderJoin) row(id, state, act string) error {
	if id != j.id || j.acts == nil {
		j.end()
		j.id, j.state, j.acts = id, state, map[string]int{}
	}
	if act != "" {
		j.acts[act]++
	}
	return nil
}

func (j *orderJoin) end() {
	if j.acts == nil {
		return
	}
	for _, want := range []struct {
		act  string
		is   bool
		free bool // it may have been so before
	}{
		{store.ActApplied, true, false},
		{store.ActProven, j.state == "proven" || j.state == "issued", j.state == "refused"},
		{store.ActDenied, j.state == "refused", false},
	} {
		switch n := j.acts[want.act]; {
		case want.is && n != 1:
			j.r.wrong(Unrecorded, 0, j.id, "order %s is %s and has %d entries %s", j.id, j.state, n, want.act)
		case !want.is && n > 0 && !want.free:
			j.r.wrong(Unfounded, 0, j.id, "an entry says %s of order %s, which is %s", want.act, j.id, j.state)
		}
	}
	j.acts = nil
}
