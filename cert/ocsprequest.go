package cert

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on an OCSP request.
const (
	MaxOCSPRequestSize = 64 << 10
	MaxOCSPRequests    = 100
	// MaxNonce is the longest nonce that may be sent (RFC 9654 §2.1).
	MaxNonce = 128
)

// OCSPRequest asks a responder about certificates (RFC 6960 §4.1).
type OCSPRequest struct {
	CertIDs []CertID
	// Nonce ties the response to the request, so that an old one cannot be
	// played again; nil asks without. RFC 9654 §2.1: 1 to 128 octets, of which
	// a client should send 32.
	Nonce []byte

	// Extensions are all requestExtensions of a request that was read.
	Extensions []Extension
	// Signed tells that the request that was read bears a signature. It is not
	// checked: requests need none, and responders for mail ask for none.
	Signed bool
}

// DER writes the request, unsigned, with its CertIDs and its nonce.
func (q *OCSPRequest) DER() ([]byte, error) {
	if len(q.CertIDs) == 0 || len(q.CertIDs) > MaxOCSPRequests {
		return nil, fmt.Errorf("OCSP request about %d certificates, 1 to %d are possible", len(q.CertIDs), MaxOCSPRequests)
	}
	if q.Nonce != nil && (len(q.Nonce) == 0 || len(q.Nonce) > MaxNonce) {
		return nil, fmt.Errorf("OCSP nonce of %d octets, 1 to %d are possible", len(q.Nonce), MaxNonce)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for i := range q.CertIDs {
					b.AddASN1(asn1.SEQUENCE, q.CertIDs[i].add)
				}
			})
			if q.Nonce != nil {
				b.AddASN1(constructedTag(2), q.addNonce)
			}
		})
	})
	return b.Bytes()
}

// addNonce adds Extensions with the nonce alone.
func (q *OCSPRequest) addNonce(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, oid.OCSPNonce)
			b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(q.Nonce) })
		})
	})
}

// ParseOCSPRequest reads one request.
func ParseOCSPRequest(raw []byte) (*OCSPRequest, error) {
	if len(raw) > MaxOCSPRequestSize {
		return nil, fmt.Errorf("parse OCSP request: %d octets, more than %d", len(raw), MaxOCSPRequestSize)
	}
	q, err := parseOCSPRequest(raw)
	return q, within("parse OCSP request", err)
}

func parseOCSPRequest(raw []byte) (*OCSPRequest, error) {
	der, err := ber.DER(raw)
	if err != nil {
		return nil, err
	}
	seq, err := readSequence(der, "OCSPRequest")
	if err != nil {
		return nil, err
	}
	var tbs, list, explicit, signature cryptobyte.String
	var hasExtensions bool
	q := &OCSPRequest{}
	if !seq.ReadASN1(&tbs, asn1.SEQUENCE) || !seq.ReadOptionalASN1(&signature, &q.Signed, constructedTag(0)) || !seq.Empty() {
		return nil, malformed("OCSPRequest")
	}
	// version and requestorName say nothing that is needed.
	if !tbs.SkipOptionalASN1(constructedTag(0)) || !tbs.SkipOptionalASN1(constructedTag(1)) ||
		!tbs.ReadASN1(&list, asn1.SEQUENCE) || !tbs.ReadOptionalASN1(&explicit, &hasExtensions, constructedTag(2)) || !tbs.Empty() {
		return nil, malformed("tbsRequest")
	}
	for !list.Empty() {
		if len(q.CertIDs) == MaxOCSPRequests {
			return nil, fmt.Errorf("more than %d requests", MaxOCSPRequests)
		}
		var one cryptobyte.String
		var id CertID
		if !list.ReadASN1(&one, asn1.SEQUENCE) || !readCertID(&one, &id) || !one.SkipOptionalASN1(constructedTag(0)) || !one.Empty() {
			return nil, malformed("request")
		}
		q.CertIDs = append(q.CertIDs, id)
	}
	if len(q.CertIDs) == 0 {
		return nil, errors.New("nothing is asked for")
	}
	if !hasExtensions {
		return q, nil
	}
	if q.Extensions, err = readExtensions(explicit); err != nil {
		return nil, within("requestExtensions", err)
	}
	if e, found := findExtension(q.Extensions, oid.OCSPNonce); found {
		q.Nonce, err = parseNonce(e.Value)
	}
	return q, err
}

// parseNonce reads a nonce of RFC 9654 §2.1. Longer ones than may be sent are
// refused; before that RFC their length was not limited, nor their form said.
func parseNonce(der []byte) ([]byte, error) {
	nonce, err := parseOctets(der)
	if err != nil || len(nonce) == 0 || len(nonce) > MaxNonce {
		return nil, malformed("nonce")
	}
	return nonce, nil
}
