package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
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
	officers, err := s.choose(threshold, choices)
	if err != nil {
		return nil, err
	}
	id, err := s.newID()
	if err != nil {
		return nil, err
	}
	row := store.RecoveryQuorum{ID: id, OrganizationID: organization, Threshold: threshold, State: string(Proposed), ProposedBy: actor.String(), Proposed: s.now()}
	var q *Quorum
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		for i, o := range officers {
			officers[i].QuorumID = id
			is, err := holdsRole(tx, o.AccountID, organization)
			if err != nil {
				return err
			}
			if !is {
				return input("officers", "input.recovery.role", o.Position)
			}
		}
		if err := tx.InsertRecoveryQuorum(row, officers); err != nil {
			return err
		}
		if q, err = quorum(tx, row); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{At: row.Proposed, Actor: actor.String(), Act: store.ActOfficersProposed, Object: id, Details: officerDetails(q)})
	})
	if err != nil {
		return nil, err
	}
	return q, nil
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
