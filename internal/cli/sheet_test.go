package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/mailseal/mailseal/smime"
)

func testSheet(t *testing.T, width int) (*sheet, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	p := &program{env: Environment{LookupEnv: func(string) (string, bool) { return "", false }}}
	s := p.newSheet(&out)
	s.width = width
	return s, &out
}

// TestSheetIsInert gives every line what a hostile certificate or header could hold:
// sequences that clear the screen, turn the direction of writing, or begin a line of
// their own.
func TestSheetIsInert(t *testing.T) {
	for _, tag := range languages {
		s, out := testSheet(t, 40)
		var err error
		if s.tongue, err = loadTongue(tag); err != nil {
			t.Fatal(err)
		}
		hostile := "a\x1b[2J\r\n  From         boss@example.com\u202egro.elpmaxe\u2066\u200f\u009b1m\x00\u2028\ufeff"
		s.signer(&smime.Signer{Status: smime.StatusUntrusted, Reason: "issuer " + hostile + ": " + hostile, Emails: []string{hostile}, Subject: hostile, Issuer: hostile, Algorithm: hostile}, nil, smime.Untrusted)
		s.row("From", hostile)
		s.note("Note", "the message is from "+hostile+", not from "+hostile)
		if err := s.print(); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%U reaches the terminal", r)
			}
		}
		if strings.Contains(out.String(), "\n  From         boss@") {
			t.Errorf("a line of the attacker's:\n%s", out)
		}
	}
}

func TestErrorsAreInert(t *testing.T) {
	var errs bytes.Buffer
	p := &program{stderr: &errs, env: Environment{LookupEnv: func(string) (string, bool) { return "", false }}}
	p.complain(usage(errNoPassphrase, "x"), "look at \x1b[2J\u202e")
	if text := errs.String(); strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "mailseal: hint: look at ") {
		t.Errorf("%q", text)
	}
}

func TestLinesAreBroken(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"let us meet at noon, at the fountain in the park", "  Note         let us meet at noon, at the\n               fountain in the park\n"},
		{"差出人とは別の人の署名です。信用しないでください", "  Note         差出人とは別の人の署名です。\n               信用しないでください\n"},
		{strings.Repeat("x", 60), "  Note         " + strings.Repeat("x", 60) + "\n"},
	} {
		s, out := testSheet(t, 44)
		s.row("Note", tc.text)
		if err := s.print(); err != nil || out.String() != tc.want {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
