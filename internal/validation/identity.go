package validation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// EvidenceLife is how long a validated identity may be used (S/MIME BR §4.2.1).
const EvidenceLife = issuance.EvidenceLife

// vouching is the method of S/MIME BR §3.2.4.1 by which the records of an
// Enterprise RA are evidence of who its people are.
const vouching = "3.2.4.1"

// ErrIdentity: there is no good evidence of who the organization or the person
// is, or it shows other names than the order has.
var ErrIdentity = errors.New("validation: no good evidence of the names")

// OrganizationNames are what is validated about an organization.
type OrganizationNames struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
	Country    string `json:"country"`
	State      string `json:"state,omitempty"`
	Locality   string `json:"locality,omitempty"`
}

// IndividualNames are what is validated about a person.
type IndividualNames struct {
	GivenName string `json:"given_name,omitempty"`
	Surname   string `json:"surname"`
	LocalName string `json:"local_name,omitempty"` // in their own script
	Country   string `json:"country,omitempty"`
}

// displays lists what commonName may be: the names in either order, or the one
// in the person's own script.
func (n IndividualNames) displays() []string {
	list := []string{strings.TrimSpace(n.GivenName + " " + n.Surname), strings.TrimSpace(n.Surname + " " + n.GivenName)}
	if n.LocalName != "" {
		list = append(list, n.LocalName)
	}
	return list
}

// certifies tells whether a certificate says the same of both; the name in the
// person's own script stands in it only as [Subject].Display.
func (n IndividualNames) certifies(m IndividualNames) bool {
	n.LocalName, m.LocalName = "", ""
	return n == m
}

// Subject is what an order says of whom its certificate is for, beside the
// mailboxes: a snapshot that evidence is held against.
type Subject struct {
	Organization *OrganizationNames `json:"organization,omitempty"`
	Individual   *IndividualNames   `json:"individual,omitempty"`
	Display      string             `json:"display,omitempty"` // commonName, where a person is named
}

// Text is the subject as orders keep it.
func (s Subject) Text() string { return text(s) }

// Text is the names as evidence keeps them.
func (n OrganizationNames) Text() string { return text(n) }

// Text is the names as evidence keeps them.
func (n IndividualNames) Text() string { return text(n) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings
	}
	return string(b)
}

// ParseSubject reads back what [Subject.Text] wrote; "" is nobody.
func ParseSubject(text string) (s Subject, err error) {
	if text == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("validation: subject of an order: %w", err)
	}
	return s, nil
}

// CheckOrganizationNames tells whether a certificate could say this, whatever
// the evidence.
func CheckOrganizationNames(n OrganizationNames, method string, at time.Time) error {
	_, err := n.certified(issuance.Evidence{Method: method, Reference: "-", Validated: at})
	return err
}

// CheckIndividualNames does the same for a person who is called so.
func CheckIndividualNames(n IndividualNames, method string, at time.Time) error {
	for _, display := range n.displays() {
		if _, err := n.certified(display, issuance.Evidence{Method: method, Reference: "-", Validated: at}); err != nil {
			return err
		}
	}
	return nil
}

func (n OrganizationNames) certified(e issuance.Evidence) (*issuance.Organization, error) {
	return issuance.NewOrganization(issuance.OrganizationConfig{
		Name: n.Name, Identifier: n.Identifier, Evidence: e,
		Address: issuance.Address{Country: n.Country, StateOrProvince: n.State, Locality: n.Locality},
	})
}

func (n IndividualNames) certified(display string, e issuance.Evidence) (*issuance.Individual, error) {
	return issuance.NewIndividual(issuance.IndividualConfig{
		GivenName: n.GivenName, Surname: n.Surname, Display: display, Evidence: e, Address: issuance.Address{Country: n.Country},
	})
}

// SubjectFor is the subject that an order of a type would have now, from the
// evidence that there is; local asks for the name in the person's own script.
func (v *Validator) SubjectFor(tx *store.Tx, t issuance.Type, organization, person string, local bool) (s Subject, err error) {
	if t == issuance.OrganizationValidated || t == issuance.SponsorValidated {
		names, _, err := v.organization(tx, organization)
		if err != nil {
			return s, err
		}
		s.Organization = &names
	}
	if t == issuance.IndividualValidated || t == issuance.SponsorValidated {
		names, _, err := v.individual(tx, t, organization, person)
		if err != nil {
			return s, err
		}
		s.Individual, s.Display = &names, names.displays()[0]
		if local && names.LocalName != "" {
			s.Display = names.LocalName
		}
	}
	return s, nil
}

// organization reads the good evidence of an organization. It is about the names
// that the organization has: others were not validated.
func (v *Validator) organization(tx *store.Tx, id string) (n OrganizationNames, e store.Evidence, err error) {
	e, err = tx.GoodEvidence(id, "", v.Clock())
	if errors.Is(err, store.ErrNotFound) {
		return n, e, fmt.Errorf("%w: nobody has validated the organization", ErrIdentity)
	}
	if err != nil {
		return n, e, err
	}
	if err := json.Unmarshal([]byte(e.Names), &n); err != nil {
		return n, e, fmt.Errorf("validation: evidence %s: %w", e.ID, err)
	}
	o, err := tx.Organization(id)
	if err != nil {
		return n, e, err
	}
	if now := (OrganizationNames{o.Name, o.Identifier, o.Country, o.State, o.Locality}); now != n {
		return n, e, fmt.Errorf("%w: the organization is called otherwise since it was validated", ErrIdentity)
	}
	return n, e, nil
}

// individual reads who a person is: by evidence of their own, or by what the
// organization that they belong to vouches for.
func (v *Validator) individual(tx *store.Tx, t issuance.Type, organization, person string) (n IndividualNames, e issuance.Evidence, err error) {
	if t == issuance.SponsorValidated {
		return v.vouched(tx, organization, person)
	}
	record, err := tx.GoodEvidence(organization, person, v.Clock())
	if errors.Is(err, store.ErrNotFound) || person == "" {
		return n, e, fmt.Errorf("%w: nobody has validated the person", ErrIdentity)
	}
	if err != nil {
		return n, e, err
	}
	if err := json.Unmarshal([]byte(record.Names), &n); err != nil {
		return n, e, fmt.Errorf("validation: evidence %s: %w", record.ID, err)
	}
	return n, evidenceOf(record), nil
}

func evidenceOf(e store.Evidence) issuance.Evidence {
	return issuance.Evidence{Method: e.Method, Reference: "evidence " + e.ID, Validated: e.Second}
}

// vouched reads what an organization vouches for of a person who belongs to it.
func (v *Validator) vouched(tx *store.Tx, organization, person string) (n IndividualNames, e issuance.Evidence, err error) {
	m, err := tx.Member(organization, person)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return n, e, err
	}
	if err != nil || !m.Until.IsZero() {
		return n, e, fmt.Errorf("%w: the person does not belong to the organization", ErrIdentity)
	}
	if v.Clock().Sub(m.Vouched) >= EvidenceLife {
		return n, e, fmt.Errorf("%w: the organization vouched for the person more than 825 days ago", ErrIdentity)
	}
	if m.Surname == "" {
		return n, e, fmt.Errorf("%w: the person has no surname here", ErrIdentity)
	}
	n = IndividualNames{GivenName: m.GivenName, Surname: m.Surname, LocalName: m.LocalName}
	return n, issuance.Evidence{Method: vouching, Reference: "member " + person + " of " + organization, Validated: m.Vouched}, nil
}

// identified makes the names of an organization and a person for an order from
// the evidence, which must show what the order's snapshot says. The time is when
// the evidence ends.
func (v *Validator) identified(tx *store.Tx, t issuance.Type, o store.Order) (names issuance.Names, until time.Time, err error) {
	snapshot, err := ParseSubject(o.Names)
	if err != nil {
		return names, until, err
	}
	until = v.Clock().Add(EvidenceLife)
	if t == issuance.OrganizationValidated || t == issuance.SponsorValidated {
		n, e, err := v.organization(tx, o.OrganizationID)
		if err != nil {
			return names, until, err
		}
		if snapshot.Organization == nil || *snapshot.Organization != n {
			return names, until, fmt.Errorf("%w: the order was made under another name of the organization", ErrIdentity)
		}
		if names.Organization, err = n.certified(evidenceOf(e)); err != nil {
			return names, until, fmt.Errorf("%w: %w", ErrIdentity, err)
		}
		until = earlier(until, e.Expires)
	}
	if t == issuance.IndividualValidated || t == issuance.SponsorValidated {
		n, e, err := v.individual(tx, t, o.OrganizationID, o.PersonID)
		if err != nil {
			return names, until, err
		}
		if snapshot.Individual == nil || !snapshot.Individual.certifies(n) || !slices.Contains(n.displays(), snapshot.Display) {
			return names, until, fmt.Errorf("%w: the order was made under another name of the person", ErrIdentity)
		}
		if names.Individual, err = n.certified(snapshot.Display, e); err != nil {
			return names, until, fmt.Errorf("%w: %w", ErrIdentity, err)
		}
		until = earlier(until, e.Validated.Add(EvidenceLife))
	}
	return names, until, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
