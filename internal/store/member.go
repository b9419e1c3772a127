package store

import (
	"fmt"
	"time"
)

// Member is somebody who belongs, or belonged, to an organization: a row of
// memberships with that of the person and the mailboxes.
type Member struct {
	Person
	OrganizationID string
	Number         string // of the employee; may be empty
	Department     string
	VouchedBy      string // who last said that the names are right
	Vouched        time.Time
	Place          []byte // in lists
	Since, Until   time.Time
	Addresses      []string
}

// InsertMember writes that a person belongs to an organization from now on.
// ErrConflict: they do, or somebody has the number.
func (tx *Tx) InsertMember(m Member) error {
	return tx.owe(ActMember, tx.exec("new member", `INSERT INTO memberships
		(person_id, organization_id, number, department, vouched_by, vouched_at, place, since)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		m.ID, m.OrganizationID, m.Number, m.Department, m.VouchedBy, unix(m.Vouched), m.Place, unix(m.Since)))
}

// ChangeMember replaces what an organization says of a person who belongs to it.
func (tx *Tx) ChangeMember(m Member) error {
	taken, err := one(tx, "number of a member", scanInt, `SELECT count(*) FROM memberships
		WHERE organization_id = $1 AND number = $2 AND number <> '' AND until IS NULL AND person_id <> $3`, m.OrganizationID, m.Number, m.ID)
	if err != nil {
		return err
	}
	if taken > 0 {
		return fmt.Errorf("number of a member: %w", ErrConflict)
	}
	return tx.owe(ActMemberChanged, tx.exec("change member", `UPDATE memberships
		SET number = $3, department = $4, vouched_by = $5, vouched_at = $6, place = $7
		WHERE person_id = $1 AND organization_id = $2 AND until IS NULL`,
		m.ID, m.OrganizationID, m.Number, m.Department, m.VouchedBy, unix(m.Vouched), m.Place))
}

// MemberLeaves ends a membership, and with it what the organization says of the
// person's mailboxes.
func (tx *Tx) MemberLeaves(organizationID, personID string, now time.Time) error {
	if _, err := tx.execCount("mailboxes of a member", `DELETE FROM member_mailboxes
		WHERE organization_id = $1 AND person_id = $2`, organizationID, personID); err != nil {
		return err
	}
	return tx.owe(ActMemberLeft, tx.exec("member leaves", `UPDATE memberships SET until = $3
		WHERE organization_id = $1 AND person_id = $2 AND until IS NULL`, organizationID, personID, unix(now)))
}

// SetMemberMailboxes replaces the mailboxes of a member; keys are those of
// mailbox.Mailbox. ErrConflict: another member has one of them.
func (tx *Tx) SetMemberMailboxes(organizationID, personID string, keys, addresses []string) error {
	if _, err := tx.execCount("mailboxes of a member", `DELETE FROM member_mailboxes
		WHERE organization_id = $1 AND person_id = $2`, organizationID, personID); err != nil {
		return err
	}
	for i, key := range keys {
		if err := tx.exec("mailbox of a member", `INSERT INTO member_mailboxes
			(organization_id, mailbox_key, address, person_id, position) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			organizationID, key, addresses[i], personID, i); err != nil {
			return err
		}
	}
	return nil
}

// SetMemberWords replaces what a member is found by.
func (tx *Tx) SetMemberWords(organizationID, personID string, words [][]byte) error {
	if _, err := tx.execCount("words of a member", `DELETE FROM member_words
		WHERE organization_id = $1 AND person_id = $2`, organizationID, personID); err != nil {
		return err
	}
	for _, word := range words {
		if _, err := tx.execCount("word of a member", `INSERT INTO member_words (organization_id, word, person_id)
			VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, organizationID, word, personID); err != nil {
			return err
		}
	}
	return nil
}

// memberColumns are those of memberships m and people p. $1 is [lineFeed], $2
// the organization.
const memberColumns = `p.id, p.name, p.given_name, p.surname, p.local_name, p.language, p.created_at,
	m.organization_id, m.number, m.department, m.vouched_by, m.vouched_at, m.place, m.since, m.until,
	coalesce((SELECT string_agg(CAST(b.position AS TEXT) || ' ' || b.address, $1) FROM member_mailboxes b
		WHERE b.organization_id = $2 AND b.person_id = m.person_id), '')`

func scanMember(s scanner) (m Member, err error) {
	var addresses string
	err = s.Scan(&m.ID, &m.Name, &m.GivenName, &m.Surname, &m.LocalName, &m.Language, seconds{&m.Created},
		&m.OrganizationID, &m.Number, &m.Department, &m.VouchedBy, seconds{&m.Vouched}, &m.Place,
		seconds{&m.Since}, seconds{&m.Until}, &addresses)
	if err != nil {
		return m, err
	}
	m.Addresses, err = inOrder(addresses)
	return m, err
}

// Member reads the newest membership of a person in an organization, an ended
// one too.
func (tx *Tx) Member(organizationID, personID string) (Member, error) {
	return one(tx, "member", scanMember, `SELECT `+memberColumns+`
		FROM memberships m JOIN people p ON p.id = m.person_id
		WHERE m.organization_id = $2 AND m.person_id = $3
		ORDER BY CASE WHEN m.until IS NULL THEN 0 ELSE 1 END, m.since DESC LIMIT 1`, lineFeed, organizationID, personID)
}

// MemberByMailbox reads who has a mailbox in an organization now.
func (tx *Tx) MemberByMailbox(organizationID, key string) (personID string, err error) {
	return one(tx, "member of the mailbox", scanString, `SELECT person_id FROM member_mailboxes
		WHERE organization_id = $1 AND mailbox_key = $2`, organizationID, key)
}

// MemberByNumber reads who has an employee's number in an organization now. That
// the number is not empty is said for SQLite, which otherwise does not see that
// the index of numbers has the answer.
func (tx *Tx) MemberByNumber(organizationID, number string) (personID string, err error) {
	return one(tx, "member of the number", scanString, `SELECT person_id FROM memberships
		WHERE organization_id = $1 AND number = $2 AND number <> '' AND until IS NULL`, organizationID, number)
}

// MembershipsOf lists the organizations that a person belongs to now.
func (tx *Tx) MembershipsOf(personID string) ([]string, error) {
	return all(tx, "organizations of a person", scanString, `SELECT organization_id FROM memberships
		WHERE person_id = $1 AND until IS NULL ORDER BY organization_id`, personID)
}

// MemberState is what a list of members can be narrowed to.
type MemberState string

// The states. One that is not named here selects nobody.
const (
	AnyMember      MemberState = ""         // who belongs to the organization now
	MemberWithout  MemberState = "without"  // has no certificate that is valid
	MemberValid    MemberState = "valid"    // has one
	MemberExpiring MemberState = "expiring" // whose last one ends before MemberQuery.EndingBefore
	MemberExpired  MemberState = "expired"  // had one that nobody revoked, and has none
	MemberRevoked  MemberState = "revoked"  // had one that was revoked, and has none
	MemberWaiting  MemberState = "waiting"  // has an order that is open
	MemberLeft     MemberState = "left"     // belongs no longer
)

// MemberQuery says which members are wanted.
type MemberQuery struct {
	OrganizationID string
	Words          [][]byte // beginnings of words, all of which must be found
	State          MemberState
	EndingBefore   time.Time // of MemberExpiring
	Now            time.Time
	AfterPlace     []byte // the last one of the page before; nil: from the beginning
	AfterID        string
	Limit          int
}

// Members reads a page of an organization's members.
func (tx *Tx) Members(q MemberQuery) ([]Member, error) {
	text, args := q.page()
	return all(tx, "members", scanMember, text, args...)
}

// page is the statement that reads one.
func (q MemberQuery) page() (text string, args []any) {
	where, args := q.where()
	text = `SELECT ` + memberColumns + ` FROM memberships m JOIN people p ON p.id = m.person_id WHERE ` + where
	if q.AfterPlace != nil || q.AfterID != "" {
		args = append(args, q.AfterPlace, q.AfterID)
		text += fmt.Sprintf(` AND (m.place, m.person_id) > ($%d, $%d)`, len(args)-1, len(args))
	}
	args = append(args, q.Limit)
	return text + fmt.Sprintf(` ORDER BY m.place, m.person_id LIMIT $%d`, len(args)), args
}

// CountMembers says how many there are.
func (tx *Tx) CountMembers(q MemberQuery) (int64, error) {
	where, args := q.where()
	// $1 is a text for both engines, though nothing is made of it here.
	return one(tx, "count members", scanInt, `SELECT count(*) FROM memberships m WHERE $1 <> '' AND `+where, args...)
}

// MemberIDs reads the persons of all members that are wanted, at most limit of
// them, in the order of lists.
func (tx *Tx) MemberIDs(q MemberQuery) ([]string, error) {
	where, args := q.where()
	args = append(args, q.Limit)
	return all(tx, "members", scanString, `SELECT m.person_id FROM memberships m WHERE $1 <> '' AND `+where+
		fmt.Sprintf(` ORDER BY m.place, m.person_id LIMIT $%d`, len(args)), args...)
}

// ofMember are the conditions of a certificate c of member m. The organization is
// compared so that no index of all its certificates is taken for this.
const ofMember = `c.person_id = m.person_id AND coalesce(c.organization_id, '') = $2`

// validCertificate tells of member m whether a certificate is valid, and ends not
// before $%d.
const validCertificate = `(EXISTS (SELECT 1 FROM certificates c WHERE ` + ofMember + `
		AND c.state = 'issued' AND c.revoked_at IS NULL AND c.not_after >= $%[1]d)
	OR EXISTS (SELECT 1 FROM certificates_foreign c WHERE ` + ofMember + `
		AND c.revoked_at IS NULL AND c.not_after >= $%[1]d))`

// where are the conditions and their arguments, of which the first two are those
// of memberColumns.
func (q MemberQuery) where() (text string, args []any) {
	args = []any{lineFeed, q.OrganizationID}
	arg := func(v any) int { args = append(args, v); return len(args) }
	text = `m.organization_id = $2 AND m.until IS NULL`
	switch q.State {
	case AnyMember:
	case MemberLeft:
		text = `m.organization_id = $2 AND m.until IS NOT NULL AND NOT EXISTS (SELECT 1 FROM memberships n
			WHERE n.person_id = m.person_id AND n.organization_id = $2 AND (n.until IS NULL OR n.since > m.since))`
	case MemberWithout:
		text += ` AND NOT ` + fmt.Sprintf(validCertificate, arg(unix(q.Now)))
	case MemberValid:
		text += ` AND ` + fmt.Sprintf(validCertificate, arg(unix(q.Now)))
	case MemberExpiring:
		now, end := arg(unix(q.Now)), arg(unix(q.EndingBefore))
		text += fmt.Sprintf(` AND m.person_id IN (
			SELECT c.person_id FROM certificates c WHERE c.organization_id = $2 AND c.state = 'issued' AND c.revoked_at IS NULL
				AND c.not_after >= $%[1]d AND c.not_after < $%[2]d
			UNION SELECT c.person_id FROM certificates_foreign c WHERE c.organization_id = $2 AND c.revoked_at IS NULL
				AND c.not_after >= $%[1]d AND c.not_after < $%[2]d) AND NOT `, now, end) + fmt.Sprintf(validCertificate, end)
	case MemberExpired:
		now := arg(unix(q.Now))
		text += fmt.Sprintf(` AND m.person_id IN (
			SELECT c.person_id FROM certificates c WHERE c.organization_id = $2 AND c.state = 'issued' AND c.revoked_at IS NULL AND c.not_after < $%[1]d
			UNION SELECT c.person_id FROM certificates_foreign c WHERE c.organization_id = $2 AND c.revoked_at IS NULL AND c.not_after < $%[1]d) AND NOT `,
			now) + fmt.Sprintf(validCertificate, now)
	case MemberRevoked:
		text += ` AND m.person_id IN (
			SELECT c.person_id FROM certificates c WHERE c.organization_id = $2 AND c.revoked_at IS NOT NULL
			UNION SELECT c.person_id FROM certificates_foreign c WHERE c.organization_id = $2 AND c.revoked_at IS NOT NULL) AND NOT ` +
			fmt.Sprintf(validCertificate, arg(unix(q.Now)))
	case MemberWaiting:
		text += fmt.Sprintf(` AND EXISTS (SELECT 1 FROM orders o WHERE o.person_id = m.person_id AND coalesce(o.organization_id, '') = $2
			AND o.state IN ('applied', 'proven') AND o.expires_at > $%d)`, arg(unix(q.Now)))
	default:
		text += ` AND 1 = 0`
	}
	for _, word := range q.Words {
		from, to := arg(word), arg(after(word))
		text += fmt.Sprintf(` AND m.person_id IN (SELECT w.person_id FROM member_words w
			WHERE w.organization_id = $2 AND w.word >= $%d AND w.word < $%d)`, from, to)
	}
	return text, args
}

// after is the first word behind all those that begin so. UTF-8 has no octet
// 0xFF, so that the last one can be counted up.
func after(word []byte) []byte {
	end := append([]byte{}, word...)
	if len(end) == 0 {
		return []byte{0xff}
	}
	end[len(end)-1]++
	return end
}
