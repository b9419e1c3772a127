package api

import (
	"bytes"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// sheets are reports for spreadsheets.
func (h *handler) sheets() []*route {
	return []*route{
		get("/api/v1/organizations/{organization}/reports/certificates", "reportCertificates", "A sheet of people and their certificates (CSV, UTF-8); no cell is a formula", lookers, h.certificateSheet).files("text/csv"),
	}
}

type sheetQuery struct {
	Text           string    `json:"text,omitempty" max:"200" doc:"Beginnings of names, addresses, number, department; left out: everybody."`
	State          string    `json:"state,omitempty" enum:"without,valid,expiring,expired,revoked,waiting,left"`
	ExpiringBefore time.Time `json:"expiring_before,omitzero"`
}

func (h *handler) certificateSheet(c *call, q sheetQuery) (file, error) {
	var b bytes.Buffer
	sheet := roster.NewSheet(&b)
	if err := sheet.Row("person", "number", "name", "local_name", "department", "addresses", "state", "serial", "issuer", "use", "issued", "not_after", "revoked"); err != nil {
		return file{}, err
	}
	query := registration.PersonQuery{Text: q.Text, State: registration.PersonState(q.State), ExpiringBefore: q.ExpiringBefore}
	for after := ""; ; {
		all, next, err := h.Registration.People(c.ctx, c.actor, c.org(), query, registration.Page{After: after, Limit: registration.MaxPage})
		if err != nil {
			return file{}, err
		}
		for _, p := range all {
			if err := sheetRows(sheet, p); err != nil {
				return file{}, err
			}
		}
		if after = next; next == "" {
			break
		}
	}
	if err := sheet.Close(); err != nil {
		return file{}, err
	}
	return file{"text/csv; charset=utf-8", "certificates.csv", b.Bytes()}, nil
}

// sheetRows writes a row for each certificate, and one for who has none.
func sheetRows(sheet *roster.Sheet, p registration.Person) error {
	who := []string{p.ID, p.Number, p.Name, p.LocalName, p.Department, strings.Join(p.Addresses, " "), string(p.State)}
	if len(p.Certificates) == 0 {
		return sheet.Row(append(who, "", "", "", "", "", "")...)
	}
	for _, c := range p.Certificates {
		issuer, revoked := c.Issuer, ""
		if !c.Revoked.IsZero() {
			revoked = c.Revoked.UTC().Format(time.RFC3339)
		}
		err := sheet.Row(append(who[:len(who):len(who)], c.Serial, issuer, c.Use, c.Issued.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), revoked)...)
		if err != nil {
			return err
		}
	}
	return nil
}
