package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// People is what the pages of an organization's people need of
// registration.Service.
type People interface {
	People(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery, page registration.Page) ([]registration.Person, string, error)
	CountPeople(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery) (int64, error)
	PeopleIDs(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery) ([]string, error)
	Person(ctx context.Context, actor auth.Actor, organization, id string) (registration.Person, error)
	AddPerson(ctx context.Context, actor auth.Actor, organization string, p registration.PersonInput) (registration.Person, error)
	ChangePerson(ctx context.Context, actor auth.Actor, organization, id string, p registration.PersonInput) (registration.Person, error)
	PeopleLeave(ctx context.Context, actor auth.Actor, organization string, ids []string) error
}

type peopleView struct {
	Organization string
	Form         form
	Notice       *notice
	Query        string // of the search, for links
	Searched     bool
	Total        int
	People       []personRow
	Pager        pager
	May          bool
}

type personRow struct {
	registration.Person
	State string
	Until time.Time // of the last certificate that is valid
}

func rowOf(p registration.Person, now time.Time) personRow {
	row := personRow{Person: p, State: string(p.State)}
	for _, c := range p.Certificates {
		if c.Valid(now) && c.NotAfter.After(row.Until) {
			row.Until = c.NotAfter
		}
	}
	return row
}

// searched is the query of a request: of its address, or of the form that
// repeats it.
func (p *portal) searched(values url.Values) (q registration.PersonQuery, query url.Values) {
	q = registration.PersonQuery{Text: values.Get("q"), State: registration.PersonState(values.Get("state"))}
	days, err := strconv.Atoi(values.Get("days"))
	if err != nil || days < 1 || days > 366 {
		days = 30
	}
	q.ExpiringBefore = p.Now().Add(time.Duration(days) * 24 * time.Hour)
	query = url.Values{}
	for _, name := range []string{"q", "state", "days"} {
		if value := values.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	return q, query
}

var peopleDone = map[string]string{
	"revoked": "people.revoked", "left": "people.left",
}

func (p *portal) people(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showPeople(w, r, v, http.StatusOK, form{Values: r.URL.Query()})
}

func (p *portal) showPeople(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	q, query := p.searched(f.Values)
	view := peopleView{
		Organization: v.organization.ID, Form: f, Query: query.Encode(), Searched: q.Text != "" || q.State != "",
		Notice: doneNotice(r, peopleDone), May: v.administers(),
	}
	n, err := p.Registration.CountPeople(r.Context(), v.Actor(), v.organization.ID, q)
	if view.Form.taken(err) {
		return p.render(w, r, http.StatusUnprocessableEntity, "people", view)
	}
	if err != nil {
		return err
	}
	view.Total = int(n)
	list, next, err := p.Registration.People(r.Context(), v.Actor(), v.organization.ID, q, registration.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	for _, one := range list {
		view.People = append(view.People, rowOf(one, p.Now()))
	}
	view.Pager = nextPage(r, next)
	return p.render(w, r, status, "people", view)
}

// actOnPeople does one thing for several people: for those that are ticked, or
// for all that the search finds.
func (p *portal) actOnPeople(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	if f.Value("sure") == "" {
		f.wrong("sure", "people.error.sure")
		return p.showPeople(w, r, v, http.StatusUnprocessableEntity, f)
	}
	ids := f.Values["person"]
	if f.Value("whom") == "all" {
		q, _ := p.searched(f.Values)
		var err error
		ids, err = p.Registration.PeopleIDs(r.Context(), v.Actor(), v.organization.ID, q)
		if f.taken(err) {
			return p.showPeople(w, r, v, http.StatusUnprocessableEntity, f)
		}
		if err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		f.wrong("", "people.error.nobody")
		return p.showPeople(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if f.Value("do") == "order" {
		return p.equip(w, r, v, ids, f)
	}
	done, err := p.doForPeople(r, v, f.Value("do"), ids)
	if f.taken(err) {
		return p.showPeople(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	_, query := p.searched(f.Values)
	for name, value := range done {
		query.Set(name, value)
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/people?"+query.Encode())
}

// equip starts a run for people whom the organization knows.
func (p *portal) equip(w http.ResponseWriter, r *http.Request, v visit, ids []string, f form) error {
	run, err := p.Enrollment.StartFor(r.Context(), v.Actor(), v.organization.ID, ids, enrollment.StartOptions{})
	if runFault(&f, err) {
		return p.showPeople(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/runs/"+run.ID)
}

// runFaults are what keeps a run from being started, and is told.
var runFaults = []struct {
	err error
	key string
}{
	{enrollment.ErrNobody, "import.error.nobody"}, {enrollment.ErrUnderWay, "import.error.underway"},
	{enrollment.ErrChanged, "import.error.changed"}, {enrollment.ErrNoKeys, "import.error.nokeys"},
	{enrollment.ErrNoOfficers, "import.error.noofficers"},
}

// runFault notes why a run was not started.
func runFault(f *form, err error) bool {
	for _, known := range runFaults {
		if errors.Is(err, known.err) {
			f.wrong("", known.key)
			return true
		}
	}
	return f.taken(err)
}

// doForPeople does it, and says what for the page that comes next.
func (p *portal) doForPeople(r *http.Request, v visit, what string, ids []string) (done map[string]string, err error) {
	ctx, actor, org := r.Context(), v.Actor(), v.organization.ID
	switch what {
	case "revoke":
		reason, ok := reasonOf(r)
		if !ok {
			return nil, errUnreadable
		}
		n, err := p.revokeOf(ctx, v, ids, reason)
		return map[string]string{"done": "revoked", "n": strconv.Itoa(n)}, err
	case "leave":
		done, err := p.Enrollment.Leave(ctx, actor, org, ids)
		return map[string]string{"done": "left", "n": strconv.Itoa(len(ids)), "m": strconv.Itoa(revoked(done))}, err
	}
	return nil, errUnreadable
}

// peopleSheet is the search as CSV.
func (p *portal) peopleSheet(w http.ResponseWriter, r *http.Request, v visit) error {
	q, _ := p.searched(r.URL.Query())
	return p.writePeople(w, r, v, q, "people")
}

// writePeople streams a sheet, page by page: an organization may have 100,000.
func (p *portal) writePeople(w http.ResponseWriter, r *http.Request, v visit, q registration.PersonQuery, name string) error {
	t := p.tongueOf(r)
	head, err := t.personHeads()
	if err != nil {
		return err
	}
	var sheet *roster.Sheet // begun with the first people: until then an error has a page
	err = p.eachPerson(r.Context(), t, v, q, func(rows [][]string) error {
		if sheet == nil {
			attach(w, "text/csv; charset=utf-8", name+".csv")
			sheet = roster.NewSheet(w)
			_ = sheet.Row(head...) // its error is told at the end
		}
		for _, row := range rows {
			_ = sheet.Row(row...) // likewise
		}
		return nil
	})
	if sheet == nil {
		return err
	}
	if err != nil {
		return p.cutOff(err)
	}
	return sheet.Close()
}

// eachPerson goes through a report's rows as sheets, pages and PDF files show
// them, some at a time and at least once.
func (p *portal) eachPerson(ctx context.Context, t *tongue, v visit, q registration.PersonQuery, take func(rows [][]string) error) error {
	for page := (registration.Page{Limit: registration.MaxPage}); ; {
		list, next, err := p.Registration.People(ctx, v.Actor(), v.organization.ID, q, page)
		if err != nil {
			return err
		}
		rows := make([][]string, len(list))
		for i, one := range list {
			if rows[i], err = t.personCells(rowOf(one, p.Now())); err != nil {
				return err
			}
		}
		if err := take(rows); err != nil {
			return err
		}
		if page.After = next; next == "" {
			return nil
		}
	}
}

// personColumns are the columns of sheets and printed reports.
var personColumns = []string{"people.name", "personform.local", "people.addresses", "person.number", "people.department", "people.certificate", "people.until"}

// personHeads are what the columns are called.
func (t *tongue) personHeads() (heads []string, err error) {
	for _, key := range personColumns {
		head, err := t.plain(key)
		if err != nil {
			return nil, err
		}
		heads = append(heads, head)
	}
	return heads, nil
}

func (t *tongue) personCells(row personRow) ([]string, error) {
	state, err := t.plain("state." + row.State)
	until := ""
	if !row.Until.IsZero() {
		until = row.Until.UTC().Format(time.DateOnly)
	}
	return []string{row.Name, row.LocalName, strings.Join(row.Addresses, " "), row.Number, row.Department, state, until}, err
}

// attach has the browser keep what follows as a file.
func attach(w http.ResponseWriter, contentType, name string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

type memberView struct {
	Organization string
	Person       registration.Person
	Certificates []heldRow
	Orders       []orderRow
	Reasons      []cert.Reason
	Form         form
	Notice       *notice
	May          bool
}

type heldRow struct {
	registration.Held
	State string
	Why   string // colleagues do not get it; empty: they do
}

func heldRows(list []registration.Held, now time.Time, language string) (rows []heldRow) {
	for _, h := range list {
		state := "valid"
		switch {
		case !h.Revoked.IsZero():
			state = "revoked"
		case !now.Before(h.NotAfter):
			state = "expired"
		}
		rows = append(rows, heldRow{h, state, h.Distrust(language)})
	}
	return rows
}

func (p *portal) member(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showMember(w, r, v, http.StatusOK, form{})
}

func (p *portal) showMember(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	one, err := p.Registration.Person(r.Context(), v.Actor(), v.organization.ID, r.PathValue("person"))
	if err != nil {
		return err
	}
	return p.render(w, r, status, "person", memberView{
		Organization: v.organization.ID, Person: one, Certificates: heldRows(one.Certificates, p.Now(), p.tongueOf(r).tag), Orders: orderRows(one.Orders, nil),
		Reasons: reasons, Form: f, Notice: doneNotice(r, peopleDone), May: v.administers(),
	})
}

type memberFormView struct {
	Organization, ID string
	Form             form
}

func (p *portal) memberForm(w http.ResponseWriter, r *http.Request, v visit) error {
	view := memberFormView{Organization: v.organization.ID, ID: r.PathValue("person"), Form: filled()}
	if view.ID != "" {
		one, err := p.Registration.Person(r.Context(), v.Actor(), v.organization.ID, view.ID)
		if err != nil {
			return err
		}
		view.Form = filled("addresses", strings.Join(one.Addresses, "\n"), "given_name", one.GivenName, "surname", one.Surname,
			"local_name", one.LocalName, "number", one.Number, "department", one.Department, "language", one.Language)
	}
	return p.render(w, r, http.StatusOK, "personform", view)
}

// saveMember adds somebody, or changes who is there.
func (p *portal) saveMember(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f, id := formOf(r), r.PathValue("person")
	in := registration.PersonInput{
		GivenName: f.Value("given_name"), Surname: f.Value("surname"), LocalName: f.Value("local_name"),
		Number: f.Value("number"), Department: f.Value("department"), Language: f.Value("language"),
		Addresses: strings.Fields(f.Value("addresses")),
	}
	var one registration.Person
	var err error
	if id == "" {
		one, err = p.Registration.AddPerson(r.Context(), v.Actor(), v.organization.ID, in)
	} else {
		one, err = p.Registration.ChangePerson(r.Context(), v.Actor(), v.organization.ID, id, in)
	}
	if f.taken(err) {
		return p.render(w, r, http.StatusUnprocessableEntity, "personform", memberFormView{v.organization.ID, id, f})
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/people/"+one.ID)
}

// orderForPerson orders what the settings say.
func (p *portal) orderForPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	run, err := p.Enrollment.StartFor(r.Context(), v.Actor(), v.organization.ID, []string{r.PathValue("person")}, enrollment.StartOptions{})
	f := form{}
	if runFault(&f, err) {
		return p.showMember(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/runs/"+run.ID)
}

func (p *portal) revokeOfPerson(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	reason, ok := reasonOf(r)
	if !ok {
		return errUnreadable
	}
	_, err := p.Registration.Revoke(r.Context(), v.Actor(), v.organization.ID, []string{r.PostFormValue("certificate")}, reason)
	if err != nil && !errors.Is(err, registration.ErrState) { // somebody else was faster
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/people/"+url.PathEscape(r.PathValue("person"))+"?done=revoked&n=1")
}

func (p *portal) personLeaves(w http.ResponseWriter, r *http.Request, v visit) error {
	done, err := p.doForPeople(r, v, "leave", []string{r.PathValue("person")})
	if err != nil {
		return err
	}
	query := url.Values{}
	for name, value := range done {
		query.Set(name, value)
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/people?"+query.Encode())
}
