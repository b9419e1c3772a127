package entity

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const multi = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

func parts(t *testing.T, e *Entity, m *Multipart) []string {
	t.Helper()
	var got []string
	for _, s := range m.Parts {
		got = append(got, text(t, e.Section(s)))
	}
	return got
}

func TestMultipart(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		parts      []string
		closed     bool
		reopened   bool
		lookalikes int
	}{
		{"two parts", "pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\npost", []string{"\r\none", "\r\ntwo"}, true, false, 0},
		{"no preamble", "--b\r\none\r\n--b--", []string{"one"}, true, false, 0},
		{"LF", "--b\none\n\n--b--\n", []string{"one\n"}, true, false, 0},
		{"padding", "--b \t \r\none\r\n--b-- \r\n", []string{"one"}, true, false, 0},
		{"empty part", "--b\r\n--b\r\n\r\n--b--", []string{"", ""}, true, false, 0},
		{"not at a line's start", "--b\r\none --b\r\n--b--", []string{"one --b"}, true, false, 0},
		{"prefix of another boundary", "--b\r\none\r\n--bc\r\ntwo\r\n--b--", []string{"one\r\n--bc\r\ntwo"}, true, false, 1},
		{"close delimiter with a tail", "--b\r\none\r\n--b--x\r\ntwo\r\n--b--", []string{"one\r\n--b--x\r\ntwo"}, true, false, 1},
		{"no close delimiter", "--b\r\none\r\n--b\r\ntwo", []string{"one", "two"}, false, false, 0},
		{"cut off in the delimiter", "--b\r\none\r\n--b-", []string{"one\r\n--b-"}, false, false, 1},
		{"no delimiter", "text", nil, false, false, 0},
		{"reopened", "--b\r\none\r\n--b--\r\n--b\r\ntwo\r\n--b--", []string{"one"}, true, true, 0},
		{"bare CR is no line end", "--b\r\none\r--b--\r\n--b--", []string{"one\r--b--"}, true, false, 0},
		{"case matters", "--b\r\none\r\n--B--\r\n--b--", []string{"one\r\n--B--"}, true, false, 0},
		{"endless padding", "--b\r\none\r\n--b" + strings.Repeat(" ", 1000) + "\r\n--b--", []string{"one\r\n--b" + strings.Repeat(" ", 1000)}, true, false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := read(t, multi+tc.body)
			m, err := e.Multipart()
			if err != nil {
				t.Fatal(err)
			}
			if got := parts(t, e, m); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tc.parts) {
				t.Errorf("parts %q", got)
			}
			if m.Closed != tc.closed || m.Reopened != tc.reopened || m.Lookalikes != tc.lookalikes {
				t.Errorf("closed %v, reopened %v, lookalikes %d", m.Closed, m.Reopened, m.Lookalikes)
			}
		})
	}
}

func TestMultipartNested(t *testing.T) {
	s := "Content-Type: multipart/mixed; boundary=outer\n\n--outer\nContent-Type: multipart/mixed; boundary=outer-inner\n\n" +
		"--outer-inner\n\none\n--outer-inner\n\ntwo\n--outer\n\nthree\n--outer--\nepilogue"
	e := read(t, s)
	m, err := e.Multipart()
	if err != nil || len(m.Parts) != 2 {
		t.Fatal(m, err)
	}
	inner, err := e.Part(m.Parts[0])
	if err != nil {
		t.Fatal(err)
	}
	// RFC 2046 §5.1.2: the outer delimiter ends the inner multipart, whose own end is missing.
	im, err := inner.Multipart()
	if err != nil || im.Closed {
		t.Fatal(im, err)
	}
	if got := parts(t, inner, im); fmt.Sprintf("%q", got) != `["\none" "\ntwo"]` {
		t.Errorf("parts %q", got)
	}
	if got := text(t, e.Section(m.Epilogue)); got != "epilogue" {
		t.Errorf("epilogue %q", got)
	}
}

// TestMultipartLarge puts the delimiter at every offset around the end of the search block.
func TestMultipartLarge(t *testing.T) {
	for d := -20; d <= 20; d++ {
		filler := strings.Repeat("x", scanBuffer+d)
		e := read(t, multi+filler+"\r\n--b\r\none\r\n--b--\r\n")
		m, err := e.Multipart()
		if err != nil || len(m.Parts) != 1 || text(t, e.Section(m.Parts[0])) != "one" || m.Preamble.Len() != int64(len(filler)) {
			t.Fatalf("%d: %+v, %v", d, m, err)
		}
	}
}

// countingSource counts the calls that a hostile body makes its reader do.
type countingSource struct {
	io.ReaderAt
	reads int
}

func (c *countingSource) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

// TestMultipartReads: a body full of the delimiter, none of it at a line's start, is read in blocks all the same.
func TestMultipartReads(t *testing.T) {
	in := "Content-Type: multipart/mixed; boundary=-\r\n\r\n---\r\none" + strings.Repeat("-", 1<<20) + "\r\n-----\r\n"
	src := &countingSource{ReaderAt: strings.NewReader(in)}
	e, err := Read(src, int64(len(in)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Multipart()
	if err != nil || len(m.Parts) != 1 || m.Parts[0].Len() != 3+1<<20 || !m.Closed {
		t.Fatalf("%+v, %v", m, err)
	}
	if src.reads > 50 {
		t.Errorf("%d reads for a body of 1 MiB", src.reads)
	}
}

func TestMultipartRefused(t *testing.T) {
	for _, tc := range []struct {
		header string
		want   error
	}{
		{"Content-Type: multipart/mixed", ErrAmbiguous},
		{"Content-Type: multipart/mixed; boundary=\"\"", ErrAmbiguous},
		{"Content-Type: multipart/mixed; boundary=\"b \"", ErrAmbiguous},
		{"Content-Type: multipart/mixed; boundary=\"b\tc\"", ErrAmbiguous},
		{"Content-Type: multipart/mixed; boundary=b; boundary=c", ErrAmbiguous},
		{"Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", MaxBoundary+1), ErrLimit},
		{"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64", ErrAmbiguous},
	} {
		if m, err := read(t, tc.header+"\r\n\r\n--b\r\n\r\n--b--").Multipart(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v", tc.header, m, err)
		}
	}
	if _, err := read(t, multi+strings.Repeat("--b\n", MaxParts+2)).Multipart(); !errors.Is(err, ErrLimit) {
		t.Errorf("many parts: %v", err)
	}
	if _, err := read(t, multi+strings.Repeat("--bc\n", MaxParts+2)).Multipart(); !errors.Is(err, ErrLimit) {
		t.Errorf("many lines that look like delimiters: %v", err)
	}
}

func FuzzMultipart(f *testing.F) {
	f.Add([]byte("pre\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\npost"))
	f.Add([]byte("--b\n--b\n\n--b--x\n--bb--\n--b--\n--b"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := multi + string(body)
		e := read(t, s)
		m, err := e.Multipart()
		if err != nil {
			return
		}
		// Spans are in order, inside the body, and no part holds a delimiter line of its own.
		pos := m.Preamble.Start
		for _, p := range append([]Span{m.Preamble}, append(m.Parts, m.Epilogue)...) {
			if p.Start < pos || p.End < p.Start || p.End > int64(len(s)) {
				t.Fatalf("spans %+v", m)
			}
			pos = p.End
		}
		for _, p := range m.Parts {
			if l := delimiterLine.FindString(s[p.Start:p.End]); l != "" && len(l) < 200 && (p.End == int64(len(s)) || l[len(l)-1] == '\n') {
				t.Fatalf("part %q holds a delimiter", s[p.Start:p.End])
			}
		}
	})
}

var delimiterLine = regexp.MustCompile(`(?m)^--b(--)?[ \t]*(\r\n|\n|\z)`)

func BenchmarkMultipart(b *testing.B) {
	line := strings.Repeat("QUJDREVG", 9) + "QUJD\r\n"
	s := multi + "--b\r\n\r\n" + strings.Repeat(line, 1<<20/len(line)) + "\r\n--b--\r\n"
	r := strings.NewReader(s)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		e, _ := Read(r, int64(len(s)))
		if m, err := e.Multipart(); err != nil || len(m.Parts) != 1 {
			b.Fatal(err)
		}
	}
}

// TestMultipartAtEnds: of a long body only the ends are read, and what they show is what Multipart finds where the middle has no
// delimiter.
func TestMultipartAtEnds(t *testing.T) {
	filler := strings.Repeat("lorem ipsum\r\n", 60_000)
	for name, body := range map[string]string{
		"two parts":    "preamble\r\n--b\r\n\r\n" + filler + "\r\n--b\r\n\r\nsecond\r\n--b--\r\n",
		"all at front": "--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--\r\n" + filler,
		"all at back":  filler + "--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--",
		"unclosed":     "--b\r\n\r\nfirst\r\n--b\r\n\r\n" + filler,
		"short":        "--b\r\n\r\nfirst\r\n--b--\r\n",
		"none":         filler,
	} {
		message := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body
		src := &octetsRead{ReaderAt: strings.NewReader(message)}
		e, err := Read(src, int64(len(message)))
		if err != nil {
			t.Fatal(err)
		}
		src.n = 0
		got, err := e.MultipartAtEnds()
		if err != nil {
			t.Fatal(err)
		}
		if src.n > 2*scanBuffer+10_000 {
			t.Errorf("%s: %d octets were read", name, src.n)
		}
		if want, err := e.Multipart(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, not %+v, %v", name, got, want, err)
		}
	}
	message := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + filler + "\r\n--b\r\n" + filler + "\r\n--b--\r\n"
	e, err := Read(strings.NewReader(message), int64(len(message)))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := e.MultipartAtEnds(); err != nil || len(m.Parts) != 1 {
		t.Errorf("a delimiter in the middle was found: %+v, %v", m, err)
	}
}

type octetsRead struct {
	io.ReaderAt
	n int
}

func (o *octetsRead) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.ReaderAt.ReadAt(p, off)
	o.n += n
	return n, err
}
