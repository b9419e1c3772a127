package portal

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
)

func (p *portal) tokenRoutes(handle func(pattern string, h handler)) {
	own := func(h handler) handler { return p.signedIn(anyAccount, h) }
	handle("GET /admin/tokens", own(p.tokens))
	handle("POST /admin/tokens", own(p.newToken))
	handle("POST /admin/tokens/revoke", own(p.revokeToken))
}

// tokensView is the page with the tokens of an account.
type tokensView struct {
	Form   form
	Tokens []auth.Token
	Scopes []auth.Grant // that may be chosen
	Secret string       // the text of a token that was just made, shown once
	Now    time.Time
}

// scopesOf are what the account of a session may hand to a program.
func scopesOf(s auth.Session) []auth.Grant {
	var list []auth.Grant
	seen := map[auth.Grant]bool{}
	add := func(g auth.Grant) {
		if !seen[g] {
			seen[g] = true
			list = append(list, g)
		}
	}
	for _, g := range s.Grants {
		switch g.Role {
		case auth.Approver, auth.RecoveryOfficer, auth.Auditor: // an auditor's program reads
		default:
			add(g)
		}
	}
	for _, g := range s.Grants {
		if s.Actor().MayRead(g.Organization) {
			add(auth.Grant{Role: auth.Reader, Organization: g.Organization})
		}
	}
	return list
}

func (p *portal) tokens(w http.ResponseWriter, r *http.Request) error {
	return p.showTokens(w, r, http.StatusOK, filled("days", "90"), "")
}

func (p *portal) showTokens(w http.ResponseWriter, r *http.Request, status int, f form, secret string) error {
	visit, _ := visitOf(r.Context())
	list, err := p.Accounts.Tokens(r.Context(), visit.Actor())
	if err != nil {
		return err
	}
	return p.render(w, r, status, "tokens", tokensView{f, list, scopesOf(visit.Session), secret, p.Now()})
}

func (p *portal) newToken(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	f := form{Values: r.PostForm}
	var scopes []auth.Grant
	for _, text := range r.PostForm["scope"] {
		g, err := auth.ParseScope(text)
		if err != nil {
			return errUnreadable
		}
		scopes = append(scopes, g)
	}
	days, err := strconv.Atoi(f.Value("days"))
	if err != nil || days < 1 || days > int(auth.MaxTokenLife/(24*time.Hour)) {
		f.wrong("days", "tokens.error.days")
		return p.showTokens(w, r, http.StatusUnprocessableEntity, f, "")
	}
	_, secret, err := p.Accounts.NewToken(r.Context(), visit.Actor(), f.Value("name"), scopes, time.Duration(days)*24*time.Hour)
	switch {
	case err == nil:
		return p.showTokens(w, r, http.StatusOK, filled("days", "90"), secret)
	case errors.Is(err, auth.ErrName):
		f.wrong("name", "tokens.error.name")
	case errors.Is(err, auth.ErrScope):
		f.wrong("scope", "tokens.error.scope")
	case errors.Is(err, auth.ErrState):
		f.wrong("", "tokens.error.many")
	default:
		return err
	}
	return p.showTokens(w, r, http.StatusUnprocessableEntity, f, "")
}

func (p *portal) revokeToken(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	err := p.Accounts.RevokeToken(r.Context(), visit.Actor(), r.PostFormValue("id"))
	if err != nil && !errors.Is(err, auth.ErrState) { // it ended already
		return err
	}
	http.Redirect(w, r, "/admin/tokens", http.StatusSeeOther)
	return nil
}
