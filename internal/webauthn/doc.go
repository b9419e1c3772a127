// Package webauthn checks what an authenticator says about a passkey: W3C Web
// Authentication Level 3, §7.1 for a new one and §7.2 for a sign-in.
//
// A [Site] is the relying party: its domain and the origins of its pages. The
// browser gets [Creation] or [Request] with a challenge of the caller's, and what
// it answers goes to [Site.Register] or [Site.Authenticate]. The caller keeps the
// challenge, takes it once, and keeps the public key and the counter.
//
// Attestation is not asked for and not judged: who may sign in is decided by who
// was signed in when the passkey was made. The user is always verified (a PIN, a
// finger, a face), so that a passkey is two factors in one.
package webauthn
