package portal

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/testca"
)

// fakeRecovery is the recovery.Service beside a fake: two sets of officers, a
// task of each kind, and a request in each state.
type fakeRecovery struct{ *fakeOrganization }

func (f fakeRecovery) quorum() *recovery.Quorum {
	q := &recovery.Quorum{ID: "quorum1", Threshold: 2}
	for i := range 3 {
		leaf := f.ca.Leaf("officer@example.org", testca.P256)
		q.Officers = append(q.Officers, recovery.Officer{Position: i + 1, Account: "account" + strconv.Itoa(i), Email: f.order.Name, Certificate: leaf.Certificate, Confirmed: noon})
	}
	q.Officers[2].Confirmed = time.Time{}
	return q
}

func (f fakeRecovery) Officers(context.Context, auth.Actor, string) (recovery.Standing, error) {
	return recovery.Standing{Name: f.order.Name, Active: f.quorum(), Proposed: f.quorum(), Keys: 3, Former: 1, Alone: f.alone}, nil
}

func (f fakeRecovery) SetOfficers(context.Context, auth.Actor, string, int, []recovery.Choice) (*recovery.Quorum, error) {
	f.calls++
	return f.quorum(), f.err
}

func (f fakeRecovery) Waiting(context.Context, auth.Actor, string) (list []recovery.Waiting, err error) {
	for _, kind := range []recovery.Kind{recovery.Confirm, recovery.Approve, recovery.Reshare, recovery.Release} {
		list = append(list, recovery.Waiting{Kind: kind, Object: "open", Keys: 1})
	}
	return list, nil
}

func (f fakeRecovery) Task(_ context.Context, _ auth.Actor, _ string, kind recovery.Kind, object string) (*recovery.Task, error) {
	f.calls++
	return &recovery.Task{Format: "mailseal recovery task 1", Kind: kind, Object: object, Owner: f.order.Name}, f.err
}

func (f fakeRecovery) Answer(context.Context, auth.Actor, string, *recovery.Answer) error {
	f.calls++
	return f.err
}

func (f fakeRecovery) Refuse(context.Context, auth.Actor, string, string) error {
	f.calls++
	return f.err
}

func (f fakeRecovery) one(state recovery.RequestState) *recovery.Request {
	return &recovery.Request{
		ID: string(state), Person: "person1", Requester: "account:" + f.session().Account.ID, Reason: f.order.Name, State: state, Threshold: 2, Keys: []string{"ab"},
		Recipient: f.ca.Leaf("to@example.org", testca.P256).Certificate, Created: noon, Expires: noon,
		Decisions: []recovery.Decision{{Account: "x", Given: true, At: noon}},
	}
}

func (f fakeRecovery) Request(context.Context, auth.Actor, string, recovery.Asking) (*recovery.Request, error) {
	f.calls++
	return f.one(recovery.Open), f.err
}

func (f fakeRecovery) Requests(context.Context, auth.Actor, string, time.Time, string, int) (list []*recovery.Request, err error) {
	for _, state := range []recovery.RequestState{recovery.Open, recovery.Ready, recovery.Released, recovery.Refused, recovery.Withdrawn, recovery.Expired} {
		list = append(list, f.one(state))
	}
	return list, nil
}

func (f fakeRecovery) Withdraw(context.Context, auth.Actor, string, string) error {
	f.calls++
	return f.err
}

func (f fakeRecovery) Own(ctx context.Context, actor auth.Actor) ([]recovery.Own, error) {
	requests, err := f.Requests(ctx, actor, "", time.Time{}, "", 0)
	for i := range requests {
		requests[i].Expires = noon.Add(time.Hour)
	}
	leaf := f.ca.Leaf("mine@example.org", testca.P256).Certificate
	keys := []recovery.Key{{ID: "key1", Certificates: []*cert.Certificate{leaf}}}
	return []recovery.Own{
		{Organization: organizationID, Name: f.order.Name, Keys: keys, Requests: requests},
		{Organization: "organization2", Name: f.order.Name, Keys: keys},
	}, err
}

func (f fakeRecovery) Recipients(context.Context, auth.Actor, string) ([]*cert.Certificate, error) {
	if f.nobody {
		return nil, nil
	}
	return []*cert.Certificate{f.ca.Leaf("mine@example.org", testca.P256).Certificate}, nil
}

func (f fakeRecovery) RequestOwn(context.Context, auth.Actor, string, string, string) ([]*recovery.Request, error) {
	f.calls++
	if f.partly {
		return []*recovery.Request{f.one(recovery.Open)}, f.err
	}
	return nil, f.err
}

func (f fakeRecovery) Keepers(context.Context, string) (*recovery.Keepers, error) {
	if f.nobody {
		return nil, recovery.ErrOfficersChanged
	}
	k := &recovery.Keepers{Quorum: "quorum1", Threshold: 2}
	for i := range 3 {
		k.Officers = append(k.Officers, recovery.Recipient{Position: i + 1, Account: f.order.Name, Certificate: []byte("certificate")})
	}
	return k, nil
}

func (f fakeRecovery) Release(context.Context, auth.Actor, string, string) (*recovery.Bundle, error) {
	f.calls++
	return &recovery.Bundle{Format: "mailseal recovered keys 1", Request: "ready"}, f.err
}

func shown(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// An officer, who sees nothing else of the organization, finds the tasks, fetches
// one as a file, and hands the answer in; what does not fit is said on the page.
func TestOfficersPage(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).administers()
	f.grants = []auth.Grant{{Role: auth.RecoveryOfficer, Organization: organizationID}}
	const page = "/org/" + organizationID + "/recovery"
	if body := shown(t, d.get("/org")); !strings.Contains(body, page) {
		t.Errorf("the officer is not led to %s: %s", page, body)
	}
	if body := shown(t, d.get(page)); !strings.Contains(body, "recovery/answer") || strings.Contains(body, "recovery/officers") || strings.Contains(body, "recovery/request") {
		t.Error("the page is not an officer's")
	} else if !strings.Contains(body, "<th scope=\"row\">"+html.EscapeString(f.order.Name)) || strings.Contains(body, "account0") {
		t.Error("the page does not say who the others are")
	}
	if r := d.get("/org/" + organizationID + "/people"); r.StatusCode != http.StatusForbidden {
		t.Errorf("an officer sees people: %s", r.Status)
	}
	r := d.post(page+"/task", map[string][]string{"kind": {"release"}, "object": {"open"}})
	if r.StatusCode != http.StatusOK || !strings.Contains(r.Header.Get("Content-Disposition"), "attachment") || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	good := `{"format":"mailseal recovery answer 1","kind":"release","object":"open","proof":"AA=="}`
	if r := d.upload(page+"/answer", "file", "answer.json", good); r.StatusCode != http.StatusSeeOther {
		t.Errorf("an answer: %s", r.Status)
	}
	if r := d.upload(page+"/answer", "file", "answer.json", "nonsense"); r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("nonsense: %s", r.Status)
	}
	for _, err := range []error{recovery.ErrProof, recovery.ErrState, recovery.ErrSigns} {
		f.err = err
		if r := d.upload(page+"/answer", "file", "answer.json", good); r.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%v: %s", err, r.Status)
		}
	}
	f.err, f.grants = nil, nil
	if r := d.get(page); r.StatusCode != http.StatusForbidden {
		t.Errorf("without a role: %s", r.Status)
	}
}

// An administrator reads whether one person alone names the officers; where a second
// is asked, the page with what waits follows, and shows who would be named.
func TestNamingOfficersWaits(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).administers()
	const page = "/org/" + organizationID + "/recovery"
	for alone, text := range map[bool]string{true: "One administrator alone names the officers", false: "confirms who is proposed"} {
		f.alone = alone
		if body := shown(t, d.get(page)); !strings.Contains(body, text) || !strings.Contains(body, "accounts#changes") {
			t.Errorf("alone %v: the page lacks %q, or the way to what waits", alone, text)
		}
	}
	f.err = &auth.WaitsError{}
	r := d.post(page+"/officers", map[string][]string{"threshold": {"2"}})
	if to := r.Header.Get("Location"); to != "/org/"+organizationID+"/accounts?done=waits" {
		t.Fatalf("%s, led to %q", r.Status, to)
	}
	f.err = nil
	body := shown(t, d.get("/org/"+organizationID+"/accounts"))
	for _, text := range []string{"Name as recovery officers", "puppet@example.org", "Any 2 of these 2"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page of what waits lacks %q", text)
		}
	}
}

// Accounts has one that can be an officer.
func (fakeAccounts) Accounts(context.Context, auth.Actor, string) ([]auth.AccountInfo, error) {
	return []auth.AccountInfo{{
		Account: auth.Account{ID: "account1", Email: "officer@example.org"}, Grants: []auth.Grant{{Role: auth.RecoveryOfficer, Organization: organizationID}},
	}}, nil
}

func (fakeAccounts) Invitations(context.Context, auth.Actor, string) ([]auth.Invitation, error) {
	return nil, nil
}

// A person finds what is kept of theirs, asks for it with a certificate of theirs,
// and picks up what was released; what does not fit is said on the page.
func TestOwnKeysPage(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil)
	if r := d.get("/mine/keys"); r.Header.Get("Location") != "/sign-in" {
		t.Errorf("without a session: %s", r.Status)
	}
	for _, path := range []string{"ask", "withdraw", "release"} {
		if r := d.post("/mine/keys/"+path, nil); r.Header.Get("Location") != "/sign-in" || f.calls != 0 {
			t.Errorf("%s without a session: %s", path, r.Status)
		}
	}
	d.signsIn()
	if page := shown(t, d.get("/mine")); !strings.Contains(page, `href="/mine/keys"`) {
		t.Error("nothing leads to the keys that are kept")
	}
	page := shown(t, d.get("/mine/keys"))
	for _, text := range []string{"enroll.js", `data-request="ready"`, `data-request="released"`, `id="recover"`, "1 of 2"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	for _, text := range []string{`data-request="open"`, `data-request="expired"`, `id="recipient-` + organizationID} {
		if strings.Contains(page, text) {
			t.Errorf("the page has %q", text)
		}
	}
	if !strings.Contains(page, `id="recipient-organization2"`) {
		t.Error("where nothing is asked for, nobody can ask")
	}
	if r := d.post("/mine/keys/ask", map[string][]string{"organization": {organizationID}}); r.Header.Get("Location") != "/mine/keys?done=asked" {
		t.Errorf("asked: %s", r.Status)
	}
	r := d.post("/mine/keys/release", map[string][]string{"organization": {organizationID}, "request": {"ready"}})
	if body := shown(t, r); r.StatusCode != http.StatusOK || !strings.Contains(body, "mailseal recovered keys 1") || !strings.Contains(r.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("released: %s %s", r.Status, body)
	}
	f.err = errors.Join(&registration.InputError{Field: "reason", Key: "input.recovery.reason", Args: []any{10, 500}})
	for err, text := range map[error]string{recovery.ErrState: "This cannot be done now", recovery.ErrSigns: "a certificate that signs"} {
		f.err, f.partly = errors.Join(err), true
		if page := shown(t, d.post("/mine/keys/ask", nil)); !strings.Contains(page, "Some of your keys were asked for") || !strings.Contains(page, text) {
			t.Errorf("asked for in part, and %v: %s", err, page)
		}
	}
	f.partly, f.err = false, &registration.InputError{Field: "reason", Key: "input.recovery.reason", Args: []any{10, 500}}
	if r := d.post("/mine/keys/ask", nil); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(shown(t, r), "10 to 500 visible") {
		t.Errorf("without a reason: %s", r.Status)
	}
	f.err = recovery.ErrState
	if r := d.post("/mine/keys/withdraw", nil); r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("taken back too late: %s", r.Status)
	}
	if r := d.post("/mine/keys/release", nil); r.StatusCode != http.StatusConflict {
		t.Errorf("released too early: %s", r.Status)
	}
	f.err, f.nobody = nil, true
	if page := shown(t, d.get("/mine/keys")); strings.Contains(page, `id="recipient-organization2"`) || !strings.Contains(page, "Please get one first") {
		t.Error("without a certificate there is nothing to ask with")
	}
}

// A file that was made here comes with the keys of one that the person brings.
func TestPickUpWithOldFile(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil)
	if page := shown(t, d.get("/i/file1")); !strings.Contains(page, `id="old"`) || !strings.Contains(page, "multipart/form-data") {
		t.Error("the page takes no file")
	}
	if page := shown(t, d.get("/i/invitation1")); strings.Contains(page, `id="old"`) {
		t.Error("the page takes a file that it does not need")
	}
	if r := d.upload("/i/file1", "old", "old.p12", "keys", "code", "c", "old-passphrase", "words"); r.StatusCode != http.StatusOK || len(f.old) != 1 || string(f.old[0].File) != "keys" || string(f.old[0].Passphrase) != "words" {
		t.Errorf("%s, %q", r.Status, f.old)
	}
	if r := d.upload("/i/file1", "old", "", "", "code", "c", "old-passphrase", "words"); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(shown(t, r), "no file that it opens") {
		t.Errorf("a passphrase for nothing: %s", r.Status)
	}
	if r := d.upload("/i/file1", "old", "", "", "code", "c"); r.StatusCode != http.StatusOK || len(f.old) != 0 {
		t.Errorf("an empty field: %s, %q", r.Status, f.old)
	}
	f.err = enrollment.ErrOld
	if r := d.upload("/i/file1", "old", "old.p12", "keys", "code", "c"); r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(shown(t, r), "still waits for you") {
		t.Errorf("a file that does not open: %s", r.Status)
	}
	if r := d.upload("/i/file1", "old", "old.p12", strings.Repeat("x", enrollment.MaxOld+maxForm)); r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %s", r.Status)
	}
}
