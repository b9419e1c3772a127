package smime

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/internal/entity"
)

// HeaderPolicy says whether the header of a message is protected together with its body, and what of it is hidden (RFC 9788 §3).
type HeaderPolicy string

const (
	// HeadersUnprotected leaves the header outside alone, where everybody on the way can read and change it.
	HeadersUnprotected HeaderPolicy = ""
	// HeadersVisible copies the header inside, where it is signed, and hides nothing: hcp_no_confidentiality of RFC 9788 §3.2.3. Every
	// mail program shows such a message as it shows others.
	HeadersVisible HeaderPolicy = "visible"
	// HeadersBaseline is hcp_baseline of RFC 9788 §3.2.1: the Subject of an encrypted message is hidden, Comments and Keywords are
	// left out. Programs that do not know RFC 9788 show "[...]", and the Subject above the text. A message that is only signed hides
	// nothing.
	HeadersBaseline HeaderPolicy = "baseline"
)

// hiddenSubject is what stands outside in place of the Subject (RFC 9788 §3.2.1).
const hiddenSubject = "[...]"

// outside is what the policy makes of a field for the header outside of the encryption; false if nothing.
func (p HeaderPolicy) outside(f entity.Field) (entity.Field, bool) {
	switch {
	case p != HeadersBaseline:
	case f.Is("Subject"):
		return entity.Field{Name: f.Name, Raw: []byte(f.Name + ": " + hiddenSubject + "\r\n")}, true
	case f.Is("Comments"), f.Is("Keywords"):
		return f, false
	}
	return f, true
}

func (p HeaderPolicy) check() error {
	switch p {
	case HeadersUnprotected, HeadersVisible, HeadersBaseline:
		return nil
	}
	return fmt.Errorf("smime: there is no header policy %q", string(p))
}

// protect copies the header into the entity that is to be signed or encrypted (RFC 9788 §5.2.1).
func (d *draft) protect(p HeaderPolicy, encrypted bool, decode func(string) string) error {
	if err := p.check(); err != nil || p == HeadersUnprotected {
		return err
	}
	c := classify(&entity.Entity{Header: entity.Header{Fields: d.inner}})
	if c.form == formMultipartSigned || c.form == formPKCS7 || c.form == formNamed && contentTypeOf(d.body, c) != "" {
		return errors.New("smime: the message is signed or encrypted already: its header is protected inside of that or not at all (RFC 9788 §4.1)")
	}
	var copies, described, outer []entity.Field
	hidden := false
	for _, f := range d.outer {
		if isTrace(f) {
			outer = append(outer, f)
			continue
		}
		f = f.SevenBit()
		copies = append(copies, f)
		if encrypted {
			shown, ok := p.outside(f)
			hidden = hidden || isShown(f) && string(shown.Raw) != string(f.Raw)
			if f = shown; !ok {
				continue
			}
			described = append(described, outerField(f))
		}
		outer = append(outer, f)
	}
	if encrypted {
		d.main = &mainBody{}
	}
	if hidden {
		d.main.legacy = legacyDisplay(copies, p, decode)
	}
	content := make([]entity.Field, len(d.inner))
	for i, f := range d.inner {
		if f.Is("Content-Type") {
			f = f.WithParameter("hp", hpMode(encrypted))
		}
		content[i] = f
	}
	d.outer, d.inner = outer, append(append(copies, content...), described...)
	return nil
}

// hpMode is the value of the hp parameter (RFC 9788 §2.1.1).
func hpMode(encrypted bool) string {
	if encrypted {
		return hpCipher
	}
	return hpClear
}

const (
	hpClear  = "clear"
	hpCipher = "cipher"
	// hpOuter is the field that tells, inside, what the sender wrote outside (RFC 9788 §2.2).
	hpOuter = "HP-Outer"
	// hpLegacy marks a text that begins with a copy of hidden fields (RFC 9788 §2.1.2).
	hpLegacy = "hp-legacy-display"
)

func outerField(f entity.Field) entity.Field {
	return entity.Field{Name: hpOuter, Raw: append([]byte(hpOuter+": "), f.Raw...)}
}

// isTrace tells whether a field was written by those who carried the message. It is about one journey, and no word of the author.
func isTrace(f entity.Field) bool {
	for _, name := range []string{
		"Received", "Return-Path", "Delivered-To", "X-Original-To", "Envelope-To", "Received-SPF", "Authentication-Results",
		"DKIM-Signature", "DomainKey-Signature",
	} {
		if f.Is(name) {
			return true
		}
	}
	return strings.HasPrefix(strings.ToLower(f.Name), "arc-")
}

// isShown tells whether mail programs show the field to people (RFC 9787 §1.1.2).
func isShown(f entity.Field) bool {
	for _, name := range shownFields {
		if f.Is(name) {
			return true
		}
	}
	return false
}

var shownFields = []string{"Subject", "From", "To", "Cc", "Date", "Reply-To", "Followup-To", "Sender"}
