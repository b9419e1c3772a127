package registration

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// Issuer makes certificates; internal/authority is the local one. It gives an
// order that has a certificate the same one again.
type Issuer interface {
	Profile() *issuance.Profile
	// PolicyArc is what the operator's policies, and so profiles, are under.
	PolicyArc() oid.OID
	// Serves refuses mailboxes that no authority is for.
	Serves(*issuance.Profile, []mailbox.Mailbox) error
	// Issue binds the order of the warrant to the key: ErrConflict of the store
	// when it has another one. A key that the order's person may not have is
	// refused with issuance.ErrWeakKey.
	Issue(ctx context.Context, w validation.Warrant, key crypto.PublicKey) (*cert.Certificate, error)
	// RevokeAll revokes certificates and names those it did; the others were
	// revoked before.
	RevokeAll(ctx context.Context, actor string, list []store.Holding, reason cert.Reason) (ids []string, err error)
	// Above returns the authorities above a subscriber's certificate, without the
	// root, and the root.
	Above(*cert.Certificate) (chain []*cert.Certificate, root *cert.Certificate, err error)
	// Authorities are all that are here.
	Authorities() (roots, issuing []*cert.Certificate)
}

// Options are what a [Service] needs.
type Options struct {
	Store      *store.DB
	Validation *validation.Validator
	Issuer     Issuer
	Mails      *mailqueue.Queue // is told here how to make mails with codes
	Clock      func() time.Time
	Rand       io.Reader // nil: crypto/rand
	Log        *slog.Logger

	Escrow Escrow // nil: organizations cannot choose it

	// Anchors are roots that certificates by others may lead to, beside our own and
	// those that were named here; nil: there are none.
	Anchors certpath.AnchorStore

	// UTF8 accepts mailboxes with other letters than ASCII before the at sign.
	// The mailer must then speak SMTPUTF8 (RFC 6531).
	UTF8 bool
}

// Service is the registration authority.
type Service struct {
	o     Options
	turns turns
	// mostSelected is MaxSelected but in tests.
	mostSelected int

	known certpath.Known // signatures of authorities on certificates by others
}

// New returns a Service.
func New(o Options) *Service {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, mostSelected: MaxSelected}
	o.Mails.Handle(mailKind, mailqueue.Sort{Compose: s.compose, Sent: s.mailed})
	return s
}

// Limits of an order.
const (
	OrderLife = validation.CodeLife // from applying to proving, and from proving to enrolling
	MaxName   = 200                 // characters
)

// What was applied for and never proven is forgotten after a week, a little
// with each new order.
const (
	keepUnproven = 7 * 24 * time.Hour
	forgetAtOnce = 20
)

// Issued is a certificate with what a mail client needs beside it.
type Issued struct {
	Certificate *cert.Certificate
	Chain       []*cert.Certificate // from the issuing authority up, without the root
	Root        *cert.Certificate
}

// Apply opens an order and mails a code to the mailbox. The secret is the
// token of the session that asked: nobody can go on with the order without it,
// and it is returned only here. An *[UndeliverableError] leaves nothing behind
// that could be proven.
func (s *Service) Apply(ctx context.Context, a Application) (Order, string, error) {
	return s.apply(ctx, a, "")
}

// ApplySignedIn does so for a person who is signed in. When they hold the mailbox
// and proved it within the last 30 days, no code is mailed: the order is proven
// (S/MIME BR §4.2.1).
func (s *Service) ApplySignedIn(ctx context.Context, actor auth.Actor, a Application) (Order, string, error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return Order{}, "", ErrForbidden
	}
	return s.apply(ctx, a, actor.ID)
}

// apply opens an order; person is who is signed in, or empty.
func (s *Service) apply(ctx context.Context, a Application, person string) (Order, string, error) {
	m, err := s.mailbox(a.Email)
	if err != nil {
		return Order{}, "", err
	}
	profile := s.o.Issuer.Profile()
	if err := s.o.Issuer.Serves(profile, []mailbox.Mailbox{m}); err != nil {
		return Order{}, "", fmt.Errorf("%w: no certificates are issued here for mail of %s", ErrAddress, m.Domain())
	}
	name, err := cleanName(a.Name)
	if err != nil {
		return Order{}, "", err
	}
	id, err := s.random(16)
	if err != nil {
		return Order{}, "", err
	}
	token, err := s.random(32)
	if err != nil {
		return Order{}, "", err
	}
	secret := base64.RawURLEncoding.EncodeToString(token)
	now := s.now()
	row := store.Order{
		ID: encodeID(id), State: string(StateApplied), Name: name, Language: language(a.Language),
		SecretHash: hashSecret(secret), ProfileHash: profile.Hash(),
		Created: now, Expires: now.Add(OrderLife), Addresses: []string{m.String()}, Profile: profile.Name(), WaitingFor: string(WaitingMailbox),
	}
	var mail *mailqueue.Urgent
	fresh := row
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, mail = fresh, nil
		if err := tx.ForgetOrders(now.Add(-keepUnproven), forgetAtOnce); err != nil {
			return err
		}
		if err := tx.InsertProfile(profile.Hash(), string(profile.Text()), now); err != nil {
			return err
		}
		if err := tx.InsertOrder(row); err != nil {
			return err
		}
		if err := s.record(ctx, tx, row, store.ActApplied); err != nil {
			return err
		}
		if proven, err := s.reliedOn(ctx, tx, &row, m, person); err != nil || proven {
			return err
		}
		mail, err = s.enqueue(tx, row, m, a.Client)
		return err
	})
	if err != nil {
		return Order{}, "", limited(err)
	}
	order := s.public(row)
	if mail == nil {
		return order, secret, nil
	}
	if order.Mail, err = s.try(ctx, mail); err != nil {
		return Order{}, "", err
	}
	return order, secret, nil
}

// reliedOn makes a new order proven by an earlier proof of the person who holds
// its mailbox, if there is one.
func (s *Service) reliedOn(ctx context.Context, tx *store.Tx, row *store.Order, m mailbox.Mailbox, person string) (bool, error) {
	if person == "" {
		return false, nil
	}
	holder, err := tx.HolderOf(m.Key())
	if errors.Is(err, store.ErrNotFound) || err == nil && holder.ID != person {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	row.PersonID = person
	rest, err := s.o.Validation.Rely(tx, *row, []mailbox.Mailbox{m})
	if err != nil || len(rest) > 0 {
		row.PersonID = ""
		return false, err
	}
	row.State, row.WaitingFor = string(StateProven), string(WaitingPerson)
	if err := tx.OrderProven(row.ID, person, row.Expires); err != nil {
		return false, err
	}
	return true, s.record(ctx, tx, *row, store.ActProven)
}

// Resend mails a new code for an order that nothing was proven for yet; the
// one before it is void from then on.
func (s *Service) Resend(ctx context.Context, orderID, secret string) (Order, error) {
	var row store.Order
	var mail *mailqueue.Urgent
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if row, err = s.authorized(tx, orderID, secret, StateApplied); err != nil {
			return err
		}
		if row.WaitingFor == string(WaitingApproval) {
			return fmt.Errorf("%w: it waits for approval", ErrState)
		}
		rest, err := s.unproven(tx, row)
		if err != nil {
			return err
		}
		if len(rest) == 0 {
			return fmt.Errorf("%w: its mailboxes are proven", ErrState)
		}
		m := rest[0]
		if expires := s.now().Add(OrderLife); expires.After(row.Expires) {
			row.Expires = expires
		}
		if err := tx.ExtendOrder(row.ID, row.Expires); err != nil {
			return err
		}
		mail, err = s.enqueue(tx, row, m, "")
		return err
	})
	if err != nil {
		return Order{}, limited(err)
	}
	order := s.public(row)
	if order.Mail, err = s.try(ctx, mail); err != nil {
		return Order{}, err
	}
	return order, nil
}

// Prove takes the code that was mailed. It counts only from the session that
// asked, once, within a day; too many wrong ones refuse the order.
func (s *Service) Prove(ctx context.Context, orderID, secret, code string) (Order, error) {
	var row store.Order
	var refusal error // told after the transaction, which keeps the count
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if row, err = s.authorized(tx, orderID, secret, StateApplied); err != nil {
			return err
		}
		outcome, err := s.o.Validation.Answer(tx, row, code)
		if err != nil {
			return err
		}
		refusal, err = s.conclude(ctx, tx, &row, outcome)
		return err
	})
	switch {
	case errors.Is(err, validation.ErrNotACode):
		return Order{}, ErrNotACode
	case errors.Is(err, store.ErrConflict): // somebody else was faster
		return Order{}, ErrState
	}
	if err == nil {
		err = refusal
	}
	if err != nil {
		return Order{}, err
	}
	s.o.Log.Info("mailbox proven", "order", row.ID)
	return s.public(row), nil
}

// conclude writes down what an entered code means for the order.
func (s *Service) conclude(ctx context.Context, tx *store.Tx, row *store.Order, outcome validation.Outcome) (refusal, err error) {
	switch outcome {
	case validation.Right:
		if row.OrganizationID != "" {
			return nil, s.mailboxProven(ctx, tx, row)
		}
		row.State, row.Expires, row.WaitingFor = string(StateProven), s.now().Add(OrderLife), string(WaitingPerson)
		if row.PersonID, err = s.person(tx, *row); err != nil {
			return nil, err
		}
		if err := tx.OrderProven(row.ID, row.PersonID, row.Expires); err != nil {
			return nil, err
		}
		return nil, s.record(ctx, tx, *row, store.ActProven)
	case validation.Void:
		s.o.Log.Warn("order refused: too many wrong codes", "order", row.ID)
		if err := tx.OrderRefused(row.ID, "too many wrong codes"); err != nil {
			return nil, err
		}
		return ErrWrongCode, s.record(ctx, tx, *row, store.ActDenied)
	case validation.Wrong:
		return ErrWrongCode, nil
	}
	return fmt.Errorf("%w: the code has expired", ErrState), nil
}

// record enters that an order came to a state. Who acts is the session that
// asked for it: nobody else can.
func (s *Service) record(ctx context.Context, tx *store.Tx, row store.Order, act string) error {
	return audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: "order:" + row.ID, Act: act, Object: row.ID})
}

// mailboxProven moves an organization's order on when its last mailbox is proven.
// Who proved one holds it from now on.
func (s *Service) mailboxProven(ctx context.Context, tx *store.Tx, row *store.Order) error {
	rest, err := s.unproven(tx, *row)
	if err != nil {
		return err
	}
	for _, address := range row.Addresses {
		m, err := mailbox.Parse(address)
		if err != nil {
			return err
		}
		holder, err := tx.HolderOf(m.Key())
		if slices.ContainsFunc(rest, m.Equal) || err == nil && holder.ID == row.PersonID {
			continue
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.ReleaseMailbox(m.Key(), s.now()); err != nil {
			return err
		}
		if err := tx.HoldMailbox(m.Key(), address, row.PersonID, s.now()); err != nil {
			return err
		}
	}
	if len(rest) > 0 || row.WaitingFor != string(WaitingMailbox) {
		return nil
	}
	row.State, row.WaitingFor = string(StateProven), string(WaitingPerson)
	if err := tx.OrderProven(row.ID, row.PersonID, row.Expires); err != nil {
		return err
	}
	return s.record(ctx, tx, *row, store.ActProven)
}

// person finds or makes the account of whoever holds the mailbox. Only after
// the proof: an application alone changes nobody's name, and what an organization
// says of its people stays as it said.
func (s *Service) person(tx *store.Tx, row store.Order) (string, error) {
	m, err := mailbox.Parse(row.Addresses[0])
	if err != nil {
		return "", err
	}
	holder, err := tx.HolderOf(m.Key())
	if err == nil {
		in, err := tx.MembershipsOf(holder.ID)
		if err != nil || len(in) > 0 {
			return holder.ID, err
		}
		if row.Name == "" {
			row.Name = holder.Name
		}
		return holder.ID, tx.RenamePerson(holder.ID, row.Name, row.Language)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	id, err := s.random(16)
	if err != nil {
		return "", err
	}
	p := store.Person{ID: encodeID(id), Name: row.Name, Language: row.Language, Created: s.now()}
	if err := tx.InsertPerson(p); err != nil {
		return "", err
	}
	return p.ID, tx.HoldMailbox(m.Key(), m.String(), p.ID, p.Created)
}

// Order shows an order to the session that asked for it.
func (s *Service) Order(ctx context.Context, orderID, secret string) (Order, error) {
	var order Order
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := s.own(tx, orderID, secret)
		if err != nil {
			return err
		}
		order = s.public(row)
		if order.TriesLeft, err = s.o.Validation.TriesLeft(tx, row); err != nil {
			return err
		}
		order.Mail, err = mailqueue.Last(tx, mailKind, row.ID)
		return err
	})
	if err != nil {
		return Order{}, err
	}
	return order, nil
}

// own reads an order for the session whose secret it is.
func (s *Service) own(tx *store.Tx, orderID, secret string) (store.Order, error) {
	row, err := tx.Order(orderID)
	if errors.Is(err, store.ErrNotFound) {
		return store.Order{}, ErrNotFound
	}
	if err != nil {
		return store.Order{}, err
	}
	if !opens(row, secret) {
		return store.Order{}, ErrNotFound
	}
	return row, nil
}

// opens tells whether it is the secret of the session that asked for the order.
func opens(row store.Order, secret string) bool {
	return subtle.ConstantTimeCompare(row.SecretHash, hashSecret(secret)) == 1
}

// authorized is the one door to every change of an order: it lets in the
// session that asked, in the state that the step needs, in time. Whatever is
// not named is refused.
func (s *Service) authorized(tx *store.Tx, orderID, secret string, needs ...State) (store.Order, error) {
	row, err := s.own(tx, orderID, secret)
	if err != nil {
		return store.Order{}, err
	}
	state := s.state(row)
	for _, allowed := range needs {
		if state == allowed {
			return row, nil
		}
	}
	return store.Order{}, fmt.Errorf("%w: it is %s", ErrState, state)
}

// state is the stored one, or expired.
func (s *Service) state(row store.Order) State {
	state := State(row.State)
	if (state == StateApplied || state == StateProven) && !s.now().Before(row.Expires) {
		return StateExpired
	}
	return state
}

func (s *Service) public(row store.Order) Order {
	o := Order{
		ID: row.ID, State: s.state(row), Addresses: row.Addresses, Name: row.Name, Language: row.Language,
		Created: row.Created, Expires: row.Expires, Reason: row.Reason,
		Organization: row.OrganizationID, Person: row.PersonID, Kind: OrderKind(row.Kind), Profile: row.Profile, Issuer: row.Issuer, Use: row.Use,
		RequestedBy: row.RequestedBy, ApprovedBy: row.ApprovedBy, Approved: row.Approved, WaitingFor: WaitingFor(row.WaitingFor), Replaces: row.Replaces,
	}
	if len(row.Addresses) > 0 {
		o.Email = row.Addresses[0]
	}
	if o.State != StateApplied && o.State != StateProven {
		o.WaitingFor = WaitingNobody
	}
	return o
}

// mailbox takes what can be mailed to and certified: one address in plain
// form, the same bytes in SMTP and in the certificate. What mail software is
// known to rewrite on the way (quotes, encoded words) is refused even where
// the grammar allows it.
func (s *Service) mailbox(typed string) (mailbox.Mailbox, error) {
	typed = strings.Trim(typed, " \t\r\n\u3000")
	m, err := mailbox.Parse(typed)
	switch {
	case err != nil:
		return m, fmt.Errorf("%w: %w", ErrAddress, err)
	case strings.Contains(typed, `"`) || strings.Contains(typed, "=?"):
		return m, fmt.Errorf("%w: addresses with quotes or encoded words are read in more than one way", ErrAddress)
	case !m.ASCII() && !s.o.UTF8:
		return m, fmt.Errorf("%w: only ASCII before the at sign", ErrAddress)
	}
	return m, nil
}

func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > MaxName {
		return "", fmt.Errorf("%w: at most %d characters of UTF-8", ErrName, MaxName)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) && r != '\u3000' || unicode.In(r, unicode.Bidi_Control) {
			return "", fmt.Errorf("%w: it has characters that cannot be seen", ErrName)
		}
	}
	return name, nil
}

func language(l string) string {
	if l == "ja" {
		return "ja"
	}
	return "en"
}

func limited(err error) error {
	if limit, ok := errors.AsType[*validation.LimitError](err); ok {
		return &TooManyError{Retry: limit.Retry}
	}
	return err
}

func (s *Service) now() time.Time { return s.o.Clock().UTC().Truncate(time.Second) }

func (s *Service) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.o.Rand, b); err != nil {
		return nil, fmt.Errorf("registration: randomness: %w", err)
	}
	return b, nil
}

func encodeID(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte("order " + secret))
	return sum[:]
}
