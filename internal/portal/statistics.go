package portal

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/pdf"
	"github.com/mailseal/mailseal/internal/registration"
)

// statisticReports are the reports, by name.
var statisticReports = []string{"people", "expiring", "without", "revoked"}

// printedMost is how many rows a page for the printer has; the sheet has all.
const printedMost = 2000

type statisticsView struct {
	Organization string
	Reports      []string
}

func (p *portal) statistics(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.render(w, r, http.StatusOK, "statistics", statisticsView{v.organization.ID, statisticReports})
}

// reportQuery is what a report lists.
func (p *portal) reportQuery(name string) (registration.PersonQuery, error) {
	if !slices.Contains(statisticReports, name) {
		return registration.PersonQuery{}, errNoPage
	}
	q := registration.PersonQuery{ExpiringBefore: p.Now().Add(90 * 24 * time.Hour)}
	if name != "people" {
		q.State = registration.PersonState(name)
	}
	return q, nil
}

type printedView struct {
	Organization string
	Name, Report string
	Total, More  int
	Head         []string
	Rows         [][]printedCell
}

type printedCell struct {
	Label, Text string
	Long        bool // holds addresses, which break anywhere
}

// errEnough ends a walk through rows of which a page shows no more.
var errEnough = errors.New("enough rows")

// printed is a report as a page, or with an ending as a file.
func (p *portal) printed(w http.ResponseWriter, r *http.Request, v visit) error {
	name := r.PathValue("report")
	report, ending, _ := strings.Cut(name, ".")
	q, err := p.reportQuery(report)
	if err != nil {
		return err
	}
	switch ending {
	case "csv":
		return p.writePeople(w, r, v, q, report)
	case "pdf":
		return p.writePDF(w, r, v, q, report)
	case "":
	default:
		return errNoPage
	}
	n, err := p.Registration.CountPeople(r.Context(), v.Actor(), v.organization.ID, q)
	if err != nil {
		return err
	}
	view := printedView{Organization: v.organization.ID, Name: v.organization.Name, Report: report, Total: int(n), Head: personColumns}
	t := p.tongueOf(r)
	heads, err := t.personHeads()
	if err != nil {
		return err
	}
	err = p.eachPerson(r.Context(), t, v, q, func(rows [][]string) error {
		for _, cells := range rows {
			row := make([]printedCell, len(cells))
			for i, cell := range cells {
				row[i] = printedCell{heads[i], cell, personColumns[i] == "people.addresses"}
			}
			view.Rows = append(view.Rows, row)
		}
		if len(view.Rows) >= printedMost {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	view.More = view.Total - len(view.Rows)
	return p.render(w, r, http.StatusOK, "printed", view)
}

// personShares are the widths of the columns beside each other, of PDF files.
var personShares = []int{6, 5, 9, 3, 5, 4, 3}

// writePDF sends a report as PDF. It is kept until it is whole, 100,000 rows in
// some 10 MB: a letter that cannot be set may be in the last of them.
func (p *portal) writePDF(w http.ResponseWriter, r *http.Request, v visit, q registration.PersonQuery, name string) error {
	t := p.tongueOf(r)
	o, err := p.reportOptions(r, t, v, q, name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	report, err := pdf.NewReport(&b, o)
	if err != nil {
		return err
	}
	err = p.eachPerson(r.Context(), t, v, q, func(rows [][]string) error {
		for _, row := range rows {
			if err := report.Row(row...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := report.Close(); err != nil {
		return err
	}
	attach(w, "application/pdf", name+".pdf")
	_, _ = b.WriteTo(w) // the client is gone: nobody left to tell
	return nil
}

// reportOptions are what stands above the rows: whose they are, what they are,
// of when, and how many.
func (p *portal) reportOptions(r *http.Request, t *tongue, v visit, q registration.PersonQuery, name string) (o pdf.Options, err error) {
	n, err := p.Registration.CountPeople(r.Context(), v.Actor(), v.organization.ID, q)
	if err != nil {
		return o, err
	}
	o = pdf.Options{Language: t.tag, At: p.Now()}
	if p.ReportFont != nil {
		if o.Font, err = p.ReportFont(); err != nil {
			return o, err
		}
	}
	say := func(key string, args ...string) (text string) {
		if err == nil {
			text, err = t.plain(key, args...)
		}
		return text
	}
	o.Title, o.Page = say("statistics."+name), say("statistics.page")
	what, found := say("statistics."+name+".text"), say("people.found", "n", strconv.FormatInt(n, 10))
	o.Facts = []string{v.organization.Name, what, t.dateTime(p.Now()) + " · " + found}
	heads, headsErr := t.personHeads()
	for i, head := range heads {
		o.Columns = append(o.Columns, pdf.Column{Head: head, Share: personShares[i]})
	}
	return o, errors.Join(err, headsErr)
}
