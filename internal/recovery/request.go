package recovery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// RequestState is how far a request came.
type RequestState string

// The states of a request. The store keeps no expired one: that follows from
// the time.
const (
	Open      RequestState = "open"
	Ready     RequestState = "ready" // enough officers gave their shares
	Released  RequestState = "released"
	Refused   RequestState = "refused"   // too many officers said no
	Withdrawn RequestState = "withdrawn" // by who asked
	Expired   RequestState = "expired"
)

// Asking is what somebody asks for.
type Asking struct {
	Person    string   // whose keys
	Keys      []string // the ids of the escrowed keys; nil: all
	Recipient []byte   // the certificate that they are encrypted to, DER: the requester's, or a new one of the owner's
	Reason    string
	// Former asks the officers who held the shares before the present ones: for
	// keys that were handed over and do not open.
	Former string
}

// Request is a request as those see it who may.
type Request struct {
	ID           string
	Organization string
	Person       string
	Quorum       string
	Threshold    int
	Requester    string // account:ID or person:ID
	Owner        string // what the person is called, and
	By           string // who asks
	Recipient    *cert.Certificate
	Reason       string
	State        RequestState
	Created      time.Time
	Expires      time.Time
	Released     time.Time
	Keys         []string // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Decisions    []Decision
}

// Decision is what an officer said.
type Decision struct {
	Account string
	Given   bool // the shares; else they refused
	At      time.Time
}

// Request asks the officers for keys of a person.
func (s *Service) Request(ctx context.Context, actor auth.Actor, organization string, ask Asking) (*Request, error) {
	own := actor.Kind == auth.KindPerson && actor.ID == ask.Person && ask.Person != ""
	if !own && !mayAct(actor, organization) {
		return nil, auth.ErrForbidden
	}
	to, err := s.checked(&ask)
	if err != nil {
		return nil, err
	}
	var r *Request
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		r, err = s.enter(ctx, tx, actor, organization, ask, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// checked looks at what is asked for as far as that goes without the store, and
// reads the recipient.
func (s *Service) checked(ask *Asking) (*cert.Certificate, error) {
	ask.Reason = strings.TrimSpace(ask.Reason)
	if n := utf8.RuneCountInString(ask.Reason); n < MinReason || n > MaxReason || strings.ContainsFunc(ask.Reason, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' || unicode.In(r, unicode.Bidi_Control)
	}) {
		return nil, input("reason", "input.recovery.reason", MinReason, MaxReason)
	}
	to, err := s.usable(ask.Recipient)
	if err != nil {
		return nil, input("recipient", "input.recovery.recipient", err)
	}
	return to, nil
}

// enter writes a request that is checked. What it refuses as input, or as
// [ErrState], it refuses before it writes anything.
func (s *Service) enter(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, ask Asking, to *cert.Certificate) (*Request, error) {
	keys, q, err := s.asked(tx, organization, ask)
	if err != nil {
		return nil, err
	}
	id, err := s.newID()
	if err != nil {
		return nil, err
	}
	row := store.RecoveryRequest{
		ID: id, OrganizationID: organization, PersonID: ask.Person, QuorumID: q.ID, Requester: who(actor), Recipient: to.Raw, Reason: ask.Reason,
		State: string(Open), Created: s.now(), Expires: s.now().Add(RequestLife),
	}
	if err := s.admit(tx, row, to, q); err != nil {
		return nil, err
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	if err := tx.InsertRecoveryRequest(row, ids); err != nil {
		return nil, err
	}
	reason, err := audit.Digest(tx, row.Created, row.Reason)
	if err != nil {
		return nil, err
	}
	r, err := s.request(tx, row)
	if err != nil {
		return nil, err
	}
	return r, audit.Append(ctx, tx, audit.Entry{At: row.Created, Actor: actor.String(), Act: store.ActRecoveryAsked, Object: id, Details: map[string]string{
		"organization": organization, "person": ask.Person, "officers": q.ID, "recipient": to.SHA256(),
		"keys": strings.Join(r.Keys, " "), "reason": reason,
	}})
}

// asked finds the keys and who holds their shares.
func (s *Service) asked(tx *store.Tx, organization string, ask Asking) ([]store.RecoveryEscrow, *Quorum, error) {
	all, err := tx.RecoveryEscrowsOf(organization, ask.Person)
	if err != nil {
		return nil, nil, err
	}
	var keys []store.RecoveryEscrow
	uncertified := false
	for _, e := range all {
		if ask.Keys != nil && !slices.Contains(ask.Keys, e.ID) {
			continue
		}
		certificates, err := encryptsOnly(tx, e.KeyHash)
		if err != nil {
			return nil, nil, err
		}
		// Nothing was encrypted to a key without a certificate: somebody began again.
		if uncertified = uncertified || len(certificates) == 0; len(certificates) > 0 || ask.Keys != nil {
			keys = append(keys, e)
		}
	}
	switch {
	case uncertified && (ask.Keys != nil || len(keys) == 0):
		return nil, nil, input("keys", "input.recovery.keys.certificate")
	case len(all) == 0 || ask.Keys != nil && len(keys) != len(ask.Keys) || len(keys) == 0:
		return nil, nil, input("keys", "input.recovery.keys")
	case len(keys) > MaxKeysPerRequest:
		return nil, nil, input("keys", "input.recovery.keys.many", MaxKeysPerRequest)
	}
	id := keys[0].QuorumID
	if ask.Former != "" {
		id = ask.Former
	}
	row, err := tx.RecoveryQuorum(id)
	if err == nil && (row.OrganizationID != organization || row.State != string(Active) && row.State != string(Former)) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, nil, missing(err)
	}
	q, err := quorum(tx, row)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range keys {
		parts, err := tx.RecoveryShares(e.ID, q.ID, q.Officers[0].Position)
		if err != nil {
			return nil, nil, err
		}
		if len(parts) == 0 {
			return nil, nil, input("keys", "input.recovery.keys.officers")
		}
	}
	return keys, q, nil
}

// admit refuses a recipient who is neither who asks nor the owner, and a request
// that not enough officers may answer.
func (s *Service) admit(tx *store.Tx, row store.RecoveryRequest, to *cert.Certificate, q *Quorum) error {
	asking, err := requesterAddresses(tx, row.Requester)
	if err != nil {
		return err
	}
	owner, err := ownerAddresses(tx, row.OrganizationID, row.PersonID)
	if err != nil {
		return err
	}
	theirs := overlap(addresses(to), asking)
	if !theirs && overlap(addresses(to), owner) {
		// What a certificate says of itself anybody can write: that it is the owner's
		// is what officers go by, so it is one that is known here.
		if theirs, err = known(tx, row.OrganizationID, to); err != nil {
			return err
		}
	}
	if !theirs {
		return input("recipient", "input.recovery.recipient.whose")
	}
	able := 0
	for _, o := range q.Officers {
		apart, err := s.apart(tx, row, o)
		if err != nil {
			return err
		}
		if apart {
			able++
		}
	}
	if able < q.Threshold {
		return input("requester", "input.recovery.few", able, q.Threshold)
	}
	return nil
}

// known tells whether a certificate was issued here, to the person alone or through
// the organization, or taken in by it with a chain to a root that the installation
// trusts. A root that only the organization trusts does not do: its administrator
// alone could make a certificate in the owner's name. Nor does what another
// organization got: that one may have made the key.
func known(tx *store.Tx, organization string, c *cert.Certificate) (bool, error) {
	hash := sha256.Sum256(c.RawSPKI)
	rows, err := tx.CertificatesWithKey(hash[:])
	return slices.ContainsFunc(rows, func(r store.KeyUse) bool {
		through := r.OrganizationID == "" || r.OrganizationID == organization
		return r.Issued && r.Trusted && through && bytes.Equal(r.DER, c.Raw)
	}), err
}

// apart tells whether an officer may answer a request: not who asks, not whose
// keys they are, not who gets them. People are told apart by account and by mail
// address, so that one who has an account and certificates is one.
func (s *Service) apart(tx *store.Tx, row store.RecoveryRequest, o Officer) (bool, error) {
	if row.Requester == string(auth.KindAccount)+":"+o.Account {
		return false, nil
	}
	a, err := tx.Administrator(o.Account)
	if err != nil {
		return false, err
	}
	to, err := cert.Parse(row.Recipient)
	if err != nil {
		return false, err
	}
	if bytes.Equal(to.RawSPKI, o.Certificate.RawSPKI) {
		return false, nil
	}
	asking, err := requesterAddresses(tx, row.Requester)
	if err != nil {
		return false, err
	}
	owner, err := ownerAddresses(tx, row.OrganizationID, row.PersonID)
	if err != nil {
		return false, err
	}
	involved := slices.Concat(asking, owner, addresses(to))
	return !overlap(append(addresses(o.Certificate), a.EmailKey), involved), nil
}

// addresses returns the keys of the mailboxes that a certificate names.
func addresses(c *cert.Certificate) (keys []string) {
	for _, e := range c.Emails() {
		if m, err := mailbox.Parse(e); err == nil {
			keys = append(keys, m.Key())
		}
	}
	return keys
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(key string) bool { return slices.Contains(b, key) })
}

// requesterAddresses returns the mailboxes of who asks.
func requesterAddresses(tx *store.Tx, requester string) ([]string, error) {
	kind, id, _ := strings.Cut(requester, ":")
	if kind == string(auth.KindPerson) {
		return heldBy(tx, id)
	}
	a, err := tx.Administrator(id)
	return []string{a.EmailKey}, err
}

// ownerAddresses returns the mailboxes that a person has now, and those that the
// certificates of the escrowed keys name.
func ownerAddresses(tx *store.Tx, organization, person string) ([]string, error) {
	keys, err := heldBy(tx, person)
	if err != nil {
		return nil, err
	}
	escrows, err := tx.RecoveryEscrowsOf(organization, person)
	if err != nil {
		return nil, err
	}
	for _, e := range escrows {
		certificates, err := encryptsOnly(tx, e.KeyHash)
		if err != nil && !errors.Is(err, ErrState) && !errors.Is(err, ErrSigns) {
			return nil, err
		}
		for _, c := range certificates {
			keys = append(keys, addresses(c)...)
		}
	}
	return keys, nil
}

func heldBy(tx *store.Tx, person string) (keys []string, err error) {
	list, err := tx.MailboxesOf(person)
	for _, address := range list {
		if m, err := mailbox.Parse(address); err == nil {
			keys = append(keys, m.Key())
		}
	}
	return keys, err
}

// request reads what belongs to a row.
func (s *Service) request(tx *store.Tx, row store.RecoveryRequest) (*Request, error) {
	r := &Request{
		ID: row.ID, Organization: row.OrganizationID, Person: row.PersonID, Quorum: row.QuorumID, Requester: row.Requester, Reason: row.Reason,
		State: s.stateOf(row), Created: row.Created, Expires: row.Expires, Released: row.Released,
	}
	var err error
	if r.Recipient, err = cert.Parse(row.Recipient); err != nil {
		return nil, err
	}
	p, err := tx.Person(row.PersonID)
	if err != nil {
		return nil, err
	}
	r.Owner = p.Name
	if r.By, err = nameOf(tx, row.Requester); err != nil {
		return nil, err
	}
	q, err := tx.RecoveryQuorum(row.QuorumID)
	if err != nil {
		return nil, err
	}
	r.Threshold = q.Threshold
	keys, err := tx.RecoveryRequestKeys(row.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		r.Keys = append(r.Keys, keyName(k.KeyHash))
	}
	decisions, err := tx.RecoveryDecisions(row.ID)
	for _, d := range decisions {
		r.Decisions = append(r.Decisions, Decision{d.AccountID, d.Given, d.Decided})
	}
	return r, err
}

func (s *Service) stateOf(row store.RecoveryRequest) RequestState {
	state := RequestState(row.State)
	if (state == Open || state == Ready) && !s.now().Before(row.Expires) {
		return Expired
	}
	return state
}

// Requests lists a page of an organization's requests, the newest first; before
// and beforeID are of the last one of the page before, or zero. A person sees
// their own.
func (s *Service) Requests(ctx context.Context, actor auth.Actor, organization string, before time.Time, beforeID string, limit int) (list []*Request, err error) {
	look := mayLook(actor, organization)
	if !look && actor.Kind != auth.KindPerson {
		return nil, auth.ErrForbidden
	}
	if before.IsZero() {
		before = s.now().AddDate(1, 0, 0)
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		list = nil
		var rows []store.RecoveryRequest
		if look {
			rows, err = tx.RecoveryRequests(organization, before, beforeID, limit)
		} else {
			rows, err = tx.RecoveryRequestsBy(organization, who(actor), limit)
		}
		for _, row := range rows {
			r, err := s.request(tx, row)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		return err
	})
	return list, err
}

// RequestByID reads one request.
func (s *Service) RequestByID(ctx context.Context, actor auth.Actor, organization, id string) (r *Request, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := requestRow(tx, organization, id)
		if err != nil {
			return err
		}
		if !mayLook(actor, organization) && (who(actor) == "" || row.Requester != who(actor)) {
			return auth.ErrForbidden
		}
		r, err = s.request(tx, row)
		return err
	})
	return r, err
}

// requestRow reads a request of that organization and no other.
func requestRow(tx *store.Tx, organization, id string) (store.RecoveryRequest, error) {
	row, err := tx.RecoveryRequest(id)
	if err == nil && row.OrganizationID != organization {
		err = store.ErrNotFound
	}
	return row, missing(err)
}

// Withdraw takes a request back; who asked may, and administrators.
func (s *Service) Withdraw(ctx context.Context, actor auth.Actor, organization, id string) error {
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := requestRow(tx, organization, id)
		if err != nil {
			return err
		}
		if who(actor) == "" || row.Requester != who(actor) && !actor.Has(auth.Administrator, organization) {
			return auth.ErrForbidden
		}
		if row.State != string(Open) && row.State != string(Ready) {
			return ErrState
		}
		if err := tx.SetRecoveryRequest(id, row.State, string(Withdrawn)); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: actor.String(), Act: store.ActRecoveryWithdrawn, Object: id})
	})
}

// Refuse is an officer's no. When not enough are left who could say yes, the
// request is over.
func (s *Service) Refuse(ctx context.Context, actor auth.Actor, organization, id string) error {
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, q, o, err := s.asksOfficer(tx, actor, organization, id)
		if err != nil {
			return err
		}
		if err := decide(tx, row, o, false, s.now()); err != nil {
			return err
		}
		err = audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: actor.String(), Act: store.ActRecoveryRefused, Object: id,
			Details: map[string]string{"officer": strconv.Itoa(o.Position)}})
		if err != nil {
			return err
		}
		left, err := s.left(tx, row, q)
		if err != nil || left >= q.Threshold {
			return err
		}
		return tx.SetRecoveryRequest(id, string(Open), string(Refused))
	})
}

// left counts the officers who have given, or still can.
func (s *Service) left(tx *store.Tx, row store.RecoveryRequest, q *Quorum) (n int, err error) {
	decisions, err := tx.RecoveryDecisions(row.ID)
	if err != nil {
		return 0, err
	}
	for _, o := range q.Officers {
		no := slices.ContainsFunc(decisions, func(d store.RecoveryDecision) bool { return d.AccountID == o.Account && !d.Given })
		apart, err := s.apart(tx, row, o)
		if err != nil {
			return 0, err
		}
		if apart && !no {
			n++
		}
	}
	return n, nil
}

func decide(tx *store.Tx, row store.RecoveryRequest, o Officer, given bool, now time.Time) error {
	err := tx.InsertRecoveryDecision(store.RecoveryDecision{RequestID: row.ID, AccountID: o.Account, Position: o.Position, Given: given, Decided: now})
	if errors.Is(err, store.ErrConflict) {
		return errAnswered
	}
	return err
}

// asksOfficer reads an open request that the actor is one of the officers for,
// and may answer.
func (s *Service) asksOfficer(tx *store.Tx, actor auth.Actor, organization, id string) (row store.RecoveryRequest, q *Quorum, o Officer, err error) {
	if !actor.Has(auth.RecoveryOfficer, organization) {
		return row, nil, o, auth.ErrForbidden
	}
	if row, err = requestRow(tx, organization, id); err != nil {
		return row, nil, o, err
	}
	held, err := tx.RecoveryQuorum(row.QuorumID)
	if err != nil {
		return row, nil, o, err
	}
	if q, err = quorum(tx, held); err != nil {
		return row, nil, o, err
	}
	o, is := q.officer(account(actor))
	if !is {
		return row, nil, o, auth.ErrForbidden
	}
	apart, err := s.apart(tx, row, o)
	if err != nil {
		return row, nil, o, err
	}
	decisions, err := tx.RecoveryDecisions(id)
	switch {
	case err != nil:
	case !apart:
		err = auth.ErrForbidden
	case slices.ContainsFunc(decisions, func(d store.RecoveryDecision) bool { return d.AccountID == o.Account }):
		err = errAnswered
	case s.now().Before(row.Expires) && (row.State == string(Ready) || row.State == string(Released)):
		err = errEnough
	case s.stateOf(row) != Open:
		err = ErrState
	}
	return row, q, o, err
}

// errEnough: nobody else needs to answer.
var errEnough = fmt.Errorf("%w: enough officers have answered", ErrState)

var errAnswered = fmt.Errorf("%w: this officer has answered already", ErrState)
