package identity

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
)

// Read reads every private key of a file with the certificates that it brings:
// PKCS #12 (DER, BER or PEM), a PEM file of keys and certificates in any order,
// or a single key in DER. It calls passphrase at most once, and only when
// something is protected; nil stands for the empty passphrase. [ErrNoKey] means
// that there is no key in the file, as in one that holds only certificates, and
// [ErrNoMAC] a PKCS #12 file that nothing authenticates.
func Read(data []byte, passphrase func() ([]byte, error)) ([]*Identity, error) {
	return readAll(data, newAsker(passphrase))
}

func readAll(data []byte, a *asker) ([]*Identity, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrLimit, len(data), MaxSize)
	}
	r := &reader{asker: a}
	var err error
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		err = r.pem(data)
	} else {
		err = r.der(data)
	}
	if err != nil {
		return nil, err
	}
	ids := r.identities()
	if len(ids) == 0 {
		return nil, errors.Join(append([]error{fmt.Errorf("%w in the file", ErrNoKey)}, r.skipped...)...)
	}
	return ids, nil
}

// reader gathers what one file holds.
type reader struct {
	asker   *asker
	keys    []keyBag
	certs   []*cert.Certificate
	skipped []error
}

func (r *reader) identities() (ids []*Identity) {
	for _, k := range r.keys {
		ids = append(ids, JoinAll(k.key, k.friendlyName, r.certs)...)
	}
	return ids
}

func (r *reader) der(data []byte) error {
	der, err := ber.DER(data)
	if err != nil {
		return fmt.Errorf("%w: neither PEM nor BER: %w", ErrMalformed, err)
	}
	switch formOf(der) {
	case formPKCS12:
		return r.pkcs12(data)
	case formEncryptedPKCS8:
		pass, err := r.asker.get()
		if err != nil {
			return err
		}
		return r.key(decryptKeyInfo(pass, data))
	case formPKCS8, formPKCS1, formSEC1:
		return r.key(ParsePrivateKey(data))
	}
	if _, err := cert.ParseAll(data); err == nil {
		return nil // certificates alone: ErrNoKey
	}
	return fmt.Errorf("%w: neither a private key nor PKCS #12", ErrMalformed)
}

func (r *reader) key(key crypto.PrivateKey, err error) error {
	if err == nil {
		r.keys = append(r.keys, keyBag{key: key})
	}
	return err
}

func (r *reader) pkcs12(data []byte) error {
	d := &pkcs12Decoder{asker: r.asker}
	err := d.decode(data)
	if err == nil && !d.authenticated && len(d.keys) > 0 {
		err = ErrNoMAC
	}
	if err != nil {
		return fmt.Errorf("PKCS #12: %w", err)
	}
	for _, k := range d.keys {
		k.friendlyName = d.label(k)
		r.keys = append(r.keys, k)
	}
	for _, c := range d.certs {
		r.certs = append(r.certs, c.certificate)
	}
	r.skipped = append(r.skipped, d.skipped...)
	return nil
}

// pem reads textual encodings (RFC 7468) with whatever text stands between them.
func (r *reader) pem(data []byte) error {
	for n := 1; ; n++ {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if n > MaxItems {
			return fmt.Errorf("%w: more than %d PEM blocks", ErrLimit, MaxItems)
		}
		if err := r.block(block); err != nil {
			return fmt.Errorf("PEM block %d (%s): %w", n, block.Type, err)
		}
		data = rest
	}
	return nil
}

func (r *reader) block(block *pem.Block) error {
	switch {
	case block.Type == "CERTIFICATE", block.Type == "X509 CERTIFICATE":
		c, err := cert.Parse(block.Bytes)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		r.certs = append(r.certs, c)
	case block.Type == "PKCS7", block.Type == "CMS":
		certs, err := cert.ParseAll(block.Bytes)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		r.certs = append(r.certs, certs...)
	case block.Type == "PKCS12":
		return r.pkcs12(block.Bytes)
	case block.Type == "ENCRYPTED PRIVATE KEY":
		pass, err := r.asker.get()
		if err != nil {
			return err
		}
		return r.key(decryptKeyInfo(pass, block.Bytes))
	case strings.HasSuffix(block.Type, " PRIVATE KEY") && block.Headers["DEK-Info"] != "":
		return r.legacyKey(block)
	case block.Type == "PRIVATE KEY", strings.HasSuffix(block.Type, " PRIVATE KEY"):
		return r.key(ParsePrivateKey(block.Bytes))
	}
	// EC PARAMETERS, CERTIFICATE REQUEST, X509 CRL: no identity.
	return nil
}

// legacyKey reads a key encrypted by PEM headers (RFC 1421, Section 4.6.1.3),
// which OpenSSL wrote before 1.0.0 and writes still with -traditional. Weak as it
// is, such files are around.
func (r *reader) legacyKey(block *pem.Block) error {
	pass, err := r.asker.get()
	if err != nil {
		return err
	}
	der, err := pass.DecryptPEM(block)
	if err != nil {
		return err
	}
	return r.key(ParsePrivateKey(der))
}
