package portal

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fake stands for the rooms below with one order, one administrator and one
// mail. calls counts what would have changed something.
type fake struct {
	order    registration.Order
	jobs     []string // what was done about them
	adopted  string   // what was sent as certificates
	trusting bool     // the roots among them
	err      error    // what the next changing call answers
	claimed  bool
	calls    int
	applied  registration.Application
	nobody   bool // keeps keys
	partly   bool // of a person's keys is asked for
	alone    bool // one administrator names officers
	old      []enrollment.Old
	escrow   bool // the organization has keys kept
	enrolled registration.Request
	grants   []auth.Grant // of the administrator
	unnamed  bool         // evidence does not say who submitted it and looked first
	stale    bool         // who showed a while ago that it is them
}

const (
	secret = "the-secret-of-the-asking-session"
	token  = "the-token-of-the-administrator"
)

func (f *fake) Apply(_ context.Context, a registration.Application) (registration.Order, string, error) {
	f.calls++
	f.applied = a
	return f.order, secret, f.err
}

func (f *fake) own(id, s string) (registration.Order, error) {
	if id != f.order.ID || s != secret {
		return registration.Order{}, registration.ErrNotFound
	}
	return f.order, nil
}

func (f *fake) change(id, s string) (registration.Order, error) {
	f.calls++
	o, err := f.own(id, s)
	if err == nil {
		err = f.err
	}
	return o, err
}

func (f *fake) Resend(_ context.Context, id, s string) (registration.Order, error) {
	return f.change(id, s)
}

func (f *fake) Prove(_ context.Context, id, s, _ string) (registration.Order, error) {
	return f.change(id, s)
}

func (f *fake) Order(_ context.Context, id, s string) (registration.Order, error) {
	return f.own(id, s)
}

func (f *fake) EnrollFor(_ context.Context, _ auth.Actor, r registration.Request) (registration.Issued, error) {
	f.enrolled = r
	_, err := f.change(r.Order, r.Secret)
	return registration.Issued{}, err
}

func (f *fake) Claimed(context.Context) (bool, error) { return f.claimed, nil }

func (f *fake) session() auth.Session {
	return auth.Session{Account: auth.Account{Email: "carol@example.org"}, Grants: f.grants, Fresh: !f.stale, Expires: noon.Add(time.Hour)}
}

func (f *fake) ClaimFirstAdministrator(context.Context, string, string, string, string) (auth.Session, string, error) {
	f.calls++
	return f.session(), token, f.err
}

func (f *fake) SignIn(context.Context, string, string, string) (auth.Entered, error) {
	f.calls++
	return auth.Entered{Session: f.session(), Token: token}, f.err
}

func (f *fake) Session(_ context.Context, t string) (auth.Session, error) {
	if t != token {
		return auth.Session{}, auth.ErrNoSession
	}
	return f.session(), nil
}

func (f *fake) SignOut(context.Context, string) error { f.calls++; return f.err }

func (f *fake) Root(context.Context) (AuthorityCertificate, error) {
	return AuthorityCertificate{Name: "Root", SHA256: strings.Repeat("ab", 32), SHA1: strings.Repeat("cd", 20), NotAfter: noon, Download: "/ca/root.cer"}, nil
}

func (f *fake) Overview(ctx context.Context) (Overview, error) {
	root, err := f.Root(ctx)
	return Overview{Root: root, Orders: []registration.Order{f.order}, Certificates: []IssuedCertificate{
		{Serial: "01ab", Email: f.order.Email, NotAfter: noon.Add(time.Hour)},
		{Serial: "02", Email: f.order.Email, NotAfter: noon.Add(-time.Hour)},
		{Serial: "03", Email: f.order.Email, NotAfter: noon.Add(time.Hour), Revoked: true},
	}}, err
}

func (f *fake) Revoke(_ context.Context, a auth.Actor, _ string, _ cert.Reason) error {
	f.calls++
	return cmp.Or(a.Again(), f.err)
}

// fakeReports is the problemreport.Service beside a fake; its one report has
// the words of the fake's order.
type fakeReports struct{ *fake }

func (f fakeReports) Statement() string { return "key compromised 2026-11-23 at 01ab23cd" }

func (f fakeReports) File(context.Context, problemreport.Report) (problemreport.Filed, error) {
	f.calls++
	return problemreport.Filed{ID: "01ab", Received: noon, AnswerBy: noon, DecideBy: noon}, f.err
}

func (f fakeReports) List(_ context.Context, after string, _ int) ([]problemreport.Row, string, error) {
	if strings.HasPrefix(after, "no") {
		return nil, "", problemreport.ErrPlace
	}
	row := problemreport.Row{
		Filed: problemreport.Filed{ID: "01ab", Received: noon, AnswerBy: noon, DecideBy: noon}, Problem: problemreport.Misuse,
		Serial: "02cd", Reporter: f.order.Email, Text: f.order.Name, Answer: f.order.Name, DecisionOverdue: true,
		Untold: 2, AnswerMail: mailqueue.Mail{State: mailqueue.Refused, Reason: f.order.Name},
	}
	closed := row
	closed.ID, closed.Closed, closed.Outcome = "ef", noon, "kept"
	closed.AnswerMail = mailqueue.Mail{State: mailqueue.Waiting}
	return []problemreport.Row{row, closed}, "next", nil
}

func (f fakeReports) Answer(context.Context, string, string) error { f.calls++; return f.err }

func (f fakeReports) Revoke(ctx context.Context, a auth.Actor, id string, reason cert.Reason) error {
	return f.fake.Revoke(ctx, a, id, reason)
}

func (f fakeReports) Keep(context.Context, string) error { f.calls++; return f.err }

// fakeJobs is the jobs.Service beside a fake: two that were given up, of which it
// forgets what is done about them.
type fakeJobs struct{ *fake }

func (f fakeJobs) Dead(context.Context, auth.Actor) ([]jobs.Dead, bool, error) {
	return []jobs.Dead{
		{ID: "job1", Kind: f.order.Name, Attempts: 12, Why: f.order.Name, Created: noon, GivenUp: noon},
		{ID: "job2", Kind: "mail", Attempts: 1, Why: "no answer", Created: noon, GivenUp: noon.Add(time.Hour)},
	}, true, nil
}

func (f fakeJobs) Revive(_ context.Context, _ auth.Actor, id string) error {
	return f.act("revive", id)
}

func (f fakeJobs) Discard(_ context.Context, _ auth.Actor, id string) error {
	return f.act("discard", id)
}

func (f fakeJobs) act(what, id string) error {
	f.calls++
	f.jobs = append(f.jobs, what+" "+id)
	if id == "gone" {
		return jobs.ErrNotDead
	}
	return f.err
}

const mailID = "20261123T120000.000000-00000000"

func (f *fake) List(int) ([]catcher.Mail, error) {
	m, err := f.Get(mailID)
	return []catcher.Mail{m}, err
}

func (f *fake) Get(id string) (catcher.Mail, error) {
	if id != mailID {
		return catcher.Mail{}, catcher.ErrNotFound
	}
	return catcher.Mail{
		ID: mailID, From: "no-reply@ca.example.com", To: []string{f.order.Email}, Subject: f.order.Name,
		Date: noon, Text: f.order.Name, Raw: "Subject: x\r\n\r\n",
	}, nil
}

func newFake() *fake {
	return &fake{order: registration.Order{
		ID: "order1", State: registration.StateApplied, Email: "alice@example.com", Name: "Alice", TriesLeft: 4,
	}, grants: []auth.Grant{{Role: auth.Operator}}}
}

// door is a portal over a fake, and the browser that looks at it.
type door struct {
	t       *testing.T
	handler http.Handler
	cookies []*http.Cookie
	header  http.Header
}

func newDoor(t *testing.T, f *fake, change func(*Config)) *door {
	t.Helper()
	c := Config{
		Orders: f, Administrators: f, Authority: f, Reports: fakeReports{f}, Jobs: fakeJobs{f}, Mail: f, Dev: true, URL: "https://ca.example.com",
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	organization := newFakeOrganization(t, f)
	c.Registration, c.Enrollment, c.Mine, c.Figures = organization, organization, organization, organization
	c.Certificates, c.Hierarchy = organization, organization
	c.Recovery = fakeRecovery{organization}
	if c.Accounts == nil {
		c.Accounts = fakeAccounts{}
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &door{t: t, handler: h, header: http.Header{}}
}

// asks gives the browser the session of the fake's order.
func (d *door) asks() *door {
	d.cookies = append(d.cookies, &http.Cookie{Name: orderCookie, Value: "order1." + secret})
	return d
}

// signsIn signs a person in.
func (d *door) signsIn() *door {
	d.cookies = append(d.cookies, &http.Cookie{Name: personCookie, Value: personToken})
	return d
}

// administers signs the browser in.
func (d *door) administers() *door {
	d.cookies = append(d.cookies, &http.Cookie{Name: adminCookie, Value: token})
	return d
}

func (d *door) request(method, path, contentType, body string) *http.Response {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = d.header.Clone()
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, c := range d.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Result()
}

func (d *door) get(path string) *http.Response {
	d.t.Helper()
	return d.request(http.MethodGet, path, "", "")
}

func (d *door) post(path string, form url.Values) *http.Response {
	d.t.Helper()
	return d.request(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode())
}

// upload posts a form with a file.
func (d *door) upload(path, name, filename, content string, pairs ...string) *http.Response {
	d.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	file, err := w.CreateFormFile(name, filename)
	if err != nil {
		d.t.Fatal(err)
	}
	_, _ = io.WriteString(file, content) // a buffer takes everything
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			d.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		d.t.Fatal(err)
	}
	return d.request(http.MethodPost, path, w.FormDataContentType(), b.String())
}
