// Package identity reads, writes and keeps a person's private keys with their
// certificates: PKCS #12 (RFC 7292, RFC 9879), PKCS #8 and its encrypted form
// (RFC 5958, RFC 8018), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915) keys, and their
// PEM forms (RFC 7468).
//
// Start with [Read], which takes any of these files, and with [OpenStore], the
// folder where a person's identities live. [EncodePKCS12] writes a file for
// other software to import.
//
// # What it accepts
//
// PKCS #12 in DER or BER as Windows, macOS, Java, OpenSSL, NSS and browsers write
// it, with every cipher that they use; weak ones are read and never written
// unless asked for ([PKCS12Options].Compatible). The MAC is checked before
// anything in the file is used. [Read] refuses a file without a MAC, for anybody
// may have changed it; [DecodePKCS12] reads it, and [PKCS12].Authenticated tells.
//
// # What it does not do
//
// It does not judge certificates (package certpath does), and it leaves reading
// the clock, the environment and passphrases to the caller.
package identity

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/pbe"
)

// Limits on input.
const (
	// MaxSize is the largest file in bytes that is read.
	MaxSize = 16 << 20
	// MaxItems is the largest number of keys and certificates in one file.
	MaxItems = 1000
	// MaxChain is the largest number of certificates in a chain.
	MaxChain = 16
)

var (
	// ErrPassphrase means a wrong passphrase, or that someone altered the file:
	// the two look the same.
	ErrPassphrase = pbe.ErrPassphrase
	// ErrMalformed means a file that is damaged or is not what it seemed to be.
	ErrMalformed = pbe.ErrMalformed
	// ErrUnsupported means an algorithm or a form that is not known here.
	ErrUnsupported = pbe.ErrUnsupported
	// ErrLimit means a file that is larger, or costlier to open, than allowed.
	ErrLimit = pbe.ErrLimit
	// ErrNoMAC means a PKCS #12 file in which nothing shows that nobody changed
	// it on its way.
	ErrNoMAC = errors.New("the file has no MAC: whoever had it on its way may have changed the keys and certificates in it")
	// ErrNoKey means that there is no private key in a file, or none that fits.
	ErrNoKey = errors.New("no private key")
)

// Identity is a private key with the certificate of its public key.
type Identity struct {
	// Key is *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey,
	// ed448.PrivateKey and slhdsa.PrivateKey (of circl), *mldsa.PrivateKey or,
	// for a key without its seed, another crypto.Signer for ML-DSA,
	// *ecdh.PrivateKey (X25519), *cert.X448PrivateKey, or a crypto.Decapsulator
	// for ML-KEM.
	Key crypto.PrivateKey
	// Certificate is nil when the file holds no certificate for the key.
	Certificate *cert.Certificate
	// Chain holds the issuers as far as the file has them, the certificate's
	// own issuer first; the last one may be a root. Nothing about it is proven.
	Chain []*cert.Certificate
	// Label is the name that the file gives the key (friendlyName). Whoever
	// wrote the file chose it: escape it before printing.
	Label string
}

// Public returns the public key of a private key, or nil when it has none.
func Public(key crypto.PrivateKey) crypto.PublicKey {
	switch k := key.(type) {
	case interface{ Public() crypto.PublicKey }:
		return k.Public()
	case crypto.Decapsulator:
		return k.Encapsulator()
	}
	return nil
}

// matches tells whether c certifies the public key pub.
func matches(c *cert.Certificate, pub crypto.PublicKey) bool {
	return c.PublicKey != nil && cert.SameKey(pub, c.PublicKey)
}

// Join finds, among certs, the certificate of the key and its issuers. Where
// several certificates fit, the one that ends last is taken. The error is
// [ErrNoKey] when none fits.
func Join(key crypto.PrivateKey, certs []*cert.Certificate) (*Identity, error) {
	all := JoinAll(key, "", certs)
	if all[0].Certificate == nil {
		return nil, fmt.Errorf("%w for any of the %d certificates", ErrNoKey, len(certs))
	}
	return all[0], nil
}

// JoinAll returns one identity for each certificate of the key, the one that ends
// last first, or one without a certificate. A renewed certificate may keep its
// key, and a message names the certificate that it was encrypted to.
func JoinAll(key crypto.PrivateKey, label string, certs []*cert.Certificate) []*Identity {
	pub := Public(key)
	var leaves []*cert.Certificate
	for _, c := range certs {
		if matches(c, pub) && !slices.ContainsFunc(leaves, c.Equal) {
			leaves = append(leaves, c)
		}
	}
	if len(leaves) == 0 {
		return []*Identity{{Key: key, Label: label}}
	}
	slices.SortStableFunc(leaves, func(a, b *cert.Certificate) int { return b.NotAfter.Compare(a.NotAfter) })
	all := make([]*Identity, len(leaves))
	for i, leaf := range leaves {
		all[i] = &Identity{Key: key, Certificate: leaf, Chain: chain(leaf, certs), Label: label}
	}
	return all
}

// chain orders the issuers of leaf. It goes by names and key identifiers
// (RFC 5280 §4.2.1.1): which path holds is for path validation to find out.
func chain(leaf *cert.Certificate, certs []*cert.Certificate) []*cert.Certificate {
	var out []*cert.Certificate
	for c := leaf; !c.SelfIssued() && len(out) < MaxChain; {
		i := slices.IndexFunc(certs, func(issuer *cert.Certificate) bool {
			return issued(issuer, c) && !issuer.Equal(leaf) && !slices.ContainsFunc(out, issuer.Equal)
		})
		if i < 0 {
			break
		}
		c = certs[i]
		out = append(out, c)
	}
	return out
}

func issued(issuer, c *cert.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, c.RawIssuer) {
		return false
	}
	return issuer.SubjectKeyID == nil || c.AuthorityKeyID == nil || bytes.Equal(issuer.SubjectKeyID, c.AuthorityKeyID)
}
