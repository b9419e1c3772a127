// Package issuance decides what a certificate looks like and signs exactly
// that: RFC 5280, the S/MIME Baseline Requirements §7.1, RFC 4262, RFC 9598.
//
// A [ProfileConfig] becomes a checked [Profile] once. [Prepare] builds the
// bytes to be signed from the profile, the issuer and the few things that a
// [Request] may choose, then reads them back with another parser and holds
// them against every rule of the profile; only bytes that pass become a
// [Prepared], and [Issuer.Issue] signs nothing else. A request for a
// certificate gives its public key and nothing more: names come from proofs,
// the rest from the profile.
//
// [NewRoot] and [Issuer.IssueAuthority] make the authorities' own
// certificates, [Issuer.CRL] revocation lists.
//
// The package is pure: no clock, no database, no network. Order, durability
// and serial numbers that never repeat are internal/authority's.
package issuance
