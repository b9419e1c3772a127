package store

import "time"

// Job is one row of jobs. States: open, done, dead.
type Job struct {
	ID          string
	Kind        string
	Key         string // unique among the jobs of its kind
	Lane        string // shared with those that it must not crowd
	Payload     []byte // empty once it is done
	State       string
	Due         time.Time // when it may be taken
	Holder      string    // the process that works on it, or worked last; empty: none
	Attempts    int       // begun so far, this one included
	MaxAttempts int
	LastError   string
	Created     time.Time
	Finished    time.Time // zero while it is open
}

// InsertJob writes a new open job, held by its holder if it has one. ErrConflict:
// there is one of that kind and key, or was not long ago.
func (tx *Tx) InsertJob(j Job) error {
	return tx.exec("new job", `INSERT INTO jobs (id, kind, unique_key, lane, payload, state, due_at, holder,
		attempts, max_attempts, last_error, created_at)
		VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, '', $10) ON CONFLICT DO NOTHING`,
		j.ID, j.Kind, j.Key, j.Lane, append([]byte{}, j.Payload...), j.Due.Unix(), j.Holder, j.Attempts, j.MaxAttempts, unix(j.Created))
}

const jobColumns = `id, kind, unique_key, lane, payload, state, due_at, holder, attempts, max_attempts, last_error, created_at, finished_at`

func scanJob(s scanner) (j Job, err error) {
	return j, s.Scan(&j.ID, &j.Kind, &j.Key, &j.Lane, &j.Payload, &j.State, seconds{&j.Due}, &j.Holder, &j.Attempts,
		&j.MaxAttempts, &j.LastError, seconds{&j.Created}, seconds{&j.Finished})
}

// JobDue says whether a job of a kind may be taken now.
func (tx *Tx) JobDue(kind string, now time.Time) (bool, error) {
	n, err := one(tx, "due jobs", scanInt, `SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'open' AND kind = $1
		AND due_at <= $2 AND kind NOT IN (SELECT kind FROM job_pauses) LIMIT 1) due`, kind, now.Unix())
	return n > 0, err
}

// TakeJobs gives up to limit jobs of a kind that are due to a holder until the
// end of its lease, and counts the attempt.
func (tx *Tx) TakeJobs(kind, holder string, now, lease time.Time, limit int) ([]Job, error) {
	return all(tx, "take jobs", scanJob, `UPDATE jobs SET holder = $2, due_at = $4, attempts = attempts + 1
		WHERE id IN (SELECT id FROM jobs WHERE state = 'open' AND kind = $1 AND due_at <= $3
			AND kind NOT IN (SELECT kind FROM job_pauses) ORDER BY due_at, id LIMIT $5)
		RETURNING `+jobColumns, kind, holder, now.Unix(), lease.Unix(), limit)
}

// NextLane names the first lane of a kind behind another one that has a job that
// is due. ErrNotFound: there is none.
func (tx *Tx) NextLane(kind, after string, now time.Time) (string, error) {
	return one(tx, "lane of jobs", scanString, `SELECT lane FROM jobs WHERE state = 'open' AND kind = $1 AND lane > $2
		AND due_at <= $3 AND kind NOT IN (SELECT kind FROM job_pauses) ORDER BY lane LIMIT 1`, kind, after, now.Unix())
}

// TakeJobsOfLane takes jobs as TakeJobs does, of one lane.
func (tx *Tx) TakeJobsOfLane(kind, lane, holder string, now, until time.Time, limit int) ([]Job, error) {
	return all(tx, "take jobs", scanJob, `UPDATE jobs SET holder = $3, due_at = $5, attempts = attempts + 1
		WHERE id IN (SELECT id FROM jobs WHERE state = 'open' AND kind = $1 AND lane = $2 AND due_at <= $4
			ORDER BY due_at, id LIMIT $6)
		RETURNING `+jobColumns, kind, lane, holder, now.Unix(), until.Unix(), limit)
}

// LaneCount is how many jobs of a lane are held.
type LaneCount struct {
	Lane string
	Held int
}

// HeldLanes counts the jobs of a kind whose lease goes on, by lane.
func (tx *Tx) HeldLanes(kind string, now time.Time) ([]LaneCount, error) {
	return all(tx, "lanes of held jobs", func(s scanner) (c LaneCount, err error) { return c, s.Scan(&c.Lane, &c.Held) },
		`SELECT lane, count(*) FROM jobs WHERE state = 'open' AND holder <> '' AND kind = $1 AND due_at > $2 GROUP BY lane`, kind, now.Unix())
}

// ExtendJob gives a holder more time. ErrConflict as in JobDone.
func (tx *Tx) ExtendJob(j Job, lease time.Time) error {
	return tx.exec("extend lease", `UPDATE jobs SET due_at = $4`+held, j.ID, j.Holder, j.Attempts, lease.Unix())
}

// ReleaseJobs takes all jobs from their holders; their attempts count.
func (tx *Tx) ReleaseJobs(now time.Time) error {
	_, err := tx.execCount("release jobs", `UPDATE jobs SET holder = '', due_at = $1 WHERE state = 'open' AND holder <> ''`, now.Unix())
	return err
}

// held is the condition that a job is still in the hands of who took it: the
// number of the attempt tells two of one holder apart.
const held = ` WHERE id = $1 AND holder = $2 AND attempts = $3 AND state = 'open'`

// JobDone ends a job. ErrConflict: somebody else has it by now.
func (tx *Tx) JobDone(j Job, now time.Time) error {
	return tx.exec("job done", `UPDATE jobs SET state = 'done', payload = $4, last_error = '', finished_at = $5`+held,
		j.ID, j.Holder, j.Attempts, []byte{}, now.Unix())
}

// JobAgain leaves a job for another attempt. ErrConflict as in JobDone.
func (tx *Tx) JobAgain(j Job, due time.Time, why string) error {
	return tx.exec("job again", `UPDATE jobs SET holder = '', due_at = $4, last_error = $5`+held,
		j.ID, j.Holder, j.Attempts, due.Unix(), why)
}

// JobReleased gives a job back as if it had not been taken. ErrConflict as in
// JobDone.
func (tx *Tx) JobReleased(j Job, now time.Time) error {
	return tx.exec("job released", `UPDATE jobs SET holder = '', due_at = $4, attempts = attempts - 1`+held,
		j.ID, j.Holder, j.Attempts, now.Unix())
}

// JobDead gives a job up. ErrConflict as in JobDone.
func (tx *Tx) JobDead(j Job, now time.Time, why string) error {
	return tx.exec("job dead", `UPDATE jobs SET state = 'dead', last_error = $4, finished_at = $5`+held,
		j.ID, j.Holder, j.Attempts, why, now.Unix())
}

// JobsOf lists the jobs of a state, those that ended last or are due first
// before the others, at most limit of them.
func (tx *Tx) JobsOf(state string, limit int) ([]Job, error) {
	return all(tx, "jobs", scanJob, `SELECT `+jobColumns+` FROM jobs WHERE state = $1
		ORDER BY finished_at DESC, due_at, id LIMIT $2`, state, limit)
}

// DeadJob reads a job that was given up.
func (tx *Tx) DeadJob(id string) (Job, error) {
	return one(tx, "dead job", scanJob, `SELECT `+jobColumns+` FROM jobs WHERE id = $1 AND state = 'dead'`, id)
}

// ReviveJob opens a dead job again with all its attempts.
func (tx *Tx) ReviveJob(id string, now time.Time) error {
	return tx.owe(ActJobRevived, tx.exec("revive job", `UPDATE jobs SET state = 'open', holder = '', due_at = $2, attempts = 0, finished_at = NULL
		WHERE id = $1 AND state = 'dead'`, id, now.Unix()))
}

// DropJob removes a dead job.
func (tx *Tx) DropJob(id string) error {
	return tx.owe(ActJobDiscarded, tx.exec("drop job", `DELETE FROM jobs WHERE id = $1 AND state = 'dead'`, id))
}

// ForgetJobs drops up to limit jobs that were done before a time, and says how
// many.
func (tx *Tx) ForgetJobs(before time.Time, limit int) (int64, error) {
	return tx.execCount("forget jobs", `DELETE FROM jobs WHERE id IN
		(SELECT id FROM jobs WHERE state = 'done' AND finished_at <= $1 LIMIT $2)`, before.Unix(), limit)
}

// PauseJobs lets no node take jobs of a kind; again is no error.
func (tx *Tx) PauseJobs(kind string, now time.Time) error {
	_, err := tx.execCount("pause jobs", `INSERT INTO job_pauses (kind, paused_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, kind, now.Unix())
	return err
}

// ResumeJobs ends a pause; when there is none that is no error.
func (tx *Tx) ResumeJobs(kind string) error {
	_, err := tx.execCount("resume jobs", `DELETE FROM job_pauses WHERE kind = $1`, kind)
	return err
}

// JobCount is how much there is of one kind.
type JobCount struct {
	Kind   string
	Open   int // held ones included
	Held   int
	Dead   int
	Oldest time.Time // when the first of the open ones was written; zero: none
	Paused bool
}

// JobCounts counts the jobs that are not done, by kind.
func (tx *Tx) JobCounts() ([]JobCount, error) {
	return all(tx, "count jobs", func(s scanner) (c JobCount, err error) {
		var paused int
		err = s.Scan(&c.Kind, &c.Open, &c.Held, &c.Dead, seconds{&c.Oldest}, &paused)
		c.Paused = paused > 0
		return c, err
	}, `SELECT j.kind, count(CASE WHEN j.state = 'open' THEN 1 END), count(CASE WHEN j.state = 'open' AND j.holder <> '' THEN 1 END),
		count(CASE WHEN j.state = 'dead' THEN 1 END), min(CASE WHEN j.state = 'open' THEN j.created_at END), count(p.kind)
		FROM jobs j LEFT JOIN job_pauses p ON p.kind = j.kind WHERE j.state <> 'done' GROUP BY j.kind ORDER BY j.kind`)
}
