package audit_test

import (
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/audit"
)

const note = `mailseal audit checkpoint 1
log 00
entries 12
head ff
time 2026-11-27T00:00:00Z
key aa
signature AAAA
`

func TestParseCheckpoint(t *testing.T) {
	c, err := audit.ParseCheckpoint(note)
	if err != nil || c.Entries != 12 || c.Head != "ff" || c.String() != note {
		t.Fatalf("%+v, %v", c, err)
	}
	for name, change := range map[string][2]string{
		"title":            {"point 1", "point 2"},
		"order of lines":   {"log 00\nentries 12\n", "entries 12\nlog 00\n"},
		"leading zero":     {"entries 12", "entries 012"},
		"time zone":        {"00Z", "00+00:00"},
		"broken signature": {"AAAA", "AAA"},
		"signature's tail": {"AAAA", "AAB="},
		"more":             {"AAAA\n", "AAAA\nmore\n"},
		"no end":           {"AAAA\n", "AAAA"},
		"CR LF":            {"\n", "\r\n"},
		"too long":         {"log 00", "log " + strings.Repeat("0", 1024)},
		"no number":        {"entries 12", "entries x"},
	} {
		bad := strings.Replace(note, change[0], change[1], 1)
		if bad == note {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := audit.ParseCheckpoint(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	list, err := audit.ReadCheckpoints(strings.NewReader(note + "\n" + note + note))
	if err != nil || len(list) != 3 {
		t.Errorf("%d of 3 checkpoints in one file, %v", len(list), err)
	}
	for _, bad := range []string{"", note + "mailseal", note + "\n\nx", strings.Repeat("a", 2000), strings.Repeat("a\n", 1000)} {
		if _, err := audit.ReadCheckpoints(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40q: accepted", bad)
		}
	}
}

func FuzzCheckpoints(f *testing.F) {
	f.Add(note)
	f.Add(note + "\n" + note)
	f.Fuzz(func(t *testing.T, data string) {
		list, err := audit.ReadCheckpoints(strings.NewReader(data))
		if err != nil {
			return
		}
		for _, c := range list {
			if again, err := audit.ParseCheckpoint(c.String()); err != nil || again.String() != c.String() {
				t.Errorf("%q does not survive: %v", c, err)
			}
		}
	})
}
