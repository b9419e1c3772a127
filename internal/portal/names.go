package portal

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
)

// names are what people who acted are called, by what the log calls them.
type names map[string]string

// of is who did something, as people read it: what has no name stays as it is.
func (n names) of(actor string) string {
	if name, ok := n[actor]; ok {
		return name
	}
	if strings.HasPrefix(actor, string(auth.KindServer)+":") {
		return n[string(auth.KindServer)]
	}
	return actor
}

// names are those of an organization's accounts, and of whoever looks.
func (p *portal) names(r *http.Request, v visit) (names, error) {
	server, err := p.tongueOf(r).plain("who.server")
	if err != nil {
		return nil, err
	}
	known := names{string(auth.KindServer): server, v.Actor().String(): v.Account.Email}
	if p.Accounts == nil {
		return known, nil
	}
	list, err := p.Accounts.Accounts(r.Context(), v.Actor(), v.organization.ID)
	if errors.Is(err, auth.ErrForbidden) { // a reader of less than that
		return known, nil
	}
	for _, a := range list {
		known[auth.Actor{Kind: auth.KindAccount, ID: a.ID}.String()] = a.Email
	}
	return known, err
}
