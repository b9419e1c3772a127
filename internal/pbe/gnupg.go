package pbe

import (
	"bytes"
	"crypto/sha1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// gnupgStumbles tells whether GnuPG 2.2 derives another key than everybody
// else, and so takes the passphrase for a wrong one.
//
// QUIRK: where a sum of RFC 7292, Appendix B.2, step 6.C begins with a zero
// octet, it drops that octet instead of keeping 64. One salt in 128 does that;
// the writer of the form that GnuPG 2.2 reads draws another one.
func gnupgStumbles(alg oid.AlgorithmIdentifier, secret []byte) bool {
	in := cryptobyte.String(alg.Parameters)
	var s, salt cryptobyte.String
	var iterations int
	if alg.Algorithm != oid.PBEWithSHA1DES3 || !in.ReadASN1(&s, asn1.SEQUENCE) ||
		!s.ReadASN1(&salt, asn1.OCTET_STRING) || !s.ReadASN1Integer(&iterations) {
		return false
	}
	sha, _ := digestByID(oid.SHA1)
	a := pkcs12Key(sha, forKey, secret, salt, iterations, sha1.Size)
	b := fill(a, sha1.BlockSize)[:sha1.BlockSize]
	for _, part := range [][]byte{salt, secret} {
		i := bytes.Clone(fill(part, sha1.BlockSize))
		for ; len(i) > 0; i = i[sha1.BlockSize:] {
			addOne(i[:sha1.BlockSize], b)
			if i[0] == 0 {
				return true
			}
		}
	}
	return false
}
