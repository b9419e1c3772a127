package portal

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Evidence is what the pages of evidence need of registration.Service.
type Evidence interface {
	SubmitEvidence(ctx context.Context, actor auth.Actor, organization string, s registration.Submission) (registration.Evidence, error)
	DecideEvidence(ctx context.Context, actor auth.Actor, id string, good bool, reason string) (registration.Evidence, error)
	EvidenceQueue(ctx context.Context, actor auth.Actor, page registration.Page) (list []registration.Evidence, next string, err error)
	EvidenceAbout(ctx context.Context, actor auth.Actor, organization, person string) ([]registration.Evidence, error)
	EvidenceDocument(ctx context.Context, actor auth.Actor, id string) (name string, document []byte, err error)
}

type evidenceView struct {
	Organization   string
	Path           string
	Single         bool
	Form           form
	May, MaySubmit bool
	Waiting        []evidenceRow
	Decided        []registration.Evidence
	Pager          pager // of what waits
}

// Place is where the page stands in the navigation.
func (v evidenceView) Place() string {
	if v.Organization != "" {
		return "settings"
	}
	return "evidence"
}

type evidenceRow struct {
	registration.Evidence
	Kind, Document string
	Shown          []shownName
}

// shownName is a name that evidence shows, under the key of its label or, where it
// has none, as it is called in the record.
type shownName struct{ Label, Member, Value string }

// nameLabels are the labels of the names in evidence, in the order of a page.
var nameLabels = []struct{ member, label string }{
	{"name", "organization.name"},
	{"identifier", "organization.identifier"},
	{"surname", "personform.surname"},
	{"given_name", "personform.given"},
	{"local_name", "personform.local"},
	{"locality", "organization.locality"},
	{"state", "organization.state"},
	{"country", "organization.country"},
}

// shownNames reads the names in evidence.
func shownNames(text string) (list []shownName) {
	var members map[string]any
	if json.Unmarshal([]byte(text), &members) != nil {
		return []shownName{{Member: "?", Value: text}} // whoever decides sees that it is broken
	}
	for _, l := range nameLabels {
		if value, is := members[l.member]; is {
			list = append(list, shownName{Label: l.label, Value: fmt.Sprint(value)})
			delete(members, l.member)
		}
	}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		list = append(list, shownName{Member: member, Value: fmt.Sprint(members[member])})
	}
	return list
}

func evidenceRows(list []registration.Evidence) (waiting []evidenceRow, decided []registration.Evidence) {
	for _, e := range list {
		if e.Decision != "" {
			decided = append(decided, e)
			continue
		}
		row := evidenceRow{Evidence: e, Kind: "organization", Document: e.DocumentName, Shown: shownNames(e.Names)}
		if e.Person != "" {
			row.Kind = "individual"
		}
		waiting = append(waiting, row)
	}
	return waiting, decided
}

// evidence is the queue of those who decide.
func (p *portal) evidence(w http.ResponseWriter, r *http.Request) error {
	return p.showEvidence(w, r, http.StatusOK, form{})
}

func (p *portal) showEvidence(w http.ResponseWriter, r *http.Request, status int, f form) error {
	v, _ := visitOf(r.Context())
	list, next, err := p.Registration.EvidenceQueue(r.Context(), v.Actor(), registration.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	view := evidenceView{Path: "/admin/evidence", Form: f, May: v.Actor().Has(auth.Validator, ""), Pager: pagerAt("/admin/evidence", r.URL.Query(), next)}
	view.Waiting, view.Decided = evidenceRows(list)
	return p.render(w, r, status, "evidence", view)
}

func (p *portal) decideEvidence(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	decision := f.Value("decision")
	if decision != "accept" && decision != "refuse" {
		return errUnreadable
	}
	v, _ := visitOf(r.Context())
	_, err := p.Registration.DecideEvidence(r.Context(), v.Actor(), f.Value("id"), decision == "accept", f.Value("reason"))
	if f.taken(err) {
		return p.showEvidence(w, r, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/admin/evidence")
}

func (p *portal) evidenceDocument(w http.ResponseWriter, r *http.Request) error {
	v, _ := visitOf(r.Context())
	name, document, err := p.Registration.EvidenceDocument(r.Context(), v.Actor(), r.PathValue("id"))
	if err != nil {
		return err
	}
	// Never for display: it is somebody else's file.
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, _ = w.Write(document) // the client is gone: nobody left to tell
	return nil
}

// ownEvidence is what an organization has submitted.
func (p *portal) ownEvidence(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showOwnEvidence(w, r, v, http.StatusOK, filled())
}

func (p *portal) showOwnEvidence(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	list, err := p.Registration.EvidenceAbout(r.Context(), v.Actor(), v.organization.ID, "")
	if err != nil {
		return err
	}
	eyes, err := p.Registration.FourEyes(r.Context(), v.Actor(), v.organization.ID)
	if err != nil {
		return err
	}
	path := "/org/" + v.organization.ID + "/evidence"
	view := evidenceView{Organization: v.organization.ID, Path: path, Form: f, MaySubmit: v.administers(), Single: !eyes.Evidence.On}
	view.Waiting, view.Decided = evidenceRows(list)
	return p.render(w, r, status, "evidence", view)
}

func (p *portal) submitEvidence(w http.ResponseWriter, r *http.Request, v visit) error {
	file, name, err := upload(r, "document")
	if err != nil {
		return err
	}
	f := formOf(r)
	s := registration.Submission{Method: f.Value("method"), Reference: f.Value("reference"), Statement: f.Value("statement")}
	if file != nil {
		defer file.Close()
		if s.Document, err = io.ReadAll(file); err != nil {
			return unreadable(err)
		}
		if len(s.Document) > 0 {
			s.DocumentName = name
		}
	}
	_, err = p.Registration.SubmitEvidence(r.Context(), v.Actor(), v.organization.ID, s)
	if f.taken(err) {
		return p.showOwnEvidence(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/evidence")
}
