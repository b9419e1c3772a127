package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/registration"
)

func (h *handler) domains() []*route {
	const all = "/api/v1/organizations/{organization}/domains"
	return []*route{
		get(all, "listDomains", "An organization's mail domains", lookers, h.listDomains),
		post(all, "addDomain", "Say that a domain is the organization's; the answer has the DNS record that proves it", managers, h.addDomain),
		do(all+"/{domain}/check", "checkDomain", "Look now whether the DNS shows the record", managers, h.checkDomain),
		act("DELETE", all+"/{domain}", "removeDomain", "Take a domain from the organization; certificates that exist stay", managers, h.removeDomain),
	}
}

type domainOut struct {
	ID          string     `json:"id"`
	Name        string     `json:"name" doc:"A-labels"`
	State       string     `json:"state" enum:"waiting,proven,lapsed"`
	RecordName  string     `json:"record_name" doc:"Where the DNS is to have the TXT record."`
	RecordValue string     `json:"record_value" doc:"What it is to say."`
	Created     time.Time  `json:"created"`
	Checked     *time.Time `json:"checked,omitempty"`
	Proven      *time.Time `json:"proven,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Problem     string     `json:"problem,omitempty" doc:"What the last look found instead."`
	Code        string     `json:"code,omitempty" doc:"The same for programs: a word, and what belongs to it."`
}

func domainOf(language string) func(registration.Domain) domainOut {
	return func(d registration.Domain) domainOut {
		return domainOut{
			d.ID, d.Name, string(d.State), d.RecordName, d.RecordValue, d.Created.UTC(), moment(d.Checked), moment(d.Proven), moment(d.Expires), d.Problem(language), d.Trouble,
		}
	}
}

func (h *handler) listDomains(c *call, _ none) (list[domainOut], error) {
	all, err := h.Registration.Domains(c.ctx, c.actor, c.org())
	return listOf(all, "", domainOf(language(c.r))), err
}

type domainIn struct {
	Name string `json:"name" min:"1" max:"253"`
}

func (h *handler) addDomain(c *call, in domainIn) (domainOut, error) {
	d, err := h.Registration.AddDomain(c.ctx, c.actor, c.org(), in.Name)
	return domainOf(language(c.r))(d), err
}

func (h *handler) checkDomain(c *call, _ none) (domainOut, error) {
	d, err := h.Registration.CheckDomain(c.ctx, c.actor, c.org(), c.path("domain"))
	return domainOf(language(c.r))(d), err
}

func (h *handler) removeDomain(c *call, _ none) (none, error) {
	return none{}, h.Registration.RemoveDomain(c.ctx, c.actor, c.org(), c.path("domain"))
}
