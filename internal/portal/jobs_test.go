package portal

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/auth"
)

// The operator has jobs that were given up tried again, or discards them: the
// ticked ones, or all, each once; the auditor only looks.
func TestJobs(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).administers()
	ticked := url.Values{"whom": {"chosen"}, "job": {"job2", "gone"}}
	all := url.Values{"whom": {"all"}, "job": {"job2"}}
	for _, step := range []struct {
		do   string
		form url.Values
		jobs []string
		n    string
	}{
		{"revive", ticked, []string{"revive job2", "revive gone"}, "1"},
		{"discard", ticked, []string{"discard job2", "discard gone"}, "1"},
		{"revive", all, []string{"revive job1", "revive job2"}, "2"},
		{"discard", all, []string{"discard job1", "discard job2"}, "2"},
	} {
		f.jobs = nil
		step.form.Set("do", step.do)
		answer := d.post("/admin/jobs", step.form)
		if to := answer.Header.Get("Location"); to != "/admin/jobs?done="+step.do+"&n="+step.n || !slices.Equal(f.jobs, step.jobs) {
			t.Errorf("%s %v: %s, leads to %q, did %q", step.do, step.form, answer.Status, to, f.jobs)
		}
	}
	f.jobs = nil
	if answer := d.post("/admin/jobs", url.Values{"do": {"revive"}, "whom": {"chosen"}}); answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("nothing is ticked: %s", answer.Status)
	}
	if answer := d.post("/admin/jobs", url.Values{"do": {"else"}, "whom": {"all"}}); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("another act: %s", answer.Status)
	}
	f.err = errors.New("disk unreadable")
	if answer := d.post("/admin/jobs", all); answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("what cannot be done is told as %s", answer.Status)
	}
	f.err, f.jobs = nil, nil
	f.grants = []auth.Grant{{Role: auth.Auditor}}
	body, err := io.ReadAll(d.get("/admin/jobs").Body)
	if err != nil || !strings.Contains(string(body), "no answer") || strings.Contains(string(body), `<button class="button"`) {
		t.Errorf("the auditor's page: %v\n%s", err, body)
	}
	if answer := d.post("/admin/jobs", all); answer.StatusCode != http.StatusForbidden || len(f.jobs) > 0 {
		t.Errorf("the auditor acts: %s, %q", answer.Status, f.jobs)
	}
}
