package portal

import (
	"context"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
)

// AuthorityStatus is an authority as its operator sees it.
type AuthorityStatus struct {
	AuthorityCertificate
	Label     string // short name
	Root      bool
	Active    bool
	Algorithm string
	CRLs      []CRLStatus // one for each partition; none where nothing was signed yet
}

// CRLStatus is a list of an authority that is published now.
type CRLStatus struct {
	Number     string
	This, Next time.Time
	Download   string
}

// Hierarchy tells of all authorities.
type Hierarchy interface {
	Authorities(ctx context.Context) ([]AuthorityStatus, error)
}

type authoritiesView struct {
	Authorities []AuthorityStatus
	May         bool // who looks runs them
}

func (p *portal) authorities(w http.ResponseWriter, r *http.Request) error {
	list, err := p.Hierarchy.Authorities(r.Context())
	if err != nil {
		return err
	}
	v, _ := visitOf(r.Context())
	return p.render(w, r, http.StatusOK, "authorities", authoritiesView{list, v.Actor().Has(auth.Operator, "")})
}
