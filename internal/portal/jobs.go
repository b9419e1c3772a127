package portal

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/jobs"
)

// Jobs is what the portal needs of jobs.Service.
type Jobs interface {
	Dead(ctx context.Context, actor auth.Actor) (list []jobs.Dead, more bool, err error)
	Revive(ctx context.Context, actor auth.Actor, id string) error
	Discard(ctx context.Context, actor auth.Actor, id string) error
}

type jobsView struct {
	Jobs   []jobs.Dead
	More   bool
	May    bool
	Form   form
	Notice *notice
}

// jobs are those that were given up.
func (p *portal) jobs(w http.ResponseWriter, r *http.Request) error {
	return p.showJobs(w, r, http.StatusOK, form{})
}

func (p *portal) showJobs(w http.ResponseWriter, r *http.Request, status int, f form) error {
	v, _ := visitOf(r.Context())
	list, more, err := p.Jobs.Dead(r.Context(), v.Actor())
	if err != nil {
		return err
	}
	said := doneNotice(r, map[string]string{"revive": "jobs.revived", "discard": "jobs.discarded"})
	return p.render(w, r, status, "jobs", jobsView{list, more, v.Actor().Has(auth.Operator, ""), f, said})
}

// actOnJobs has jobs tried again, or discards them: those that are ticked, or all.
func (p *portal) actOnJobs(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	f, act := formOf(r), p.Jobs.Revive
	switch f.Value("do") {
	case "revive":
	case "discard":
		act = p.Jobs.Discard
	default:
		return errUnreadable
	}
	v, _ := visitOf(r.Context())
	done := 0
	each := func(id string) error {
		err := act(r.Context(), v.Actor(), id)
		if errors.Is(err, jobs.ErrNotDead) { // somebody else has decided meanwhile
			return nil
		}
		done++
		return err
	}
	var err error
	if f.Value("whom") == "all" {
		err = p.eachJob(r.Context(), v.Actor(), each)
	} else {
		if len(f.Values["job"]) == 0 {
			f.wrong("", "jobs.error.none")
			return p.showJobs(w, r, http.StatusUnprocessableEntity, f)
		}
		for _, id := range f.Values["job"] {
			if err = each(id); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/admin/jobs?done="+f.Value("do")+"&n="+strconv.Itoa(done))
}

// eachJob goes through all jobs that were given up, each once: one that is tried
// again and given up again meanwhile is left.
func (p *portal) eachJob(ctx context.Context, actor auth.Actor, do func(id string) error) error {
	for seen := map[string]bool{}; ; {
		list, more, err := p.Jobs.Dead(ctx, actor)
		if err != nil {
			return err
		}
		before := len(seen)
		for _, j := range list {
			if seen[j.ID] {
				continue
			}
			seen[j.ID] = true
			if err := do(j.ID); err != nil {
				return err
			}
		}
		if !more || len(seen) == before {
			return nil
		}
	}
}
