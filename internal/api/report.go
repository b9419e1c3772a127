package api

import (
	"context"
	"time"

	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

// Reports takes certificate problem reports; problemreport.Service does.
type Reports interface {
	Statement() string
	File(ctx context.Context, r problemreport.Report) (problemreport.Filed, error)
}

// problemReports are those that anybody sends (S/MIME BR §4.9.3).
func (h *handler) problemReports() []*route {
	return []*route{
		post("/api/v1/problem-reports", "reportProblem", "Report a problem with a certificate", anybody, h.report),
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
