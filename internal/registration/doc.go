// Package registration is the one way to a certificate: every door (portal,
// API, command line) calls the same functions.
//
// An order asks for one certificate. [Service.Apply] opens it and mails a code
// to the mailbox; [Service.Prove] takes the code from the session that asked;
// [Service.Enroll] takes a PKCS #10 request, of which only the key is used,
// and gives the certificate. What the CA/Browser Forum's S/MIME Baseline
// Requirements ask of a mailbox validation (§3.2.2.2) lives in
// internal/validation, what a certificate looks like in internal/issuance, and
// how it is made without ever being lost in internal/authority.
//
// It does not speak HTTP, send mail or read a clock: these are passed in.
package registration
