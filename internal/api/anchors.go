package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/registration"
)

// anchors are the routes of roots that certificates by others may lead to. No
// program names one, nor takes back one of everybody's ([auth.Actor.InPerson]).
func (h *handler) anchors() []*route {
	const all, one = "/api/v1/anchors", "/api/v1/organizations/{organization}/anchors"
	return []*route{
		get(all, "listAnchors", "Roots that were named as trusted for certificates by others, for every organization", operators, h.listAnchors),
		get(one, "listOrganizationAnchors", "Roots that the organization trusts, in its own look-ups and exports", lookers, h.listAnchors),
		act("DELETE", one+"/{anchor}", "removeOrganizationAnchor", "Trust a root of the organization no longer, named by its SHA-256", managers, h.removeAnchor),
	}
}

type anchorOut struct {
	SHA256      string    `json:"sha256"`
	Subject     string    `json:"subject"`
	Ends        time.Time `json:"not_after"`
	By          string    `json:"added_by"`
	Added       time.Time `json:"added"`
	Certificate string    `json:"certificate" doc:"PEM"`
}

func anchorOf(a registration.Anchor) anchorOut {
	c := a.Certificate
	return anchorOut{c.SHA256(), c.Subject.String(), c.NotAfter.UTC(), a.By, a.Added.UTC(), string(c.PEM())}
}

// The organization is empty where the path has none: there it is everybody.
func (h *handler) listAnchors(c *call, _ none) (list[anchorOut], error) {
	all, err := h.Registration.Anchors(c.ctx, c.actor, c.org())
	return listOf(all, "", anchorOf), err
}

func (h *handler) removeAnchor(c *call, _ none) (none, error) {
	return none{}, h.Registration.RemoveAnchor(c.ctx, c.actor, c.org(), c.path("anchor"))
}
