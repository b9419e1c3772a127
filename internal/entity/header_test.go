package entity

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func read(t *testing.T, s string) *Entity {
	t.Helper()
	e, err := Read(strings.NewReader(s), int64(len(s)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHeaderKeepsBytes(t *testing.T) {
	for _, nl := range []string{"\r\n", "\n"} {
		s := strings.ReplaceAll("Subject:  one\n\ttwo\nFROM: a@example.com\nX-Empty:\n\nbody\n\nmore", "\n", nl)
		e := read(t, s)
		if len(e.Header.Fields) != 3 || len(e.Header.Defects) != 0 {
			t.Fatalf("fields %d, defects %v", len(e.Header.Fields), e.Header.Defects)
		}
		if got := string(e.Header.Fields[0].Raw); got != "Subject:  one"+nl+"\ttwo"+nl {
			t.Errorf("raw %q", got)
		}
		if got := e.Header.Fields[0].Value(); got != "one\ttwo" {
			t.Errorf("value %q", got)
		}
		if v, err := e.Header.Only("from"); v != "a@example.com" || err != nil {
			t.Errorf("from %q, %v", v, err)
		}
		if got := text(t, e.Body()); got != "body"+nl+nl+"more" {
			t.Errorf("body %q", got)
		}
		if got := text(t, e.Raw()); got != s {
			t.Errorf("raw %q", got)
		}
	}
}

func TestHeaderForms(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		fields   int
		defects  int
		body     string
	}{
		{"empty", "", 0, 0, ""},
		{"no header, empty line", "\r\nbody", 0, 0, "body"},
		{"header only", "A: b\r\n", 1, 0, ""},
		{"header without line end", "A: b", 1, 0, ""},
		{"text without header", "Hello, Bob.\r\n\r\nA: b\r\n", 0, 0, "Hello, Bob.\r\n\r\nA: b\r\n"},
		{"binary", "0\x80\x06\x09", 0, 0, "0\x80\x06\x09"},
		{"mbox", "From alice@example.com Mon Nov 23 10:00:00 2026\nA: b\n\nx", 1, 0, "x"},
		{"mixed line ends", "A: b\nC: d\r\n\nx", 2, 0, "x"},
		{"continuation first", " x: y\r\nA: b\r\n\r\nx", 1, 1, "x"},
		{"line without colon", "A: b\r\nnonsense\r\nC: d\r\n\r\nx", 3, 1, "x"},
		{"space before colon", "From : a@b\r\n\r\nx", 1, 1, "x"},
		{"bare CR", "A: b\rFrom: c\r\n\r\nx", 1, 1, "x"},
		{"NUL", "A: b\x00\r\n\r\nx", 1, 1, "x"},
		{"white space line", "A: b\r\n \r\nC: d\r\n\r\nx", 2, 1, "x"},
		{"CR CR LF", "A: b\r\r\n\r\nx", 1, 1, "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := read(t, tc.in)
			if tc.name == "continuation first" {
				// The first line is no field, so nothing of it is a header.
				if len(e.Header.Fields) != 0 && len(e.Header.Defects) == 0 {
					t.Fatalf("taken without a word: %v", e.Header)
				}
				return
			}
			if len(e.Header.Fields) != tc.fields || len(e.Header.Defects) != tc.defects {
				t.Errorf("fields %d, defects %v", len(e.Header.Fields), e.Header.Defects)
			}
			if got := text(t, e.Body()); got != tc.body {
				t.Errorf("body %q", got)
			}
		})
	}
}

func TestHeaderLimits(t *testing.T) {
	long := "X: " + strings.Repeat("x", MaxHeader) + "\r\n\r\n"
	if _, err := Read(strings.NewReader(long), int64(len(long))); !errors.Is(err, ErrLimit) {
		t.Errorf("a long header: %v", err)
	}
	many := strings.Repeat("a: b\r\n", MaxFields+1) + "\r\n"
	if _, err := Read(strings.NewReader(many), int64(len(many))); !errors.Is(err, ErrLimit) {
		t.Errorf("many fields: %v", err)
	}
	enough := strings.Repeat("a: b\r\n", MaxFields) + "\r\nbody"
	if got := text(t, read(t, enough).Body()); got != "body" {
		t.Errorf("body %q", got)
	}
	// A large body behind a small header, and a body without any header, are never read as a header.
	large := strings.Repeat("no colon here ", MaxHeader/8)
	if e := read(t, large); len(e.Header.Fields) != 0 {
		t.Error("text became a header")
	}
}

func TestShortSource(t *testing.T) {
	if _, err := Read(strings.NewReader("A: b\r\n"), 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends early: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("From: a@example.com\r\nContent-Type: text/plain\r\n\r\nbody"))
	f.Add([]byte("From x\nA: b\n c\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		raw := append([]byte(nil), e.Header.Envelope...)
		for _, field := range e.Header.Fields {
			raw = append(raw, field.Raw...)
			field.Value()
		}
		// Every byte in front of the body is in a field, or the header says that something is wrong with it.
		if len(e.Header.Defects) == 0 && !bytes.HasPrefix(b, raw) {
			t.Fatalf("fields %q are not the start of %q", raw, b)
		}
		if got := text(t, e.Body()); !bytes.HasSuffix(b, []byte(got)) {
			t.Fatal("the body is not the end of the input")
		}
		e.Header.ContentType()
		e.Header.Disposition()
		e.Header.TransferEncoding()
		e.Header.Addresses("From")
	})
}

// TestHeaderEnds: the header ends with the first empty line, whatever ends that line.
func TestHeaderEnds(t *testing.T) {
	for in, want := range map[string]string{
		"a: b\r\n\r\nbody\n\nmore": "body\n\nmore", "a: b\n\nbody\r\n\r\nmore": "body\r\n\r\nmore", "a: b\n\n\r\nbody": "\r\nbody",
		"a: b\r\n\n\r\nbody": "\r\nbody", "a: b\n\r\n\nbody": "\nbody", "\n\r\nbody": "\r\nbody", "\r\n\nbody": "\nbody", "a: b\r\nc: d\r\n": "",
	} {
		e, err := Read(strings.NewReader(in), int64(len(in)))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(e.Body()); err != nil || string(body) != want {
			t.Errorf("%q: the body is %q, want %q: %v", in, body, want, err)
		}
	}
}
