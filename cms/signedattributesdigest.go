package cms

import (
	"fmt"

	"github.com/mailseal/mailseal/internal/signature"
)

// SignedAttrsDigest is the digest of the signed attributes, the octets of which
// the signature is made, by the signer's own digest algorithm. A signed receipt
// names a message by it (RFC 2634 §2.4, msgSigDigest).
func (si *SignerInfo) SignedAttrsDigest() ([]byte, error) {
	if !si.HasSignedAttrs {
		return nil, fmt.Errorf("%w: the signature has no signed attributes", ErrUnsupported)
	}
	der, err := sortedAttributes(si.signedAttrs)
	if err != nil {
		return nil, err
	}
	h, ok := signature.NewHash(si.DigestAlgorithm)
	if !ok {
		return nil, fmt.Errorf("%w: digest algorithm %s", ErrUnsupported, si.DigestAlgorithm.Algorithm.Name())
	}
	h.Write(der)
	return h.Sum(nil), nil
}
