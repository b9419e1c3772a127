package cert

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// MaxCapabilities is how many capabilities are read of one holder. Those in use
// name a dozen or two.
const MaxCapabilities = 200

// ParseCapabilities reads SMIMECapabilities (RFC 8551 §2.5.2): the algorithms
// that somebody's programs can read, best first.
func ParseCapabilities(der []byte) ([]oid.AlgorithmIdentifier, error) {
	seq, err := readSequence(der, "smimeCapabilities")
	if err != nil {
		return nil, err
	}
	list := []oid.AlgorithmIdentifier{}
	for !seq.Empty() {
		var a oid.AlgorithmIdentifier
		if !oid.ReadAlgorithm(&seq, &a) {
			return nil, malformed("smimeCapabilities")
		}
		if len(list) == MaxCapabilities {
			return nil, fmt.Errorf("more than %d smimeCapabilities", MaxCapabilities)
		}
		list = append(list, a)
	}
	return list, nil
}

// EncodeCapabilities is the mirror of [ParseCapabilities].
func EncodeCapabilities(list []oid.AlgorithmIdentifier) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, a := range list {
			a.Add(b)
		}
	})
	return b.Bytes()
}

// Capabilities returns what the certificate says that its holder can read (RFC
// 4262), nil when it says nothing that can be understood.
func (c *Certificate) Capabilities() []oid.AlgorithmIdentifier {
	e, present := c.Extension(oid.ExtSMIMECapabilities)
	if !present {
		return nil
	}
	list, err := ParseCapabilities(e.Value)
	if err != nil {
		return nil
	}
	return list
}
