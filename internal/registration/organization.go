package registration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Standing is where an organization stands.
type Standing string

// The standings. Only an active organization gets certificates.
const (
	StandingApplied   Standing = "applied"   // has not accepted the agreement
	StandingActive    Standing = "active"    //
	StandingSuspended Standing = "suspended" // by the operator, until further notice
	StandingClosed    Standing = "closed"    // for good
)

// Organization is one that vouches for its people.
type Organization struct {
	ID         string
	Name       string // the legal name in Latin letters, as certificates have it
	LocalName  string // in its own script; may be empty
	Country    string // ISO 3166-1
	State      string // or province; may be empty
	Locality   string // may be empty
	Identifier string // organizationIdentifier such as NTRJP-7000012050002; may be empty

	Standing Standing
	Settings Settings
	Agreed   string // the version of the agreement that it accepted last; may be empty
	Created  time.Time
}

// Limits of an organization.
const (
	maxOrganizations = 20 // that one account may found
	maxAttribute     = 64 // characters; ub-organization-name and most others of RFC 5280 §A.1
	maxPlace         = 128
)

// CreateOrganization makes an organization whose first administrator is the
// actor's account; or, when the console acts, the account of that address, which
// may be empty.
func (s *Service) CreateOrganization(ctx context.Context, actor auth.Actor, o Organization, administrator string) (Organization, error) {
	if !signedIn(actor) || actor.Kind == auth.KindToken && !operates(actor) {
		return Organization{}, ErrForbidden
	}
	o, err := o.cleaned()
	if err != nil {
		return Organization{}, err
	}
	if o.ID, err = s.newID(); err != nil {
		return Organization{}, err
	}
	o.Standing, o.Settings, o.Created = StandingApplied, DefaultSettings(), s.now()
	if o.Country == "JP" {
		o.Settings.Language = "ja"
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := fewOrganizations(tx, actor); err != nil {
			return err
		}
		row := o.row()
		row.CreatedBy = whose(actor)
		if err := tx.InsertOrganization(row); err != nil {
			return err
		}
		if err := s.act(ctx, tx, actor, store.ActOrganization, o.ID, nil); err != nil {
			return err
		}
		account, err := firstAdministrator(tx, actor, administrator)
		if err != nil || account == "" {
			return err
		}
		return auth.GiveRole(ctx, tx, actor, account, auth.Grant{Role: auth.Administrator, Organization: o.ID}, s.now())
	})
	if errors.Is(err, auth.ErrApart) {
		return Organization{}, wrong("administrator", "input.administrator.apart")
	}
	if err != nil {
		return Organization{}, err
	}
	return o, nil
}

// fewOrganizations bounds those of an account. It counts what the account has, and
// not what its session lets it use: roles may rest there.
func fewOrganizations(tx *store.Tx, actor auth.Actor) error {
	if actor.Kind != auth.KindAccount {
		return nil
	}
	roles, err := tx.RolesOf(actor.ID)
	if err != nil {
		return err
	}
	in := map[string]bool{}
	for _, r := range roles {
		in[r.OrganizationID] = true
	}
	delete(in, "")
	if len(in) >= maxOrganizations {
		return wrong("name", "input.organizations", maxOrganizations)
	}
	return nil
}

func firstAdministrator(tx *store.Tx, actor auth.Actor, address string) (account string, err error) {
	switch {
	case actor.Kind == auth.KindAccount:
		return actor.ID, nil
	case actor.Kind == auth.KindToken:
		return actor.Account, nil
	case address == "":
		return "", nil
	}
	m, err := mailbox.Parse(strings.TrimSpace(address))
	if err != nil {
		return "", wrong("administrator", "input.address", strings.TrimSpace(address))
	}
	a, err := tx.AdministratorByEmail(m.Key())
	if errors.Is(err, store.ErrNotFound) {
		return "", wrong("administrator", "input.administrator", m.String())
	}
	return a.ID, err
}

// cleaned checks what can be said of an organization.
func (o Organization) cleaned() (Organization, error) {
	o.Country = strings.ToUpper(strings.TrimSpace(o.Country))
	// Digits of full width are how a Japanese keyboard writes them.
	o.Identifier = strings.ToUpper(strings.Join(strings.Fields(norm.NFKC.String(o.Identifier)), ""))
	var all []error
	for _, f := range []struct {
		field string
		value *string
		bound int
	}{
		{"name", &o.Name, maxAttribute}, {"local_name", &o.LocalName, maxAttribute},
		{"state", &o.State, maxPlace}, {"locality", &o.Locality, maxPlace},
	} {
		all = append(all, cleanText(f.field, f.value, f.bound))
	}
	if o.Name == "" {
		all = append(all, wrong("name", "input.required"))
	}
	if !lint.IsCountry(o.Country) {
		all = append(all, wrong("country", "input.country", o.Country))
	}
	if o.Identifier != "" {
		all = append(all, checkIdentifier(o.Identifier, o.Country))
	}
	return o, errors.Join(all...)
}

// cleanText composes a text (NFC), takes space from its ends, and refuses what
// cannot be seen or is too long for a certificate.
func cleanText(field string, text *string, bound int) error {
	if !utf8.ValidString(*text) {
		return wrong(field, "input.utf8")
	}
	*text = strings.Trim(norm.NFC.String(*text), " \t\r\n\u3000")
	if utf8.RuneCountInString(*text) > bound {
		return wrong(field, "input.long", bound)
	}
	for _, r := range *text {
		if !unicode.IsPrint(r) && r != '\u3000' || unicode.In(r, unicode.Bidi_Control) {
			return wrong(field, "input.unseen")
		}
	}
	return nil
}

// japanese is the scheme of corporate numbers as organizationIdentifier.
const japanese = "NTRJP-"

// checkIdentifier holds an organizationIdentifier against its scheme, and a
// Japanese corporate number against its check digit.
func checkIdentifier(identifier, country string) error {
	if err := lint.CheckOrganizationIdentifier(identifier); err != nil {
		return wrong("identifier", "input.identifier", err.Error())
	}
	if country != "" {
		if err := lint.MatchIdentifierCountry(identifier, country); err != nil {
			return wrong("identifier", "input.identifier", err.Error())
		}
	}
	if number, of := strings.CutPrefix(identifier, japanese); of && !corporateNumber(number) {
		return wrong("identifier", "input.corporate", number)
	}
	return nil
}

// corporateNumber checks the 13 digits of a Japanese corporate number (法人番号):
// the first is 9 less the remainder by 9 of the sum of the others, of which every
// second one from the right counts twice (Ordinance of the Ministry of Finance
// on corporate numbers, article 2).
func corporateNumber(number string) bool {
	if len(number) != 13 || strings.Trim(number, "0123456789") != "" {
		return false
	}
	sum := 0
	for i := range 12 { // from the right
		sum += int(number[12-i]-'0') * (1 + i%2)
	}
	return int(number[0]-'0') == 9-sum%9
}

func (o Organization) row() store.Organization {
	return store.Organization{
		ID: o.ID, Name: o.Name, LocalName: o.LocalName, Country: o.Country, State: o.State, Locality: o.Locality,
		Identifier: o.Identifier, Standing: string(o.Standing), Settings: o.Settings.text(), Created: o.Created,
	}
}

func organizationOf(tx *store.Tx, row store.Organization) (Organization, error) {
	settings, err := ParseSettings([]byte(row.Settings))
	if err != nil {
		return Organization{}, fmt.Errorf("registration: settings of organization %s: %w", row.ID, err)
	}
	o := Organization{
		ID: row.ID, Name: row.Name, LocalName: row.LocalName, Country: row.Country, State: row.State, Locality: row.Locality,
		Identifier: row.Identifier, Standing: Standing(row.Standing), Settings: settings, Created: row.Created,
	}
	accepted, err := tx.AgreementAcceptances(row.ID)
	if len(accepted) > 0 {
		o.Agreed = accepted[0].Version
	}
	return o, err
}

// Organization shows one organization.
func (s *Service) Organization(ctx context.Context, actor auth.Actor, id string) (o Organization, err error) {
	if !reads(actor, id) {
		return o, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Organization(id)
		if err != nil {
			return hidden(err)
		}
		o, err = organizationOf(tx, row)
		return err
	})
	return o, err
}

// Page says which part of a list is wanted.
type Page struct {
	After string // what the page before said is next; empty: from the beginning
	Limit int    // at most [MaxPage]; 0: [DefaultPage]
}

// Limits of a page.
const (
	DefaultPage = 50
	MaxPage     = 500
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultPage
	}
	return min(p.Limit, MaxPage)
}

// Organizations lists those that the actor may look at, of one standing or, when
// it is empty, of any, in the order of their making. Next is the next page's
// After; empty: this is the last one.
func (s *Service) Organizations(ctx context.Context, actor auth.Actor, standing Standing, page Page) (list []Organization, next string, err error) {
	if !signedIn(actor) {
		return nil, "", ErrForbidden
	}
	if !operates(actor) && !actor.Has(auth.Auditor, "") {
		return s.ownOrganizations(ctx, actor, standing)
	}
	at, id, err := readPlace(page.After)
	if err != nil {
		return nil, "", err
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Organizations(string(standing), at, id, page.limit()+1)
		if err != nil {
			return err
		}
		if len(rows) > page.limit() {
			rows = rows[:page.limit()]
			last := rows[len(rows)-1]
			next = writePlace(last.Created, last.ID)
		}
		for _, row := range rows {
			o, err := organizationOf(tx, row)
			if err != nil {
				return err
			}
			list = append(list, o)
		}
		return nil
	})
	return list, next, err
}

// ownOrganizations are few.
func (s *Service) ownOrganizations(ctx context.Context, actor auth.Actor, standing Standing) (list []Organization, next string, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, id := range actor.Organizations() {
			row, err := tx.Organization(id)
			if errors.Is(err, store.ErrNotFound) || standing != "" && row.Standing != string(standing) {
				continue
			}
			if err != nil {
				return err
			}
			o, err := organizationOf(tx, row)
			if err != nil {
				return err
			}
			list = append(list, o)
		}
		return nil
	})
	return list, "", err
}

// changeOrganization runs a change of an organization and shows what came of it.
func (s *Service) changeOrganization(ctx context.Context, id string, change func(*store.Tx, store.Organization) error) (o Organization, err error) {
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Organization(id)
		if err != nil {
			return hidden(err)
		}
		if err := change(tx, row); err != nil {
			return conflicting(err, ErrState)
		}
		if row, err = tx.Organization(id); err != nil {
			return err
		}
		o, err = organizationOf(tx, row)
		return err
	})
	return o, err
}

// RenameOrganization changes what an organization is called, where it is and its
// identifier. Evidence of the old names is none of the new ones.
func (s *Service) RenameOrganization(ctx context.Context, actor auth.Actor, o Organization) (Organization, error) {
	if !administers(actor, o.ID) {
		return Organization{}, ErrForbidden
	}
	o, err := o.cleaned()
	if err != nil {
		return Organization{}, err
	}
	return s.changeOrganization(ctx, o.ID, func(tx *store.Tx, row store.Organization) error {
		if row.Standing == string(StandingClosed) {
			return ErrState
		}
		if err := tx.SetOrganizationNames(o.row()); err != nil {
			return err
		}
		return s.act(ctx, tx, actor, store.ActOrganizationChanged, o.ID, map[string]string{"names": "changed"})
	})
}

// SetSettings replaces an organization's settings. What cannot work for it is
// refused, with the reason: see [Service.FourEyes]. That orders need nobody but
// who asked for them is for a second member to confirm, where there is one: all
// else is done then, and the error is an [auth.WaitsError].
func (s *Service) SetSettings(ctx context.Context, actor auth.Actor, organization string, settings Settings) (Organization, error) {
	if !administers(actor, organization) {
		return Organization{}, ErrForbidden
	}
	if err := settings.check(); err != nil {
		return Organization{}, err
	}
	if settings.Escrow && s.o.Escrow == nil {
		return Organization{}, wrong("escrow", "input.escrow.none")
	}
	var waits *auth.WaitsError
	asked := settings
	o, err := s.changeOrganization(ctx, organization, func(tx *store.Tx, row store.Organization) error {
		settings := asked // weaken changes it, and the change may be run again
		if row.Standing == string(StandingClosed) {
			return ErrState
		}
		eyes, err := s.fourEyes(tx, row)
		if err != nil {
			return err
		}
		if waits, err = s.weaken(ctx, tx, actor, row, &settings); err != nil {
			return err
		}
		if waits != nil { // approval stays on, also where one is left
			eyes.Approval.On = true
		}
		_, err = tx.GoodEvidence(organization, "", s.now())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := eyes.allow(settings, err == nil); err != nil {
			return err
		}
		if waits != nil && settings.text() == row.Settings {
			return nil
		}
		return s.setSettings(ctx, tx, actor, organization, settings)
	})
	if err == nil && waits != nil {
		return o, waits
	}
	return o, err
}

func (s *Service) setSettings(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, settings Settings) error {
	if err := tx.SetOrganizationSettings(organization, settings.text()); err != nil {
		return err
	}
	return s.act(ctx, tx, actor, store.ActOrganizationChanged, organization, map[string]string{"settings": settings.text()})
}

// SetStanding suspends an organization, lets it go on, or closes it when its
// certificates have been revoked or have ended. It is the operator's; an
// administrator may close their own.
func (s *Service) SetStanding(ctx context.Context, actor auth.Actor, organization string, to Standing) (Organization, error) {
	own := to == StandingClosed && administers(actor, organization)
	if organization == "" || !operates(actor) && !own {
		return Organization{}, ErrForbidden
	}
	return s.changeOrganization(ctx, organization, func(tx *store.Tx, row store.Organization) error {
		from, to := Standing(row.Standing), to
		switch {
		case to == StandingSuspended && (from == StandingActive || from == StandingApplied):
		case to == StandingClosed && from != StandingClosed:
			if err := actor.InPerson(); err != nil {
				return err
			}
			counts, err := tx.CountOrganization(organization, s.now())
			if err != nil {
				return err
			}
			if counts.Valid > 0 { // the agreement ends, and they with it
				return wrong("standing", "input.close", counts.Valid)
			}
		case to == StandingActive && from == StandingSuspended:
			accepted, err := tx.AgreementAcceptances(organization)
			if err != nil {
				return err
			}
			if len(accepted) == 0 {
				to = StandingApplied
			}
		default:
			return fmt.Errorf("%w: the organization is %s", ErrState, from)
		}
		return s.setStanding(ctx, tx, actor, organization, from, to)
	})
}

func (s *Service) setStanding(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, from, to Standing) error {
	if err := tx.SetOrganizationStanding(organization, string(from), string(to)); err != nil {
		return err
	}
	return s.act(ctx, tx, actor, store.ActOrganizationChanged, organization, map[string]string{"standing": string(to)})
}

func (s *Service) newID() (string, error) {
	b, err := s.random(16)
	return encodeID(b), err
}
