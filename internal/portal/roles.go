package portal

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
)

// The pages of roles are two with the same parts: of the whole installation, and
// of one organization.
func (p *portal) roleRoutes(handle func(pattern string, h handler)) {
	for _, place := range []struct {
		path string
		see  func(auth.Actor, string) bool
		give func(auth.Actor, string) bool
	}{
		{"/admin/accounts", may(auth.Operator, auth.Auditor), may(auth.Operator)},
		{"/org/{org}/accounts", may(auth.Operator, auth.Auditor, auth.Administrator, auth.Approver), may(auth.Operator, auth.Administrator)},
	} {
		in := p.signedIn
		if strings.Contains(place.path, "{org}") {
			in = p.within
		}
		handle("GET "+place.path, in(place.see, p.accounts))
		for act, h := range map[string]handler{
			"invite": p.invite, "uninvite": p.uninvite, "give": p.giveRole, "take": p.takeRole, "reset": p.resetAccount, "remove": p.removeAccount,
		} {
			handle("POST "+place.path+"/"+act, in(place.give, h))
		}
	}
	decides := may(auth.Operator, auth.Administrator, auth.Approver)
	handle("POST /org/{org}/accounts/confirm", p.within(decides, p.confirmChange))
	handle("POST /org/{org}/accounts/refuse", p.within(decides, p.refuseChange))
}

// accountsView is the page with accounts and their roles.
type accountsView struct {
	Form         form
	Path         string
	Organization string
	Accounts     []auth.AccountInfo
	Invitations  []auth.Invitation
	Roles        []auth.Role // that belong here
	Me           string      // id of whoever looks
	May          bool        // give roles and take them back
	Remove       bool        // end accounts
	Changes      []changeRow // that wait for a second member
	Notice       *notice
}

// rolesNotices are the words that this page is led back to with.
var rolesNotices = map[string]string{
	"waits": "changes.asked", "confirmed": "changes.confirmed", "refused": "changes.refused",
}

// Place is where the page stands in the navigation.
func (v accountsView) Place() string {
	if v.Organization != "" {
		return "roles"
	}
	return "accounts"
}

// Free are the roles that an account could get here.
func (v accountsView) Free(a auth.AccountInfo) []auth.Role {
	var free []auth.Role
	for _, role := range v.Roles {
		fits := a.ID != v.Me
		for _, g := range a.Grants {
			fits = fits && (g.Role != role || g.Organization != v.Organization) && !g.Role.Apart(role)
		}
		if fits {
			free = append(free, role)
		}
	}
	return free
}

func rolesPath(organization string) string {
	if organization == "" {
		return "/admin/accounts"
	}
	return "/org/" + organization + "/accounts"
}

func (p *portal) accounts(w http.ResponseWriter, r *http.Request) error {
	return p.showAccounts(w, r, http.StatusOK, form{})
}

func (p *portal) showAccounts(w http.ResponseWriter, r *http.Request, status int, f form) error {
	visit, _ := visitOf(r.Context())
	by, organization := visit.Actor(), r.PathValue("org")
	v := accountsView{Form: f, Path: rolesPath(organization), Organization: organization, Me: by.ID}
	var err error
	if v.Accounts, err = p.Accounts.Accounts(r.Context(), by, organization); err != nil {
		return err
	}
	if v.Invitations, err = p.Accounts.Invitations(r.Context(), by, organization); err != nil {
		return err
	}
	v.Notice = doneNotice(r, rolesNotices)
	if organization != "" {
		if v.Changes, err = p.changesIn(r, organization); err != nil {
			return err
		}
	}
	for _, role := range auth.Roles {
		if role.OfOrganization() == (organization != "") {
			v.Roles = append(v.Roles, role)
		}
	}
	if organization == "" {
		v.May = by.Has(auth.Operator, "")
		v.Remove = v.May
	} else {
		v.May = by.Has(auth.Administrator, organization) || by.Has(auth.Operator, "")
	}
	return p.render(w, r, status, "accounts", v)
}

// rolesDone leads back to the page after a change, or shows it with what was
// wrong.
func (p *portal) rolesDone(w http.ResponseWriter, r *http.Request, err error) error {
	f := form{Values: r.PostForm}
	if _, waits := errors.AsType[*auth.WaitsError](err); waits {
		return seeOther(w, r, rolesPath(r.PathValue("org"))+"?done=waits")
	}
	switch {
	case err == nil:
		http.Redirect(w, r, rolesPath(r.PathValue("org")), http.StatusSeeOther)
		return nil
	case errors.Is(err, auth.ErrEmail):
		f.wrong("email", "claim.error.email")
	case errors.Is(err, auth.ErrRole):
		return errUnreadable
	case errors.Is(err, auth.ErrApart):
		f.wrong("", "accounts.error.apart")
	case errors.Is(err, auth.ErrState):
		f.wrong("", "accounts.error.noroles")
	case errors.Is(err, auth.ErrLast):
		f.wrong("", "accounts.error.last")
	case errors.Is(err, auth.ErrTooMany):
		f.wrong("", "accounts.error.toomany")
	case errors.Is(err, auth.ErrForbidden):
		f.wrong("", "accounts.error.forbidden")
	default:
		return err
	}
	return p.showAccounts(w, r, http.StatusUnprocessableEntity, f)
}

// grantIn is the role that a form names, in the organization of its address.
func grantIn(r *http.Request) auth.Grant {
	return auth.Grant{Role: auth.Role(r.PostFormValue("role")), Organization: r.PathValue("org")}
}

func (p *portal) invite(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	_, err := p.Accounts.Invite(r.Context(), visit.Actor(), r.PostFormValue("email"), r.PostFormValue("language"), grantIn(r))
	return p.rolesDone(w, r, err)
}

func (p *portal) uninvite(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	return p.rolesDone(w, r, p.Accounts.Uninvite(r.Context(), visit.Actor(), r.PostFormValue("id")))
}

func (p *portal) giveRole(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	return p.rolesDone(w, r, p.Accounts.GiveRole(r.Context(), visit.Actor(), r.PostFormValue("id"), grantIn(r)))
}

func (p *portal) takeRole(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	return p.rolesDone(w, r, p.Accounts.TakeRole(r.Context(), visit.Actor(), r.PostFormValue("id"), grantIn(r)))
}

func (p *portal) removeAccount(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	return p.rolesDone(w, r, p.Accounts.Remove(r.Context(), visit.Actor(), r.PostFormValue("id")))
}

func (p *portal) resetAccount(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	return p.rolesDone(w, r, p.Accounts.Reset(r.Context(), visit.Actor(), r.PostFormValue("id"), p.tongueOf(r).tag))
}
