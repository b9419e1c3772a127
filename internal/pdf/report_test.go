package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// japanese is the font that scripts/test-deps installs.
const japanese = "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf"

func need(t *testing.T, found bool, what string) {
	t.Helper()
	switch {
	case found:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s (scripts/test-deps installs it)", what)
	default:
		t.Skipf("needs %s (scripts/test-deps installs it)", what)
	}
}

func readFont(t *testing.T) *Font {
	t.Helper()
	data, err := os.ReadFile(japanese)
	need(t, err == nil, japanese)
	f, err := ParseFont(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tool runs one of poppler's programs on a report, and returns what it prints.
func tool(t *testing.T, report []byte, name string, args ...string) string {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, err == nil, name)
	file := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(file, report, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", file)
	}
	command := exec.Command(name, args...)
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s: %v\n%s", name, err, &complaints)
	}
	return out.String()
}

func options(font *Font) Options {
	return Options{
		Title: "Everybody", Facts: []string{"Yamada Trading Co., Ltd.", "27 November 2026"}, Language: "en", Page: "Page",
		Columns: []Column{{"Name", 3}, {"Addresses", 4}, {"State", 1}}, Font: font, At: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC),
	}
}

func write(t *testing.T, o Options, rows ...[]string) []byte {
	t.Helper()
	var b bytes.Buffer
	r, err := NewReport(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := r.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestJapanese reads names back, one of them with a character beyond U+FFFF, and
// the codes of those that the font lacks, and
// holds that the font is embedded without what was not used.
func TestJapanese(t *testing.T) {
	o := options(readFont(t))
	o.Title, o.Columns[0].Head = "全メンバー", "氏名"
	report := write(t, o, []string{"山田 太郎", "taro@example.jp", "有効"}, []string{"𠮟田 花子", "hanako@example.jp", "失効"}, []string{"𠮷 ༀ", "", ""})
	got := tool(t, report, "pdftotext", "-layout", "FILE", "-")
	for _, want := range []string{"全メンバー", "氏名", "山田 太郎", "taro@example.jp", "有効", "𠮟田 花子", "失効", "U+20BB7 U+0F00", "Page 1 / 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if fonts := tool(t, report, "pdffonts", "FILE"); !strings.Contains(fonts, "CID TrueType      Identity-H       yes yes yes") {
		t.Errorf("fonts:\n%s", fonts)
	}
	if info := tool(t, report, "pdfinfo", "FILE"); !strings.Contains(info, "全メンバー") || !strings.Contains(info, "A4") {
		t.Errorf("info:\n%s", info)
	}
	if len(report) > 200<<10 {
		t.Errorf("%d bytes for three rows: more of the font is embedded than it takes", len(report))
	}
}

// TestHelvetica sets Latin text without a font, and refuses other letters.
func TestHelvetica(t *testing.T) {
	report := write(t, options(nil), []string{"Zoë O’Hara (–)", `back\slash`, "valid"})
	got := tool(t, report, "pdftotext", "-layout", "FILE", "-")
	for _, want := range []string{"Everybody", "Zoë O’Hara (–)", `back\slash`, "Page 1 / 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	r, err := NewReport(io.Discard, options(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Row("山田 太郎"); !errors.Is(err, ErrFont) {
		t.Errorf("a Japanese name: %v", err)
	}
	if err := r.Close(); !errors.Is(err, ErrFont) {
		t.Errorf("a report that lacks a row is closed as a whole one: %v", err)
	}
	for _, change := range []func(o *Options){
		func(o *Options) { o.Title = "全" }, func(o *Options) { o.Facts = []string{"全"} },
		func(o *Options) { o.Page = "全" }, func(o *Options) { o.Columns[1].Head = "全" },
	} {
		o := options(nil)
		change(&o)
		if _, err := NewReport(io.Discard, o); !errors.Is(err, ErrFont) {
			t.Errorf("%v: %v", o, err)
		}
	}
}

// TestPages writes rows over several pages, one of them taller than a page, and
// finds each line of them and the number of every page.
func TestPages(t *testing.T) {
	var rows [][]string
	for i := range 120 {
		rows = append(rows, []string{fmt.Sprintf("Person %03d", i), fmt.Sprintf("person%03d@example.com", i)})
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("alias%03d@department.example.com", i))
	}
	rows = append(rows, []string{"Tall", strings.Join(many, " ")})
	report := write(t, options(nil), rows...)
	got := tool(t, report, "pdftotext", "-layout", "FILE", "-")
	pages := strings.Count(got, "\f")
	if pages < 5 {
		t.Fatalf("%d pages", pages)
	}
	for i := range pages {
		if want := fmt.Sprintf("Page %d / %d", i+1, pages); !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	if heads := strings.Count(got, "Addresses"); heads != pages {
		t.Errorf("%d heads on %d pages", heads, pages)
	}
	for _, row := range rows[:120] {
		if !strings.Contains(got, row[0]) || !strings.Contains(got, row[1]) {
			t.Errorf("no %q", row)
		}
	}
	for _, alias := range many {
		if !strings.Contains(got, alias) {
			t.Errorf("no %s", alias)
		}
	}
	if drawn := tool(t, report, "pdftotext", "-bbox", "FILE", "-"); strings.Contains(drawn, `yMax="59`) && strings.Contains(drawn, `yMax="600`) {
		t.Error("text stands below the page")
	}
}

// TestManyRows writes 100,000 rows and holds that what is in memory does not
// grow with them.
func TestManyRows(t *testing.T) {
	r, err := NewReport(io.Discard, options(readFont(t)))
	if err != nil {
		t.Fatal(err)
	}
	var most uint64
	var m runtime.MemStats
	for i := range 100_000 {
		if err := r.Row(fmt.Sprintf("山田 太郎 %d", i), fmt.Sprintf("person%06d@example.com", i), "有効"); err != nil {
			t.Fatal(err)
		}
		if i%5000 == 0 {
			runtime.GC() // what is left is what is held
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&m)
	t.Logf("%d KiB held at most, %d MiB taken from the system, %d pages", most>>10, m.Sys>>20, len(r.pages))
	if most > 16<<20 || m.Sys > 256<<20 {
		t.Errorf("%d KiB held, %d MiB taken", most>>10, m.Sys>>20)
	}
}
