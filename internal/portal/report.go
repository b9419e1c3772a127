package portal

import (
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

// reportView is the form as it was filled in, without the proof: it may be a
// private key.
type reportView struct {
	Problems  []problemreport.Problem
	Statement string
	Problem   problemreport.Problem
	Serial    string
	Email     string
	Text      string
	Error     string // key of the text that says what is wrong, or ""
	Field     string // the field that it is about, "" for the form
}

// reportForm is for anybody (S/MIME BR §4.9.3): who reports needs no session.
func (p *portal) reportForm(w http.ResponseWriter, r *http.Request) error {
	return p.showReport(w, r, http.StatusOK, reportView{Serial: r.URL.Query().Get("serial")})
}

func (p *portal) showReport(w http.ResponseWriter, r *http.Request, status int, v reportView) error {
	v.Problems, v.Statement = problemreport.Problems(), p.Reports.Statement()
	return p.render(w, r, status, "report", v)
}

// reportFaults are what can be wrong with a report, and where.
var reportFaults = []struct {
	err        error
	key, field string
}{
	{problemreport.ErrProblem, "report.error.problem", "problem"},
	{problemreport.ErrSerial, "report.error.serial", "serial"},
	{problemreport.ErrUnknown, "report.error.unknown", "serial"},
	{problemreport.ErrReporter, "report.error.email", "email"},
	{problemreport.ErrText, "report.error.text", "text"},
	{problemreport.ErrProof, "report.error.proof", "proof"},
	{problemreport.ErrOtherKey, "report.error.otherkey", "proof"},
}

// report takes a report. Its number is shown and nothing is remembered: whoever
// wants an answer gave an address.
func (p *portal) report(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	v := reportView{
		Problem: problemreport.Problem(r.PostFormValue("problem")), Serial: r.PostFormValue("serial"),
		Email: r.PostFormValue("email"), Text: r.PostFormValue("text"),
	}
	report := problemreport.Report{
		Problem: v.Problem, Serial: v.Serial, Reporter: v.Email, Text: v.Text,
		Language: p.tongueOf(r).tag, Client: registration.Client(r.RemoteAddr),
	}
	if proof := r.PostFormValue("proof"); proof != "" {
		report.Proof = []byte(proof)
	}
	filed, err := p.Reports.File(r.Context(), report)
	if err == nil {
		return p.render(w, r, http.StatusOK, "reported", reportedView{filed, v.Email})
	}
	for _, fault := range reportFaults {
		if errors.Is(err, fault.err) {
			v.Error, v.Field = fault.key, fault.field
			return p.showReport(w, r, http.StatusUnprocessableEntity, v)
		}
	}
	return err
}

type reportedView struct {
	problemreport.Filed
	Email string
}
