package vectors_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// material is what messages may be opened with.
type material struct {
	keys         []*cms.RecipientKey
	contentKey   []byte // of EncryptedData
	certificates []*cert.Certificate
	detached     []byte
}

// opened is what came of a message: a sentence about each layer, and the
// content of the innermost.
type opened struct {
	layers  []string
	content []byte
}

func (o *opened) add(format string, args ...any) {
	o.layers = append(o.layers, fmt.Sprintf(format, args...))
}

func (o *opened) String() string { return strings.Join(o.layers, "; ") }

// open takes every layer off a message. What it meets on the way is in the
// result even when there is an error.
func (m *material) open(message []byte) (*opened, error) {
	o := &opened{}
	r, err := cms.NewReader(bytes.NewReader(message), nil)
	if err != nil {
		return o, err
	}
	return o, m.layer(r, o)
}

// layer reads a layer, and the one inside when there is one.
func (m *material) layer(r *cms.Reader, o *opened) error {
	var content io.Reader
	var inner oid.OID
	finish := func() {}
	switch r.ContentType() {
	case oid.SignedData:
		options := &cms.SignedOptions{WithoutAttributes: true, Certificates: m.certificates}
		if m.detached != nil {
			options.Content = bytes.NewReader(m.detached)
		}
		s, err := r.SignedData(options)
		if err != nil {
			return err
		}
		content, inner = s, s.ContentType()
		finish = func() { describeSigners(s, o) }
	case oid.EnvelopedData, oid.AuthEnvelopedData:
		e, err := r.EnvelopedData(m.keys)
		if e != nil {
			o.add("%s with %s for %s", r.ContentType().Name(), e.Cipher().Algorithm.Name(), recipientKinds(e))
		}
		if err != nil {
			return err
		}
		content, inner = e, e.ContentType()
	case oid.EncryptedData:
		e, err := r.EncryptedData(m.contentKey)
		if err != nil {
			return err
		}
		o.add("encryptedData with %s", e.Cipher().Algorithm.Name())
		content, inner = e, e.ContentType()
	case oid.DigestedData:
		d, err := r.DigestedData(nil)
		if err != nil {
			return err
		}
		o.add("digestedData with %s", d.Algorithm().Algorithm.Name())
		content, inner = d, d.ContentType()
	case oid.CompressedData:
		c, err := r.CompressedData()
		if err != nil {
			return err
		}
		o.add("compressedData")
		content, inner = c, c.ContentType()
	case oid.Data:
		o.add("data")
		return nil
	default:
		return fmt.Errorf("content type %s", r.ContentType().Name())
	}
	var err error
	o.content, err = io.ReadAll(content)
	finish()
	if err != nil || inner == oid.Data {
		return err
	}
	if readable(inner) {
		return m.layer(cms.NewContentReader(bytes.NewReader(o.content), inner, nil), o)
	}
	o.add("content of type %s", inner)
	return nil
}

func readable(o oid.OID) bool {
	switch o {
	case oid.SignedData, oid.EnvelopedData, oid.AuthEnvelopedData, oid.EncryptedData, oid.DigestedData, oid.CompressedData:
		return true
	}
	return false
}

func describeSigners(s *cms.SignedReader, o *opened) {
	var signers []string
	for _, r := range s.Signers() {
		state := "right"
		switch {
		case errors.Is(r.Err, cms.ErrNoCertificate):
			state = "no certificate"
		case errors.Is(r.Err, cms.ErrUnsupported):
			state = "not supported"
		case r.Err != nil:
			state = "wrong"
		}
		signers = append(signers, r.Algorithm+" "+state)
	}
	if len(signers) == 0 {
		o.add("signedData with %d certificates, nobody signs", len(s.Certificates()))
		return
	}
	o.add("signedData, %s", strings.Join(signers, ", "))
}

func recipientKinds(e *cms.EnvelopedReader) string {
	var kinds []string
	for _, ri := range e.Recipients() {
		kinds = append(kinds, ri.Kind)
	}
	return strings.Join(kinds, " ")
}
