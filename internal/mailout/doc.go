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
// It queues nothing, retries nothing and signs nothing. It speaks to a relay
// on this machine only: a code must not travel in the clear. The package
// catcher below is such a relay, for development.
package mailout
