package registration

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// PersonInput is what an organization says of one of its people.
type PersonInput struct {
	GivenName  string // in Latin letters
	Surname    string // who has one name only has it here
	LocalName  string // as they write it: 田中 太郎
	Addresses  []string
	Number     string // of the employee; may be empty
	Department string // may be empty
	Language   string // en, ja; empty: as the organization's settings
}

// Person is somebody who belongs to an organization, with what they have there.
type Person struct {
	ID           string
	Organization string
	Name         string // as they are shown
	PersonInput
	Since   time.Time
	Left    time.Time // zero: they belong
	Vouched time.Time // when the organization last said that the names are right

	State        PersonState
	Certificates []Held  // the newest first
	Orders       []Order // that are open
}

// PersonState sums a person's certificates up.
type PersonState string

// The states, as [PersonQuery].State takes them too; there "" is everybody who
// belongs to the organization.
const (
	PersonWithout  = PersonState(store.MemberWithout)
	PersonValid    = PersonState(store.MemberValid)
	PersonExpiring = PersonState(store.MemberExpiring)
	PersonExpired  = PersonState(store.MemberExpired)
	PersonRevoked  = PersonState(store.MemberRevoked)
	PersonWaiting  = PersonState(store.MemberWaiting)
	PersonLeft     = PersonState(store.MemberLeft)
)

// personStates are those that a query may ask for.
var personStates = []PersonState{"", PersonWithout, PersonValid, PersonExpiring, PersonExpired, PersonRevoked, PersonWaiting, PersonLeft}

// Held is a certificate that a person has or had.
type Held struct {
	ID           string
	Person       string
	Organization string
	Order        string
	Issuer       string // empty: our own authority
	Use          string // dual, signing, encryption
	Profile      string
	Serial       string // hex
	SHA256       string // hex
	Issued       time.Time
	NotAfter     time.Time
	Revoked      time.Time // zero: not revoked
	Reason       int       // CRLReason of RFC 5280 §5.3.1
	Trust        Trust
	TrustProblem string // of TrustNone: a word, see [Held.Distrust]
	TrustDetail  string // in English, for whoever repairs it
}

// Trusted tells whether colleagues are to encrypt to it: it is ours, or its chain
// leads to a root that is trusted.
func (h Held) Trusted() bool { return h.Trust != TrustNone }

// Distrust is why not, for people; empty where it is trusted.
func (h Held) Distrust(language string) string {
	if h.Trusted() {
		return ""
	}
	return Text(language, "chain."+h.TrustProblem)
}

// Valid tells whether it may be used at a time.
func (h Held) Valid(at time.Time) bool { return h.Revoked.IsZero() && at.Before(h.NotAfter) }

func heldOf(h store.Holding) Held {
	return Held{
		ID: h.ID, Person: h.PersonID, Organization: h.OrganizationID, Order: h.OrderID, Issuer: h.Issuer, Use: h.Use, Profile: h.Profile,
		Serial: hex.EncodeToString(h.Serial), SHA256: hex.EncodeToString(h.SHA256), Issued: h.Issued, NotAfter: h.NotAfter,
		Revoked: h.Revoked, Reason: h.RevokedFor, Trust: Trust(h.Trust), TrustProblem: h.TrustProblem, TrustDetail: h.TrustDetail,
	}
}

// Limits of a person.
const (
	maxAddresses  = 20
	maxNumber     = 64
	peopleAtOnce  = 200 // that are written in one transaction
	maxWords      = 60
	maxWordOctets = 96
	maxSuffixes   = 16
	maxQueryWords = 6
)

// cleaned checks what is said of a person, and reads the addresses.
func (s *Service) cleaned(p PersonInput) (PersonInput, []mailbox.Mailbox, error) {
	var all []error
	for _, f := range []struct {
		field string
		text  *string
		bound int
	}{
		{"given_name", &p.GivenName, maxAttribute}, {"surname", &p.Surname, maxAttribute}, {"local_name", &p.LocalName, maxAttribute},
		{"number", &p.Number, maxNumber}, {"department", &p.Department, maxPlace},
	} {
		err := cleanText(f.field, f.text, f.bound)
		if err == nil && strings.HasSuffix(f.field, "name") && strings.ContainsAny(*f.text, "@<>") {
			err = wrong(f.field, "input.name.address")
		}
		all = append(all, err)
	}
	if p.GivenName != "" && p.Surname == "" {
		all = append(all, wrong("surname", "input.surname"))
	}
	if p.Language != "" && p.Language != "en" && p.Language != "ja" {
		all = append(all, wrong("language", "input.choice", p.Language, []string{"en", "ja"}))
	}
	var mailboxes []mailbox.Mailbox
	var addresses []string
	for _, address := range p.Addresses {
		m, err := s.mailbox(address)
		switch {
		case err != nil:
			all = append(all, wrong("addresses", "input.address", address))
		case slices.ContainsFunc(mailboxes, m.Equal):
			all = append(all, wrong("addresses", "input.address.twice", m.String()))
		default:
			mailboxes, addresses = append(mailboxes, m), append(addresses, m.String())
		}
	}
	p.Addresses = addresses
	switch {
	case len(p.Addresses) == 0 && errors.Join(all...) == nil:
		all = append(all, wrong("addresses", "input.required"))
	case len(p.Addresses) > maxAddresses:
		all = append(all, wrong("addresses", "input.addresses", maxAddresses))
	}
	return p, mailboxes, errors.Join(all...)
}

// name is what a person is shown as.
func (p PersonInput) name() string {
	latin := strings.TrimSpace(p.GivenName + " " + p.Surname)
	switch {
	case p.LocalName != "":
		return p.LocalName
	case latin != "":
		return latin
	}
	local, _, _ := strings.Cut(p.Addresses[0], "@")
	return local
}

// Added is what became of one of several people.
type Added struct {
	Person Person
	Err    error // an ErrInput, or that of the whole
}

// AddPerson says that a person belongs to the organization, which vouches for
// the names.
func (s *Service) AddPerson(ctx context.Context, actor auth.Actor, organization string, p PersonInput) (Person, error) {
	added, err := s.AddPeople(ctx, actor, organization, []PersonInput{p})
	if err != nil {
		return Person{}, err
	}
	return added[0].Person, added[0].Err
}

// AddPeople does so for many. What is wrong with one keeps out that one alone.
func (s *Service) AddPeople(ctx context.Context, actor auth.Actor, organization string, people []PersonInput) ([]Added, error) {
	if !administers(actor, organization) && !ours(actor) {
		return nil, ErrForbidden
	}
	added := make([]Added, len(people))
	for from := 0; from < len(people); from += peopleAtOnce {
		to := min(from+peopleAtOnce, len(people))
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			d, err := s.desk(tx, organization)
			if err != nil {
				return err
			}
			for i := from; i < to; i++ {
				added[i].Person, added[i].Err = d.add(ctx, actor, people[i])
				if added[i].Err != nil && !errors.Is(added[i].Err, ErrInput) {
					return added[i].Err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return added, nil
}

// desk is where people of one organization are written, in a transaction.
type desk struct {
	s        *Service
	tx       *store.Tx
	row      store.Organization
	settings Settings
	domains  map[string]bool // those that are proven
	by       string          // who vouches, where that is not the actor
}

// desk opens one, for an organization that is active.
func (s *Service) desk(tx *store.Tx, organization string) (*desk, error) {
	row, err := tx.Organization(organization)
	if err != nil {
		return nil, hidden(err)
	}
	if row.Standing != string(StandingActive) {
		return nil, wrong("organization", "input.organization."+row.Standing)
	}
	o, err := organizationOf(tx, row)
	if err != nil {
		return nil, err
	}
	d := &desk{s: s, tx: tx, row: row, settings: o.Settings, domains: map[string]bool{}}
	rows, err := tx.Domains(organization)
	for _, domain := range rows {
		if domain.State == string(DomainProven) && s.now().Before(domain.Expires) {
			d.domains[domain.Name] = true
		}
	}
	return d, err
}

func (d *desk) add(ctx context.Context, actor auth.Actor, p PersonInput) (Person, error) {
	p, mailboxes, err := d.s.cleaned(p)
	if err != nil {
		return Person{}, err
	}
	if p.Language == "" {
		p.Language = d.settings.Language
	}
	if err := d.free(p, mailboxes, ""); err != nil {
		return Person{}, err
	}
	row := store.Member{OrganizationID: d.row.ID, Since: d.s.now()}
	known, err := d.holder(mailboxes)
	if err != nil {
		return Person{}, err
	}
	if row.ID = known; known == "" {
		if row.ID, err = d.s.newID(); err != nil {
			return Person{}, err
		}
	}
	d.fill(&row, actor, p)
	if known == "" {
		err = d.tx.InsertPerson(row.Person)
	} else {
		err = d.tx.NamePerson(row.Person)
	}
	if err != nil {
		return Person{}, err
	}
	if err := d.tx.InsertMember(row); err != nil {
		return Person{}, conflicting(err, wrong("addresses", "input.member"))
	}
	if err := d.write(row, mailboxes); err != nil {
		return Person{}, err
	}
	return personOf(row), d.s.act(ctx, d.tx, actor, store.ActMember, row.ID, map[string]string{"organization": d.row.ID})
}

// free makes sure that nobody else in the organization has the number or a
// mailbox.
func (d *desk) free(p PersonInput, mailboxes []mailbox.Mailbox, person string) error {
	taken := func(who string, err error) (bool, error) {
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil && who != person, err
	}
	if p.Number != "" {
		if is, err := taken(d.tx.MemberByNumber(d.row.ID, p.Number)); err != nil || is {
			return errors.Join(err, when(is, wrong("number", "input.number.taken", p.Number)))
		}
	}
	for _, m := range mailboxes {
		if is, err := taken(d.tx.MemberByMailbox(d.row.ID, m.Key())); err != nil || is {
			return errors.Join(err, when(is, wrong("addresses", "input.mailbox.taken", m.String())))
		}
	}
	return nil
}

func when(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// holder finds the person who holds one of the mailboxes already. Only in the
// organization's own domains: elsewhere it has no business to know who does. Who
// belongs to another organization is somebody else: the domain has moved.
func (d *desk) holder(mailboxes []mailbox.Mailbox) (person string, err error) {
	for _, m := range mailboxes {
		if !d.domains[m.Domain()] {
			continue
		}
		p, err := d.tx.HolderOf(m.Key())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		in, err := d.tx.MembershipsOf(p.ID)
		if err != nil {
			return "", err
		}
		if len(in) == 0 {
			return p.ID, nil
		}
	}
	return "", nil
}

// fill writes what is said of a person into their row.
func (d *desk) fill(row *store.Member, actor auth.Actor, p PersonInput) {
	now := d.s.now()
	row.Person = store.Person{
		ID: row.ID, Name: p.name(), GivenName: p.GivenName, Surname: p.Surname, LocalName: p.LocalName, Language: p.Language, Created: now,
	}
	row.Number, row.Department, row.VouchedBy, row.Vouched = p.Number, p.Department, cmp.Or(d.by, whose(actor)), now
	row.Addresses, row.Place = p.Addresses, place(p)
}

// write stores what belongs to a member's row in other tables.
func (d *desk) write(row store.Member, mailboxes []mailbox.Mailbox) error {
	var keys []string
	for _, m := range mailboxes {
		keys = append(keys, m.Key())
		if !d.domains[m.Domain()] {
			continue
		}
		holder, err := d.tx.HolderOf(m.Key())
		if err == nil && holder.ID == row.ID {
			continue
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := d.tx.ReleaseMailbox(m.Key(), d.s.now()); err != nil {
			return err
		}
		if err := d.tx.HoldMailbox(m.Key(), m.String(), row.ID, d.s.now()); err != nil {
			return err
		}
	}
	if err := d.tx.SetMemberMailboxes(row.OrganizationID, row.ID, keys, row.Addresses); err != nil {
		return err
	}
	return d.tx.SetMemberWords(row.OrganizationID, row.ID, words(row))
}

// ChangePerson replaces what the organization says of a person. Orders that are
// open and name the person otherwise must be made again.
func (s *Service) ChangePerson(ctx context.Context, actor auth.Actor, organization, id string, p PersonInput) (person Person, err error) {
	if !administers(actor, organization) && !ours(actor) {
		return person, ErrForbidden
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		d, err := s.desk(tx, organization)
		if err != nil {
			return err
		}
		p, mailboxes, err := s.cleaned(p)
		if err != nil {
			return err
		}
		row, err := tx.Member(organization, id)
		if err != nil {
			return hidden(err)
		}
		if !row.Until.IsZero() {
			return ErrState
		}
		if err := d.free(p, mailboxes, id); err != nil {
			return err
		}
		if p.Language == "" {
			p.Language = row.Language
		}
		since := row.Since
		d.fill(&row, actor, p)
		row.Since = since
		if err := errors.Join(tx.NamePerson(row.Person), tx.ChangeMember(row), d.write(row, mailboxes)); err != nil {
			return err
		}
		if err := s.act(ctx, tx, actor, store.ActMemberChanged, id, map[string]string{"organization": organization}); err != nil {
			return err
		}
		person, err = s.personWith(tx, row)
		return err
	})
	return person, err
}

// PeopleLeave ends that people belong to the organization: their open orders are
// refused and their mailboxes in its domains are free for others. Certificates
// are revoked by [Service.Revoke].
func (s *Service) PeopleLeave(ctx context.Context, actor auth.Actor, organization string, ids []string) error {
	if !administers(actor, organization) && !ours(actor) {
		return ErrForbidden
	}
	for part := range slices.Chunk(ids, peopleAtOnce) {
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			for _, id := range part {
				if err := s.leave(ctx, tx, actor, organization, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) leave(ctx context.Context, tx *store.Tx, actor auth.Actor, organization, id string) error {
	row, err := tx.Member(organization, id)
	if err != nil {
		return hidden(err)
	}
	if !row.Until.IsZero() {
		return nil
	}
	for _, address := range row.Addresses {
		m, err := mailbox.Parse(address)
		if err != nil {
			return err
		}
		if holder, err := tx.HolderOf(m.Key()); err == nil && holder.ID == id {
			if err := tx.ReleaseMailbox(m.Key(), s.now()); err != nil {
				return err
			}
		}
	}
	open, err := s.openOrders(tx, organization, id)
	if err != nil {
		return err
	}
	for _, o := range open {
		if err := s.refuse(ctx, tx, actor, o.ID, "the person has left the organization"); err != nil {
			return err
		}
	}
	if err := tx.MemberLeaves(organization, id, s.now()); err != nil {
		return err
	}
	return s.act(ctx, tx, actor, store.ActMemberLeft, id, map[string]string{"organization": organization})
}

// PersonQuery says which people are wanted.
type PersonQuery struct {
	Text           string      // beginnings of names, addresses, number, department
	State          PersonState // "": who belongs to the organization
	ExpiringBefore time.Time   // of PersonExpiring; zero: in 30 days
}

// expiringSoon is how far a list of what expires looks ahead by itself.
const expiringSoon = 30 * 24 * time.Hour

func (s *Service) memberQuery(organization string, q PersonQuery) (store.MemberQuery, error) {
	if !slices.Contains(personStates, q.State) {
		return store.MemberQuery{}, wrong("state", "input.choice", q.State, personStates[1:])
	}
	m := store.MemberQuery{OrganizationID: organization, State: store.MemberState(q.State), Now: s.now(), EndingBefore: q.ExpiringBefore}
	if m.EndingBefore.IsZero() {
		m.EndingBefore = s.now().Add(expiringSoon)
	}
	asked := strings.Fields(fold(q.Text))
	if len(asked) > maxQueryWords {
		return m, wrong("text", "input.query", maxQueryWords)
	}
	for _, word := range asked {
		m.Words = append(m.Words, []byte(word[:min(len(word), maxWordOctets)]))
	}
	return m, nil
}

// People lists an organization's people with their certificates and open orders,
// by name. Next is the next page's After; empty: this is the last one.
func (s *Service) People(ctx context.Context, actor auth.Actor, organization string, q PersonQuery, page Page) (list []Person, next string, err error) {
	if !reads(actor, organization) {
		return nil, "", ErrForbidden
	}
	m, err := s.memberQuery(organization, q)
	if err != nil {
		return nil, "", err
	}
	if m.AfterPlace, m.AfterID, err = readOctets(page.After); err != nil {
		return nil, "", err
	}
	m.Limit = page.limit() + 1
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Members(m)
		if err != nil {
			return err
		}
		if len(rows) == m.Limit {
			rows = rows[:page.limit()]
			last := rows[len(rows)-1]
			next = writeOctets(last.Place, last.ID)
		}
		for _, row := range rows {
			p, err := s.personWith(tx, row)
			if err != nil {
				return err
			}
			list = append(list, p)
		}
		return nil
	})
	return list, next, err
}

// MaxSelected bounds how many people one act may be about.
const MaxSelected = 100000

// PeopleIDs names all people whom a query finds, for an act that is about all of
// them. Where there are more than one act may be about it is refused: an act on a
// part would look like one on all.
func (s *Service) PeopleIDs(ctx context.Context, actor auth.Actor, organization string, q PersonQuery) (ids []string, err error) {
	if !reads(actor, organization) {
		return nil, ErrForbidden
	}
	m, err := s.memberQuery(organization, q)
	if err != nil {
		return nil, err
	}
	m.Limit = s.mostSelected + 1
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		ids, err = tx.MemberIDs(m)
		return err
	})
	if err == nil && len(ids) > s.mostSelected {
		return nil, wrong("text", "input.selected", s.mostSelected)
	}
	return ids, err
}

// CountPeople says how many a query finds.
func (s *Service) CountPeople(ctx context.Context, actor auth.Actor, organization string, q PersonQuery) (n int64, err error) {
	if !reads(actor, organization) {
		return 0, ErrForbidden
	}
	m, err := s.memberQuery(organization, q)
	if err != nil {
		return 0, err
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.CountMembers(m)
		return err
	})
	return n, err
}

// Person shows one of an organization's people, who may have left.
func (s *Service) Person(ctx context.Context, actor auth.Actor, organization, id string) (p Person, err error) {
	self := actor.Kind == auth.KindPerson && actor.ID == id && id != ""
	if organization == "" || !reads(actor, organization) && !self {
		return p, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Member(organization, id)
		if err != nil {
			return hidden(err)
		}
		p, err = s.personWith(tx, row)
		return err
	})
	return p, err
}

// OwnCertificates lists what a person who is signed in has, wherever they belong.
func (s *Service) OwnCertificates(ctx context.Context, actor auth.Actor) (list []Held, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return nil, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.PersonHoldings(actor.ID)
		for _, h := range rows {
			list = append(list, heldOf(h))
		}
		return err
	})
	return list, err
}

func personOf(row store.Member) Person {
	return Person{
		ID: row.ID, Organization: row.OrganizationID, Name: row.Name, Since: row.Since, Left: row.Until, Vouched: row.Vouched, State: PersonWithout,
		PersonInput: PersonInput{
			GivenName: row.GivenName, Surname: row.Surname, LocalName: row.LocalName, Addresses: row.Addresses,
			Number: row.Number, Department: row.Department, Language: row.Language,
		},
	}
}

// personWith reads what a person has.
func (s *Service) personWith(tx *store.Tx, row store.Member) (Person, error) {
	p := personOf(row)
	held, err := tx.HoldingsOf(row.OrganizationID, row.ID)
	if err != nil {
		return p, err
	}
	for _, h := range held {
		p.Certificates = append(p.Certificates, heldOf(h))
	}
	if p.Orders, err = s.openOrders(tx, row.OrganizationID, row.ID); err != nil {
		return p, err
	}
	p.State = p.state(s.now())
	return p, nil
}

func (p Person) state(now time.Time) PersonState {
	var last time.Time
	var revoked bool
	for _, h := range p.Certificates {
		if h.Valid(now) && h.NotAfter.After(last) {
			last = h.NotAfter
		}
		revoked = revoked || !h.Revoked.IsZero()
	}
	switch {
	case !p.Left.IsZero():
		return PersonLeft
	case !last.IsZero() && last.Before(now.Add(expiringSoon)):
		return PersonExpiring
	case !last.IsZero():
		return PersonValid
	case len(p.Orders) > 0:
		return PersonWaiting
	case revoked:
		return PersonRevoked
	case len(p.Certificates) > 0:
		return PersonExpired
	}
	return PersonWithout
}

// fold makes texts that read alike the same: width, case and composition.
func fold(text string) string { return strings.ToLower(norm.NFKC.String(text)) }

// place is where a list by name has a person.
func place(p PersonInput) []byte {
	name := strings.TrimSpace(p.Surname + " " + p.GivenName)
	if name == "" {
		name = p.name()
	}
	name = fold(name)
	return []byte(name[:min(len(name), maxWordOctets)])
}

// words are what a person is found by the beginning of: names, addresses, number
// and department, and of names in scripts without spaces every end as well.
func words(m store.Member) (list [][]byte) {
	seen := map[string]bool{}
	add := func(word string) {
		word = word[:min(len(word), maxWordOctets)]
		if word != "" && !seen[word] && len(list) < maxWords {
			seen[word] = true
			list = append(list, []byte(word))
		}
	}
	ends := func(word string) {
		runes := []rune(word)
		for i := 1; i < min(len(runes), maxSuffixes); i++ {
			add(string(runes[i:]))
		}
	}
	for _, text := range append([]string{m.Surname, m.GivenName, m.LocalName, m.Number, m.Department}, m.Addresses...) {
		for _, word := range strings.Fields(fold(text)) {
			add(word)
			for _, part := range strings.FieldsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
				add(part)
			}
			if strings.IndexFunc(word, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
				ends(word)
			}
		}
	}
	ends(strings.Join(strings.Fields(fold(m.LocalName)), "")) // 田中太郎, whoever writes it without the space
	if local := strings.Join(strings.Fields(fold(m.LocalName)), ""); local != "" {
		add(local)
	}
	return list
}
