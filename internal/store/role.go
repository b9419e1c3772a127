package store

import "time"

// Acts that the log must say of roles.
const (
	ActRoleGranted = "role.granted"
	ActRoleTaken   = "role.taken"
)

// RoleGrant is one row of role_grants.
type RoleGrant struct {
	AdministratorID string
	Role            string
	OrganizationID  string // empty: of the whole installation
	GrantedBy       string // as the audit log names who did
	Granted         time.Time
}

const roleGrantColumns = `administrator_id, role, organization_id, granted_by, granted_at`

func scanRoleGrant(s scanner) (g RoleGrant, err error) {
	return g, s.Scan(&g.AdministratorID, &g.Role, &g.OrganizationID, &g.GrantedBy, seconds{&g.Granted})
}

// GrantRole gives an account a role; ErrConflict when it has it, or has one that
// role_conflicts keeps apart from it. The log must say so.
func (tx *Tx) GrantRole(g RoleGrant) error {
	return tx.owe(ActRoleGranted, tx.exec("grant role", `INSERT INTO role_grants (`+roleGrantColumns+`)
		SELECT a.id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT) FROM administrators a
		WHERE a.id = $1 AND NOT EXISTS (SELECT 1 FROM role_grants g JOIN role_conflicts c ON c.other = g.role
			WHERE g.administrator_id = a.id AND c.role = $2)
		ON CONFLICT DO NOTHING`, g.AdministratorID, g.Role, g.OrganizationID, g.GrantedBy, unix(g.Granted)))
}

// TakeRole takes a role back; ErrConflict when the account does not have it. The
// log must say so.
func (tx *Tx) TakeRole(administratorID, role, organizationID string) error {
	return tx.owe(ActRoleTaken, tx.exec("take role back", `DELETE FROM role_grants
		WHERE administrator_id = $1 AND role = $2 AND organization_id = $3`, administratorID, role, organizationID))
}

// RolesOf lists what an account may do.
func (tx *Tx) RolesOf(administratorID string) ([]RoleGrant, error) {
	return all(tx, "roles of an account", scanRoleGrant, `SELECT `+roleGrantColumns+` FROM role_grants
		WHERE administrator_id = $1 ORDER BY organization_id, role`, administratorID)
}

// RolesIn lists who may do what in an organization, or in the whole installation
// when it is empty.
func (tx *Tx) RolesIn(organizationID string) ([]RoleGrant, error) {
	return all(tx, "roles in an organization", scanRoleGrant, `SELECT `+roleGrantColumns+` FROM role_grants
		WHERE organization_id = $1 ORDER BY administrator_id, role`, organizationID)
}

// CountRole says how many accounts have a role in an organization, or in the
// whole installation when it is empty.
func (tx *Tx) CountRole(role, organizationID string) (int, error) {
	return one(tx, "count roles", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM role_grants WHERE role = $1 AND organization_id = $2`, role, organizationID)
}

// RolesApart lists the pairs of roles that no account has together.
func (tx *Tx) RolesApart() ([][2]string, error) {
	return all(tx, "roles kept apart", func(s scanner) (p [2]string, err error) { return p, s.Scan(&p[0], &p[1]) },
		`SELECT role, other FROM role_conflicts ORDER BY role, other`)
}
