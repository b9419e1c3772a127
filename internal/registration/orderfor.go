package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// OrderKind is how an order came to be.
type OrderKind string

// The kinds.
const (
	OrderSelf         OrderKind = "self"         // a person asked for themselves
	OrderOrganization OrderKind = "organization" // an organization, for one of its people
	OrderRenewal      OrderKind = "renewal"      // in place of a certificate that is about to end
)

// WaitingFor says whose turn it is with an open order.
type WaitingFor string

// Those who may be waited for.
const (
	WaitingNobody   WaitingFor = ""
	WaitingMailbox  WaitingFor = "mailbox"  // the code that was, or will be, mailed
	WaitingApproval WaitingFor = "approval" // somebody other than who asked
	WaitingPerson   WaitingFor = "person"   // a key
	WaitingIssuer   WaitingFor = "issuer"   // the certificate, from an authority outside
)

// OrderRequest says what to order for a person of an organization.
type OrderRequest struct {
	Kind        string          // basic, iv, ov, iv-ov; empty: as the settings say
	Use         issuance.KeyUse // empty: dual, or both of a pair, as the settings say
	Addresses   []string        // some of the person's; none: all of them
	Replaces    string          // the certificate that this one is to replace
	RequestedBy string          // for whom a part of the server orders, as the audit log names them
}

// orderForLife is how long an organization's order stays open.
const orderForLife = 60 * 24 * time.Hour

// OrderFor orders for one person. Where the settings ask for a pair and the
// request does not say which of them, it answers with the one to sign; the other
// one is there as well.
func (s *Service) OrderFor(ctx context.Context, actor auth.Actor, organization, person string, r OrderRequest) (Order, error) {
	outcomes, err := s.OrdersFor(ctx, actor, organization, []string{person}, r)
	if err != nil {
		return Order{}, err
	}
	return outcomes[0].Order, outcomes[0].Err
}

// Outcome is what became of one of several orders.
type Outcome struct {
	Person string
	Order  Order
	Err    error
}

// OrdersFor orders for many people of an organization. What is wrong with one of
// them keeps out that one alone. Outcomes are in the order of the people; a pair
// has two.
func (s *Service) OrdersFor(ctx context.Context, actor auth.Actor, organization string, people []string, r OrderRequest) (list []Outcome, err error) {
	if !administers(actor, organization) && !ours(actor) {
		return nil, ErrForbidden
	}
	if r.RequestedBy != "" && !ours(actor) {
		return nil, ErrForbidden
	}
	for part := range slices.Chunk(people, peopleAtOnce) {
		var outcomes []Outcome
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			outcomes = nil
			b, err := s.orderBook(tx, actor, organization, r)
			if err != nil {
				return err
			}
			for _, person := range part {
				for _, use := range b.uses {
					o, err := b.order(ctx, person, use)
					if err != nil && !errors.Is(err, ErrInput) && !errors.Is(err, ErrForbidden) {
						return err
					}
					outcomes = append(outcomes, Outcome{person, o, err})
				}
			}
			return nil
		})
		if err != nil {
			return list, err
		}
		list = append(list, outcomes...)
	}
	return list, nil
}

// orderBook is where orders of one kind are written, in a transaction.
type orderBook struct {
	*desk
	actor    auth.Actor
	r        OrderRequest
	by       string
	renewal  bool
	uses     []issuance.KeyUse
	profiles map[issuance.KeyUse]*issuance.Profile
}

func (s *Service) orderBook(tx *store.Tx, actor auth.Actor, organization string, r OrderRequest) (*orderBook, error) {
	d, err := s.desk(tx, organization)
	if err != nil {
		return nil, err
	}
	b := &orderBook{desk: d, actor: actor, r: r, by: r.RequestedBy, profiles: map[issuance.KeyUse]*issuance.Profile{}}
	if b.by == "" {
		b.by = whose(actor)
	}
	if d.settings.Approval && b.by == auth.Console().String() {
		// Nobody knows who sits at the console: whoever asks there could approve with an
		// account of their own.
		return nil, wrong("order", "input.order.console")
	}
	if b.r.Kind == "" {
		b.r.Kind = d.settings.Kind
	}
	b.renewal = actor.Kind == auth.KindServer && actor.ID == PartRenewal
	if b.renewal && (!d.settings.Renew || r.Replaces == "") {
		return nil, wrong("replaces", "input.renew")
	}
	b.uses = d.settings.Uses()
	if r.Use != "" {
		if d.settings.Split != (r.Use != issuance.Dual) {
			return nil, wrong("use", "input.use", string(r.Use))
		}
		b.uses = []issuance.KeyUse{r.Use}
	}
	for _, use := range b.uses {
		p, err := s.profileFor(d.settings, b.r.Kind, use)
		if err != nil {
			return nil, err
		}
		if err := tx.InsertProfile(p.Hash(), string(p.Text()), s.now()); err != nil {
			return nil, err
		}
		b.profiles[use] = p
	}
	return b, nil
}

// profileFor is a profile of the catalog with what the settings choose.
func (s *Service) profileFor(settings Settings, kind string, use issuance.KeyUse) (*issuance.Profile, error) {
	name := kind
	if settings.Generation == string(issuance.Strict) {
		name += "-strict"
	}
	if use != issuance.Dual {
		name += "-" + string(use)
	}
	c, ok := issuance.StandardProfile(s.o.Issuer.PolicyArc(), name)
	if !ok {
		return nil, wrong("kind", "input.choice", kind, []string{KindBasic, KindIV, KindOV, KindIVOV})
	}
	c.ValidityDays = settings.Validity
	c.Algorithms = []issuance.Algorithm{keyChoices[settings.Algorithm].algorithm}
	return issuance.NewProfile(c)
}

// order writes one order, with all that is known already.
func (b *orderBook) order(ctx context.Context, person string, use issuance.KeyUse) (Order, error) {
	m, err := b.tx.Member(b.row.ID, person)
	if err != nil {
		return Order{}, hidden(err)
	}
	if !m.Until.IsZero() {
		return Order{}, wrong("person", "input.left")
	}
	addresses, mailboxes, err := b.addresses(m)
	if err != nil {
		return Order{}, err
	}
	profile := b.profiles[use]
	if b.settings.Issuer == IssuerLocal {
		if err := b.s.o.Issuer.Serves(profile, mailboxes); err != nil {
			return Order{}, wrong("addresses", "input.serves", err.Error())
		}
	}
	if err := b.replaced(person, use); err != nil {
		return Order{}, err
	}
	subject, err := b.s.o.Validation.SubjectFor(b.tx, profile.Type(), b.row.ID, person, b.settings.Names == NamesLocal)
	if errors.Is(err, validation.ErrIdentity) {
		return Order{}, wrong("kind", "input.identity", strings.TrimPrefix(err.Error(), validation.ErrIdentity.Error()+": "))
	}
	if err != nil {
		return Order{}, err
	}
	row := store.Order{
		State: string(StateApplied), Name: m.Name, Language: m.Language, SecretHash: []byte{}, PersonID: person, ProfileHash: profile.Hash(),
		Created: b.s.now(), Expires: b.s.now().Add(orderForLife), Addresses: addresses, OrganizationID: b.row.ID,
		Kind: string(OrderOrganization), Profile: profile.Name(), Issuer: b.settings.Issuer, Names: subject.Text(), Use: string(use),
		RequestedBy: b.by, WaitingFor: string(WaitingMailbox), Replaces: b.r.Replaces,
	}
	if b.r.Replaces != "" {
		row.Kind = string(OrderRenewal)
	}
	if row.ID, err = b.s.newID(); err != nil {
		return Order{}, err
	}
	if b.settings.Approval && !b.renewal {
		row.WaitingFor = string(WaitingApproval)
	}
	if err := b.tx.InsertOrder(row); err != nil {
		return Order{}, err
	}
	if err := b.s.act(ctx, b.tx, b.actor, store.ActApplied, row.ID, b.details()); err != nil {
		return Order{}, err
	}
	rest, err := b.s.o.Validation.Rely(b.tx, row, mailboxes)
	if err != nil {
		return Order{}, err
	}
	if row.WaitingFor == string(WaitingMailbox) && len(rest) == 0 {
		if err := b.s.proven(ctx, b.tx, b.actor, &row); err != nil {
			return Order{}, err
		}
	}
	return b.s.public(row), nil
}

func (b *orderBook) details() map[string]string {
	details := map[string]string{"organization": b.row.ID}
	if b.by != b.actor.String() {
		details["for"] = b.by
	}
	return details
}

// addresses are those of the member, or the ones that were asked for.
func (b *orderBook) addresses(m store.Member) (list []string, mailboxes []mailbox.Mailbox, err error) {
	if list = m.Addresses; len(b.r.Addresses) > 0 {
		list = nil
		for _, address := range b.r.Addresses {
			asked, err := b.s.mailbox(address)
			if err != nil || !slices.Contains(m.Addresses, asked.String()) || slices.Contains(list, asked.String()) {
				return nil, nil, wrong("addresses", "input.address.other", address)
			}
			list = append(list, asked.String())
		}
	}
	for _, address := range list {
		m, err := mailbox.Parse(address)
		if err != nil {
			return nil, nil, err
		}
		mailboxes = append(mailboxes, m)
	}
	if len(list) == 0 {
		return nil, nil, wrong("addresses", "input.required")
	}
	return list, mailboxes, nil
}

// replaced: what is replaced is the same person's, and nobody is about to replace
// it already.
func (b *orderBook) replaced(person string, use issuance.KeyUse) error {
	if b.r.Replaces == "" {
		return nil
	}
	h, err := b.tx.Holding(b.row.ID, b.r.Replaces)
	if errors.Is(err, store.ErrNotFound) || err == nil && h.PersonID != person {
		return wrong("replaces", "input.replaces")
	}
	if err != nil {
		return err
	}
	if strings.HasPrefix(b.by, string(auth.KindPerson)+":") && !h.Revoked.IsZero() && slices.Contains(takenBack, cert.Reason(h.RevokedFor)) {
		return wrong("replaces", "input.replaces.taken")
	}
	open, err := b.s.openOrders(b.tx, b.row.ID, person)
	if err == nil && slices.ContainsFunc(open, func(o Order) bool { return o.Replaces == b.r.Replaces && o.Use == string(use) }) {
		return wrong("replaces", "input.replaces.open")
	}
	return err
}

// takenBack are the reasons for which an organization revokes what its people are
// not to have any more: they do not replace it by themselves.
var takenBack = []cert.Reason{cert.AffiliationChanged, cert.PrivilegeWithdrawn}

// proven moves an order on for which all is proven and nobody is to be asked.
func (s *Service) proven(ctx context.Context, tx *store.Tx, actor auth.Actor, row *store.Order) error {
	row.State, row.WaitingFor = string(StateProven), string(WaitingPerson)
	if err := tx.OrderProven(row.ID, row.PersonID, row.Expires); err != nil {
		return err
	}
	return s.act(ctx, tx, actor, store.ActProven, row.ID, nil)
}

// unproven lists the mailboxes of an order that no valid proof is there for.
func (s *Service) unproven(tx *store.Tx, row store.Order) (rest []mailbox.Mailbox, err error) {
	proofs, err := tx.Proofs(row.ID)
	if err != nil {
		return nil, err
	}
	for _, address := range row.Addresses {
		if slices.ContainsFunc(proofs, func(p store.Proof) bool { return p.Address == address && s.now().Before(p.Expires) }) {
			continue
		}
		m, err := mailbox.Parse(address)
		if err != nil {
			return nil, err
		}
		rest = append(rest, m)
	}
	return rest, nil
}

// ApproveOrders lets orders go on that wait for approval: for each, by somebody
// other than who asked for it. Where an organization no longer asks for approval,
// its administrator may let all of them go on. It is grave: at a screen that was
// left open nobody approves what they asked for themselves.
func (s *Service) ApproveOrders(ctx context.Context, actor auth.Actor, organization string, ids []string) ([]Outcome, error) {
	if !approves(actor, organization) {
		return nil, ErrForbidden
	}
	if err := actor.Again(); err != nil {
		return nil, err
	}
	return s.decide(ctx, organization, ids, func(tx *store.Tx, o Organization, row *store.Order) error {
		return s.approve(ctx, tx, actor, o, row)
	})
}

// oneself tells whether an account is the person who asked: somebody who has an
// account and certificates has one mailbox for both, and is one pair of eyes.
func oneself(tx *store.Tx, actor auth.Actor, requester string) (bool, error) {
	person, is := strings.CutPrefix(requester, string(auth.KindPerson)+":")
	if !is || actor.Kind != auth.KindAccount {
		return false, nil
	}
	a, err := tx.Administrator(actor.ID)
	if err != nil {
		return false, err
	}
	held, err := tx.MailboxesOf(person)
	return slices.ContainsFunc(held, func(address string) bool {
		m, err := mailbox.Parse(address)
		return err == nil && m.Key() == a.EmailKey
	}), err
}

func (s *Service) approve(ctx context.Context, tx *store.Tx, actor auth.Actor, o Organization, row *store.Order) error {
	by := whose(actor)
	own := row.RequestedBy == by
	if !own && o.Settings.Approval {
		var err error
		if own, err = oneself(tx, actor, row.RequestedBy); err != nil {
			return err
		}
	}
	switch {
	case s.state(*row) != StateApplied || row.WaitingFor != string(WaitingApproval):
		return fmt.Errorf("%w: it does not wait for approval", ErrState)
	case o.Standing != StandingActive:
		return wrong("organization", "input.organization."+string(o.Standing))
	case o.Settings.Approval && actor.Kind == auth.KindToken: // it takes a person each time (auth.Actor)
		return ErrForbidden
	case o.Settings.Approval && console(actor):
		return wrong("order", "input.order.console")
	case o.Settings.Approval && own:
		return wrong("order", "input.approve.own")
	case o.Settings.Approval:
		if err := tx.OrderApproved(row.ID, by, s.now()); err != nil {
			return conflicting(err, ErrState)
		}
		row.ApprovedBy = by
		if err := s.act(ctx, tx, actor, store.ActApproved, row.ID, nil); err != nil {
			return err
		}
	case !administers(actor, o.ID):
		return ErrForbidden
	}
	rest, err := s.unproven(tx, *row)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return s.proven(ctx, tx, actor, row)
	}
	row.WaitingFor = string(WaitingMailbox)
	return tx.OrderWaits(row.ID, row.WaitingFor)
}

// maxReasonText bounds what is said about a refusal.
const maxReasonText = 300

// RefuseOrders ends open orders of an organization, with a reason.
func (s *Service) RefuseOrders(ctx context.Context, actor auth.Actor, organization string, ids []string, reason string) ([]Outcome, error) {
	if !approves(actor, organization) && !(ours(actor) && organization != "") {
		return nil, ErrForbidden
	}
	if err := cleanText("reason", &reason, maxReasonText); err != nil {
		return nil, err
	}
	if reason == "" {
		return nil, wrong("reason", "input.required")
	}
	return s.decide(ctx, organization, ids, func(tx *store.Tx, _ Organization, row *store.Order) error {
		if err := s.refuse(ctx, tx, actor, row.ID, reason); err != nil {
			return err
		}
		row.State, row.Reason, row.WaitingFor = string(StateRefused), reason, ""
		return nil
	})
}

func (s *Service) refuse(ctx context.Context, tx *store.Tx, actor auth.Actor, id, reason string) error {
	if err := tx.OrderRefused(id, reason); err != nil {
		return conflicting(err, ErrState)
	}
	return s.act(ctx, tx, actor, store.ActDenied, id, nil)
}

// decide does the same to many orders of an organization, each by itself.
func (s *Service) decide(ctx context.Context, organization string, ids []string, each func(*store.Tx, Organization, *store.Order) error) (list []Outcome, err error) {
	for part := range slices.Chunk(ids, peopleAtOnce) {
		var outcomes []Outcome
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			outcomes = nil
			org, err := tx.Organization(organization)
			if err != nil {
				return hidden(err)
			}
			o, err := organizationOf(tx, org)
			if err != nil {
				return err
			}
			for _, id := range part {
				row, err := tx.Order(id)
				if err == nil && row.OrganizationID != organization {
					err = store.ErrNotFound
				}
				if err == nil {
					err = each(tx, o, &row)
				}
				err = hidden(err)
				if err != nil && !errors.Is(err, ErrInput) && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrState) {
					return err
				}
				outcomes = append(outcomes, Outcome{row.PersonID, s.public(row), err})
			}
			return nil
		})
		if err != nil {
			return list, err
		}
		list = append(list, outcomes...)
	}
	return list, nil
}

// OrderQuery says which orders of an organization are wanted. What is empty does
// not narrow.
type OrderQuery struct {
	State      State
	WaitingFor WaitingFor
	Person     string
	Kind       OrderKind
}

// Orders lists an organization's orders, the newest first.
func (s *Service) Orders(ctx context.Context, actor auth.Actor, organization string, q OrderQuery, page Page) (list []Order, next string, err error) {
	if !reads(actor, organization) {
		return nil, "", ErrForbidden
	}
	at, id, err := readPlace(page.After)
	if err != nil {
		return nil, "", err
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Orders(store.OrderQuery{
			OrganizationID: organization, State: string(q.State), WaitingFor: string(q.WaitingFor), PersonID: q.Person, Kind: string(q.Kind), Now: s.now(),
			Before: at, BeforeID: id, Limit: page.limit() + 1,
		})
		if err != nil {
			return err
		}
		if len(rows) > page.limit() {
			rows = rows[:page.limit()]
			last := rows[len(rows)-1]
			next = writePlace(last.Created, last.ID)
		}
		for _, row := range rows {
			list = append(list, s.public(row))
		}
		return nil
	})
	return list, next, err
}

// OrderOf shows one order of an organization, or one of the person who is signed
// in.
func (s *Service) OrderOf(ctx context.Context, actor auth.Actor, id string) (order Order, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Order(id)
		if err != nil {
			return hidden(err)
		}
		if !reads(actor, row.OrganizationID) && !own(actor, row) {
			return ErrForbidden
		}
		order = s.public(row)
		order.Mail, err = mailqueue.Last(tx, mailKind, row.ID)
		return err
	})
	return order, err
}

// own tells whether the order is that of the person who is signed in.
func own(actor auth.Actor, row store.Order) bool {
	return actor.Kind == auth.KindPerson && actor.ID != "" && actor.ID == row.PersonID
}

// openOrders lists a person's orders that may still become certificates.
func (s *Service) openOrders(tx *store.Tx, organization, person string) (list []Order, err error) {
	const most = 200
	rows, err := tx.Orders(store.OrderQuery{OrganizationID: organization, PersonID: person, State: "open", Now: s.now(), Limit: most})
	for _, row := range rows {
		list = append(list, s.public(row))
	}
	return list, err
}

// OpenOrder lets a session in that goes on with an open order of an organization:
// that of the person it is for, or one that the server made sure of, such as by
// an invitation. The secret is the session's from now on, and nobody else's.
func (s *Service) OpenOrder(ctx context.Context, actor auth.Actor, id string) (order Order, secret string, err error) {
	token, err := s.random(32)
	if err != nil {
		return order, "", err
	}
	secret = encodeID(token)
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Order(id)
		if err != nil {
			return hidden(err)
		}
		if !own(actor, row) && !(ours(actor) && row.OrganizationID != "") {
			return ErrForbidden
		}
		if state := s.state(row); state != StateApplied && state != StateProven {
			return fmt.Errorf("%w: it is %s", ErrState, state)
		}
		order = s.public(row)
		return tx.SetOrderSecret(id, hashSecret(secret))
	})
	return order, secret, err
}
