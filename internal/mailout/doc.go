// Package mailout writes the mails that mailseal itself sends (codes,
// notices) and submits each of them to one relay by SMTP.
//
// Start with [Relay] and its Send method. [Mail.Compose] gives the bytes
// without sending them.
//
// The mails are RFC 5322 messages in plain text: MIME (RFC 2045), encoded
// words in the subject (RFC 2047), Auto-Submitted (RFC 3834) so that vacation
// robots keep quiet. Recipients are [mailbox.Mailbox] values, which cannot hold
// a line break, and every other header value is checked, so that nobody can
// smuggle in a header or a second recipient. Submission is RFC 5321, with
// SMTPUTF8 (RFC 6531) when an address needs it.
//
// A relay elsewhere is spoken to over TLS alone (RFC 3207, RFC 8314), because the
// mails carry codes, and with a password (RFC 4954) where it wants one. The
// package queues nothing, retries nothing and signs nothing. The package catcher
// below is a relay for development, the package bounce takes back what did not
// arrive.
package mailout
