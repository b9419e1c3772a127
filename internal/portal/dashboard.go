package portal

import (
	"context"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Figures counts what the dashboard shows.
type Figures interface {
	Figures(ctx context.Context, actor auth.Actor, organization string) (OrganizationFigures, error)
}

// OrganizationFigures are the numbers of an organization's dashboard.
type OrganizationFigures struct {
	People, Without         int
	Valid, Revoked, Expired int            // certificates
	Ending                  [3]int         // of the valid ones, in 30, 60 and 90 days
	Waiting                 map[string]int // open orders by whom they wait for
	Months                  []int          // certificates that end in this month and the next ones
}

type dashboardView struct {
	Name, Standing string
	Steps          []dashboardStep // the first ones, until they are done
	Single         bool
	Organization   string
	Waits          bool // something waits for a second member
	Numbers        []bar
	Certificates   bars
	Months         columns
}

type dashboardStep struct {
	Key, Path string
	Done      bool
}

func (p *portal) dashboard(w http.ResponseWriter, r *http.Request, v visit) error {
	o := v.organization
	figures, err := p.Figures.Figures(r.Context(), v.Actor(), o.ID)
	if err != nil {
		return err
	}
	domains, err := p.Registration.Domains(r.Context(), v.Actor(), o.ID)
	if err != nil {
		return err
	}
	eyes, err := p.Registration.FourEyes(r.Context(), v.Actor(), o.ID)
	if err != nil {
		return err
	}
	view := dashboardView{Name: o.Name, Standing: string(o.Standing), Single: !eyes.Approval.On, Organization: o.ID}
	if v.administers() {
		view.Steps = firstSteps(o, domains, figures.People)
	}
	base, waiting := "/org/"+o.ID, 0
	for _, n := range figures.Waiting {
		waiting += n
	}
	view.Numbers = []bar{
		{Key: "dashboard.people", Href: base + "/people", Value: figures.People},
		{Key: "dashboard.valid", Href: base + "/people?state=valid", Value: figures.People - figures.Without},
		{Key: "dashboard.without", Href: base + "/people?state=without", Value: figures.Without},
		{Key: "dashboard.waiting", Href: base + "/orders?waiting=all", Value: waiting},
		{Key: "dashboard.approval", Href: base + "/orders?waiting=approval", Value: figures.Waiting["approval"]},
	}
	view.Certificates = newBars("certificates", "dashboard.certificates", []bar{
		{Key: "dashboard.bar.valid", Value: figures.Valid, Class: "valid", Href: base + "/people?state=valid"},
		{Key: "dashboard.bar.waiting", Value: waiting, Class: "waiting", Href: base + "/orders?waiting=all"},
		{Key: "dashboard.bar.30", Value: figures.Ending[0], Class: "soon", Href: base + "/people?state=expiring&days=30"},
		{Key: "dashboard.bar.60", Value: figures.Ending[1], Class: "soon", Href: base + "/people?state=expiring&days=60"},
		{Key: "dashboard.bar.90", Value: figures.Ending[2], Class: "soon", Href: base + "/people?state=expiring&days=90"},
		{Key: "dashboard.bar.revoked", Value: figures.Revoked, Class: "revoked", Href: base + "/people?state=revoked"},
	})
	if view.Waits, err = p.changesWait(r, o.ID); err != nil {
		return err
	}
	view.Months = newColumns("months", "dashboard.months", p.tongueOf(r).months(p.Now(), figures.Months))
	return p.render(w, r, http.StatusOK, "dashboard", view)
}

// firstSteps are what a new organization does first; none when all is done.
func firstSteps(o registration.Organization, domains []registration.Domain, people int) []dashboardStep {
	proven := false
	for _, d := range domains {
		proven = proven || d.State == registration.DomainProven
	}
	base := "/org/" + o.ID
	steps := []dashboardStep{
		{"dashboard.step.agreement", base + "/agreement", o.Agreed != ""},
		{"dashboard.step.domain", base + "/domains", proven},
		{"dashboard.step.settings", base + "/settings", people > 0 || o.Settings != registration.DefaultSettings()},
		{"dashboard.step.people", base + "/import", people > 0},
	}
	for _, s := range steps {
		if !s.Done {
			return steps
		}
	}
	return nil
}

// months are the columns of a plot over months, from this one on.
func (t *tongue) months(now time.Time, values []int) (list []column) {
	first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	for i, n := range values {
		at := first.AddDate(0, i, 0)
		short, long := at.Format("Jan"), at.Format("January 2006")
		if t.tag == "ja" {
			short, long = at.Format("1月"), at.Format("2006年1月")
		}
		list = append(list, column{Label: short, Month: long, Value: n})
	}
	return list
}
