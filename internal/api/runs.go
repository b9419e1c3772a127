package api

import (
	"bytes"
	"context"
	"mime"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// listMedia are the lists of people that are read, by their formats.
var listMedia = map[string]string{
	"text/csv": enrollment.FormatCSV, "text/plain": enrollment.FormatCSV, "application/ldif": enrollment.FormatLDIF,
	"application/scim+json": enrollment.FormatSCIM,
}

// runs are bulk runs, and all that is done to many people at a time.
func (h *handler) runs() []*route {
	const people = "/api/v1/organizations/{organization}/people"
	const all = "/api/v1/organizations/{organization}/runs"
	media := []string{"text/csv", "text/plain", "application/ldif", "application/scim+json"}
	return []*route{
		upload(all+"/preview", "previewRun", "Say all that is wrong with a list of people, by line; nothing is written", managers, roster.MaxBytes, media, h.previewRun),
		upload(all, "startRun", "Equip the people of a list", managers, roster.MaxBytes, media, h.startRun).answers(201),
		post(all+"/of-people", "startRunOfPeople", "Equip people whom the organization knows already", managers, h.startRunOfPeople).upTo(maxList),
		get(all, "listRuns", "An organization's bulk runs, the newest first", lookers, h.listRuns),
		get(all+"/{run}", "getRun", "How far a run is", lookers, h.getRun),
		get(all+"/{run}/people", "listRunPeople", "What became of the people of a run", lookers, h.listRunPeople),
		do(all+"/{run}/pause", "pauseRun", "Let a run rest", managers, h.runDo((*enrollment.Service).Pause)),
		do(all+"/{run}/resume", "resumeRun", "Let a paused run go on", managers, h.runDo((*enrollment.Service).Resume)),
		do(all+"/{run}/retry", "retryRun", "Begin again with everybody who failed", managers, h.runDo((*enrollment.Service).Retry)),
		do(all+"/{run}/cancel", "cancelRun", "End a run; what people have they keep", managers, h.runDo((*enrollment.Service).Cancel)),
		do(all+"/{run}/passphrases", "runPassphrases", "The passphrases of a run's files, as a sheet to hand out another way than by mail", managers, h.runPassphrases).files("text/csv").shownOnce(),
		do(people+"/revoke", "revokePeople", "Revoke every certificate of the people that a search finds", managers, h.revokePeople),
		do(people+"/dismiss", "dismissPeople", "Say that people have left, revoke their certificates and erase what waits for them", managers, h.dismissPeople).upTo(maxList),
		get("/api/v1/pickups/{pickup}", "getPickup", "What waits under a link", anybody, h.getPickup),
		do("/api/v1/pickups/{pickup}/orders", "redeemInvitation", "Go on with the orders of an invitation, by the code of its mail", anybody, h.redeem).shownOnce(),
		do("/api/v1/pickups/{pickup}/file", "pickUp", "Pick the PKCS #12 file up, once, by the code of its mail", anybody, h.pickUp).files("application/x-pkcs12").shownOnce(),
		do("/api/v1/pickups/{pickup}/mail", "mailPickup", "Send the mail of a pickup again, with a new code", anyAccount, h.mailPickup),
	}
}

type listQuery struct {
	Encoding  string `json:"encoding,omitempty" enum:"UTF-8,Windows-31J" doc:"Of CSV; by its octets unless it says so."`
	Separator string `json:"separator,omitempty" enum:"comma,semicolon,tab" doc:"Of CSV; by its first line unless it says so."`
}

func (h *handler) preview(c *call, q listQuery) (*enrollment.Preview, error) {
	media, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")) // readBody has looked at it
	separator := map[string]string{"comma": ",", "semicolon": ";", "tab": "\t"}[q.Separator]
	return h.Enrollment.Preview(c.ctx, c.actor, c.org(), bytes.NewReader(c.body), enrollment.ListOptions{
		Format: listMedia[media], Encoding: q.Encoding, Separator: separator,
	})
}

// listProblem is one thing that is wrong with a list.
type listProblem struct {
	Line   int    `json:"line" doc:"Of the file, from 1; 0: the list as a whole."`
	Column int    `json:"column,omitempty" doc:"Of the line, from 1."`
	Code   string `json:"code"`
	What   string `json:"what" doc:"What is wrong, in the language that is asked for."`
	Advice string `json:"advice" doc:"What to do about it."`
}

type previewOut struct {
	People    int           `json:"people" doc:"Lines that can be used."`
	Problems  []listProblem `json:"problems" doc:"Of lines that cannot."`
	Notices   []listProblem `json:"notices" doc:"What was passed over without harm."`
	Unlisted  int           `json:"unlisted" doc:"Further problems and notices."`
	Encoding  string        `json:"encoding,omitempty"`
	Separator string        `json:"separator,omitempty"`
}

func (h *handler) previewRun(c *call, q listQuery) (previewOut, error) {
	p, err := h.preview(c, q)
	if err != nil {
		return previewOut{}, err
	}
	show := func(list []roster.Problem) []listProblem {
		out := make([]listProblem, len(list))
		lang := language(c.r)
		for i, p := range list {
			out[i] = listProblem{p.Line, p.Column, p.Key, p.What(lang), p.Advice(lang)}
		}
		return out
	}
	l := p.List
	return previewOut{len(l.People), show(l.Problems), show(l.Notices), l.Unlisted, l.Encoding, l.Separator}, nil
}

type runQuery struct {
	listQuery
	Mode     string `json:"mode,omitempty" enum:"invite,server-keys" doc:"As the organization's settings say unless it says so."`
	Client   string `json:"client,omitempty" max:"40" doc:"What imports the files: any, thunderbird, outlook, apple, ios, android, gnupg, ..."`
	LeaveOut string `json:"leave_out,omitempty" enum:"problems" doc:"Go on without the lines that have problems."`
}

// runOut is a bulk run.
type runOut struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind" enum:"import,renewal"`
	Mode      string     `json:"mode" enum:"invite,server-keys"`
	State     string     `json:"state" enum:"running,paused,cancelled,done"`
	StartedBy string     `json:"started_by"`
	Created   time.Time  `json:"created"`
	Finished  *time.Time `json:"finished,omitempty"`
	Total     int        `json:"total"`
	Waiting   int        `json:"waiting" doc:"For their turn, an approval or the next step."`
	Done      int        `json:"done" doc:"Have their mail, or it is on its way."`
	Failed    int        `json:"failed"`
	Cancelled int        `json:"cancelled"`
}

func runOf(r enrollment.Run) runOut {
	return runOut{r.ID, r.Kind, r.Mode, r.State, r.StartedBy, r.Created.UTC(), moment(r.Finished), r.Total, r.Waiting, r.Done, r.Failed, r.Cancelled}
}

func (h *handler) startRun(c *call, q runQuery) (runOut, error) {
	p, err := h.preview(c, q.listQuery)
	if err != nil {
		return runOut{}, err
	}
	r, err := h.Enrollment.Start(c.ctx, c.actor, p, enrollment.StartOptions{Mode: q.Mode, Client: q.Client, LeaveOut: q.LeaveOut != ""})
	return runOf(r), err
}

type runIn struct {
	selection
	Mode   string `json:"mode,omitempty" enum:"invite,server-keys"`
	Client string `json:"client,omitempty" max:"40"`
}

func (h *handler) startRunOfPeople(c *call, in runIn) (runOut, error) {
	r, err := h.Enrollment.StartFor(c.ctx, c.actor, c.org(), in.IDs, enrollment.StartOptions{Mode: in.Mode, Client: in.Client})
	return runOf(r), err
}

func (h *handler) listRuns(c *call, q paged) (list[runOut], error) {
	limit := q.page().Limit
	if limit == 0 {
		limit = registration.DefaultPage
	}
	runs, err := h.Enrollment.Runs(c.ctx, c.actor, c.org(), q.Cursor, limit+1)
	next := ""
	if len(runs) > limit {
		runs = runs[:limit]
		next = runs[limit-1].ID
	}
	return listOf(runs, next, runOf), err
}

// runInPath is the run in the path, if it is that organization's.
func (h *handler) runInPath(c *call) (enrollment.Run, error) {
	r, err := h.Enrollment.Run(c.ctx, c.actor, c.path("run"))
	if err == nil && r.Organization != c.org() {
		err = auth.ErrForbidden
	}
	return r, err
}

func (h *handler) getRun(c *call, _ none) (runOut, error) {
	r, err := h.runInPath(c)
	return runOf(r), err
}

// runAct is what moves a run on.
type runAct func(s *enrollment.Service, ctx context.Context, actor auth.Actor, id string) (enrollment.Run, error)

// runDo makes a route that moves a run on.
func (h *handler) runDo(do runAct) func(*call, none) (runOut, error) {
	return func(c *call, _ none) (runOut, error) {
		r, err := h.runInPath(c)
		if err != nil {
			return runOut{}, err
		}
		r, err = do(h.Enrollment, c.ctx, c.actor, r.ID)
		return runOf(r), err
	}
}

type runPeopleQuery struct {
	State string `json:"state,omitempty" enum:"ordered,done,failed,cancelled"`
	paged
}

// runPerson is what became of somebody of a run.
type runPerson struct {
	Line    int      `json:"line,omitempty" doc:"Of the list."`
	Address string   `json:"address"`
	Person  string   `json:"person,omitempty" doc:"Left out where the organization did not take them."`
	Orders  []string `json:"orders"`
	State   string   `json:"state" enum:"ordered,done,failed,cancelled"`
	Problem string   `json:"problem,omitempty"`
	Pickup  string   `json:"pickup,omitempty" doc:"What waits for them."`
}

func (h *handler) listRunPeople(c *call, q runPeopleQuery) (list[runPerson], error) {
	r, err := h.runInPath(c)
	if err != nil {
		return list[runPerson]{}, err
	}
	after, limit := -1, q.page().Limit
	if limit == 0 {
		limit = registration.DefaultPage
	}
	if q.Cursor != "" {
		if after, err = strconv.Atoi(q.Cursor); err != nil {
			return list[runPerson]{}, errCursor
		}
	}
	members, err := h.Enrollment.Members(c.ctx, c.actor, r.ID, q.State, after, limit)
	next := ""
	if len(members) == limit {
		next = strconv.Itoa(members[limit-1].Position)
	}
	return listOf(members, next, func(m enrollment.Member) runPerson {
		p := runPerson{m.Line, m.Address, m.Person, each(m.Orders), m.State, "", m.PickUp}
		if m.Problem != nil {
			p.Problem = m.Problem.Text(language(c.r))
		}
		return p
	}), err
}

func (h *handler) runPassphrases(c *call, _ none) (file, error) {
	r, err := h.runInPath(c)
	if err != nil {
		return file{}, err
	}
	var b bytes.Buffer
	err = h.Enrollment.Sheet(c.ctx, c.actor, r.ID, language(c.r), &b)
	return file{"text/csv; charset=utf-8", "passphrases.csv", b.Bytes()}, err
}

// search says which people are meant.
type search struct {
	Text  string `json:"text,omitempty" max:"200" doc:"Beginnings of names, addresses, number, department."`
	State string `json:"state,omitempty" enum:"without,valid,expiring,expired,revoked,waiting,left"`
}

type revokePeopleIn struct {
	search
	Reason string `json:"reason" enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" doc:"RFC 5280 §5.3.1"`
}

func (h *handler) revokePeople(c *call, in revokePeopleIn) (revocationsOut, error) {
	if in.Text == "" && in.State == "" {
		return revocationsOut{}, &fieldError{"text", "says nothing, and neither does the state: that would be everybody; use state valid for that"}
	}
	r, err := h.Enrollment.RevokeAll(c.ctx, c.actor, c.org(), registration.PersonQuery{Text: in.Text, State: registration.PersonState(in.State)}, reasons[in.Reason])
	return revocationsOf(r), err
}

func (h *handler) dismissPeople(c *call, in selection) (revocationsOut, error) {
	r, err := h.Enrollment.Leave(c.ctx, c.actor, c.org(), in.IDs)
	return revocationsOf(r), err
}

// pickupOut is what waits under a link.
type pickupOut struct {
	Mode    string    `json:"mode" enum:"invite,server-keys"`
	State   string    `json:"state" enum:"waiting,taken,void,expired,withdrawn"`
	Expires time.Time `json:"expires"`
}

func (h *handler) getPickup(c *call, _ none) (pickupOut, error) {
	w, err := h.Enrollment.Waiting(c.ctx, c.path("pickup"))
	return pickupOut{w.Mode, w.State, w.Expires.UTC()}, err
}

// openedOut is an order to go on with.
type openedOut struct {
	ID    string `json:"id"`
	Token string `json:"token" doc:"Goes on with the order. Shown once."`
	Use   string `json:"use" enum:"dual,signing,encryption"`
	Email string `json:"email"`
}

func (h *handler) redeem(c *call, in code) (list[openedOut], error) {
	opened, err := h.Enrollment.Redeem(c.ctx, c.path("pickup"), in.Code)
	return listOf(opened, "", func(o enrollment.Opened) openedOut {
		return openedOut{o.Order.ID, o.Secret, string(o.Use), o.Order.Email}
	}), err
}

type pickUpIn struct {
	code
	Client string `json:"client,omitempty" max:"40" doc:"What imports the file; as the run was made for unless it says so."`
}

func (h *handler) pickUp(c *call, in pickUpIn) (file, error) {
	p12, err := h.Enrollment.PickUp(c.ctx, c.path("pickup"), in.Code, in.Client, nil)
	return file{"application/x-pkcs12", "certificate.p12", p12}, err
}

func (h *handler) mailPickup(c *call, _ none) (none, error) {
	return none{}, h.Enrollment.Mail(c.ctx, c.actor, c.path("pickup"))
}
