package portal

import (
	"html"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/validation"
)

// Who decides reads the organization's name, what the evidence shows line by line,
// who submitted it and who looked first; no page has the record as it is kept.
func TestEvidencePages(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).administers()
	name := html.EscapeString(f.order.Name)
	for _, page := range []string{"/admin/evidence", "/org/" + organizationID + "/evidence"} {
		body := shown(t, d.get(page))
		for _, want := range []string{`<h2 id="e-e">` + name, "<dt>Registration number</dt><dd>NTRJP-7000012050002</dd>", "<dt>Submitted by</dt><dd>" + name, "First accepted by"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", page, want)
			}
		}
		if strings.Contains(body, html.EscapeString(`{"`)) {
			t.Errorf("%s shows the record itself", page)
		}
	}
	f.err = &registration.InputError{Field: "reason", Key: "input.required"}
	refused := d.post("/admin/evidence/decide", map[string][]string{"id": {"e"}, "decision": {"refuse"}})
	if body := shown(t, refused); refused.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `href="/admin/evidence?after=`) {
		t.Errorf("%s, and the way to the next page is not from the list", refused.Status)
	}
	f.err = nil
	f.unnamed = true // somebody of the authority submitted it, and the organization is told no more
	body := shown(t, d.get("/org/"+organizationID+"/evidence"))
	if !strings.Contains(body, "<dt>Submitted by</dt><dd>the authority,") || strings.Contains(body, "First accepted by") {
		t.Error("the authority's people are not kept apart")
	}
}

// All names of a record have a label; what has none, or is no record, is shown all
// the same, so that somebody can decide about it.
func TestShownNames(t *testing.T) {
	known := map[string]bool{}
	for _, l := range nameLabels {
		known[l.member] = true
	}
	for _, of := range []reflect.Type{reflect.TypeFor[validation.OrganizationNames](), reflect.TypeFor[validation.IndividualNames]()} {
		for i := range of.NumField() {
			if member, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); !known[member] {
				t.Errorf("%s has no label", member)
			}
		}
	}
	got := shownNames(`{"zone":3,"country":"JP","name":"Example"}`)
	want := []shownName{{Label: "organization.name", Value: "Example"}, {Label: "organization.country", Value: "JP"}, {Member: "zone", Value: "3"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := shownNames("nonsense"); len(got) != 1 || got[0].Value != "nonsense" {
		t.Errorf("%+v", got)
	}
}
