package identity

import (
	"fmt"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
)

// PKCS12Summary is what a PKCS #12 file shows without its passphrase.
type PKCS12Summary struct {
	// MAC says how the file is authenticated, "PKCS #12: HMAC-SHA-256, PKCS #12
	// with SHA-256, 2048 iterations, salt of 8 bytes"; empty when it is not.
	MAC   string
	Parts []PKCS12Part
}

// PKCS12Part is one part of the AuthenticatedSafe.
type PKCS12Part struct {
	// Encryption says how the part is encrypted, empty when it is not.
	Encryption string
	// Bags are the bags of a part that is not encrypted.
	Bags []PKCS12Bag
}

// PKCS12Bag is one bag: a key, a certificate.
type PKCS12Bag struct {
	Type       string // "pkcs8ShroudedKeyBag", "certBag", or dotted decimal
	Encryption string // of a pkcs8ShroudedKeyBag
	Label      string // friendlyName, as written
}

// DescribePKCS12 reads what a file shows without its passphrase, and verifies
// nothing. An algorithm that is not known is told as such.
func DescribePKCS12(data []byte) (*PKCS12Summary, error) {
	p, err := parsePFX(data)
	if err != nil {
		return nil, fmt.Errorf("PKCS #12: %w", err)
	}
	v := &summarizer{}
	if p.mac != nil {
		v.summary.MAC = describe(p.mac.Describe())
	}
	if err := walk(p.content, v); err != nil {
		return nil, fmt.Errorf("PKCS #12: %w", err)
	}
	return &v.summary, nil
}

// summarizer is a visitor without a passphrase.
type summarizer struct {
	summary PKCS12Summary
}

func (v *summarizer) part(e *encryptedPart) ([]byte, error) {
	var p PKCS12Part
	switch {
	case e == nil:
	case e.toPublicKey:
		p.Encryption = "to a public key"
	default:
		p.Encryption = describe(pbe.Describe(e.algorithm))
	}
	v.summary.Parts = append(v.summary.Parts, p)
	return nil, nil
}

func (v *summarizer) bag(b *safeBag) error {
	bag := PKCS12Bag{Type: b.id.Name(), Label: b.friendlyName}
	if b.id == oid.BagShroudedKey {
		e, err := readEncryptedKeyInfo(b.value)
		if err != nil {
			return err
		}
		bag.Encryption = describe(pbe.Describe(e.algorithm))
	}
	part := &v.summary.Parts[len(v.summary.Parts)-1]
	part.Bags = append(part.Bags, bag)
	return nil
}

func describe(i pbe.Info, err error) string {
	if err != nil {
		return err.Error()
	}
	return i.String()
}

// certificateLister is a visitor that gathers the certificates which are in
// clear text, and whether a key in the file claims them.
type certificateLister struct {
	certs []certBag
}

func (*certificateLister) part(*encryptedPart) ([]byte, error) { return nil, nil }

func (v *certificateLister) bag(b *safeBag) error {
	if b.id != oid.BagCertificate {
		return nil
	}
	c, err := readCertificate(b.value)
	if err == nil {
		v.certs = append(v.certs, certBag{c, b.attributes})
	}
	return nil // one that cannot be read is not listed; opening the file tells
}
