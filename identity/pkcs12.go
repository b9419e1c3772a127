package identity

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
)

// maxSafeDepth bounds SafeContents inside SafeContents (RFC 7292, Section
// 4.2.6). Nothing in use nests them at all.
const maxSafeDepth = 8

// PKCS12 is the content of a PKCS #12 file.
type PKCS12 struct {
	// Identities has an entry for each key and each of its certificates.
	Identities []*Identity
	// Certificates are all certificates of the file, in order.
	Certificates []*cert.Certificate
	// Authenticated tells that a MAC under the passphrase covers the file.
	// Without one, anybody may have changed or added certificates and keys.
	Authenticated bool
	// Skipped says which keys and certificates were left out, and why: an
	// algorithm that is not known, a certificate that cannot be read.
	Skipped []error
}

// DecodePKCS12 reads a PKCS #12 file in DER or BER (RFC 7292). It calls
// passphrase at most once, and only when something is protected; nil stands for
// the empty passphrase. The MAC is checked before the rest is looked at.
func DecodePKCS12(data []byte, passphrase func() ([]byte, error)) (*PKCS12, error) {
	d := &pkcs12Decoder{asker: newAsker(passphrase)}
	if err := d.decode(data); err != nil {
		return nil, fmt.Errorf("PKCS #12: %w", err)
	}
	out := &PKCS12{Authenticated: d.authenticated, Skipped: d.skipped}
	for _, c := range d.certs {
		out.Certificates = append(out.Certificates, c.certificate)
	}
	for _, k := range d.keys {
		out.Identities = append(out.Identities, join(k.key, d.label(k), out.Certificates)...)
	}
	return out, nil
}

// asker asks for the passphrase when it is needed, and once.
type asker struct {
	ask        func() ([]byte, error)
	passphrase *pbe.Passphrase
}

func newAsker(ask func() ([]byte, error)) *asker { return &asker{ask: ask} }

func (a *asker) get() (*pbe.Passphrase, error) {
	if a.passphrase != nil {
		return a.passphrase, nil
	}
	var text []byte
	if a.ask != nil {
		var err error
		if text, err = a.ask(); err != nil {
			return nil, err
		}
	}
	a.passphrase = pbe.NewPassphrase(text)
	clear(text)
	return a.passphrase, nil
}

// pkcs12Decoder gathers what the bags of one file hold.
type pkcs12Decoder struct {
	asker         *asker
	authenticated bool
	locked        bool // leave alone what needs a passphrase
	items         int
	keys          []keyBag
	certs         []certBag
	skipped       []error
}

type keyBag struct {
	key crypto.PrivateKey
	attributes
}

type certBag struct {
	certificate *cert.Certificate
	attributes
}

// label is the key's friendlyName, or that of the certificate which names the
// same localKeyID: Java names only the key, OpenSSL often only the certificate.
func (d *pkcs12Decoder) label(k keyBag) string {
	if k.friendlyName != "" || k.localKeyID == nil {
		return k.friendlyName
	}
	for _, c := range d.certs {
		if bytes.Equal(c.localKeyID, k.localKeyID) {
			return c.friendlyName
		}
	}
	return ""
}

// pfx is PFX of RFC 7292, Section 4.
type pfx struct {
	content []byte // the AuthenticatedSafe, which the MAC covers
	mac     *pbe.MAC
}

func (d *pkcs12Decoder) decode(data []byte) error {
	p, err := parsePFX(data)
	if err != nil {
		return err
	}
	if p.mac != nil && !d.locked {
		pass, err := d.asker.get()
		if err != nil {
			return err
		}
		if err := pass.Verify(*p.mac, p.content); err != nil {
			return fmt.Errorf("MAC: %w", err)
		}
		d.authenticated = true
	}
	return d.authenticatedSafe(p.content)
}

func parsePFX(data []byte) (*pfx, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrLimit, len(data), MaxSize)
	}
	der, err := ber.DER(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	var version int
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&version) || version != 3 {
		return nil, fmt.Errorf("%w: not a PFX of version 3", ErrMalformed)
	}
	contentType, content, err := readContentInfo(&seq)
	if err != nil {
		return nil, fmt.Errorf("authSafe: %w", err)
	}
	switch contentType {
	case oid.Data:
	case oid.SignedData:
		// RFC 7292, Section 3.1: public-key integrity mode. Nobody writes it.
		return nil, fmt.Errorf("%w: file authenticated by a signature", ErrUnsupported)
	default:
		return nil, fmt.Errorf("%w: authSafe of type %s", ErrMalformed, contentType.Name())
	}
	p := &pfx{}
	if p.content, err = readOctets(content); err != nil {
		return nil, fmt.Errorf("authSafe: %w", err)
	}
	if seq.Empty() {
		return p, nil
	}
	p.mac, err = readMAC(&seq)
	if err == nil && !seq.Empty() {
		err = fmt.Errorf("%w: data after the MAC", ErrMalformed)
	}
	return p, err
}

// readContentInfo reads ContentInfo (RFC 5652, Section 3). An absent content is
// an error here: every type that PKCS #12 knows has one.
func readContentInfo(s *cryptobyte.String) (oid.OID, cryptobyte.String, error) {
	var seq, content cryptobyte.String
	var contentType oid.OID
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !oid.Read(&seq, &contentType) ||
		!seq.ReadASN1(&content, asn1.Tag(0).ContextSpecific().Constructed()) || !seq.Empty() {
		return "", nil, fmt.Errorf("%w: ContentInfo", ErrMalformed)
	}
	return contentType, content, nil
}

func readOctets(s cryptobyte.String) ([]byte, error) {
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, asn1.OCTET_STRING) || !s.Empty() {
		return nil, fmt.Errorf("%w: content is not an octet string", ErrMalformed)
	}
	return octets, nil
}

// readMAC reads MacData (RFC 7292, Section 4).
func readMAC(s *cryptobyte.String) (*pbe.MAC, error) {
	var seq, digestInfo, value, salt cryptobyte.String
	m := &pbe.MAC{Iterations: 1} // the DEFAULT
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&digestInfo, asn1.SEQUENCE) ||
		!oid.ReadAlgorithm(&digestInfo, &m.Algorithm) ||
		!digestInfo.ReadASN1(&value, asn1.OCTET_STRING) || !digestInfo.Empty() ||
		!seq.ReadASN1(&salt, asn1.OCTET_STRING) {
		return nil, fmt.Errorf("%w: MacData", ErrMalformed)
	}
	if !seq.Empty() && (!seq.ReadASN1Integer(&m.Iterations) || !seq.Empty()) {
		return nil, fmt.Errorf("%w: MacData iterations", ErrMalformed)
	}
	m.Value, m.Salt = value, salt
	return m, nil
}

// authenticatedSafe reads AuthenticatedSafe (RFC 7292, Section 4.1).
func (d *pkcs12Decoder) authenticatedSafe(content []byte) error {
	der, err := ber.DER(content)
	if err != nil {
		return fmt.Errorf("AuthenticatedSafe: %w: %w", ErrMalformed, err)
	}
	s := cryptobyte.String(der)
	var safes cryptobyte.String
	if !s.ReadASN1(&safes, asn1.SEQUENCE) || !s.Empty() {
		return fmt.Errorf("AuthenticatedSafe: %w", ErrMalformed)
	}
	for n := 1; !safes.Empty(); n++ {
		if err := d.count(); err != nil {
			return err
		}
		contentType, content, err := readContentInfo(&safes)
		if err == nil {
			err = d.safe(contentType, content)
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", n, err)
		}
	}
	return nil
}

func (d *pkcs12Decoder) safe(contentType oid.OID, content cryptobyte.String) error {
	switch contentType {
	case oid.Data:
		octets, err := readOctets(content)
		if err != nil {
			return err
		}
		return d.safeContents(octets, 0)
	case oid.EncryptedData:
		alg, ciphertext, err := readEncryptedData(content)
		if err != nil || d.locked {
			return err
		}
		pass, err := d.asker.get()
		if err != nil {
			return err
		}
		plain, err := pass.Decrypt(alg, ciphertext)
		if err != nil {
			return err
		}
		return d.safeContents(plain, 0)
	case oid.EnvelopedData:
		d.skipped = append(d.skipped, fmt.Errorf("%w: part encrypted to a public key", ErrUnsupported))
		return nil
	}
	return fmt.Errorf("%w: content of type %s", ErrMalformed, contentType.Name())
}

// readEncryptedData reads EncryptedData (RFC 5652, Section 8).
func readEncryptedData(s cryptobyte.String) (alg oid.AlgorithmIdentifier, ciphertext []byte, err error) {
	var seq, info, element cryptobyte.String
	var version int
	var contentType oid.OID
	var tag asn1.Tag
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&version) ||
		!seq.ReadASN1(&info, asn1.SEQUENCE) || !oid.Read(&info, &contentType) || contentType != oid.Data ||
		!oid.ReadAlgorithm(&info, &alg) ||
		!info.ReadAnyASN1Element(&element, &tag) || !info.Empty() {
		return alg, nil, fmt.Errorf("%w: EncryptedData", ErrMalformed)
	}
	// [0] IMPLICIT OCTET STRING, which BER may break into pieces.
	if tag != asn1.Tag(0).ContextSpecific() && tag != asn1.Tag(0).ContextSpecific().Constructed() {
		return alg, nil, fmt.Errorf("%w: EncryptedData without content", ErrMalformed)
	}
	if ciphertext, err = ber.Octets(element); err != nil {
		return alg, nil, fmt.Errorf("%w: EncryptedData: %w", ErrMalformed, err)
	}
	return alg, ciphertext, nil
}

// count keeps the number of parts and bags within [MaxItems].
func (d *pkcs12Decoder) count() error {
	if d.items++; d.items > MaxItems {
		return fmt.Errorf("%w: more than %d items", ErrLimit, MaxItems)
	}
	return nil
}

// skip notes an item that cannot be used, unless the cause concerns the whole
// file: then it returns it.
func (d *pkcs12Decoder) skip(err error) error {
	if errors.Is(err, ErrPassphrase) || errors.Is(err, ErrLimit) {
		return err
	}
	d.skipped = append(d.skipped, err)
	return nil
}
