// Package auth lets people and programs in, and says what they may do.
//
// # Accounts
//
// An account administers. The first one is claimed with a one-time code from the
// server's console, the others by invitation: [Service.FirstCode],
// [Service.ClaimFirstAdministrator], [Service.Invite]. It signs in by password
// ([Service.SignIn], and [Service.SecondFactor] where it has an authenticator app),
// by passkey, by certificate, or by a provider of OpenID Connect. [Service.Session]
// is who a browser is. Roles that the authority depends on rest in a session that a
// password alone opened: see [Session.Withheld].
//
// # People
//
// Whoever holds a mailbox signs in as that person, by a mailed code
// ([Service.AskCode], [Service.EnterCode]), the provider, or a certificate that they
// got here, and sees what is their own.
//
// # Programs
//
// A token acts for its account, within its scopes and within what the account may
// at that moment: [Service.NewToken], [Service.Authenticate].
//
// # Actors
//
// All of them are an [Actor], which the rooms above ask what it may ([Actor.Has],
// [Actor.MayRead], [Actor.Self]) and whom the audit log names.
//
// Passwords are kept as Argon2id (RFC 9106), tokens and codes as SHA-256. The
// package renders no page, sets no cookie and sends no mail; the portal and the
// queue of mails do.
package auth
