package store

import "time"

// Evidence is one row of evidence: what shows who an organization or a person
// is. Kinds: organization, individual. Decisions: none yet, accepted, refused.
type Evidence struct {
	ID             string
	OrganizationID string // empty: of a person without one
	PersonID       string // empty: of the organization
	Kind           string
	Method         string // the section of the S/MIME BR
	Reference      string // where the documents are
	Statement      string
	Document       []byte
	DocumentName   string
	SHA256         []byte // of Document
	Names          string // JSON: what it shows, as internal/registration has it
	SubmittedBy    string
	Submitted      time.Time
	FirstBy        string
	First          time.Time
	SecondBy       string
	Second         time.Time
	Decision       string
	Reason         string // of a refusal
	Expires        time.Time
}

// InsertEvidence writes new evidence, which nobody has decided about.
func (tx *Tx) InsertEvidence(e Evidence) error {
	return tx.owe(ActEvidence, tx.exec("new evidence", `INSERT INTO evidence
		(id, organization_id, person_id, kind, method, reference, statement, document, document_name, sha256, names,
		 submitted_by, submitted_at, first_by, second_by, decision, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', '', '', '') ON CONFLICT DO NOTHING`,
		e.ID, e.OrganizationID, e.PersonID, e.Kind, e.Method, e.Reference, e.Statement, e.Document, e.DocumentName, e.SHA256, e.Names,
		e.SubmittedBy, unix(e.Submitted)))
}

// evidenceColumns leave out the document, which may be large.
const evidenceColumns = `id, organization_id, person_id, kind, method, reference, statement, document_name, sha256, names,
	submitted_by, submitted_at, first_by, first_at, second_by, second_at, decision, reason, expires_at`

func scanEvidence(s scanner) (e Evidence, err error) {
	return e, s.Scan(&e.ID, &e.OrganizationID, &e.PersonID, &e.Kind, &e.Method, &e.Reference, &e.Statement, &e.DocumentName,
		&e.SHA256, &e.Names, &e.SubmittedBy, seconds{&e.Submitted}, &e.FirstBy, seconds{&e.First}, &e.SecondBy,
		seconds{&e.Second}, &e.Decision, &e.Reason, seconds{&e.Expires})
}

// Evidence reads one record without its document.
func (tx *Tx) Evidence(id string) (Evidence, error) {
	return one(tx, "evidence", scanEvidence, `SELECT `+evidenceColumns+` FROM evidence WHERE id = $1`, id)
}

// EvidenceDocument reads the document of a record; nil: there is none.
func (tx *Tx) EvidenceDocument(id string) ([]byte, error) {
	return one(tx, "document of the evidence", func(s scanner) (document []byte, err error) {
		return document, s.Scan(&document)
	}, `SELECT document FROM evidence WHERE id = $1`, id)
}

// WaitingEvidence lists up to limit records that nobody has decided about, the
// oldest first, behind one that was submitted at a time.
func (tx *Tx) WaitingEvidence(after time.Time, afterID string, limit int) ([]Evidence, error) {
	var since int64
	if !after.IsZero() {
		since = after.Unix()
	}
	return all(tx, "waiting evidence", scanEvidence, `SELECT `+evidenceColumns+` FROM evidence
		WHERE decision = '' AND (submitted_at, id) > ($1, $2) ORDER BY submitted_at, id LIMIT $3`, since, afterID, limit)
}

// EvidenceOf lists the records of an organization, or of a person in it, the
// newest first.
func (tx *Tx) EvidenceOf(organizationID, personID string) ([]Evidence, error) {
	return all(tx, "evidence", scanEvidence, `SELECT `+evidenceColumns+` FROM evidence
		WHERE organization_id = $1 AND person_id = $2 ORDER BY submitted_at DESC, id`, organizationID, personID)
}

// GoodEvidence reads the accepted record that lasts longest, of an organization
// or of a person in it.
func (tx *Tx) GoodEvidence(organizationID, personID string, now time.Time) (Evidence, error) {
	return one(tx, "evidence", scanEvidence, `SELECT `+evidenceColumns+` FROM evidence
		WHERE organization_id = $1 AND person_id = $2 AND decision = 'accepted' AND expires_at > $3
		ORDER BY expires_at DESC, id LIMIT 1`, organizationID, personID, unix(now))
}

// EvidenceSeen writes that a first person has looked and found it good.
func (tx *Tx) EvidenceSeen(id, by string, now time.Time) error {
	return tx.owe(ActEvidenceSeen, tx.exec("first look at evidence", `UPDATE evidence SET first_by = $2, first_at = $3
		WHERE id = $1 AND decision = '' AND first_by = '' AND submitted_by <> $2`, id, by, unix(now)))
}

// EvidenceAccepted writes that a second one did, who is neither the first nor
// who submitted it.
func (tx *Tx) EvidenceAccepted(id, by string, now, expires time.Time) error {
	return tx.owe(ActEvidenceAccepted, tx.exec("accept evidence", `UPDATE evidence
		SET second_by = $2, second_at = $3, decision = 'accepted', expires_at = $4
		WHERE id = $1 AND decision = '' AND first_by <> '' AND first_by <> $2 AND submitted_by <> $2`,
		id, by, unix(now), unix(expires)))
}

// EvidenceRefused ends a record that is not good enough, or that no longer is.
func (tx *Tx) EvidenceRefused(id, by, reason string, now time.Time) error {
	return tx.owe(ActEvidenceRefused, tx.exec("refuse evidence", `UPDATE evidence
		SET second_by = $2, second_at = $3, decision = 'refused', reason = $4
		WHERE id = $1 AND decision IN ('', 'accepted') AND submitted_by <> $2`, id, by, unix(now), reason))
}
