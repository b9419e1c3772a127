package lint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

var now = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

// The keys of the drafts are made once.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edKey  = sync.OnceValue(func() ed25519.PublicKey { key, _, err := ed25519.GenerateKey(rand.Reader); return must(key, err) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func spki(key crypto.PublicKey) []byte { return must(cert.MarshalPublicKey(key)) }

// element writes one DER element.
func element(tag casn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
	})
	return must(b.Bytes())
}

func sequence(parts ...[]byte) []byte { return element(casn1.SEQUENCE, parts...) }

func objectID(id oid.OID) []byte {
	var b cryptobyte.Builder
	oid.Add(&b, id)
	return must(b.Bytes())
}

func unhex(text string) (out []byte) {
	for i := 0; i < len(text); i += 2 {
		n, _ := new(big.Int).SetString(text[i:i+2], 16)
		out = append(out, byte(n.Int64()))
	}
	return out
}

// draft is a certificate that can be wrong in any way.
type draft struct {
	version             int
	serial              *big.Int
	algorithm           []byte
	issuer, subject     []part
	notBefore, notAfter time.Time
	spki                []byte
	extensions          []extra
}

// part is one attribute of a name.
type part struct {
	id    oid.OID
	tag   casn1.Tag
	value string
}

// extra is one extension.
type extra struct {
	id       oid.OID
	critical bool
	value    []byte
}

func name(parts []part) []byte {
	var rdns [][]byte
	for _, p := range parts {
		rdns = append(rdns, element(casn1.SET, sequence(objectID(p.id), element(p.tag, []byte(p.value)))))
	}
	return sequence(rdns...)
}

// write writes the draft, signed by nobody.
func (d *draft) write() []byte {
	var extensions [][]byte
	for _, e := range d.extensions {
		fields := [][]byte{objectID(e.id)}
		if e.critical {
			fields = append(fields, []byte{1, 1, 0xff})
		}
		extensions = append(extensions, sequence(append(fields, element(casn1.OCTET_STRING, e.value))...))
	}
	var fields [][]byte
	if d.version > 1 {
		fields = append(fields, element(0xa0, []byte{2, 1, byte(d.version - 1)}))
	}
	fields = append(fields, must(asn1.Marshal(d.serial)), d.algorithm, name(d.issuer),
		sequence(must(asn1.Marshal(d.notBefore)), must(asn1.Marshal(d.notAfter))), name(d.subject), d.spki)
	if len(extensions) > 0 {
		fields = append(fields, element(0xa3, sequence(extensions...)))
	}
	return sequence(sequence(fields...), d.algorithm, element(casn1.BIT_STRING, make([]byte, 65)))
}

func (d *draft) set(e extra) {
	for i := range d.extensions {
		if d.extensions[i].id == e.id {
			d.extensions[i] = e
			return
		}
	}
	d.extensions = append(d.extensions, e)
}

func (d *draft) drop(id oid.OID) {
	d.extensions = slices.DeleteFunc(d.extensions, func(e extra) bool { return e.id == id })
}

func (d *draft) critical(id oid.OID, critical bool) {
	for i := range d.extensions {
		if d.extensions[i].id == id {
			d.extensions[i].critical = critical
		}
	}
}

// add puts attributes into the subject, drop takes them out.
func (d *draft) add(parts ...part) { d.subject = append(slices.Clone(d.subject), parts...) }

func (d *draft) without(ids ...oid.OID) {
	d.subject = slices.DeleteFunc(slices.Clone(d.subject), func(p part) bool { return slices.Contains(ids, p.id) })
}

func utf8String(id oid.OID, value string) part { return part{id, casn1.UTF8String, value} }

const ecdsaSHA256 = "300a06082a8648ce3d040302"

// Values of extensions.

func usage(bits cert.KeyUsage) extra {
	var octets [2]byte
	for i := range 9 {
		if bits&(1<<i) != 0 {
			octets[i/8] |= 0x80 >> (i % 8)
		}
	}
	b := asn1.BitString{Bytes: octets[:1], BitLength: 8}
	if octets[1] != 0 {
		b = asn1.BitString{Bytes: octets[:], BitLength: 9}
	}
	for b.BitLength > 0 && b.At(b.BitLength-1) == 0 { // X.690 §11.2.2
		b.BitLength--
	}
	return extra{oid.ExtKeyUsage, true, must(asn1.Marshal(b))}
}

func purposes(list ...oid.OID) extra {
	var parts [][]byte
	for _, id := range list {
		parts = append(parts, objectID(id))
	}
	return extra{oid.ExtExtKeyUsage, false, sequence(parts...)}
}

func policies(list ...oid.OID) extra {
	var parts [][]byte
	for _, id := range list {
		parts = append(parts, sequence(objectID(id)))
	}
	return extra{oid.ExtCertificatePolicies, false, sequence(parts...)}
}

func altNames(names ...[]byte) extra { return extra{oid.ExtSubjectAltName, false, sequence(names...)} }

func rfc822(text string) []byte { return element(0x81, []byte(text)) }

func otherName(id oid.OID, value []byte) []byte {
	return element(0xa0, objectID(id), element(0xa0, value))
}

func smtpUTF8(text string) []byte {
	return otherName(oid.SmtpUTF8Mailbox, element(casn1.UTF8String, []byte(text)))
}

func crlAt(uris ...string) extra {
	var points [][]byte
	for _, uri := range uris {
		points = append(points, sequence(element(0xa0, element(0xa0, element(0x86, []byte(uri))))))
	}
	return extra{oid.ExtCRLDistributionPoints, false, sequence(points...)}
}

func access(pairs ...string) extra {
	var parts [][]byte
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, sequence(objectID(oid.OID(pairs[i])), element(0x86, []byte(pairs[i+1]))))
	}
	return extra{oid.ExtAuthorityInfoAccess, false, sequence(parts...)}
}

func constraints(parts ...[]byte) extra {
	return extra{oid.ExtBasicConstraints, true, sequence(parts...)}
}

var (
	caTrue  = []byte{1, 1, 0xff}
	pathLen = []byte{2, 1, 0}
	keyID   = element(casn1.OCTET_STRING, make([]byte, 20))
	authKey = sequence(element(0x80, make([]byte, 20)))
)

// subscriber is a certificate of that kind that keeps every rule.
func subscriber(k Kind) *draft {
	d := &draft{
		version: 3, serial: new(big.Int).Lsh(big.NewInt(1), 126), algorithm: unhex(ecdsaSHA256),
		issuer:    []part{{oid.Country, casn1.PrintableString, "JP"}, utf8String(oid.Organization, "Example"), utf8String(oid.CommonName, "Example Issuing")},
		notBefore: now, notAfter: now.Add(MaxValidityDays*24*time.Hour - time.Second), spki: spki(ecKey().Public()),
		extensions: []extra{
			usage(cert.KeyUsageDigitalSignature | cert.KeyUsageKeyAgreement), purposes(oid.EmailProtection),
			{oid.ExtSubjectKeyID, false, keyID}, {oid.ExtAuthorityKeyID, false, authKey},
			altNames(rfc822("alice@example.org")), policies(k.ReservedPolicy()), crlAt("http://ca.example.org/a.crl"),
			access(string(oid.AccessCAIssuers), "http://ca.example.org/a.cer", string(oid.AccessOCSP), "http://ocsp.example.org"),
		},
	}
	if k.Generation == Legacy {
		d.notBefore = time.Date(2024, time.June, 1, 0, 0, 0, 0, time.UTC)
		d.notAfter = d.notBefore.Add(1185*24*time.Hour - time.Second)
	}
	if k.Generation == Multipurpose {
		d.set(purposes(oid.EmailProtection, oid.ClientAuth))
	}
	if k.Type != MailboxValidated {
		d.add(part{oid.Country, casn1.PrintableString, "JP"}, utf8String(oid.StateOrProvince, "Tokyo"), utf8String(oid.Locality, "Minato"))
		if k.Generation != Strict {
			d.add(utf8String(oid.PostalCode, "105-0011"), utf8String(oid.StreetAddress, "1-2-3 Shiba"))
		}
	}
	if k.organization() {
		d.add(utf8String(oid.Organization, "株式会社見本"), utf8String(oid.OrganizationalUnit, "Example Affiliate K.K."),
			utf8String(oid.OrganizationIdentifier, "NTRJP-0100-01-000001"))
	}
	if k.person() {
		d.add(utf8String(oid.Surname, "田中"), utf8String(oid.GivenName, "太郎"), utf8String(oid.Title, "部長"))
	}
	d.add(part{oid.SerialNumber, casn1.PrintableString, "000123"})
	switch k.Type {
	case MailboxValidated:
		d.add(utf8String(oid.CommonName, "alice@example.org"))
	case OrganizationValidated:
		d.add(utf8String(oid.CommonName, "株式会社見本"))
	default:
		d.add(utf8String(oid.CommonName, "田中 太郎"))
	}
	d.add(part{oid.EmailAddress, casn1.IA5String, "alice@example.org"})
	return d
}

// authority is a certificate of an authority that keeps every rule.
func authority() *draft {
	d := subscriber(Kind{MailboxValidated, Strict})
	d.subject = []part{{oid.Country, casn1.PrintableString, "JP"}, utf8String(oid.Organization, "Example"), utf8String(oid.CommonName, "Example Issuing")}
	d.issuer = []part{{oid.Country, casn1.PrintableString, "JP"}, utf8String(oid.Organization, "Example"), utf8String(oid.CommonName, "Example Root")}
	d.notAfter = d.notBefore.AddDate(10, 0, 0)
	d.drop(oid.ExtSubjectAltName)
	d.set(constraints(caTrue, pathLen))
	d.set(usage(cert.KeyUsageCertSign | cert.KeyUsageCRLSign))
	d.set(policies(oid.AnyPolicy))
	return d
}

// root is one that certifies itself.
func root() *draft {
	d := authority()
	d.issuer = d.subject
	d.set(constraints(caTrue))
	for _, id := range []oid.OID{oid.ExtExtKeyUsage, oid.ExtCertificatePolicies, oid.ExtCRLDistributionPoints, oid.ExtAuthorityInfoAccess} { // zlint takes an unsigned root for another one's, and wants its authorityKeyIdentifier
		d.drop(id)
	}
	return d
}
