package certpath

import (
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// Names tells whether the certificate names the mailbox (RFC 8550 §3): in
// subjectAltName as rfc822Name or SmtpUTF8Mailbox (RFC 9598), or, when
// subjectAltName has neither, as emailAddress in the subject. A common name
// that looks like an address names nobody. Addresses that are not exactly one
// mailbox name nobody either, and hide no others.
func Names(c *cert.Certificate, m mailbox.Mailbox) bool {
	for _, named := range Mailboxes(c) {
		if named.Equal(m) {
			return true
		}
	}
	return false
}

// Mailboxes returns every mailbox that the certificate names, by the rules of
// [Names].
func Mailboxes(c *cert.Certificate) []mailbox.Mailbox {
	var list []mailbox.Mailbox
	// rfc822Name and emailAddress are IA5String, and SmtpUTF8Mailbox is for local parts beyond ASCII and no others: an ASCII address
	// in it would pass by software that holds rfc822Name alone to name constraints (RFC 9598 §3, §6).
	add := func(s string, ascii bool) {
		if ascii && !isASCII(s) {
			return
		}
		if m, err := mailbox.ParseUnquoted(s); err == nil && (ascii || !m.ASCII()) {
			list = append(list, m)
		}
	}
	san := false
	for _, n := range c.AltNames {
		switch {
		case n.Kind == cert.RFC822Name:
			san = true
			add(n.Text, true)
		case n.IsSmtpUTF8Mailbox():
			san = true
			add(n.Text, false)
		}
	}
	if _, present := c.Extension(oid.ExtSubjectAltName); san || present && c.AltNames == nil {
		return list // a list of names that could not be read hands nothing to the subject
	}
	for _, e := range c.Subject.Get(oid.EmailAddress) {
		add(e, true)
	}
	return list
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
