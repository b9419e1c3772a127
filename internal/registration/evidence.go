package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// Evidence is a record of who an organization or a person is. Two decide about
// it, none of whom submitted it.
type Evidence struct {
	ID           string
	Organization string
	Person       string // empty: it is about the organization
	Method       string // the section of the S/MIME BR: 3.2.3... or 3.2.4...
	Reference    string // where the documents are
	Statement    string // what was checked, and how
	DocumentName string // empty: there is none here
	SHA256       string // of the document, in hex
	Names        string // what it is evidence of, as JSON
	SubmittedBy  string
	Submitted    time.Time
	FirstBy      string
	First        time.Time
	SecondBy     string
	Second       time.Time
	Decision     string // empty: nobody has decided; accepted, refused
	Reason       string // of a refusal
	Expires      time.Time

	// In lists of what nobody has decided about: names for the numbers above. The
	// organization is told the addresses of its own people alone; Submitter is
	// empty for somebody of the authority, and Looker for whoever looked.
	OrganizationName, Address, Submitter, Looker string
}

// Submission is evidence as it is handed in.
type Submission struct {
	Person       string // empty: of the organization
	Method       string
	Reference    string
	Statement    string
	Document     []byte
	DocumentName string
	Country      string // of a person; may be empty
}

// Limits of evidence.
const (
	maxDocument  = 10 << 20
	maxStatement = 4000 // characters
	maxReference = 200
)

func evidenceOf(e store.Evidence) Evidence {
	return Evidence{
		ID: e.ID, Organization: e.OrganizationID, Person: e.PersonID, Method: e.Method, Reference: e.Reference, Statement: e.Statement,
		DocumentName: e.DocumentName, SHA256: hex.EncodeToString(e.SHA256), Names: e.Names, SubmittedBy: e.SubmittedBy, Submitted: e.Submitted,
		FirstBy: e.FirstBy, First: e.First, SecondBy: e.SecondBy, Second: e.Second, Decision: e.Decision, Reason: e.Reason, Expires: e.Expires,
	}
}

// SubmitEvidence hands evidence in: of the organization under the names that it
// has now, or of a person in it. An administrator may, or who validates.
func (s *Service) SubmitEvidence(ctx context.Context, actor auth.Actor, organization string, sub Submission) (Evidence, error) {
	if organization == "" || !administers(actor, organization) && !validates(actor) {
		return Evidence{}, ErrForbidden
	}
	sub, err := sub.cleaned()
	if err != nil {
		return Evidence{}, err
	}
	row := store.Evidence{
		OrganizationID: organization, PersonID: sub.Person, Kind: "organization", Method: sub.Method, Reference: sub.Reference,
		Statement: sub.Statement, DocumentName: sub.DocumentName, SubmittedBy: whose(actor), Submitted: s.now(),
	}
	if len(sub.Document) > 0 {
		sum := sha256.Sum256(sub.Document)
		row.Document, row.SHA256 = sub.Document, sum[:]
	}
	if row.ID, err = s.newID(); err != nil {
		return Evidence{}, err
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := tx.Organization(organization)
		if err != nil {
			return hidden(err)
		}
		eyes, err := s.fourEyes(tx, o)
		if err != nil {
			return err
		}
		if !eyes.Evidence.On {
			return wrong("evidence", eyes.Evidence.Why, eyes.Evidence.People, eyes.Evidence.Needed)
		}
		if err := s.nameEvidence(tx, o, sub, &row); err != nil {
			return err
		}
		if err := tx.InsertEvidence(row); err != nil {
			return err
		}
		return s.act(ctx, tx, actor, store.ActEvidence, row.ID, map[string]string{
			"organization": organization, "method": row.Method, "sha256": hex.EncodeToString(row.SHA256),
		})
	})
	return evidenceOf(row), err
}

func (sub Submission) cleaned() (Submission, error) {
	for _, f := range []struct {
		field string
		text  *string
		bound int
	}{{"reference", &sub.Reference, maxReference}, {"document_name", &sub.DocumentName, maxReference}} {
		if err := cleanText(f.field, f.text, f.bound); err != nil {
			return sub, err
		}
	}
	sub.Statement = strings.TrimSpace(strings.ToValidUTF8(sub.Statement, "?"))
	section := "3.2.3"
	if sub.Person != "" {
		section = "3.2.4"
	}
	switch {
	case sub.Method != section && !strings.HasPrefix(sub.Method, section+"."):
		return sub, wrong("method", "input.method", section)
	case sub.Reference == "":
		return sub, wrong("reference", "input.required")
	case len([]rune(sub.Statement)) > maxStatement:
		return sub, wrong("statement", "input.long", maxStatement)
	case strings.ContainsRune(sub.Statement, 0):
		return sub, wrong("statement", "input.unseen")
	case len(sub.Document) > maxDocument:
		return sub, wrong("document", "input.document", maxDocument>>20)
	}
	return sub, nil
}

// nameEvidence writes what the evidence is about: names that a certificate could
// have.
func (s *Service) nameEvidence(tx *store.Tx, o store.Organization, sub Submission, row *store.Evidence) error {
	if sub.Person == "" {
		if o.Identifier == "" {
			return wrong("organization", "input.evidence.identifier")
		}
		names := validation.OrganizationNames{Name: o.Name, Identifier: o.Identifier, Country: o.Country, State: o.State, Locality: o.Locality}
		if err := validation.CheckOrganizationNames(names, sub.Method, s.now()); err != nil {
			return wrong("organization", "input.names", err.Error())
		}
		row.Names = names.Text()
		return nil
	}
	m, err := tx.Member(o.ID, sub.Person)
	if err != nil {
		return hidden(err)
	}
	names := validation.IndividualNames{GivenName: m.GivenName, Surname: m.Surname, LocalName: m.LocalName, Country: sub.Country}
	if err := validation.CheckIndividualNames(names, sub.Method, s.now()); err != nil {
		return wrong("person", "input.names", err.Error())
	}
	row.Kind, row.Names = "individual", names.Text()
	return nil
}

// DecideEvidence is one person's decision about evidence: the first who finds it
// good, the second who does, or one who refuses it, with a reason. What was
// accepted may be refused later, when it turns out to be wrong. Each does so in
// person: certificates state for years what two people found.
func (s *Service) DecideEvidence(ctx context.Context, actor auth.Actor, id string, good bool, reason string) (e Evidence, err error) {
	if !validates(actor) {
		return e, ErrForbidden
	}
	if err := actor.InPerson(); err != nil {
		return e, err
	}
	if err := cleanText("reason", &reason, maxReference); err != nil {
		return e, err
	}
	if !good && reason == "" {
		return e, wrong("reason", "input.required")
	}
	by := whose(actor)
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Evidence(id)
		if err != nil {
			return hidden(err)
		}
		now := s.now()
		var act string
		switch {
		case row.SubmittedBy == by:
			return wrong("evidence", "input.evidence.own")
		case !good:
			act, err = store.ActEvidenceRefused, tx.EvidenceRefused(id, by, reason, now)
		case row.Decision != "":
			return ErrState
		case row.FirstBy == "":
			act, err = store.ActEvidenceSeen, tx.EvidenceSeen(id, by, now)
		case row.FirstBy == by:
			return wrong("evidence", "input.evidence.again")
		default:
			act, err = store.ActEvidenceAccepted, tx.EvidenceAccepted(id, by, now, now.Add(validation.EvidenceLife))
		}
		if err != nil {
			return conflicting(err, ErrState)
		}
		if err := s.act(ctx, tx, actor, act, id, map[string]string{"organization": row.OrganizationID, "method": row.Method}); err != nil {
			return err
		}
		row, err = tx.Evidence(id)
		e = evidenceOf(row)
		return err
	})
	return e, err
}

// EvidenceQueue lists what waits to be decided about, the oldest first. Next is the
// next page's After; empty: this is the last one.
func (s *Service) EvidenceQueue(ctx context.Context, actor auth.Actor, page Page) (list []Evidence, next string, err error) {
	if !examines(actor) {
		return nil, "", ErrForbidden
	}
	after, id, err := readPlace(page.After)
	if err != nil {
		return nil, "", err
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.WaitingEvidence(after, id, page.limit()+1)
		if len(rows) > page.limit() {
			rows = rows[:page.limit()]
			last := rows[len(rows)-1]
			next = writePlace(last.Submitted, last.ID)
		}
		if err != nil {
			return err
		}
		list, err = (&labels{tx: tx, all: true}).list(rows)
		return err
	})
	return list, next, err
}

// examines tells who sees what two people found, beside those two.
func examines(actor auth.Actor) bool {
	return validates(actor) || signedIn(actor) && actor.Has(auth.Auditor, "")
}

// labels finds the names for the numbers in evidence, each once.
type labels struct {
	tx        *store.Tx
	all       bool // for the authority's eyes
	names     map[string]string
	addresses map[string]string
	own       map[string]bool // accounts with a role in the organization
}

func (l *labels) list(rows []store.Evidence) ([]Evidence, error) {
	l.names, l.addresses = map[string]string{}, map[string]string{}
	list := make([]Evidence, len(rows))
	for i, row := range rows {
		list[i] = evidenceOf(row)
		if row.Decision != "" {
			continue
		}
		if err := l.label(&list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (l *labels) label(e *Evidence) (err error) {
	if e.OrganizationName, err = l.name(e.Organization); err != nil {
		return err
	}
	if e.Person != "" {
		m, err := l.tx.Member(e.Organization, e.Person)
		if err != nil {
			return err
		}
		e.Address = strings.Join(m.Addresses, ", ")
	}
	if e.Submitter, err = l.address(e.Organization, e.SubmittedBy); err != nil || !l.all {
		return err
	}
	e.Looker, err = l.address(e.Organization, e.FirstBy)
	return err
}

// name is an organization's.
func (l *labels) name(organization string) (string, error) {
	if name, known := l.names[organization]; known {
		return name, nil
	}
	o, err := l.tx.Organization(organization)
	l.names[organization] = o.Name
	return o.Name, err
}

// address is of whoever the audit log names, or that name where it is of no account.
func (l *labels) address(organization, who string) (string, error) {
	id, is := strings.CutPrefix(who, string(auth.KindAccount)+":")
	if !is {
		return who, nil
	}
	if !l.all {
		if ours, err := l.ours(organization, id); err != nil || !ours {
			return "", err
		}
	}
	if address, known := l.addresses[id]; known {
		return address, nil
	}
	a, err := l.tx.Administrator(id)
	if errors.Is(err, store.ErrNotFound) {
		a.Email, err = who, nil
	}
	l.addresses[id] = a.Email
	return a.Email, err
}

// ours tells whether an account has a role in the organization, of which all rows
// are where not everything is shown.
func (l *labels) ours(organization, account string) (bool, error) {
	if l.own == nil {
		grants, err := l.tx.RolesIn(organization)
		if err != nil {
			return false, err
		}
		l.own = map[string]bool{}
		for _, g := range grants {
			l.own[g.AdministratorID] = true
		}
	}
	return l.own[account], nil
}

// EvidenceAbout lists the evidence of an organization, or of a person in it.
func (s *Service) EvidenceAbout(ctx context.Context, actor auth.Actor, organization, person string) (list []Evidence, err error) {
	if !reads(actor, organization) && !validates(actor) {
		return nil, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.EvidenceOf(organization, person)
		if err != nil {
			return err
		}
		list, err = (&labels{tx: tx, all: examines(actor)}).list(rows)
		return err
	})
	return list, err
}

// EvidenceDocument reads the document of evidence.
func (s *Service) EvidenceDocument(ctx context.Context, actor auth.Actor, id string) (name string, document []byte, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := tx.Evidence(id)
		if err != nil {
			return hidden(err)
		}
		if !validates(actor) && !reads(actor, row.OrganizationID) {
			return ErrForbidden
		}
		name = row.DocumentName
		document, err = tx.EvidenceDocument(id)
		return err
	})
	return name, document, err
}
