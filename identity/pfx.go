package identity

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
)

// maxSafeDepth bounds SafeContents inside SafeContents (RFC 7292, Section
// 4.2.6). Nothing in use nests them at all.
const maxSafeDepth = 8

// pfx is PFX of RFC 7292, Section 4.
type pfx struct {
	content []byte // the AuthenticatedSafe, which the MAC covers
	mac     *pbe.MAC
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

// visitor is shown what an AuthenticatedSafe holds, in order.
type visitor interface {
	// part begins a part; e is nil when it is not encrypted. What is encrypted
	// it decrypts, or leaves alone by returning nil.
	part(e *encryptedPart) (safeContents []byte, err error)
	bag(b *safeBag) error
}

type encryptedPart struct {
	algorithm   oid.AlgorithmIdentifier
	ciphertext  []byte
	toPublicKey bool // EnvelopedData; the other fields are empty
}

// walk shows an AuthenticatedSafe (RFC 7292, Section 4.1) to v.
func walk(content []byte, v visitor) error {
	der, err := ber.DER(content)
	if err != nil {
		return fmt.Errorf("AuthenticatedSafe: %w: %w", ErrMalformed, err)
	}
	s := cryptobyte.String(der)
	var parts cryptobyte.String
	if !s.ReadASN1(&parts, asn1.SEQUENCE) || !s.Empty() {
		return fmt.Errorf("AuthenticatedSafe: %w", ErrMalformed)
	}
	w := &walker{visitor: v}
	for n := 1; !parts.Empty(); n++ {
		if err := w.count(); err != nil {
			return err
		}
		contentType, content, err := readContentInfo(&parts)
		if err == nil {
			err = w.part(contentType, content)
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", n, err)
		}
	}
	return nil
}

type walker struct {
	visitor visitor
	items   int
}

// count keeps the number of parts and bags within [MaxItems].
func (w *walker) count() error {
	if w.items++; w.items > MaxItems {
		return fmt.Errorf("%w: more than %d items", ErrLimit, MaxItems)
	}
	return nil
}

func (w *walker) part(contentType oid.OID, content cryptobyte.String) error {
	var e *encryptedPart
	var plain []byte
	var err error
	switch contentType {
	case oid.Data:
		plain, err = readOctets(content)
	case oid.EncryptedData:
		e, err = readEncryptedData(content)
	case oid.EnvelopedData:
		e = &encryptedPart{toPublicKey: true}
	default:
		err = fmt.Errorf("%w: content of type %s", ErrMalformed, contentType.Name())
	}
	if err != nil {
		return err
	}
	decrypted, err := w.visitor.part(e)
	if err != nil {
		return err
	}
	if e != nil {
		plain = decrypted
	}
	if plain == nil {
		return nil
	}
	return w.safeContents(plain, 0)
}

// readEncryptedData reads EncryptedData (RFC 5652, Section 8).
func readEncryptedData(s cryptobyte.String) (*encryptedPart, error) {
	var seq, info, element cryptobyte.String
	var version int
	var contentType oid.OID
	var tag asn1.Tag
	e := &encryptedPart{}
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&version) ||
		!seq.ReadASN1(&info, asn1.SEQUENCE) || !oid.Read(&info, &contentType) || contentType != oid.Data ||
		!oid.ReadAlgorithm(&info, &e.algorithm) ||
		!info.ReadAnyASN1Element(&element, &tag) || !info.Empty() {
		return nil, fmt.Errorf("%w: EncryptedData", ErrMalformed)
	}
	// [0] IMPLICIT OCTET STRING, which BER may break into pieces.
	if tag != asn1.Tag(0).ContextSpecific() && tag != asn1.Tag(0).ContextSpecific().Constructed() {
		return nil, fmt.Errorf("%w: EncryptedData without content", ErrMalformed)
	}
	var err error
	if e.ciphertext, err = ber.Octets(element); err != nil {
		return nil, fmt.Errorf("%w: EncryptedData: %w", ErrMalformed, err)
	}
	return e, nil
}

// safeContents reads SafeContents (RFC 7292, Section 4.2).
func (w *walker) safeContents(content []byte, depth int) error {
	if depth > maxSafeDepth {
		return fmt.Errorf("%w: SafeContents nested more than %d deep", ErrLimit, maxSafeDepth)
	}
	der, err := ber.DER(content)
	if err != nil {
		return fmt.Errorf("SafeContents: %w: %w", ErrMalformed, err)
	}
	s := cryptobyte.String(der)
	var bags cryptobyte.String
	if !s.ReadASN1(&bags, asn1.SEQUENCE) || !s.Empty() {
		return fmt.Errorf("SafeContents: %w", ErrMalformed)
	}
	for n := 1; !bags.Empty(); n++ {
		if err := w.count(); err != nil {
			return err
		}
		b, err := readBag(&bags)
		switch {
		case err != nil:
		case b.id == oid.BagSafeContents:
			err = w.safeContents(b.value, depth+1)
		default:
			err = w.visitor.bag(b)
		}
		if err != nil {
			return fmt.Errorf("bag %d: %w", n, err)
		}
	}
	return nil
}
