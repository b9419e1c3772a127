package portal

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestSetupFiles fetches each of the files that the guides offer.
func TestSetupFiles(t *testing.T) {
	d := newDoor(t, newFake(), nil)
	seen := map[string]bool{}
	for device, file := range setups {
		page, err := io.ReadAll(d.get("/install?device=" + device).Body)
		if err != nil || !strings.Contains(string(page), `href="/install/`+file+`"`) {
			t.Errorf("the guide of %s does not offer %s (%v)", device, file, err)
		}
		answer := d.get("/install/" + file)
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %s, %v", file, answer.Status, err)
		}
		if strings.Contains(string(body), "PRIVATE KEY") {
			t.Errorf("%s has a key", file)
		}
		if strings.HasSuffix(file, ".mobileconfig") {
			if err := xml.Unmarshal(body, new(struct{})); err != nil || !strings.Contains(string(body), "com.example.ca.mailseal") {
				t.Errorf("%s: %v\n%s", file, err, body)
			}
		}
		seen[file] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d files", len(seen))
	}
	if answer := d.get("/install/other"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("another file: %s", answer.Status)
	}
}

// TestCode holds the picture against the code's own modules.
func TestCode(t *testing.T) {
	const text = "https://ca.example.com/install"
	got, err := newCode(text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	dark := 0
	for y := range want.Size {
		for x := range want.Size {
			if want.Black(x, y) {
				dark++
			}
		}
	}
	if squares := strings.Count(got.Path, "z"); squares != dark || dark == 0 || got.Size != want.Size+8 {
		t.Errorf("%d squares of %d dark modules, %d wide", squares, dark, got.Size)
	}
	if !strings.HasPrefix(got.Path, "M4 4h1v1h-1z") { // the corner of the finder pattern
		t.Errorf("begins with %.20s", got.Path)
	}
	if _, err := newCode(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text that is too long has a code")
	}
}
