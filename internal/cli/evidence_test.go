package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/testca"
)

// TestEvidenceSchema holds what evidence prints, and what it writes into a record, to
// docs/evidence.schema.json and the verdict in it to docs/verdict.schema.json.
func TestEvidenceSchema(t *testing.T) {
	schema, verdict := readSchema(t, "evidence.schema.json"), readSchema(t, "verdict.schema.json")
	dir := fixtureFolder(t)
	clock := testca.NewRoot(t, "Clock Root")
	tsa := newTSA(t, clock, testca.Now)
	for _, line := range []string{
		"sign --as alice.p12 -o signed.eml letter.eml",
		"cms sign --as alice.p12 -o signed.p7m letter.eml",
		"evidence --trust root.pem --trust clock.pem --timestamp " + tsa.URL + " -o mail.zip signed.eml",
		"evidence --trust root.pem --trust clock.pem --timestamp " + tsa.URL + " -o file.zip signed.p7m",
		"evidence --trust root.pem --trust clock.pem --timestamp " + tsa.URL +
			" --as-of 2026-06-02T00:00:00Z --crl root-after.crl --crl issuing-after.crl --crl clock-after.crl -o lta.zip mail.zip",
	} {
		if _, stderr, exit := mailseal(t, dir, strings.Fields(line)...); exit != 0 {
			t.Fatalf("%s: %s", line, stderr)
		}
	}
	for line, level := range map[string]string{
		"evidence --trust root.pem --trust clock.pem --json mail.zip":                                          "CAdES-B-T",
		"evidence --trust root.pem --trust clock.pem --json file.zip":                                          "CAdES-B-T",
		"evidence --trust root.pem --trust clock.pem --as-of 2026-06-03T00:00:00Z --json lta.zip":              "CAdES-B-LTA",
		"evidence --trust stranger.pem --json lta.zip":                                                         "CAdES-B-B",
		"evidence --trust root.pem --trust clock.pem --as-of 2026-06-03T00:00:00Z --json -o other.zip lta.zip": "CAdES-B-LTA",
		"evidence --trust root.pem --trust clock.pem --as-of 2041-01-01T00:00:00Z --json lta.zip":              "CAdES-B-B",
		"evidence --trust root.pem --trust clock.pem --json --level b-b -o lowest.zip signed.eml":              "CAdES-B-B",
	} {
		stdout, stderr, exit := mailseal(t, dir, strings.Fields(line)...)
		if exit > 1 {
			t.Errorf("%s: exit status %d: %s", line, exit, stderr)
			continue
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(stdout), &object); err != nil {
			t.Fatalf("%s: %v in %q", line, err, stdout)
		}
		if object["level"] != level {
			t.Errorf("%s: level %v, want %s", line, object["level"], level)
		}
		for _, fault := range append(conform("", schema, object), conform("verdict", verdict, object["verdict"])...) {
			t.Errorf("%s: %s", line, fault)
		}
	}
}
