package portal

import (
	"context"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Domains is what the page of domains needs of registration.Service.
type Domains interface {
	AddDomain(ctx context.Context, actor auth.Actor, organization, name string) (registration.Domain, error)
	Domains(ctx context.Context, actor auth.Actor, organization string) ([]registration.Domain, error)
	CheckDomain(ctx context.Context, actor auth.Actor, organization, id string) (registration.Domain, error)
	RemoveDomain(ctx context.Context, actor auth.Actor, organization, id string) error
}

type domainsView struct {
	Organization string
	Form         form
	Domains      []domainRow
	May          bool
}

type domainRow struct {
	ID, Name, State, RecordName, RecordValue, Problem string
	Checked, Proven, Expires                          time.Time
}

func (p *portal) domains(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showDomains(w, r, v, http.StatusOK, form{})
}

func (p *portal) showDomains(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	list, err := p.Registration.Domains(r.Context(), v.Actor(), v.organization.ID)
	if err != nil {
		return err
	}
	view := domainsView{Organization: v.organization.ID, Form: f, May: v.administers()}
	for _, d := range list {
		view.Domains = append(view.Domains, domainRow{
			d.ID, d.Name, string(d.State), d.RecordName, d.RecordValue, d.Problem(p.tongueOf(r).tag), d.Checked, d.Proven, d.Expires,
		})
	}
	return p.render(w, r, status, "domains", view)
}

func (p *portal) addDomain(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	_, err := p.Registration.AddDomain(r.Context(), v.Actor(), v.organization.ID, f.Value("name"))
	return p.domainDone(w, r, v, f, err)
}

// checkDomain asks the DNS. That it does not say yet what it should stands on
// the page, beside the record.
func (p *portal) checkDomain(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	_, err := p.Registration.CheckDomain(r.Context(), v.Actor(), v.organization.ID, f.Value("id"))
	return p.domainDone(w, r, v, f, err)
}

func (p *portal) removeDomain(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	return p.domainDone(w, r, v, f, p.Registration.RemoveDomain(r.Context(), v.Actor(), v.organization.ID, f.Value("id")))
}

func (p *portal) domainDone(w http.ResponseWriter, r *http.Request, v visit, f form, err error) error {
	if f.taken(err) {
		return p.showDomains(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/domains")
}
