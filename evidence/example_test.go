package evidence

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
)

var update = flag.Bool("update", false, "make the files of the example anew")

// TestExampleFiles makes the files that the example reads, with -update.
func TestExampleFiles(t *testing.T) {
	if !*update {
		t.Skip("the files are made with -update only")
	}
	w := newWorld(t)
	record, _ := w.make(w.mail(false), cades.BLTA)
	roots := append(w.root.Certificate.PEM(), w.tsaRoot.Certificate.PEM()...)
	for name, data := range map[string][]byte{"letter.zip": record, "roots.pem": roots} {
		if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A record that is checked years later, when the signer's certificate has ended.
func ExampleRead() {
	file, err := os.ReadFile("testdata/letter.zip")
	if err != nil {
		fmt.Println(err)
		return
	}
	roots, err := os.ReadFile("testdata/roots.pem") // not from the record
	if err != nil {
		fmt.Println(err)
		return
	}
	anchors, err := cert.ParseAll(roots)
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := Read(bytes.NewReader(file), int64(len(file)), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer record.Close()
	report, err := record.Check(&Options{Anchors: anchors, At: time.Date(2040, time.January, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := report.Signers[0]
	fmt.Println(report.Verdict.Verdict, report.Level)
	fmt.Println(s.Certificate.Subject, "ended", s.Certificate.Ends.Format(time.DateOnly), "and had signed by", s.Proven.Format(time.DateOnly))
	// Output:
	// valid CAdES-B-LTA
	// CN=alice@example.com ended 2025-08-01 and had signed by 2025-06-01
}
