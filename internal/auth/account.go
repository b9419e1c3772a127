package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// InvitationLife is how long an invitation waits.
const InvitationLife = 7 * 24 * time.Hour

// ErrInvitation: no such invitation, or it has ended, or it is somebody else's.
var ErrInvitation = errors.New("auth: no such invitation")

// Invitation is an invitation to a role that nobody has accepted yet.
type Invitation struct {
	ID      string
	Email   string
	Grant   Grant
	Created time.Time
	Expires time.Time
}

// AccountInfo is an account as those see it who give roles.
type AccountInfo struct {
	Account
	Grants       []Grant
	Password     bool
	TOTP         bool
	Passkeys     int
	Certificates int
	Seen         time.Time // of the newest session; zero: none is open
}

// mayGrant tells whether an actor may give a role and take it back. Those of the
// authority are an operator's to give, those of an organization its
// administrator's; where it has none, an operator appoints one. A program gives
// no roles, and an auditor has none to give.
func mayGrant(tx *store.Tx, by Actor, g Grant) error {
	if by.Kind != KindAccount && by.Kind != KindServer {
		return ErrForbidden
	}
	if !g.Role.OfOrganization() {
		if by.Has(Operator, "") {
			return nil
		}
		return ErrForbidden
	}
	if by.Has(Administrator, g.Organization) {
		return nil
	}
	if g.Role != Administrator || !by.Has(Operator, "") {
		return ErrForbidden
	}
	n, err := tx.CountRole(string(Administrator), g.Organization)
	if err == nil && n > 0 {
		return ErrForbidden
	}
	return err
}

// mayGrantNow is mayGrant for who is there now: it is grave.
func mayGrantNow(tx *store.Tx, by Actor, g Grant) error {
	if err := mayGrant(tx, by, g); err != nil {
		return err
	}
	return by.Again()
}

// Accounts lists those of an organization, or all of them when it is empty.
func (s *Service) Accounts(ctx context.Context, by Actor, organization string) ([]AccountInfo, error) {
	if !mayList(by, organization) {
		return nil, ErrForbidden
	}
	var list []AccountInfo
	err := s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Accounts(organization)
		if err != nil {
			return err
		}
		for _, r := range rows {
			a := AccountInfo{
				Account: account(r.Administrator), Password: r.HasPassword, TOTP: r.HasTOTP,
				Passkeys: r.Passkeys, Certificates: r.Certificates, Seen: r.Seen,
			}
			if a.Grants, err = grants(tx, r.ID); err != nil {
				return err
			}
			if organization != "" { // what they do elsewhere is not for these eyes
				a.Grants = within(a.Grants, organization)
			}
			list = append(list, a)
		}
		return nil
	})
	return list, err
}

func mayList(by Actor, organization string) bool {
	if by.Has(Operator, "") || by.Has(Auditor, "") {
		return true
	}
	return organization != "" && by.MayRead(organization)
}

func within(list []Grant, organization string) []Grant {
	var kept []Grant
	for _, g := range list {
		if g.Organization == organization {
			kept = append(kept, g)
		}
	}
	return kept
}

// Invitations lists those to roles in an organization, or of the authority when
// it is empty, that wait to be accepted.
func (s *Service) Invitations(ctx context.Context, by Actor, organization string) ([]Invitation, error) {
	if !mayList(by, organization) {
		return nil, ErrForbidden
	}
	var list []Invitation
	err := s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Invitations(organization, s.clock())
		for _, r := range rows {
			list = append(list, invitation(r))
		}
		return err
	})
	return list, err
}

func invitation(r store.Invitation) Invitation {
	return Invitation{ID: r.ID, Email: r.Email, Grant: Grant{Role(r.Role), r.OrganizationID}, Created: r.Created, Expires: r.Expires}
}

// Invite asks somebody by mail to take a role. Whether there is an account for
// the address is not told: who has one accepts with it. [WaitsError]: the mail
// leaves when a second member has confirmed it.
func (s *Service) Invite(ctx context.Context, by Actor, email, language string, g Grant) (Invitation, error) {
	if err := g.check(); err != nil {
		return Invitation{}, err
	}
	m, err := mailbox.Parse(strings.TrimSpace(email))
	if err != nil {
		return Invitation{}, fmt.Errorf("%w: %w", ErrEmail, err)
	}
	var row store.Invitation
	var waits *WaitsError
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		waits = nil
		if err := mayGrantNow(tx, by, g); err != nil {
			return err
		}
		if err := s.admit(tx, "invitations of "+by.String(), time.Hour, InvitationsPerHour); err != nil {
			return err
		}
		if err := s.admit(tx, "invitations to "+m.Key(), time.Hour, InvitationsToOne); err != nil {
			return err
		}
		watched, err := s.watched(tx, by, g)
		if err != nil {
			return err
		}
		if watched {
			waits, err = s.ask(ctx, tx, by, store.PendingChange{
				OrganizationID: g.Organization, Kind: string(InviteMember), Role: string(g.Role), Email: m.String(), Language: language,
			})
			return err
		}
		row, err = s.sendInvitation(ctx, tx, by, m, language, g, false)
		return err
	})
	return invitation(row), waiting(err, waits)
}

// waiting is the error of a change of which a part waits.
func waiting(err error, waits *WaitsError) error {
	if err == nil && waits != nil {
		return waits
	}
	return err
}

// sendInvitation writes an invitation and has it mailed; confirmed: by a second member.
func (s *Service) sendInvitation(ctx context.Context, tx *store.Tx, by Actor, m mailbox.Mailbox, language string, g Grant, confirmed bool) (row store.Invitation, err error) {
	id, err := s.newID()
	if err != nil {
		return row, err
	}
	now := s.clock().UTC().Truncate(time.Second)
	row = store.Invitation{
		ID: id, Email: m.String(), EmailKey: m.Key(), Role: string(g.Role), OrganizationID: g.Organization, Language: language,
		InvitedBy: by.String(), Created: now, Expires: now.Add(InvitationLife), Confirmed: confirmed,
	}
	if err := tx.InsertInvitation(row); err != nil {
		return row, err
	}
	if err := recordRole(ctx, tx, by, store.ActInvited, id, g, now); err != nil {
		return row, err
	}
	return row, s.queue.Enqueue(tx, Letter{Kind: MailInvitation, About: id, To: m, Data: []byte(id)})
}

// Uninvite takes an invitation back.
func (s *Service) Uninvite(ctx context.Context, by Actor, id string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Invitation(id)
		if errors.Is(err, store.ErrNotFound) {
			return ErrForbidden
		}
		if err != nil {
			return err
		}
		g := Grant{Role(row.Role), row.OrganizationID}
		if err := mayGrant(tx, by, g); err != nil {
			return err
		}
		if err := tx.TakeInvitation(id); err != nil {
			return err
		}
		return recordRole(ctx, tx, by, audit.ActUninvited, id, g, s.clock())
	})
}

// Invited reads the invitation of a mailed code, and whether its address has an
// account already, which then has to be signed in to accept.
func (s *Service) Invited(ctx context.Context, client, code string) (i Invitation, known bool, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
			return err
		}
		row, err := s.invited(tx, code)
		if err != nil {
			return err
		}
		i = invitation(row)
		a, err := tx.AdministratorByEmail(row.EmailKey)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		known, err = signsIn(tx, a.ID)
		return err
	})
	return i, known, err
}

// signsIn tells whether there is anything that signs an account in: not so after
// [Service.Reset].
func signsIn(tx *store.Tx, id string) (bool, error) {
	f, err := factors(tx, id)
	return f.Password || f.any() || f.OpenID > 0, err
}

// heldBy is the account that an invitation makes or gives back: one of its
// address that nothing signs in, or a new one with the id of the invitation.
func heldBy(tx *store.Tx, row store.Invitation) (a store.Administrator, isNew bool, err error) {
	a, err = tx.AdministratorByEmail(row.EmailKey)
	if errors.Is(err, store.ErrNotFound) {
		return store.Administrator{ID: row.ID, Email: row.Email, EmailKey: row.EmailKey}, true, nil
	}
	if err != nil {
		return a, false, err
	}
	known, err := signsIn(tx, a.ID)
	if err == nil && known {
		err = ErrInvitation // it has to be signed in
	}
	return a, false, err
}

func (s *Service) invited(tx *store.Tx, code string) (store.Invitation, error) {
	row, err := tx.InvitationByCode(hashSecret("invitation", code), s.clock())
	if errors.Is(err, store.ErrNotFound) {
		return row, ErrInvitation
	}
	return row, err
}

// Accept makes an account with a password for whoever has the mailed code, and
// signs it in.
func (s *Service) Accept(ctx context.Context, client, code, name, password string) (Session, string, error) {
	if err := checkPassword(password); err != nil {
		return Session{}, "", err
	}
	if _, _, err := s.Invited(ctx, client, code); err != nil { // a guess must not cost a hash
		return Session{}, "", err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return Session{}, "", err
	}
	return s.accept(ctx, code, name, hash, byPassword, false, nil)
}

// NewPasskeyInvited gives the browser the options for a passkey of whoever has
// the mailed code, for [Service.AcceptByPasskey].
func (s *Service) NewPasskeyInvited(ctx context.Context, client, code string) (options []byte, err error) {
	if !s.Passkeys() {
		return nil, ErrState
	}
	if _, _, err := s.Invited(ctx, client, code); err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		row, err := s.invited(tx, code)
		if err != nil {
			return err
		}
		a, _, err := heldBy(tx, row)
		if err != nil {
			return err
		}
		// The account's id is fixed by now: the passkey carries it as its handle.
		challenge, err := s.challenge(tx, store.SignInStep{Kind: stepNewPasskey, AdministratorID: a.ID})
		if err != nil {
			return err
		}
		options, err = s.site.Creation(challenge, userOf(account(a)), nil)
		return err
	})
	return options, err
}

// AcceptByPasskey makes an account with a passkey and no password for whoever has
// the mailed code, and signs it in.
func (s *Service) AcceptByPasskey(ctx context.Context, code, name, passkey string, answer []byte) (Session, string, error) {
	return s.accept(ctx, code, name, "", byPasskey, true, func(tx *store.Tx, id string) error {
		step, challenge, err := s.answered(tx, stepNewPasskey, answer)
		if err != nil {
			return err
		}
		if step.AdministratorID != id {
			return ErrPasskey
		}
		return s.keepPasskey(ctx, tx, id, passkey, answer, challenge)
	})
}

// accept makes the account of an invitation, or gives it back, with its role.
func (s *Service) accept(ctx context.Context, code, name, hash, method string, strong bool, more func(*store.Tx, string) error) (Session, string, error) {
	var session Session
	var token string
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		row, err := s.invited(tx, code)
		if err != nil {
			return err
		}
		a, isNew, err := heldBy(tx, row)
		if err != nil {
			return err
		}
		act := audit.ActPassword
		if isNew {
			a.Name, a.Password, a.Created, act = shortName(name), hash, s.clock(), audit.ActAdministrator
			err = tx.InsertAdministrator(a)
		} else {
			err = tx.SetPassword(a.ID, hash)
		}
		if err != nil {
			return err
		}
		if err := s.record(ctx, tx, a.ID, act, ""); err != nil {
			return err
		}
		if more != nil {
			if err := more(tx, a.ID); err != nil {
				return err
			}
		}
		if err := s.takeInvitation(ctx, tx, row, a.ID); err != nil {
			return err
		}
		session, token, err = s.open(ctx, tx, a, method, strong)
		return err
	})
	if err != nil {
		return Session{}, "", err
	}
	return session, token, nil
}

// AcceptAs takes the role of an invitation for the account of a session, whose
// address it must be for. The session is worth more then, and has another token:
// one that somebody saw before is worth nothing.
func (s *Service) AcceptAs(ctx context.Context, token, code string) (Session, string, error) {
	session, err := s.Session(ctx, token)
	if err != nil {
		return Session{}, "", err
	}
	var renewed string
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		invitation, err := s.invited(tx, code)
		if err != nil {
			return err
		}
		a, err := tx.Administrator(session.Account.ID)
		if err != nil {
			return err
		}
		if a.EmailKey != invitation.EmailKey {
			return ErrInvitation
		}
		if err := s.takeInvitation(ctx, tx, invitation, a.ID); err != nil {
			return err
		}
		row, err := tx.AdministratorSession(hashToken(token))
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoSession
		}
		if err != nil {
			return err
		}
		session, renewed, err = s.rename(tx, row)
		return err
	})
	if err != nil {
		return Session{}, "", err
	}
	return session, renewed, nil
}

// takeInvitation ends an invitation with the role given. Whoever invited must
// still be one who may; where two decide by now and one alone has invited, the role
// waits for the second.
func (s *Service) takeInvitation(ctx context.Context, tx *store.Tx, row store.Invitation, account string) error {
	if err := tx.TakeInvitation(row.ID); errors.Is(err, store.ErrConflict) {
		return ErrInvitation
	} else if err != nil {
		return err
	}
	g := Grant{Role(row.Role), row.OrganizationID}
	has, err := grants(tx, account)
	if err != nil || slices.Contains(has, g) {
		return err
	}
	by, err := s.inviter(tx, row.InvitedBy)
	if err != nil {
		return err
	}
	if by.Kind == KindAccount && by.ID == account { // nor by a mail to themselves
		return ErrInvitation
	}
	if err := mayGrant(tx, by, g); errors.Is(err, ErrForbidden) {
		return ErrInvitation
	} else if err != nil {
		return err
	}
	watched, err := s.watched(tx, by, g)
	if err != nil {
		return err
	}
	if watched && !row.Confirmed {
		_, err := s.askForRole(ctx, tx, by, GiveMember, account, g)
		return err
	}
	return GiveRole(ctx, tx, by, account, g, s.clock())
}

// inviter is who invited, with the roles of today.
func (s *Service) inviter(tx *store.Tx, name string) (Actor, error) {
	if name == Console().String() {
		return Console(), nil
	}
	id, _ := strings.CutPrefix(name, string(KindAccount)+":")
	return accountActor(tx, id)
}

// accountActor is an account with the roles of today.
func accountActor(tx *store.Tx, id string) (Actor, error) {
	list, err := grants(tx, id)
	return Actor{Kind: KindAccount, ID: id, Grants: list}, err
}

// GiveRole gives an account a role, which it has from its next sign-in on: no
// session that is open becomes worth more. Nobody gives one to themselves.
// [WaitsError]: when a second member has confirmed it.
func (s *Service) GiveRole(ctx context.Context, by Actor, account string, g Grant) error {
	var waits *WaitsError
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		waits = nil
		if by.Kind == KindAccount && by.ID == account {
			return ErrForbidden
		}
		if err := mayGrantNow(tx, by, g); err != nil {
			return err
		}
		has, err := fits(tx, account, g)
		if err != nil || has {
			return err
		}
		watched, err := s.watched(tx, by, g)
		if err != nil {
			return err
		}
		if watched {
			waits, err = s.askForRole(ctx, tx, by, GiveMember, account, g)
			return err
		}
		return s.give(ctx, tx, by, account, g)
	})
	return waiting(err, waits)
}

func (s *Service) give(ctx context.Context, tx *store.Tx, by Actor, account string, g Grant) error {
	if err := tx.DeleteOtherAdministratorSessions(account, []byte{}); err != nil {
		return err
	}
	return GiveRole(ctx, tx, by, account, g, s.clock())
}

// askForRole has a second member asked about a role of an account.
func (s *Service) askForRole(ctx context.Context, tx *store.Tx, by Actor, kind ChangeKind, account string, g Grant) (*WaitsError, error) {
	if _, err := tx.Administrator(account); errors.Is(err, store.ErrNotFound) {
		return nil, ErrForbidden
	} else if err != nil {
		return nil, err
	}
	return s.ask(ctx, tx, by, store.PendingChange{OrganizationID: g.Organization, Kind: string(kind), Role: string(g.Role), AccountID: account})
}

// TakeRole takes a role back; one's own may be given up. [WaitsError]: when a
// second member, or an operator, has confirmed it.
func (s *Service) TakeRole(ctx context.Context, by Actor, account string, g Grant) error {
	var waits *WaitsError
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		waits = nil
		if by.Kind == KindAccount && by.ID == account {
			return s.take(ctx, tx, by, account, g)
		}
		if err := mayGrantNow(tx, by, g); err != nil {
			return err
		}
		has, err := grants(tx, account)
		if err != nil {
			return err
		}
		if !slices.Contains(has, g) {
			return ErrForbidden
		}
		watched, err := s.watched(tx, by, g)
		if err != nil {
			return err
		}
		// An officer is dismissed by one: it puts no key into other hands.
		if watched && g.Role.decides() {
			waits, err = s.askForRole(ctx, tx, by, TakeMember, account, g)
			return err
		}
		return s.take(ctx, tx, by, account, g)
	})
	return waiting(err, waits)
}

// take takes a role back, and deals with whom that leaves.
func (s *Service) take(ctx context.Context, tx *store.Tx, by Actor, account string, g Grant) error {
	if err := TakeRole(ctx, tx, by, account, g, s.clock()); err != nil || !g.Role.decides() {
		return err
	}
	a, err := tx.Administrator(account)
	if err != nil {
		return err
	}
	return s.lost(tx, by, a, g.Organization)
}

// Reset takes away all that signs an account in, for somebody who lost it, and its
// tokens, and mails a code with which its holder sets it up anew. Roles stay. Only an operator
// does it, and not for themselves.
func (s *Service) Reset(ctx context.Context, by Actor, id, language string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		row, m, err := s.reset(ctx, tx, by, id, language)
		if err != nil {
			return err
		}
		return s.queue.Enqueue(tx, Letter{Kind: MailInvitation, About: row.ID, To: m, Data: []byte(row.ID)})
	})
}

// ResetHere is Reset for who runs a command on the server's own data, who gets
// the code instead of a mail.
func (s *Service) ResetHere(ctx context.Context, email string) (code string, err error) {
	m, err := mailbox.Parse(strings.TrimSpace(email))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrEmail, err)
	}
	if code, err = s.newCode(codeGroups); err != nil {
		return "", err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.AdministratorByEmail(m.Key())
		if errors.Is(err, store.ErrNotFound) {
			return ErrForbidden
		}
		if err != nil {
			return err
		}
		row, _, err := s.reset(ctx, tx, Console(), a.ID, "en")
		if err != nil {
			return err
		}
		return tx.SetInvitationCode(row.ID, hashSecret("invitation", code))
	})
	return code, err
}

// reset resets an account and invites its holder back to a role that they have.
func (s *Service) reset(ctx context.Context, tx *store.Tx, by Actor, id, language string) (row store.Invitation, m mailbox.Mailbox, err error) {
	if by.Kind != KindAccount && by.Kind != KindServer || !by.Has(Operator, "") || by.ID == id {
		return row, m, ErrForbidden
	}
	if err := by.Again(); err != nil {
		return row, m, err
	}
	a, err := tx.Administrator(id)
	if errors.Is(err, store.ErrNotFound) {
		return row, m, ErrForbidden
	}
	if err != nil {
		return row, m, err
	}
	has, err := grants(tx, id)
	if err != nil {
		return row, m, err
	}
	if len(has) == 0 {
		return row, m, ErrState // nothing to come back to: remove it
	}
	if m, err = mailbox.Parse(a.Email); err != nil {
		return row, m, err
	}
	if err := tx.ResetAdministrator(id); err != nil {
		return row, m, err
	}
	if err := s.revokeTokens(ctx, tx, by, id); err != nil {
		return row, m, err
	}
	now := s.clock().UTC().Truncate(time.Second)
	err = audit.Append(ctx, tx, audit.Entry{At: now, Actor: by.String(), Act: store.ActAccountReset, Object: id})
	if err != nil {
		return row, m, err
	}
	if row.ID, err = s.newID(); err != nil {
		return row, m, err
	}
	row = store.Invitation{
		ID: row.ID, Email: a.Email, EmailKey: a.EmailKey, Role: string(has[0].Role), OrganizationID: has[0].Organization,
		Language: language, InvitedBy: by.String(), Created: now, Expires: now.Add(InvitationLife),
	}
	if err := tx.InsertInvitation(row); err != nil {
		return row, m, err
	}
	return row, m, recordRole(ctx, tx, by, store.ActInvited, row.ID, has[0], now)
}

// Remove ends an account: nothing signs it in any more, its tokens end, and its
// name and address are forgotten. The last operator stays. The other members of an
// organization in which it decided are told.
func (s *Service) Remove(ctx context.Context, by Actor, id string) error {
	if by.Kind != KindAccount && by.Kind != KindServer || !by.Has(Operator, "") {
		return ErrForbidden
	}
	if err := by.Again(); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		list, err := grants(tx, id)
		if err != nil {
			return err
		}
		for _, g := range list {
			if g.Role == Operator {
				if err := notLast(tx); err != nil {
					return err
				}
			}
		}
		a, err := tx.Administrator(id)
		if errors.Is(err, store.ErrNotFound) {
			return ErrForbidden
		}
		if err != nil {
			return err
		}
		if err := tx.RemoveAdministrator(id, s.clock()); errors.Is(err, store.ErrConflict) {
			return ErrForbidden
		} else if err != nil {
			return err
		}
		err = audit.Append(ctx, tx, audit.Entry{At: s.clock(), Actor: by.String(), Act: store.ActAccountRemoved, Object: id})
		told := map[string]bool{}
		for _, g := range list {
			if err == nil && g.Role.decides() && !told[g.Organization] {
				told[g.Organization] = true
				err = s.lost(tx, by, a, g.Organization)
			}
		}
		return err
	})
}

// notLast refuses what would leave the authority without an operator.
func notLast(tx *store.Tx) error {
	n, err := tx.CountRole(string(Operator), "")
	if err == nil && n < 2 {
		return ErrLast
	}
	return err
}
