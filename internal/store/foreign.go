package store

import "time"

// ForeignCertificate is one row of certificates_foreign: somebody else issued
// it.
type ForeignCertificate struct {
	ID             string
	OrganizationID string
	PersonID       string
	OrderID        string // empty: it existed before anybody asked here
	Issuer         string // the name in the certificate
	Serial         []byte // big endian, no leading zero octets
	DER            []byte
	Chain          []byte // certificates above it, DER one after the other
	SHA256         []byte
	KeyHash        []byte
	NotBefore      time.Time
	NotAfter       time.Time
	AddedBy        string
	Added          time.Time
	Revoked        time.Time // zero: nobody said so here
	RevokedFor     int
	ForeignTrust
}

// InsertForeignCertificate writes a new one. ErrConflict: the organization has
// it already, or the order has one.
func (tx *Tx) InsertForeignCertificate(c ForeignCertificate) error {
	var order any
	if c.OrderID != "" {
		order = c.OrderID
	}
	return tx.owe(ActForeign, tx.exec("certificate by somebody else", `INSERT INTO certificates_foreign
		(id, organization_id, person_id, order_id, issuer, serial, der, chain, sha256, key_hash, not_before, not_after, added_by, added_at,
		trust, trust_problem, trust_detail, trust_checked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING`,
		c.ID, c.OrganizationID, c.PersonID, order, c.Issuer, c.Serial, c.DER, c.Chain, c.SHA256, c.KeyHash,
		unix(c.NotBefore), unix(c.NotAfter), c.AddedBy, unix(c.Added), c.Trust, c.Problem, c.Detail, c.checked()))
}

const foreignColumns = `id, organization_id, person_id, coalesce(order_id, ''), issuer, serial, der, chain, sha256, key_hash,
	not_before, not_after, added_by, added_at, revoked_at, coalesce(revoked_for, 0), trust, trust_problem, trust_detail, trust_checked_at`

func scanForeign(s scanner) (c ForeignCertificate, err error) {
	return c, s.Scan(&c.ID, &c.OrganizationID, &c.PersonID, &c.OrderID, &c.Issuer, &c.Serial, &c.DER, &c.Chain, &c.SHA256, &c.KeyHash,
		seconds{&c.NotBefore}, seconds{&c.NotAfter}, &c.AddedBy, seconds{&c.Added}, seconds{&c.Revoked}, &c.RevokedFor,
		&c.Trust, &c.Problem, &c.Detail, seconds{&c.Checked})
}

// ForeignCertificate reads one of an organization.
func (tx *Tx) ForeignCertificate(organizationID, id string) (ForeignCertificate, error) {
	return one(tx, "certificate by somebody else", scanForeign, `SELECT `+foreignColumns+`
		FROM certificates_foreign WHERE organization_id = $1 AND id = $2`, organizationID, id)
}

// ForeignCertificateOf reads the one that an order got.
func (tx *Tx) ForeignCertificateOf(orderID string) (ForeignCertificate, error) {
	return one(tx, "certificate of the order", scanForeign, `SELECT `+foreignColumns+`
		FROM certificates_foreign WHERE order_id = $1`, orderID)
}

// RevokeForeignCertificate writes that its issuer was told to revoke one.
func (tx *Tx) RevokeForeignCertificate(organizationID, id string, at time.Time, reason int) error {
	return tx.owe(ActForeignRevoked, tx.exec("revoke a certificate by somebody else", `UPDATE certificates_foreign
		SET revoked_at = $3, revoked_for = $4 WHERE organization_id = $1 AND id = $2 AND revoked_at IS NULL`,
		organizationID, id, unix(at), reason))
}

// InsertExternalRequest keeps the certification request (DER) that is to leave
// for an order; ErrConflict when there is one.
func (tx *Tx) InsertExternalRequest(orderID string, request []byte, now time.Time) error {
	return tx.exec("request for an authority outside", `INSERT INTO external_requests (order_id, request, created_at)
		VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, orderID, request, unix(now))
}

// ExternalRequest reads it.
func (tx *Tx) ExternalRequest(orderID string) ([]byte, error) {
	return one(tx, "request for an authority outside", func(s scanner) (request []byte, err error) {
		return request, s.Scan(&request)
	}, `SELECT request FROM external_requests WHERE order_id = $1`, orderID)
}

// Holding is a certificate of a member, ours or somebody else's, without its
// bytes.
type Holding struct {
	ID             string
	PersonID       string
	OrganizationID string
	OrderID        string
	AuthorityID    string // empty: somebody else issued it
	Issuer         string // who, then
	Serial         []byte
	SHA256         []byte
	KeyHash        []byte
	Use            string // dual, signing, encryption
	Profile        string
	Issued         time.Time // of somebody else's: the beginning of its validity
	NotAfter       time.Time
	Revoked        time.Time
	RevokedFor     int
	Trust          string // server, organization, or empty: its chain leads to no root that is trusted
	TrustProblem   string // why, as a word
	TrustDetail    string
}

const holdingColumns = `c.id, coalesce(c.person_id, ''), coalesce(c.organization_id, ''), coalesce(c.order_id, ''), c.authority_id, '', c.serial, c.sha256, c.key_hash,
	coalesce(o.key_use, 'dual'), coalesce(o.profile, ''), c.issued_at, c.not_after, c.revoked_at, coalesce(c.revoked_for, 0), 'server', '', ''`

const foreignHoldingColumns = `c.id, c.person_id, c.organization_id, coalesce(c.order_id, ''), '', c.issuer, c.serial, c.sha256, c.key_hash,
	coalesce(o.key_use, 'dual'), coalesce(o.profile, ''), c.not_before, c.not_after, c.revoked_at, coalesce(c.revoked_for, 0), c.trust, c.trust_problem, c.trust_detail`

func scanHolding(s scanner) (h Holding, err error) {
	return h, s.Scan(&h.ID, &h.PersonID, &h.OrganizationID, &h.OrderID, &h.AuthorityID, &h.Issuer, &h.Serial, &h.SHA256, &h.KeyHash,
		&h.Use, &h.Profile, seconds{&h.Issued}, seconds{&h.NotAfter}, seconds{&h.Revoked}, &h.RevokedFor, &h.Trust, &h.TrustProblem, &h.TrustDetail)
}

// HoldingsOf lists the issued certificates of a member, the newest first.
func (tx *Tx) HoldingsOf(organizationID, personID string) ([]Holding, error) {
	return all(tx, "certificates of a member", scanHolding, `SELECT * FROM (
		SELECT `+holdingColumns+` FROM certificates c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.person_id = $2 AND c.organization_id = $1 AND c.state = 'issued'
		UNION ALL SELECT `+foreignHoldingColumns+` FROM certificates_foreign c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.person_id = $2 AND c.organization_id = $1) h ORDER BY 12 DESC, 1`, organizationID, personID)
}

// PersonHoldings lists the issued certificates of a person, whichever
// organization they are of, the newest first.
func (tx *Tx) PersonHoldings(personID string) ([]Holding, error) {
	return all(tx, "certificates of a person", scanHolding, `SELECT * FROM (
		SELECT `+holdingColumns+` FROM certificates c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.person_id = $1 AND c.state = 'issued'
		UNION ALL SELECT `+foreignHoldingColumns+` FROM certificates_foreign c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.person_id = $1) h ORDER BY 12 DESC, 1`, personID)
}

// Holding reads one of an organization, ours or somebody else's.
func (tx *Tx) Holding(organizationID, id string) (Holding, error) {
	return one(tx, "certificate of a member", scanHolding, `SELECT `+holdingColumns+` FROM certificates c
			LEFT JOIN orders o ON o.id = c.order_id WHERE c.id = $2 AND c.organization_id = $1 AND c.state = 'issued'
		UNION ALL SELECT `+foreignHoldingColumns+` FROM certificates_foreign c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.id = $2 AND c.organization_id = $1`, organizationID, id)
}

// EndingHoldings lists up to limit unrevoked certificates of an organization that
// end in a span of time, the next one first. Of all organizations: "".
func (tx *Tx) EndingHoldings(organizationID string, from, before time.Time, limit int) ([]Holding, error) {
	if organizationID == "" {
		return nil, nil
	}
	return all(tx, "certificates that end", scanHolding, `SELECT * FROM (
		SELECT `+holdingColumns+` FROM certificates c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.organization_id = $1 AND c.state = 'issued' AND c.revoked_at IS NULL AND c.not_after >= $2 AND c.not_after < $3
		UNION ALL SELECT `+foreignHoldingColumns+` FROM certificates_foreign c LEFT JOIN orders o ON o.id = c.order_id
			WHERE c.organization_id = $1 AND c.revoked_at IS NULL AND c.not_after >= $2 AND c.not_after < $3) h
		ORDER BY 13, 1 LIMIT $4`, organizationID, unix(from), unix(before), limit)
}

// OrganizationCounts are the figures of an organization's dashboard.
type OrganizationCounts struct {
	People  int64
	Valid   int64            // certificates that are
	Ending  [3]int64         // of them, in 30, 60 and 90 days
	Revoked int64            // certificates that were, ever
	Waiting map[string]int64 // open orders by whom they wait for
}

// CountOrganization counts them.
func (tx *Tx) CountOrganization(id string, now time.Time) (c OrganizationCounts, err error) {
	count := func(query string, args ...any) (n int64) {
		if err == nil {
			n, err = one(tx, "count of an organization", scanInt, query, args...)
		}
		return n
	}
	c.People = count(`SELECT count(*) FROM memberships WHERE organization_id = $1 AND until IS NULL`, id)
	between := func(from, to time.Time) int64 {
		return count(`SELECT count(*) FROM certificates WHERE organization_id = $1 AND state = 'issued' AND revoked_at IS NULL
			AND not_after >= $2 AND not_after < $3`, id, unix(from), unix(to)) +
			count(`SELECT count(*) FROM certificates_foreign WHERE organization_id = $1 AND revoked_at IS NULL
			AND not_after >= $2 AND not_after < $3`, id, unix(from), unix(to))
	}
	const day = 24 * time.Hour
	for i := range c.Ending {
		c.Ending[i] = between(now, now.Add(time.Duration(i+1)*30*day))
	}
	c.Valid = between(now, now.Add(100*365*day))
	c.Revoked = count(`SELECT count(*) FROM certificates WHERE organization_id = $1 AND revoked_at IS NOT NULL`, id) +
		count(`SELECT count(*) FROM certificates_foreign WHERE organization_id = $1 AND revoked_at IS NOT NULL`, id)
	if err != nil {
		return c, err
	}
	type waiting struct {
		whom string
		n    int64
	}
	list, err := all(tx, "waiting orders", func(s scanner) (w waiting, err error) { return w, s.Scan(&w.whom, &w.n) },
		`SELECT waiting_for, count(*) FROM orders WHERE organization_id = $1 AND state IN ('applied', 'proven') AND expires_at > $2
			GROUP BY waiting_for`, id, unix(now))
	c.Waiting = map[string]int64{}
	for _, w := range list {
		c.Waiting[w.whom] = w.n
	}
	return c, err
}
