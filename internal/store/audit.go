package store

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// AuditEntry is one row of audit_entries.
type AuditEntry struct {
	Seq     int64 // from 1, without gaps
	At      time.Time
	Actor   string
	Act     string
	Object  string
	Details string // a JSON object of strings
	Hash    []byte
}

// ErrUnrecorded: an Update wrote a state without the audit entry that says so.
var ErrUnrecorded = errors.New("store: an act without an audit entry")

// owe is called by the methods that do what the log must say: the Update that
// they are part of is not committed before an entry of that act is written.
func (tx *Tx) owe(act string, err error) error {
	if err == nil {
		if tx.owed == nil {
			tx.owed = map[string]int{}
		}
		tx.owed[act]++
	}
	return err
}

func (tx *Tx) recorded() error {
	for act, n := range tx.owed {
		if n > 0 {
			return fmt.Errorf("%w: %s", ErrUnrecorded, act)
		}
	}
	return nil
}

// LastAuditEntry reads the newest entry, or says ErrNotFound. In an Update it
// stays the newest one until the end: one writer at a time.
func (tx *Tx) LastAuditEntry() (AuditEntry, error) {
	if tx.t.newest != nil {
		return *tx.t.newest, nil
	}
	return one(tx, "last audit entry", scanAuditEntry, `SELECT `+auditColumns+`
		FROM audit_entries ORDER BY seq DESC LIMIT 1`)
}

// InsertAuditEntry adds an entry. ErrConflict: its place is taken.
func (tx *Tx) InsertAuditEntry(e AuditEntry) error {
	err := tx.later("audit entry", `INSERT INTO audit_entries (`+auditColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		e.Seq, e.At.Unix(), e.Actor, e.Act, e.Object, e.Details, e.Hash)
	if err != nil {
		return err
	}
	e.At = time.Unix(e.At.Unix(), 0).UTC() // as it would be read
	tx.t.newest = &e
	if tx.owed[e.Act] > 0 {
		tx.owed[e.Act]--
	}
	return err
}

const auditColumns = `seq, at, actor, act, object, details, hash`

// scanAuditEntry refuses values of another type than was written: SQLite would
// keep the same letters as a blob, and a number as letters.
func scanAuditEntry(s scanner) (e AuditEntry, err error) {
	return e, s.Scan(exactly[int64]{&e.Seq}, moment{&e.At}, exactly[string]{&e.Actor}, exactly[string]{&e.Act},
		exactly[string]{&e.Object}, exactly[string]{&e.Details}, exactly[[]byte]{&e.Hash})
}

// exactly reads a value of one type and converts nothing.
type exactly[T any] struct{ v *T }

// Scan implements sql.Scanner.
func (x exactly[T]) Scan(v any) error {
	t, ok := v.(T)
	if !ok {
		return fmt.Errorf("%w: a %T where a %T belongs", ErrDamaged, v, *x.v)
	}
	// The driver takes its buffer back at the next row.
	if b, ok := any(t).([]byte); ok {
		t = any(append([]byte{}, b...)).(T)
	}
	*x.v = t
	return nil
}

// moment reads a time that is never NULL.
type moment struct{ t *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(v any) error {
	var at int64
	if err := (exactly[int64]{&at}).Scan(v); err != nil {
		return err
	}
	*m.t = time.Unix(at, 0).UTC()
	return nil
}

// ErrDamaged: a column holds what this program never wrote there.
var ErrDamaged = errors.New("store: damaged row")

// AuditEntries calls each for every entry in the order of seq. An entry that
// cannot be read comes with its error, and what could be read of it.
func (tx *Tx) AuditEntries(each func(AuditEntry, error) error) error {
	return stream(tx, "audit entries", scanAuditEntry, each, `SELECT `+auditColumns+` FROM audit_entries ORDER BY seq`)
}

// Acts that the log and other tables both know of. The methods that write such
// a state ask for the entry in the same transaction.
const (
	ActIssued    = "certificate.issued"
	ActRefused   = "certificate.refused"
	ActRevoked   = "certificate.revoked"
	ActApplied   = "order.applied"
	ActProven    = "order.proven"
	ActDenied    = "order.refused"
	ActAuthority = "authority.made"
	ActCRL       = "crl.signed"

	ActAuthorityRetired   = "authority.retired"   // no longer issues
	ActAuthorityRequested = "authority.requested" // a key waits for its certificate
	ActAuthorityCertified = "authority.certified" // by an authority
	ActAuthorityRevoked   = "authority.revoked"   // its certificate

	ActKeyDistrusted = "key.distrusted" // is never certified

	ActOrganization        = "organization.made"
	ActOrganizationChanged = "organization.changed" // names, settings, standing
	ActAgreement           = "organization.agreed"
	ActDomain              = "domain.added"
	ActDomainProven        = "domain.proven"
	ActDomainLapsed        = "domain.lapsed"
	ActDomainRemoved       = "domain.removed"
	ActEvidence            = "evidence.submitted"
	ActEvidenceSeen        = "evidence.seen" // by the first of two
	ActEvidenceAccepted    = "evidence.accepted"
	ActEvidenceRefused     = "evidence.refused"
	ActMember              = "member.vouched" // belongs to the organization, which answers for the names
	ActMemberChanged       = "member.changed"
	ActMemberLeft          = "member.left"
	ActApproved            = "order.approved"
	ActForeign             = "foreign.added" // a certificate by somebody else
	ActForeignRevoked      = "foreign.revoked"
	ActAnchor              = "anchor.added" // a root that is trusted for certificates by others
	ActAnchorRemoved       = "anchor.removed"

	ActJobRevived   = "job.revived"   // one that was given up is tried again
	ActJobDiscarded = "job.discarded" // or is never done

	ActReported     = "report.received" // a certificate problem report
	ActReportClosed = "report.closed"
)

// Recorded is a certificate, and one of the entries about it.
type Recorded struct {
	ID         string
	State      string
	Serial     []byte
	DER        []byte
	SHA256     []byte
	Revoked    bool
	RevokedFor int64

	Act     string // empty: there is no entry
	Details string
}

// RecordedCertificates calls each for every certificate with every entry about
// it; those of one certificate follow each other.
func (tx *Tx) RecordedCertificates(each func(Recorded, error) error) error {
	return stream(tx, "certificates and audit entries", func(s scanner) (r Recorded, err error) {
		return r, s.Scan(&r.ID, &r.State, &r.Serial, &r.DER, &r.SHA256, &r.Revoked, &r.RevokedFor, &r.Act, &r.Details)
	}, each, `SELECT c.id, c.state, c.serial, c.der, c.sha256, c.revoked_at IS NOT NULL, coalesce(c.revoked_for, 0),
			coalesce(e.act, ''), coalesce(e.details, '')
		FROM certificates c LEFT JOIN audit_entries e ON e.object = c.id AND e.act IN ($1, $2, $3)
		ORDER BY c.id, e.seq`, ActIssued, ActRefused, ActRevoked)
}

// RecordedOrders does the same for orders: id, state and act.
func (tx *Tx) RecordedOrders(each func(id, state, act string) error) error {
	return stream(tx, "orders and audit entries", func(s scanner) (r [3]string, err error) {
		return r, s.Scan(&r[0], &r[1], &r[2])
	}, func(r [3]string, err error) error {
		if err != nil {
			return err
		}
		return each(r[0], r[1], r[2])
	}, `SELECT o.id, o.state, coalesce(e.act, '')
		FROM orders o LEFT JOIN audit_entries e ON e.object = o.id AND e.act IN ($1, $2, $3)
		ORDER BY o.id, e.seq`, ActApplied, ActProven, ActDenied)
}

// RecordedAuthorities does the same for authorities: id and act.
func (tx *Tx) RecordedAuthorities(each func(id, act string) error) error {
	return stream(tx, "authorities and audit entries", func(s scanner) (r [2]string, err error) {
		return r, s.Scan(&r[0], &r[1])
	}, func(r [2]string, err error) error {
		if err != nil {
			return err
		}
		return each(r[0], r[1])
	}, `SELECT a.id, coalesce(e.act, '')
		FROM authorities a LEFT JOIN audit_entries e ON e.object = a.id AND e.act = $1
		ORDER BY a.id, e.seq`, ActAuthority)
}

// UnknownObjects calls each for every entry about a certificate or an authority
// that is not there.
func (tx *Tx) UnknownObjects(each func(AuditEntry, error) error) error {
	return stream(tx, "audit entries of nothing", scanAuditEntry, each, `SELECT e.seq, e.at, e.actor, e.act, e.object, e.details, e.hash
		FROM audit_entries e LEFT JOIN certificates c ON c.id = e.object LEFT JOIN authorities a ON a.id = e.object
		WHERE e.act IN ($1, $2, $3) AND c.id IS NULL OR e.act = $4 AND a.id IS NULL
		ORDER BY e.seq`, ActIssued, ActRefused, ActRevoked, ActAuthority)
}

// AuditKey reads the entry that brought in the key that signs checkpoints now,
// and where the private key is.
func (tx *Tx) AuditKey() (seq int64, uri string, err error) {
	type key struct {
		seq int64
		uri string
	}
	k, err := one(tx, "audit key", func(s scanner) (k key, err error) { return k, s.Scan(&k.seq, &k.uri) },
		`SELECT seq, key_uri FROM audit_keys ORDER BY seq DESC LIMIT 1`)
	return k.seq, k.uri, err
}

// InsertAuditKey writes where the key is that the entry seq brought in.
func (tx *Tx) InsertAuditKey(seq int64, uri string) error {
	return tx.exec("audit key", `INSERT INTO audit_keys (seq, key_uri) VALUES ($1, $2) ON CONFLICT DO NOTHING`, seq, uri)
}

// AuditEntry reads one entry.
func (tx *Tx) AuditEntry(seq int64) (AuditEntry, error) {
	return one(tx, "audit entry", scanAuditEntry, `SELECT `+auditColumns+` FROM audit_entries WHERE seq = $1`, seq)
}

// AuditCheckpoint is one row of audit_checkpoints.
type AuditCheckpoint struct {
	Seq  int64
	Note string
}

// InsertAuditCheckpoint keeps a signed checkpoint; one that is there already is
// no error: another node was faster.
func (tx *Tx) InsertAuditCheckpoint(c AuditCheckpoint) error {
	_, err := tx.execCount("audit checkpoint", `INSERT INTO audit_checkpoints (seq, note) VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, c.Seq, c.Note)
	return err
}

func scanAuditCheckpoint(s scanner) (c AuditCheckpoint, err error) {
	return c, s.Scan(exactly[int64]{&c.Seq}, exactly[string]{&c.Note})
}

// LastAuditCheckpoint reads the newest one.
func (tx *Tx) LastAuditCheckpoint() (AuditCheckpoint, error) {
	return one(tx, "audit checkpoint", scanAuditCheckpoint,
		`SELECT seq, note FROM audit_checkpoints ORDER BY seq DESC LIMIT 1`)
}

// AuditCheckpoints calls each for every checkpoint in the order of seq.
func (tx *Tx) AuditCheckpoints(each func(AuditCheckpoint, error) error) error {
	return stream(tx, "audit checkpoints", scanAuditCheckpoint, each, `SELECT seq, note FROM audit_checkpoints ORDER BY seq`)
}

// AuditSalt reads the salt of a month.
func (tx *Tx) AuditSalt(month string) ([]byte, error) {
	return one(tx, "audit salt", func(s scanner) (salt []byte, err error) { return salt, s.Scan(&salt) },
		`SELECT salt FROM audit_salts WHERE month = $1`, month)
}

// InsertAuditSalt keeps the salt of a month.
func (tx *Tx) InsertAuditSalt(month string, salt []byte) error {
	return tx.exec("audit salt", `INSERT INTO audit_salts (month, salt) VALUES ($1, $2) ON CONFLICT DO NOTHING`, month, salt)
}

// ForgetAuditSalts drops the salts of the months before one, and with them what
// their digests could tell.
func (tx *Tx) ForgetAuditSalts(before string) error {
	_, err := tx.execCount("forget audit salts", `DELETE FROM audit_salts WHERE month < $1`, before)
	return err
}

// AuditSearch says which entries are wanted. What is empty does not narrow.
type AuditSearch struct {
	OrganizationID     string // whose orders, certificates and other things they are about
	Actor, Act, Object string // beginnings
	From, To           time.Time
	Before             int64 // seq; 0: from the newest
	Window             int   // how many entries are looked at
	Limit              int   // how many are wanted
}

// SearchAudit looks through a window of the log for entries, the newest first.
func (tx *Tx) SearchAudit(q AuditSearch) ([]AuditEntry, error) {
	if q.Before == 0 {
		q.Before = math.MaxInt64
	}
	if q.To.IsZero() {
		q.To = time.Unix(math.MaxInt64/2, 0)
	}
	return all(tx, "search the log", scanAuditEntry, `SELECT `+auditColumns+` FROM (SELECT `+auditColumns+` FROM audit_entries
			WHERE seq < $1 ORDER BY seq DESC LIMIT $2) e
		WHERE substr(actor, 1, length($3)) = $3 AND substr(act, 1, length($4)) = $4 AND substr(object, 1, length($5)) = $5
		AND at >= $6 AND at < $7
		AND ($8 = '' OR object = $8 OR details LIKE $9
			OR EXISTS (SELECT 1 FROM orders o WHERE o.id = e.object AND o.organization_id = $8)
			OR EXISTS (SELECT 1 FROM certificates c WHERE c.id = e.object AND c.organization_id = $8))
		ORDER BY seq DESC LIMIT $10`,
		q.Before, q.Window, q.Actor, q.Act, q.Object, max(q.From.Unix(), 0), q.To.Unix(),
		q.OrganizationID, `%"organization":"`+q.OrganizationID+`"%`, q.Limit)
}
