package pbe

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// DecryptPEM decrypts a PEM block whose headers say that it is encrypted
// (RFC 1423, as OpenSSL extended it): one round of MD5 stands between the
// passphrase and the key. Such keys are read and never written.
func (p *Passphrase) DecryptPEM(block *pem.Block) ([]byte, error) {
	der, err := x509.DecryptPEMBlock(block, p.text) //nolint:staticcheck // deprecated for being weak, which its files are
	switch {
	case err == nil && len(der) > 0 && der[0] == 0x30:
		return der, nil
	case err == nil || errors.Is(err, x509.IncorrectPasswordError):
		return nil, ErrPassphrase
	}
	return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
}
