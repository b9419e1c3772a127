package entity

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCanonicalReader(t *testing.T) {
	for _, tc := range []struct {
		in, out string
		changed bool
	}{
		{"", "", false},
		{"a\r\nb\r\n", "a\r\nb\r\n", false},
		{"a\nb\n", "a\r\nb\r\n", true},
		{"\n\n", "\r\n\r\n", true},
		{"a\rb\r", "a\rb\r", false},
		{"a\r\r\nb", "a\r\r\nb", false},
		{"a\n\r\nb", "a\r\n\r\nb", true},
		{"a \t\n", "a \t\r\n", true},
	} {
		for name, src := range map[string]io.Reader{
			"whole": strings.NewReader(tc.in), "bytes": iotest.OneByteReader(strings.NewReader(tc.in)), "eof": iotest.DataErrReader(strings.NewReader(tc.in)),
		} {
			c := NewCanonicalReader(src)
			if got := text(t, c); got != tc.out || c.Changed() != tc.changed {
				t.Errorf("%q, %s: %q, changed %v", tc.in, name, got, c.Changed())
			}
			_ = name
		}
		// One byte of room at a time.
		if got := text(t, iotest.OneByteReader(NewCanonicalReader(strings.NewReader(tc.in)))); got != tc.out {
			t.Errorf("%q into one byte: %q", tc.in, got)
		}
	}
	if _, err := io.ReadAll(NewCanonicalReader(iotest.ErrReader(io.ErrClosedPipe))); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

// canonical is the plain statement of what the reader does.
func canonical(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

func FuzzCanonicalReader(f *testing.F) {
	f.Add([]byte("a\nb\r\nc\r\r\n\n"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, n uint8) {
		want := canonical(in)
		r := NewCanonicalReader(iotest.HalfReader(bytes.NewReader(in)))
		var got []byte
		p := make([]byte, int(n)+1)
		for {
			m, err := r.Read(p)
			got = append(got, p[:m]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, want) || r.Changed() == bytes.Equal(in, want) {
			t.Fatalf("%q: %q, want %q", in, got, want)
		}
	})
}

func TestBareReader(t *testing.T) {
	long := strings.Repeat("x", 64<<10-1)
	for in, want := range map[string]string{
		"": "", "a": "a", "\r\n": "\n", "a\r\nb\nc\rd\r\r\n\r": "a\nb\nc\rd\r\n\r",
		long + "\r\n": long + "\n", long + "\rx": long + "\rx", long + "x\r\n\r\n": long + "x\n\n",
	} {
		for _, src := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			if got, err := io.ReadAll(iotest.HalfReader(NewBareReader(src))); err != nil || string(got) != want {
				t.Errorf("%.20q: %.20q (%d bytes), %v", in, got, len(got), err)
			}
		}
	}
	if _, err := io.ReadAll(NewBareReader(iotest.ErrReader(io.ErrClosedPipe))); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

func TestExamine(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Survey
		safe bool
	}{
		{"", Survey{}, true},
		{"a\r\nb", Survey{}, true},
		{"a\nb\n", Survey{BareLF: true}, true},
		{"a \r\nb", Survey{TrailingSpace: true}, false},
		{"a\t\n", Survey{TrailingSpace: true, BareLF: true}, false},
		{"a ", Survey{TrailingSpace: true}, false},
		{"From here\r\n", Survey{FromLine: true}, false},
		{"x\r\nFrom ", Survey{FromLine: true, TrailingSpace: true}, false},
		{"x From y\r\nFromage\r\n", Survey{}, true},
		{"a\rb", Survey{BareCR: true}, false},
		{"a\r\r\n", Survey{BareCR: true}, false},
		{"a\r", Survey{BareCR: true}, false},
		{"\r\n\r\n", Survey{}, true},
		{"\x00", Survey{Nul: true}, false},
		{"\xe3\x81\x82", Survey{HighBit: 3}, false},
		{strings.Repeat("x", MaxLine) + "\r\n", Survey{}, true},
		{strings.Repeat("x", MaxLine+1) + "\r\n", Survey{LongLine: true}, false},
		{strings.Repeat("x", MaxLine+1), Survey{LongLine: true}, false},
	} {
		for _, src := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
			got, err := Examine(src)
			tc.want.Size = int64(len(tc.in))
			if err != nil || got != tc.want || got.Safe() != tc.safe {
				t.Errorf("%q: %+v, safe %v, %v", tc.in, got, got.Safe(), err)
			}
		}
	}
}

// TestExamineSection: the halves of a long text tell what the whole of it tells.
func TestExamineSection(t *testing.T) {
	plain := strings.Repeat("lorem ipsum dolor\r\n", 200_000)
	for _, odd := range []string{"", "a\n", "a\rb\r\n", "\x00\r\n", "\xe3\x81\x82\r\n", "a \r\n", "From a\r\n", strings.Repeat("x", 1500) + "\r\n", strings.Repeat("x", 10_000) + "\r\n"} {
		for _, at := range []int{0, 19 * 50_000, len(plain)/2 - 19*2, len(plain) / 2, len(plain)/2 + 19, len(plain)} {
			at -= at % 19
			text := plain[:at] + odd + plain[at:]
			want, err := Examine(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ExamineSection(io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))); err != nil || got != want {
				t.Errorf("%.10q at %d: %+v, want %+v, %v", odd, at, got, want, err)
			}
		}
	}
	broken := io.NewSectionReader(strings.NewReader(plain[:len(plain)/4*3]), 0, int64(len(plain)))
	if got, err := ExamineSection(broken); err == nil && got.Size != int64(len(plain)/4*3) {
		t.Errorf("%+v", got)
	}
}

// FuzzExamine holds Examine, which looks at many bytes at once, to one look at each.
func FuzzExamine(f *testing.F) {
	f.Add([]byte("From a \r\nb\t\n\rc\r\r\n\x00\xff\r\n\r"), 3)
	f.Add([]byte(strings.Repeat("x", 40)+"\x80"+strings.Repeat("y", MaxLine)+"\nFrom here\n"), 7)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		var want Survey
		want.Size = int64(len(in))
		for i, c := range in {
			switch {
			case c == 0:
				want.Nul = true
			case c >= 0x80:
				want.HighBit++
			case c == '\r' && (i+1 == len(in) || in[i+1] != '\n'):
				want.BareCR = true
			case c == '\n' && (i == 0 || in[i-1] != '\r'):
				want.BareLF = true
			}
		}
		lines := bytes.Split(in, []byte("\n"))
		for i, line := range lines {
			if i+1 < len(lines) {
				line = bytes.TrimSuffix(line, []byte("\r"))
			}
			want.LongLine = want.LongLine || len(line) > MaxLine
			want.TrailingSpace = want.TrailingSpace || bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t"))
			want.FromLine = want.FromLine || bytes.HasPrefix(line, []byte("From "))
		}
		src := &pieces{bytes.NewReader(in), 1 + int(uint8(piece))}
		if got, err := Examine(src); err != nil || got != want {
			t.Errorf("%q: %+v, want %+v, %v", in, got, want, err)
		}
	})
}

// pieces reads few bytes at a time.
type pieces struct {
	io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

func TestBase64RoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 1000, base64Bytes * base64Lines, base64Bytes*base64Lines + 1, 200_000} {
		in := make([]byte, n)
		for i := range in {
			in[i] = byte(rnd.Uint32())
		}
		var out bytes.Buffer
		w := NewBase64Writer(&out)
		for rest := in; len(rest) > 0; {
			k := min(len(rest), 1+rnd.IntN(5000))
			w.Write(rest[:k])
			rest = rest[k:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.SplitAfter(out.String(), "\r\n") {
			if len(line) > base64Line+2 || line != "" && !strings.HasSuffix(line, "\r\n") {
				t.Fatalf("line %q", line)
			}
		}
		for _, r := range []io.Reader{&out, iotest.HalfReader(bytes.NewReader(out.Bytes())), iotest.DataErrReader(bytes.NewReader(out.Bytes()))} {
			if got, err := io.ReadAll(NewBase64Reader(r)); err != nil || !bytes.Equal(got, in) {
				t.Fatalf("%d bytes: %d back, %v", n, len(got), err)
			}
		}
	}
}

func TestBase64Reader(t *testing.T) {
	for _, tc := range []struct{ in, out string }{
		{"QUJD", "ABC"},
		{"Q\r\nU\nJ\tD \r\n", "ABC"},
		{"QUI=", "AB"},
		{"QUI", "AB"},
		{"QQ", "A"},
		{"QQ==\r\n\r\n", "A"},
		{"QQ=\r\n=", "A"},
	} {
		for _, src := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
			if got, err := io.ReadAll(NewBase64Reader(src)); err != nil || string(got) != tc.out {
				t.Errorf("%q: %q, %v", tc.in, got, err)
			}
		}
	}
	for _, in := range []string{"Q", "QUJDQ", "QQ=", "QQ==QUJD", "QQ==\r\nQUJD", "=", "====", "QUJD!", "QUJD-_", "QU\x00JD", "Q===", "QUJD=", "QUJD\r\n-- \r\nA list",
		"QQ==" + strings.Repeat("=", 100_000)} {
		if got, err := io.ReadAll(NewBase64Reader(strings.NewReader(in))); err == nil {
			t.Errorf("%.30q: %q", in, got)
		}
	}
}

func FuzzBase64Reader(f *testing.F) {
	f.Add([]byte("QUJD\r\nQQ=="))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := io.ReadAll(NewBase64Reader(bytes.NewReader(in)))
		pieces, err2 := io.ReadAll(NewBase64Reader(iotest.OneByteReader(bytes.NewReader(in))))
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(whole, pieces) {
			t.Fatalf("%q: %q %v, %q %v", in, whole, err, pieces, err2)
		}
		compact := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(string(in))
		plain, stdErr := base64.StdEncoding.DecodeString(compact)
		if stdErr == nil && (err != nil || !bytes.Equal(plain, whole)) {
			t.Fatalf("%q: %q, %v", in, whole, err)
		}
		if err == nil && stdErr != nil {
			if _, rawErr := base64.RawStdEncoding.DecodeString(compact); rawErr != nil {
				t.Fatalf("%q taken: %v", in, rawErr)
			}
		}
	})
}

func TestQuotedPrintable(t *testing.T) {
	for _, tc := range []struct{ in, out string }{
		{"", ""},
		{"plain\r\n", "plain\r\n"},
		{"plain\n", "plain\r\n"},
		{"a=b", "a=3Db"},
		{"a \r\nb\t\n", "a=20\r\nb=09\r\n"},
		{"end ", "end=20"},
		{"a b", "a b"},
		{"From here\r\nFrom", "=46rom here\r\nFrom"},
		{".\r\n", "=2E\r\n"},
		{"--b\r\n-b", "=2D-b\r\n-b"},
		{"\xe3\x81\x82", "=E3=81=82"},
		{"a\rb", "a=0Db"},
		{"a\r\r\n", "a=0D\r\n"},
	} {
		var b bytes.Buffer
		w := NewQuotedPrintableWriter(&b)
		for i := range len(tc.in) {
			w.Write([]byte{tc.in[i]})
		}
		if err := w.Close(); err != nil || b.String() != tc.out {
			t.Errorf("%q: %q, %v", tc.in, b.String(), err)
		}
	}
}

func TestQuotedPrintableReader(t *testing.T) {
	for _, tc := range []struct{ in, out string }{
		{"a=3db=3D\r\n", "a=b=\r\n"},
		{"soft=\r\nbreak", "softbreak"},
		{"soft=  \nbreak", "softbreak"},
		{"trailing \t\r\nx ", "trailing\r\nx"},
		{"\xe3\x81\x82", "\xe3\x81\x82"},
		{"last=", "last"},
	} {
		if got, err := io.ReadAll(NewQuotedPrintableReader(strings.NewReader(tc.in))); err != nil || string(got) != tc.out {
			t.Errorf("%q: %q, %v", tc.in, got, err)
		}
	}
	for _, in := range []string{"a=3", "a=xy", "a==\r\n", "a=3g", strings.Repeat("x", maxQuotedLine+1)} {
		if got, err := io.ReadAll(NewQuotedPrintableReader(strings.NewReader(in))); err == nil {
			t.Errorf("%.20q: %.20q", in, got)
		}
	}
}

func FuzzQuotedPrintable(f *testing.F) {
	f.Add([]byte("From a = b \r\n. \xff\n" + strings.Repeat("From xyz ", 20)))
	f.Fuzz(func(t *testing.T, in []byte) {
		io.Copy(io.Discard, NewQuotedPrintableReader(bytes.NewReader(in)))
		var b bytes.Buffer
		w := NewQuotedPrintableWriter(&b)
		w.Write(in)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Examine(bytes.NewReader(b.Bytes()))
		if err != nil || !s.Safe() || s.BareLF {
			t.Fatalf("%q: %+v", b.Bytes(), s)
		}
		for _, line := range strings.Split(b.String(), "\r\n") {
			if len(line) > base64Line {
				t.Fatalf("line %q", line)
			}
		}
		want := canonical(in)
		got, err := io.ReadAll(NewQuotedPrintableReader(bytes.NewReader(b.Bytes())))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q: %q, %v", want, got, err)
		}
		std, err := io.ReadAll(quotedprintable.NewReader(&b))
		if err != nil || !bytes.Equal(std, want) {
			t.Fatalf("%q: the standard library reads %q, %v", want, std, err)
		}
	})
}

func benchmarkStream(b *testing.B, in []byte, open func(io.Reader) io.Reader) {
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, open(bytes.NewReader(in))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBase64Reader(b *testing.B) {
	var buf bytes.Buffer
	w := NewBase64Writer(&buf)
	w.Write(make([]byte, 1<<20))
	w.Close()
	benchmarkStream(b, buf.Bytes(), NewBase64Reader)
}

func BenchmarkBase64Writer(b *testing.B) {
	in := make([]byte, 1<<20)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		w := NewBase64Writer(io.Discard)
		w.Write(in)
		w.Close()
	}
}

func BenchmarkCanonicalReader(b *testing.B) {
	in := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1<<20/72))
	benchmarkStream(b, in, func(r io.Reader) io.Reader { return NewCanonicalReader(r) })
}
