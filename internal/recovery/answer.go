package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// Waiting is a task that waits for an officer.
type Waiting struct {
	Kind   Kind
	Object string // the id of the request or quorum, for [Service.Task]
	Keys   int    // how many keys it is about; of a handover at most [MaxKeysPerTask] at a time
}

// Waiting lists what waits for an officer.
func (s *Service) Waiting(ctx context.Context, actor auth.Actor, organization string) (list []Waiting, err error) {
	me := account(actor)
	if me == "" || !actor.Has(auth.RecoveryOfficer, organization) {
		return nil, auth.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		list = nil
		for _, kind := range []Kind{Confirm, Approve, Reshare} {
			id, _, err := s.due(tx, organization, me, kind)
			if err != nil {
				return err
			}
			if id == "" {
				continue
			}
			w := Waiting{Kind: kind, Object: id}
			if kind == Reshare {
				keys, err := tx.RecoveryEscrowsToReshare(organization, me, id, s.now(), MaxKeysPerTask)
				if err != nil {
					return err
				}
				if w.Keys = len(keys); w.Keys == 0 {
					continue
				}
			}
			list = append(list, w)
		}
		rows, err := tx.RecoveryRequestsFor(organization, me, s.now(), shown)
		if err != nil {
			return err
		}
		for _, row := range rows {
			keys, err := tx.RecoveryRequestKeys(row.ID)
			if err != nil {
				return err
			}
			_, _, _, err = s.asksOfficer(tx, actor, organization, row.ID)
			if errors.Is(err, auth.ErrForbidden) {
				continue
			}
			if err != nil {
				return err
			}
			list = append(list, Waiting{Kind: Release, Object: row.ID, Keys: len(keys)})
		}
		return nil
	})
	return list, err
}

// due finds the quorum that an account's word of a kind is missing for, with the
// certificate that the account has in it or in the one before; "": none.
func (s *Service) due(tx *store.Tx, organization, me string, kind Kind) (id string, c *cert.Certificate, err error) {
	proposed, err := quorumOf(tx, organization, Proposed)
	if err != nil {
		return "", nil, err
	}
	active, err := quorumOf(tx, organization, Active)
	if err != nil {
		return "", nil, err
	}
	switch {
	case kind == Confirm && proposed != nil:
		if o, is := proposed.officer(me); is && o.Confirmed.IsZero() {
			return proposed.ID, o.Certificate, nil
		}
	case kind == Approve && proposed != nil && active != nil:
		for _, approved := range proposed.Approvals {
			if approved == me {
				return "", nil, nil
			}
		}
		if o, is := active.officer(me); is {
			return proposed.ID, o.Certificate, nil
		}
	case kind == Reshare && active != nil:
		// The certificate is that of the first key's quorum.
		keys, err := tx.RecoveryEscrowsToReshare(organization, me, active.ID, s.now(), 1)
		if err != nil || len(keys) == 0 {
			return "", nil, err
		}
		row, err := tx.RecoveryQuorum(keys[0].QuorumID)
		if err != nil {
			return "", nil, err
		}
		before, err := quorum(tx, row)
		if err != nil {
			return "", nil, err
		}
		if o, is := before.officer(me); is {
			return active.ID, o.Certificate, nil
		}
	}
	return "", nil, nil
}

// Task gives an officer what it takes to answer. Each call makes a new challenge,
// which voids the one before.
func (s *Service) Task(ctx context.Context, actor auth.Actor, organization string, kind Kind, object string) (*Task, error) {
	me := account(actor)
	if me == "" || !actor.Has(auth.RecoveryOfficer, organization) {
		return nil, auth.ErrForbidden
	}
	var t *Task
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		t = &Task{Format: taskFormat, Kind: kind, Object: object, Organization: organization}
		var mine *cert.Certificate
		var err error
		if kind == Release {
			mine, err = s.releaseTask(tx, actor, t)
		} else {
			mine, err = s.quorumTask(tx, me, t)
		}
		if err != nil {
			return err
		}
		if err := tx.ForgetRecoveryChallenges(s.now()); err != nil {
			return err
		}
		return s.challenge(tx, me, mine, t)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// challenge adds what only the officer's private key opens.
func (s *Service) challenge(tx *store.Tx, me string, mine *cert.Certificate, t *Task) error {
	nonce := make([]byte, secretSize)
	if _, err := io.ReadFull(s.o.Rand, nonce); err != nil {
		return fmt.Errorf("recovery: randomness: %w", err)
	}
	plain, err := json.Marshal(challenge{t.Kind, t.Object, nonce})
	if err != nil {
		return err
	}
	to, err := reader(mine)
	if err != nil {
		return err
	}
	if t.Challenge, err = envelop(s.o.Rand, to, plain); err != nil {
		return err
	}
	return tx.SetRecoveryChallenge(me, string(t.Kind), t.Object, proofHash(nonce), s.now().Add(ChallengeLife))
}

func (s *Service) releaseTask(tx *store.Tx, actor auth.Actor, t *Task) (*cert.Certificate, error) {
	row, _, o, err := s.asksOfficer(tx, actor, t.Organization, t.Object)
	if err != nil {
		return nil, err
	}
	p, err := tx.Person(row.PersonID)
	if err != nil {
		return nil, err
	}
	t.Owner, t.Reason = p.Name, row.Reason
	if t.Requester, err = nameOf(tx, row.Requester); err != nil {
		return nil, err
	}
	t.Recipients = []Recipient{{Certificate: row.Recipient}}
	keys, err := tx.RecoveryRequestKeys(row.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := t.add(tx, k, row.QuorumID, o.Position); err != nil {
			return nil, err
		}
	}
	return o.Certificate, nil
}

// nameOf is a requester as an officer knows them.
func nameOf(tx *store.Tx, requester string) (string, error) {
	kind, id, _ := strings.Cut(requester, ":")
	if kind == string(auth.KindPerson) {
		p, err := tx.Person(id)
		return p.Name, err
	}
	a, err := tx.Administrator(id)
	return called(a), err
}

// called is an account with its address.
func called(a store.Administrator) string {
	if a.Name == "" {
		return a.Email
	}
	return a.Name + " <" + a.Email + ">"
}

// add adds a key with the officer's share of it.
func (t *Task) add(tx *store.Tx, e store.RecoveryEscrow, quorum string, position int) error {
	parts, err := tx.RecoveryShares(e.ID, quorum, position)
	if err != nil {
		return err
	}
	k := TaskKey{Escrow: e.ID, Key: keyName(e.KeyHash), Position: position}
	for _, p := range parts {
		part := Part{Origin: p.Origin, Envelope: p.Envelope}
		if p.Origin != 0 {
			part.For = quorum
		}
		k.Parts = append(k.Parts, part)
	}
	t.Keys = append(t.Keys, k)
	return nil
}

// quorumTask asks for an officer's word, or for the shares of keys that are
// handed over.
func (s *Service) quorumTask(tx *store.Tx, me string, t *Task) (*cert.Certificate, error) {
	id, mine, err := s.due(tx, t.Organization, me, t.Kind)
	if err != nil {
		return nil, err
	}
	if id == "" || id != t.Object {
		return nil, ErrState
	}
	row, err := tx.RecoveryQuorum(id)
	if err != nil {
		return nil, err
	}
	next, err := quorum(tx, row)
	if err != nil {
		return nil, err
	}
	t.Threshold = next.Threshold
	for _, o := range next.Officers {
		a, err := tx.Administrator(o.Account)
		if err != nil {
			return nil, err
		}
		t.Recipients = append(t.Recipients, Recipient{o.Position, a.Email, o.Certificate.Raw})
	}
	if t.Kind != Reshare {
		return mine, nil
	}
	keys, err := tx.RecoveryEscrowsToReshare(t.Organization, me, id, s.now(), MaxKeysPerTask+1)
	if err != nil {
		return nil, err
	}
	if t.More = len(keys) > MaxKeysPerTask; t.More {
		keys = keys[:MaxKeysPerTask]
	}
	for _, k := range keys {
		position, err := s.positionIn(tx, k.QuorumID, me)
		if err != nil {
			return nil, err
		}
		if err := t.add(tx, k, k.QuorumID, position); err != nil {
			return nil, err
		}
	}
	return mine, nil
}

func (s *Service) positionIn(tx *store.Tx, quorum, account string) (int, error) {
	officers, err := tx.RecoveryOfficers(quorum)
	if err != nil {
		return 0, err
	}
	for _, o := range officers {
		if o.AccountID == account {
			return o.Position, nil
		}
	}
	return 0, auth.ErrForbidden
}

// Answer takes what an officer returns. It counts once, only from the account
// whose task it is, and only with what the officer's private key opened.
func (s *Service) Answer(ctx context.Context, actor auth.Actor, organization string, a *Answer) error {
	me := account(actor)
	if me == "" || !actor.Has(auth.RecoveryOfficer, organization) {
		return auth.ErrForbidden
	}
	if err := actor.Again(); err != nil {
		return err
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		// First of all, so that an answer for another object or account says nothing.
		err := tx.TakeRecoveryChallenge(me, string(a.Kind), a.Object, proofHash(a.Proof), s.now())
		if errors.Is(err, store.ErrConflict) {
			return ErrProof
		}
		if err != nil {
			return err
		}
		switch a.Kind {
		case Confirm, Approve:
			return s.confirm(ctx, tx, actor, organization, a)
		case Release:
			return s.contribute(ctx, tx, actor, organization, a)
		case Reshare:
			return s.reshare(ctx, tx, actor, organization, a)
		}
		return ErrState
	})
}

// contribute takes an officer's shares for a request.
func (s *Service) contribute(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, a *Answer) error {
	row, q, o, err := s.asksOfficer(tx, actor, organization, a.Object)
	if errors.Is(err, errEnough) { // who was at it already: one of the others' may be nonsense
		err = nil
	}
	if err != nil {
		return err
	}
	to, err := cert.Parse(row.Recipient)
	if err != nil {
		return err
	}
	keys, err := tx.RecoveryRequestKeys(row.ID)
	if err != nil {
		return err
	}
	if len(keys) != len(a.Keys) {
		return ErrProof
	}
	for i, k := range keys { // in the order of the task
		if a.Keys[i].Escrow != k.ID || len(a.Keys[i].Envelopes) != 1 {
			return ErrProof
		}
		if err := addressed(a.Keys[i].Envelopes[0], to); err != nil {
			return input("keys", "input.recovery.answer", err)
		}
		if err := tx.InsertRecoveryContribution(row.ID, k.ID, o.Position, a.Keys[i].Envelopes[0]); err != nil {
			return err
		}
	}
	if err := decide(tx, row, o, true, s.now()); err != nil {
		return err
	}
	err = audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: actor.String(), Act: store.ActRecoveryGiven, Object: row.ID,
		Details: map[string]string{"officer": strconv.Itoa(o.Position), "certificate": o.Certificate.SHA256()}})
	if err != nil {
		return err
	}
	given, err := givers(tx, row)
	if err != nil || row.State != string(Open) || len(given) < q.Threshold {
		return err
	}
	return tx.SetRecoveryRequest(row.ID, string(Open), string(Ready))
}

// givers lists the positions of the officers who gave their shares.
func givers(tx *store.Tx, row store.RecoveryRequest) (positions []int, err error) {
	decisions, err := tx.RecoveryDecisions(row.ID)
	for _, d := range decisions {
		if d.Given {
			positions = append(positions, d.Position)
		}
	}
	return positions, err
}

// reshare takes what an officer gives to those who follow. A key goes over to
// them when as many officers have given as open it.
func (s *Service) reshare(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, a *Answer) error {
	next, err := quorumOf(tx, organization, Active)
	if err != nil {
		return err
	}
	if next == nil || next.ID != a.Object {
		return ErrState
	}
	taken, moved := 0, 0
	for _, k := range a.Keys {
		ok, over, err := s.reshareKey(tx, account(actor), next, k)
		if err != nil {
			return err
		}
		if ok {
			taken++
		}
		if over {
			moved++
		}
	}
	return audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: actor.String(), Act: store.ActReshared, Object: next.ID, Details: map[string]string{
		"organization": organization, "keys": strconv.Itoa(taken), "handed-over": strconv.Itoa(moved),
	}})
}

// reshareKey takes an officer's part for one key. One that somebody has asked
// for in between waits: its shares are with the officers before until then.
func (s *Service) reshareKey(tx *store.Tx, me string, next *Quorum, k AnswerKey) (taken, moved bool, err error) {
	e, err := tx.RecoveryEscrow(k.Escrow)
	if err != nil {
		return false, false, missing(err)
	}
	if e.OrganizationID != next.Organization {
		return false, false, auth.ErrForbidden
	}
	asked, err := tx.EscrowRequested(e.ID, s.now())
	if err != nil || asked || e.QuorumID == next.ID {
		return false, false, err
	}
	position, err := s.positionIn(tx, e.QuorumID, me)
	if err != nil {
		return false, false, err
	}
	if len(k.Envelopes) != len(next.Officers) {
		return false, false, ErrProof
	}
	for i, o := range next.Officers {
		if err := addressed(k.Envelopes[i], o.Certificate); err != nil {
			return false, false, input("keys", "input.recovery.answer", err)
		}
		err := tx.InsertRecoveryReshare(store.RecoveryShare{EscrowID: e.ID, QuorumID: next.ID, Origin: position, Position: o.Position, Envelope: k.Envelopes[i]})
		if errors.Is(err, store.ErrConflict) {
			return false, false, ErrState
		}
		if err != nil {
			return false, false, err
		}
	}
	moved, err = s.handOver(tx, e, next)
	return true, moved, err
}

// handOver makes the parts of enough officers the shares of the next ones. The
// shares of those before stay, for [Asking.Former].
func (s *Service) handOver(tx *store.Tx, e store.RecoveryEscrow, next *Quorum) (bool, error) {
	before, err := tx.RecoveryQuorum(e.QuorumID)
	if err != nil {
		return false, err
	}
	parts, err := tx.RecoveryReshares(e.ID, next.ID)
	if err != nil {
		return false, err
	}
	if len(parts) < before.Threshold*len(next.Officers) {
		return false, nil
	}
	for _, p := range parts {
		if err := tx.InsertRecoveryShare(p); err != nil {
			return false, err
		}
	}
	return true, tx.MoveRecoveryEscrow(e.ID, before.ID, next.ID)
}
