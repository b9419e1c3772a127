package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

func (h *handler) evidence() []*route {
	const all = "/api/v1/organizations/{organization}/evidence"
	return []*route{
		get(all, "listEvidence", "Evidence of an organization, or of a person in it", roles(auth.Administrator, auth.Reader, auth.Validator, auth.Operator, auth.Auditor), h.listEvidence),
		post(all, "submitEvidence", "Hand evidence in: of the organization under its present names, or of a person", roles(auth.Administrator, auth.Validator, auth.Operator), h.submitEvidence).upTo(maxDocument),
		get("/api/v1/evidence", "listEvidenceQueue", "Evidence that waits to be decided about, the oldest first", roles(auth.Validator, auth.Operator, auth.Auditor), h.evidenceQueue),
		get("/api/v1/evidence/{evidence}/document", "getEvidenceDocument", "The document of evidence", roles(auth.Administrator, auth.Reader, auth.Validator, auth.Operator, auth.Auditor), h.evidenceDocument),
	}
}

// maxDocument bounds a request with a document, in base64.
const maxDocument = 16 << 20

type evidenceOut struct {
	ID           string     `json:"id"`
	Organization string     `json:"organization"`
	Person       string     `json:"person,omitempty" doc:"Left out: it is about the organization."`
	Method       string     `json:"method" doc:"The section of the S/MIME BR."`
	Reference    string     `json:"reference"`
	Statement    string     `json:"statement"`
	DocumentName string     `json:"document_name,omitempty"`
	SHA256       string     `json:"sha256,omitempty"`
	Names        string     `json:"names" doc:"What it is evidence of, as JSON."`
	SubmittedBy  string     `json:"submitted_by"`
	Submitted    time.Time  `json:"submitted"`
	FirstBy      string     `json:"first_by,omitempty"`
	SecondBy     string     `json:"second_by,omitempty"`
	Decision     string     `json:"decision,omitempty" enum:"accepted,refused"`
	Reason       string     `json:"reason,omitempty"`
	Expires      *time.Time `json:"expires,omitempty"`
}

func evidenceOf(e registration.Evidence) evidenceOut {
	return evidenceOut{
		e.ID, e.Organization, e.Person, e.Method, e.Reference, e.Statement, e.DocumentName, e.SHA256, e.Names,
		e.SubmittedBy, e.Submitted.UTC(), e.FirstBy, e.SecondBy, e.Decision, e.Reason, moment(e.Expires),
	}
}

type evidenceQuery struct {
	Person string `json:"person,omitempty" max:"64"`
}

func (h *handler) listEvidence(c *call, q evidenceQuery) (list[evidenceOut], error) {
	all, err := h.Registration.EvidenceAbout(c.ctx, c.actor, c.org(), q.Person)
	return listOf(all, "", evidenceOf), err
}

type submissionIn struct {
	Person       string `json:"person,omitempty" max:"64" doc:"Left out: of the organization."`
	Method       string `json:"method" min:"1" max:"40" doc:"The section of the S/MIME BR: 3.2.3... or 3.2.4..."`
	Reference    string `json:"reference,omitempty" max:"1000" doc:"Where the documents are."`
	Statement    string `json:"statement,omitempty" max:"8000" doc:"What was checked, and how."`
	Document     []byte `json:"document,omitempty"`
	DocumentName string `json:"document_name,omitempty" max:"255"`
	Country      string `json:"country,omitempty" max:"2"`
}

func (h *handler) submitEvidence(c *call, in submissionIn) (evidenceOut, error) {
	e, err := h.Registration.SubmitEvidence(c.ctx, c.actor, c.org(), registration.Submission{
		Person: in.Person, Method: in.Method, Reference: in.Reference, Statement: in.Statement, Document: in.Document, DocumentName: in.DocumentName, Country: in.Country,
	})
	return evidenceOf(e), err
}

func (h *handler) evidenceQueue(c *call, q paged) (list[evidenceOut], error) {
	page, next, err := h.Registration.EvidenceQueue(c.ctx, c.actor, q.page())
	return listOf(page, next, evidenceOf), err
}

func (h *handler) evidenceDocument(c *call, _ none) (file, error) {
	name, document, err := h.Registration.EvidenceDocument(c.ctx, c.actor, c.path("evidence"))
	// What somebody handed in is not shown as what they say it is.
	return file{"application/octet-stream", name, document}, err
}
