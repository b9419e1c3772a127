package portal

import (
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
)

// ownPage is a page of an organization.
type ownPage func(w http.ResponseWriter, r *http.Request, v visit) error

// organizationRoutes are the pages of organizations.
func (p *portal) organizationRoutes(handle func(string, handler)) {
	handle("GET /org", p.signedIn(anyAccount, p.choose))
	handle("GET /org/new", p.signedIn(anyAccount, p.organizationForm))
	handle("POST /org/new", p.signedIn(anyAccount, p.createOrganization))
	for pattern, page := range map[string]ownPage{
		"": p.dashboard, "/agreement": p.agreement, "/settings": p.settings, "/domains": p.domains,
		"/people": p.people, "/people.csv": p.peopleSheet, "/people/{person}": p.member, "/orders": p.orders,
		"/runs/{run}": p.run, "/runs/{run}/events": p.runEvents, "/audit": p.ownAudit, "/audit.csv": p.ownAuditSheet,
		"/reports": p.statistics, "/reports/{report}": p.printed, "/evidence": p.ownEvidence,
		"/colleagues": p.colleagues, "/colleagues/authorities.sst": p.authoritiesSST, "/colleagues/chain.pem": p.authoritiesPEM,
		"/colleagues/people.ldif": p.peopleLDIF, "/colleagues/people.ps1": p.peopleScript,
		"/lookup": p.lookup, "/lookup/{person}": p.lookedUp,
	} {
		handle("GET /org/{org}"+pattern, p.inOrganization(auth.Actor.MayRead, page))
	}
	for pattern, page := range map[string]ownPage{
		"GET /names": p.namesForm, "POST /names": p.rename, "POST /agreement": p.acceptAgreement, "POST /settings": p.saveSettings,
		"POST /domains": p.addDomain, "POST /domains/check": p.checkDomain, "POST /domains/remove": p.removeDomain,
		"POST /people": p.actOnPeople, "GET /people/new": p.memberForm, "POST /people/new": p.saveMember,
		"GET /people/{person}/change": p.memberForm, "POST /people/{person}/change": p.saveMember,
		"POST /people/{person}/order": p.orderForPerson, "POST /people/{person}/revoke": p.revokeOfPerson,
		"POST /people/{person}/leave": p.personLeaves, "POST /evidence": p.submitEvidence,
		"GET /import": p.importForm, "GET /import/example.csv": p.importExample, "POST /import": p.checkList,
		"GET /adopt": p.adoptForm, "POST /adopt/certificates": p.adopt,
		"GET /previews/{preview}": p.preview, "GET /previews/{preview}/problems.csv": p.previewSheet,
		"POST /previews/{preview}": p.startRun, "POST /runs/{run}/{change}": p.changeRun,
		"POST /runs/{run}/passphrases.csv": p.passphrases,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		handle(method+" /org/{org}"+path, p.inOrganization(may(auth.Administrator), page))
	}
	handle("GET /org/{org}/roots", p.within(auth.Actor.MayRead, p.roots))
	for pattern, page := range map[string]handler{"POST /roots": p.addRoots, "POST /roots/remove": p.removeRoot} {
		method, path, _ := strings.Cut(pattern, " ")
		handle(method+" /org/{org}"+path, p.within(may(auth.Administrator), page))
	}
	p.recoveryRoutes(handle)
	handle("POST /org/{org}/orders", p.inOrganization(may(auth.Administrator, auth.Approver), p.decideOrders))
}

// authorityRoutes are the pages of who runs the authority.
func (p *portal) authorityRoutes(handle func(string, handler)) {
	looks, operates := may(auth.Operator, auth.Auditor), may(auth.Operator)
	handle("GET /admin/organizations", p.signedIn(looks, p.organizations))
	handle("POST /admin/organizations", p.signedIn(operates, p.setStanding))
	handle("GET /admin/evidence", p.signedIn(may(auth.Validator, auth.Auditor), p.evidence))
	handle("POST /admin/evidence/decide", p.signedIn(may(auth.Validator), p.decideEvidence))
	handle("GET /admin/evidence/{id}/document", p.signedIn(may(auth.Validator, auth.Auditor), p.evidenceDocument))
	handle("GET /admin/authorities", p.signedIn(looks, p.authorities))
	handle("GET /admin/roots", p.signedIn(operates, p.roots))
	handle("POST /admin/roots", p.signedIn(operates, p.addRoots))
	handle("POST /admin/roots/remove", p.signedIn(operates, p.removeRoot))
	handle("GET /admin/jobs", p.signedIn(looks, p.jobs))
	handle("POST /admin/jobs", p.signedIn(operates, p.actOnJobs))
	handle("GET /admin/audit", p.signedIn(looks, p.audit))
	handle("GET /admin/audit.csv", p.signedIn(looks, p.wholeAuditSheet))
}

// ownRoutes are the pages of people about what is theirs.
func (p *portal) ownRoutes(handle func(string, handler)) {
	handle("GET /i/{id}", p.pickup)
	handle("POST /i/{id}", p.redeem)
	handle("GET /i/{id}/passphrase", p.own(p.passphrase))
	handle("GET /mine", p.own(p.mine))
	handle("GET /mine/keys", p.own(p.ownKeys))
	handle("POST /mine/keys/ask", p.own(p.askOwnKeys))
	handle("POST /mine/keys/withdraw", p.own(p.withdrawOwnKeys))
	handle("POST /mine/keys/release", p.own(p.releaseOwnKeys))
	handle("POST /mine/make", p.own(p.makeMine))
	handle("POST /mine/renew", p.own(p.renewMine))
	handle("POST /mine/again", p.own(p.startAgain))
	handle("POST /mine/revoke", p.own(p.revokeMine))
}
