package api_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReportAsPDF holds that the PDF of the report has every cell of its sheet.
func TestReportAsPDF(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (scripts/test-deps installs it)", err)
	}
	s := serve(t)
	c := s.found("reports")
	token, path := s.token(c.admin, c.admin.Grants...), "/api/v1/organizations/"+c.objects["organization"]+"/reports/certificates"
	sheet := s.ask(token, "GET", path, "", "")
	report := s.ask(token, "GET", path, "", "", "Accept: text/html, application/pdf;q=0.9")
	if sheet.Code != 200 || report.Code != 200 || report.Header().Get("Content-Type") != "application/pdf" {
		t.Fatalf("%d, %d %s: %s", sheet.Code, report.Code, report.Header().Get("Content-Type"), report.Body)
	}
	if other := s.ask(token, "GET", path, "", "", "Accept: */*"); !strings.HasPrefix(other.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("who takes anything gets %s", other.Header().Get("Content-Type"))
	}
	read := exec.Command("pdftotext", "-raw", "-", "-")
	read.Stdin = report.Body
	out, err := read.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(out)), "")
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(sheet.Body.Bytes(), []byte("\ufeff")))).ReadAll()
	if err != nil || len(rows) < 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell = strings.Join(strings.Fields(cell), ""); !strings.Contains(text, cell) {
				t.Errorf("no %q in\n%s", cell, text)
			}
		}
	}
	s.json(token, "PUT", "/api/v1/organizations/"+c.objects["organization"]+"/people/"+c.people[1], object{"surname": "Yamada", "local_name": "山田 太郎", "addresses": []string{"p1@reports.example"}}, 200)
	refused := s.ask(token, "GET", path, "", "", "Accept: application/pdf")
	if refused.Code != 409 || !strings.Contains(refused.Body.String(), "fonts-ipaexfont-gothic") {
		t.Errorf("without a font: %d %s", refused.Code, refused.Body)
	}
}
