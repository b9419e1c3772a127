package signature

import (
	"crypto"
	"crypto/sha3"
	"hash"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/sha256"
)

// NewHash returns the hash function of a digest algorithm, the SHAKEs with the
// output that RFC 8702 §3.1 and RFC 8419 §2.3 fix for messages included; false
// when it is not known.
func NewHash(a oid.AlgorithmIdentifier) (hash.Hash, bool) {
	if h, ok := Hash(a); ok {
		if h == crypto.SHA256 {
			return sha256.New(), true
		}
		return h.New(), true
	}
	switch a.Algorithm {
	case oid.SHAKE128:
		return &shake{sha3.NewSHAKE128(), 32}, a.Parameters == nil
	case oid.SHAKE256:
		return &shake{sha3.NewSHAKE256(), 64}, a.Parameters == nil
	case oid.SHAKE256Len: // the parameter is the output in bits
		in := cryptobyte.String(a.Parameters)
		var bits int
		return &shake{sha3.NewSHAKE256(), 64}, in.ReadASN1Integer(&bits) && in.Empty() && bits == 512
	}
	return nil, false
}

// shake is an extendable-output function with a fixed output.
type shake struct {
	*sha3.SHAKE
	size int
}

func (s *shake) Size() int { return s.size }

// Sum implements hash.Hash: the state stays as it is.
func (s *shake) Sum(b []byte) []byte {
	c := *s.SHAKE
	out := make([]byte, s.size)
	c.Read(out)
	return append(b, out...)
}
