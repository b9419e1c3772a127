package portal

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// An administrator takes in certificates, and with them roots that are trusted if
// that is ticked, and is told what became of each; nobody else in the organization
// does.
func TestAdopt(t *testing.T) {
	const path = "/org/" + organizationID + "/adopt"
	f := newFake()
	d := newDoor(t, f, nil).administers()
	page := func(answer *http.Response) string {
		t.Helper()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	answer := d.upload(path+"/certificates", "file", "all.pem", "certificates")
	text := page(answer)
	if answer.StatusCode != http.StatusOK || f.adopted != "certificates" || f.trusting {
		t.Errorf("%s, %q, trusts %v", answer.Status, f.adopted, f.trusting)
	}
	for _, want := range []string{"Certificates taken in: 2", "leads to no root that is trusted here", "/people/", "Not taken in", registration.Text("en", "input.certificate.nobody")} {
		if !strings.Contains(text, want) {
			t.Errorf("what became of the file does not say %q", want)
		}
	}
	if d.upload(path+"/certificates", "file", "all.pem", "certificates", "trust", "yes"); !f.trusting {
		t.Error("the roots are not trusted though that was ticked")
	}
	f.calls = 0
	if answer := d.upload(path+"/certificates", "other", "", ""); answer.StatusCode != http.StatusUnprocessableEntity || f.calls > 0 {
		t.Errorf("without a file: %s", answer.Status)
	}
	f.err = &registration.InputError{Field: "certificate", Key: "input.anchors.none"}
	answer = d.upload(path+"/certificates", "file", "all.pem", "x")
	if text := page(answer); answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, `id="file-error"`) || !strings.Contains(text, `href="#file"`) {
		t.Errorf("a fault: %s, not beside its field", answer.Status)
	}
	f.err = auth.ErrAgain // who is there is asked, and led back to this page
	if text := page(d.upload(path+"/certificates", "file", "all.pem", "x", "trust", "yes")); !strings.Contains(text, `value="`+path+`"`) {
		t.Error("asked again, one is not led back to the page")
	}
	f.err = errors.New("disk unreadable")
	if answer := d.upload(path+"/certificates", "file", "all.pem", "x"); answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("what cannot be done is told as %s", answer.Status)
	}
	f.err, f.calls = nil, 0
	f.grants = []auth.Grant{{Role: auth.Approver, Organization: organizationID}}
	for what, answer := range map[string]*http.Response{
		"looks": d.get(path), "takes in": d.upload(path+"/certificates", "file", "all.pem", "x"),
	} {
		if answer.StatusCode != http.StatusForbidden || f.calls > 0 {
			t.Errorf("an approver %s: %s", what, answer.Status)
		}
	}
}
