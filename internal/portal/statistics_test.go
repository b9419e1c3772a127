package portal

import (
	"encoding/csv"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/pdf"
)

// japaneseFont reads the font that scripts/test-deps installs.
func japaneseFont(t *testing.T) func() (*pdf.Font, error) {
	t.Helper()
	data, err := os.ReadFile(pdf.UsualFonts[0])
	if err == nil {
		_, err = exec.LookPath("pdftotext")
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (scripts/test-deps installs it)", err)
	}
	return func() (*pdf.Font, error) { return pdf.ParseFont(data) }
}

// fetched is the body of an answer, which has this status.
func fetched(t *testing.T, answer *http.Response, status int) string {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		t.Fatalf("%s, %v\n%.2000s", answer.Status, err, body)
	}
	return string(body)
}

// readBack is what a PDF file says, without spaces and the breaks of lines.
func readBack(t *testing.T, report string) string {
	t.Helper()
	c := exec.Command("pdftotext", "-raw", "-", "-")
	c.Stdin = strings.NewReader(report)
	text, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), "")
}

// TestReportAsPDF holds that each report as PDF has every cell that the sheet
// has, in both languages.
func TestReportAsPDF(t *testing.T) {
	font := japaneseFont(t)
	f := newFake()
	f.order.Name = "山田商事株式会社"
	d := newDoor(t, f, func(c *Config) { c.ReportFont = font }).administers()
	for _, language := range tags {
		d.header.Set("Accept-Language", language)
		for _, report := range statisticReports {
			path := "/org/organization1/reports/" + report
			answer := d.get(path + ".pdf")
			if got := answer.Header.Get("Content-Type"); got != "application/pdf" {
				t.Errorf("%s: %s", path, got)
			}
			text := readBack(t, fetched(t, answer, http.StatusOK))
			rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(fetched(t, d.get(path+".csv"), http.StatusOK), "\ufeff"))).ReadAll()
			if err != nil || len(rows) < 2 {
				t.Fatalf("%s: %d rows, %v", path, len(rows), err)
			}
			for _, row := range rows {
				for _, cell := range row {
					if cell = strings.Join(strings.Fields(cell), ""); !strings.Contains(text, cell) {
						t.Errorf("%s in %s lacks %q:\n%s", path, language, cell, text)
					}
				}
			}
			page := fetched(t, d.get(path), http.StatusOK)
			if !strings.Contains(page, rows[1][2]) || !strings.Contains(page, path+".pdf") {
				t.Errorf("%s: the page lacks its rows, or the way to the file", path)
			}
		}
	}
	fetched(t, d.get("/org/organization1/reports/people.doc"), http.StatusNotFound)
	fetched(t, d.get("/org/organization1/reports/nobody.pdf"), http.StatusNotFound)
}

// TestReportWithoutFont refuses what Helvetica cannot show, and names the
// package that helps.
func TestReportWithoutFont(t *testing.T) {
	f := newFake()
	f.order.Name = "Zoë Brontë"
	d := newDoor(t, f, nil).administers()
	d.header.Set("Accept-Language", "en")
	if body := fetched(t, d.get("/org/organization1/reports/people.pdf"), http.StatusOK); !strings.HasPrefix(body, "%PDF-") {
		t.Errorf("%.20q", body)
	}
	f.order.Name = "山田 太郎"
	for _, language := range tags {
		d.header.Set("Accept-Language", language)
		if body := fetched(t, d.get("/org/organization1/reports/people.pdf"), http.StatusConflict); !strings.Contains(body, pdf.FontPackage) || !strings.Contains(body, "portal.report-font") {
			t.Errorf("in %s the page does not say what to install:\n%s", language, body)
		}
	}
}
