package portal

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/problemreport"
)

// reasons are those for which the operator may revoke, the usual ones first.
var reasons = []cert.Reason{
	cert.Unspecified, cert.KeyCompromise, cert.AffiliationChanged, cert.Superseded, cert.CessationOfOperation, cert.PrivilegeWithdrawn,
}

// reportsPath is where the list of reports is.
const reportsPath = "/admin/reports"

type reportsView struct {
	Reports []problemreport.Row
	Reasons []cert.Reason
	After   string // mark of the page, which its forms bring along, or ""
	Pager   pager
	Error   string // key of the text that says what is wrong, or ""
}

func (p *portal) reports(w http.ResponseWriter, r *http.Request) error {
	return p.showReports(w, r, http.StatusOK, "")
}

func (p *portal) showReports(w http.ResponseWriter, r *http.Request, status int, fault string) error {
	at := reportsPage(r)
	list, next, err := p.Reports.List(r.Context(), at.Get("after"), problemreport.UsualPage)
	if errors.Is(err, problemreport.ErrPlace) {
		return errUnreadable
	}
	if err != nil {
		return err
	}
	return p.render(w, r, status, "reports", reportsView{list, reasons, at.Get("after"), pagerAt(reportsPath, at, next), fault})
}

// reportsPage is the query of the page of the list that is asked for, or on which
// the form stood that was sent.
func reportsPage(r *http.Request) url.Values {
	at := url.Values{}
	if after := cmp.Or(r.PostForm.Get("after"), r.URL.Query().Get("after")); after != "" {
		at.Set("after", after)
	}
	return at
}

// answerReport mails a preliminary report to whoever reported.
func (p *portal) answerReport(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	return p.reportDone(w, r, p.Reports.Answer(r.Context(), r.PostFormValue("id"), r.PostFormValue("text")))
}

// decideReport revokes the certificate or keeps it, and closes the report.
func (p *portal) decideReport(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id := r.PostFormValue("id")
	switch r.PostFormValue("decision") {
	case "keep":
		return p.reportDone(w, r, p.Reports.Keep(r.Context(), id))
	case "revoke":
		reason, ok := reasonOf(r)
		if !ok {
			return p.showReports(w, r, http.StatusUnprocessableEntity, "revoke.error.reason")
		}
		v, _ := visitOf(r.Context())
		return p.reportDone(w, r, p.Reports.Revoke(r.Context(), v.Actor(), id, reason))
	}
	return errUnreadable
}

func (p *portal) reportDone(w http.ResponseWriter, r *http.Request, err error) error {
	switch {
	case err == nil:
		to := url.URL{Path: reportsPath, RawQuery: reportsPage(r).Encode()}
		return seeOther(w, r, to.String())
	case errors.Is(err, problemreport.ErrText):
		return p.showReports(w, r, http.StatusUnprocessableEntity, "reports.error.text")
	case errors.Is(err, problemreport.ErrClosed), errors.Is(err, problemreport.ErrNotFound):
		return p.showReports(w, r, http.StatusConflict, "reports.error.closed")
	case errors.Is(err, problemreport.ErrUnknown):
		return p.showReports(w, r, http.StatusUnprocessableEntity, "reports.error.serial")
	}
	return err
}

func reasonOf(r *http.Request) (cert.Reason, bool) {
	n, err := strconv.Atoi(r.PostFormValue("reason"))
	reason := cert.Reason(n)
	return reason, err == nil && authority.SubscriberReason(reason)
}

type revokeView struct {
	Serial  string
	Reasons []cert.Reason
	Error   string // key of the text that says what is wrong, or ""
	Field   string // the field that it is about
}

func (p *portal) revokeForm(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "revoke", revokeView{Serial: r.URL.Query().Get("serial"), Reasons: reasons})
}

// revoke revokes a certificate by its serial number, for good.
func (p *portal) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	who, _ := visitOf(r.Context())
	v := revokeView{Serial: r.PostFormValue("serial"), Reasons: reasons}
	reason, ok := reasonOf(r)
	if !ok {
		v.Error, v.Field = "revoke.error.reason", "reason"
		return p.render(w, r, http.StatusUnprocessableEntity, "revoke", v)
	}
	err := p.Authority.Revoke(r.Context(), who.Actor(), v.Serial, reason)
	if errors.Is(err, authority.ErrUnknown) {
		v.Error, v.Field = "revoke.error.serial", "serial"
		return p.render(w, r, http.StatusUnprocessableEntity, "revoke", v)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
	return nil
}
