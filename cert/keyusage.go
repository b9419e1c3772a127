package cert

import (
	"strings"

	"github.com/mailseal/mailseal/internal/oid"
)

// KeyUsage is a set of bits of RFC 5280 §4.2.1.3.
type KeyUsage uint16

// The bits, in the order of the standard.
const (
	KeyUsageDigitalSignature  KeyUsage = 1 << iota
	KeyUsageContentCommitment          // once called nonRepudiation
	KeyUsageKeyEncipherment
	KeyUsageDataEncipherment
	KeyUsageKeyAgreement
	KeyUsageCertSign
	KeyUsageCRLSign
	KeyUsageEncipherOnly
	KeyUsageDecipherOnly
)

var keyUsageNames = [...]string{
	"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
	"keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
}

// String lists the bits by their names in the standard.
func (u KeyUsage) String() string {
	var names []string
	for i, name := range keyUsageNames {
		if u&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Allows tells whether the certificate may be used for any of these usages. A
// certificate without the extension is not restricted by it (RFC 5280
// §4.2.1.3; for signatures RFC 8550 §4.4.2 says so in words).
func (c *Certificate) Allows(anyOf KeyUsage) bool {
	return !c.HasKeyUsage || c.KeyUsage&anyOf != 0
}

// CanSign tells whether key and keyUsage allow signatures on mail: the key is
// made for it, and digitalSignature or nonRepudiation is set or the extension
// absent (RFC 8550 §4.4.2).
func (c *Certificate) CanSign() bool {
	switch c.SPKIAlgorithm.Algorithm {
	case oid.X25519, oid.X448, oid.MLKEM512, oid.MLKEM768, oid.MLKEM1024, oid.RSAESOAEP:
		return false
	}
	return c.Allows(KeyUsageDigitalSignature | KeyUsageContentCommitment)
}

// CanEncrypt tells whether key and keyUsage allow to encrypt a message key to
// this certificate: keyEncipherment for RSA and ML-KEM (RFC 8551 §2.3, RFC 9935
// §5), keyAgreement for elliptic curves (RFC 5480 §3, RFC 8410 §5), or the
// extension absent. Signature-only and unknown keys cannot.
func (c *Certificate) CanEncrypt() bool {
	switch c.SPKIAlgorithm.Algorithm {
	case oid.RSAEncryption, oid.RSAESOAEP, oid.MLKEM512, oid.MLKEM768, oid.MLKEM1024:
		return c.Allows(KeyUsageKeyEncipherment)
	case oid.ECPublicKey, oid.X25519, oid.X448:
		// decipherOnly forbids the sender's half of the agreement.
		return c.Allows(KeyUsageKeyAgreement) && (!c.HasKeyUsage || c.KeyUsage&KeyUsageDecipherOnly == 0)
	}
	return false
}
