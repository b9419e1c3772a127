package recovery

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// Choice is an account that is to hold a share.
type Choice struct {
	Account     string
	Certificate []byte // DER; the account's own, one that may be encrypted to
}

// SetOfficers proposes who holds the shares of an organization's keys, threshold
// of whom open one; 0 stands for [DefaultThreshold]. They do when each of them
// has confirmed and, where there are officers, enough of those have approved.
// [auth.WaitsError]: they are proposed when a second member has confirmed it.
func (s *Service) SetOfficers(ctx context.Context, actor auth.Actor, organization string, threshold int, choices []Choice) (*Quorum, error) {
	if who(actor) == "" || !actor.Has(auth.Administrator, organization) {
		return nil, auth.ErrForbidden
	}
	if err := actor.Again(); err != nil {
		return nil, err
	}
	if threshold == 0 {
		threshold = DefaultThreshold
	}
	var q *Quorum
	var waits *auth.WaitsError
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		q, waits = nil, nil
		row, officers, err := s.proposal(tx, actor, organization, threshold, choices)
		if err != nil {
			return err
		}
		watched, err := auth.Watched(tx, actor, organization, registration.TwoDecide, s.now())
		if err != nil {
			return err
		}
		if watched {
			waits, err = s.ask(ctx, tx, actor, row, officers)
			return err
		}
		q, err = propose(ctx, tx, actor, row, officers)
		return err
	})
	if err == nil && waits != nil {
		return nil, waits
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

// ProposeOfficers implements [auth.Custody]: what has ended or been taken back
// while it waited is no longer proposed.
func (s *Service) ProposeOfficers(ctx context.Context, tx *store.Tx, by auth.Actor, organization string, o auth.Officers) error {
	choices := make([]Choice, len(o.Officers))
	for i, one := range o.Officers {
		choices[i] = Choice{one.Account, one.Certificate}
	}
	row, officers, err := s.proposal(tx, by, organization, o.Threshold, choices)
	if _, is := errors.AsType[*registration.InputError](err); is {
		return fmt.Errorf("%w: %w", auth.ErrState, err)
	}
	if err != nil {
		return err
	}
	row.Seconded = true
	_, err = propose(ctx, tx, by, row, officers)
	return err
}

// ask has a second member confirm a proposal.
func (s *Service) ask(ctx context.Context, tx *store.Tx, actor auth.Actor, row store.RecoveryQuorum, officers []store.RecoveryOfficer) (*auth.WaitsError, error) {
	o := auth.Officers{Threshold: row.Threshold}
	for _, one := range officers {
		o.Officers = append(o.Officers, auth.Officer{Account: one.AccountID, Certificate: one.Certificate})
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return auth.Ask(ctx, tx, s.o.Mails.Letters(), actor, store.PendingChange{
		ID: row.ID, OrganizationID: row.OrganizationID, Kind: string(auth.NameOfficers), Officers: string(text),
	}, row.Proposed)
}

// proposal looks at who is to be proposed.
func (s *Service) proposal(tx *store.Tx, actor auth.Actor, organization string, threshold int, choices []Choice) (row store.RecoveryQuorum, officers []store.RecoveryOfficer, err error) {
	if officers, err = s.choose(threshold, choices); err != nil {
		return row, nil, err
	}
	id, err := s.newID()
	if err != nil {
		return row, nil, err
	}
	for i, o := range officers {
		officers[i].QuorumID = id
		is, err := holdsRole(tx, o.AccountID, organization)
		if err != nil {
			return row, nil, err
		}
		if !is {
			return row, nil, input("officers", "input.recovery.role", o.Position)
		}
	}
	return store.RecoveryQuorum{ID: id, OrganizationID: organization, Threshold: threshold, State: string(Proposed), ProposedBy: actor.String(), Proposed: s.now()}, officers, nil
}

func propose(ctx context.Context, tx *store.Tx, actor auth.Actor, row store.RecoveryQuorum, officers []store.RecoveryOfficer) (*Quorum, error) {
	if err := tx.InsertRecoveryQuorum(row, officers); err != nil {
		return nil, err
	}
	q, err := quorum(tx, row)
	if err != nil {
		return nil, err
	}
	return q, audit.Append(ctx, tx, audit.Entry{At: row.Proposed, Actor: actor.String(), Act: store.ActOfficersProposed, Object: row.ID, Details: officerDetails(q)})
}

// alone tells whether one administrator of an organization names its officers.
func (s *Service) alone(tx *store.Tx, organization string) (bool, error) {
	watched, err := auth.Watched(tx, auth.Actor{}, organization, registration.TwoDecide, s.now())
	return !watched, err
}

func officerDetails(q *Quorum) map[string]string {
	d := map[string]string{"organization": q.Organization, "threshold": strconv.Itoa(q.Threshold)}
	for _, o := range q.Officers {
		d["officer-"+strconv.Itoa(o.Position)] = o.Account + " " + o.Certificate.SHA256()
	}
	return d
}

// choose looks at the choices as far as that goes without the store.
func (s *Service) choose(threshold int, choices []Choice) ([]store.RecoveryOfficer, error) {
	switch n := len(choices); {
	case threshold < MinThreshold:
		return nil, input("threshold", "input.recovery.threshold", MinThreshold)
	case threshold >= MaxOfficers:
		return nil, input("threshold", "input.recovery.threshold.most", MaxOfficers-1)
	case n <= threshold || n > MaxOfficers:
		// With as many as it takes, one who is ill or leaves takes all keys along.
		return nil, input("officers", "input.recovery.officers", threshold+1, MaxOfficers)
	}
	var officers []store.RecoveryOfficer
	var keys [][]byte
	var accounts []string
	for i, c := range choices {
		if c.Account == "" || slices.Contains(accounts, c.Account) {
			return nil, input("officers", "input.recovery.twice", i+1)
		}
		parsed, err := s.usable(c.Certificate)
		if err != nil {
			return nil, input("officers", "input.recovery.certificate", i+1, err)
		}
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, parsed.RawSPKI) }) {
			return nil, input("officers", "input.recovery.same-key", i+1)
		}
		keys, accounts = append(keys, parsed.RawSPKI), append(accounts, c.Account)
		officers = append(officers, store.RecoveryOfficer{Position: i + 1, AccountID: c.Account, Certificate: parsed.Raw})
	}
	return officers, nil
}

// usable reads a certificate that something is to be encrypted to now.
func (s *Service) usable(der []byte) (*cert.Certificate, error) {
	if len(der) > MaxSealed {
		return nil, errors.New("it is too large")
	}
	c, err := cert.Parse(der)
	if err != nil {
		return nil, err
	}
	if _, err := reader(c); err != nil {
		return nil, err
	}
	if now := s.now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return nil, fmt.Errorf("it is valid from %s to %s", c.NotBefore.Format("2006-01-02"), c.NotAfter.Format("2006-01-02"))
	}
	return c, nil
}

// holdsRole tells whether an account is an officer of the organization by role.
func holdsRole(tx *store.Tx, account, organization string) (bool, error) {
	rows, err := tx.RolesOf(account)
	return slices.ContainsFunc(rows, func(r store.RoleGrant) bool {
		return r.Role == string(auth.RecoveryOfficer) && r.OrganizationID == organization
	}), err
}

// errUnseconded: what one proposed before two decided is no proposal of two.
var errUnseconded = fmt.Errorf("%w: a second member has not confirmed these officers: propose them again", ErrState)

// confirm takes the word of one of the proposed officers, or of one of those
// before them.
func (s *Service) confirm(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, a *Answer) error {
	q, err := quorumOf(tx, organization, Proposed)
	if err != nil {
		return err
	}
	if q == nil || q.ID != a.Object {
		return ErrState
	}
	if one, err := s.alone(tx, organization); err != nil || !one && !q.Seconded {
		return cmp.Or(err, errUnseconded)
	}
	if a.Kind == Confirm {
		err = tx.ConfirmRecoveryOfficer(q.ID, account(actor), s.now())
	} else {
		err = tx.ApproveRecoveryQuorum(q.ID, account(actor), s.now())
	}
	if errors.Is(err, store.ErrConflict) {
		return ErrState
	}
	if err != nil {
		return err
	}
	err = audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: actor.String(), Act: "recovery." + string(a.Kind), Object: q.ID,
		Details: map[string]string{"organization": organization}})
	if err != nil {
		return err
	}
	return s.activate(ctx, tx, organization, q.ID)
}

// activate puts the proposed officers in place when nobody's word is missing.
func (s *Service) activate(ctx context.Context, tx *store.Tx, organization, id string) error {
	row, err := tx.RecoveryQuorum(id)
	if err != nil {
		return err
	}
	q, err := quorum(tx, row)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(q.Officers, func(o Officer) bool { return o.Confirmed.IsZero() }) {
		return nil
	}
	before, err := quorumOf(tx, organization, Active)
	if err != nil || before != nil && len(q.Approvals) < before.Threshold {
		return err
	}
	if err := tx.ActivateRecoveryQuorum(organization, id, s.now()); err != nil {
		return err
	}
	return audit.Append(ctx, tx, audit.Entry{At: s.now(), Act: store.ActOfficersActive, Object: id, Details: officerDetails(q)})
}
