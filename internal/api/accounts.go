package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/auth"
)

// accounts are looked at, and no more: roles, invitations, accounts and new tokens
// take a person each time (auth.Actor).
func (h *handler) accounts() []*route {
	const org = "/api/v1/organizations/{organization}"
	return []*route{
		get("/api/v1/accounts", "listAccounts", "All accounts with their roles", roles(auth.Operator, auth.Auditor), h.listAccounts),
		get(org+"/accounts", "listOrganizationAccounts", "Who may do what in an organization", lookers, h.listAccounts),
		get("/api/v1/invitations", "listInvitations", "Invitations to roles of the authority that wait", roles(auth.Operator, auth.Auditor), h.listInvitations),
		get(org+"/invitations", "listOrganizationInvitations", "Invitations to roles in an organization that wait", lookers, h.listInvitations),
		get("/api/v1/token", "getToken", "What this token may do", anyAccount, h.ownToken),
		act("DELETE", "/api/v1/token", "revokeToken", "End this token", anyAccount, h.revokeOwn),
	}
}

type accountOut struct {
	ID       string    `json:"id"`
	Email    string    `json:"email"`
	Name     string    `json:"name"`
	Roles    []string  `json:"roles" doc:"ROLE, or ROLE@ORGANIZATION."`
	Password bool      `json:"password"`
	TOTP     bool      `json:"totp"`
	Passkeys int       `json:"passkeys"`
	Created  time.Time `json:"created"`
}

func scopesOf(grants []auth.Grant) []string {
	return listOf(grants, "", auth.Grant.String).Items
}

func (h *handler) listAccounts(c *call, _ none) (list[accountOut], error) {
	all, err := h.Accounts.Accounts(c.ctx, c.actor, c.org())
	return listOf(all, "", func(a auth.AccountInfo) accountOut {
		return accountOut{a.ID, a.Email, a.Name, scopesOf(a.Grants), a.Password, a.TOTP, a.Passkeys, a.Created.UTC()}
	}), err
}

type invitationOut struct {
	ID      string    `json:"id"`
	Email   string    `json:"email"`
	Role    string    `json:"role" doc:"ROLE, or ROLE@ORGANIZATION."`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

func invitationOf(i auth.Invitation) invitationOut {
	return invitationOut{i.ID, i.Email, i.Grant.String(), i.Created.UTC(), i.Expires.UTC()}
}

func (h *handler) listInvitations(c *call, _ none) (list[invitationOut], error) {
	all, err := h.Accounts.Invitations(c.ctx, c.actor, c.org())
	return listOf(all, "", invitationOf), err
}

type tokenOut struct {
	ID      string   `json:"id"`
	Account string   `json:"account"`
	Roles   []string `json:"roles" doc:"ROLE, or ROLE@ORGANIZATION, as far as the account has them now."`
}

func (h *handler) ownToken(c *call, _ none) (tokenOut, error) {
	return tokenOut{c.actor.ID, c.actor.Account, scopesOf(c.actor.Grants)}, nil
}

func (h *handler) revokeOwn(c *call, _ none) (none, error) {
	return none{}, h.Accounts.RevokeToken(c.ctx, c.actor, c.actor.ID)
}
