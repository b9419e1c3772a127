// Package testkit reads and writes the cases in the folder testkit/, which other implementations can run too. The format is described
// in testkit/README.md, for people who have only the folder; the tests of this package make the folder and run it.
package testkit

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Answer is what a reader must say about a case.
type Answer string

// The answers. The first five are the verdicts about a message whose layers could be opened.
const (
	Valid     Answer = "valid"
	Invalid   Answer = "invalid"
	Untrusted Answer = "untrusted"
	Unsigned  Answer = "unsigned"
	Unknown   Answer = "unknown"
	Decrypted Answer = "decrypted" // raw CMS without a signature gave its content
	Refused   Answer = "refused"   // anything but Valid and Decrypted, and no content
)

// Layer is where a reader must notice.
type Layer string

// The layers, from the outside in.
const (
	MIME      Layer = "mime"
	BER       Layer = "ber"
	CMS       Layer = "cms"
	Decrypt   Layer = "decrypt"
	Digest    Layer = "digest"
	Signature Layer = "signature"
	Path      Layer = "path"
	Identity  Layer = "identity"
)

// Form is what the bytes of a case are.
type Form string

// The forms.
const (
	Mail Form = "mail" // an RFC 5322 message
	Raw  Form = "cms"  // a CMS ContentInfo
	Key  Form = "key"  // a file with a private key: PKCS #12 in DER, or PEM
)

// Case is one file.
type Case struct {
	Name    string // "sender/two-from-headers": the path below cases/, without ".case"
	Comment string
	Form    Form
	Expect  Answer
	Layer   Layer // "" where nothing is wrong
	At      time.Time
	From    string // the sender that the reader expects; "" expects none
	// Anchors, Intermediates, CRLs and Keys are names in the folder pki.
	Anchors, Intermediates, CRLs, Keys []string
	// Passphrase opens what is under one.
	Passphrase string
	// Plaintext is SHA-256 and length of all that may be released; "none" allows not a byte.
	Plaintext string
	// Alike names a group of cases that must be answered with the same bytes and the same status.
	Alike string
	// Twin is the honest case beside this one.
	Twin string
	// Policy says why another answer can be defended.
	Policy string

	Message []byte
}

// NoPlaintext is the Plaintext of a case that releases nothing.
const NoPlaintext = "none"

// Sum is the Plaintext of content.
func Sum(content []byte) string {
	return fmt.Sprintf("%x %d", sha256.Sum256(content), len(content))
}

// packed is the size from which messages are stored compressed: what is large here is repetitive.
const packed = 24 << 10

func (c *Case) fields() []field {
	list := func(names *[]string) field {
		return field{
			get: func() string { return strings.Join(*names, " ") },
			set: func(v string) error { *names = strings.Fields(v); return nil },
		}
	}
	fields := []field{
		{"comment", text(&c.Comment).get, text(&c.Comment).set},
		{"form", text(&c.Form).get, oneOf(&c.Form, Mail, Raw, Key)},
		{"expect", text(&c.Expect).get, oneOf(&c.Expect, Valid, Invalid, Untrusted, Unsigned, Unknown, Decrypted, Refused)},
		{"layer", text(&c.Layer).get, oneOf(&c.Layer, MIME, BER, CMS, Decrypt, Digest, Signature, Path, Identity)},
		{"at", func() string { return c.At.Format(time.RFC3339) }, func(v string) (err error) { c.At, err = time.Parse(time.RFC3339, v); return err }},
		{"from", text(&c.From).get, text(&c.From).set},
		{"anchors", list(&c.Anchors).get, list(&c.Anchors).set},
		{"intermediates", list(&c.Intermediates).get, list(&c.Intermediates).set},
		{"crls", list(&c.CRLs).get, list(&c.CRLs).set},
		{"keys", list(&c.Keys).get, list(&c.Keys).set},
		{"passphrase", text(&c.Passphrase).get, text(&c.Passphrase).set},
		{"plaintext", text(&c.Plaintext).get, c.setPlaintext},
		{"alike", text(&c.Alike).get, text(&c.Alike).set},
		{"twin", text(&c.Twin).get, text(&c.Twin).set},
		{"policy", text(&c.Policy).get, text(&c.Policy).set},
	}
	return fields
}

// field is one line of the header.
type field struct {
	name string
	get  func() string
	set  func(string) error
}

func text[T ~string](v *T) field {
	return field{get: func() string { return string(*v) }, set: func(s string) error { *v = T(s); return nil }}
}

func oneOf[T ~string](v *T, allowed ...T) func(string) error {
	return func(s string) error {
		for _, a := range allowed {
			if T(s) == a {
				*v = a
				return nil
			}
		}
		return fmt.Errorf("%q is none of %q", s, allowed)
	}
}

func (c *Case) setPlaintext(v string) error {
	sum, _, _ := strings.Cut(v, " ")
	if raw, err := hex.DecodeString(sum); v != NoPlaintext && (err != nil || len(raw) != sha256.Size) {
		return fmt.Errorf("%q is neither a SHA-256 nor %q", v, NoPlaintext)
	}
	c.Plaintext = v
	return nil
}

// File is the case as it is stored.
func (c *Case) File() ([]byte, error) {
	var b bytes.Buffer
	for _, f := range c.fields() {
		v := f.get()
		if strings.ContainsAny(v, "\r\n") {
			return nil, fmt.Errorf("%s: %s has more than one line", c.Name, f.name)
		}
		if v != "" {
			fmt.Fprintf(&b, "%s: %s\n", f.name, v)
		}
	}
	if len(c.Message) < packed {
		fmt.Fprint(&b, "\n")
		b.Write(c.Message)
		return b.Bytes(), nil
	}
	fmt.Fprint(&b, "packed: gzip\n\n")
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(c.Message); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxMessage is the largest message that a file may unpack to.
const maxMessage = 64 << 20

// Parse reads a file. A field that is unknown or there twice is an error: who runs the cases must not run half of one.
func Parse(name string, file []byte) (*Case, error) {
	c := &Case{Name: name}
	head, message, found := bytes.Cut(file, []byte("\n\n"))
	if !found {
		return nil, fmt.Errorf("%s: no empty line behind the header", name)
	}
	if bytes.IndexByte(head, '\r') >= 0 {
		return nil, fmt.Errorf("%s: a CR in the header, whose lines end in LF", name)
	}
	c.Message = message
	fields := map[string]func(string) error{"packed": c.unpack}
	for _, f := range c.fields() {
		fields[f.name] = f.set
	}
	for line := range strings.Lines(string(head)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		set, known := fields[key]
		if !known {
			return nil, fmt.Errorf("%s: %q is no field, or there twice", name, key)
		}
		delete(fields, key)
		if err := set(value); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, key, err)
		}
	}
	for _, needed := range []string{"comment", "form", "expect", "at", "plaintext"} {
		if _, missing := fields[needed]; missing {
			return nil, fmt.Errorf("%s: no %s", name, needed)
		}
	}
	return c, nil
}

func (c *Case) unpack(how string) error {
	if how != "gzip" {
		return fmt.Errorf("%q is not gzip", how)
	}
	z, err := gzip.NewReader(bytes.NewReader(c.Message))
	if err != nil {
		return err
	}
	c.Message, err = io.ReadAll(io.LimitReader(z, maxMessage+1))
	if err == nil && len(c.Message) > maxMessage {
		err = errors.New("the message is too large")
	}
	return err
}
