package api

import (
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/jobs"
)

func (h *handler) deadJobs() []*route {
	const one = "/api/v1/jobs/{job}"
	return []*route{
		get("/api/v1/jobs", "listJobs", "Jobs that were given up, the latest first", roles(auth.Operator, auth.Auditor), h.listJobs),
		do(one+"/revive", "reviveJob", "Have a job that was given up tried again", operators, h.reviveJob),
		act("DELETE", one, "discardJob", "Discard a job that was given up: what it was to do is not done", operators, h.discardJob),
	}
}

type jobOut struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Attempts int       `json:"attempts"`
	Why      string    `json:"why" doc:"What the last attempt ended with."`
	Created  time.Time `json:"created"`
	GivenUp  time.Time `json:"given_up"`
}

type jobsOut struct {
	Items []jobOut `json:"items"`
	More  bool     `json:"more" doc:"There are further ones: revive or discard these first."`
}

func (h *handler) listJobs(c *call, _ none) (jobsOut, error) {
	dead, more, err := h.Jobs.Dead(c.ctx, c.actor)
	return jobsOut{listOf(dead, "", func(j jobs.Dead) jobOut {
		return jobOut{j.ID, j.Kind, j.Attempts, j.Why, j.Created.UTC(), j.GivenUp.UTC()}
	}).Items, more}, err
}

func (h *handler) reviveJob(c *call, _ none) (none, error) {
	return none{}, h.Jobs.Revive(c.ctx, c.actor, c.path("job"))
}

func (h *handler) discardJob(c *call, _ none) (none, error) {
	return none{}, h.Jobs.Discard(c.ctx, c.actor, c.path("job"))
}
