package entity

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSevenBit(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"Subject: Lunch\r\n", "Subject: Lunch\r\n"},
		{"X:  odd  spacing\r\n\tfolded\r\n", "X:  odd  spacing\r\n\tfolded\r\n"},
		{"X: trailing \r\n\tspace\t\r\n", "X: trailing\r\n\tspace\r\n"},
		{"Subject: 昼食\r\n", "Subject: =?utf-8?B?5pi86aOf?=\r\n"},
		{"Subject: caf\xe9\r\n", "Subject: =?unknown-8bit?B?Y2Fm6Q==?=\r\n"},
		{"Subject:\r\n 昼食\r\n", "Subject: =?utf-8?B?5pi86aOf?=\r\n"},
		{"X-Own: é\r\n", "X-Own: =?utf-8?B?w6k=?=\r\n"},
		{"From: 山田 太郎 <taro@example.com>\r\n", "From: =?utf-8?B?5bGx55SwIOWkqumDjg==?= <taro@example.com>\r\n"},
		{"From: \"山田, 太郎\" <taro@example.com>\r\n", "From: =?utf-8?B?5bGx55SwLCDlpKrpg44=?= <taro@example.com>\r\n"},
		{"To: a@example.com, é <b@example.com>, g: c@example.com, ü x <d@example.com>;\r\n",
			"To: a@example.com, =?utf-8?B?w6k=?= <b@example.com>, g: c@example.com, =?utf-8?B?w7wgeA==?= <d@example.com>;\r\n"},
		{"From: taro@example.com (太郎)\r\n", "From: taro@example.com (=?utf-8?B?5aSq6YOO?=)\r\n"},
		// RFC 6532: an address beyond ASCII has no other form.
		{"From: é <jürgen@example.com>\r\n", "From: =?utf-8?B?w6k=?= <jürgen@example.com>\r\n"},
		{"From: jürgen@bücher.example\r\n", "From: jürgen@bücher.example\r\n"},
		{"Content-Type: text/plain; name=\"昼.txt\"; charset=utf-8\r\n", "Content-Type: text/plain;\r\n\tname*=utf-8''%E6%98%BC.txt; charset=utf-8\r\n"},
		{"Content-Disposition: attachment; filename=\x92\x8b.txt\r\n", "Content-Disposition: attachment;\r\n\tfilename*=unknown-8bit''%92%8B.txt\r\n"},
		{"Content-Type: (é) text/(é)plain (é); charset=utf-8;(é)\r\n", "Content-Type: text/plain;\r\n\tcharset=utf-8\r\n"},
		{"Content-Type: multipart/mixed (é); boundary=\"a \\\"b\"; x*0*=utf-8''%41(é)\r\n", "Content-Type: multipart/mixed;\r\n\tboundary=\"a \\\"b\"; x*0*=utf-8''%41\r\n"},
		// What nobody is sure to read keeps its bytes, or what can be read of it, so that the reader says what is wrong.
		{"Content-Type: text/plain; =\"é\"; charset=x\r\n", "Content-Type: text/plain; =\"é\"; charset=x\r\n"},
		{"Content-Disposition: attachment; (é)=x\r\n", "Content-Disposition: attachment; (é)=x\r\n"},
		{"Content-Disposition: ; filename=\"é.pdf\"\r\n", "Content-Disposition: ;\r\n\tfilename*=utf-8''%C3%A9.pdf\r\n"},
		{"Content-Disposition: attachment/x; filename=\"é.pdf\"\r\n", "Content-Disposition: attachment/x;\r\n\tfilename*=utf-8''%C3%A9.pdf\r\n"},
		{"Content-Description: é\r\n", "Content-Description: =?utf-8?B?w6k=?=\r\n"},
	} {
		name, _, _ := strings.Cut(tc.in, ":")
		f := Field{Name: name, Raw: []byte(tc.in)}.SevenBit()
		if string(f.Raw) != tc.want {
			t.Errorf("%q:\n%q, want\n%q", tc.in, f.Raw, tc.want)
		}
	}
	for _, in := range []string{
		"X: " + strings.Repeat("word ", 500) + "\r\n", "X: " + strings.Repeat("word ", 150) + "\r\n " + strings.Repeat("more\t", 400) + "\r\n",
		"Content-Type: text/plain; x=\"" + strings.Repeat("a b", 600) + "\"\r\n", "Content-Type: text/plain;" + strings.Repeat(" x=y;", 300) + "\r\n",
	} {
		name, _, _ := strings.Cut(in, ":")
		before := Field{Name: name, Raw: []byte(in)}
		after := before.SevenBit()
		s, err := Examine(strings.NewReader(string(after.Raw)))
		if err != nil || s.LongLine || s.TrailingSpace || strings.Join(strings.Fields(after.Value()), " ") != strings.Join(strings.Fields(before.Value()), " ") {
			t.Errorf("%q", after.Raw)
		}
	}
	long := Field{Name: "Subject", Raw: []byte("Subject: " + strings.Repeat("昼食", 200) + "\r\n")}.SevenBit()
	for line := range strings.SplitSeq(string(long.Raw), "\r\n") {
		if len(line) > 76 {
			t.Errorf("a line of %d characters: %q", len(line), line)
		}
	}
}

func TestParameters(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"Content-Type: text/plain; hp=clear\r\n", "Content-Type: text/plain\r\n"},
		{"Content-Type: text/plain; HP=\"clear\"; charset=utf-8;\r\n", "Content-Type: text/plain; charset=utf-8\r\n"},
		{"Content-Type: text/plain; charset=\"a;hp=b\"; hp*=utf-8''clear; hp*0=c\r\n", "Content-Type: text/plain; charset=\"a;hp=b\"\r\n"},
		{"Content-Type: text/plain (; hp=x) ; x=1\r\n", "Content-Type: text/plain (; hp=x) ; x=1\r\n"},
		{"Content-Type: text/plain;\r\n\tcharset=utf-8;\r\n\thp=cipher;\r\n\tx=1\r\n", "Content-Type: text/plain;\r\n\tcharset=utf-8;\r\n\tx=1\r\n"},
		{"Content-Type: text/plain; charset=utf-8\r\n", "Content-Type: text/plain; charset=utf-8\r\n"},
		{"Content-Type: (a; b) text/plain; hp=clear; x=1\r\n", "Content-Type: (a; b) text/plain; x=1\r\n"},
		{"Content-Type: text/(a)plain; hp=clear\r\n", "Content-Type: text/(a)plain\r\n"},
		{"Content-Type: text; hp=clear; x=1\r\n", "Content-Type: text; x=1\r\n"},
		{"Content-Type: text/plain; =a; hp=clear\r\n", "Content-Type: text/plain; =a; hp=clear\r\n"},
		{"Content-Disposition: inline; hp=clear\r\n", "Content-Disposition: inline\r\n"},
		{"Content-Type: text/plain; hp=\"open\r\n", "Content-Type: text/plain; hp=\"open\r\n"},
	} {
		name, _, _ := strings.Cut(tc.in, ":")
		f := Field{Name: name, Raw: []byte(tc.in)}.WithoutParameters("hp")
		if string(f.Raw) != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, f.Raw, tc.want)
		}
	}
	f := Field{Name: "Content-Type", Raw: []byte("Content-Type: text/plain; charset=utf-8;\r\n")}.WithParameter("hp", "clear")
	if string(f.Raw) != "Content-Type: text/plain; charset=utf-8;\r\n\thp=\"clear\"\r\n" {
		t.Errorf("%q", f.Raw)
	}
}

// TestLongParameters: whatever the parameters are, what is written is ASCII in lines that may be sent, and is read as before.
func TestLongParameters(t *testing.T) {
	many := "Content-Type: text/plain"
	for i := range 20 {
		many += fmt.Sprintf(";\r\n\tname%d=%q", i, strings.Repeat("é", 60))
	}
	for name, raw := range map[string]string{
		"many":      many,
		"long":      "Content-Type: text/plain; filename=\"" + strings.Repeat("é", 4000) + "\"",
		"long name": "Content-Type: text/plain; " + strings.Repeat("n", 200) + "=\"" + strings.Repeat("é", 4000) + "\"",
		"empty":     "Content-Type: text/plain" + strings.Repeat(";", 66) + " filename=\"é.txt\"",
	} {
		f := Field{Name: "Content-Type", Raw: []byte(raw + "\r\n")}
		after := f.SevenBit()
		if !isSevenBit(after.Raw) {
			t.Errorf("%s: not ASCII", name)
		}
		for line := range strings.SplitSeq(string(after.Raw), "\r\n") {
			if len(line) > MaxLine {
				t.Errorf("%s: a line of %d", name, len(line))
			}
		}
		want, err := Header{Fields: []Field{f}}.ContentType()
		got, err2 := Header{Fields: []Field{after}}.ContentType()
		for _, p := range want.params {
			if v := got.Parameter(p.name); v != p.value {
				t.Errorf("%s: %s is %q, not %q", name, p.name, v, p.value)
			}
		}
		if err != nil || err2 != nil || len(want.params) != len(got.params) {
			t.Errorf("%s: %v, %v", name, err, err2)
		}
	}
}

// FuzzSevenBit: what a field means stays what it was.
func FuzzSevenBit(f *testing.F) {
	f.Add("From: \"山田, 太郎\" <taro@example.com>, g: (é) x@example.com;")
	f.Add("Content-Type: text/plain; name=\"昼.txt\"; x*0=a; hp=é")
	f.Add("Content-Type: (é) text/(é)plain (é);(é); x=(é)a;(é; hp=é)")
	f.Add("Subject: caf\xe9 ")
	f.Fuzz(func(t *testing.T, in string) {
		e, err := Read(strings.NewReader(in), int64(len(in)))
		if err != nil || len(e.Header.Fields) != 1 || len(e.Header.Defects) > 0 {
			return
		}
		before := e.Header
		after := Header{Fields: []Field{before.Fields[0].SevenBit()}}
		name := before.Fields[0].Name
		if list, err := before.Addresses(name); err == nil && isStructured(name) {
			again, err := after.Addresses(name)
			if err != nil || len(again) != len(list) {
				t.Fatalf("%q became %q: %v", before.Fields[0].Raw, after.Fields[0].Raw, err)
			}
			for i := range list {
				if !list[i].Mailbox.Equal(again[i].Mailbox) {
					t.Fatalf("%s became %s", list[i].Mailbox, again[i].Mailbox)
				}
			}
		}
		typ, err := before.ContentType()
		if err != nil {
			return
		}
		if raw := after.Fields[0].Raw; before.Fields[0].Is("Content-Type") && !isSevenBit(raw) {
			t.Fatalf("%q became %q", before.Fields[0].Raw, raw)
		}
		again, err := after.ContentType()
		if errors.Is(err, ErrLimit) && len(before.Fields[0].Raw) > MaxParameters*MaxLine/4 {
			return // too long to be read in any form that relays leave alone
		}
		if err != nil || again.Type != typ.Type || len(again.params) != len(typ.params) {
			t.Fatalf("%q became %q: %v", before.Fields[0].Raw, after.Fields[0].Raw, err)
		}
		for _, p := range typ.params {
			if v := again.Parameter(p.name); v != p.value {
				t.Fatalf("%s=%q became %q", p.name, p.value, v)
			}
		}
		dropped := Header{Fields: []Field{before.Fields[0].WithoutParameters("hp")}}
		if again, err := dropped.ContentType(); err != nil || again.Type != typ.Type || again.Parameter("hp") != "" {
			t.Fatalf("%q without hp is %q: %v", before.Fields[0].Raw, dropped.Fields[0].Raw, err)
		}
	})
}
