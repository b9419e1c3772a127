package validation

import (
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
		proofs = append(proofs, p)
	}
	if len(proofs) == 0 {
		return nil, ErrUnproven
	}
	return proofs, nil
}
