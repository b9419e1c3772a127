package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

// Reports takes certificate problem reports; problemreport.Service does.
type Reports interface {
	Statement() string
	File(ctx context.Context, r problemreport.Report) (problemreport.Filed, error)
}

// report takes a report from anybody (S/MIME BR §4.9.3): no token is asked for.
func (h *handler) report(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Problem  string `json:"problem"`
		Serial   string `json:"serial"`
		Email    string `json:"email"`
		Text     string `json:"text"`
		Proof    string `json:"proof"` // PEM
		Language string `json:"language"`
	}
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	report := problemreport.Report{
		Problem: problemreport.Problem(in.Problem), Serial: in.Serial, Reporter: in.Email, Text: in.Text,
		Language: in.Language, Client: registration.Client(r.RemoteAddr),
	}
	if in.Proof != "" {
		report.Proof = []byte(in.Proof)
	}
	filed, err := h.reports.File(r.Context(), report)
	if err != nil {
		return err
	}
	out := struct {
		ID       string   `json:"id"`
		Received string   `json:"received"` // RFC 3339
		AnswerBy string   `json:"answer_by"`
		DecideBy string   `json:"decide_by"`
		Revoked  []string `json:"revoked"`
	}{filed.ID, stamp(filed.Received), stamp(filed.AnswerBy), stamp(filed.DecideBy), append([]string{}, filed.Revoked...)}
	return writeJSON(w, http.StatusCreated, out)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// statement is what a compromised key has to sign today.
func (h *handler) statement(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"statement": h.reports.Statement()})
}
