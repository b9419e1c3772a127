package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/registration"
)

func (h *handler) people() []*route {
	const all = "/api/v1/organizations/{organization}/people"
	return []*route{
		get(all, "listPeople", "An organization's people with their certificates and open orders, by name", lookers, h.listPeople),
		do(all, "addPeople", "Say that people belong to the organization; what is wrong with one keeps out that one alone", managers, h.addPeople).upTo(maxList),
		get(all+"/{person}", "getPerson", "One of an organization's people", lookers, h.getPerson),
		act("PUT", all+"/{person}", "changePerson", "Replace what the organization says of a person", managers, h.changePerson),
		do(all+"/leave", "peopleLeave", "End that people belong to the organization; their certificates stay until they are revoked", managers, h.peopleLeave).upTo(maxList),
	}
}

// personIn is what an organization says of one of its people.
type personIn struct {
	GivenName  string   `json:"given_name,omitempty" max:"64" doc:"In Latin letters."`
	Surname    string   `json:"surname,omitempty" max:"64" doc:"Who has one name only has it here."`
	LocalName  string   `json:"local_name,omitempty" max:"64" doc:"As they write it."`
	Addresses  []string `json:"addresses" min:"1" max:"50"`
	Number     string   `json:"number,omitempty" max:"64" doc:"Of the employee."`
	Department string   `json:"department,omitempty" max:"64"`
	Language   string   `json:"language,omitempty" enum:"en,ja"`
}

func (p personIn) input() registration.PersonInput {
	return registration.PersonInput{
		GivenName: p.GivenName, Surname: p.Surname, LocalName: p.LocalName, Addresses: p.Addresses, Number: p.Number, Department: p.Department, Language: p.Language,
	}
}

type personOut struct {
	ID   string `json:"id"`
	Name string `json:"name" doc:"As they are shown."`
	personIn
	Since        time.Time        `json:"since"`
	Left         *time.Time       `json:"left,omitempty"`
	State        string           `json:"state,omitempty"`
	Certificates []certificateOut `json:"certificates" doc:"The newest first."`
	Orders       []companyOrder   `json:"orders" doc:"That are open."`
}

func personOf(p registration.Person) personOut {
	return personOut{
		ID: p.ID, Name: p.Name,
		personIn: personIn{p.GivenName, p.Surname, p.LocalName, each(p.Addresses), p.Number, p.Department, p.Language},
		Since:    p.Since.UTC(), Left: moment(p.Left), State: string(p.State),
		Certificates: listOf(p.Certificates, "", certificateOf).Items, Orders: listOf(p.Orders, "", companyOrderOf).Items,
	}
}

type peopleQuery struct {
	paged
	Text           string    `json:"text,omitempty" max:"200" doc:"Beginnings of names, addresses, number, department."`
	State          string    `json:"state,omitempty" enum:"without,valid,expiring,expired,revoked,waiting,left"`
	ExpiringBefore time.Time `json:"expiring_before,omitzero" doc:"With state=expiring; in 30 days unless it says so."`
}

func (h *handler) listPeople(c *call, q peopleQuery) (list[personOut], error) {
	all, next, err := h.Registration.People(c.ctx, c.actor, c.org(), registration.PersonQuery{
		Text: q.Text, State: registration.PersonState(q.State), ExpiringBefore: q.ExpiringBefore,
	}, q.page())
	return listOf(all, next, personOf), err
}

type peopleIn struct {
	People []personIn `json:"people" min:"1" max:"5000"`
}

// added is what became of one of several people.
type added struct {
	Person  *personOut `json:"person,omitempty"`
	Problem *problem   `json:"problem,omitempty"`
}

func (h *handler) addPeople(c *call, in peopleIn) (list[added], error) {
	inputs := make([]registration.PersonInput, len(in.People))
	for i, p := range in.People {
		inputs[i] = p.input()
	}
	all, err := h.Registration.AddPeople(c.ctx, c.actor, c.org(), inputs)
	return listOf(all, "", func(a registration.Added) added {
		if a.Err != nil {
			p := h.problem(nil, c.r, a.Err)
			return added{Problem: &p}
		}
		p := personOf(a.Person)
		return added{Person: &p}
	}), err
}

func (h *handler) getPerson(c *call, _ none) (personOut, error) {
	p, err := h.Registration.Person(c.ctx, c.actor, c.org(), c.path("person"))
	return personOf(p), err
}

func (h *handler) changePerson(c *call, in personIn) (personOut, error) {
	p, err := h.Registration.ChangePerson(c.ctx, c.actor, c.org(), c.path("person"), in.input())
	return personOf(p), err
}

func (h *handler) peopleLeave(c *call, in selection) (none, error) {
	return none{}, h.Registration.PeopleLeave(c.ctx, c.actor, c.org(), in.IDs)
}
