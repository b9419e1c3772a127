package cades_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
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
	roots := append(w.root.Certificate.PEM(), w.tsaRoot.Certificate.PEM()...)
	for name, data := range map[string][]byte{"signature.p7s": w.lasting(), "content.eml": content, "roots.pem": roots} {
		if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What lacks to keep a signature for longer.
func ExampleRaise() {
	var files [3][]byte
	for i, name := range []string{"signature.p7s", "content.eml", "roots.pem"} {
		var err error
		if files[i], err = os.ReadFile(filepath.Join("testdata", name)); err != nil {
			fmt.Println(err)
			return
		}
	}
	anchors, err := cert.ParseAll(files[2])
	if err != nil {
		fmt.Println(err)
		return
	}
	_, found, err := cades.Raise(files[0], func() io.Reader { return bytes.NewReader(files[1]) }, &cades.RaiseOptions{
		Options: cades.Options{Anchors: anchors, At: time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)},
		Level:   cades.BLTA, // as far as possible; without a Timestamp that is where it stands
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range found {
		fmt.Println(a.Level, "since", a.Time.Format(time.DateOnly)+", missing is", a.Missing[0])
	}
	// Output:
	// CAdES-B-LT since 2025-06-01, missing is an archive timestamp
}
