// Package auth lets administrators in: the first one by a one-time code from
// the server's console, everybody later by address and password. Passwords are
// kept as Argon2id (RFC 9106), tokens and codes as SHA-256.
//
// Start at [Service.FirstCode], [Service.ClaimFirstAdministrator],
// [Service.SignIn] and [Service.Session]. It renders no page and sets no
// cookie; the portal does.
package auth
