package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
)

// changes wait for a second member of an organization, who confirms them in person:
// a program looks at them, and may refuse or withdraw them.
func (h *handler) changes() []*route {
	const of = "/api/v1/organizations/{organization}/changes"
	return []*route{
		get(of, "listChanges", "What one member asked for and another has yet to confirm, in the portal", lookers, h.listChanges),
		act(http.MethodDelete, of+"/{change}", "refuseChange", "Refuse a change that waits, or withdraw it", managers, h.refuseChange),
	}
}

type changeOut struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"approval-off,invite,give,take,officers" doc:"Orders need nobody but who asked for them; somebody is invited to a role that decides or holds shares of keys, gets it, or loses one that decides; recovery officers are proposed."`
	Role      string    `json:"role,omitempty"`
	Account   string    `json:"account,omitempty" doc:"Whose role."`
	Email     string    `json:"email,omitempty" doc:"Of that account, or who is invited."`
	Threshold int       `json:"threshold,omitempty" doc:"How many of the officers open a key."`
	Officers  []string  `json:"officers,omitempty" doc:"The accounts that are to hold shares."`
	AskedBy   string    `json:"asked_by" doc:"The account."`
	For       []string  `json:"for" doc:"The accounts that may confirm it; that a role is taken back, an operator may, too, and everything where there is none."`
	Asked     time.Time `json:"asked"`
	Expires   time.Time `json:"expires"`
}

func changeOf(c auth.Change) changeOut {
	return changeOut{
		ID: c.ID, Kind: string(c.Kind), Role: string(c.Role), Account: c.Account.ID, Email: c.Account.Email, Threshold: c.Threshold, Officers: listOf(c.Officers, "", accountID).Items, AskedBy: c.Asker.ID,
		For: listOf(c.For, "", accountID).Items, Asked: c.Asked.UTC(), Expires: c.Expires.UTC(),
	}
}

func accountID(a auth.Account) string { return a.ID }

func (h *handler) listChanges(c *call, _ none) (list[changeOut], error) {
	all, err := h.Accounts.Changes(c.ctx, c.actor, c.org())
	return listOf(all, "", changeOf), err
}

func (h *handler) refuseChange(c *call, _ none) (none, error) {
	return none{}, h.Accounts.RefuseChange(c.ctx, c.actor, c.org(), c.path("change"))
}

// waits makes an answer of what waits for a second member: all else was done, and
// the status says that this is not all (RFC 9110 §15.3.3).
func (c *call) waits(err error) (*changeOut, error) {
	w, waits := errors.AsType[*auth.WaitsError](err)
	if !waits {
		return nil, err
	}
	c.status = http.StatusAccepted
	out := changeOf(w.Change)
	return &out, nil
}
