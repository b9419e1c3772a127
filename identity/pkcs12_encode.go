package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
)

// PKCS12Options are for [EncodePKCS12]; nil means all defaults. By default keys
// and certificates are encrypted with PBES2 (AES-256-CBC, PBKDF2 with
// HMAC-SHA-256, a salt of 8 bytes, which macOS insists on) and the file has the
// MAC of PKCS #12 with SHA-256: what most software imports.
type PKCS12Options struct {
	// Rand is the source of salts and initialization vectors; default crypto/rand.
	Rand io.Reader
	// Iterations is for every key derivation; default ChosenIterations. See
	// GeneratedIterations.
	Iterations int
	// Compatible writes 3DES under SHA-1 and a SHA-1 MAC throughout, for
	// software that imports nothing else: GnuPG before 2.4, old iOS, Windows
	// Server 2016.
	Compatible bool
	// PBMAC1 writes the MAC of RFC 9879. OpenSSL before 3.4, Java 17 and, so far,
	// most mail clients refuse such a file.
	PBMAC1 bool
	// PlainCertificates leaves certificates unencrypted (the MAC covers them),
	// so that they can be listed without the passphrase.
	PlainCertificates bool
}

var errEmptyPassphrase = errors.New("a passphrase is needed to write a private key")

func randOr(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}

func iterationsOr(n int) int {
	if n == 0 {
		return ChosenIterations
	}
	return n
}

// EncodePKCS12 writes identities as one PKCS #12 file in DER (RFC 7292). For
// other software to import it, give it one identity: many take only the first.
// The error is [ErrLimit] when there are so many that opening the file would
// take more iterations than [DecodePKCS12] allows: with Compatible and
// ChosenIterations 14.
func EncodePKCS12(ids []*Identity, passphrase []byte, o *PKCS12Options) ([]byte, error) {
	if o == nil {
		o = &PKCS12Options{}
	}
	if len(passphrase) == 0 {
		return nil, errEmptyPassphrase
	}
	if o.Compatible && o.PBMAC1 {
		return nil, errors.New("PKCS #12: no software needs Compatible and knows PBMAC1")
	}
	e := &pkcs12Encoder{
		options:    o,
		encryption: encryption{randOr(o.Rand), pbe.OnePBES2(), iterationsOr(o.Iterations)},
		passphrase: pbe.NewPassphrase(passphrase),
	}
	if o.Compatible {
		e.encryption.scheme = pbe.TripleDES
	}
	der, err := e.encode(ids)
	if err != nil {
		return nil, fmt.Errorf("PKCS #12: %w", err)
	}
	return der, nil
}

type pkcs12Encoder struct {
	options    *PKCS12Options
	encryption encryption
	passphrase *pbe.Passphrase
}

// encode writes the certificates first and the keys after them, as OpenSSL
// does: some importers know only that order.
func (e *pkcs12Encoder) encode(ids []*Identity) ([]byte, error) {
	certs, err := sequenceOf(certBags(ids))
	if err != nil {
		return nil, err
	}
	keyBags, err := e.keyBags(ids)
	if err != nil {
		return nil, err
	}
	keys, err := sequenceOf(keyBags)
	if err != nil {
		return nil, err
	}
	parts := make([][]byte, 2)
	if e.options.PlainCertificates {
		parts[0], err = dataContent(certs)
	} else {
		parts[0], err = e.encryptedContent(certs)
	}
	if err != nil {
		return nil, err
	}
	if parts[1], err = dataContent(keys); err != nil {
		return nil, err
	}
	if len(certBags(ids)) == 0 {
		parts = parts[1:]
	}
	safe, err := sequenceOf(parts)
	if err != nil {
		return nil, err
	}
	return e.pfx(safe)
}

func (e *pkcs12Encoder) pfx(safe []byte) ([]byte, error) {
	content, err := dataContent(safe)
	if err != nil {
		return nil, err
	}
	mac, err := e.mac(safe)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddBytes(content)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				mac.Algorithm.Add(b)
				b.AddASN1OctetString(mac.Value)
			})
			b.AddASN1OctetString(mac.Salt)
			if mac.Iterations != 1 { // DEFAULT 1
				b.AddASN1Int64(int64(mac.Iterations))
			}
		})
	})
	return b.Bytes()
}

func (e *pkcs12Encoder) mac(safe []byte) (pbe.MAC, error) {
	if e.options.PBMAC1 {
		return e.passphrase.SumPBMAC1(e.encryption.rand, e.encryption.iterations, safe)
	}
	digest := oid.SHA256
	if e.options.Compatible {
		digest = oid.SHA1
	}
	return e.passphrase.SumPKCS12(e.encryption.rand, digest, e.encryption.iterations, safe)
}

// certBags writes each certificate once; those with keys carry name and key ID.
func certBags(ids []*Identity) [][]byte {
	var seen []*cert.Certificate
	var bags [][]byte
	add := func(c *cert.Certificate, id *Identity) {
		if c == nil || slices.ContainsFunc(seen, c.Equal) {
			return
		}
		seen = append(seen, c)
		bags = append(bags, bagDER(oid.BagCertificate, id, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, oid.BagX509Certificate)
				b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(c.Raw)
				})
			})
		}))
	}
	for _, id := range ids {
		add(id.Certificate, id)
	}
	for _, id := range ids {
		for _, c := range id.Chain {
			add(c, nil)
		}
	}
	return bags
}

func (e *pkcs12Encoder) keyBags(ids []*Identity) ([][]byte, error) {
	if len(ids) == 0 || len(ids) > MaxItems {
		return nil, fmt.Errorf("%d identities, want 1 to %d", len(ids), MaxItems)
	}
	var bags [][]byte
	for _, id := range ids {
		if id.Certificate != nil && !matches(id.Certificate, Public(id.Key)) {
			return nil, errors.New("the certificate is not that of the private key")
		}
		plain, err := MarshalPrivateKey(id.Key)
		if err != nil {
			return nil, err
		}
		shrouded, err := encryptKeyInfo(e.passphrase, plain, e.encryption)
		clear(plain)
		if err != nil {
			return nil, err
		}
		bags = append(bags, bagDER(oid.BagShroudedKey, id, func(b *cryptobyte.Builder) { b.AddBytes(shrouded) }))
	}
	return bags, nil
}

// bagDER writes a SafeBag; id, which may be nil, gives the attributes.
func bagDER(kind oid.OID, id *Identity, value func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, kind)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), value)
		if attrs := attributesOf(id); len(attrs) > 0 {
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(attrs, nil)) })
		}
	})
	return b.BytesOrPanic() // sizes are bounded and OIDs are constants
}

// attributesOf returns the attributes in DER order (X.690 §11.6).
func attributesOf(id *Identity) (attrs [][]byte) {
	if id == nil {
		return nil
	}
	if id.Label != "" {
		attrs = append(attrs, attributeDER(oid.AttrFriendlyName, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.Tag(30), func(b *cryptobyte.Builder) { // BMPString
				for _, unit := range utf16.Encode([]rune(id.Label)) {
					b.AddUint16(unit)
				}
			})
		}))
	}
	if id.Certificate != nil {
		// Any octets that tie key and certificate together; OpenSSL and
		// Windows take the fingerprint.
		sum := sha1.Sum(id.Certificate.Raw)
		attrs = append(attrs, attributeDER(oid.AttrLocalKeyID, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum[:]) }))
	}
	slices.SortFunc(attrs, bytes.Compare)
	return attrs
}

func attributeDER(id oid.OID, value func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, id)
		b.AddASN1(asn1.SET, value)
	})
	return b.BytesOrPanic() // as in bagDER
}

func sequenceOf(elements [][]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(elements, nil)) })
	return b.Bytes()
}

// dataContent writes ContentInfo of type data.
func dataContent(content []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.Data)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(content)
		})
	})
	return b.Bytes()
}

// encryptedContent writes ContentInfo of type encryptedData (RFC 5652, Section 8).
func (e *pkcs12Encoder) encryptedContent(content []byte) ([]byte, error) {
	alg, ciphertext, err := e.passphrase.Encrypt(e.encryption.rand, e.encryption.scheme, e.encryption.iterations, content)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.EncryptedData)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					alg.Add(b)
					b.AddASN1(asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(ciphertext) })
				})
			})
		})
	})
	return b.Bytes()
}
