package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/argon2"
)

// An encrypted key file is one PEM block "MAILSEAL ENCRYPTED KEY" without
// headers, which holds, numbers in network order:
//
//	4   "MSK" and the version, 1
//	1   the key derivation: 1 is Argon2id, version 1.3 (RFC 9106)
//	4   its passes
//	4   its memory in KiB
//	1   its lanes
//	16  its salt
//	12  the nonce of AES-256-GCM
//	    the encrypted PKCS #8 PrivateKeyInfo with its tag of 16 octets
//
// All before the ciphertext is authenticated with it. PKCS #8's own encryption
// (PBES2) has no Argon2, and does not authenticate its parameters.
const (
	envelopeType    = "MAILSEAL ENCRYPTED KEY"
	envelopeMagic   = "MSK\x01"
	kdfArgon2id     = 1
	saltSize        = 16
	nonceSize       = 12
	envelopeHeader  = len(envelopeMagic) + 1 + 4 + 4 + 1 + saltSize + nonceSize
	envelopeKeySize = 32
)

// cost is what one guess at the passphrase costs.
type cost struct {
	passes, memory uint32 // memory in KiB
	lanes          uint8
}

// writtenCost is the second recommendation of RFC 9106 §4.
var writtenCost = cost{passes: 3, memory: 64 << 10, lanes: 4}

// Bounds on what a file may ask for. Below them it protects less than anything
// that was ever written here; above, reading a hostile file would take all
// memory, or minutes.
const (
	minPasses, maxPasses = 2, 16
	minMemory, maxMemory = 64 << 10, 256 << 10 // KiB
	minLanes, maxLanes   = 1, 16
)

func (c cost) check() error {
	if c.passes < minPasses || c.passes > maxPasses || c.memory < minMemory || c.memory > maxMemory || c.lanes < minLanes || c.lanes > maxLanes {
		return fmt.Errorf("Argon2id with %d passes, %d KiB and %d lanes; %d to %d, %d to %d and %d to %d are accepted",
			c.passes, c.memory, c.lanes, minPasses, maxPasses, minMemory, maxMemory, minLanes, maxLanes)
	}
	return nil
}

// Refusals of encrypted files.
var (
	// ErrPassphrase: the passphrase is wrong, or the file was changed; nobody can
	// tell which.
	ErrPassphrase = errors.New("keys: wrong passphrase, or a changed file")
	// ErrEnvelope: the file is no encrypted key of a version that is known.
	ErrEnvelope = errors.New("keys: not an encrypted key file of this version")
)

// deriving lets one derivation at a time take its memory.
var deriving sync.Mutex

func (c cost) cipher(passphrase, salt []byte) (cipher.AEAD, error) {
	deriving.Lock()
	defer deriving.Unlock()
	key := argon2.IDKey(passphrase, salt, c.passes, c.memory, c.lanes, envelopeKeySize)
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal encrypts under a key that is used once: the salt is new each time.
func seal(random io.Reader, c cost, passphrase, plaintext []byte) ([]byte, error) {
	out := append([]byte(envelopeMagic), kdfArgon2id)
	out = binary.BigEndian.AppendUint32(out, c.passes)
	out = binary.BigEndian.AppendUint32(out, c.memory)
	out = append(out, c.lanes)
	var fresh [saltSize + nonceSize]byte
	if _, err := io.ReadFull(random, fresh[:]); err != nil {
		return nil, fmt.Errorf("randomness: %w", err)
	}
	out = append(out, fresh[:]...)
	aead, err := c.cipher(passphrase, fresh[:saltSize])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, fresh[saltSize:], plaintext, out), nil
}

// parsedEnvelope is an encrypted file whose header was read and is within bounds.
type parsedEnvelope struct {
	header     []byte // all that is authenticated
	cost       cost
	salt       []byte
	nonce      []byte
	ciphertext []byte
}

func parseEnvelope(data []byte) (*parsedEnvelope, error) {
	if len(data) < envelopeHeader || string(data[:len(envelopeMagic)]) != envelopeMagic || data[len(envelopeMagic)] != kdfArgon2id {
		return nil, ErrEnvelope
	}
	e := &parsedEnvelope{header: data[:envelopeHeader], ciphertext: data[envelopeHeader:]}
	rest := data[len(envelopeMagic)+1 : envelopeHeader]
	e.cost = cost{binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:]), rest[8]}
	e.salt, e.nonce = rest[9:9+saltSize], rest[9+saltSize:]
	if err := e.cost.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	return e, nil
}

func (e *parsedEnvelope) open(passphrase []byte) ([]byte, error) {
	aead, err := e.cost.cipher(passphrase, e.salt)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, e.nonce, e.ciphertext, e.header)
	if err != nil {
		return nil, ErrPassphrase
	}
	return plaintext, nil
}
