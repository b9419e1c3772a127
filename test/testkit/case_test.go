package testkit

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/testca"
)

func TestCaseFile(t *testing.T) {
	for _, message := range []string{"", "\n\n", "Subject: x\r\n\r\n\x00\xff\n\nbody", strings.Repeat("long\n\n", packed)} {
		c := &Case{
			Name: "a/b", Comment: "a comment: with a colon", Form: Mail, Expect: Invalid, Layer: Digest, At: testca.Now, From: "a@example.com", Anchors: []string{"root", "other"},
			Keys: []string{"bob"}, Passphrase: "secret", Plaintext: Sum([]byte("x")), Alike: "g", Twin: "c/d", Policy: "p", Message: []byte(message),
		}
		file, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("a/b", file)
		if err != nil || !bytes.Equal(again.Message, c.Message) {
			t.Fatalf("%v\n%.300s", err, file)
		}
		again.Message = c.Message
		if !reflect.DeepEqual(again, c) {
			t.Errorf("%+v\n%+v", again, c)
		}
	}
	if _, err := (&Case{Comment: "two\nlines"}).File(); err == nil {
		t.Error("a comment of two lines")
	}
}

// TestReadme: the example in the description is a case.
func TestReadme(t *testing.T) {
	c := readCase(t, "content/one-byte")
	file, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(file, []byte("\n\n"))
	readme := string(readFile(t, "README.md"))
	if indented := "    " + strings.ReplaceAll(string(head), "\n", "\n    "); !strings.Contains(readme, indented) {
		t.Errorf("README.md has another header than\n%s", indented)
	}
	for _, f := range c.fields() {
		if !strings.Contains(readme, "`"+f.name+"`") {
			t.Errorf("README.md does not describe %s", f.name)
		}
	}
}

func TestMalformedCase(t *testing.T) {
	good := "comment: c\nform: mail\nexpect: valid\nat: 2026-06-01T12:00:00Z\nplaintext: none\n\nx"
	if _, err := Parse("x", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "comment: c\n", strings.Replace(good, "\n\n", "\n", 1), strings.Replace(good, "valid", "perhaps", 1), strings.Replace(good, "mail", "fax", 1), strings.Replace(good, "none", "some", 1),
		strings.Replace(good, "2026", "", 1), "comment: d\n" + good, "unknown: x\n" + good, strings.Replace(good, "comment: c\n", "", 1), "packed: gzip\n" + good, "packed: zip\n" + good, "layer: attic\n" + good,
	} {
		if _, err := Parse("x", []byte(bad)); err == nil {
			t.Errorf("%q is a case", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("comment: c\nform: mail\nexpect: valid\nat: 2026-06-01T12:00:00Z\nplaintext: none\n\nx"))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := Parse("x", file)
		if err != nil {
			return
		}
		again, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Parse("x", again); err != nil || !bytes.Equal(c.Message, d.Message) {
			t.Fatalf("%v: %q, %q", err, file, again)
		}
	})
}
