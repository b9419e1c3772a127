package api

import (
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

func (h *handler) auditLog() []*route {
	return []*route{
		get("/api/v1/audit", "searchAudit", "The log of every act, the newest first", roles(auth.Auditor, auth.Operator), h.audit),
		get("/api/v1/organizations/{organization}/audit", "searchOrganizationAudit", "The log of every act about an organization and what belongs to it", lookers, h.audit),
	}
}

type auditQuery struct {
	paged
	Actor  string    `json:"actor,omitempty" max:"256" doc:"How it begins: account:, person:, token:, server."`
	Act    string    `json:"act,omitempty" max:"256" doc:"How it begins."`
	Object string    `json:"object,omitempty" max:"256" doc:"How it begins: an id."`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero" doc:"Before this time."`
}

type auditEntry struct {
	Number  int64             `json:"number"`
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor"`
	Act     string            `json:"act"`
	Object  string            `json:"object"`
	Details map[string]string `json:"details"`
}

// audit is both: the whole log, where no organization stands in the path.
func (h *handler) audit(c *call, q auditQuery) (list[auditEntry], error) {
	var before int64
	if q.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(q.Cursor, 10, 64); err != nil || before < 1 {
			return list[auditEntry]{}, errCursor
		}
	}
	all, more, err := h.Registration.SearchAudit(c.ctx, c.actor, registration.AuditQuery{
		Organization: c.org(), Actor: q.Actor, Act: q.Act, Object: q.Object, From: q.From, To: q.To, Before: before, Limit: q.Limit,
	})
	next := ""
	if more > 0 {
		next = strconv.FormatInt(more, 10)
	}
	return listOf(all, next, func(e registration.AuditEntry) auditEntry {
		return auditEntry{e.Number, e.At.UTC(), e.Actor, e.Act, e.Object, e.Details}
	}), err
}
