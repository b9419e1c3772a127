package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

func (h *handler) organizations() []*route {
	const one = "/api/v1/organizations/{organization}"
	return []*route{
		get("/api/v1/organizations", "listOrganizations", "The organizations that the token may look at", lookers, h.listOrganizations),
		post("/api/v1/organizations", "createOrganization", "Make an organization; its first administrator is the token's account", operators, h.createOrganization),
		get(one, "getOrganization", "One organization", lookers, h.getOrganization),
		act("PUT", one, "renameOrganization", "Change what an organization is called, where it is, and its identifier", managers, h.renameOrganization),
		act("PUT", one+"/settings", "setSettings", "Replace the settings of an organization's certificates", managers, h.setSettings).partlyWaits(),
		act("PUT", one+"/standing", "setStanding", "Suspend an organization, let it go on, or close it; its administrator may close it", roles(auth.Operator, auth.Administrator), h.setStanding),
		get(one+"/four-eyes", "getFourEyes", "Which features that take several people can be used, and why not the others", lookers, h.fourEyes),
		get("/api/v1/agreement", "getAgreement", "The agreement that an organization accepts before it vouches for anybody", anyAccount, h.agreement),
		post(one+"/agreement", "acceptAgreement", "Accept the agreement", managers, h.acceptAgreement).answers(200),
	}
}

// names are those of an organization.
type names struct {
	Name       string `json:"name" min:"1" max:"64" doc:"The legal name in Latin letters, as certificates have it."`
	LocalName  string `json:"local_name,omitempty" max:"64" doc:"In its own script."`
	Country    string `json:"country" min:"2" max:"2" doc:"ISO 3166-1, two letters."`
	State      string `json:"state,omitempty" max:"128"`
	Locality   string `json:"locality,omitempty" max:"128"`
	Identifier string `json:"identifier,omitempty" max:"64" doc:"organizationIdentifier such as NTRJP-7000012050002."`
}

func (n names) organization(id string) registration.Organization {
	return registration.Organization{
		ID: id, Name: n.Name, LocalName: n.LocalName, Country: n.Country, State: n.State, Locality: n.Locality, Identifier: n.Identifier,
	}
}

type organizationOut struct {
	ID string `json:"id"`
	names
	Standing string                `json:"standing" enum:"applied,active,suspended,closed"`
	Settings registration.Settings `json:"settings"`
	Agreed   string                `json:"agreed,omitempty" doc:"The version of the agreement that it accepted last."`
	Created  time.Time             `json:"created"`
	Waits    *changeOut            `json:"waits,omitempty" doc:"What a second member has yet to confirm; all else was done, and the status is 202."`
}

func organizationOf(o registration.Organization) organizationOut {
	return organizationOut{
		ID: o.ID, names: names{o.Name, o.LocalName, o.Country, o.State, o.Locality, o.Identifier},
		Standing: string(o.Standing), Settings: o.Settings, Agreed: o.Agreed, Created: o.Created.UTC(),
	}
}

type organizationQuery struct {
	paged
	Standing string `json:"standing,omitempty" enum:"applied,active,suspended,closed"`
}

func (h *handler) listOrganizations(c *call, q organizationQuery) (list[organizationOut], error) {
	all, next, err := h.Registration.Organizations(c.ctx, c.actor, registration.Standing(q.Standing), q.page())
	return listOf(all, next, organizationOf), err
}

func (h *handler) createOrganization(c *call, in names) (organizationOut, error) {
	o, err := h.Registration.CreateOrganization(c.ctx, c.actor, in.organization(""), "")
	return organizationOf(o), err
}

func (h *handler) getOrganization(c *call, _ none) (organizationOut, error) {
	o, err := h.Registration.Organization(c.ctx, c.actor, c.org())
	return organizationOf(o), err
}

func (h *handler) renameOrganization(c *call, in names) (organizationOut, error) {
	o, err := h.Registration.RenameOrganization(c.ctx, c.actor, in.organization(c.org()))
	return organizationOf(o), err
}

func (h *handler) setSettings(c *call, in registration.Settings) (organizationOut, error) {
	o, err := h.Registration.SetSettings(c.ctx, c.actor, c.org(), in)
	out := organizationOf(o)
	out.Waits, err = c.waits(err)
	return out, err
}

type standingIn struct {
	Standing string `json:"standing" enum:"active,suspended,closed"`
}

func (h *handler) setStanding(c *call, in standingIn) (organizationOut, error) {
	o, err := h.Registration.SetStanding(c.ctx, c.actor, c.org(), registration.Standing(in.Standing))
	return organizationOf(o), err
}

type fourEyesOut struct {
	Approval feature `json:"approval" doc:"Orders are decided by somebody other than who asked."`
	Evidence feature `json:"evidence" doc:"OV, IV and IV+OV: two decide about evidence that a third submitted."`
}

type feature struct {
	On     bool   `json:"on"`
	Why    string `json:"why,omitempty" doc:"Why not."`
	Code   string `json:"code,omitempty" doc:"The same for programs."`
	People int    `json:"people" doc:"Who could take part."`
	Needed int    `json:"needed"`
}

func (h *handler) fourEyes(c *call, _ none) (fourEyesOut, error) {
	eyes, err := h.Registration.FourEyes(c.ctx, c.actor, c.org())
	show := func(f registration.FourEyesState) feature {
		return feature{f.On, f.Text(language(c.r)), f.Why, f.People, f.Needed}
	}
	return fourEyesOut{show(eyes.Approval), show(eyes.Evidence)}, err
}

type agreementQuery struct {
	Language string `json:"language,omitempty" enum:"en,ja"`
}

type agreementOut struct {
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	Text    string    `json:"text"`
}

func (h *handler) agreement(_ *call, q agreementQuery) (agreementOut, error) {
	if q.Language == "" {
		q.Language = "en"
	}
	a, err := h.Registration.Agreement(q.Language)
	return agreementOut{a.Version, a.Since.UTC(), a.Text}, err
}

type acceptIn struct {
	Version string `json:"version" min:"1" max:"20"`
}

func (h *handler) acceptAgreement(c *call, in acceptIn) (organizationOut, error) {
	o, err := h.Registration.AcceptAgreement(c.ctx, c.actor, c.org(), in.Version)
	return organizationOf(o), err
}
