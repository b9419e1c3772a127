package portal

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
)

// Recovery is what the page of key recovery needs of recovery.Service.
type Recovery interface {
	Officers(ctx context.Context, actor auth.Actor, organization string) (recovery.Standing, error)
	SetOfficers(ctx context.Context, actor auth.Actor, organization string, threshold int, choices []recovery.Choice) (*recovery.Quorum, error)
	Waiting(ctx context.Context, actor auth.Actor, organization string) ([]recovery.Waiting, error)
	Task(ctx context.Context, actor auth.Actor, organization string, kind recovery.Kind, object string) (*recovery.Task, error)
	Answer(ctx context.Context, actor auth.Actor, organization string, a *recovery.Answer) error
	Refuse(ctx context.Context, actor auth.Actor, organization, id string) error
	Request(ctx context.Context, actor auth.Actor, organization string, ask recovery.Asking) (*recovery.Request, error)
	Requests(ctx context.Context, actor auth.Actor, organization string, before time.Time, beforeID string, limit int) ([]*recovery.Request, error)
	Withdraw(ctx context.Context, actor auth.Actor, organization, id string) error
	Own(ctx context.Context, actor auth.Actor) ([]recovery.Own, error)
	Recipients(ctx context.Context, actor auth.Actor, organization string) ([]*cert.Certificate, error)
	RequestOwn(ctx context.Context, actor auth.Actor, organization, recipient, reason string) ([]*recovery.Request, error)
	Keepers(ctx context.Context, organization string) (*recovery.Keepers, error)
	Release(ctx context.Context, actor auth.Actor, organization, id string) (*recovery.Bundle, error)
}

// seesRecovery are those for whom the page is: officers need not be allowed to
// look at the rest of the organization.
func seesRecovery(a auth.Actor, organization string) bool {
	return a.MayRead(organization) || a.Has(auth.RecoveryOfficer, organization)
}

// recoveryRoutes are those of the page of key recovery.
func (p *portal) recoveryRoutes(handle func(string, handler)) {
	for pattern, page := range map[string]ownPage{
		"GET ": p.recovery, "POST /officers": p.proposeOfficers, "POST /task": p.officersTask, "POST /answer": p.officersAnswer,
		"POST /refuse": p.officerRefuses, "POST /request": p.requestKeys, "POST /withdraw": p.withdrawRequest, "POST /release": p.releaseKeys,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		handle(method+" /org/{org}/recovery"+path, p.signedIn(seesRecovery, func(w http.ResponseWriter, r *http.Request) error {
			v, _ := visitOf(r.Context())
			st, err := p.Recovery.Officers(r.Context(), v.Actor(), r.PathValue("org"))
			if err != nil {
				return err
			}
			v.organization = registration.Organization{ID: r.PathValue("org"), Name: st.Name}
			return page(w, r.WithContext(visiting(r.Context(), v)), v)
		}))
	}
}

// sharesOf lists the organizations of which an account is an officer, and which
// it does not see for any other reason.
func (p *portal) sharesOf(ctx context.Context, actor auth.Actor) (list []candidate, err error) {
	for _, id := range actor.Organizations() {
		if actor.MayRead(id) || !actor.Has(auth.RecoveryOfficer, id) {
			continue
		}
		st, err := p.Recovery.Officers(ctx, actor, id)
		if err != nil {
			return nil, err
		}
		list = append(list, candidate{ID: id, Name: st.Name})
	}
	return list, nil
}

type recoveryView struct {
	Organization     string
	Name             string
	Form             form
	May, Officer     bool
	Active, Proposed *quorumRow
	Keys, Former     int
	Candidates       []candidate
	Pager            pager // of the requests
	Tasks            []taskRow
	Requests         []requestRow
	Alone            bool // one administrator names officers
	Waits            bool // something does, for a second member
	Notice           *notice
}

type quorumRow struct {
	Threshold int
	Officers  []officerRow
}

type officerRow struct {
	Email, SHA256 string
	Confirmed     time.Time
}

// candidate is an account that can be an officer.
type candidate struct{ ID, Name, Email string }

type taskRow struct {
	recovery.Waiting
	Request *requestRow // of a release
}

type requestRow struct {
	ID, Who, Requester, Reason, State, Certificate, SHA256 string
	Given, Threshold, Keys                                 int
	Created, Expires                                       time.Time
	Own, Open                                              bool
}

// requestsAtOnce is how many requests a page shows, the newest first.
const requestsAtOnce = 50

// mark is where a page of requests ends, as [nextPage] takes it.
func (r requestRow) mark() string { return strconv.FormatInt(r.Created.Unix(), 10) + "." + r.ID }

// readMark reads a mark; one that nobody was given is the beginning.
func readMark(text string) (at time.Time, id string) {
	seconds, id, found := strings.Cut(text, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if !found || err != nil {
		return time.Time{}, ""
	}
	return time.Unix(n, 0), id
}

func (p *portal) recovery(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showRecovery(w, r, v, http.StatusOK, filled("threshold", "2"))
}

func (p *portal) showRecovery(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	ctx, actor, id := r.Context(), v.Actor(), v.organization.ID
	st, err := p.Recovery.Officers(ctx, actor, id)
	if err != nil {
		return err
	}
	accounts, err := p.accountsIn(ctx, v)
	if err != nil {
		return err
	}
	view := recoveryView{
		Organization: id, Name: st.Name, Form: f, May: v.administers(), Officer: actor.Has(auth.RecoveryOfficer, id), Keys: int(st.Keys), Former: int(st.Former), Alone: st.Alone,
		Active: quorumRowOf(st.Active), Proposed: quorumRowOf(st.Proposed),
		Notice: doneNotice(r, map[string]string{"answered": "recovery.answered", "asked": "recovery.asked", "proposed": "recovery.proposed.done"}),
	}
	if actor.MayRead(id) {
		if view.Waits, err = p.changesWait(r, id); err != nil {
			return err
		}
	}
	for _, a := range accounts {
		for _, g := range a.Grants {
			if g == (auth.Grant{Role: auth.RecoveryOfficer, Organization: id}) {
				view.Candidates = append(view.Candidates, candidate{a.ID, a.Name, a.Email})
			}
		}
	}
	before, beforeID := readMark(r.URL.Query().Get("after"))
	requests, err := p.Recovery.Requests(ctx, actor, id, before, beforeID, requestsAtOnce+1)
	if err != nil {
		return err
	}
	for _, request := range requests[:min(len(requests), requestsAtOnce)] {
		row := requestRowOf(request)
		row.Own = request.Requester == string(auth.KindAccount)+":"+v.Account.ID
		view.Requests = append(view.Requests, row)
	}
	next := ""
	if len(requests) > requestsAtOnce {
		next = view.Requests[requestsAtOnce-1].mark()
	}
	view.Pager = pagerAt("/org/"+id+"/recovery", r.URL.Query(), next)
	if view.Officer {
		if view.Tasks, err = p.tasks(ctx, v, view.Requests); err != nil {
			return err
		}
	}
	return p.render(w, r, status, "recovery", view)
}

// accountsIn lists the accounts of the organization for those who may see them.
func (p *portal) accountsIn(ctx context.Context, v visit) ([]auth.AccountInfo, error) {
	list, err := p.Accounts.Accounts(ctx, v.Actor(), v.organization.ID)
	if errors.Is(err, auth.ErrForbidden) {
		return nil, nil
	}
	return list, err
}

func quorumRowOf(q *recovery.Quorum) *quorumRow {
	if q == nil {
		return nil
	}
	row := &quorumRow{Threshold: q.Threshold}
	for _, o := range q.Officers {
		row.Officers = append(row.Officers, officerRow{o.Email, o.Certificate.SHA256(), o.Confirmed})
	}
	return row
}

func requestRowOf(r *recovery.Request) requestRow {
	row := requestRow{
		ID: r.ID, Who: r.Owner, Requester: r.By, Reason: r.Reason, State: string(r.State),
		Certificate: strings.Join(r.Recipient.Emails(), ", "), SHA256: r.Recipient.SHA256(), Threshold: r.Threshold, Keys: len(r.Keys),
		Created: r.Created, Expires: r.Expires, Open: r.State == recovery.Open || r.State == recovery.Ready,
	}
	for _, d := range r.Decisions {
		if d.Given {
			row.Given++
		}
	}
	return row
}

// tasks are what waits for the officer who looks.
func (p *portal) tasks(ctx context.Context, v visit, requests []requestRow) (list []taskRow, err error) {
	waiting, err := p.Recovery.Waiting(ctx, v.Actor(), v.organization.ID)
	for _, one := range waiting {
		row := taskRow{Waiting: one}
		for i := range requests {
			if one.Kind == recovery.Release && requests[i].ID == one.Object {
				row.Request = &requests[i]
			}
		}
		list = append(list, row)
	}
	return list, err
}

// recoveryDone answers a form of the page.
func (p *portal) recoveryDone(w http.ResponseWriter, r *http.Request, v visit, f form, done string, err error) error {
	switch {
	case err == nil:
		return seeOther(w, r, "/org/"+v.organization.ID+"/recovery?done="+done)
	case f.taken(err):
	case errors.Is(err, recovery.ErrProof):
		f.wrong("answer", "recovery.fault.proof")
	case errors.Is(err, recovery.ErrSigns):
		f.wrong("", "recovery.fault.signs")
	case errors.Is(err, recovery.ErrState):
		f.wrong("", "recovery.fault.state")
	default:
		return err
	}
	return p.showRecovery(w, r, v, http.StatusUnprocessableEntity, f)
}

func (p *portal) proposeOfficers(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	threshold, err := strconv.Atoi(strings.TrimSpace(f.Value("threshold")))
	if err != nil {
		threshold = -1 // which is too few
	}
	var choices []recovery.Choice
	for _, account := range f.Values["officer"] {
		choices = append(choices, recovery.Choice{Account: account, Certificate: pemIn(f.Value("certificate-" + account))})
	}
	_, err = p.Recovery.SetOfficers(r.Context(), v.Actor(), v.organization.ID, threshold, choices)
	if _, waits := errors.AsType[*auth.WaitsError](err); waits {
		return p.rolesDone(w, r, err)
	}
	return p.recoveryDone(w, r, v, f, "proposed", err)
}

// pemIn is the first block of a text in PEM; nil where there is none, which is no
// certificate either.
func pemIn(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	return block.Bytes
}

// officersTask gives an officer a task as a file.
func (p *portal) officersTask(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	task, err := p.Recovery.Task(r.Context(), v.Actor(), v.organization.ID, recovery.Kind(f.Value("kind")), f.Value("object"))
	if err != nil {
		return p.recoveryDone(w, r, v, f, "", err)
	}
	return recoveryFile(w, "task.json", task)
}

// recoveryFile gives a file to be kept.
func recoveryFile(w http.ResponseWriter, name string, content any) error {
	body, err := recovery.Encode(content)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, _ = w.Write(body) // the client is gone: nobody left to tell
	return nil
}

// officersAnswer takes what the officer's own machine made of a task: a file, or
// its text.
func (p *portal) officersAnswer(w http.ResponseWriter, r *http.Request, v visit) error {
	file, _, err := upload(r, "file")
	if err != nil {
		return err
	}
	f := formOf(r)
	text := []byte(f.Value("answer"))
	if file != nil {
		defer file.Close()
		if text, err = io.ReadAll(io.LimitReader(file, recovery.MaxFile+1)); err != nil {
			return unreadable(err)
		}
	}
	answer, err := recovery.ParseAnswer(text)
	if err != nil {
		f.wrong("answer", "recovery.fault.file")
		return p.showRecovery(w, r, v, http.StatusUnprocessableEntity, f)
	}
	return p.recoveryDone(w, r, v, f, "answered", p.Recovery.Answer(r.Context(), v.Actor(), v.organization.ID, answer))
}

func (p *portal) officerRefuses(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	return p.recoveryDone(w, r, v, f, "answered", p.Recovery.Refuse(r.Context(), v.Actor(), v.organization.ID, f.Value("id")))
}

func (p *portal) requestKeys(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	person, err := p.personCalled(r.Context(), v, strings.TrimSpace(f.Value("person")))
	if errors.Is(err, registration.ErrForbidden) {
		f.wrong("person", "recovery.fault.person")
		return p.showRecovery(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	_, err = p.Recovery.Request(r.Context(), v.Actor(), v.organization.ID, recovery.Asking{
		Person: person, Recipient: pemIn(f.Value("recipient")), Reason: f.Value("reason"),
	})
	return p.recoveryDone(w, r, v, f, "asked", err)
}

// personCalled finds a person by a mail address.
func (p *portal) personCalled(ctx context.Context, v visit, address string) (string, error) {
	list, _, err := p.Registration.People(ctx, v.Actor(), v.organization.ID, registration.PersonQuery{Text: address}, registration.Page{})
	if err != nil {
		return "", err
	}
	for _, person := range list {
		for _, one := range person.Addresses {
			if strings.EqualFold(one, address) {
				return person.ID, nil
			}
		}
	}
	return "", registration.ErrForbidden
}

func (p *portal) withdrawRequest(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	return p.recoveryDone(w, r, v, f, "", p.Recovery.Withdraw(r.Context(), v.Actor(), v.organization.ID, f.Value("id")))
}

func (p *portal) releaseKeys(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	bundle, err := p.Recovery.Release(r.Context(), v.Actor(), v.organization.ID, f.Value("id"))
	if err != nil {
		return p.recoveryDone(w, r, v, f, "", err)
	}
	return recoveryFile(w, "recovered.json", bundle)
}
