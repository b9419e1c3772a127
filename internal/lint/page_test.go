package lint

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/lint.md anew")

// The page for people has every rule, with its section and its weight.
func TestPage(t *testing.T) {
	var b strings.Builder
	for _, group := range []struct {
		title string
		rules []rule
	}{
		{"Every certificate", commonRules}, {"Subscribers' certificates for mail", mailRules},
		{"By type and generation", kindRules}, {"Authorities", authorityRules}, {"Roots", rootRules}, {"Authorities below another one", subordinateRules},
	} {
		fmt.Fprintf(&b, "\n### %s\n\n| rule | where it stands | weight |\n| --- | --- | --- |\n", group.title)
		for _, r := range group.rules {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.name, r.section, r.severity)
		}
	}
	const path, mark = "../../docs/lint.md", "<!-- the rules; go test ./internal/lint -run Page -update writes them -->\n"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, _, found := bytes.Cut(page, []byte(mark))
	if !found {
		t.Fatalf("%s has no place for the rules", path)
	}
	want := append(append(text, mark...), b.String()...)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(page, want) {
		t.Errorf("%s does not have the rules of the code; -update writes them", path)
	}
}
