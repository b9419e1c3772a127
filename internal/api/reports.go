package api

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/pdf"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// sheets are reports for spreadsheets.
func (h *handler) sheets() []*route {
	return []*route{
		get("/api/v1/organizations/{organization}/reports/certificates", "reportCertificates", "People and their certificates: a sheet (CSV, UTF-8; no cell is a formula), or with Accept: application/pdf the same rows as PDF", lookers, h.certificateReport).files("text/csv", "application/pdf"),
	}
}

type sheetQuery struct {
	Text           string    `json:"text,omitempty" max:"200" doc:"Beginnings of names, addresses, number, department; left out: everybody."`
	State          string    `json:"state,omitempty" enum:"without,valid,expiring,expired,revoked,waiting,left"`
	ExpiringBefore time.Time `json:"expiring_before,omitzero"`
}

// reportColumns are the report's, with their widths in a PDF file.
var reportColumns = []pdf.Column{
	{Head: "person", Share: 8}, {Head: "number", Share: 3}, {Head: "name", Share: 5}, {Head: "local_name", Share: 4}, {Head: "department", Share: 4},
	{Head: "addresses", Share: 8}, {Head: "state", Share: 3}, {Head: "serial", Share: 9}, {Head: "issuer", Share: 4}, {Head: "use", Share: 3},
	{Head: "issued", Share: 6}, {Head: "not_after", Share: 6}, {Head: "revoked", Share: 6},
}

// certificateReport is the sheet, unless a PDF file is asked for.
func (h *handler) certificateReport(c *call, q sheetQuery) (file, error) {
	if accepts(c.r.Header.Get("Accept"), "application/pdf") {
		return h.certificatePDF(c, q)
	}
	var b bytes.Buffer
	sheet := roster.NewSheet(&b)
	heads := make([]string, len(reportColumns))
	for i, column := range reportColumns {
		heads[i] = column.Head
	}
	if err := sheet.Row(heads...); err != nil {
		return file{}, err
	}
	if err := h.eachRow(c, q, func(row []string) error { return sheet.Row(row...) }); err != nil {
		return file{}, err
	}
	if err := sheet.Close(); err != nil {
		return file{}, err
	}
	return file{"text/csv; charset=utf-8", "certificates.csv", b.Bytes()}, nil
}

// accepts tells whether a program asks for a media type by its name (RFC 9110
// §12.5.1). Who takes anything gets what was there first.
func accepts(header, media string) bool {
	for one := range strings.SplitSeq(header, ",") {
		name, _, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), media) {
			return true
		}
	}
	return false
}

func (h *handler) certificatePDF(c *call, q sheetQuery) (file, error) {
	organization, err := h.Registration.Organization(c.ctx, c.actor, c.org())
	if err != nil {
		return file{}, err
	}
	people, err := h.Registration.CountPeople(c.ctx, c.actor, c.org(), q.people())
	if err != nil {
		return file{}, err
	}
	o := pdf.Options{
		Title: "People and their certificates", Columns: reportColumns, Language: "en", At: h.Clock(), Page: "Page", Large: true,
		Facts: []string{organization.Name, h.Clock().UTC().Format(time.RFC3339), strconv.FormatInt(people, 10) + " people"},
	}
	if h.ReportFont != nil {
		if o.Font, err = h.ReportFont(); err != nil {
			return file{}, err
		}
	}
	var b bytes.Buffer
	report, err := pdf.NewReport(&b, o)
	if err != nil {
		return file{}, err
	}
	if err := h.eachRow(c, q, func(row []string) error { return report.Row(row...) }); err != nil {
		return file{}, err
	}
	if err := report.Close(); err != nil {
		return file{}, err
	}
	return file{"application/pdf", "certificates.pdf", b.Bytes()}, nil
}

// people is whom the report is about.
func (q sheetQuery) people() registration.PersonQuery {
	return registration.PersonQuery{Text: q.Text, State: registration.PersonState(q.State), ExpiringBefore: q.ExpiringBefore}
}

// eachRow goes through the rows of the report.
func (h *handler) eachRow(c *call, q sheetQuery, take func(row []string) error) error {
	for after := ""; ; {
		all, next, err := h.Registration.People(c.ctx, c.actor, c.org(), q.people(), registration.Page{After: after, Limit: registration.MaxPage})
		if err != nil {
			return err
		}
		for _, p := range all {
			for _, row := range reportRows(p) {
				if err := take(row); err != nil {
					return err
				}
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// reportRows are a row for each certificate, and one for who has none.
func reportRows(p registration.Person) (rows [][]string) {
	who := []string{p.ID, p.Number, p.Name, p.LocalName, p.Department, strings.Join(p.Addresses, " "), string(p.State)}
	if len(p.Certificates) == 0 {
		return [][]string{append(who, "", "", "", "", "", "")}
	}
	for _, c := range p.Certificates {
		revoked := ""
		if !c.Revoked.IsZero() {
			revoked = c.Revoked.UTC().Format(time.RFC3339)
		}
		rows = append(rows, append(who[:len(who):len(who)], c.Serial, c.Issuer, c.Use, c.Issued.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), revoked))
	}
	return rows
}
