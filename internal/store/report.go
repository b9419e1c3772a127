package store

import (
	"math"
	"time"
)

// ProblemReport is one row of problem_reports.
type ProblemReport struct {
	ID       string
	Received time.Time
	Problem  string
	Serial   []byte // nil: none is named
	Reporter string // a mail address, or empty
	Language string
	Text     string
	Proven   bool // with the key itself, or signed by it
	Mailed   time.Time
	Answered time.Time
	Answer   string
	Closed   time.Time
	Outcome  string // revoked, kept, or empty while it is open
}

// InsertProblemReport stores a new report.
func (tx *Tx) InsertProblemReport(r ProblemReport) error {
	return tx.owe(ActReported, tx.exec("problem report", `INSERT INTO problem_reports
		(id, received_at, problem, serial, reporter, language, text, proven, answered_at, answer, closed_at, outcome)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		r.ID, unix(r.Received), r.Problem, r.Serial, r.Reporter, r.Language, r.Text, flag(r.Proven), unix(r.Answered), r.Answer, unix(r.Closed), r.Outcome))
}

const reportColumns = `id, received_at, problem, serial, reporter, language, text, proven, mailed_at, answered_at, answer, closed_at, outcome`

func scanReport(s scanner) (r ProblemReport, err error) {
	return r, s.Scan(&r.ID, seconds{&r.Received}, &r.Problem, &r.Serial, &r.Reporter, &r.Language, &r.Text, &r.Proven,
		seconds{&r.Mailed}, seconds{&r.Answered}, &r.Answer, seconds{&r.Closed}, &r.Outcome)
}

// ProblemReport reads one report.
func (tx *Tx) ProblemReport(id string) (ProblemReport, error) {
	return one(tx, "problem report", scanReport, `SELECT `+reportColumns+` FROM problem_reports WHERE id = $1`, id)
}

// ReportPlace is where a list of problem reports goes on: behind a report. Its zero
// value is the beginning.
type ReportPlace struct {
	Closed bool      // among the closed ones, and
	At     time.Time // when that was closed; else when it was received
	ID     string
}

// ProblemReports lists up to limit of them behind a place: the open ones, the oldest
// first, because each has a day by which it is to be decided, and behind them the
// closed ones, the newest first.
func (tx *Tx) ProblemReports(after ReportPlace, limit int) (list []ProblemReport, err error) {
	if !after.Closed {
		list, err = all(tx, "problem reports", scanReport, `SELECT `+reportColumns+` FROM problem_reports
			WHERE closed_at IS NULL AND received_at >= $1 AND (received_at > $1 OR id > $2) ORDER BY received_at, id LIMIT $3`,
			after.seconds(0), after.ID, limit)
		if err != nil || len(list) == limit {
			return list, err
		}
		after = ReportPlace{}
	}
	closed, err := all(tx, "problem reports", scanReport, `SELECT `+reportColumns+` FROM problem_reports
		WHERE closed_at IS NOT NULL AND closed_at <= $1 AND (closed_at < $1 OR id > $2) ORDER BY closed_at DESC, id LIMIT $3`,
		after.seconds(math.MaxInt64), after.ID, limit-len(list))
	return append(list, closed...), err
}

func (p ReportPlace) seconds(beginning int64) int64 {
	if p.At.IsZero() {
		return beginning
	}
	return p.At.Unix()
}

// UnmailedReports lists those that the operator was not told of by mail, in the
// order of their ids behind after.
func (tx *Tx) UnmailedReports(after string, limit int) ([]ProblemReport, error) {
	return all(tx, "problem reports", scanReport, `SELECT `+reportColumns+` FROM problem_reports
		WHERE mailed_at IS NULL AND id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// ProvenOpenReports lists those whose certificates should be revoked and may not
// be yet, likewise.
func (tx *Tx) ProvenOpenReports(after string, limit int) ([]ProblemReport, error) {
	return all(tx, "problem reports", scanReport, `SELECT `+reportColumns+` FROM problem_reports
		WHERE proven = 1 AND closed_at IS NULL AND id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// ReportMailed notes that the operator was told.
func (tx *Tx) ReportMailed(id string, at time.Time) error {
	return tx.exec("problem report", `UPDATE problem_reports SET mailed_at = $2 WHERE id = $1`, id, unix(at))
}

// AnswerReport notes what whoever reported was told. ErrConflict: the report is
// closed.
func (tx *Tx) AnswerReport(id, answer string, at time.Time) error {
	return tx.exec("problem report", `UPDATE problem_reports SET answered_at = $2, answer = $3
		WHERE id = $1 AND closed_at IS NULL`, id, unix(at), answer)
}

// CloseReport ends a report, once.
func (tx *Tx) CloseReport(id, outcome string, at time.Time) error {
	return tx.owe(ActReportClosed, tx.exec("problem report", `UPDATE problem_reports SET closed_at = $2, outcome = $3
		WHERE id = $1 AND closed_at IS NULL`, id, unix(at), outcome))
}

// CertificatesOfKey lists the serial numbers of the unrevoked, unexpired
// certificates with a key, by SHA-256 of its SubjectPublicKeyInfo.
func (tx *Tx) CertificatesOfKey(keyHash []byte, now time.Time) ([][]byte, error) {
	return all(tx, "certificates of a key", func(s scanner) (serial []byte, err error) { return serial, s.Scan(&serial) },
		`SELECT serial FROM certificates WHERE key_hash = $1 AND state = 'issued' AND revoked_at IS NULL AND not_after > $2
		ORDER BY issued_at, id`, keyHash, unix(now))
}

// KeyCertificate is a certificate of a key, and when it was revoked if it was.
type KeyCertificate struct {
	Serial  []byte
	Revoked time.Time
}

// CertificatesLikeSerial lists the certificate of a serial number and all others
// that were issued for its key, without those that ended unrevoked.
func (tx *Tx) CertificatesLikeSerial(serial []byte, now time.Time) ([]KeyCertificate, error) {
	return all(tx, "certificates of a key", func(s scanner) (c KeyCertificate, err error) { return c, s.Scan(&c.Serial, seconds{&c.Revoked}) },
		`SELECT serial, revoked_at FROM certificates WHERE state = 'issued' AND (revoked_at IS NOT NULL OR not_after > $2)
		AND key_hash IN (SELECT key_hash FROM certificates WHERE authority_id IN (SELECT id FROM authorities) AND serial = $1 AND state = 'issued')
		ORDER BY issued_at, id`, serial, unix(now))
}

// OperatorEmails lists whom the operator's mail goes to: not the accounts that are
// an organization's.
func (tx *Tx) OperatorEmails() ([]string, error) {
	return all(tx, "operators", scanString, `SELECT email FROM administrators WHERE id IN
		(SELECT administrator_id FROM role_grants WHERE role = 'operator' AND organization_id = '') ORDER BY created_at, id`)
}

// KeyHashOf reads the SHA-256 of an issued certificate's SubjectPublicKeyInfo.
func (tx *Tx) KeyHashOf(authorityID string, serial []byte) ([]byte, error) {
	return one(tx, "key of a certificate", func(s scanner) (hash []byte, err error) { return hash, s.Scan(&hash) },
		`SELECT key_hash FROM certificates WHERE authority_id = $1 AND serial = $2 AND state = 'issued'`, authorityID, serial)
}
