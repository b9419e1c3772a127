package cms

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/signature"
)

// Recipient is one who shall be able to read a message: the holder of a
// certificate ([NewRecipient]), those who know a passphrase
// ([NewPasswordRecipient]) or share a key ([NewKEKRecipient]).
type Recipient struct {
	certificate *cert.Certificate // nil for passphrases and shared keys
	name        string            // for errors
	// info encrypts the content key and returns the RecipientInfo.
	info func(rand io.Reader, key []byte) ([]byte, error)
}

// RecipientOptions choose how the content key gets to the holder of a
// certificate. The zero value is what every client reads.
type RecipientOptions struct {
	// OAEP uses RSAES-OAEP (RFC 3560) with this digest, in both its places,
	// instead of PKCS #1 v1.5 where the key is RSA. Apple Mail and older
	// clients cannot read it.
	OAEP crypto.Hash
	// OAEPLabel goes with OAEP; nearly everybody leaves it empty.
	OAEPLabel []byte
	// KeyIdentifier names the certificate by its subject key identifier
	// instead of issuer and serial number. Old Outlook needs the latter.
	KeyIdentifier bool
}

// NewRecipient makes a recipient of the holder of c: by RSA, by key agreement
// on P-256, P-384, P-521, X25519 or X448, or by ML-KEM. The error says why c cannot be
// encrypted to: its key usage, or its kind of key.
func NewRecipient(c *cert.Certificate, o *RecipientOptions) (*Recipient, error) {
	if o == nil {
		o = &RecipientOptions{}
	}
	if !c.CanEncrypt() {
		return nil, fmt.Errorf("the certificate of %s does not allow encryption to it (key usage %s)", c.Subject, c.KeyUsage)
	}
	if o.KeyIdentifier && len(c.SubjectKeyID) == 0 {
		return nil, fmt.Errorf("the certificate of %s has no subject key identifier", c.Subject)
	}
	r := &Recipient{certificate: c, name: c.Subject.String()}
	if pub, ok := partnerFor(c.PublicKey); ok {
		r.info = keyAgree(c, pub, o.KeyIdentifier)
		return r, nil
	}
	switch pub := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < signature.MinRSABits || bits > signature.MaxRSABits {
			return nil, fmt.Errorf("%w: RSA key of %d bits", ErrUnsupported, bits)
		}
		r.info = keyTransport(c, pub, o)
	case crypto.Encapsulator:
		r.info = encapsulate(c, pub, o.KeyIdentifier)
	default:
		return nil, fmt.Errorf("%w: encryption to a key of algorithm %s", ErrUnsupported, c.SPKIAlgorithm.Algorithm.Name())
	}
	return r, nil
}

// Certificate returns the recipient's certificate, nil for a passphrase or a
// shared key.
func (r *Recipient) Certificate() *cert.Certificate { return r.certificate }

// addRecipientIdentifier writes RecipientIdentifier (RFC 5652 §6.2.1).
func addRecipientIdentifier(b *cryptobyte.Builder, c *cert.Certificate, byKey bool) {
	if !byKey {
		addIssuerAndSerial(b, asn1.SEQUENCE, c)
		return
	}
	b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddBytes(c.SubjectKeyID) })
}

// RecipientKey opens messages: a private key with the certificate by which
// they are addressed to it, or a shared key, or a passphrase.
type RecipientKey struct {
	// Key is a crypto.Decrypter for RSA, an *ecdsa.PrivateKey,
	// *ecdh.PrivateKey, *cert.X448PrivateKey, [ECDHKey] or [X448Key] for key
	// agreement, and a crypto.Decapsulator for ML-KEM.
	Key         crypto.PrivateKey
	Certificate *cert.Certificate
	// KEK is a key-encryption key shared beforehand, and KEKID its name
	// (RFC 5652 §6.2.3).
	KEK, KEKID []byte
	// Passphrase opens what was encrypted with it (RFC 5652 §6.2.4).
	Passphrase []byte
}

// open decrypts the content key of size octets. When that fails, and when the
// key comes out with another size, a random one takes its place, so that the
// failure shows as late and in the same way as any other (RFC 3218 §2.3).
func (k *RecipientKey) open(rand io.Reader, ri *RecipientInfo, size int) ([]byte, error) {
	key := make([]byte, size)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, err
	}
	opened, err := ri.sealed.open(rand, k, size)
	if errors.Is(err, ErrUnsupported) {
		return nil, err
	}
	if err == nil && len(opened) == size {
		return opened, nil
	}
	return key, nil
}
