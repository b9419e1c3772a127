package store

import "time"

// Domain is one row of domains: a mail domain that an organization says is its
// own. States: waiting, proven, lapsed.
type Domain struct {
	ID             string
	OrganizationID string
	Name           string // A-labels in lower case
	State          string
	Token          string // the value that the DNS is to show
	Method         string // how it was proven
	Evidence       string // what was seen
	Problem        string // why it is not proven, as of Checked
	Created        time.Time
	TokenAt        time.Time // when the token was drawn
	Checked        time.Time
	Proven         time.Time
	Expires        time.Time // when the proof may no longer be relied on
}

// InsertDomain writes a new domain that waits. ErrConflict: the organization has
// it already.
func (tx *Tx) InsertDomain(d Domain) error {
	return tx.owe(ActDomain, tx.exec("new domain", `INSERT INTO domains
		(id, organization_id, name, state, token, method, evidence, problem, created_at, token_at)
		VALUES ($1, $2, $3, 'waiting', $4, '', '', '', $5, $5) ON CONFLICT DO NOTHING`,
		d.ID, d.OrganizationID, d.Name, d.Token, unix(d.Created)))
}

const domainColumns = `id, organization_id, name, state, token, method, evidence, problem, created_at, token_at, checked_at, proven_at, expires_at`

func scanDomain(s scanner) (d Domain, err error) {
	return d, s.Scan(&d.ID, &d.OrganizationID, &d.Name, &d.State, &d.Token, &d.Method, &d.Evidence, &d.Problem,
		seconds{&d.Created}, seconds{&d.TokenAt}, seconds{&d.Checked}, seconds{&d.Proven}, seconds{&d.Expires})
}

// Domain reads one domain of an organization.
func (tx *Tx) Domain(organizationID, id string) (Domain, error) {
	return one(tx, "domain", scanDomain, `SELECT `+domainColumns+` FROM domains WHERE organization_id = $1 AND id = $2`, organizationID, id)
}

// Domains lists those of an organization by name.
func (tx *Tx) Domains(organizationID string) ([]Domain, error) {
	return all(tx, "domains", scanDomain, `SELECT `+domainColumns+` FROM domains WHERE organization_id = $1 ORDER BY name`, organizationID)
}

// ProvenDomain reads the domain of that name that is proven, whoever's it is.
func (tx *Tx) ProvenDomain(name string) (Domain, error) {
	return one(tx, "proven domain", scanDomain, `SELECT `+domainColumns+` FROM domains WHERE name = $1 AND state = 'proven'`, name)
}

// DomainProven writes that a domain was proven, for the first time or anew.
// ErrConflict: somebody else's is proven, or it has another token by now.
func (tx *Tx) DomainProven(d Domain) error {
	n, err := one(tx, "proven domain", scanInt, `SELECT count(*) FROM domains
		WHERE name = $1 AND state = 'proven' AND id <> $2`, d.Name, d.ID)
	if err != nil {
		return err
	}
	if n > 0 {
		return ErrConflict
	}
	return tx.owe(ActDomainProven, tx.exec("proven domain", `UPDATE domains SET state = 'proven', method = $3, evidence = $4,
		problem = '', checked_at = $5, proven_at = $5, expires_at = $6 WHERE id = $1 AND token = $2`,
		d.ID, d.Token, d.Method, d.Evidence, unix(d.Proven), unix(d.Expires)))
}

// DomainChecked writes that a check found no proof, and what it found.
func (tx *Tx) DomainChecked(id, problem string, now time.Time) error {
	return tx.exec("checked domain", `UPDATE domains SET problem = $2, checked_at = $3 WHERE id = $1`, id, problem, unix(now))
}

// DomainLapsed ends the standing of a proven domain.
func (tx *Tx) DomainLapsed(id, problem string) error {
	return tx.owe(ActDomainLapsed, tx.exec("lapsed domain", `UPDATE domains SET state = 'lapsed', problem = $2
		WHERE id = $1 AND state = 'proven'`, id, problem))
}

// SetDomainToken replaces the value that the DNS is to show.
func (tx *Tx) SetDomainToken(id, token string, now time.Time) error {
	return tx.exec("token of a domain", `UPDATE domains SET token = $2, token_at = $3 WHERE id = $1`, id, token, unix(now))
}

// DeleteDomain takes a domain away.
func (tx *Tx) DeleteDomain(organizationID, id string) error {
	return tx.owe(ActDomainRemoved, tx.exec("domain", `DELETE FROM domains WHERE organization_id = $1 AND id = $2`, organizationID, id))
}

// EndingDomains lists up to limit proven domains whose proof ends before a time,
// the next one first.
func (tx *Tx) EndingDomains(before time.Time, limit int) ([]Domain, error) {
	return all(tx, "domains that end", scanDomain, `SELECT `+domainColumns+` FROM domains
		WHERE state = 'proven' AND expires_at < $1 ORDER BY expires_at, id LIMIT $2`, unix(before), limit)
}

// CAACheck is one row of caa_checks: what the DNS said about certificates for
// mail of a domain.
type CAACheck struct {
	ID         string
	Domain     string
	Permitted  bool
	Found      string // the records that counted, or what was wrong
	Checked    time.Time
	ValidUntil time.Time
}

// InsertCAACheck keeps a check.
func (tx *Tx) InsertCAACheck(c CAACheck) error {
	permitted := 0
	if c.Permitted {
		permitted = 1
	}
	return tx.exec("CAA check", `INSERT INTO caa_checks (id, domain, permitted, found, checked_at, valid_until)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		c.ID, c.Domain, permitted, c.Found, unix(c.Checked), unix(c.ValidUntil))
}

// LastCAACheck reads the newest check of a domain.
func (tx *Tx) LastCAACheck(domain string) (CAACheck, error) {
	return one(tx, "CAA check", func(s scanner) (c CAACheck, err error) {
		var permitted int
		err = s.Scan(&c.ID, &c.Domain, &permitted, &c.Found, seconds{&c.Checked}, seconds{&c.ValidUntil})
		c.Permitted = permitted == 1
		return c, err
	}, `SELECT id, domain, permitted, found, checked_at, valid_until FROM caa_checks
		WHERE domain = $1 ORDER BY checked_at DESC, id DESC LIMIT 1`, domain)
}
