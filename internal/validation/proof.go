package validation

import (
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Proof says that control of a mailbox was shown for an order. Only this
// package makes one, from what it wrote down itself: whoever holds a Proof
// cannot have skipped the validation.
type Proof struct {
	order   string
	address mailbox.Mailbox
	method  string
	proven  time.Time
	expires time.Time
}

// Order returns the order that the proof belongs to; it serves no other.
func (p Proof) Order() string { return p.order }

// Address returns the proven mailbox.
func (p Proof) Address() mailbox.Mailbox { return p.address }

// Method returns the section of the S/MIME BR that was followed.
func (p Proof) Method() string { return p.method }

// Valid tells whether the proof may be relied on at a time.
func (p Proof) Valid(at time.Time) bool {
	return !p.address.IsZero() && !at.Before(p.proven) && at.Before(p.expires)
}

// Proofs returns a valid proof for every mailbox of the order, in the order's
// sequence, or [ErrUnproven].
func (v *Validator) Proofs(tx *store.Tx, o store.Order) ([]Proof, error) {
	rows, err := tx.Proofs(o.ID)
	if err != nil {
		return nil, err
	}
	byAddress := map[string]store.Proof{}
	for _, r := range rows {
		byAddress[r.Address] = r
	}
	var proofs []Proof
	for _, address := range o.Addresses {
		r, ok := byAddress[address]
		if !ok {
			return nil, ErrUnproven
		}
		m, err := mailbox.Parse(address)
		if err != nil || m.String() != address {
			return nil, fmt.Errorf("validation: stored address of order %s is not canonical: %w", o.ID, ErrUnproven)
		}
		p := Proof{order: o.ID, address: m, method: r.Method, proven: r.Proven, expires: r.Expires}
		if !p.Valid(v.Clock()) {
			return nil, ErrUnproven
		}
		if p.method == domainMethod {
			if _, err := v.domainOf(tx, o.OrganizationID, m); err != nil {
				return nil, err
			}
		}
		proofs = append(proofs, p)
	}
	if len(proofs) == 0 {
		return nil, ErrUnproven
	}
	return proofs, nil
}

// domainOf reads the proven domain of an organization that a mailbox is in, or
// says [ErrUnproven].
func (v *Validator) domainOf(tx *store.Tx, organization string, m mailbox.Mailbox) (store.Domain, error) {
	d, err := tx.ProvenDomain(m.Domain())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return d, err
	}
	if err != nil || organization == "" || d.OrganizationID != organization || !v.Clock().Before(d.Expires) {
		return d, ErrUnproven
	}
	return d, nil
}

// Rely writes proofs for those mailboxes of an order that need no new one: they
// are in a proven domain of the order's organization, or the same person proved
// them lately to the same organization. It returns the mailboxes that are still
// to be proven. The order has a person.
func (v *Validator) Rely(tx *store.Tx, o store.Order, mailboxes []mailbox.Mailbox) (rest []mailbox.Mailbox, err error) {
	now := v.Clock()
	for _, m := range mailboxes {
		p := store.Proof{OrderID: o.ID, Address: m.String()}
		d, err := v.domainOf(tx, o.OrganizationID, m)
		switch {
		case err == nil:
			p.Method, p.Proven, p.Expires = domainMethod, d.Proven, d.Expires
			p.Evidence = "domain " + d.ID + ", " + d.Evidence
		case !errors.Is(err, ErrUnproven):
			return nil, err
		default:
			earlier, err := tx.ProofToReuse(m.String(), o.PersonID, o.OrganizationID, now)
			if errors.Is(err, store.ErrNotFound) {
				rest = append(rest, m)
				continue
			}
			if err != nil {
				return nil, err
			}
			p.Method, p.Evidence, p.Proven, p.Expires = earlier.Method, earlier.Evidence, earlier.Proven, earlier.Expires
		}
		if err := tx.InsertProof(p); err != nil {
			return nil, err
		}
	}
	return rest, nil
}
