package signature

import (
	"crypto"
	_ "crypto/md5"  // to read old mail
	_ "crypto/sha1" // to read old mail
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"

	"crypto/mldsa"

	"github.com/cloudflare/circl/sign/slhdsa"

	"github.com/mailseal/mailseal/internal/oid"
)

type algorithm struct {
	kind   kind
	hash   crypto.Hash
	mldsa  mldsa.Parameters
	slhdsa slhdsa.ID
}

func byAlgorithm(o oid.OID) (algorithm, bool) {
	switch o {
	case oid.RSAEncryption:
		return algorithm{kind: pkcs1}, true // RFC 3370 §3.2: the digest stands in digestAlgorithm
	case oid.RSASSAPSS:
		return algorithm{kind: pss}, true
	case oid.Ed25519:
		return algorithm{kind: ed25519Kind}, true
	case oid.MLDSA44:
		return algorithm{kind: mldsaKind, mldsa: mldsa.MLDSA44()}, true
	case oid.MLDSA65:
		return algorithm{kind: mldsaKind, mldsa: mldsa.MLDSA65()}, true
	case oid.MLDSA87:
		return algorithm{kind: mldsaKind, mldsa: mldsa.MLDSA87()}, true
	case oid.Ed448:
		return algorithm{kind: ed448Kind}, true
	}
	if id, ok := SLHDSA(o); ok {
		return algorithm{kind: slhdsaKind, slhdsa: id}, true
	}
	for _, p := range pairs {
		if p.oid == o {
			return algorithm{kind: p.kind, hash: p.hash}, true
		}
	}
	return algorithm{}, false
}

// pairs lists the identifiers that join a digest and a key algorithm; the
// first of each (kind, hash) is the one that is written.
var pairs = [...]struct {
	oid  oid.OID
	kind kind
	hash crypto.Hash
}{
	{oid.SHA256WithRSA, pkcs1, crypto.SHA256},
	{oid.SHA384WithRSA, pkcs1, crypto.SHA384},
	{oid.SHA512WithRSA, pkcs1, crypto.SHA512},
	{oid.SHA224WithRSA, pkcs1, crypto.SHA224},
	{oid.SHA3_224WithRSA, pkcs1, crypto.SHA3_224},
	{oid.SHA3_256WithRSA, pkcs1, crypto.SHA3_256},
	{oid.SHA3_384WithRSA, pkcs1, crypto.SHA3_384},
	{oid.SHA3_512WithRSA, pkcs1, crypto.SHA3_512},
	{oid.SHA1WithRSA, pkcs1, crypto.SHA1},
	{oid.OIWSHA1WithRSA, pkcs1, crypto.SHA1},
	{oid.MD5WithRSA, pkcs1, crypto.MD5},
	{oid.ECDSAWithSHA256, ecdsaKind, crypto.SHA256},
	{oid.ECDSAWithSHA384, ecdsaKind, crypto.SHA384},
	{oid.ECDSAWithSHA512, ecdsaKind, crypto.SHA512},
	{oid.ECDSAWithSHA224, ecdsaKind, crypto.SHA224},
	{oid.ECDSAWithSHA3_224, ecdsaKind, crypto.SHA3_224},
	{oid.ECDSAWithSHA3_256, ecdsaKind, crypto.SHA3_256},
	{oid.ECDSAWithSHA3_384, ecdsaKind, crypto.SHA3_384},
	{oid.ECDSAWithSHA3_512, ecdsaKind, crypto.SHA3_512},
	{oid.ECDSAWithSHA1, ecdsaKind, crypto.SHA1},
}

// slhdsaSets are the parameter sets of RFC 9814 §4, with the digest that goes
// with each for the content.
var slhdsaSets = [...]struct {
	oid    oid.OID
	id     slhdsa.ID
	digest oid.OID
}{
	{oid.SLHDSASHA2_128s, slhdsa.SHA2_128s, oid.SHA256},
	{oid.SLHDSASHA2_128f, slhdsa.SHA2_128f, oid.SHA256},
	{oid.SLHDSASHA2_192s, slhdsa.SHA2_192s, oid.SHA512},
	{oid.SLHDSASHA2_192f, slhdsa.SHA2_192f, oid.SHA512},
	{oid.SLHDSASHA2_256s, slhdsa.SHA2_256s, oid.SHA512},
	{oid.SLHDSASHA2_256f, slhdsa.SHA2_256f, oid.SHA512},
	{oid.SLHDSASHAKE_128s, slhdsa.SHAKE_128s, oid.SHAKE128},
	{oid.SLHDSASHAKE_128f, slhdsa.SHAKE_128f, oid.SHAKE128},
	{oid.SLHDSASHAKE_192s, slhdsa.SHAKE_192s, oid.SHAKE256},
	{oid.SLHDSASHAKE_192f, slhdsa.SHAKE_192f, oid.SHAKE256},
	{oid.SLHDSASHAKE_256s, slhdsa.SHAKE_256s, oid.SHAKE256},
	{oid.SLHDSASHAKE_256f, slhdsa.SHAKE_256f, oid.SHAKE256},
}

// SLHDSA returns the parameter set that an identifier names.
func SLHDSA(o oid.OID) (slhdsa.ID, bool) {
	for _, p := range slhdsaSets {
		if p.oid == o {
			return p.id, true
		}
	}
	return 0, false
}

// SLHDSAOID returns the identifier of a parameter set, empty for none.
func SLHDSAOID(id slhdsa.ID) oid.OID {
	for _, p := range slhdsaSets {
		if p.id == id {
			return p.oid
		}
	}
	return ""
}

// digests maps identifiers to the hash functions of the standard library. The
// SHAKEs are none of these; see NewHash.
var digests = [...]struct {
	oid  oid.OID
	hash crypto.Hash
}{
	{oid.SHA256, crypto.SHA256},
	{oid.SHA384, crypto.SHA384},
	{oid.SHA512, crypto.SHA512},
	{oid.SHA224, crypto.SHA224},
	{oid.SHA3_224, crypto.SHA3_224},
	{oid.SHA3_256, crypto.SHA3_256},
	{oid.SHA3_384, crypto.SHA3_384},
	{oid.SHA3_512, crypto.SHA3_512},
	{oid.SHA1, crypto.SHA1},
	{oid.MD5, crypto.MD5},
}

// Hash returns the hash function of a digest algorithm. Parameters must be
// absent or NULL (RFC 5754 §2).
func Hash(a oid.AlgorithmIdentifier) (crypto.Hash, bool) {
	for _, d := range digests {
		if d.oid == a.Algorithm {
			return d.hash, a.NoParameters()
		}
	}
	return 0, false
}

// DigestAlgorithm returns the identifier of h with absent parameters, as
// RFC 5754 §2 has it written.
func DigestAlgorithm(h crypto.Hash) (oid.AlgorithmIdentifier, bool) {
	for _, d := range digests {
		if d.hash == h {
			return oid.AlgorithmIdentifier{Algorithm: d.oid}, true
		}
	}
	return oid.AlgorithmIdentifier{}, false
}
