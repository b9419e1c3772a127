package api

import (
	"context"
	"errors"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

// Reports takes certificate problem reports; problemreport.Service does.
type Reports interface {
	Statement() string
	File(ctx context.Context, r problemreport.Report) (problemreport.Filed, error)
	List(ctx context.Context, after string, limit int) (list []problemreport.Row, next string, err error)
	Answer(ctx context.Context, id, text string) error
	Revoke(ctx context.Context, actor auth.Actor, id string, reason cert.Reason) error
	Keep(ctx context.Context, id string) error
}

// problemReports are those that anybody sends (S/MIME BR §4.9.3), and what the
// operator does about them.
func (h *handler) problemReports() []*route {
	return []*route{
		post("/api/v1/problem-reports", "reportProblem", "Report a problem with a certificate", anybody, h.report),
		get("/api/v1/problem-reports", "listProblemReports", "Problem reports: the open ones first, the oldest first, then the closed ones, the newest first", roles(auth.Operator, auth.Auditor), h.listReports),
		do("/api/v1/problem-reports/{report}/answer", "answerProblemReport", "Mail an answer to who reported a problem", operators, h.answerReport),
		do("/api/v1/problem-reports/{report}/close", "closeProblemReport", "Decide about a report: revoke the certificate, or keep it", operators, h.closeReport),
		get("/api/v1/key-compromise", "keyCompromiseStatement", "What a compromised key signs as a proof", anybody, h.statement),
	}
}

type reportIn struct {
	Problem  string `json:"problem,omitempty"`
	Serial   string `json:"serial,omitempty" doc:"Hexadecimal."`
	Email    string `json:"email,omitempty" doc:"Where the answer goes."`
	Text     string `json:"text,omitempty"`
	Proof    string `json:"proof,omitempty" doc:"PEM: the compromised key, or what it signed."`
	Language string `json:"language,omitempty"`
}

type filedOut struct {
	ID       string    `json:"id"`
	Received time.Time `json:"received"`
	AnswerBy time.Time `json:"answer_by"`
	DecideBy time.Time `json:"decide_by"`
	Revoked  []string  `json:"revoked" doc:"Serial numbers."`
}

func (h *handler) report(c *call, in reportIn) (filedOut, error) {
	report := problemreport.Report{
		Problem: problemreport.Problem(in.Problem), Serial: in.Serial, Reporter: in.Email, Text: in.Text,
		Language: in.Language, Client: registration.Client(c.r.RemoteAddr),
	}
	if in.Proof != "" {
		report.Proof = []byte(in.Proof)
	}
	filed, err := h.Reports.File(c.ctx, report)
	if err != nil {
		return filedOut{}, err
	}
	return filedOut{filed.ID, filed.Received.UTC(), filed.AnswerBy.UTC(), filed.DecideBy.UTC(), append([]string{}, filed.Revoked...)}, nil
}

type statementOut struct {
	Statement string `json:"statement"`
}

// statement is what a compromised key has to sign today.
func (h *handler) statement(*call, none) (statementOut, error) {
	return statementOut{h.Reports.Statement()}, nil
}

type reportOut struct {
	filedOut
	Problem         string     `json:"problem"`
	Serial          string     `json:"serial,omitempty"`
	Email           string     `json:"email,omitempty"`
	Text            string     `json:"text,omitempty"`
	Proven          bool       `json:"proven"`
	Answer          string     `json:"answer,omitempty"`
	Answered        *time.Time `json:"answered,omitempty"`
	Closed          *time.Time `json:"closed,omitempty"`
	Outcome         string     `json:"outcome,omitempty" enum:"revoked,kept"`
	AnswerOverdue   bool       `json:"answer_overdue"`
	DecisionOverdue bool       `json:"decision_overdue"`
}

func reportOf(r problemreport.Row) reportOut {
	return reportOut{
		filedOut{r.ID, r.Received.UTC(), r.AnswerBy.UTC(), r.DecideBy.UTC(), each(r.Revoked)},
		string(r.Problem), r.Serial, r.Reporter, r.Text, r.Proven, r.Answer, moment(r.Answered), moment(r.Closed), r.Outcome, r.AnswerOverdue, r.DecisionOverdue,
	}
}

func (h *handler) listReports(c *call, q paged) (list[reportOut], error) {
	all, next, err := h.Reports.List(c.ctx, q.Cursor, q.Limit)
	if errors.Is(err, problemreport.ErrPlace) {
		err = errCursor
	}
	return listOf(all, next, reportOf), err
}

type answerIn struct {
	Text string `json:"text" min:"1" max:"8000"`
}

func (h *handler) answerReport(c *call, in answerIn) (none, error) {
	return none{}, h.Reports.Answer(audit.WithActor(c.ctx, c.actor.String()), c.path("report"), in.Text)
}

type closeIn struct {
	Outcome string `json:"outcome" enum:"revoke,keep"`
	Reason  string `json:"reason,omitempty" enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" doc:"Of a revocation (RFC 5280 §5.3.1)."`
}

func (h *handler) closeReport(c *call, in closeIn) (none, error) {
	ctx := audit.WithActor(c.ctx, c.actor.String())
	switch {
	case in.Outcome == "revoke" && in.Reason != "":
		return none{}, h.Reports.Revoke(ctx, c.actor, c.path("report"), reasons[in.Reason])
	case in.Outcome == "keep" && in.Reason == "":
		return none{}, h.Reports.Keep(ctx, c.path("report"))
	}
	return none{}, &fieldError{"reason", "must be there for a revocation, and only then"}
}
