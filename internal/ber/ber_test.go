package ber

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDER(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"already DER":                {"30 03 02 01 05", "30 03 02 01 05"},
		"indefinite":                 {"30 80 02 01 05 00 00", "30 03 02 01 05"},
		"nested indefinite":          {"30 80 30 80 02 01 05 00 00 04 00 00 00", "30 07 30 03 02 01 05 04 00"},
		"long length":                {"30 81 03 02 01 05", "30 03 02 01 05"},
		"length with leading zeroes": {"30 84 00 00 00 03 02 01 05", "30 03 02 01 05"},
		"constructed octet string":   {"24 80 04 01 61 04 02 62 63 00 00", "04 03 61 62 63"},
		"pieces inside pieces":       {"24 80 24 04 04 02 61 62 04 01 63 00 00", "04 03 61 62 63"},
		"empty pieces":               {"24 80 00 00", "04 00"},
		"constructed, context tag":   {"a0 80 04 01 61 04 01 62 00 00", "a0 06 04 01 61 04 01 62"},
		"high tag number":            {"9f 81 00 01 05", "9f 81 00 01 05"},
	} {
		got, err := DER(unhex(t, c.in))
		if err != nil || !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	if in := unhex(t, "30 03 02 01 05"); &in[0] != &must(DER(in))[0] {
		t.Error("DER input was copied")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestMalformed(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                         "",
		"two octets of a long length":   "30 82",
		"high tag number, two octets":   "1f 80",
		"tag only":                      "30",
		"reserved length":               "30 ff",
		"nine length octets":            "30 89 01 01 01 01 01 01 01 01 01",
		"length above 2^63":             "04 88 ff ff ff ff ff ff ff ff",
		"longer than the input":         "04 05 61",
		"longer than its container":     "30 03 04 05 61",
		"indefinite primitive":          "04 80 00 00",
		"indefinite without an end":     "30 80 02 01 05",
		"end-of-contents in a definite": "30 04 02 00 00 00",
		"bare end-of-contents":          "00 00",
		"trailing data":                 "30 00 00",
		"piece of another type":         "24 80 02 01 05 00 00",
		"high form for a low tag":       "1f 05 00",
		"too deep":                      strings.Repeat("30 80 ", MaxDepth+2) + strings.Repeat("00 00 ", MaxDepth+2),
	} {
		if got, err := DER(unhex(t, in)); err == nil {
			t.Errorf("%s: DER gave %x", name, got)
		}
		if got, err := streamed(bytes.NewReader(unhex(t, in))); err == nil {
			t.Errorf("%s: Reader gave %x", name, got)
		}
	}
}

// streamed reads one element and the end of the stream.
func streamed(src io.Reader) ([]byte, error) {
	r := NewReader(src)
	e, err := r.Element(1 << 20)
	if err != nil {
		return nil, err
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	return e, nil
}

func TestReaderWalks(t *testing.T) {
	in := unhex(t, "30 80"+"02 01 03"+"a0 80 24 80 04 02 61 62 24 03 04 01 63 04 00 00 00 00 00"+"31 00"+"30 80 04 01 64 00 00"+"00 00")
	r := NewReader(iotest.OneByteReader(bytes.NewReader(in)))
	step := func(_ Header, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	step(r.Enter())
	version, err := r.Element(10)
	if err != nil || !bytes.Equal(version, unhex(t, "02 01 03")) {
		t.Fatalf("version %x, %v", version, err)
	}
	step(r.Enter())
	o, err := r.Octets()
	if err != nil || o.Length() != Indefinite {
		t.Fatal(o, err)
	}
	if text, err := io.ReadAll(o); err != nil || string(text) != "abc" {
		t.Fatalf("octets %q, %v", text, err)
	}
	if err := r.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := r.Skip(); err != nil {
		t.Fatal(err)
	}
	if err := r.Skip(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Peek(); !errors.Is(err, io.EOF) {
		t.Fatal("end not seen:", err)
	}
	if err := r.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	if r.Offset() != int64(len(in)) {
		t.Errorf("offset %d of %d", r.Offset(), len(in))
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Run("more elements than wanted", func(t *testing.T) {
		r := NewReader(bytes.NewReader(unhex(t, "30 03 02 01 05")))
		r.Enter()
		if err := r.Leave(); err == nil {
			t.Error("left a container with an element unread")
		}
	})
	t.Run("entering a primitive", func(t *testing.T) {
		r := NewReader(bytes.NewReader(unhex(t, "04 00")))
		if _, err := r.Enter(); err == nil {
			t.Error("entered")
		}
	})
	t.Run("missing element", func(t *testing.T) {
		r := NewReader(bytes.NewReader(unhex(t, "30 00")))
		r.Enter()
		if _, err := r.Element(10); err == nil {
			t.Error("read an element that is not there")
		}
	})
	t.Run("too large", func(t *testing.T) {
		for _, in := range []string{"04 03 61 62 63", "24 80 04 03 61 62 63 00 00"} {
			r := NewReader(bytes.NewReader(unhex(t, in)))
			if _, err := r.Element(2); err == nil {
				t.Error("read more than the limit")
			}
		}
	})
	t.Run("cut short", func(t *testing.T) {
		whole := unhex(t, "24 80 04 02 61 62 04 01 63 00 00")
		for n := range whole {
			r := NewReader(bytes.NewReader(whole[:n]))
			o, err := r.Octets()
			if err != nil {
				continue
			}
			if text, err := io.ReadAll(o); err == nil {
				t.Errorf("%d octets gave %q", n, text)
			}
		}
	})
}

func TestRawKeepsEveryOctet(t *testing.T) {
	for _, in := range []string{"30 80 04 81 01 61 24 80 04 00 00 00 00 00", "30 84 00 00 00 02 05 00", "bf 81 00 00"} {
		r := NewReader(bytes.NewReader(unhex(t, in)))
		if got, err := r.Raw(100); err != nil || !bytes.Equal(got, unhex(t, in)) {
			t.Errorf("%s came back as %x, %v", in, got, err)
		}
	}
}

func TestHeaderSize(t *testing.T) {
	for _, n := range []int64{0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 1 << 40} {
		if got := int64(len(AppendHeader(nil, Universal, true, TagSequence, n))); got != HeaderSize(n) {
			t.Errorf("length %d: %d octets, HeaderSize %d", n, got, HeaderSize(n))
		}
	}
}

// FuzzReader holds the stream reader to the whole-buffer one, and both to
// idempotence.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"3003020105", "30800201050000", "248004016104026263 0000", "1f80", "3082", "a08004016104016200 00"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if n := plain(in, 0); n > 0 {
			if end, same, err := scan(in, 0, 0); err != nil || !same || end != n {
				t.Fatalf("%x ends at %d; the slow way %d, %v, %v", in, n, end, same, err)
			}
		}
		whole, err := DER(in)
		stream, serr := streamed(bytes.NewReader(in))
		if (err == nil) != (serr == nil) || !bytes.Equal(whole, stream) {
			t.Fatalf("DER: %x, %v\nReader: %x, %v", whole, err, stream, serr)
		}
		if err != nil {
			return
		}
		if again, err := DER(whole); err != nil || !bytes.Equal(again, whole) {
			t.Fatalf("not stable: %x -> %x, %v", whole, again, err)
		}
	})
}

// FuzzOctets holds the streamed octet string to the joined one.
func FuzzOctets(f *testing.F) {
	f.Add([]byte("\x24\x80\x04\x02ab\x24\x03\x04\x01c\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		h, err := r.Peek()
		if err != nil || !h.Is(Universal, TagOctetString) {
			return
		}
		o, _ := r.Octets()
		var stream []byte
		if o != nil {
			stream, err = io.ReadAll(o)
			if err == nil {
				err = r.End()
			}
		}
		whole, werr := DER(in)
		if werr == nil {
			whole, werr = Octets(whole)
		}
		if (err == nil) != (werr == nil) {
			t.Fatalf("stream %v, whole %v", err, werr)
		}
		if err == nil && !bytes.Equal(stream, whole) {
			t.Fatalf("%x != %x", stream, whole)
		}
	})
}
