package enrollment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/store"
)

// Modes of a run.
const (
	ModeInvite     = "invite"      // each person makes a key in the browser
	ModeServerKeys = "server-keys" // keys are made here, and picked up as PKCS #12
)

// Formats of lists.
const (
	FormatCSV  = "csv"
	FormatLDIF = "ldif"
	FormatSCIM = "scim"
)

// equippedFor is how long a certificate must be good for its person to be left
// out of a new run: after that it is renewed anyway.
const equippedFor = 30 * 24 * time.Hour

// ListOptions say how a list is to be read.
type ListOptions struct {
	Format    string // csv, ldif, scim; empty: csv
	Encoding  string // of CSV; empty: by its bytes
	Separator string // of CSV; empty: by its first line
}

// Preview is what a run with a list would be.
type Preview struct {
	Organization string
	List         *roster.List
	Hash         []byte // SHA-256 of the list
	Settings     registration.Settings
}

// Preview reads a list and says everything that is wrong with it, for this
// organization. It writes nothing.
func (s *Service) Preview(ctx context.Context, actor auth.Actor, organization string, list io.Reader, o ListOptions) (*Preview, error) {
	if !registration.Administers(actor, organization) {
		return nil, registration.ErrForbidden
	}
	org, err := s.o.Registration.Organization(ctx, actor, organization)
	if err != nil {
		return nil, err
	}
	options, err := s.judging(ctx, org)
	if err != nil {
		return nil, err
	}
	options.Encoding, options.Separator = o.Encoding, o.Separator
	hash := sha256.New()
	read, known := map[string]func(io.Reader, roster.Options) (*roster.List, error){
		"": roster.ReadCSV, FormatCSV: roster.ReadCSV, FormatLDIF: roster.ReadLDIF, FormatSCIM: roster.ReadSCIM,
	}[o.Format]
	if !known {
		return nil, fmt.Errorf("%w: format %q: csv, ldif or scim", ErrOptions, o.Format)
	}
	p := &Preview{Organization: organization, Settings: org.Settings}
	if p.List, err = read(io.TeeReader(list, hash), options); err != nil {
		return nil, err
	}
	p.Hash = hash.Sum(nil)
	return p, nil
}

// judging is what the organization knows, for the list to be held against.
func (s *Service) judging(ctx context.Context, org registration.Organization) (o roster.Options, err error) {
	var domains []store.Domain
	var members map[string]store.MemberMailbox
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		if domains, err = tx.Domains(org.ID); err != nil {
			return err
		}
		members, err = tx.MemberMailboxes(org.ID)
		return err
	})
	now := s.now()
	proven := map[string]bool{}
	for _, d := range domains {
		proven[d.Name] = d.State == "proven" && now.Before(d.Expires)
	}
	o = roster.Options{
		Names:  org.Settings.Kind == registration.KindIVOV || org.Settings.Kind == registration.KindIV,
		UTF8:   s.o.UTF8,
		Covers: func(domain string) bool { return proven[domain] },
		Standing: func(m mailbox.Mailbox) roster.Standing {
			member, known := members[m.Key()]
			switch {
			case !known:
				return roster.New
			case member.Until.Sub(now) > equippedFor:
				return roster.Equipped
			}
			return roster.Known
		},
	}
	return o, err
}

// StartOptions say how a run is to go.
type StartOptions struct {
	Mode     string // empty: as the organization's settings say
	Client   string // what imports the files, see identity.PKCS12Forms; empty: any
	LeaveOut bool   // go on without the lines that have problems
}

// plan is how a run goes, from its beginning to its end.
type plan struct {
	Algorithm string `json:"algorithm"`
	Escrow    bool   `json:"escrow"`
	Client    string `json:"client"`
}

// batchSize is how many people one job equips, batchesAtOnce how many jobs a
// node does at a time.
const (
	batchSize     = 100
	batchesAtOnce = 2
)

// listed is a person as a batch keeps them: one of a list, or one who is known.
type listed struct {
	Line       int    `json:"l,omitempty"`
	Address    string `json:"a"`
	GivenName  string `json:"g,omitempty"`
	Surname    string `json:"s,omitempty"`
	LocalName  string `json:"n,omitempty"`
	Number     string `json:"i,omitempty"`
	Department string `json:"d,omitempty"`
	Language   string `json:"t,omitempty"`

	Person   string `json:"p,omitempty"`
	Use      string `json:"u,omitempty"`
	Replaces string `json:"r,omitempty"`
}

func (l listed) enlistment() registration.Enlistment {
	return registration.Enlistment{
		Person: l.Person, Use: issuance.KeyUse(l.Use), Replaces: l.Replaces,
		Input: registration.PersonInput{
			GivenName: l.GivenName, Surname: l.Surname, LocalName: l.LocalName, Addresses: []string{l.Address},
			Number: l.Number, Department: l.Department, Language: l.Language,
		},
	}
}

// Kinds of runs.
const (
	kindImport  = "import"
	kindRenewal = "renewal"
)

// Start writes a run down and lets it begin.
func (s *Service) Start(ctx context.Context, actor auth.Actor, p *Preview, o StartOptions) (Run, error) {
	if !registration.Administers(actor, p.Organization) {
		return Run{}, registration.ErrForbidden
	}
	org, err := s.o.Registration.Organization(ctx, actor, p.Organization)
	switch {
	case err != nil:
		return Run{}, err
	case org.Settings != p.Settings:
		return Run{}, ErrChanged
	case !p.List.Good() && !o.LeaveOut:
		return Run{}, ErrProblems
	case len(p.List.People) == 0:
		return Run{}, ErrNobody
	}
	return s.start(ctx, actor, org, kindImport, p.Hash, listedOf(p.List.People), o)
}

// StartFor equips people whom the organization knows already: all that a search
// has found, for instance.
func (s *Service) StartFor(ctx context.Context, actor auth.Actor, organization string, people []string, o StartOptions) (Run, error) {
	if !registration.Administers(actor, organization) {
		return Run{}, registration.ErrForbidden
	}
	org, err := s.o.Registration.Organization(ctx, actor, organization)
	if err != nil {
		return Run{}, err
	}
	var list []listed
	hash := sha256.New()
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, id := range people {
			m, err := tx.Member(organization, id)
			if errors.Is(err, store.ErrNotFound) || err == nil && (!m.Until.IsZero() || len(m.Addresses) == 0) {
				return registration.ErrForbidden
			}
			if err != nil {
				return err
			}
			list = append(list, listed{Address: m.Addresses[0], Person: id})
			fmt.Fprintln(hash, id)
		}
		return nil
	})
	if err != nil {
		return Run{}, err
	}
	if len(list) == 0 {
		return Run{}, ErrNobody
	}
	return s.start(ctx, actor, org, kindImport, hash.Sum(nil), list, o)
}

// start writes a run and its batches.
func (s *Service) start(ctx context.Context, actor auth.Actor, org registration.Organization, kind string, hash []byte, people []listed, o StartOptions) (Run, error) {
	if org.Standing != registration.StandingActive {
		return Run{}, fmt.Errorf("%w: the organization is %s", registration.ErrState, org.Standing)
	}
	if org.Settings.Approval && kind == kindImport && registration.Behind(actor) == auth.Console().String() {
		return Run{}, &registration.InputError{Field: "order", Key: "input.order.console"} // before anybody's order is refused
	}
	row, err := s.newRun(actor, org, o)
	if err == nil && org.Settings.Escrow && row.Mode == ModeServerKeys {
		err = s.escrowReady(ctx, org.ID)
	}
	if err != nil {
		return Run{}, err
	}
	row.Kind, row.ListHash, row.Total = kind, hash, len(people)
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertRun(row); err != nil {
			return err
		}
		if err := s.act(ctx, tx, actor, store.ActRun, row.ID, map[string]string{
			"organization": row.OrganizationID, "mode": row.Mode, "people": fmt.Sprint(row.Total), "settings": row.Settings,
		}); err != nil {
			return err
		}
		return s.insertBatches(tx, row, people)
	})
	if errors.Is(err, store.ErrConflict) {
		return Run{}, ErrUnderWay
	}
	if err != nil {
		return Run{}, fmt.Errorf("enrollment: start: %w", err)
	}
	s.o.Log.InfoContext(ctx, "bulk run started", "run", row.ID, "organization", row.OrganizationID, "mode", row.Mode, "people", row.Total)
	return publicRun(row, nil), nil
}

func (s *Service) escrowReady(ctx context.Context, organization string) error {
	if s.o.Escrow == nil {
		return ErrNoOfficers
	}
	return s.o.Escrow.Ready(ctx, organization)
}

func (s *Service) newRun(actor auth.Actor, org registration.Organization, o StartOptions) (row store.Run, err error) {
	set := org.Settings
	if o.Mode == "" {
		o.Mode = ModeInvite
		if set.Keys == registration.KeysServer {
			o.Mode = ModeServerKeys
		}
	}
	if o.Client == "" {
		o.Client = anyClient
	}
	if _, known := identity.PKCS12FormFor(o.Client); !known {
		return row, fmt.Errorf("%w: client %q: no form of PKCS #12 is known for it", ErrOptions, o.Client)
	}
	switch {
	case o.Mode != ModeInvite && o.Mode != ModeServerKeys:
		return row, fmt.Errorf("%w: mode %q: %s or %s", ErrOptions, o.Mode, ModeInvite, ModeServerKeys)
	case o.Mode == ModeServerKeys && set.Keys != registration.KeysServer:
		return row, ErrNoKeys
	}
	how, err := json.Marshal(plan{set.Algorithm, set.Escrow, o.Client})
	if err != nil {
		return row, err
	}
	row = store.Run{
		OrganizationID: org.ID, Mode: o.Mode, State: RunRunning, Settings: string(how), StartedBy: registration.Behind(actor), Created: s.now(),
	}
	row.ID, err = s.newID()
	return row, err
}

func (s *Service) insertBatches(tx *store.Tx, run store.Run, people []listed) error {
	for number := 0; len(people) > 0; number++ {
		n := min(batchSize, len(people))
		text, err := json.Marshal(people[:n])
		people = people[n:]
		if err != nil {
			return err
		}
		b := store.RunBatch{RunID: run.ID, Number: number, Size: n, People: text, Turn: 1}
		if err := tx.InsertRunBatch(b); err != nil {
			return err
		}
		if err := s.queue(tx, b); err != nil {
			return err
		}
	}
	return nil
}

// batchJob is the payload of a job: a batch and the turn that it has.
type batchJob struct {
	Run   string `json:"run"`
	Batch int    `json:"batch"`
	Turn  int    `json:"turn"`
}

// queue writes the job for a batch.
func (s *Service) queue(tx *store.Tx, b store.RunBatch) error {
	payload, err := json.Marshal(batchJob{b.RunID, b.Number, b.Turn})
	if err != nil {
		return err
	}
	_, err = s.o.Outbox.Enqueue(tx, outbox.Request{Kind: jobBatch, Key: fmt.Sprintf("%s/%d/%d", b.RunID, b.Number, b.Turn), Payload: payload})
	return err
}

// The states of a run.
const (
	RunRunning   = "running"
	RunPaused    = "paused"
	RunCancelled = "cancelled"
	RunDone      = "done" // nobody waits any more; some may have failed
)

// Run is a bulk run.
type Run struct {
	ID           string
	Organization string
	Kind         string
	Mode         string
	State        string
	StartedBy    string
	Created      time.Time
	Finished     time.Time

	Total     int
	Waiting   int // for their batch, an approval or the next step
	Done      int // have their mail, or it is on its way
	Failed    int
	Cancelled int
}

func publicRun(row store.Run, counts map[string]int) Run {
	r := Run{
		ID: row.ID, Organization: row.OrganizationID, Kind: row.Kind, Mode: row.Mode, State: row.State, StartedBy: row.StartedBy,
		Created: row.Created, Finished: row.Finished, Total: row.Total,
		Done: counts["done"], Failed: counts["failed"], Cancelled: counts["cancelled"],
	}
	r.Waiting = r.Total - r.Done - r.Failed - r.Cancelled
	if r.State == RunCancelled { // also who was never begun with
		r.Cancelled, r.Waiting = r.Cancelled+r.Waiting, 0
	}
	return r
}

// Run shows how far a run is.
func (s *Service) Run(ctx context.Context, actor auth.Actor, id string) (r Run, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := s.readable(tx, actor, id)
		if err != nil {
			return err
		}
		counts, err := tx.RunCounts(id)
		r = publicRun(row, counts)
		return err
	})
	return r, err
}

func (s *Service) readable(tx *store.Tx, actor auth.Actor, id string) (store.Run, error) {
	row, err := tx.Run(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !registration.Reads(actor, row.OrganizationID) {
		return store.Run{}, registration.ErrForbidden
	}
	return row, err
}

// Runs lists the runs of an organization, the newest first, from the one after
// before on.
func (s *Service) Runs(ctx context.Context, actor auth.Actor, organization, before string, limit int) (runs []Run, err error) {
	if !registration.Reads(actor, organization) {
		return nil, registration.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Runs(organization, before, max(1, min(limit, registration.MaxPage+1))) // one more tells that there are more
		for _, row := range rows {
			counts, err := tx.RunCounts(row.ID)
			if err != nil {
				return err
			}
			runs = append(runs, publicRun(row, counts))
		}
		return err
	})
	return runs, err
}

// Member is somebody of a run.
type Member struct {
	Position int
	Line     int
	Address  string
	Person   string // empty: the organization did not take them
	Orders   []string
	State    string // ordered, done, failed, cancelled
	Problem  *Problem
	PickUp   string // the id of what waits for them, if any
}

// Members lists the people of a run who were begun with, in a state or in any,
// from after a position on.
func (s *Service) Members(ctx context.Context, actor auth.Actor, id, state string, after, limit int) (members []Member, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		if _, err := s.readable(tx, actor, id); err != nil {
			return err
		}
		rows, err := tx.RunPeople(id, state, after, max(1, min(limit, registration.MaxPage)))
		for _, row := range rows {
			members = append(members, Member{row.Position, row.Line, row.Address, row.PersonID, row.Orders, row.State, problemOf(row.Problem), row.PickupID})
		}
		return err
	})
	return members, err
}

// change moves a run on, for its administrator.
func (s *Service) change(ctx context.Context, actor auth.Actor, id, to string, from []string, also func(tx *store.Tx, row store.Run) error) (r Run, err error) {
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := s.readable(tx, actor, id)
		if err == nil && !registration.Administers(actor, row.OrganizationID) {
			err = registration.ErrForbidden
		}
		if err != nil {
			return err
		}
		if err := tx.RunBecomes(id, to, s.now(), from...); err != nil {
			return err
		}
		if err := s.act(ctx, tx, actor, store.ActRunChanged, id, map[string]string{"from": row.State, "to": to}); err != nil {
			return err
		}
		if err := also(tx, row); err != nil {
			return err
		}
		if row, err = tx.Run(id); err != nil {
			return err
		}
		counts, err := tx.RunCounts(id)
		r = publicRun(row, counts)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		err = fmt.Errorf("%w: the run is not %s", registration.ErrState, strings.Join(from, " or "))
	}
	return r, err
}

func nothing(*store.Tx, store.Run) error { return nil }

// Pause lets a run rest: what is under way for a person is finished, and nobody
// is begun with.
func (s *Service) Pause(ctx context.Context, actor auth.Actor, id string) (Run, error) {
	return s.change(ctx, actor, id, RunPaused, []string{RunRunning}, nothing)
}

// Resume lets a paused run go on.
func (s *Service) Resume(ctx context.Context, actor auth.Actor, id string) (Run, error) {
	return s.change(ctx, actor, id, RunRunning, []string{RunPaused}, func(tx *store.Tx, row store.Run) error {
		return s.wake(tx, row.ID)
	})
}

// wake gives every batch that is not done a new job.
func (s *Service) wake(tx *store.Tx, run string) error {
	batches, err := tx.WakeRunBatches(run)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if err := s.queue(tx, b); err != nil {
			return err
		}
	}
	return nil
}

// Cancel ends a run. What people have they keep; open orders are refused, by the
// jobs that would have gone on with them.
func (s *Service) Cancel(ctx context.Context, actor auth.Actor, id string) (Run, error) {
	return s.change(ctx, actor, id, RunCancelled, []string{RunRunning, RunPaused}, func(tx *store.Tx, row store.Run) error {
		return s.wake(tx, row.ID)
	})
}

// Retry begins again with everybody who failed.
func (s *Service) Retry(ctx context.Context, actor auth.Actor, id string) (Run, error) {
	return s.change(ctx, actor, id, RunRunning, []string{RunDone, RunRunning, RunPaused}, func(tx *store.Tx, row store.Run) error {
		if err := tx.ForgetFailedPeople(row.ID); err != nil {
			return err
		}
		return s.wake(tx, row.ID)
	})
}

// listOf reads the people of a batch.
func listOf(b store.RunBatch) (list []listed, err error) {
	d := json.NewDecoder(bytes.NewReader(b.People))
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("enrollment: list of batch %d of run %s: %w", b.Number, b.RunID, err)
	}
	return list, nil
}

// Resting tells whether no job is there for a run: whoever waits does so for an
// approval, or the run has ended or is paused.
func (s *Service) Resting(ctx context.Context, id string) (resting bool) {
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		n, err := tx.QueuedRunBatches(id)
		resting = err == nil && n == 0
		return err
	})
	return resting && err == nil
}
