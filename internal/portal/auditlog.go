package portal

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// AuditLog is where acts are looked up, of registration.Service.
type AuditLog interface {
	SearchAudit(ctx context.Context, actor auth.Actor, q registration.AuditQuery) (list []registration.AuditEntry, next int64, err error)
}

// Limits of a look into the log.
const (
	auditPage  = 100
	auditSheet = 100_000 // of a sheet
)

type auditView struct {
	Organization, Path, Query string
	Form                      form
	Entries                   []auditRow
	Pager                     pager
}

// Place is where the page stands in the navigation.
func (v auditView) Place() string {
	if v.Organization != "" {
		return "orgaudit"
	}
	return "audit"
}

type auditRow struct {
	Number                    int64
	At                        time.Time
	Who, Act, Object, Details string
}

func auditRowOf(e registration.AuditEntry) auditRow {
	row := auditRow{Number: e.Number, At: e.At, Who: e.Actor, Act: e.Act, Object: e.Object}
	if len(e.Details) > 0 {
		text, err := json.Marshal(e.Details)
		if err == nil { // texts always are
			row.Details = string(text)
		}
	}
	return row
}

// auditQuery reads what is looked for.
func auditQuery(f *form, organization string) registration.AuditQuery {
	q := registration.AuditQuery{Organization: organization, Act: f.Value("act"), Actor: f.Value("actor"), Object: f.Value("object"), Limit: auditPage}
	day := func(name string) time.Time {
		text := f.Value(name)
		if text == "" {
			return time.Time{}
		}
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			f.wrong(name, "audit.error.date")
		}
		return at
	}
	q.From, q.To = day("from"), day("to")
	if !q.To.IsZero() {
		q.To = q.To.Add(24 * time.Hour) // that day, too
	}
	q.Before, _ = strconv.ParseInt(f.Value("after"), 10, 64) // what is no number is the beginning
	return q
}

func (p *portal) ownAudit(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showAudit(w, r, v, "/org/"+v.organization.ID+"/audit")
}

func (p *portal) audit(w http.ResponseWriter, r *http.Request) error {
	v, _ := visitOf(r.Context())
	return p.showAudit(w, r, v, "/admin/audit")
}

func (p *portal) showAudit(w http.ResponseWriter, r *http.Request, v visit, path string) error {
	f := form{Values: r.URL.Query()}
	q := auditQuery(&f, v.organization.ID)
	view := auditView{Organization: v.organization.ID, Path: path, Form: f}
	if len(f.Faults) > 0 {
		return p.render(w, r, http.StatusUnprocessableEntity, "audit", view)
	}
	list, next, err := p.Registration.SearchAudit(r.Context(), v.Actor(), q)
	if err != nil {
		return err
	}
	for _, e := range list {
		view.Entries = append(view.Entries, auditRowOf(e))
	}
	mark := ""
	if next > 0 {
		mark = strconv.FormatInt(next, 10)
	}
	view.Pager, view.Query = nextPage(r, mark), narrowed(f.Values)
	return p.render(w, r, http.StatusOK, "audit", view)
}

// narrowed is what is looked for, without the place in the list.
func narrowed(values url.Values) string {
	query := url.Values{}
	for name := range values {
		if value := values.Get(name); value != "" && slices.Contains([]string{"act", "actor", "object", "from", "to"}, name) {
			query.Set(name, value)
		}
	}
	return query.Encode()
}

func (p *portal) ownAuditSheet(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.auditSheet(w, r, v)
}

func (p *portal) wholeAuditSheet(w http.ResponseWriter, r *http.Request) error {
	v, _ := visitOf(r.Context())
	return p.auditSheet(w, r, v)
}

func (p *portal) auditSheet(w http.ResponseWriter, r *http.Request, v visit) error {
	f := form{Values: r.URL.Query()}
	q := auditQuery(&f, v.organization.ID)
	if len(f.Faults) > 0 {
		return errUnreadable
	}
	q.Before, q.Limit = 0, registration.MaxPage
	list, next, err := p.Registration.SearchAudit(r.Context(), v.Actor(), q)
	if err != nil {
		return err
	}
	attach(w, "text/csv; charset=utf-8", "audit.csv")
	sheet := roster.NewSheet(w)
	_ = sheet.Row("number", "at", "actor", "act", "object", "details") // its error is told at the end
	for n := 0; ; {
		for _, e := range list {
			row := auditRowOf(e)
			_ = sheet.Row(strconv.FormatInt(row.Number, 10), row.At.UTC().Format(time.RFC3339), row.Who, row.Act, row.Object, row.Details) // likewise
		}
		if n += len(list); next == 0 || n >= auditSheet {
			return sheet.Close()
		}
		q.Before = next
		if list, next, err = p.Registration.SearchAudit(r.Context(), v.Actor(), q); err != nil {
			return p.cutOff(err)
		}
	}
}
