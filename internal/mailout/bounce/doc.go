// Package bounce takes back mails of ours that did not arrive: a small SMTP
// receiver (RFC 5321) for the return paths that [Address] makes, each of which
// belongs to one mail.
//
// Only a report with the null sender (RFC 5321 §4.5.5) to a return path that
// exists is taken, and only a delivery status notification (RFC 3464) that says
// "failed" counts: vacation notes and warnings of delay come this way too. It
// relays nothing and answers nobody by mail.
//
// Start at [Open].
package bounce
