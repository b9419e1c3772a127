package issuance

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// A key that signs proves by its signature on the certification request that
// its holder sent it (RFC 2986 §3). A key that only encrypts cannot: its holder
// shows that they can read what is encrypted to it (RFC 4211 §4.3, the direct
// method of RFC 9810 §5.2.8).

// possessionLabel begins what is encrypted, so that nobody's answer decrypts
// anything else for the one who asks.
const possessionLabel = "mailseal: proof of possession of a private key\n"

// Limits of a challenge.
const (
	MaxPossessionContext  = 200     // octets: the name of an order
	maxPossessionEnvelope = 1 << 14 // octets: an ML-KEM-1024 ciphertext and a little
	possessionNonceSize   = 32
)

// ErrPossession: the answer is not that of the key's holder, or the envelope is
// no challenge.
var ErrPossession = errors.New("possession of the private key is not proven")

// PossessionChallenge is what goes to the holder of an encryption key, and what
// is kept to judge the answer.
type PossessionChallenge struct {
	Envelope   []byte // AuthEnvelopedData (RFC 5083) in DER, addressed by subjectKeyIdentifier
	AnswerHash []byte // SHA-256 of the answer
}

// ChallengePossession makes a challenge for a key. The context, an order's
// name, is bound into the answer: it is of no use elsewhere.
func ChallengePossession(random io.Reader, key crypto.PublicKey, context string) (*PossessionChallenge, error) {
	if context == "" || len(context) > MaxPossessionContext {
		return nil, fmt.Errorf("possession: a context of %d octets; 1 to %d", len(context), MaxPossessionContext)
	}
	if random == nil {
		random = rand.Reader
	}
	c, err := standIn(key)
	if err != nil {
		return nil, fmt.Errorf("possession: %w", err)
	}
	recipient, err := cms.NewRecipient(c, &cms.RecipientOptions{KeyIdentifier: true})
	if err != nil {
		return nil, fmt.Errorf("possession: %w", err)
	}
	nonce := make([]byte, possessionNonceSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, fmt.Errorf("possession: randomness: %w", err)
	}
	var out bytes.Buffer
	w, err := cms.Encrypt(&out, []*cms.Recipient{recipient}, &cms.EncryptOptions{Cipher: cms.AES256GCM, Rand: random})
	if err == nil {
		_, err = w.Write(append([]byte(possessionLabel+context+"\n"), nonce...))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("possession: %w", err)
	}
	hash := sha256.Sum256(possessionAnswer(c.RawSPKI, context, nonce))
	return &PossessionChallenge{Envelope: out.Bytes(), AnswerHash: hash[:]}, nil
}

// AnswerPossession opens a challenge with the private key. It refuses what is
// not a challenge of that context.
func AnswerPossession(envelope []byte, public crypto.PublicKey, private crypto.PrivateKey, context string) ([]byte, error) {
	if len(envelope) > maxPossessionEnvelope {
		return nil, fmt.Errorf("%w: an envelope of %d octets", ErrPossession, len(envelope))
	}
	c, err := standIn(public)
	if err != nil {
		return nil, fmt.Errorf("possession: %w", err)
	}
	r, err := cms.NewReader(bytes.NewReader(envelope), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPossession, err)
	}
	e, err := r.EnvelopedData([]*cms.RecipientKey{{Key: private, Certificate: c}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPossession, err)
	}
	plain, err := io.ReadAll(e)
	if err != nil || !e.Authenticated() {
		return nil, fmt.Errorf("%w: the challenge cannot be read", ErrPossession)
	}
	nonce, ours := bytes.CutPrefix(plain, []byte(possessionLabel+context+"\n"))
	if !ours || len(nonce) != possessionNonceSize {
		return nil, fmt.Errorf("%w: what was encrypted is no challenge for %q", ErrPossession, context)
	}
	return possessionAnswer(c.RawSPKI, context, nonce), nil
}

// CheckPossession judges an answer.
func CheckPossession(answerHash, answer []byte) error {
	hash := sha256.Sum256(answer)
	if subtle.ConstantTimeCompare(hash[:], answerHash) != 1 {
		return ErrPossession
	}
	return nil
}

// possessionAnswer binds key, context and nonce. The nonce itself stays with
// those who could read it.
func possessionAnswer(spki []byte, context string, nonce []byte) []byte {
	h := sha256.New()
	h.Write([]byte(possessionLabel))
	for _, part := range [][]byte{spki, []byte(context), nonce} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// standIn is a certificate that names nobody, signed by nobody, around a key
// that has no certificate yet: CMS addresses its recipients by certificates.
func standIn(key crypto.PublicKey) (*cert.Certificate, error) {
	spki, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	id, err := keyID(spki)
	if err != nil {
		return nil, err
	}
	var usage cert.KeyUsage
	switch algorithmOf(key) {
	case RSA, MLKEM:
		usage = cert.KeyUsageKeyEncipherment
	case P256, P384:
		usage = cert.KeyUsageKeyAgreement
	}
	nobody, err := name()
	if err != nil {
		return nil, err
	}
	t := &tbsCertificate{
		serial: big.NewInt(1), algorithm: oid.AlgorithmIdentifier{Algorithm: oid.Ed25519}, issuer: nobody, subject: nobody,
		notBefore: time.Unix(0, 0), notAfter: time.Unix(0, 0), spki: spki,
		extensions: []extension{keyUsage(usage), subjectKeyID(id)},
	}
	tbs, err := t.der()
	if err != nil {
		return nil, err
	}
	der, err := signed(tbs, t.algorithm, nil)
	if err != nil {
		return nil, err
	}
	return cert.Parse(der)
}
