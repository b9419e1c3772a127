package validation

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// Warrant is what issuing needs in its hand: that an order may have its
// certificate now, under which profile and with which names. Only this package
// makes one, from what it and the rooms above wrote down; it serves no other
// order, and not for long.
type Warrant struct {
	order   string
	profile *issuance.Profile
	names   issuance.Names
	from    time.Time
	until   time.Time
}

// Order returns the order that the certificate is for.
func (w Warrant) Order() string { return w.order }

// Profile returns what the certificate is to look like.
func (w Warrant) Profile() *issuance.Profile { return w.profile }

// Names returns what it is to say.
func (w Warrant) Names() issuance.Names { return w.names }

// Valid tells whether it may be relied on at a time. The zero Warrant never may.
func (w Warrant) Valid(at time.Time) bool {
	return w.order != "" && w.profile != nil && len(w.names.Mailboxes) > 0 && !at.Before(w.from) && at.Before(w.until)
}

// The ways in which an order has no warrant; see also [ErrUnproven],
// [ErrIdentity] and [ErrCAA].
var (
	// ErrNotReady: the order waits for somebody, or has ended.
	ErrNotReady = errors.New("validation: the order is not ready to be issued")
	// ErrOrganization: the order's organization gets no certificates now.
	ErrOrganization = errors.New("validation: the organization is not active")
)

// Withheld tells whether an error of [Validator.Warrant] says that the order has
// none now, and not that something broke.
func Withheld(err error) bool {
	for _, why := range []error{ErrUnproven, ErrNotReady, ErrOrganization, ErrIdentity, ErrCAA} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// Warrant makes the warrant of an order that is proven and waits for nobody but
// whoever brings the key.
func (v *Validator) Warrant(tx *store.Tx, o store.Order) (Warrant, error) {
	// One that is issued is given its certificate once more, and no other.
	if o.State != "proven" && o.State != "issued" || o.WaitingFor == "mailbox" || o.WaitingFor == "approval" {
		return Warrant{}, fmt.Errorf("%w: it is %s", ErrNotReady, o.State)
	}
	if o.OrganizationID != "" {
		org, err := tx.Organization(o.OrganizationID)
		if err != nil {
			return Warrant{}, err
		}
		if org.Standing != "active" {
			return Warrant{}, ErrOrganization
		}
	}
	profile, err := v.Profile(tx, o.ProfileHash)
	if err != nil {
		return Warrant{}, err
	}
	proofs, err := v.Proofs(tx, o)
	if err != nil {
		return Warrant{}, err
	}
	names, until, err := v.identified(tx, profile.Type(), o)
	if err != nil {
		return Warrant{}, err
	}
	for _, p := range proofs {
		names.Mailboxes = append(names.Mailboxes, p.address)
		until = earlier(until, p.expires)
	}
	if o.Issuer != "external" { // CAA records are about who issues
		if err := v.permittedNow(tx, names.Mailboxes); err != nil {
			return Warrant{}, err
		}
	}
	return Warrant{o.ID, profile, names, v.Clock(), until}, nil
}

// Profile reads the profile that an order was made under; what has a hash never
// changes.
func (v *Validator) Profile(tx *store.Tx, hash []byte) (*issuance.Profile, error) {
	if known, ok := v.profiles.Load(string(hash)); ok {
		return known.(*issuance.Profile), nil
	}
	text, err := tx.Profile(hash)
	if err != nil {
		return nil, err
	}
	p, err := issuance.ParseProfile([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("validation: profile of an order: %w", err)
	}
	v.profiles.Store(string(hash), p)
	return p, nil
}

// memory is what a Validator need not read twice.
type memory struct {
	profiles  sync.Map // of *issuance.Profile, by hash
	permitted permissions
}
