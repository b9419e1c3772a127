package testca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// Point is a distribution point (RFC 5280 §4.2.1.13), for certificates and,
// without CRLIssuer, for the scope of a list.
type Point struct {
	URIs      []string
	Names     []pkix.Name // directoryName in fullName
	Relative  string      // nameRelativeToCRLIssuer: a common name
	Reasons   []int       // bits
	CRLIssuer []byte      // DER of a Name
}

// Points sets the distribution points of a certificate.
func Points(points ...Point) Option {
	return Extension(oid.ExtCRLDistributionPoints, false, PointsDER(points...))
}

// PointsDER writes distribution points.
func PointsDER(points ...Point) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, p := range points {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				p.addName(b)
				addReasons(b, 1, p.Reasons)
				if p.CRLIssuer != nil {
					b.AddASN1(context(2).Constructed(), func(b *cryptobyte.Builder) {
						b.AddASN1(context(4).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(p.CRLIssuer) })
					})
				}
			})
		}
	})
	return b.BytesOrPanic()
}

func context(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }

// addName adds distributionPoint, the same in both places.
func (p Point) addName(b *cryptobyte.Builder) {
	switch {
	case p.Relative != "":
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(context(1).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.CommonName)
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.Relative)) })
				})
			})
		})
	case len(p.URIs)+len(p.Names) > 0:
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
				for _, u := range p.URIs {
					b.AddBytes(URI(u))
				}
				for _, n := range p.Names {
					b.AddASN1(context(4).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(NameDER(n)) })
				}
			})
		})
	}
}

// NameDER writes a name.
func NameDER(n pkix.Name) []byte {
	der, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		panic("testca: " + err.Error()) // a constant of the test is wrong
	}
	return der
}

func addReasons(b *cryptobyte.Builder, tag uint8, bits []int) {
	if len(bits) == 0 {
		return
	}
	octets := make([]byte, 2)
	last := 0
	for _, bit := range bits {
		octets[bit/8] |= 0x80 >> (bit % 8)
		last = max(last, bit)
	}
	b.AddASN1(context(tag), func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(7 - last%8))
		b.AddBytes(octets[:last/8+1])
	})
}

// Scope is the issuingDistributionPoint of a list (RFC 5280 §5.2.5).
type Scope struct {
	Point
	Users, CAs, Attributes, Indirect bool
}

// Scoped gives a list a scope.
func Scoped(s Scope) func(*x509.RevocationList) {
	flag := func(b *cryptobyte.Builder, tag uint8, set bool) {
		if set {
			b.AddASN1(context(tag), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		s.addName(b)
		flag(b, 1, s.Users)
		flag(b, 2, s.CAs)
		addReasons(b, 3, s.Reasons)
		flag(b, 4, s.Indirect)
		flag(b, 5, s.Attributes)
	})
	return ListExtension(asn1.ObjectIdentifier{2, 5, 29, 28}, true, b.BytesOrPanic())
}

// ListExtension gives a list an extension.
func ListExtension(id asn1.ObjectIdentifier, critical bool, value []byte) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: value})
	}
}

// Numbered gives a list a number.
func Numbered(n int64) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) { l.Number = big.NewInt(n) }
}

// Delta makes a delta list with that number, of the changes since base.
func Delta(number, base int64) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.Number = big.NewInt(number)
		der, err := asn1.Marshal(base)
		if err != nil {
			panic("testca: " + err.Error())
		}
		ListExtension(asn1.ObjectIdentifier{2, 5, 29, 27}, true, der)(l)
	}
}

// Updates sets the dates of a list.
func Updates(this, next time.Time) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = this, next }
}

// EntryIssuer adds certificateIssuer to an entry of an indirect list.
func EntryIssuer(r Revoked, rawName []byte) Revoked {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context(4).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(rawName) })
	})
	r.ExtraExtensions = append(r.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: b.BytesOrPanic()})
	return r
}

// Entry is an entry that revokes a certificate by its serial number, a day
// before Now.
func Entry(serial *big.Int, reason int) Revoked {
	return Revoked{SerialNumber: serial, RevocationTime: Now.AddDate(0, 0, -1), ReasonCode: reason}
}

// SerialNumber sets the serial number of a certificate.
func SerialNumber(n *big.Int) Option { return func(c *x509.Certificate) { c.SerialNumber = n } }
