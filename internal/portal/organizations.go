package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Organizations is what the pages of organizations need of registration.Service.
type Organizations interface {
	CreateOrganization(ctx context.Context, actor auth.Actor, o registration.Organization, administrator string) (registration.Organization, error)
	RenameOrganization(ctx context.Context, actor auth.Actor, o registration.Organization) (registration.Organization, error)
	Organization(ctx context.Context, actor auth.Actor, id string) (registration.Organization, error)
	Organizations(ctx context.Context, actor auth.Actor, standing registration.Standing, page registration.Page) ([]registration.Organization, string, error)
	SetStanding(ctx context.Context, actor auth.Actor, id string, to registration.Standing) (registration.Organization, error)
	SetSettings(ctx context.Context, actor auth.Actor, id string, s registration.Settings) (registration.Organization, error)
	FourEyes(ctx context.Context, actor auth.Actor, id string) (registration.FourEyes, error)
	Agreement(language string) (registration.Agreement, error)
	AcceptAgreement(ctx context.Context, actor auth.Actor, id, version string) (registration.Organization, error)
}

type chooseView struct {
	Organizations []registration.Organization
	Shares        []candidate // organizations of which the account is an officer and may see nothing else
	Waiting       []auth.WaitingRole
	Pager         pager
}

// choose lists the organizations of whoever is signed in.
func (p *portal) choose(w http.ResponseWriter, r *http.Request) error {
	v, _ := visitOf(r.Context())
	if len(v.Grants) == 0 && len(v.Withheld) > 0 {
		return seeOther(w, r, "/admin/account")
	}
	own := v.Actor()
	shares, err := p.sharesOf(r.Context(), own)
	if err != nil {
		return err
	}
	waiting, err := p.waitingRoles(r)
	if err != nil {
		return err
	}
	if !own.Has(auth.Operator, "") { // the operator's own are among all
		list, next, err := p.Registration.Organizations(r.Context(), own, "", registration.Page{After: r.URL.Query().Get("after")})
		if err != nil {
			return err
		}
		return p.render(w, r, http.StatusOK, "choose", chooseView{list, shares, waiting, nextPage(r, next)})
	}
	var list []registration.Organization
	for _, id := range own.Organizations() {
		o, err := p.Registration.Organization(r.Context(), own, id)
		if err != nil {
			return err
		}
		list = append(list, o)
	}
	return p.render(w, r, http.StatusOK, "choose", chooseView{list, shares, waiting, pager{}})
}

type organizationView struct {
	ID   string // "" for a new one
	Form form
}

func (p *portal) organizationForm(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "organization", organizationView{Form: filled("country", countryOf(p.tongueOf(r)))})
}

// countryOf is the country that somebody who reads a language is likely in.
func countryOf(t *tongue) string {
	if t.tag == "ja" {
		return "JP"
	}
	return ""
}

func readOrganization(f form) registration.Organization {
	return registration.Organization{
		Name: f.Value("name"), LocalName: f.Value("local_name"), Country: f.Value("country"),
		State: f.Value("state"), Locality: f.Value("locality"), Identifier: f.Value("identifier"),
	}
}

func (p *portal) createOrganization(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	v, _ := visitOf(r.Context())
	f := formOf(r)
	o, err := p.Registration.CreateOrganization(r.Context(), v.Actor(), readOrganization(f), "")
	if f.taken(err) {
		return p.render(w, r, http.StatusUnprocessableEntity, "organization", organizationView{Form: f})
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+o.ID)
}

func (p *portal) namesForm(w http.ResponseWriter, r *http.Request, v visit) error {
	o := v.organization
	f := filled("name", o.Name, "local_name", o.LocalName, "country", o.Country, "state", o.State, "locality", o.Locality, "identifier", o.Identifier)
	return p.render(w, r, http.StatusOK, "organization", organizationView{o.ID, f})
}

func (p *portal) rename(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	o := readOrganization(f)
	o.ID = v.organization.ID
	_, err := p.Registration.RenameOrganization(r.Context(), v.Actor(), o)
	if f.taken(err) {
		return p.render(w, r, http.StatusUnprocessableEntity, "organization", organizationView{o.ID, f})
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+o.ID+"/settings?saved")
}

type agreementView struct {
	Organization        string
	Version             string
	Paragraphs          []string
	Accepted, MayAccept bool
	Form                form
}

// fullLine is how wide a line is that was broken because it was full.
const fullLine = 60

// paragraphs takes out of a text the breaks that only keep its lines short: on a
// narrow screen they would be in the way.
func paragraphs(text string) (list []string) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var b strings.Builder
		last := ""
		for line := range strings.SplitSeq(block, "\n") {
			words := strings.TrimLeft(line, " ")
			switch {
			case last == "":
			case words == line || columnsOf(last) < fullLine:
				b.WriteByte('\n')
			case last[len(last)-1] < utf8.RuneSelf: // words are apart; Japanese ones are not
				b.WriteByte(' ')
			}
			b.WriteString(words)
			last = line
		}
		list = append(list, b.String())
	}
	return list
}

// columnsOf is how wide a line of a fixed pitch is; Japanese letters take two.
func columnsOf(line string) (n int) {
	for _, r := range line {
		if n++; r >= 0x1100 {
			n++
		}
	}
	return n
}

func (p *portal) agreement(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showAgreement(w, r, v, http.StatusOK, form{})
}

func (p *portal) showAgreement(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	a, err := p.Registration.Agreement(p.tongueOf(r).tag)
	if err != nil {
		return err
	}
	return p.render(w, r, status, "agreement", agreementView{
		v.organization.ID, a.Version, paragraphs(a.Text), v.organization.Agreed == a.Version, v.administers(), f,
	})
}

func (p *portal) acceptAgreement(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	if f.Value("accept") == "" {
		f.wrong("accept", "agreement.error.accept")
		return p.showAgreement(w, r, v, http.StatusUnprocessableEntity, f)
	}
	_, err := p.Registration.AcceptAgreement(r.Context(), v.Actor(), v.organization.ID, f.Value("version"))
	if f.taken(err) { // a newer one came into force while they read
		return p.showAgreement(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID)
}

type settingsView struct {
	Organization string
	Form         form
	Warnings     []settingsWarning
	Saved, May   bool
	Waits        bool // something waits for a second member
}

// settingsWarning is what whoever chose the settings should know.
type settingsWarning struct {
	Key  string // of what it is about, where the text does not say that
	Text string
}

func (p *portal) settings(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showSettings(w, r, v, http.StatusOK, formOfSettings(v.organization.Settings))
}

func formOfSettings(s registration.Settings) form {
	f := filled("kind", s.Kind, "generation", s.Generation, "issuer", s.Issuer, "keys", s.Keys, "algorithm", s.Algorithm,
		"names", s.Names, "language", s.Language, "validity", strconv.Itoa(s.Validity))
	for name, on := range map[string]bool{"split": s.Split, "escrow": s.Escrow, "approval": s.Approval, "renew": s.Renew} {
		if on {
			f.Values.Set(name, "yes")
		}
	}
	return f
}

// showSettings shows them with what whoever chose them should know, and what
// four eyes would need.
func (p *portal) showSettings(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	view := settingsView{
		Organization: v.organization.ID, Form: f, May: v.administers(), Saved: status == http.StatusOK && r.URL.Query().Has("saved"),
	}
	t := p.tongueOf(r)
	eyes, err := p.Registration.FourEyes(r.Context(), v.Actor(), v.organization.ID)
	if err != nil {
		return err
	}
	for _, key := range v.organization.Settings.Warnings() {
		view.Warnings = append(view.Warnings, settingsWarning{"", registration.Text(t.tag, key)})
	}
	for _, feature := range []struct {
		key   string
		state registration.FourEyesState
	}{{"settings.eyes.approval", eyes.Approval}, {"settings.eyes.evidence", eyes.Evidence}} {
		if !feature.state.On {
			view.Warnings = append(view.Warnings, settingsWarning{feature.key, feature.state.Text(t.tag)})
		}
	}
	if view.Waits, err = p.changesWait(r, v.organization.ID); err != nil {
		return err
	}
	return p.render(w, r, status, "settings", view)
}

func (p *portal) saveSettings(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	s := registration.Settings{
		Kind: f.Value("kind"), Generation: f.Value("generation"), Issuer: f.Value("issuer"), Keys: f.Value("keys"),
		Algorithm: f.Value("algorithm"), Names: f.Value("names"), Language: f.Value("language"),
		Split: f.Value("split") != "", Escrow: f.Value("escrow") != "", Approval: f.Value("approval") != "", Renew: f.Value("renew") != "",
	}
	s.Validity, _ = strconv.Atoi(f.Value("validity")) // what is no number is refused below, as 0
	_, err := p.Registration.SetSettings(r.Context(), v.Actor(), v.organization.ID, s)
	if f.taken(err) {
		return p.showSettings(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if _, waits := errors.AsType[*auth.WaitsError](err); waits { // all else was saved
		return seeOther(w, r, rolesPath(v.organization.ID)+"?done=waits")
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/settings?saved")
}

type organizationsView struct {
	Organizations []registration.Organization
	Pager         pager
	Notice        *notice
	May           bool
}

// pager leads to the pages of a list before and after this one.
type pager struct{ Previous, Next string }

// nextPage is a pager for a list whose next page begins after a mark; the way back
// is to its beginning, because marks lead forward only.
func nextPage(r *http.Request, mark string) pager {
	return pagerAt(r.URL.Path, r.URL.Query(), mark)
}

// pagerAt is [nextPage] for a list that is not at the request's own address.
func pagerAt(path string, query url.Values, mark string) (p pager) {
	query.Del("done")
	if query.Get("after") != "" {
		query.Del("after")
		p.Previous = path + "?" + query.Encode()
	}
	if mark != "" {
		query.Set("after", mark)
		p.Next = path + "?" + query.Encode()
	}
	return p
}

// organizations are all of them, for the operator.
func (p *portal) organizations(w http.ResponseWriter, r *http.Request) error {
	v, _ := visitOf(r.Context())
	list, next, err := p.Registration.Organizations(r.Context(), v.Actor(), "", registration.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "organizations", organizationsView{
		list, nextPage(r, next), doneNotice(r, map[string]string{"standing": "organizations.changed"}), v.Actor().Has(auth.Operator, ""),
	})
}

func (p *portal) setStanding(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	v, _ := visitOf(r.Context())
	to := registration.Standing(r.PostFormValue("standing"))
	if !slices.Contains([]registration.Standing{registration.StandingActive, registration.StandingSuspended}, to) {
		return errUnreadable
	}
	if _, err := p.Registration.SetStanding(r.Context(), v.Actor(), r.PostFormValue("id"), to); err != nil {
		return err
	}
	return seeOther(w, r, "/admin/organizations?done=standing")
}

func seeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
