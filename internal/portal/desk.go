package portal

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// place is one stop of the navigation. Pages are named after it, or say in
// trails below which place they belong to.
type place struct {
	page string // name of the page; "nav.<page>" is the text of the link
	path string // {org} stands for the organization that is looked at
	may  func(auth.Actor, string) bool
}

// section is one part of the navigation.
type section struct {
	key    string // of its heading
	places []place
}

// may are those who may do or see something: one of these roles.
func may(roles ...auth.Role) func(auth.Actor, string) bool {
	return func(a auth.Actor, organization string) bool {
		for _, role := range roles {
			if role.OfOrganization() && a.Has(role, organization) || !role.OfOrganization() && a.Has(role, "") {
				return true
			}
		}
		return false
	}
}

// sections are the whole navigation, in its order. What somebody may not open is
// not shown to them; that they may not is decided where it is done, not here.
var sections = []section{
	{"nav.organization", []place{
		{"dashboard", "/org/{org}", auth.Actor.MayRead},
		{"people", "/org/{org}/people", auth.Actor.MayRead},
		{"import", "/org/{org}/import", may(auth.Administrator)},
		{"adopt", "/org/{org}/adopt", may(auth.Administrator)},
		{"orders", "/org/{org}/orders", auth.Actor.MayRead},
		{"domains", "/org/{org}/domains", auth.Actor.MayRead},
		{"colleagues", "/org/{org}/colleagues", auth.Actor.MayRead},
		{"recovery", "/org/{org}/recovery", seesRecovery},
		{"statistics", "/org/{org}/reports", auth.Actor.MayRead},
		{"orgaudit", "/org/{org}/audit", auth.Actor.MayRead},
		{"roles", "/org/{org}/accounts", may(auth.Operator, auth.Auditor, auth.Administrator, auth.Approver)},
		{"settings", "/org/{org}/settings", auth.Actor.MayRead},
	}},
	{"nav.authority", []place{
		{"overview", "/admin", may(auth.Operator, auth.Auditor)},
		{"organizations", "/admin/organizations", may(auth.Operator, auth.Auditor)},
		{"evidence", "/admin/evidence", may(auth.Validator, auth.Auditor)},
		{"authorities", "/admin/authorities", may(auth.Operator, auth.Auditor)},
		{"reports", "/admin/reports", may(auth.Operator)},
		{"jobs", "/admin/jobs", may(auth.Operator, auth.Auditor)},
		{"accounts", "/admin/accounts", may(auth.Operator, auth.Auditor)},
		{"audit", "/admin/audit", may(auth.Operator, auth.Auditor)},
	}},
	{"nav.own", []place{
		{"choose", "/org", anyAccount},
		{"account", "/admin/account", anyAccount},
		{"tokens", "/admin/tokens", anyAccount},
	}},
}

// trails lead from pages that are no places themselves to the page above.
var trails = map[string]string{
	"revoke": "overview", "app": "account", "recoverycodes": "account", "again": "account",
	"person": "people", "personform": "people", "preview": "import", "run": "import",
	"agreement": "settings", "organization": "settings", "roots": "settings", "lookup": "colleagues", "printed": "statistics",
}

// visit is a request of somebody who is signed in.
type visit struct {
	auth.Session
	organization registration.Organization // whose pages these are; its zero value outside
}

// administers tells whether who looks may change what they look at.
func (v visit) administers() bool { return v.Actor().Has(auth.Administrator, v.organization.ID) }

type visitKey struct{}

// visitOf is who is looking, if anyAccount is signed in.
func visitOf(ctx context.Context) (visit, bool) {
	v, ok := ctx.Value(visitKey{}).(visit)
	return v, ok
}

// signedIn is a page of an account's: whoever is not signed in is sent to do so,
// and what is done there is entered as theirs. What the account may do is for
// the room below to decide; may keeps those from a page who have no use for it.
func (p *portal) signedIn(may func(auth.Actor, string) bool, page handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		session, _, err := p.administrator(r)
		if errors.Is(err, auth.ErrNoSession) {
			return p.toSignIn(w, r)
		}
		if err != nil {
			return err
		}
		if !may(session.Actor(), r.PathValue("org")) {
			if len(session.Withheld) > 0 { // until there is a second factor
				http.Redirect(w, r, "/admin/account", http.StatusSeeOther)
				return nil
			}
			return auth.ErrForbidden
		}
		r = r.WithContext(visiting(r.Context(), visit{Session: session}))
		// Before the pages copy the request: what was sent may have to wait.
		if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), formMedia) {
			if err := readForm(r); err != nil {
				return err
			}
		}
		err = page(w, r)
		if errors.Is(err, auth.ErrAgain) && p.Accounts != nil && !strings.Contains(r.Header.Get("Accept"), "application/json") {
			return p.showAgain(w, r, http.StatusForbidden, againAsked(r))
		}
		return err
	}
}

// formMedia is how a form without files is sent.
const formMedia = "application/x-www-form-urlencoded"

// inOrganization is a page of an organization's, whose number is in the path.
func (p *portal) inOrganization(may func(auth.Actor, string) bool, page func(w http.ResponseWriter, r *http.Request, v visit) error) handler {
	return p.signedIn(may, func(w http.ResponseWriter, r *http.Request) error {
		v, _ := visitOf(r.Context())
		o, err := p.Registration.Organization(r.Context(), v.Actor(), r.PathValue("org"))
		if err != nil {
			return err
		}
		v.organization = o
		return page(w, r.WithContext(visiting(r.Context(), v)), v)
	})
}

// within is inOrganization for a page that takes from the request what it needs.
func (p *portal) within(may func(auth.Actor, string) bool, page handler) handler {
	return p.inOrganization(may, func(w http.ResponseWriter, r *http.Request, _ visit) error { return page(w, r) })
}

// visiting is a context that knows who is looking.
func visiting(ctx context.Context, v visit) context.Context {
	return context.WithValue(audit.WithActor(ctx, v.Actor().String()), visitKey{}, v)
}

// desk is the frame around the pages of somebody who is signed in.
type desk struct {
	Who          string // sign-in name
	Organization registration.Organization
	Sections     []deskSection
	Below        bool    // the page is below the organization's first one
	Trail        []crumb // the pages above this one, from the top
}

type deskSection struct {
	Key    string
	Places []deskPlace
}

type deskPlace struct {
	Key, Path string
	Current   bool
}

type crumb struct{ Key, Path string }

// deskOf is the frame of a page, or nil where nobody is signed in.
func deskOf(ctx context.Context, page string) *desk {
	v, ok := visitOf(ctx)
	if !ok {
		return nil
	}
	d := &desk{Who: v.Account.Email, Organization: v.organization, Below: v.organization.ID != "" && page != "dashboard"}
	above := topOf(page)
	if page == "roots" && v.organization.ID == "" { // everybody's
		above = "authorities"
	}
	for _, s := range sections {
		var shown []deskPlace
		for _, pl := range s.places {
			outside := strings.Contains(pl.path, "{org}") && v.organization.ID == ""
			if outside || !pl.may(v.Actor(), v.organization.ID) {
				continue
			}
			path := strings.ReplaceAll(pl.path, "{org}", v.organization.ID)
			shown = append(shown, deskPlace{"nav." + pl.page, path, pl.page == above})
			if pl.page == above && pl.page != page {
				d.Trail = append(d.Trail, crumb{"nav." + pl.page, path})
			}
		}
		if len(shown) > 0 {
			d.Sections = append(d.Sections, deskSection{s.key, shown})
		}
	}
	return d
}

// topOf is the place that a page belongs to.
func topOf(page string) string {
	if above, ok := trails[page]; ok {
		return topOf(above)
	}
	return page
}
