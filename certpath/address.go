package certpath

import (
	"iter"
	"slices"

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
	for named := range mailboxes(c) {
		if named.Equal(m) {
			return true
		}
	}
	return false
}

// Mailboxes returns every mailbox that the certificate names, by the rules of
// [Names].
func Mailboxes(c *cert.Certificate) []mailbox.Mailbox { return slices.Collect(mailboxes(c)) }

func mailboxes(c *cert.Certificate) iter.Seq[mailbox.Mailbox] {
	// rfc822Name and emailAddress are IA5String, and SmtpUTF8Mailbox is for local parts beyond ASCII and no others: an ASCII address
	// in it would pass by software that holds rfc822Name alone to name constraints (RFC 9598 §3, §6).
	parse := func(s string, ascii bool) (m mailbox.Mailbox, ok bool) {
		if ascii && !isASCII(s) {
			return m, false
		}
		m, err := mailbox.ParseUnquoted(s)
		return m, err == nil && (ascii || !m.ASCII())
	}
	return func(yield func(mailbox.Mailbox) bool) {
		san := false
		for _, n := range c.AltNames {
			ascii := n.Kind == cert.RFC822Name
			if !ascii && !n.IsSmtpUTF8Mailbox() {
				continue
			}
			san = true
			if m, ok := parse(n.Text, ascii); ok && !yield(m) {
				return
			}
		}
		if _, present := c.Extension(oid.ExtSubjectAltName); san || present && c.AltNames == nil {
			return // a list of names that could not be read hands nothing to the subject
		}
		for _, e := range c.Subject.Get(oid.EmailAddress) {
			if m, ok := parse(e, true); ok && !yield(m) {
				return
			}
		}
	}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
