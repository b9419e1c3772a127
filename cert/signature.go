package cert

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// ErrSignature is wrapped when a signature was made by no key, or by another
// one than the issuer's.
var ErrSignature = errors.New("signature is wrong")

// ErrUnsupported is wrapped when a signature cannot be checked because its
// algorithm or the issuer's key is not known.
var ErrUnsupported = errors.New("signature algorithm not supported")

// CheckSignatureFrom checks that the key of parent made the signature on c.
// It looks at nothing else: not at names, validity or whether parent may
// issue. Errors wrap [ErrSignature] or [ErrUnsupported].
func (c *Certificate) CheckSignatureFrom(parent *Certificate) error {
	return parent.checkSignature(c.SignatureAlgorithm, c.RawTBS, c.Signature)
}

// CheckSignatureFrom checks that the key of issuer made the signature on the
// list, and nothing else. Errors are those of [Certificate.CheckSignatureFrom].
func (l *CRL) CheckSignatureFrom(issuer *Certificate) error {
	return issuer.checkSignature(l.SignatureAlgorithm, l.RawTBS, l.Signature)
}

// CheckSignature checks a signature by the certificate's key over message, in
// the forms that X.509 structures have (OCSP responses, for one).
func (c *Certificate) CheckSignature(alg oid.AlgorithmIdentifier, message, sig []byte) error {
	return c.checkSignature(alg, message, sig)
}

func (c *Certificate) checkSignature(alg oid.AlgorithmIdentifier, message, sig []byte) error {
	if err := keyAllows(c.SPKIAlgorithm, alg); err != nil {
		return err
	}
	if c.PublicKey == nil {
		return fmt.Errorf("%w: key of type %s", ErrUnsupported, c.SPKIAlgorithm.Algorithm.Name())
	}
	return verify(c.PublicKey, alg, message, sig)
}

// verify checks a signature and translates the error to this package's.
func verify(key crypto.PublicKey, alg oid.AlgorithmIdentifier, message, sig []byte) error {
	scheme, err := signature.Read(alg, oid.AlgorithmIdentifier{})
	if err == nil {
		err = scheme.Verify(key, message, sig)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, signature.ErrUnsupported):
		return fmt.Errorf("%w: %s", ErrUnsupported, signature.Name(alg, oid.AlgorithmIdentifier{}))
	}
	return fmt.Errorf("%w: %s", ErrSignature, scheme)
}

// AllowsSignature tells whether the certificate's key may make signatures of
// that algorithm at all: one that its own identifier binds to RSASSA-PSS makes
// no others, and one bound to RSAES-OAEP none (RFC 4055 §1.2). Errors wrap
// [ErrSignature] or [ErrUnsupported].
func (c *Certificate) AllowsSignature(alg oid.AlgorithmIdentifier) error {
	return keyAllows(c.SPKIAlgorithm, alg)
}

// keyAllows holds a key to the use that its own identifier allows (RFC 4055
// §1.2): a key bound to PSS makes no other signatures, one bound to PSS with
// parameters none with others, and one bound to OAEP none at all.
func keyAllows(key, sig oid.AlgorithmIdentifier) error {
	switch key.Algorithm {
	case oid.RSAESOAEP:
		return fmt.Errorf("%w: the key is for encryption only", ErrSignature)
	case oid.RSASSAPSS:
		if sig.Algorithm != oid.RSASSAPSS {
			return fmt.Errorf("%w: the key is for RSASSA-PSS only", ErrSignature)
		}
		if key.Parameters != nil && !bytes.Equal(key.Parameters, sig.Parameters) {
			return pssParametersAllow(key, sig)
		}
	}
	return nil
}

// pssParametersAllow compares the digests; the salt of the key's parameters is
// a minimum (RFC 4055 §3.3) and is read as one.
func pssParametersAllow(key, sig oid.AlgorithmIdentifier) error {
	bound, err := signature.Read(key, oid.AlgorithmIdentifier{})
	if err != nil {
		return fmt.Errorf("%w: parameters of the key: %w", ErrUnsupported, err)
	}
	used, err := signature.Read(sig, oid.AlgorithmIdentifier{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if used.Hash() != bound.Hash() || used.MaskHash() != bound.MaskHash() || used.SaltLength() < bound.SaltLength() {
		return fmt.Errorf("%w: parameters are not those that the key is bound to", ErrSignature)
	}
	return nil
}
