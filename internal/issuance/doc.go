// Package issuance decides what a certificate looks like and signs exactly
// that: RFC 5280, the S/MIME Baseline Requirements §7.1, RFC 4262, RFC 9598,
// RFC 9881, RFC 9935.
//
// A [ProfileConfig] becomes a checked [Profile] once; [StandardProfiles] has
// those of the four types. [Prepare] builds the bytes to be signed from the
// profile, the issuer and the few things that a [Request] may choose, then
// reads them back with another parser, holds them against every rule of the
// profile, and lints them as anybody could (internal/lint); only bytes that
// pass become a [Prepared], and [Issuer.Issue] signs nothing else. A request
// for a certificate gives its public key and nothing more. Names come in as
// values that were validated: mailboxes by their proofs, an [Organization] and
// an [Individual] with their [Evidence]. The rest comes from the profile.
//
// Keys that are weak by themselves are refused here, by [CheckKey] and
// [Profile.CheckKey]; what is known of a key from elsewhere is
// internal/authority's to ask. That somebody holds a key that cannot sign is
// shown by [ChallengePossession] and its counterparts.
//
// [NewRoot] and [Issuer.IssueAuthority] make the authorities' own
// certificates, [Issuer.SignCRL] revocation lists.
//
// The package is pure: no clock, no database, no network. Order, durability
// and serial numbers that never repeat are internal/authority's.
package issuance
