// Package recovery keeps encryption keys for people who lose theirs, so that old
// mail stays readable, and lets nobody have one alone.
//
// # What is kept
//
// [Quorum.Seal] encrypts a private key (PKCS #8) under a random key of its own
// into a CMS AuthEnvelopedData (RFC 5083). That random key is split by Shamir's
// scheme among the recovery officers of the organization, m of n, and each share
// is encrypted to the certificate of one officer. A browser that makes a key can
// do the same. The store never has anything that opens a key, nor has the server.
// Keys that sign are refused: two people could sign as a third.
//
// # Officers
//
// [Service.SetOfficers] proposes officers; they hold shares when each of them has
// shown to have the private key and, where there were officers before, enough of
// those agree. Keys that are escrowed already are handed over by the officers
// before: each splits their own share among the next ones, so that nobody sees a
// key in between.
//
// # Release
//
// Somebody requests a person's keys ([Service.Request]), with a reason and a
// certificate. Officers fetch a [Task], open their shares on their own machine
// with [Task.Answer], and return them encrypted to that certificate: the server
// passes them on and cannot read them. With enough of them, none given by who
// asked, by whose keys they are, or by who is to get them, [Service.Release]
// enters the release in the audit log, tells the owner by mail, and gives out a
// [Bundle], which [Bundle.Open] opens with the private key of that certificate.
// Nothing is revoked, and there is no other way to a key.
package recovery
