package api

import (
	"cmp"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/registration"
)

func (h *handler) certificates() []*route {
	const all = "/api/v1/organizations/{organization}/certificates"
	return []*route{
		get(all+"/{certificate}", "getCertificate", "A certificate of an organization, with those above it", lookers, h.getCertificate),
		do(all+"/revoke", "revokeCertificates", "Revoke certificates: when it answers, OCSP and the lists say so", managers, h.revoke).upTo(maxList),
		upload(all, "importCertificates", "Hand in certificates that people have already, to be watched and renewed in time", managers, maxList, certificateFiles, h.importCertificates),
	}
}

type certificateOut struct {
	ID      string     `json:"id"`
	Person  string     `json:"person,omitempty"`
	Order   string     `json:"order,omitempty"`
	Issuer  string     `json:"issuer,omitempty" doc:"Left out: our own authority."`
	Use     string     `json:"use" enum:"dual,signing,encryption"`
	Profile string     `json:"profile,omitempty"`
	Serial  string     `json:"serial" doc:"Hexadecimal."`
	SHA256  string     `json:"sha256"`
	Issued  time.Time  `json:"issued"`
	Ends    time.Time  `json:"not_after"`
	Revoked *time.Time `json:"revoked,omitempty"`
	Reason  string     `json:"reason,omitempty" doc:"Of the revocation (RFC 5280 §5.3.1)."`
	Trust   string     `json:"trust" enum:"server,organization,none" doc:"Where its chain leads: to a root that this server trusts, to one that only the organization does, or to none. A certificate whose chain leads nowhere is listed here, and kept out of look-ups and exports."`
	Problem string     `json:"trust_problem,omitempty" enum:"unchecked,path,time,distrusted,weak,other" doc:"Why it leads nowhere."`
	Detail  string     `json:"trust_detail,omitempty" doc:"The same for whoever repairs it."`
}

func certificateOf(c registration.Held) certificateOut {
	out := certificateOut{
		Trust: cmp.Or(string(c.Trust), "none"), Problem: c.TrustProblem, Detail: c.TrustDetail,
		ID: c.ID, Person: c.Person, Order: c.Order, Issuer: c.Issuer, Use: c.Use, Profile: c.Profile, Serial: c.Serial, SHA256: c.SHA256,
		Issued: c.Issued.UTC(), Ends: c.NotAfter.UTC(), Revoked: moment(c.Revoked),
	}
	if out.Revoked != nil {
		out.Reason = cert.Reason(c.Reason).String()
	}
	return out
}

type chainOut struct {
	Certificate string   `json:"certificate" doc:"PEM"`
	Chain       []string `json:"chain" doc:"PEM"`
}

func (h *handler) getCertificate(c *call, _ none) (chainOut, error) {
	found, chain, err := h.Registration.Certificate(c.ctx, c.actor, c.org(), c.path("certificate"))
	if err != nil {
		return chainOut{}, err
	}
	return chainOut{string(found.PEM()), pems(chain)}, nil
}

type revokeIn struct {
	selection
	Reason string `json:"reason" enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" doc:"RFC 5280 §5.3.1"`
}

// reasons are by the standard's names.
var reasons = func() map[string]cert.Reason {
	byName := map[string]cert.Reason{}
	for _, r := range []cert.Reason{cert.Unspecified, cert.KeyCompromise, cert.AffiliationChanged, cert.Superseded, cert.CessationOfOperation, cert.PrivilegeWithdrawn} {
		byName[r.String()] = r
	}
	return byName
}()

type revocationsOut struct {
	Revoked []string `json:"revoked" doc:"By our own authority."`
	Before  []string `json:"before" doc:"That were revoked already."`
	Outside []string `json:"outside" doc:"That somebody else issued, who is to be told; entered here."`
}

func revocationsOf(r registration.Revocations) revocationsOut {
	return revocationsOut{each(r.Revoked), each(r.Before), each(r.Outside)}
}

func (h *handler) revoke(c *call, in revokeIn) (revocationsOut, error) {
	r, err := h.Registration.Revoke(c.ctx, c.actor, c.org(), in.IDs, reasons[in.Reason])
	return revocationsOf(r), err
}

type importedOut struct {
	Subject     string          `json:"subject"`
	Certificate *certificateOut `json:"certificate,omitempty"`
	Problem     *problem        `json:"problem,omitempty"`
}

func (h *handler) importCertificates(c *call, _ none) (list[importedOut], error) {
	all, err := h.Registration.ImportCertificates(c.ctx, c.actor, c.org(), c.body, false)
	return listOf(all, "", func(i registration.Imported) importedOut {
		out := importedOut{Subject: i.Subject}
		if i.Err != nil {
			p := h.problem(nil, c.r, i.Err)
			out.Problem = &p
			return out
		}
		held := certificateOf(i.Certificate)
		out.Certificate = &held
		return out
	}), err
}
