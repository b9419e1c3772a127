// Package signature makes and checks digital signatures as certificates and
// CMS messages name them: by an AlgorithmIdentifier, in CMS together with the
// digest algorithm of the SignerInfo.
//
// It covers RSA PKCS #1 v1.5 (RFC 3370, RFC 5754, RFC 9688), RSASSA-PSS
// (RFC 4056), ECDSA (RFC 5754, RFC 9688), Ed25519 and Ed448 (RFC 8410,
// RFC 8419), ML-DSA (RFC 9881, RFC 9882) and SLH-DSA (RFC 9909, RFC 9814). A signature that is correct says nothing about
// who made it; that is the business of certification path validation.
package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"

	"github.com/mailseal/mailseal/internal/oid"
)

var (
	// ErrInvalid: the signature is not one of the message by the key.
	ErrInvalid = errors.New("signature is wrong")
	// ErrUnsupported: the algorithm, its parameters or the key's kind is not
	// one that this package knows.
	ErrUnsupported = errors.New("signature algorithm is not supported")
	// ErrWholeMessage: the algorithm signs the message itself and cannot work
	// from its digest.
	ErrWholeMessage = errors.New("signature algorithm needs the whole message, not its digest")
)

// Sizes of RSA moduli in bits that are worked with. Below, the standard
// library refuses; above, one signature would take seconds to check.
const (
	MinRSABits = 1024
	MaxRSABits = 16384
)

type kind int

const (
	pkcs1 kind = iota + 1
	pss
	ecdsaKind
	ed25519Kind
	ed448Kind
	mldsaKind
	slhdsaKind
)

// pure reports whether the algorithm signs the message itself, not its digest.
func (k kind) pure() bool { return k >= ed25519Kind }

// Scheme is one signature algorithm with all its parameters.
type Scheme struct {
	// Algorithm is the signatureAlgorithm of certificates and SignerInfos.
	Algorithm oid.AlgorithmIdentifier
	// Digest is the digestAlgorithm that goes with it in a SignerInfo.
	Digest oid.AlgorithmIdentifier

	kind   kind
	hash   crypto.Hash // of the message; zero for those that sign it whole
	mask   crypto.Hash // PSS
	salt   int         // PSS
	mldsa  mldsa.Parameters
	slhdsa slhdsa.ID
}

// Hash returns the digest that the scheme applies to a message before
// signing, or 0 when it signs the message itself.
func (s Scheme) Hash() crypto.Hash { return s.hash }

// Read resolves the identifiers found in a certificate (digest zero) or a
// SignerInfo. A SignerInfo may name the bare key algorithm and leave the
// digest to digestAlgorithm (RFC 3370 §3.2); where the signature algorithm
// names a digest, both must be the same (RFC 8933 §3.1).
func Read(alg, digest oid.AlgorithmIdentifier) (Scheme, error) {
	s := Scheme{Algorithm: alg, Digest: digest}
	if known, ok := byAlgorithm(alg.Algorithm); ok {
		s.kind, s.hash, s.mldsa, s.slhdsa = known.kind, known.hash, known.mldsa, known.slhdsa
	} else {
		return s, fmt.Errorf("%w: %s", ErrUnsupported, alg.Algorithm.Name())
	}
	switch s.kind {
	case pss:
		if err := s.readPSS(alg.Parameters); err != nil {
			return s, err
		}
	case pkcs1:
		if !alg.NoParameters() {
			return s, fmt.Errorf("%w: parameters with %s", ErrUnsupported, alg.Algorithm.Name())
		}
	default:
		// RFC 5754 §3.2, RFC 8410 §3, RFC 9882 §3: absent; NULL is met with
		// ECDSA in old mail and changes nothing.
		if alg.Parameters != nil && !(s.kind == ecdsaKind && alg.NoParameters()) {
			return s, fmt.Errorf("%w: parameters with %s", ErrUnsupported, alg.Algorithm.Name())
		}
	}
	return s, s.bindDigest()
}

// bindDigest joins the scheme's own digest with the SignerInfo's.
func (s *Scheme) bindDigest() error {
	if s.Digest.Algorithm == "" {
		if s.kind == pkcs1 && s.hash == 0 {
			return fmt.Errorf("%w: %s without a digest algorithm", ErrUnsupported, s.Algorithm.Algorithm.Name())
		}
		return nil
	}
	if s.kind.pure() {
		return nil // signs the attributes themselves; the digest is the content's
	}
	hash, ok := Hash(s.Digest)
	if !ok {
		return fmt.Errorf("%w: digest %s", ErrUnsupported, s.Digest.Algorithm.Name())
	}
	if s.hash == 0 {
		s.hash = hash
	}
	if s.hash != hash {
		return fmt.Errorf("%w: digest algorithm %s does not belong to signature algorithm %s",
			ErrInvalid, s.Digest.Algorithm.Name(), s.Algorithm.Algorithm.Name())
	}
	return nil
}

// Verify checks sig over message with pub. The error is ErrInvalid or
// ErrUnsupported, wrapped.
func (s Scheme) Verify(pub crypto.PublicKey, message, sig []byte) error {
	if s.kind.pure() {
		return s.verifyPure(pub, message, sig)
	}
	h := s.hash.New()
	h.Write(message)
	return s.VerifyDigest(pub, h.Sum(nil), sig)
}

func (s Scheme) verifyPure(pub crypto.PublicKey, message, sig []byte) error {
	good := false
	switch key := pub.(type) {
	case ed25519.PublicKey:
		if s.kind != ed25519Kind || len(key) != ed25519.PublicKeySize {
			return s.mismatch(pub)
		}
		good = ed25519.Verify(key, message, sig)
	case ed448.PublicKey:
		if s.kind != ed448Kind || len(key) != ed448.PublicKeySize {
			return s.mismatch(pub)
		}
		good = ed448.Verify(key, message, sig, "")
	case *mldsa.PublicKey:
		if s.kind != mldsaKind || key.Parameters() != s.mldsa {
			return s.mismatch(pub)
		}
		good = mldsa.Verify(key, message, sig, nil) == nil
	case slhdsa.PublicKey:
		if s.kind != slhdsaKind || key.ID != s.slhdsa {
			return s.mismatch(pub)
		}
		good = slhdsa.Verify(&key, slhdsa.NewMessage(message), sig, nil)
	default:
		return s.mismatch(pub)
	}
	if !good {
		return ErrInvalid
	}
	return nil
}

// VerifyDigest is Verify for a message of which only the digest by s.Hash is
// at hand; ErrWholeMessage when the scheme cannot do that.
func (s Scheme) VerifyDigest(pub crypto.PublicKey, sum, sig []byte) error {
	switch s.kind {
	case pkcs1, pss:
		key, ok := pub.(*rsa.PublicKey)
		if !ok {
			return s.mismatch(pub)
		}
		if bits := key.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return fmt.Errorf("%w: RSA key of %d bits", ErrUnsupported, bits)
		}
		var err error
		switch {
		case s.kind == pkcs1:
			err = rsa.VerifyPKCS1v15(key, s.hash, sum, sig)
		case s.mask != s.hash:
			if !verifyPSS(key, s.hash, s.mask, s.salt, sum, sig) {
				return ErrInvalid
			}
		default:
			err = rsa.VerifyPSS(key, s.hash, sum, sig, &rsa.PSSOptions{SaltLength: s.salt})
		}
		if err != nil {
			return ErrInvalid
		}
		return nil
	case ecdsaKind:
		key, ok := pub.(*ecdsa.PublicKey)
		if !ok {
			return s.mismatch(pub)
		}
		if !ecdsa.VerifyASN1(key, sum, sig) {
			return ErrInvalid
		}
		return nil
	}
	return ErrWholeMessage
}

func (s Scheme) mismatch(pub crypto.PublicKey) error {
	if pub == nil {
		return fmt.Errorf("%w: key of an unknown kind", ErrUnsupported)
	}
	return fmt.Errorf("%w: %s does not go with a key of type %T", ErrInvalid, s, pub)
}

// Sign signs message with key, whose public half [For] has seen.
func (s Scheme) Sign(rand io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
	if s.hash == 0 {
		return key.Sign(rand, message, crypto.Hash(0))
	}
	if whole, ok := key.(crypto.MessageSigner); ok { // it wants to see what it signs
		return whole.SignMessage(rand, message, s.signerOpts())
	}
	h := s.hash.New()
	h.Write(message)
	return s.SignDigest(rand, key, h.Sum(nil))
}

// SignDigest is Sign for a message of which only the digest by s.Hash is at
// hand; ErrWholeMessage when the scheme cannot do that.
func (s Scheme) SignDigest(rand io.Reader, key crypto.Signer, sum []byte) ([]byte, error) {
	switch s.kind {
	case pkcs1, ecdsaKind, pss:
		return key.Sign(rand, sum, s.signerOpts())
	}
	return nil, ErrWholeMessage
}

func (s Scheme) signerOpts() crypto.SignerOpts {
	if s.kind == pss {
		return &rsa.PSSOptions{SaltLength: s.salt, Hash: s.hash}
	}
	return s.hash
}

// Verify is [Read] and [Scheme.Verify] in one call.
func Verify(pub crypto.PublicKey, alg, digest oid.AlgorithmIdentifier, message, sig []byte) error {
	s, err := Read(alg, digest)
	if err != nil {
		return err
	}
	return s.Verify(pub, message, sig)
}

// Weak reports whether the signature rests on MD5 or SHA-1, for which two
// messages with one signature can be made.
func (s Scheme) Weak() bool {
	return s.hash == crypto.MD5 || s.hash == crypto.SHA1 || s.hash == crypto.MD5SHA1 ||
		s.Digest.Algorithm == oid.MD5 || s.Digest.Algorithm == oid.SHA1
}

// String names the scheme for people: "RSA-PSS with SHA-256".
func (s Scheme) String() string {
	switch s.kind {
	case pkcs1:
		return "RSA with " + s.hash.String()
	case pss:
		return "RSA-PSS with " + s.hash.String()
	case ecdsaKind:
		return "ECDSA with " + s.hash.String()
	}
	return s.Algorithm.Algorithm.Name()
}

// Name names identifiers for people, also those that Read does not support.
func Name(alg, digest oid.AlgorithmIdentifier) string {
	if s, err := Read(alg, digest); err == nil {
		return s.String()
	}
	return alg.Algorithm.Name()
}
