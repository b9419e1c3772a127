package smime

import (
	"bytes"
	"crypto"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// capabilities are what somebody says about their programs (RFC 8551 §2.5.2), with the questions that a sender has.
type capabilities []cms.Capability

// capabilitiesOf are those of the last valid signature or, without any, those in the certificate (RFC 4262).
func capabilitiesOf(said []cms.Capability, c *cert.Certificate) capabilities {
	if len(said) > 0 {
		return said
	}
	return c.Capabilities()
}

func (c capabilities) has(o oid.OID) bool {
	return slices.ContainsFunc(c, func(a cms.Capability) bool { return a.Algorithm == o })
}

// ciphers are the content ciphers that are named, those that this package does not write among them: whoever names ciphers does not
// read others. None named says nothing.
func (c capabilities) ciphers() (known []cms.Cipher, named []string) {
	for _, a := range c {
		switch i := slices.Index(authenticatedFirst, cms.Cipher(a.Algorithm)); {
		case i >= 0:
			known = append(known, authenticatedFirst[i])
		case !isOldCipher(a.Algorithm):
			continue
		}
		named = append(named, a.Algorithm.Name())
	}
	return known, named
}

// isOldCipher knows the ciphers that capabilities of before AES name.
func isOldCipher(o oid.OID) bool {
	switch o {
	case oid.DES3CBC, oid.RC2CBC, oid.DESCBC, oid.RC4:
		return true
	}
	return false
}

// oaep is the digest with which RSAES-OAEP is read; 0 for none. SHA-1, which is what a capability without parameters means (RFC 4055
// §4.1), is not written.
func (c capabilities) oaep() crypto.Hash {
	for _, known := range []struct {
		digest oid.OID
		hash   crypto.Hash
	}{{oid.SHA256, crypto.SHA256}, {oid.SHA384, crypto.SHA384}, {oid.SHA512, crypto.SHA512}} {
		// By the digest's name alone: RFC 3560 §4 prints the parameters without the tags that RFC 4055 gives them.
		var name cryptobyte.Builder
		oid.Add(&name, known.digest)
		for _, a := range c {
			if a.Algorithm == oid.RSAESOAEP && bytes.Contains(a.Parameters, name.BytesOrPanic()) {
				return known.hash
			}
		}
	}
	return 0
}
