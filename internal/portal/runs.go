package portal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
)

type runView struct {
	Organization string
	Run          runNow
	Live, May    bool
	Files        bool     // keys are made here
	Actions      []string // pause, resume, retry, cancel
	Failures     []failureRow
	By           string // who started it
	Pager        pager  // of the failures
}

// runNow is how far a run is.
type runNow struct {
	enrollment.Run
	Ended int // done, failed or cancelled
}

// State is the run's, and says of one that is done whether anybody failed.
func (r runNow) State() string {
	if r.Run.State == enrollment.RunDone && r.Failed > 0 {
		return "failed"
	}
	return r.Run.State
}

// Live tells whether the run may go on by itself.
func (r runNow) Live() bool { return r.Run.State == enrollment.RunRunning }

func now(r enrollment.Run) runNow { return runNow{r, r.Done + r.Failed + r.Cancelled} }

// actions are what can be done with a run.
func (r runNow) actions() (list []string) {
	switch r.Run.State {
	case enrollment.RunRunning:
		list = []string{"pause", "cancel"}
	case enrollment.RunPaused:
		list = []string{"resume", "cancel"}
	}
	if r.Failed > 0 && r.Run.State != enrollment.RunCancelled {
		list = append(list, "retry")
	}
	return list
}

type failureRow struct {
	Line             int
	Address, Problem string
}

// ownRun is the run of the path, if it is of the organization of the path.
func (p *portal) ownRun(r *http.Request, v visit) (runNow, error) {
	run, err := p.Enrollment.Run(r.Context(), v.Actor(), r.PathValue("run"))
	if err == nil && run.Organization != v.organization.ID {
		err = registration.ErrForbidden
	}
	return now(run), err
}

func (p *portal) run(w http.ResponseWriter, r *http.Request, v visit) error {
	run, err := p.ownRun(r, v)
	if err != nil {
		return err
	}
	view := runView{Organization: v.organization.ID, Run: run, Live: run.Live(), May: v.administers(), Files: run.Mode == enrollment.ModeServerKeys, Actions: run.actions()}
	names, err := p.names(r, v)
	if err != nil {
		return err
	}
	view.By = names.of(run.StartedBy)
	if run.Failed > 0 {
		after, err := strconv.Atoi(r.URL.Query().Get("after"))
		if err != nil {
			after = -1 // from the beginning
		}
		failed, err := p.Enrollment.Members(r.Context(), v.Actor(), run.ID, "failed", after, shownProblems+1)
		if err != nil {
			return err
		}
		next := ""
		if len(failed) > shownProblems {
			failed = failed[:shownProblems]
			next = strconv.Itoa(failed[shownProblems-1].Position)
		}
		view.Pager = nextPage(r, next)
		for _, m := range failed {
			row := failureRow{Line: m.Line, Address: m.Address}
			if m.Problem != nil {
				row.Problem = m.Problem.Text(p.tongueOf(r).tag)
			}
			view.Failures = append(view.Failures, row)
		}
	}
	return p.render(w, r, http.StatusOK, "run", view)
}

// Events of a run: the browser asks again when a stream ends, which it does
// before a server that stops has to cut it, and before a session could end
// unnoticed.
const (
	streamLife = 8 * time.Second
	streamStep = 300 * time.Millisecond
	streamMost = 200 // at a time
)

// runEvents tells how far a run is, as server-sent events.
func (p *portal) runEvents(w http.ResponseWriter, r *http.Request, v visit) error {
	run, err := p.ownRun(r, v)
	if err != nil {
		return err
	}
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		return errBusy
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	if _, err := fmt.Fprint(w, "retry: 500\n\n"); err != nil {
		return nil // the client is gone: nobody left to tell
	}
	t, sent := p.tongueOf(r), runNow{}
	for {
		if run != sent {
			if err := p.tell(w, t, run); err != nil {
				return nil // likewise
			}
			if err := out.Flush(); err != nil {
				return nil // likewise
			}
			sent = run
		}
		if !run.Live() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(streamStep):
		}
		if run, err = p.ownRun(r.WithContext(ctx), v); err != nil {
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				p.Log.Error("events of a run ended", "error", err)
			}
			return nil
		}
	}
}

// tell writes one event.
func (p *portal) tell(w http.ResponseWriter, t *tongue, run runNow) error {
	state, err := t.plain("state." + run.State())
	if err != nil {
		return err
	}
	said := state
	if run.Live() {
		if said, err = t.plain("run.said", "done", counted(run.Ended), "total", counted(run.Total)); err != nil {
			return err
		}
	}
	data, err := json.Marshal(map[string]any{
		"state": state, "class": run.State(), "said": said, "live": run.Live(), "of": run.Total, "ended": run.Ended,
		"done": counted(run.Done), "total": counted(run.Total), "waiting": counted(run.Waiting), "failed": counted(run.Failed),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: run\ndata: %s\n\n", data)
	return err
}

// changeRun pauses a run, lets it go on, tries again what failed, or ends it.
func (p *portal) changeRun(w http.ResponseWriter, r *http.Request, v visit) error {
	run, err := p.ownRun(r, v)
	if err != nil {
		return err
	}
	change := map[string]func(context.Context, auth.Actor, string) (enrollment.Run, error){
		"pause": p.Enrollment.Pause, "resume": p.Enrollment.Resume, "retry": p.Enrollment.Retry, "cancel": p.Enrollment.Cancel,
	}[r.PathValue("change")]
	if change == nil {
		return errNoPage
	}
	if _, err := change(r.Context(), v.Actor(), run.ID); err != nil && !errors.Is(err, registration.ErrState) { // somebody was faster
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/runs/"+run.ID)
}

// passphrases is the sheet of a run's passphrases, which the administrator hands
// out another way than by mail. That it was asked for is in the log, so it takes
// a button.
func (p *portal) passphrases(w http.ResponseWriter, r *http.Request, v visit) error {
	run, err := p.ownRun(r, v)
	if err != nil {
		return err
	}
	if run.Mode != enrollment.ModeServerKeys {
		return errNoPage
	}
	attach(w, "text/csv; charset=utf-8", "passphrases.csv")
	return p.cutOff(p.Enrollment.Sheet(r.Context(), v.Actor(), run.ID, p.tongueOf(r).tag, w))
}
