package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// CAA issuemail (RFC 9495): a domain says which authorities may certify its
// mailboxes.
const (
	tagIssueMail = "issuemail"
	// caaLife is how long a look may be relied on where its records do not say
	// longer: the greater of their TTL and 8 hours (S/MIME BR §4.2.2.1).
	caaLife    = 8 * time.Hour
	maxCAALife = 7 * 24 * time.Hour
)

// ErrCAA: a domain's CAA records do not let us certify its mailboxes, or could
// not be read.
var ErrCAA = errors.New("validation: not permitted by the domain's CAA records")

// permissions remembers what was asked lately, by domain.
type permissions struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (p *permissions) good(domain string, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return at.Before(p.until[domain])
}

func (p *permissions) set(domain string, until time.Time) {
	const most = 10000
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil || len(p.until) >= most {
		p.until = map[string]time.Time{}
	}
	p.until[domain] = until
}

// ChecksCAA tells whether anything is asked at all: an authority that no name in
// a CAA record can stand for has nobody to ask.
func (v *Validator) ChecksCAA() bool { return v.Resolver != nil && len(v.CAANames) > 0 }

// AskCAA looks up, before a certificate is authorized, whether the domains of
// its mailboxes permit it, and writes down what was found. What was found lately
// is not asked again. The error wraps [ErrCAA].
func (v *Validator) AskCAA(ctx context.Context, db *store.DB, mailboxes []mailbox.Mailbox) error {
	if !v.ChecksCAA() {
		return nil
	}
	var asked []string
	for _, m := range mailboxes {
		domain := m.Domain()
		if slices.Contains(asked, domain) || v.permitted.good(domain, v.Clock()) {
			continue
		}
		asked = append(asked, domain)
		c, err := v.lookAtCAA(ctx, domain)
		if err != nil {
			return err
		}
		if c.ID, err = newID(v.random()); err != nil {
			return err
		}
		if err := db.Update(ctx, func(tx *store.Tx) error { return tx.InsertCAACheck(c) }); err != nil {
			return err
		}
		if !c.Permitted {
			return fmt.Errorf("%w: %s: %s", ErrCAA, domain, c.Found)
		}
		v.permitted.set(domain, c.ValidUntil)
	}
	return nil
}

// lookAtCAA climbs from the domain towards the root until a name has CAA records
// (RFC 8659 §3).
func (v *Validator) lookAtCAA(ctx context.Context, domain string) (store.CAACheck, error) {
	now := v.Clock().UTC().Truncate(time.Second)
	c := store.CAACheck{Domain: domain, Checked: now, ValidUntil: now.Add(caaLife)}
	for name := domain; name != ""; {
		records, ttl, err := v.Resolver.CAA(ctx, name)
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if err != nil {
			// Whether the zone is unsigned is not known here: a failure never
			// permits (S/MIME BR §4.2.2.1).
			c.Found, c.ValidUntil = shortened("no answer: "+err.Error()), now
			return c, nil
		}
		if len(records) > 0 {
			c.Permitted, c.Found = v.permits(records)
			c.Found = shortened(name + ": " + c.Found)
			if c.Permitted {
				c.ValidUntil = now.Add(min(max(ttl, caaLife), maxCAALife))
			} else {
				c.ValidUntil = now
			}
			return c, nil
		}
		_, name, _ = strings.Cut(name, ".")
	}
	c.Permitted, c.Found = true, "no CAA record"
	return c, nil
}

// permits judges the records of one name.
func (v *Validator) permits(records []CAARecord) (bool, string) {
	var mail []CAARecord
	for _, r := range records {
		switch {
		case r.Tag == tagIssueMail:
			mail = append(mail, r)
		case r.Tag == "issue" || r.Tag == "issuewild" || r.Tag == "iodef" || r.Tag == "contactemail" || r.Tag == "contactphone" || r.Tag == "issuevmc":
			// about other certificates, or nothing to obey
		case r.Critical: // RFC 8659 §4.1: a critical property that is not known forbids
			return false, fmt.Sprintf("critical property %q is not known", r.Tag)
		}
	}
	if len(mail) == 0 { // RFC 9495 §4
		return true, "no issuemail property"
	}
	for _, r := range mail {
		issuer, _, _ := strings.Cut(r.Value, ";")
		if slices.Contains(v.CAANames, strings.ToLower(strings.Trim(issuer, " \t"))) {
			return true, "issuemail " + r.Value
		}
	}
	return false, "issuemail " + mail[0].Value
}

// permittedNow makes sure, in the transaction that authorizes, that every
// domain's permission is still good.
func (v *Validator) permittedNow(tx *store.Tx, mailboxes []mailbox.Mailbox) error {
	if !v.ChecksCAA() {
		return nil
	}
	for _, m := range mailboxes {
		if v.permitted.good(m.Domain(), v.Clock()) {
			continue
		}
		last, err := tx.LastCAACheck(m.Domain())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil || !last.Permitted || !v.Clock().Before(last.ValidUntil) {
			return fmt.Errorf("%w: %s: asked too long ago", ErrCAA, m.Domain())
		}
		v.permitted.set(m.Domain(), last.ValidUntil)
	}
	return nil
}
