package cms

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// checkSigningCertificate holds the attributes signingCertificate and
// signingCertificateV2 (RFC 5035 §3, §4), where present, to the certificate
// that was used: the first ESSCertID must be its digest.
func (r *SignerResult) checkSigningCertificate(c *cert.Certificate) error {
	for _, t := range []OID{oid.AttrSigningCertificateV2, oid.AttrSigningCertificate} {
		v, present, err := r.SignedAttrs.single(t)
		if err != nil {
			return err
		}
		if !present {
			continue
		}
		hash, digest, ok := firstESSCertID(v, t)
		if !ok {
			return fmt.Errorf("%w: attribute %s is malformed", ErrSignature, t.Name())
		}
		if hash == 0 {
			return fmt.Errorf("%w: digest of attribute %s", ErrUnsupported, t.Name())
		}
		if !bytes.Equal(certificateDigest(c, hash), digest) {
			return fmt.Errorf("%w: attribute %s names another certificate", ErrSignature, t.Name())
		}
	}
	return nil
}

func certificateDigest(c *cert.Certificate, hash crypto.Hash) []byte {
	if hash == crypto.SHA256 {
		sum := c.Digest() // taken once
		return sum[:]
	}
	h := hash.New()
	h.Write(c.Raw)
	return h.Sum(nil)
}

// firstESSCertID reads SigningCertificate or SigningCertificateV2. hash is 0
// when it is not known.
func firstESSCertID(value []byte, t OID) (hash crypto.Hash, digest []byte, ok bool) {
	in := cryptobyte.String(value)
	var s, certs, id, d cryptobyte.String
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1(&certs, asn1.SEQUENCE) || !certs.ReadASN1(&id, asn1.SEQUENCE) {
		return 0, nil, false
	}
	hash = crypto.SHA1
	if t == oid.AttrSigningCertificateV2 {
		hash = crypto.SHA256 // DEFAULT
		if id.PeekASN1Tag(asn1.SEQUENCE) {
			var a AlgorithmIdentifier
			if !oid.ReadAlgorithm(&id, &a) {
				return 0, nil, false
			}
			hash, _ = signature.Hash(a)
		}
	}
	if !id.ReadASN1(&d, asn1.OCTET_STRING) {
		return 0, nil, false
	}
	return hash, d, true
}

// signingCertificateV2 is the attribute's value for c: SHA-256, whose
// AlgorithmIdentifier is the DEFAULT and so left out, with issuer and serial.
func signingCertificateV2(c *cert.Certificate) ([]byte, error) {
	sum := sha256.Sum256(c.Raw)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(sum[:])
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // GeneralNames
						b.AddASN1(asn1.Tag(4).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(c.RawIssuer) })
					})
					b.AddASN1BigInt(c.Serial)
				})
			})
		})
	})
	return b.Bytes()
}

func addIssuerAndSerial(b *cryptobyte.Builder, tag asn1.Tag, c *cert.Certificate) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		b.AddBytes(c.RawIssuer)
		b.AddASN1BigInt(c.Serial)
	})
}
