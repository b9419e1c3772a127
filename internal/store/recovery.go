package store

import "time"

// Acts that the log must say of escrowed keys.
const (
	ActOfficersProposed  = "recovery.proposed"  // new officers
	ActOfficersActive    = "recovery.officers"  // they hold the shares from now on
	ActEscrowed          = "recovery.escrowed"  // a key
	ActRecoveryAsked     = "recovery.requested" // of a person's keys
	ActRecoveryGiven     = "recovery.given"     // an officer's shares, for a request
	ActRecoveryRefused   = "recovery.refused"   // an officer's word, for a request
	ActRecoveryWithdrawn = "recovery.withdrawn"
	ActRecoveryReleased  = "recovery.released"
	ActReshared          = "recovery.reshared" // an officer's shares, for the officers after them
)

// RecoveryQuorum is one row of recovery_quorums.
type RecoveryQuorum struct {
	ID             string
	OrganizationID string
	Threshold      int
	State          string // proposed, active, former, dropped
	ProposedBy     string
	Proposed       time.Time
	Active         time.Time
	Seconded       bool // by a second member of the organization
}

// RecoveryOfficer is one row of recovery_officers.
type RecoveryOfficer struct {
	QuorumID    string
	Position    int
	AccountID   string
	Certificate []byte
	Confirmed   time.Time
}

// InsertRecoveryQuorum writes a proposed quorum and its officers, in the place
// of one that was proposed before.
func (tx *Tx) InsertRecoveryQuorum(q RecoveryQuorum, officers []RecoveryOfficer) error {
	if _, err := tx.execCount("drop proposed officers", `UPDATE recovery_quorums SET state = 'dropped'
		WHERE organization_id = $1 AND state = 'proposed'`, q.OrganizationID); err != nil {
		return err
	}
	if err := tx.exec("propose officers", `INSERT INTO recovery_quorums (id, organization_id, threshold, state, proposed_by, proposed_at, seconded)
		VALUES ($1, $2, $3, 'proposed', $4, $5, $6)`, q.ID, q.OrganizationID, q.Threshold, q.ProposedBy, unix(q.Proposed), flag(q.Seconded)); err != nil {
		return err
	}
	for _, o := range officers {
		if err := tx.exec("propose officer", `INSERT INTO recovery_officers (quorum_id, position, account_id, certificate)
			VALUES ($1, $2, $3, $4)`, q.ID, o.Position, o.AccountID, o.Certificate); err != nil {
			return err
		}
	}
	return tx.owe(ActOfficersProposed, nil)
}

const quorumColumns = `id, organization_id, threshold, state, proposed_by, proposed_at, active_at, seconded`

func scanQuorum(s scanner) (q RecoveryQuorum, err error) {
	return q, s.Scan(&q.ID, &q.OrganizationID, &q.Threshold, &q.State, &q.ProposedBy, seconds{&q.Proposed}, seconds{&q.Active}, &q.Seconded)
}

// RecoveryQuorum reads one quorum.
func (tx *Tx) RecoveryQuorum(id string) (RecoveryQuorum, error) {
	return one(tx, "recovery quorum", scanQuorum, `SELECT `+quorumColumns+` FROM recovery_quorums WHERE id = $1`, id)
}

// RecoveryQuorumOf reads the active or the proposed quorum of an organization.
func (tx *Tx) RecoveryQuorumOf(organizationID, state string) (RecoveryQuorum, error) {
	return one(tx, "recovery quorum", scanQuorum, `SELECT `+quorumColumns+` FROM recovery_quorums
		WHERE organization_id = $1 AND state = $2 AND state IN ('active', 'proposed')`, organizationID, state)
}

// RecoveryOfficers lists the officers of a quorum.
func (tx *Tx) RecoveryOfficers(quorumID string) ([]RecoveryOfficer, error) {
	return all(tx, "recovery officers", func(s scanner) (o RecoveryOfficer, err error) {
		return o, s.Scan(&o.QuorumID, &o.Position, &o.AccountID, &o.Certificate, seconds{&o.Confirmed})
	}, `SELECT quorum_id, position, account_id, certificate, confirmed_at FROM recovery_officers
		WHERE quorum_id = $1 ORDER BY position`, quorumID)
}

// ConfirmRecoveryOfficer writes that an officer of a proposed quorum has shown
// the key; again is a conflict.
func (tx *Tx) ConfirmRecoveryOfficer(quorumID, accountID string, now time.Time) error {
	return tx.exec("confirm officer", `UPDATE recovery_officers SET confirmed_at = $3
		WHERE quorum_id = $1 AND account_id = $2 AND confirmed_at IS NULL`, quorumID, accountID, unix(now))
}

// ApproveRecoveryQuorum writes that an officer agrees to the next officers.
func (tx *Tx) ApproveRecoveryQuorum(quorumID, accountID string, now time.Time) error {
	return tx.exec("approve officers", `INSERT INTO recovery_approvals (quorum_id, account_id, approved_at)
		VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, quorumID, accountID, unix(now))
}

// RecoveryApprovals lists the accounts that agreed to a proposed quorum.
func (tx *Tx) RecoveryApprovals(quorumID string) ([]string, error) {
	return all(tx, "approvals of officers", scanString, `SELECT account_id FROM recovery_approvals
		WHERE quorum_id = $1 ORDER BY account_id`, quorumID)
}

// ActivateRecoveryQuorum puts a proposed quorum in the place of the active one.
func (tx *Tx) ActivateRecoveryQuorum(organizationID, quorumID string, now time.Time) error {
	if _, err := tx.execCount("former officers", `UPDATE recovery_quorums SET state = 'former'
		WHERE organization_id = $1 AND state = 'active'`, organizationID); err != nil {
		return err
	}
	// What was given for a quorum that is former by now is of no use.
	if _, err := tx.execCount("former shares", `DELETE FROM recovery_reshares WHERE quorum_id IN
		(SELECT id FROM recovery_quorums WHERE organization_id = $1 AND state = 'former')`, organizationID); err != nil {
		return err
	}
	return tx.owe(ActOfficersActive, tx.exec("activate officers", `UPDATE recovery_quorums SET state = 'active', active_at = $3
		WHERE organization_id = $1 AND id = $2 AND state = 'proposed'`, organizationID, quorumID, unix(now)))
}

// RecoveryEscrow is one row of recovery_escrows.
type RecoveryEscrow struct {
	ID             string
	OrganizationID string
	PersonID       string
	KeyHash        []byte // SHA-256 of the SubjectPublicKeyInfo
	QuorumID       string
	OrderID        string // that it came with; "": the server made it
	Sealed         []byte
	Created        time.Time
}

// RecoveryShare is one row of recovery_shares or recovery_reshares.
type RecoveryShare struct {
	EscrowID string
	QuorumID string
	Position int // whose it is
	Origin   int // of the officer before who gave it; 0: it was made with the escrow
	Envelope []byte
}

// InsertRecoveryEscrow writes an escrowed key. ErrConflict: it is there already.
func (tx *Tx) InsertRecoveryEscrow(e RecoveryEscrow) error {
	return tx.owe(ActEscrowed, tx.exec("escrow", `INSERT INTO recovery_escrows
		(id, organization_id, person_id, key_hash, quorum_id, order_id, sealed, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		e.ID, e.OrganizationID, e.PersonID, e.KeyHash, e.QuorumID, e.OrderID, e.Sealed, unix(e.Created)))
}

// DropUnfinishedEscrows removes the keys that came with an order and have no
// certificate, nor one on its way: whoever began again has made another one.
func (tx *Tx) DropUnfinishedEscrows(orderID string) error {
	const unfinished = `SELECT e.id FROM recovery_escrows e WHERE e.order_id = $1 AND $1 <> ''
		AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.key_hash = e.key_hash AND c.state <> 'refused')
		AND NOT EXISTS (SELECT 1 FROM certificates_foreign f WHERE f.key_hash = e.key_hash)
		AND NOT EXISTS (SELECT 1 FROM recovery_request_keys k WHERE k.escrow_id = e.id)`
	for _, table := range []string{"recovery_reshares", "recovery_shares"} {
		if _, err := tx.execCount("unfinished escrow", `DELETE FROM `+table+` WHERE escrow_id IN (`+unfinished+`)`, orderID); err != nil {
			return err
		}
	}
	_, err := tx.execCount("unfinished escrow", `DELETE FROM recovery_escrows WHERE id IN (`+unfinished+`)`, orderID)
	return err
}

// InsertRecoveryShare writes an officer's share, or a part of it.
func (tx *Tx) InsertRecoveryShare(s RecoveryShare) error {
	return tx.exec("share", `INSERT INTO recovery_shares (escrow_id, quorum_id, position, origin, envelope)
		VALUES ($1, $2, $3, $4, $5)`, s.EscrowID, s.QuorumID, s.Position, s.Origin, s.Envelope)
}

const escrowColumns = `e.id, e.organization_id, e.person_id, e.key_hash, e.quorum_id, e.sealed, e.created_at`

func scanEscrow(s scanner) (e RecoveryEscrow, err error) {
	return e, s.Scan(&e.ID, &e.OrganizationID, &e.PersonID, &e.KeyHash, &e.QuorumID, &e.Sealed, seconds{&e.Created})
}

// RecoveryEscrow reads one escrowed key.
func (tx *Tx) RecoveryEscrow(id string) (RecoveryEscrow, error) {
	return one(tx, "escrow", scanEscrow, `SELECT `+escrowColumns+` FROM recovery_escrows e WHERE e.id = $1`, id)
}

// RecoveryEscrowsOf lists the escrowed keys of a person in an organization, the
// oldest first.
func (tx *Tx) RecoveryEscrowsOf(organizationID, personID string) ([]RecoveryEscrow, error) {
	return all(tx, "escrows of a person", scanEscrow, `SELECT `+escrowColumns+` FROM recovery_escrows e
		WHERE e.organization_id = $1 AND e.person_id = $2 ORDER BY e.created_at, e.id`, organizationID, personID)
}

// RecoveryOrganizationsOf lists the organizations that keep keys of a person.
func (tx *Tx) RecoveryOrganizationsOf(personID string) ([]string, error) {
	return all(tx, "organizations with escrows of a person", scanString,
		`SELECT DISTINCT organization_id FROM recovery_escrows WHERE person_id = $1 ORDER BY organization_id`, personID)
}

// RecoveryEscrowsToReshare lists keys whose shares an account holds from a
// former quorum and has not given for the next one, and that nobody asks for.
func (tx *Tx) RecoveryEscrowsToReshare(organizationID, accountID, next string, now time.Time, limit int) ([]RecoveryEscrow, error) {
	return all(tx, "escrows to reshare", scanEscrow, `SELECT `+escrowColumns+` FROM recovery_quorums q
		JOIN recovery_officers o ON o.quorum_id = q.id AND o.account_id = $2
		JOIN recovery_escrows e ON e.quorum_id = q.id
		WHERE q.organization_id = $1 AND q.state = 'former'
		AND NOT EXISTS (SELECT 1 FROM recovery_reshares r WHERE r.escrow_id = e.id AND r.quorum_id = $3 AND r.origin = o.position)
		AND NOT EXISTS (SELECT 1 FROM recovery_request_keys k JOIN recovery_requests r ON r.id = k.request_id
			WHERE k.escrow_id = e.id AND r.state IN ('open', 'ready') AND r.expires_at > $4)
		ORDER BY e.id LIMIT $5`, organizationID, accountID, next, unix(now), limit)
}

// CountRecoveryEscrows says how many keys are with the officers of a quorum.
func (tx *Tx) CountRecoveryEscrows(quorumID string) (int64, error) {
	return one(tx, "count escrows", scanInt, `SELECT count(*) FROM recovery_escrows WHERE quorum_id = $1`, quorumID)
}

// CountFormerEscrows says how many keys of an organization are with officers of
// before.
func (tx *Tx) CountFormerEscrows(organizationID string) (int64, error) {
	return one(tx, "count escrows", scanInt, `SELECT count(*) FROM recovery_quorums q JOIN recovery_escrows e ON e.quorum_id = q.id
		WHERE q.organization_id = $1 AND q.state = 'former'`, organizationID)
}

// EscrowRequested tells whether somebody asks for a key.
func (tx *Tx) EscrowRequested(escrowID string, now time.Time) (bool, error) {
	n, err := one(tx, "requests for a key", scanInt, `SELECT count(*) FROM recovery_request_keys k JOIN recovery_requests r ON r.id = k.request_id
		WHERE k.escrow_id = $1 AND r.state IN ('open', 'ready') AND r.expires_at > $2`, escrowID, unix(now))
	return n > 0, err
}

// RecoveryShares lists the parts of an officer's share of a key.
func (tx *Tx) RecoveryShares(escrowID, quorumID string, position int) ([]RecoveryShare, error) {
	return all(tx, "shares", scanShare, `SELECT escrow_id, quorum_id, position, origin, envelope FROM recovery_shares
		WHERE escrow_id = $1 AND quorum_id = $2 AND position = $3 ORDER BY origin`, escrowID, quorumID, position)
}

func scanShare(s scanner) (r RecoveryShare, err error) {
	return r, s.Scan(&r.EscrowID, &r.QuorumID, &r.Position, &r.Origin, &r.Envelope)
}

// InsertRecoveryReshare writes what an officer gives to one of the next ones.
// ErrConflict: they did already.
func (tx *Tx) InsertRecoveryReshare(s RecoveryShare) error {
	return tx.exec("reshare", `INSERT INTO recovery_reshares (escrow_id, quorum_id, origin, position, envelope)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, s.EscrowID, s.QuorumID, s.Origin, s.Position, s.Envelope)
}

// RecoveryReshares lists what was given towards the next shares of a key.
func (tx *Tx) RecoveryReshares(escrowID, quorumID string) ([]RecoveryShare, error) {
	return all(tx, "reshares", scanShare, `SELECT escrow_id, quorum_id, position, origin, envelope FROM recovery_reshares
		WHERE escrow_id = $1 AND quorum_id = $2 ORDER BY origin, position`, escrowID, quorumID)
}

// MoveRecoveryEscrow hands a key over to the officers of another quorum, whose
// shares are there.
func (tx *Tx) MoveRecoveryEscrow(escrowID, from, to string) error {
	if _, err := tx.execCount("reshares that are done", `DELETE FROM recovery_reshares WHERE escrow_id = $1`, escrowID); err != nil {
		return err
	}
	return tx.exec("move escrow", `UPDATE recovery_escrows SET quorum_id = $3 WHERE id = $1 AND quorum_id = $2`, escrowID, from, to)
}

// RecoveryRequest is one row of recovery_requests.
type RecoveryRequest struct {
	ID             string
	OrganizationID string
	PersonID       string // whose keys
	QuorumID       string
	Requester      string // as the audit log names them
	Recipient      []byte // the certificate
	Reason         string
	State          string // open, ready, released, refused, withdrawn
	Created        time.Time
	Expires        time.Time
	Released       time.Time
}

// InsertRecoveryRequest writes a request for some of a person's keys.
func (tx *Tx) InsertRecoveryRequest(r RecoveryRequest, escrows []string) error {
	if err := tx.exec("recovery request", `INSERT INTO recovery_requests
		(id, organization_id, person_id, quorum_id, requester, recipient, reason, state, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $9)`,
		r.ID, r.OrganizationID, r.PersonID, r.QuorumID, r.Requester, r.Recipient, r.Reason, unix(r.Created), unix(r.Expires)); err != nil {
		return err
	}
	for _, escrow := range escrows {
		if err := tx.exec("key of a recovery request", `INSERT INTO recovery_request_keys (request_id, escrow_id) VALUES ($1, $2)`, r.ID, escrow); err != nil {
			return err
		}
	}
	return tx.owe(ActRecoveryAsked, nil)
}

const requestColumns = `r.id, r.organization_id, r.person_id, r.quorum_id, r.requester, r.recipient, r.reason, r.state,
	r.created_at, r.expires_at, r.released_at`

func scanRequest(s scanner) (r RecoveryRequest, err error) {
	return r, s.Scan(&r.ID, &r.OrganizationID, &r.PersonID, &r.QuorumID, &r.Requester, &r.Recipient, &r.Reason, &r.State,
		seconds{&r.Created}, seconds{&r.Expires}, seconds{&r.Released})
}

// RecoveryRequest reads one request.
func (tx *Tx) RecoveryRequest(id string) (RecoveryRequest, error) {
	return one(tx, "recovery request", scanRequest, `SELECT `+requestColumns+` FROM recovery_requests r WHERE r.id = $1`, id)
}

// RecoveryRequests lists a page of an organization's requests, the newest first;
// before is the last one of the page before.
func (tx *Tx) RecoveryRequests(organizationID string, before time.Time, beforeID string, limit int) ([]RecoveryRequest, error) {
	return all(tx, "recovery requests", scanRequest, `SELECT `+requestColumns+` FROM recovery_requests r
		WHERE r.organization_id = $1 AND (r.created_at, r.id) < ($2, $3) ORDER BY r.created_at DESC, r.id DESC LIMIT $4`,
		organizationID, before.Unix(), beforeID, limit)
}

// RecoveryRequestsBy lists the requests that a person or account filed, the
// newest first.
func (tx *Tx) RecoveryRequestsBy(organizationID, requester string, limit int) ([]RecoveryRequest, error) {
	return all(tx, "recovery requests", scanRequest, `SELECT `+requestColumns+` FROM recovery_requests r
		WHERE r.organization_id = $1 AND r.requester = $2 ORDER BY r.created_at DESC, r.id DESC LIMIT $3`, organizationID, requester, limit)
}

// RecoveryRequestsFor lists the open requests that an officer has not answered.
func (tx *Tx) RecoveryRequestsFor(organizationID, accountID string, now time.Time, limit int) ([]RecoveryRequest, error) {
	return all(tx, "recovery requests", scanRequest, `SELECT `+requestColumns+` FROM recovery_requests r
		JOIN recovery_officers o ON o.quorum_id = r.quorum_id AND o.account_id = $2
		WHERE r.organization_id = $1 AND r.state = 'open' AND r.expires_at > $3
		AND NOT EXISTS (SELECT 1 FROM recovery_decisions d WHERE d.request_id = r.id AND d.account_id = $2)
		ORDER BY r.created_at, r.id LIMIT $4`, organizationID, accountID, unix(now), limit)
}

// RecoveryRequestKeys lists the keys that a request is about.
func (tx *Tx) RecoveryRequestKeys(requestID string) ([]RecoveryEscrow, error) {
	return all(tx, "keys of a recovery request", scanEscrow, `SELECT `+escrowColumns+` FROM recovery_request_keys k
		JOIN recovery_escrows e ON e.id = k.escrow_id WHERE k.request_id = $1 ORDER BY e.created_at, e.id`, requestID)
}

// SetRecoveryRequest moves a request from one state to another.
func (tx *Tx) SetRecoveryRequest(id, from, to string) error {
	return tx.exec("recovery request", `UPDATE recovery_requests SET state = $3 WHERE id = $1 AND state = $2`, id, from, to)
}

// ReleaseRecoveryRequest writes that the keys of a request go out.
func (tx *Tx) ReleaseRecoveryRequest(id string, now time.Time) error {
	return tx.owe(ActRecoveryReleased, tx.exec("release", `UPDATE recovery_requests SET state = 'released', released_at = coalesce(released_at, $2)
		WHERE id = $1 AND state IN ('ready', 'released')`, id, unix(now)))
}

// RecoveryDecision is one row of recovery_decisions.
type RecoveryDecision struct {
	RequestID string
	AccountID string
	Position  int
	Given     bool
	Decided   time.Time
}

// InsertRecoveryDecision writes what an officer says. ErrConflict: they said it
// already.
func (tx *Tx) InsertRecoveryDecision(d RecoveryDecision) error {
	given, act := 0, ActRecoveryRefused
	if d.Given {
		given, act = 1, ActRecoveryGiven
	}
	return tx.owe(act, tx.exec("officer's decision", `INSERT INTO recovery_decisions (request_id, account_id, position, given, decided_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, d.RequestID, d.AccountID, d.Position, given, unix(d.Decided)))
}

// RecoveryDecisions lists what officers said to a request.
func (tx *Tx) RecoveryDecisions(requestID string) ([]RecoveryDecision, error) {
	return all(tx, "officers' decisions", func(s scanner) (d RecoveryDecision, err error) {
		var given int
		err = s.Scan(&d.RequestID, &d.AccountID, &d.Position, &given, seconds{&d.Decided})
		d.Given = given == 1
		return d, err
	}, `SELECT request_id, account_id, position, given, decided_at FROM recovery_decisions
		WHERE request_id = $1 ORDER BY decided_at, position`, requestID)
}

// InsertRecoveryContribution writes a share that is encrypted to who asked.
func (tx *Tx) InsertRecoveryContribution(requestID, escrowID string, position int, envelope []byte) error {
	return tx.exec("contribution", `INSERT INTO recovery_contributions (request_id, escrow_id, position, envelope)
		VALUES ($1, $2, $3, $4)`, requestID, escrowID, position, envelope)
}

// RecoveryContributions lists the shares of one key that were given for a request.
func (tx *Tx) RecoveryContributions(requestID, escrowID string) ([]RecoveryShare, error) {
	return all(tx, "contributions", func(s scanner) (r RecoveryShare, err error) {
		return r, s.Scan(&r.EscrowID, &r.Position, &r.Envelope)
	}, `SELECT escrow_id, position, envelope FROM recovery_contributions
		WHERE request_id = $1 AND escrow_id = $2 ORDER BY position`, requestID, escrowID)
}

// SetRecoveryChallenge replaces what an officer must open to answer.
func (tx *Tx) SetRecoveryChallenge(accountID, kind, objectID string, proofHash []byte, expires time.Time) error {
	return tx.exec("challenge of an officer", `INSERT INTO recovery_challenges (account_id, kind, object_id, proof_hash, expires_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account_id, kind, object_id) DO UPDATE SET proof_hash = excluded.proof_hash, expires_at = excluded.expires_at`,
		accountID, kind, objectID, proofHash, unix(expires))
}

// TakeRecoveryChallenge uses a challenge up; ErrConflict when the proof is
// another, or came too late.
func (tx *Tx) TakeRecoveryChallenge(accountID, kind, objectID string, proofHash []byte, now time.Time) error {
	return tx.exec("challenge of an officer", `DELETE FROM recovery_challenges
		WHERE account_id = $1 AND kind = $2 AND object_id = $3 AND proof_hash = $4 AND expires_at > $5`,
		accountID, kind, objectID, proofHash, unix(now))
}

// ForgetRecoveryChallenges drops those that nobody can answer any more.
func (tx *Tx) ForgetRecoveryChallenges(now time.Time) error {
	_, err := tx.execCount("challenges of officers", `DELETE FROM recovery_challenges WHERE expires_at <= $1`, unix(now))
	return err
}

// KeyUse is a certificate of a key, ours or somebody else's. One that is not
// issued yet has no bytes.
type KeyUse struct {
	Issued         bool
	Trusted        bool   // ours, or by somebody whom the installation trusts
	OrganizationID string // through which; empty: the person asked
	DER            []byte
}

// CertificatesWithKey lists the certificates of a key, the one that ends last
// first.
func (tx *Tx) CertificatesWithKey(keyHash []byte) ([]KeyUse, error) {
	return all(tx, "certificates of a key", func(s scanner) (u KeyUse, err error) {
		var state string
		var trust string
		err = s.Scan(&state, &u.DER, &trust, &u.OrganizationID)
		u.Issued, u.Trusted = state == "issued", trust == "server"
		return u, err
	}, `SELECT state, der, trust, organization_id FROM (
		SELECT state, der, not_after, id, 'server' AS trust, coalesce(organization_id, '') AS organization_id
			FROM certificates WHERE key_hash = $1 AND state <> 'refused'
		UNION ALL SELECT 'issued', der, not_after, id, trust, organization_id FROM certificates_foreign WHERE key_hash = $1
		) c ORDER BY not_after DESC, id`, keyHash)
}

// MailboxesOf lists the addresses of the mailboxes that a person holds now, or
// has by the word of an organization.
func (tx *Tx) MailboxesOf(personID string) ([]string, error) {
	return all(tx, "mailboxes of a person", scanString, `SELECT DISTINCT address FROM (
		SELECT address FROM mailbox_holders WHERE person_id = $1 AND held_until IS NULL
		UNION ALL SELECT address FROM member_mailboxes WHERE person_id = $1) m ORDER BY address`, personID)
}
