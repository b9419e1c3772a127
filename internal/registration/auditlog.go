package registration

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// AuditQuery says which entries of the log are wanted. What is empty does not
// narrow.
type AuditQuery struct {
	Organization       string // of which; empty: the whole log
	Actor, Act, Object string // beginnings
	From, To           time.Time
	Before             int64 // the number of the entry after them; 0: from the newest
	Limit              int   // at most [MaxPage]; 0: [DefaultPage]
}

// AuditEntry is one act.
type AuditEntry struct {
	Number             int64
	At                 time.Time
	Actor, Act, Object string
	Details            map[string]string
}

// auditWindow is how many entries one search looks at, so that none takes long.
const auditWindow = 20_000

// SearchAudit finds entries of the log, the newest first. Next is Before for
// those that come after; 0: there are none. A search that finds little in a long
// log gives a page that is not full, and a next.
func (s *Service) SearchAudit(ctx context.Context, actor auth.Actor, q AuditQuery) (list []AuditEntry, next int64, err error) {
	if q.Organization == "" && !(signedIn(actor) && (actor.Has(auth.Auditor, "") || actor.Has(auth.Operator, ""))) ||
		q.Organization != "" && !reads(actor, q.Organization) {
		return nil, 0, ErrForbidden
	}
	if q.Limit <= 0 {
		q.Limit = DefaultPage
	}
	q.Limit = min(q.Limit, MaxPage)
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		if q.Before == 0 {
			last, err := tx.LastAuditEntry()
			if err != nil {
				return hidden(err)
			}
			q.Before = last.Seq + 1
		}
		rows, err := tx.SearchAudit(store.AuditSearch{
			OrganizationID: q.Organization, Actor: q.Actor, Act: q.Act, Object: q.Object, From: q.From, To: q.To,
			Before: q.Before, Window: auditWindow, Limit: q.Limit,
		})
		for _, r := range rows {
			e := AuditEntry{Number: r.Seq, At: r.At, Actor: r.Actor, Act: r.Act, Object: r.Object}
			if err := json.Unmarshal([]byte(r.Details), &e.Details); err != nil {
				return err
			}
			list = append(list, e)
		}
		switch {
		case len(list) == q.Limit:
			next = list[len(list)-1].Number
		case q.Before-auditWindow > 1:
			next = q.Before - auditWindow
		}
		if next <= 1 {
			next = 0
		}
		return err
	})
	return list, next, err
}
