// Package inspect explains files: messages, CMS, certificates, certification
// requests, CRLs, private keys and PKCS#12, each as what it claims to be. It judges
// nothing: no signature is checked against an anchor, and no key is used except to
// open a PKCS#12 file whose passphrase was given.
//
// Start with [File]. The result prints itself for people ([Report.WriteText]) and as
// JSON, from the same facts.
package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Report is what was found: facts in the order in which they are best read, and
// the reports of what lies inside.
type Report struct {
	Kind  string // "message", "cms", "certificate", ...
	Facts []Fact
	Parts []*Report
}

// Fact is one line. Name is lower case with underscores, as it stands in JSON;
// Value is a string, a bool, an int64 or a []string.
type Fact struct {
	Name  string
	Value any
}

// add appends a fact unless there is nothing to say.
func (r *Report) add(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	}
	r.Facts = append(r.Facts, Fact{name, value})
}

// MarshalJSON writes one object: kind, the facts under their names, and parts.
func (r *Report) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"kind":%q`, r.Kind)
	for _, f := range r.Facts {
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `,%q:%s`, f.Name, value)
	}
	if len(r.Parts) > 0 {
		parts, err := json.Marshal(r.Parts)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `,"parts":%s`, parts)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// WriteText writes the report for people: one fact a line, what is inside indented.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	r.text(&b, "")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) text(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s%s\n", indent, title(r.Kind))
	indent += "  "
	for _, f := range r.Facts {
		label := strings.ReplaceAll(f.Name, "_", " ")
		for i, line := range lines(f.Value) {
			if i > 0 {
				label = ""
			}
			fmt.Fprintf(b, "%s%-18s %s\n", indent, label, Visible(line))
		}
	}
	for _, part := range r.Parts {
		b.WriteByte('\n')
		part.text(b, indent)
	}
}

// title is a kind as people write it.
func title(kind string) string {
	switch kind {
	case "cms", "crl":
		return strings.ToUpper(kind)
	case "pkcs12":
		return "PKCS#12"
	case "ocsp response":
		return "OCSP response"
	case "pem file":
		return "PEM file"
	case "pem block":
		return "PEM block"
	}
	return strings.ToUpper(kind[:1]) + kind[1:]
}

func lines(value any) []string {
	switch v := value.(type) {
	case []string:
		return v
	case bool:
		if v {
			return []string{"yes"}
		}
		return []string{"no"}
	}
	return []string{fmt.Sprint(value)}
}

// Visible writes text from an untrusted file so that it cannot move the cursor,
// turn the direction of writing or hide: what is not printable is escaped.
func Visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\u3000' { // the space of Japanese text
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u{%x}", r)
		}
	}
	return b.String()
}
