package store

import (
	"strings"
	"time"
)

// Acts of enrollment.
const (
	ActRun        = "run.started"
	ActRunChanged = "run.changed"  // paused, resumed, retried, cancelled, done
	ActPickup     = "pickup.ended" // taken, expired, withdrawn
)

// Run is one row of runs. States: running, paused, cancelled, done.
type Run struct {
	ID             string
	OrganizationID string
	Kind           string // import, renewal
	Mode           string // invite, server-keys
	State          string
	Settings       string // JSON
	ListHash       []byte
	Total          int
	StartedBy      string
	Created        time.Time
	Finished       time.Time
}

// RunBatch is one row of run_batches. States: new (its people are not known to
// the organization yet), ordered, done.
type RunBatch struct {
	RunID  string
	Number int
	Size   int
	People []byte
	State  string
	Queued bool // there is a job for it
	Turn   int
}

// RunPerson is one row of run_people. States: ordered, done, failed, cancelled.
type RunPerson struct {
	RunID    string
	Position int
	Batch    int
	Line     int
	Address  string
	PersonID string // empty: the organization did not take them
	Orders   []string
	State    string
	Problem  string // JSON
	PickupID string
}

// InsertRun writes a new run. ErrConflict: one with the same list is under way.
func (tx *Tx) InsertRun(r Run) error {
	return tx.owe(ActRun, tx.exec("new run", `INSERT INTO runs
		(id, organization_id, kind, mode, state, settings, list_hash, total, started_by, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		r.ID, r.OrganizationID, r.Kind, r.Mode, r.State, r.Settings, r.ListHash, r.Total, r.StartedBy, unix(r.Created)))
}

// InsertRunBatch writes a batch of a new run.
func (tx *Tx) InsertRunBatch(b RunBatch) error {
	return tx.exec("batch of a run", `INSERT INTO run_batches (run_id, number, size, people, state, queued, turn)
		VALUES ($1, $2, $3, $4, 'new', 1, 1) ON CONFLICT DO NOTHING`, b.RunID, b.Number, b.Size, b.People)
}

const runColumns = `id, organization_id, kind, mode, state, settings, list_hash, total, started_by, created_at, finished_at`

func scanRun(s scanner) (r Run, err error) {
	return r, s.Scan(&r.ID, &r.OrganizationID, &r.Kind, &r.Mode, &r.State, &r.Settings, &r.ListHash, &r.Total, &r.StartedBy,
		seconds{&r.Created}, seconds{&r.Finished})
}

// Run reads one run.
func (tx *Tx) Run(id string) (Run, error) {
	return one(tx, "run", scanRun, `SELECT `+runColumns+` FROM runs WHERE id = $1`, id)
}

// Runs lists those of an organization, the newest first, from before the one
// that the last page ended with.
func (tx *Tx) Runs(organizationID, before string, limit int) ([]Run, error) {
	return all(tx, "runs", scanRun, `SELECT `+runColumns+` FROM runs WHERE organization_id = $1
		AND ($2 = '' OR (created_at, id) < (SELECT created_at, id FROM runs WHERE id = $2 AND organization_id = $1))
		ORDER BY created_at DESC, id DESC LIMIT $3`, organizationID, before, limit)
}

// RunningRuns lists the runs that are under way, of every organization.
func (tx *Tx) RunningRuns() ([]Run, error) {
	return all(tx, "running runs", scanRun, `SELECT `+runColumns+` FROM runs WHERE state = 'running' ORDER BY created_at, id`)
}

// RunBecomes moves a run from one of some states to another. ErrConflict: it is
// in none of them.
func (tx *Tx) RunBecomes(id, state string, now time.Time, from ...string) error {
	var finished any
	if state == "done" || state == "cancelled" {
		finished = now.Unix()
	}
	return tx.owe(ActRunChanged, tx.exec("state of a run", `UPDATE runs SET state = $2, finished_at = $3
		WHERE id = $1 AND $4 LIKE '% ' || state || ' %'`, id, state, finished, " "+strings.Join(from, " ")+" "))
}

// RunBatch reads one batch.
func (tx *Tx) RunBatch(runID string, number int) (RunBatch, error) {
	return one(tx, "batch of a run", func(s scanner) (b RunBatch, err error) {
		var queued int
		err = s.Scan(&b.RunID, &b.Number, &b.Size, &b.People, &b.State, &queued, &b.Turn)
		b.Queued = queued == 1
		return b, err
	}, `SELECT run_id, number, size, people, state, queued, turn FROM run_batches WHERE run_id = $1 AND number = $2`, runID, number)
}

// RunBatchOrdered writes that the people of a batch are in run_people now.
// ErrConflict: it is the turn of another job.
func (tx *Tx) RunBatchOrdered(runID string, number, turn int) error {
	return tx.exec("batch ordered", `UPDATE run_batches SET state = 'ordered'
		WHERE run_id = $1 AND number = $2 AND turn = $3 AND state = 'new'`, runID, number, turn)
}

// RunBatchTurn makes sure that a job may still change a batch. ErrConflict: it
// is the turn of another.
func (tx *Tx) RunBatchTurn(runID string, number, turn int) error {
	return tx.exec("turn of a batch", `UPDATE run_batches SET queued = 1 WHERE run_id = $1 AND number = $2 AND turn = $3`, runID, number, turn)
}

// RunBatchRests ends a job's turn: done is a batch all of whose people have come
// to an end. It says how many batches of the run are not.
func (tx *Tx) RunBatchRests(runID string, number, turn int, done bool) (left int64, err error) {
	state := "state"
	if done {
		state = "'done'"
	}
	if err := tx.exec("batch rests", `UPDATE run_batches SET queued = 0, state = `+state+`
		WHERE run_id = $1 AND number = $2 AND turn = $3`, runID, number, turn); err != nil {
		return 0, err
	}
	return one(tx, "batches left", scanInt, `SELECT count(*) FROM run_batches WHERE run_id = $1 AND state <> 'done'`, runID)
}

// QueuedRunBatches says how many batches of a run have a job.
func (tx *Tx) QueuedRunBatches(runID string) (int64, error) {
	return one(tx, "batches with a job", scanInt, `SELECT count(*) FROM run_batches WHERE run_id = $1 AND queued = 1 AND state <> 'done'`, runID)
}

// WakeRunBatches gives every batch of a run that is not done to a new turn, and
// says to which.
func (tx *Tx) WakeRunBatches(runID string) ([]RunBatch, error) {
	return wakeBatches(tx, runID, `turn > 0`)
}

// readyBatch: nobody has begun with the batch, or somebody's first order can be
// enrolled, or has come to an end without a certificate.
const readyBatch = `queued = 0 AND (state = 'new' OR EXISTS (SELECT 1 FROM run_people p JOIN orders o
	ON o.id = substr(p.orders, 1, 26) WHERE p.run_id = run_batches.run_id AND p.batch = run_batches.number
	AND p.state = 'ordered' AND o.state <> 'applied'))`

// WakeReadyBatches does so for idle batches where there is something to do.
func (tx *Tx) WakeReadyBatches(runID string) ([]RunBatch, error) {
	return wakeBatches(tx, runID, readyBatch)
}

// HasReadyBatch tells whether there is one.
func (tx *Tx) HasReadyBatch(runID string) (bool, error) {
	n, err := one(tx, "batches that are ready", scanInt, `SELECT count(*) FROM (SELECT 1 FROM run_batches
		WHERE run_id = $1 AND state <> 'done' AND `+readyBatch+` LIMIT 1) ready`, runID)
	return n > 0, err
}

func wakeBatches(tx *Tx, runID, which string) ([]RunBatch, error) {
	return all(tx, "wake batches", func(s scanner) (b RunBatch, err error) {
		return b, s.Scan(&b.RunID, &b.Number, &b.Size, &b.State, &b.Turn)
	}, `UPDATE run_batches SET queued = 1, turn = turn + 1 WHERE run_id = $1 AND state <> 'done' AND `+which+`
		RETURNING run_id, number, size, state, turn`, runID)
}

// InsertRunPerson writes what became of one line of a list.
func (tx *Tx) InsertRunPerson(p RunPerson) error {
	return tx.exec("person of a run", `INSERT INTO run_people
		(run_id, position, batch, line, address, person_id, orders, state, problem, pickup_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		p.RunID, p.Position, p.Batch, p.Line, p.Address, p.PersonID, strings.Join(p.Orders, " "), p.State, p.Problem, p.PickupID)
}

const runPersonColumns = `run_id, position, batch, line, address, person_id, orders, state, problem, pickup_id`

func scanRunPerson(s scanner) (p RunPerson, err error) {
	var orders string
	err = s.Scan(&p.RunID, &p.Position, &p.Batch, &p.Line, &p.Address, &p.PersonID, &orders, &p.State, &p.Problem, &p.PickupID)
	p.Orders = strings.Fields(orders)
	return p, err
}

// RunPeople lists people of a run in a state after a position; an empty state is
// every one.
func (tx *Tx) RunPeople(runID, state string, after, limit int) ([]RunPerson, error) {
	return all(tx, "people of a run", scanRunPerson, `SELECT `+runPersonColumns+` FROM run_people
		WHERE run_id = $1 AND ($2 = '' OR state = $2) AND position > $3 ORDER BY position LIMIT $4`, runID, state, after, limit)
}

// RunBatchPeople lists the people of a batch who wait, by position.
func (tx *Tx) RunBatchPeople(runID string, from, to int) ([]RunPerson, error) {
	return all(tx, "people of a batch", scanRunPerson, `SELECT `+runPersonColumns+` FROM run_people
		WHERE run_id = $1 AND position >= $2 AND position < $3 AND state = 'ordered' ORDER BY position`, runID, from, to)
}

// RunPersonBecomes writes what became of somebody who waited.
func (tx *Tx) RunPersonBecomes(p RunPerson) error {
	return tx.exec("person of a run", `UPDATE run_people SET state = $3, problem = $4, pickup_id = $5
		WHERE run_id = $1 AND position = $2 AND state = 'ordered'`, p.RunID, p.Position, p.State, p.Problem, p.PickupID)
}

// ForgetFailedPeople drops the rows of everybody who failed, and makes their
// batches new again: they hold the list still.
func (tx *Tx) ForgetFailedPeople(runID string) error {
	if _, err := tx.execCount("batches to retry", `UPDATE run_batches SET state = 'new' WHERE run_id = $1
		AND number IN (SELECT batch FROM run_people WHERE run_id = $1 AND state = 'failed')`, runID); err != nil {
		return err
	}
	_, err := tx.execCount("people to retry", `DELETE FROM run_people WHERE run_id = $1 AND state = 'failed'`, runID)
	return err
}

// ForgetRunLists drops the lists of ended runs that nobody can retry any more:
// those where nobody failed, and those that ended before a time.
func (tx *Tx) ForgetRunLists(before time.Time) (int64, error) {
	return tx.execCount("forget lists", `UPDATE run_batches SET people = $2 WHERE people <> $2 AND run_id IN (SELECT id FROM runs
		WHERE state IN ('done', 'cancelled') AND (finished_at <= $1 OR state = 'cancelled'
		OR NOT EXISTS (SELECT 1 FROM run_people p WHERE p.run_id = runs.id AND p.state = 'failed')))`, before.Unix(), []byte{})
}

// RunPositions lists the positions of a batch that have a row, by position.
func (tx *Tx) RunPositions(runID string, from, to int) ([]int64, error) {
	return all(tx, "positions of a batch", scanInt, `SELECT position FROM run_people
		WHERE run_id = $1 AND position >= $2 AND position < $3`, runID, from, to)
}

// RunCounts says how many people of a run are in each state.
func (tx *Tx) RunCounts(runID string) (map[string]int, error) {
	type count struct {
		state string
		n     int
	}
	counts, err := all(tx, "counts of a run", func(s scanner) (c count, err error) { return c, s.Scan(&c.state, &c.n) },
		`SELECT state, count(*) FROM run_people WHERE run_id = $1 GROUP BY state`, runID)
	byState := map[string]int{}
	for _, c := range counts {
		byState[c.state] = c.n
	}
	return byState, err
}

// MemberMailboxes lists every mailbox that an organization says its people have,
// by key, with the person and until when their newest certificate is good. The
// person is to lead to the certificate, see ofMember.
func (tx *Tx) MemberMailboxes(organizationID string) (map[string]MemberMailbox, error) {
	list, err := all(tx, "mailboxes of members", func(s scanner) (m MemberMailbox, err error) {
		return m, s.Scan(&m.Key, &m.PersonID, seconds{&m.Until})
	}, `SELECT b.mailbox_key, b.person_id, (SELECT max(c.not_after) FROM certificates c WHERE c.person_id = b.person_id
			AND coalesce(c.organization_id, '') = b.organization_id AND c.state = 'issued' AND c.revoked_at IS NULL)
		FROM member_mailboxes b WHERE b.organization_id = $1`, organizationID)
	byKey := make(map[string]MemberMailbox, len(list))
	for _, m := range list {
		byKey[m.Key] = m
	}
	return byKey, err
}

// MemberMailbox is a mailbox of a member.
type MemberMailbox struct {
	Key      string
	PersonID string
	Until    time.Time // of the certificate that is good longest; zero: there is none
}
