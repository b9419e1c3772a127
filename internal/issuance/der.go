package issuance

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// tbsCertificate is TBSCertificate of RFC 5280 §4.1, always version 3.
type tbsCertificate struct {
	serial              *big.Int
	algorithm           oid.AlgorithmIdentifier
	issuer, subject     []byte // DER of the Names
	notBefore, notAfter time.Time
	spki                []byte // DER
	extensions          []extension
}

// extension holds the content of extnValue as a function that writes it.
type extension struct {
	id       oid.OID
	critical bool
	value    func(*cryptobyte.Builder)
}

func (t *tbsCertificate) der() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) }) // version 3
		b.AddASN1BigInt(t.serial)
		t.algorithm.Add(b)
		b.AddBytes(t.issuer)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, t.notBefore)
			addTime(b, t.notAfter)
		})
		b.AddBytes(t.subject)
		b.AddBytes(t.spki)
		b.AddASN1(contextTag(3), func(b *cryptobyte.Builder) { addExtensions(b, t.extensions) })
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode tbsCertificate: %w", err)
	}
	return der, nil
}

// addExtensions writes SEQUENCE OF Extension.
func addExtensions(b *cryptobyte.Builder, list []extension) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range list {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, e.id)
				if e.critical { // DEFAULT FALSE is not written
					b.AddASN1Boolean(true)
				}
				b.AddASN1(asn1.OCTET_STRING, e.value)
			})
		}
	})
}

// signed wraps what was signed, the algorithm and the signature.
func signed(tbs []byte, algorithm oid.AlgorithmIdentifier, signature []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		algorithm.Add(b)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

// addTime writes Time: UTCTime through 2049, GeneralizedTime after (RFC 5280
// §4.1.2.5).
func addTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC()
	if t.Year() >= 1950 && t.Year() < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}

func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

func contextPrimitive(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }

// attribute is one relative distinguished name with one attribute.
type attribute struct {
	id    oid.OID
	value string
}

// name writes a Name, one attribute in each relative distinguished name, in
// the order given: the broadest first.
func name(attributes ...attribute) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, a := range attributes {
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, a.id)
					b.AddASN1(stringTag(a.id), func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.value)) })
				})
			})
		}
	})
	return b.Bytes()
}

// stringTag: a country and a serial number are PrintableString (RFC 5280 §A.1),
// all other text is UTF8String (§4.1.2.4).
func stringTag(id oid.OID) asn1.Tag {
	if id == oid.Country || id == oid.SerialNumber {
		return asn1.PrintableString
	}
	return asn1.UTF8String
}

// encodeKey writes a public key as SubjectPublicKeyInfo in its one canonical
// form, whatever form the request had: rsaEncryption with NULL, points
// uncompressed (S/MIME BR §7.1.3.1).
func encodeKey(key crypto.PublicKey) ([]byte, error) {
	der, err := cert.MarshalPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return der, nil
}

// keyID is the leftmost 160 bits of SHA-256 of the key (RFC 7093 §2, method 1).
func keyID(spki []byte) ([]byte, error) {
	input := cryptobyte.String(spki)
	var seq cryptobyte.String
	var key []byte
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipASN1(asn1.SEQUENCE) || !seq.ReadASN1BitStringAsBytes(&key) {
		return nil, fmt.Errorf("malformed SubjectPublicKeyInfo")
	}
	sum := sha256.Sum256(key)
	return sum[:20], nil
}

func keyUsage(u cert.KeyUsage) extension {
	return extension{oid.ExtKeyUsage, true, func(b *cryptobyte.Builder) {
		var bits [2]byte // named bit list: first bit is the highest, trailing zeros cut (X.690 §11.2.2)
		last := 0
		for i := range 9 {
			if u&(1<<i) != 0 {
				bits[i/8] |= 0x80 >> (i % 8)
				last = i
			}
		}
		size := last/8 + 1
		b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(uint8(8*size - 1 - last))
			b.AddBytes(bits[:size])
		})
	}}
}

func extKeyUsage(usages ...oid.OID) extension {
	return extension{oid.ExtExtKeyUsage, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, u := range usages {
				oid.Add(b, u)
			}
		})
	}}
}

func subjectKeyID(id []byte) extension {
	return extension{oid.ExtSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(id) }}
}

// authorityKeyID writes keyIdentifier only (S/MIME BR §7.1.2.3).
func authorityKeyID(id []byte) extension {
	return extension{oid.ExtAuthorityKeyID, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(contextPrimitive(0), func(b *cryptobyte.Builder) { b.AddBytes(id) })
		})
	}}
}

// authority writes basicConstraints of a CA; pathLen below 0 is absent.
func basicConstraints(pathLen int) extension {
	return extension{oid.ExtBasicConstraints, true, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Boolean(true)
			if pathLen >= 0 {
				b.AddASN1Int64(int64(pathLen))
			}
		})
	}}
}

func certificatePolicies(policy oid.OID) extension {
	return extension{oid.ExtCertificatePolicies, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { oid.Add(b, policy) })
		})
	}}
}

// uriTag is uniformResourceIdentifier of GeneralName.
var uriTag = contextPrimitive(uint8(cert.URI))

func crlDistributionPoint(uri string) extension {
	return extension{oid.ExtCRLDistributionPoints, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addPointName(b, uri) })
		})
	}}
}

// addPointName writes distributionPoint with one fullName.
func addPointName(b *cryptobyte.Builder, uri string) {
	b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { // distributionPoint
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { // fullName
			b.AddASN1(uriTag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(uri)) })
		})
	})
}

// authorityInfoAccess names where OCSP is answered, if it is, and the issuer's
// certificate.
func authorityInfoAccess(ocsp, caIssuers string) extension {
	return extension{oid.ExtAuthorityInfoAccess, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if ocsp != "" {
				addAccess(b, oid.AccessOCSP, ocsp)
			}
			addAccess(b, oid.AccessCAIssuers, caIssuers)
		})
	}}
}

func addAccess(b *cryptobyte.Builder, method oid.OID, uri string) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, method)
		b.AddASN1(uriTag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(uri)) })
	})
}

// mailOnly is the critical nameConstraints of an authority for mail: every DNS
// name and every address of both IP families is excluded (RFC 5280 §4.2.1.10;
// an empty dNSName covers all), so that whoever installs it trusts it for no
// web site. Mail of the domains alone is permitted, of every one if there is none.
func mailOnly(domains []string) extension {
	return extension{oid.ExtNameConstraints, true, func(b *cryptobyte.Builder) {
		subtree := func(b *cryptobyte.Builder, kind cert.Kind, base []byte) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(contextPrimitive(uint8(kind)), func(b *cryptobyte.Builder) { b.AddBytes(base) })
			})
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if len(domains) > 0 {
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { // permittedSubtrees
					for _, d := range domains {
						subtree(b, cert.RFC822Name, []byte(d))
					}
				})
			}
			b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) { // excludedSubtrees
				subtree(b, cert.DNSName, nil)
				subtree(b, cert.IPAddress, make([]byte, 8))  // 0.0.0.0/0
				subtree(b, cert.IPAddress, make([]byte, 32)) // ::/0
			})
		})
	}}
}

// capabilities writes SMIMECapabilities (RFC 8551 §2.5.2) as a certificate
// extension (RFC 4262), best first, none with parameters.
func capabilities(list []oid.OID) extension {
	return extension{oid.ExtSMIMECapabilities, false, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, c := range list {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { oid.Add(b, c) })
			}
		})
	}}
}

// noCheck is id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): nobody asks whether
// the responder's own certificate is revoked; it lives shortly instead.
func noCheck() extension {
	return extension{oid.ExtOCSPNoCheck, false, func(b *cryptobyte.Builder) { b.AddBytes(oid.Null) }}
}
