// Package smime protects mail and says what may be believed about protected mail: S/MIME 4.0 messages (RFC 8551), built on
// package cms, judged with package certpath.
//
// # Where to start
//
// [Sign], [Encrypt] and [Seal] (sign, then encrypt) turn a message into a protected one. [Open] goes the other way: it takes the
// layers off, one by one, and returns a [Message] with the [Verdict], the content, and what may be learned about the sender.
//
// [PlanFor] says beforehand who will be able to read a message and who not, and why; a [Profile] holds the choices of algorithms.
// [MakeReceipt] and [VerifyReceipt] are signed receipts (RFC 2634).
//
// # The header
//
// A signature covers the body alone. With a [HeaderPolicy] the header is copied inside, signed and perhaps hidden (RFC 9788); [Open]
// then shows the protected Subject, and names in [Verdict] every field that somebody has changed on the way.
//
// # What is believed
//
// A verdict of [Valid] means that a person may believe that the address in From wrote what [Message.Content] holds: every
// signature is right, its certificate leads to a trust anchor, is in force and names that address, and the signature covers all of
// the content. Everything less has another name. [Open] never reads a header of a signed or encrypted part as if it were one of
// the message, but for that Subject, and decrypts a layer only if it is all there is: ciphertext beside other parts stays closed, so that an attacker's
// text never meets the plaintext (the Efail attacks).
//
// # What it does not do
//
// Nothing here reads a clock, dials, or stores: time, certificates, keys and revocation lists are passed in, and what was learned
// is passed out. Security labels and the history of mailing lists (RFC 2634 §3, §4) are not looked at.
package smime

import "io"

// entityWriter writes one MIME entity, header and body. The layers of a message are entityWriters around each other.
type entityWriter func(w io.Writer) error
