package registration

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// RequestKind is in whose name an order's certificate is asked for. There are no
// others: whatever is not one of these is refused.
type RequestKind string

// The kinds of request.
const (
	RequestSession      RequestKind = "session"      // the session that asked for the order, or was let in to it
	RequestPerson       RequestKind = "person"       // the person it is for, who is signed in
	RequestOrganization RequestKind = "organization" // an administrator, with a key or a request of the person's
	RequestServer       RequestKind = "server"       // the server, with a key that it made itself
)

// RequestKinds lists them.
func RequestKinds() []RequestKind {
	return []RequestKind{RequestSession, RequestPerson, RequestOrganization, RequestServer}
}

// Request asks for the certificate of an order. Of the certification request
// only the public key is used.
type Request struct {
	Kind          RequestKind
	Organization  string // of an administrator: whose order it is
	Order         string
	Secret        string           // of a session
	Certification []byte           // PKCS #10 (RFC 2986), DER or PEM
	Key           crypto.PublicKey // of the server's making, without a certification request
	// Sealed is the private key of an encryption certificate, which its holder
	// encrypted to those who keep it, as [Escrow.Keep] reads it. It goes with a
	// certification request, where the organization has such keys kept.
	Sealed []byte
}

// EnrollFor gives an order that is proven, and approved where that is asked for,
// its certificate. [ErrOutside]: the request has been kept and waits for an
// authority outside.
func (s *Service) EnrollFor(ctx context.Context, actor auth.Actor, r Request) (Issued, error) {
	if !slices.Contains(RequestKinds(), r.Kind) {
		return Issued{}, ErrForbidden
	}
	// One enrolment per order at a time: the second finds what the first made.
	// Before anything is looked at, so that the two see the same order.
	defer s.turns.take(r.Order)()
	if err := s.askCAA(ctx, r.Order); err != nil {
		return Issued{}, err
	}
	a := authorization{s: s, actor: actor, r: r}
	look := func(tx *store.Tx) error { return a.look(ctx, tx) }
	if err := s.inOne(ctx, r, look); err != nil {
		return Issued{}, err
	}
	if a.outside {
		return Issued{}, s.send(ctx, actor, a)
	}
	ctx = audit.WithActor(ctx, a.who())
	c := a.done
	if c == nil {
		var err error
		if c, err = s.issue(ctx, a.warrant, a.key); err != nil {
			return Issued{}, err
		}
	}
	chain, root, err := s.o.Issuer.Above(c)
	if err != nil {
		return Issued{}, fmt.Errorf("registration: %w", err)
	}
	return Issued{Certificate: c, Chain: chain, Root: root}, nil
}

// inOne judges a request in one transaction: one that brings a key to keep is
// judged and kept in the same one.
func (s *Service) inOne(ctx context.Context, r Request, look func(*store.Tx) error) error {
	if r.Sealed == nil {
		return s.o.Store.View(ctx, look)
	}
	return s.o.Store.Update(ctx, look)
}

// issue has the certificate made.
func (s *Service) issue(ctx context.Context, w validation.Warrant, key crypto.PublicKey) (*cert.Certificate, error) {
	c, err := s.o.Issuer.Issue(ctx, w, key)
	switch {
	case errors.Is(err, issuance.ErrWeakKey):
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	case errors.Is(err, store.ErrConflict): // somebody else was faster
		return nil, ErrOtherKey
	case err != nil:
		return nil, fmt.Errorf("registration: %w", err)
	}
	return c, nil
}

// askCAA asks the DNS before a transaction begins. What an order that nobody may
// see is about is not told by how long this takes: it is asked once in hours.
func (s *Service) askCAA(ctx context.Context, order string) error {
	if !s.o.Validation.ChecksCAA() {
		return nil
	}
	var mailboxes []mailbox.Mailbox
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Order(order)
		if err != nil || s.state(row) != StateProven || row.Issuer == IssuerExternal {
			return nil // who issues asks; what is wrong is told later, to whom it may be
		}
		for _, address := range row.Addresses {
			m, err := mailbox.Parse(address)
			if err != nil {
				return err
			}
			mailboxes = append(mailboxes, m)
		}
		return nil
	})
	if err == nil {
		err = s.o.Validation.AskCAA(ctx, s.o.Store, mailboxes)
	}
	if errors.Is(err, validation.ErrCAA) {
		err = fmt.Errorf("%w: %w", ErrState, err)
	}
	return err
}

// authorization is how a request becomes a warrant: the one way to it.
type authorization struct {
	s     *Service
	actor auth.Actor
	r     Request

	row     store.Order
	key     crypto.PublicKey
	hash    []byte
	warrant validation.Warrant
	done    *cert.Certificate // the order has it already, for this key
	outside bool              // somebody else issues
	keep    bool              // the key is to be kept, and is not yet
}

// who is entered as who had the certificate made.
func (a *authorization) who() string {
	if a.r.Kind == RequestSession {
		return "order:" + a.row.ID
	}
	return a.actor.String()
}

// look judges the request in one state of the store.
func (a *authorization) look(ctx context.Context, tx *store.Tx) error {
	a.keep = false
	if err := a.admit(tx); err != nil {
		return err
	}
	if err := a.readKey(tx); err != nil {
		return err
	}
	if a.row.KeyHash != nil && !bytes.Equal(a.row.KeyHash, a.hash) {
		return ErrOtherKey
	}
	a.outside = a.row.Issuer == IssuerExternal
	if a.s.state(a.row) == StateIssued && !a.outside {
		var err error
		a.done, err = issued(tx, a.row.ID)
		return err
	}
	var err error
	a.warrant, err = a.s.o.Validation.Warrant(tx, a.row)
	if validation.Withheld(err) {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if err != nil || !a.keep {
		return err
	}
	return a.s.o.Escrow.Keep(audit.WithActor(ctx, a.who()), tx, Keeping{
		Organization: a.row.OrganizationID, Person: a.row.PersonID, Order: a.row.ID, Key: a.key, Sealed: a.r.Sealed,
	})
}

// admit lets in who may ask in this name, for an order that may be asked for so.
// What is not named here is refused.
func (a *authorization) admit(tx *store.Tx) error {
	row, err := tx.Order(a.r.Order)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	forbidden, found := ErrForbidden, err == nil
	switch a.r.Kind {
	case RequestSession:
		found, forbidden = found && opens(row, a.r.Secret), ErrNotFound
	case RequestPerson:
		found = found && own(a.actor, row)
	case RequestOrganization:
		found = found && row.OrganizationID == a.r.Organization && administers(a.actor, row.OrganizationID)
	case RequestServer:
		found = found && ours(a.actor) && row.OrganizationID != ""
	default:
		return ErrForbidden
	}
	if !found {
		return forbidden
	}
	if (a.r.Key != nil) != (a.r.Kind == RequestServer && len(a.r.Certification) == 0) {
		return fmt.Errorf("%w: a key by itself comes from the server alone", ErrRequest)
	}
	if a.r.Sealed != nil && a.r.Kind == RequestServer {
		return fmt.Errorf("%w: the server keeps the keys that it makes by itself", ErrRequest)
	}
	if state := a.s.state(row); state != StateProven && state != StateIssued {
		return fmt.Errorf("%w: it is %s", ErrState, state)
	}
	a.row = row
	return nil
}

// readKey takes the public key out of the request, and holds it against what the
// order's profile and the organization's settings ask for.
func (a *authorization) readKey(tx *store.Tx) error {
	if a.key = a.r.Key; a.key == nil {
		r, err := cert.ParseRequest(a.r.Certification)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		a.key = r.PublicKey
	}
	profile, err := a.s.o.Validation.Profile(tx, a.row.ProfileHash)
	if err != nil {
		return err
	}
	if err := profile.CheckKey(a.key); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if a.hash, err = issuance.KeyHash(a.key); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if a.row.OrganizationID == "" {
		return a.unwanted()
	}
	row, err := tx.Organization(a.row.OrganizationID)
	if err != nil {
		return err
	}
	o, err := ParseSettings([]byte(row.Settings))
	if err != nil {
		return err
	}
	return a.asChosen(tx, o)
}

// asChosen: keys are of the kind, and from the place, that the organization has
// chosen.
func (a *authorization) asChosen(tx *store.Tx, o Settings) error {
	if key, is := a.key.(*rsa.PublicKey); is && key.N.BitLen() < keyChoices[o.Algorithm].bits {
		return fmt.Errorf("%w: the organization asks for %s keys", ErrRequest, o.Algorithm)
	}
	switch {
	case a.r.Kind == RequestServer && o.Keys != KeysServer && a.r.Key != nil:
		return fmt.Errorf("%w: the organization's people make their keys themselves", ErrState)
	case (a.r.Kind == RequestSession || a.r.Kind == RequestPerson) && o.Keys != KeysBrowser:
		return fmt.Errorf("%w: the organization has its keys made on the server", ErrState)
	}
	if !o.Escrow || a.row.Use != string(issuance.Encryption) {
		return a.unwanted()
	}
	if a.s.o.Escrow == nil {
		return fmt.Errorf("%w: the organization's encryption keys are escrowed, and nothing here takes them", ErrState)
	}
	held, err := a.s.o.Escrow.Escrowed(tx, a.row.OrganizationID, a.row.PersonID, a.hash)
	if a.keep = err == nil && !held && a.r.Sealed != nil; a.keep {
		return nil
	}
	if err == nil && !held {
		return fmt.Errorf("%w: the encryption key is not in escrow yet", ErrState)
	}
	return err
}

// unwanted refuses a copy of a key that nobody asked for: it would lie here, and
// its owner would not have been told.
func (a *authorization) unwanted() error {
	if a.r.Sealed != nil {
		return fmt.Errorf("%w: no copy of this order's key is kept", ErrRequest)
	}
	return nil
}

// Keeping is a private encryption key that its holder has encrypted to those who
// keep it.
type Keeping struct {
	Organization, Person string
	Order                string           // whose certificate it is for
	Key                  crypto.PublicKey // the certification request shows that the sender has its private key
	Sealed               []byte
}

// Escrow keeps private encryption keys for organizations, and tells whether one
// is kept; internal/recovery does.
type Escrow interface {
	Escrowed(tx *store.Tx, organization, person string, keyHash []byte) (bool, error)
	Keep(ctx context.Context, tx *store.Tx, k Keeping) error
}
