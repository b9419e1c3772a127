package pbe

import (
	"crypto/hmac"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// MinPBMAC1Key is the shortest PBMAC1 key in bytes that is accepted (RFC 9879,
// Section 9): with a key of one byte anyone forges a MAC in 256 tries.
const MinPBMAC1Key = 20

// MAC is MacData of RFC 7292, Section 4: a digest algorithm for the MAC of
// PKCS #12, or PBMAC1, which brings its own salt and count (RFC 9879, Section 3).
type MAC struct {
	Algorithm  oid.AlgorithmIdentifier
	Value      []byte
	Salt       []byte
	Iterations int
}

// authenticator is a parsed MAC.
type authenticator struct {
	info     Info
	encoding encoding
	work     int
	digest   digest
	key      func(secret []byte) ([]byte, error)
}

// Describe returns what m asks for, without a passphrase.
func (m MAC) Describe() (Info, error) {
	a, err := m.parse()
	if err != nil {
		return Info{}, err
	}
	return a.info, nil
}

func (m MAC) parse() (*authenticator, error) {
	if m.Algorithm.Algorithm == oid.PBMAC1 {
		return parsePBMAC1(m.Algorithm.Parameters)
	}
	d, ok := digestByID(m.Algorithm.Algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: MAC with %s", ErrUnsupported, m.Algorithm.Algorithm.Name())
	}
	if err := checkCost(m.Salt, m.Iterations); err != nil {
		return nil, err
	}
	return &authenticator{
		info:     Info{"PKCS #12", "PKCS #12 with " + d.name, "HMAC-" + d.name, m.Iterations, len(m.Salt)},
		encoding: bmpString,
		work:     m.Iterations,
		digest:   d,
		key: func(secret []byte) ([]byte, error) {
			return pkcs12Key(d, forMAC, secret, m.Salt, m.Iterations, d.size), nil
		},
	}, nil
}

// parsePBMAC1 reads PBMAC1-params (RFC 8018, Appendix A.5) as RFC 9879,
// Section 5, restricts them: PBKDF2 with a stated key length.
func parsePBMAC1(params []byte) (*authenticator, error) {
	s := cryptobyte.String(params)
	var seq cryptobyte.String
	var kdfID, macID oid.AlgorithmIdentifier
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!oid.ReadAlgorithm(&seq, &kdfID) || !oid.ReadAlgorithm(&seq, &macID) || !seq.Empty() {
		return nil, fmt.Errorf("%w: PBMAC1", ErrMalformed)
	}
	d, ok := digestByHMAC(macID.Algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: PBMAC1 with %s", ErrUnsupported, macID.Algorithm.Name())
	}
	if kdfID.Algorithm != oid.PBKDF2 {
		return nil, fmt.Errorf("%w: PBMAC1 with key derivation %s", ErrUnsupported, kdfID.Algorithm.Name())
	}
	k, err := parsePBKDF2(kdfID.Parameters, 0)
	if err != nil {
		return nil, fmt.Errorf("PBMAC1: %w", err)
	}
	if k.keyLength < MinPBMAC1Key {
		return nil, fmt.Errorf("%w: PBMAC1 key of %d bytes, at least %d are needed", ErrMalformed, k.keyLength, MinPBMAC1Key)
	}
	return &authenticator{
		info:   Info{"PBMAC1", k.name, "HMAC-" + d.name, k.iterations, len(k.salt)},
		work:   k.work,
		digest: d,
		key:    k.key,
	}, nil
}

func (a *authenticator) sum(p *Passphrase, secret, message []byte) ([]byte, error) {
	if err := p.spend(a.work); err != nil {
		return nil, err
	}
	key, err := a.key(secret)
	if err != nil {
		return nil, err
	}
	h := hmac.New(a.digest.new, key)
	h.Write(message)
	return h.Sum(nil), nil
}

// Verify returns nil when m is the MAC of message under the passphrase, and
// [ErrPassphrase] when it is not.
func (p *Passphrase) Verify(m MAC, message []byte) error {
	a, err := m.parse()
	if err != nil {
		return err
	}
	for i, secret := range p.secrets(a.encoding) {
		sum, err := a.sum(p, secret, message)
		if err != nil {
			return err
		}
		if hmac.Equal(sum, m.Value) {
			p.prefer(a.encoding, i)
			return nil
		}
	}
	return ErrPassphrase
}

// SumPKCS12 returns the MAC of message in the manner of PKCS #12 (RFC 7292,
// Appendix B.4) with a digest: SHA-256, or SHA-1 for old readers.
func (p *Passphrase) SumPKCS12(rand io.Reader, digest oid.OID, iterations int, message []byte) (MAC, error) {
	salt, err := newSalt(rand)
	if err != nil {
		return MAC{}, err
	}
	m := MAC{Algorithm: oid.AlgorithmIdentifier{Algorithm: digest, Parameters: oid.Null}, Salt: salt, Iterations: iterations}
	return p.sum(m, message)
}

// SumPBMAC1 returns the MAC of message with PBMAC1, HMAC-SHA-256 throughout
// (RFC 9879, Section 6). OpenSSL before 3.4 does not know it.
func (p *Passphrase) SumPBMAC1(rand io.Reader, iterations int, message []byte) (MAC, error) {
	salt, err := newSalt(rand)
	if err != nil {
		return MAC{}, err
	}
	params, err := sequence(func(b *cryptobyte.Builder) {
		addPBKDF2(b, salt, iterations, 32)
		oid.AlgorithmIdentifier{Algorithm: oid.HMACSHA256, Parameters: oid.Null}.Add(b)
	})
	if err != nil {
		return MAC{}, err
	}
	// RFC 9879, Section 3: MacData's own salt and count are not used; the salt
	// may be empty and the count 1.
	m := MAC{Algorithm: oid.AlgorithmIdentifier{Algorithm: oid.PBMAC1, Parameters: params}, Salt: []byte("NOT USED"), Iterations: 1}
	return p.sum(m, message)
}

func (p *Passphrase) sum(m MAC, message []byte) (MAC, error) {
	a, err := m.parse()
	if err != nil {
		return MAC{}, err
	}
	m.Value, err = a.sum(p, p.secrets(a.encoding)[0], message)
	return m, err
}

func sequence(f func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, f)
	return b.Bytes()
}
