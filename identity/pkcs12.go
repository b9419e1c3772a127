package identity

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
)

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
	return decodePKCS12(data, newAsker(passphrase))
}

func decodePKCS12(data []byte, a *asker) (*PKCS12, error) {
	d := &pkcs12Decoder{asker: a}
	if err := d.decode(data); err != nil {
		return nil, fmt.Errorf("PKCS #12: %w", err)
	}
	out := &PKCS12{Authenticated: d.authenticated, Skipped: d.skipped}
	for _, c := range d.certs {
		out.Certificates = append(out.Certificates, c.certificate)
	}
	for _, k := range d.keys {
		out.Identities = append(out.Identities, JoinAll(k.key, d.label(k), out.Certificates)...)
	}
	return out, nil
}

// asker asks for the passphrase when it is needed, and once.
type asker struct {
	ask        func() ([]byte, error)
	asked      bool
	answer     []byte
	passphrase *pbe.Passphrase
}

func newAsker(ask func() ([]byte, error)) *asker { return &asker{ask: ask} }

func (a *asker) get() (*pbe.Passphrase, error) {
	if a.passphrase != nil {
		return a.passphrase, nil
	}
	text, err := a.text()
	if err != nil {
		return nil, err
	}
	a.passphrase = pbe.NewPassphrase(text)
	return a.passphrase, nil
}

func (a *asker) text() ([]byte, error) {
	if !a.asked && a.ask != nil {
		answer, err := a.ask()
		if err != nil {
			return nil, err
		}
		a.answer = answer
	}
	a.asked = true
	return a.answer, nil
}

// pkcs12Decoder gathers what the bags of one file hold.
type pkcs12Decoder struct {
	asker         *asker
	authenticated bool
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

func (d *pkcs12Decoder) decode(data []byte) error {
	p, err := parsePFX(data)
	if err != nil {
		return err
	}
	if p.mac != nil {
		pass, err := d.asker.get()
		if err != nil {
			return err
		}
		if err := pass.Verify(*p.mac, p.content); err != nil {
			return fmt.Errorf("MAC: %w", err)
		}
		d.authenticated = true
	}
	return walk(p.content, d)
}

// part decrypts what is encrypted.
func (d *pkcs12Decoder) part(e *encryptedPart) ([]byte, error) {
	switch {
	case e == nil:
		return nil, nil
	case e.toPublicKey:
		d.skipped = append(d.skipped, fmt.Errorf("%w: part encrypted to a public key", ErrUnsupported))
		return nil, nil
	}
	pass, err := d.asker.get()
	if err != nil {
		return nil, err
	}
	return pass.Decrypt(e.algorithm, e.ciphertext)
}

func (d *pkcs12Decoder) bag(b *safeBag) error {
	switch b.id {
	case oid.BagKey:
		return d.key(b, ParsePrivateKey)
	case oid.BagShroudedKey:
		pass, err := d.asker.get()
		if err != nil {
			return err
		}
		return d.key(b, func(der []byte) (crypto.PrivateKey, error) { return decryptKeyInfo(pass, der) })
	case oid.BagCertificate:
		c, err := readCertificate(b.value)
		if err != nil {
			return d.skip(err)
		}
		d.certs = append(d.certs, certBag{c, b.attributes})
	}
	// CRL and secret bags, and types made up since, hold no identity.
	return nil
}

func (d *pkcs12Decoder) key(b *safeBag, parse func([]byte) (crypto.PrivateKey, error)) error {
	key, err := parse(b.value)
	if err != nil {
		return d.skip(err)
	}
	d.keys = append(d.keys, keyBag{key, b.attributes})
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
