package enrollment

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// The durable steps of a batch, as [Options.Stop] hears of them.
const (
	StepOrdered = "people and orders stored"
	StepKept    = "keys kept"
	StepIssued  = "certificates issued"
	StepWritten = "files and mails stored"
)

// Steps lists them.
func Steps() []string { return []string{StepOrdered, StepKept, StepIssued, StepWritten} }

// chunkSize is how many people take each step together, so that their changes
// share a transaction; enrollAtOnce how many ask for certificates at a time.
const (
	chunkSize    = 25
	enrollAtOnce = 8
)

// turn is one job's turn with a batch.
type turn struct {
	*Service
	run   store.Run
	batch store.RunBatch
	plan  plan
}

// from and to are the positions of the batch.
func (t *turn) from() int { return t.batch.Number * batchSize }
func (t *turn) to() int   { return t.from() + t.batch.Size }

// mine makes sure, in a transaction, that the turn is still this one.
func (t *turn) mine(tx *store.Tx) error {
	return tx.RunBatchTurn(t.run.ID, t.batch.Number, t.batch.Turn)
}

// batch equips the people of one batch as far as they can be now.
func (s *Service) batch(ctx context.Context, j outbox.Job) (outbox.Finish, error) {
	var b batchJob
	if err := json.Unmarshal(j.Payload, &b); err != nil {
		return nil, outbox.Dead(fmt.Errorf("enrollment: job: %w", err))
	}
	t, err := s.begin(ctx, b)
	if err != nil || t == nil {
		return nil, err
	}
	err = t.work(ctx)
	if errors.Is(err, store.ErrConflict) {
		// Either the turn has passed, or two met: then the next try sees what the
		// other did.
		if t, again := s.begin(ctx, b); again != nil || t == nil {
			return nil, again
		}
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) error { return t.rest(context.WithoutCancel(ctx), tx) }, nil
}

// begin reads what a job is about; nil: it has nothing to do any more.
func (s *Service) begin(ctx context.Context, b batchJob) (*turn, error) {
	t := &turn{Service: s}
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		if t.run, err = tx.Run(b.Run); err != nil {
			return err
		}
		t.batch, err = tx.RunBatch(b.Run, b.Batch)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("enrollment: batch: %w", err)
	}
	if t.batch.Turn != b.Turn || t.batch.State == "done" {
		return nil, nil
	}
	return t, json.Unmarshal([]byte(t.run.Settings), &t.plan)
}

// work goes on until everybody has come to an end, waits for somebody else, or
// the run is paused.
func (t *turn) work(ctx context.Context) error {
	if t.run.State == RunRunning && t.batch.State == "new" {
		if err := t.order(ctx); err != nil {
			return err
		}
		if err := t.o.Stop(StepOrdered); err != nil {
			return err
		}
	}
	people, err := t.waiting(ctx)
	if err != nil {
		return err
	}
	for len(people) > 0 {
		n := min(chunkSize, len(people))
		if err := t.refresh(ctx); err != nil {
			return err
		}
		switch t.run.State {
		case RunPaused:
			return nil
		case RunCancelled:
			return t.cancel(ctx, people)
		}
		if err := t.chunk(ctx, people[:n]); err != nil {
			return err
		}
		people = people[n:]
	}
	return nil
}

// refresh looks whether the run was paused or cancelled meanwhile.
func (t *turn) refresh(ctx context.Context) error {
	return t.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		t.run, err = tx.Run(t.run.ID)
		return err
	})
}

// rest ends the turn, in the transaction that ends the job. The last batch that
// is done ends the run.
func (t *turn) rest(ctx context.Context, tx *store.Tx) error {
	rows, err := tx.RunPositions(t.run.ID, t.from(), t.to())
	if err != nil {
		return err
	}
	waiting, err := tx.RunBatchPeople(t.run.ID, t.from(), t.to())
	if err != nil {
		return err
	}
	run, err := tx.Run(t.run.ID)
	if err != nil {
		return err
	}
	done := len(waiting) == 0 && (len(rows) == t.batch.Size || run.State == RunCancelled)
	left, err := tx.RunBatchRests(t.run.ID, t.batch.Number, t.batch.Turn, done)
	if errors.Is(err, store.ErrConflict) {
		return nil // another turn has begun
	}
	if err != nil || left > 0 || run.State != RunRunning {
		return err
	}
	if err := tx.RunBecomes(run.ID, RunDone, t.now(), RunRunning); err != nil {
		return err
	}
	t.o.Log.InfoContext(ctx, "bulk run done", "run", run.ID)
	return t.act(ctx, tx, t.actor, store.ActRunChanged, run.ID, map[string]string{"from": RunRunning, "to": RunDone})
}

// order makes the people known to the organization and opens their orders, in
// one transaction with their rows.
func (t *turn) order(ctx context.Context) error {
	list, err := listOf(t.batch)
	if err != nil {
		return outbox.Dead(err)
	}
	var have []int64
	err = t.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		have, err = tx.RunPositions(t.run.ID, t.from(), t.to())
		return err
	})
	if err != nil {
		return err
	}
	known := map[int]bool{}
	for _, p := range have {
		known[int(p)] = true
	}
	var people []registration.Enlistment
	var positions []int
	for i, p := range list {
		if known[t.from()+i] {
			continue
		}
		people = append(people, p.enlistment())
		positions = append(positions, t.from()+i)
	}
	return t.o.Registration.Enlist(ctx, t.as(), t.run.OrganizationID, t.run.StartedBy, people, func(tx *store.Tx, made []registration.Enlisted) error {
		if err := t.mine(tx); err != nil {
			return err
		}
		for i, m := range made {
			p := list[positions[i]-t.from()]
			row := store.RunPerson{
				RunID: t.run.ID, Position: positions[i], Batch: t.batch.Number, Line: p.Line,
				Address: p.Address, PersonID: m.Person, Orders: m.Orders, State: "ordered",
			}
			if m.Err != nil {
				why, about := problem(m.Err)
				if !about {
					return m.Err
				}
				row.State, row.Problem = "failed", why.json()
			}
			if err := tx.InsertRunPerson(row); err != nil {
				return err
			}
		}
		return tx.RunBatchOrdered(t.run.ID, t.batch.Number, t.batch.Turn)
	})
}

// as is the part of the server that orders.
func (t *turn) as() auth.Actor {
	if t.run.Kind == kindRenewal {
		return auth.Server(registration.PartRenewal)
	}
	return t.actor
}

func (t *turn) waiting(ctx context.Context) (people []store.RunPerson, err error) {
	err = t.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		people, err = tx.RunBatchPeople(t.run.ID, t.from(), t.to())
		return err
	})
	return people, err
}

// cancel ends the wait of people of a cancelled run.
func (t *turn) cancel(ctx context.Context, people []store.RunPerson) error {
	if err := t.revokeUnheld(ctx, people); err != nil {
		return err
	}
	return t.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := t.mine(tx); err != nil {
			return err
		}
		for _, p := range people {
			if err := t.withdrawOrders(ctx, tx, p.Orders, "the bulk run was cancelled"); err != nil {
				return err
			}
			p.State = "cancelled"
			if err := tx.RunPersonBecomes(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// revokeUnheld revokes the certificates of people who are given up, whose keys
// are dropped with that before anybody had them. It comes first: who is killed in
// between does it again.
func (t *turn) revokeUnheld(ctx context.Context, people []store.RunPerson) error {
	var ids []string
	err := t.o.Store.View(ctx, func(tx *store.Tx) error {
		ids = nil
		for _, p := range people {
			for _, order := range p.Orders {
				_, err := tx.KeptKey(order)
				if errors.Is(err, store.ErrNotFound) {
					continue // none, or somebody else's
				}
				if err != nil {
					return err
				}
				c, err := tx.CertificateOf(order)
				if errors.Is(err, store.ErrNotFound) || err == nil && c.State != "issued" {
					continue
				}
				if err != nil {
					return err
				}
				ids = append(ids, c.ID)
			}
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = t.o.Registration.Revoke(ctx, t.actor, t.run.OrganizationID, ids, cert.CessationOfOperation)
	return err
}

// withdrawOrders refuses orders that have no certificate yet, and drops their
// keys.
func (s *Service) withdrawOrders(ctx context.Context, tx *store.Tx, orders []string, why string) error {
	for _, id := range orders {
		o, err := tx.Order(id)
		if err != nil {
			return err
		}
		if err := tx.ForgetKey(id); err != nil {
			return err
		}
		if o.State != "applied" && o.State != "proven" {
			continue
		}
		if err := tx.OrderRefused(id, why); err != nil {
			return err
		}
		if err := s.act(ctx, tx, s.actor, store.ActDenied, id, nil); err != nil {
			return err
		}
	}
	return nil
}

// candidate is somebody whose orders can be enrolled, with all that the steps
// add.
type candidate struct {
	row    store.RunPerson
	person store.Person
	orders []store.Order
	keys   []crypto.Signer // one for each order; of server-keys
	sealed [][]byte        // nil where it is kept already
	keep   []func(tx *store.Tx) error
	issued []registration.Issued
	file   []byte
	secret []byte // the passphrase
	failed *Problem
}

// chunk takes a few people through all steps.
func (t *turn) chunk(ctx context.Context, people []store.RunPerson) error {
	ready, ended, err := t.ready(ctx, people)
	if err != nil {
		return err
	}
	if t.run.Mode == ModeServerKeys && len(ready) > 0 {
		if err := t.makeKeys(ctx, ready); err != nil {
			return err
		}
		if err := t.enroll(ctx, ready); err != nil {
			return err
		}
		if err := t.writeFiles(ctx, ready); err != nil {
			return err
		}
	}
	if len(ready)+len(ended) == 0 {
		return nil
	}
	if err := t.write(ctx, ready, ended); err != nil {
		return err
	}
	return t.o.Stop(StepWritten)
}

// ready tells who can be enrolled from who cannot any more; the others wait.
func (t *turn) ready(ctx context.Context, people []store.RunPerson) (ready, ended []*candidate, err error) {
	err = t.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, row := range people {
			c := &candidate{row: row}
			if c.person, err = tx.Person(row.PersonID); err != nil {
				return err
			}
			waits := false
			for _, id := range row.Orders {
				o, err := tx.Order(id)
				if err != nil {
					return err
				}
				c.orders = append(c.orders, o)
				switch {
				case o.State == "refused":
					c.failed = &Problem{Key: keyRefused}
				case o.State != "issued" && !t.now().Before(o.Expires):
					c.failed = &Problem{Key: keyExpired}
				case o.State == "applied":
					waits = true
				}
			}
			switch {
			case c.failed != nil:
				ended = append(ended, c)
			case !waits:
				ready = append(ready, c)
			}
		}
		return nil
	})
	return ready, ended, err
}

// makeKeys makes a key for each order, or takes the one that is kept, and keeps
// the new ones: a certificate for a key that nobody has would be worth nothing.
func (t *turn) makeKeys(ctx context.Context, ready []*candidate) error {
	err := t.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, c := range ready {
			c.keys, c.sealed = make([]crypto.Signer, len(c.orders)), make([][]byte, len(c.orders))
			c.keep = make([]func(*store.Tx) error, len(c.orders))
			for i, o := range c.orders {
				kept, err := tx.KeptKey(o.ID)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if c.keys[i], err = t.openKey(o.ID, kept); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	type place struct {
		c *candidate
		i int
	}
	var missing []place
	for _, c := range ready {
		for i, key := range c.keys {
			if key == nil {
				missing = append(missing, place{c, i})
			}
		}
	}
	err = t.workers.each(ctx, len(missing), func(n int) error {
		c, i := missing[n].c, missing[n].i
		o := c.orders[i]
		key, err := newKey(t.plan.Algorithm)
		if err != nil {
			return err
		}
		if t.plan.Escrow && o.Use == string(issuance.Encryption) {
			if t.o.Escrow == nil {
				return ErrNoOfficers
			}
			if c.keep[i], err = t.o.Escrow.Prepare(ctx, o.OrganizationID, o.PersonID, key); err != nil {
				return fmt.Errorf("escrow: %w", err)
			}
		}
		c.keys[i] = key
		c.sealed[i], err = t.sealKey(o.ID, key)
		return err
	})
	if err != nil {
		return err
	}
	err = t.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := t.mine(tx); err != nil {
			return err
		}
		for _, c := range ready {
			for i, o := range c.orders {
				if c.sealed[i] == nil {
					continue
				}
				if err := tx.KeepKey(o.ID, c.sealed[i], t.now()); err != nil {
					return err
				}
				if c.keep[i] == nil {
					continue
				}
				if err := c.keep[i](tx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.o.Stop(StepKept)
}

// enroll asks for the certificates, several at a time, so that their changes
// share a transaction. Whoever cannot have one fails alone.
func (t *turn) enroll(ctx context.Context, ready []*candidate) error {
	slots := make(chan struct{}, enrollAtOnce)
	errs := make([]error, len(ready))
	var all sync.WaitGroup
	for n, c := range ready {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			for i, o := range c.orders {
				issued, err := t.o.Registration.EnrollFor(ctx, t.actor, registration.Request{Kind: registration.RequestServer, Order: o.ID, Key: c.keys[i].Public()})
				if err != nil {
					errs[n] = err
					return
				}
				c.issued = append(c.issued, issued)
			}
		})
	}
	all.Wait()
	for n, err := range errs {
		if err == nil {
			continue
		}
		p, about := problem(err)
		if !about {
			return err
		}
		t.o.Log.WarnContext(ctx, "no certificate for somebody of a bulk run", "run", t.run.ID, "position", ready[n].row.Position, "error", err)
		ready[n].failed = p
	}
	return t.o.Stop(StepIssued)
}

// writeFiles writes the PKCS #12 file of everybody.
func (t *turn) writeFiles(ctx context.Context, ready []*candidate) error {
	return t.workers.each(ctx, len(ready), func(n int) (err error) {
		c := ready[n]
		if c.failed != nil {
			return nil
		}
		var ids []*identity.Identity
		for i, key := range c.keys {
			ids = append(ids, identityOf(key, c.issued[i], c.row.Address))
		}
		c.file, c.secret, err = t.newFile(ids, t.plan.Client)
		return err
	})
}

// write stores what waits for everybody now, and that their mail is to
// leave, and drops their keys.
func (t *turn) write(ctx context.Context, ready, ended []*candidate) error {
	var failed []store.RunPerson
	for _, c := range append(ready[:len(ready):len(ready)], ended...) {
		if c.failed != nil {
			failed = append(failed, c.row)
		}
	}
	if err := t.revokeUnheld(ctx, failed); err != nil {
		return err
	}
	return t.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := t.mine(tx); err != nil {
			return err
		}
		for _, c := range append(ready[:len(ready):len(ready)], ended...) {
			err := error(nil)
			if c.failed != nil {
				err = t.fail(ctx, tx, c)
			} else {
				err = t.deliver(tx, c)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *turn) fail(ctx context.Context, tx *store.Tx, c *candidate) error {
	if err := t.withdrawOrders(ctx, tx, c.row.Orders, "the bulk run gave it up"); err != nil {
		return err
	}
	c.row.State, c.row.Problem = "failed", c.failed.json()
	return tx.RunPersonBecomes(c.row)
}

func (t *turn) deliver(tx *store.Tx, c *candidate) (err error) {
	p := store.Pickup{
		OrganizationID: t.run.OrganizationID, PersonID: c.row.PersonID, RunID: t.run.ID, Mode: t.run.Mode,
		Address: c.row.Address, Language: c.person.Language, Orders: c.row.Orders, Client: t.plan.Client,
		File: c.file, Created: t.now(), Expires: t.now().Add(PickupLife),
	}
	if p.ID, err = t.newID(); err != nil {
		return err
	}
	if c.secret != nil {
		if p.Passphrase, err = t.sealer.Seal("passphrase", p.ID, c.secret); err != nil {
			return err
		}
	}
	if err := tx.InsertPickup(p); err != nil {
		return err
	}
	for _, id := range c.row.Orders {
		if err := tx.ForgetKey(id); err != nil {
			return err
		}
	}
	c.row.State, c.row.PickupID = "done", p.ID
	if err := tx.RunPersonBecomes(c.row); err != nil {
		return err
	}
	to, err := mailbox.Parse(p.Address)
	if err != nil {
		return err
	}
	_, err = t.o.Mails.Enqueue(tx, mailqueue.Letter{Kind: mailPickup, About: p.ID, To: to})
	return err
}
