package portal

import (
	"context"
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// changeRow is a change that waits for a second member, as one who looks sees it.
type changeRow struct {
	auth.Change
	Own, Confirms, Refuses bool
}

// changesIn lists what waits for a second member of an organization.
func (p *portal) changesIn(r *http.Request, organization string) (rows []changeRow, err error) {
	visit, _ := visitOf(r.Context())
	by := visit.Actor()
	list, err := p.Accounts.Changes(r.Context(), by, organization)
	decides := may(auth.Operator, auth.Administrator, auth.Approver)(by, organization)
	for _, c := range list {
		rows = append(rows, changeRow{c, c.Asker.ID == by.ID, c.Confirms(by), decides})
	}
	return rows, err
}

// changesWait tells whether anything does, for the pages that lead there. Without
// accounts that have roles nothing is asked for.
func (p *portal) changesWait(r *http.Request, organization string) (bool, error) {
	if p.Accounts == nil {
		return false, nil
	}
	rows, err := p.changesIn(r, organization)
	return len(rows) > 0, err
}

// waitingRoles lists the roles that whoever looks gets when a second member has
// confirmed them, with the names of the organizations: else nobody who accepted an
// invitation could know why they may do nothing.
func (p *portal) waitingRoles(r *http.Request) (list []auth.WaitingRole, err error) {
	if p.Accounts == nil {
		return nil, nil
	}
	visit, _ := visitOf(r.Context())
	if list, err = p.Accounts.WaitingRoles(r.Context(), visit.Actor()); err != nil {
		return nil, err
	}
	for i, w := range list {
		o, err := p.Registration.Organization(r.Context(), auth.Server(registration.PartEnrollment), w.Organization)
		if err != nil {
			return nil, err
		}
		list[i].Organization = o.Name
	}
	return list, nil
}

func (p *portal) confirmChange(w http.ResponseWriter, r *http.Request) error {
	return p.decideChange(w, r, p.Accounts.ConfirmChange, "confirmed")
}

func (p *portal) refuseChange(w http.ResponseWriter, r *http.Request) error {
	return p.decideChange(w, r, p.Accounts.RefuseChange, "refused")
}

func (p *portal) decideChange(w http.ResponseWriter, r *http.Request, decide decision, done string) error {
	if err := readForm(r); err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	organization := r.PathValue("org")
	err := decide(r.Context(), visit.Actor(), organization, r.PostFormValue("id"))
	if errors.Is(err, auth.ErrState) {
		f := form{}
		f.wrong("", "changes.error.state")
		return p.showAccounts(w, r, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return p.rolesDone(w, r, err)
	}
	return seeOther(w, r, rolesPath(organization)+"?done="+done)
}

// decision is what a member says to a change.
type decision func(ctx context.Context, by auth.Actor, organization, id string) error
