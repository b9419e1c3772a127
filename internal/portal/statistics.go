package portal

import (
	"net/http"
	"slices"
	"time"

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
	Name, Report string
	Total, More  int
	Head         []string
	Rows         [][]printedCell
}

type printedCell struct {
	Label, Text string
	Long        bool // holds addresses, which break anywhere
}

// printed is a report as a page for the printer: no PDF is made here, because a
// file with Japanese text needs the font in it, and browsers have both.
func (p *portal) printed(w http.ResponseWriter, r *http.Request, v visit) error {
	name := r.PathValue("report")
	if sheet, ok := cutCSV(name); ok {
		q, err := p.reportQuery(sheet)
		if err != nil {
			return err
		}
		return p.writePeople(w, r, v, q, sheet)
	}
	q, err := p.reportQuery(name)
	if err != nil {
		return err
	}
	n, err := p.Registration.CountPeople(r.Context(), v.Actor(), v.organization.ID, q)
	if err != nil {
		return err
	}
	view := printedView{Name: v.organization.Name, Report: name, Total: int(n), Head: personColumns}
	t := p.tongueOf(r)
	for page := (registration.Page{Limit: registration.MaxPage}); ; {
		list, next, err := p.Registration.People(r.Context(), v.Actor(), v.organization.ID, q, page)
		if err != nil {
			return err
		}
		for _, one := range list {
			cells, err := t.personCells(rowOf(one, p.Now()))
			if err != nil {
				return err
			}
			row := make([]printedCell, len(cells))
			for i, cell := range cells {
				label, err := t.plain(personColumns[i])
				if err != nil {
					return err
				}
				row[i] = printedCell{label, cell, personColumns[i] == "people.addresses"}
			}
			view.Rows = append(view.Rows, row)
		}
		if page.After = next; next == "" || len(view.Rows) >= printedMost {
			break
		}
	}
	view.More = view.Total - len(view.Rows)
	return p.render(w, r, http.StatusOK, "printed", view)
}
