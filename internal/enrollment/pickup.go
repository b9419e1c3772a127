package enrollment

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// Limits of what waits for a person.
const (
	PickupLife = 30 * 24 * time.Hour
	MaxWrong   = 5       // wrong codes, until a new mail brings another
	MaxOld     = 1 << 20 // bytes of a file with old keys
)

// States of what waits.
const (
	PickupWaiting   = "waiting"
	PickupTaken     = "taken"
	PickupVoid      = "void" // too many wrong codes: it needs a new mail
	PickupExpired   = "expired"
	PickupWithdrawn = "withdrawn"
)

// Waiting is what waits for a person under a link, as far as the link shows it:
// nothing that whoever follows it could not guess.
type Waiting struct {
	ID       string
	Mode     string // ModeInvite, ModeServerKeys
	State    string
	Language string
	Client   string // whose form the file has
	Expires  time.Time
}

// Waiting shows what a link leads to. [registration.ErrForbidden]: to nothing.
func (s *Service) Waiting(ctx context.Context, id string) (w Waiting, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		p, err := tx.Pickup(id)
		if errors.Is(err, store.ErrNotFound) {
			return registration.ErrForbidden
		}
		w = Waiting{p.ID, p.Mode, s.stateOf(p), p.Language, p.Client, p.Expires}
		return err
	})
	return w, err
}

func (s *Service) stateOf(p store.Pickup) string {
	if p.State == PickupWaiting && !s.now().Before(p.Expires) {
		return PickupExpired
	}
	return p.State
}

// hashCode is what the store keeps of a code: it is worth nothing elsewhere.
func hashCode(id, letters string) []byte {
	h := sha256.New()
	for _, field := range []string{"mailseal pickup code 1", id, letters} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(field)))
		h.Write(size[:])
		h.Write([]byte(field))
	}
	return h.Sum(nil)
}

// enter judges a code, in the transaction of what it is for. A refusal is told
// after the transaction, which keeps the count.
func (s *Service) enter(tx *store.Tx, id, mode, code string) (p store.Pickup, refusal, err error) {
	letters, err := validation.CanonicalCode(code)
	if err != nil {
		return p, nil, err
	}
	p, err = tx.Pickup(id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && p.Mode != mode:
		return p, nil, registration.ErrForbidden
	case err != nil:
		return p, nil, err
	case s.stateOf(p) != PickupWaiting:
		return p, nil, ErrGone
	case len(p.CodeHash) == 0: // its mail has not left yet
		return p, nil, ErrWrongCode
	case subtle.ConstantTimeCompare(hashCode(id, letters), p.CodeHash) != 1:
		return p, ErrWrongCode, tx.PickupWrong(id, MaxWrong)
	}
	return p, nil, nil
}

// Opened is an order that the session goes on with.
type Opened struct {
	Order  registration.Order
	Secret string // of the session, for registration.Enroll
	Use    issuance.KeyUse
}

// Redeem lets whoever has an invitation's code go on with its orders: their keys
// are made in the browser. It can be repeated until the certificates are there:
// who began on one device may begin anew on another.
func (s *Service) Redeem(ctx context.Context, id, code string) (opened []Opened, err error) {
	var p store.Pickup
	var refusal error
	err = s.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
		p, refusal, err = s.enter(tx, id, ModeInvite, code)
		return err
	})
	if err = errors.Join(err, refusal); err != nil {
		return nil, err
	}
	for _, order := range p.Orders {
		o, secret, err := s.o.Registration.OpenOrder(ctx, s.actor, order)
		if errors.Is(err, registration.ErrState) {
			continue // it has its certificate, or was refused
		}
		if err != nil {
			return nil, err
		}
		opened = append(opened, Opened{o, secret, issuance.KeyUse(o.Use)})
	}
	if len(opened) == 0 {
		return nil, ErrGone
	}
	return opened, nil
}

// Old is a file with keys that the person has: those that decrypt come back with
// the new one in one file, so that old mail stays readable where only the newest is imported.
type Old struct {
	File       []byte
	Passphrase []byte
}

// PickUp gives the PKCS #12 file to whoever has the code of its mail: once. From
// then on the file is nowhere here. Client is what imports it; empty: what the
// run was made for.
func (s *Service) PickUp(ctx context.Context, id, code, client string, old []Old) ([]byte, error) {
	keys, opened, err := s.oldKeys(ctx, id, code, old)
	if err != nil {
		return nil, err
	}
	if client != "" {
		if _, known := identity.PKCS12FormFor(client); !known {
			return nil, fmt.Errorf("%w: client %q: no form of PKCS #12 is known for it", ErrOptions, client)
		}
	}
	var file []byte
	var refusal error
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		var p store.Pickup
		if p, refusal, err = s.enter(tx, id, ModeServerKeys, code); err != nil || refusal != nil {
			return err
		}
		if !opened { // the code is a new one, of this moment
			return ErrWrongCode
		}
		if file, err = s.wrapped(p, client, keys); err != nil {
			return err
		}
		return s.end(ctx, tx, p, PickupTaken, auth.Actor{Kind: auth.KindPerson, ID: p.PersonID})
	})
	if errors.Is(err, store.ErrConflict) { // somebody was faster
		err = ErrGone
	}
	if err = errors.Join(err, refusal); err != nil {
		return nil, err
	}
	return file, nil
}

// ErrOld: a file with old keys cannot be opened.
var ErrOld = errors.New("enrollment: the file with the old keys cannot be opened")

// oldKeys opens files with old keys, which may take as long as whoever wrote them
// wants: not for who has no code. They are told so, and counted, where it is taken.
func (s *Service) oldKeys(ctx context.Context, id, code string, old []Old) (ids []*identity.Identity, opened bool, err error) {
	letters, err := validation.CanonicalCode(code)
	if err != nil || len(old) == 0 {
		return nil, true, err
	}
	var p store.Pickup
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		p, err = tx.Pickup(id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && subtle.ConstantTimeCompare(hashCode(id, letters), p.CodeHash) != 1 {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, o := range old {
		if len(o.File) > MaxOld {
			return nil, false, fmt.Errorf("%w: it has more than %d bytes", ErrOld, MaxOld)
		}
		p, err := identity.DecodePKCS12(o.File, func() ([]byte, error) { return append([]byte{}, o.Passphrase...), nil })
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrOld, err)
		}
		for _, id := range p.Identities { // a former signing key is of no more use
			if id.Certificate != nil && id.Certificate.CanEncrypt() {
				ids = append(ids, id)
			}
		}
	}
	return ids, true, nil
}

// wrapped is the file as it lies here, or written anew: in another form, or with
// the person's old keys behind the new ones.
func (s *Service) wrapped(p store.Pickup, client string, old []*identity.Identity) ([]byte, error) {
	if (client == "" || client == p.Client) && len(old) == 0 {
		return p.File, nil
	}
	passphrase, err := s.sealer.Open("passphrase", p.ID, p.Passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	read, err := identity.DecodePKCS12(p.File, func() ([]byte, error) { return append([]byte{}, passphrase...), nil })
	if err != nil {
		return nil, err
	}
	if client == "" {
		client = p.Client
	}
	return s.encode(append(read.Identities, old...), passphrase, client)
}

// end ends what waits and erases it.
func (s *Service) end(ctx context.Context, tx *store.Tx, p store.Pickup, state string, actor auth.Actor) error {
	if err := tx.EndPickup(p.ID, state, s.now()); err != nil {
		return err
	}
	return s.act(ctx, tx, actor, store.ActPickup, p.ID, map[string]string{"state": state, "person": p.PersonID, "organization": p.OrganizationID})
}

// Mail sends the mail with the link again, with a new code; the one before is
// worth nothing any more.
func (s *Service) Mail(ctx context.Context, actor auth.Actor, id string) error {
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		p, err := s.administered(tx, actor, id)
		if err != nil {
			return err
		}
		if state := s.stateOf(p); state != PickupWaiting && state != PickupVoid {
			return ErrGone
		}
		if err := tx.ReopenPickup(id); err != nil {
			return err
		}
		return s.mail(tx, p)
	})
}

func (s *Service) mail(tx *store.Tx, p store.Pickup) error {
	to, err := mailbox.Parse(p.Address)
	if err != nil {
		return err
	}
	_, err = s.o.Mails.Enqueue(tx, mailqueue.Letter{Kind: mailPickup, About: p.ID, To: to})
	return err
}

func (s *Service) administered(tx *store.Tx, actor auth.Actor, id string) (store.Pickup, error) {
	p, err := tx.Pickup(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !registration.Administers(actor, p.OrganizationID) {
		return p, registration.ErrForbidden
	}
	return p, err
}

// Passphrase shows the passphrase of a file to the person whose it is and who is
// signed in, until the file's time is over.
func (s *Service) Passphrase(ctx context.Context, actor auth.Actor, id string) (passphrase string, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return "", registration.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		p, err := tx.Pickup(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && p.PersonID != actor.ID {
			return registration.ErrForbidden
		}
		if err != nil {
			return err
		}
		passphrase, err = s.passphraseOf(p)
		return err
	})
	return passphrase, err
}

func (s *Service) passphraseOf(p store.Pickup) (string, error) {
	if len(p.Passphrase) == 0 || !s.now().Before(p.Expires) {
		return "", ErrGone
	}
	text, err := s.sealer.Open("passphrase", p.ID, p.Passphrase)
	return string(text), err
}

// sheetPage is how many lines of a sheet are read at a time.
const sheetPage = 500

// Sheet writes the passphrases of a run's files for the organization's
// administrator, who hands them out another way than by mail. That it was asked
// for stands in the audit log.
func (s *Service) Sheet(ctx context.Context, actor auth.Actor, run, language string, w io.Writer) error {
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := s.readable(tx, actor, run)
		if err == nil && !registration.Administers(actor, row.OrganizationID) {
			err = registration.ErrForbidden
		}
		if err != nil {
			return err
		}
		return s.act(ctx, tx, actor, actSheet, run, map[string]string{"organization": row.OrganizationID})
	})
	if err != nil {
		return err
	}
	sheet := roster.NewSheet(w)
	head := []string{"name", "email", "employee number", "department", "passphrase", "picked up"}
	if language == "ja" {
		head = []string{"氏名", "メールアドレス", "社員番号", "部署", "パスワード", "受け取り"}
	}
	_ = sheet.Row(head...) // its error is told at the end
	for after := ""; ; {
		n := 0
		err := s.o.Store.View(ctx, func(tx *store.Tx) error {
			pickups, err := tx.PickupsOfRun(run, after, sheetPage)
			n = len(pickups)
			for _, p := range pickups {
				after = p.ID
				if err := s.sheetRow(tx, sheet, p); err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if n < sheetPage {
			return sheet.Close()
		}
	}
}

// actSheet: somebody asked for a run's passphrases.
const actSheet = "run.sheet"

func (s *Service) sheetRow(tx *store.Tx, sheet *roster.Sheet, p store.Pickup) error {
	m, err := tx.Member(p.OrganizationID, p.PersonID)
	if err != nil {
		return err
	}
	passphrase, err := s.passphraseOf(p)
	if err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	taken := ""
	if p.State == PickupTaken {
		taken = p.Taken.Format(time.DateOnly)
	}
	return sheet.Row(strings.TrimSpace(m.Name), p.Address, m.Number, m.Department, passphrase, taken)
}
