package issuance

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/signature"
)

// Issuer is an authority that can sign: its certificate, its key, and where
// its CRL and its certificate are served.
type Issuer struct {
	signer
	certificate    *cert.Certificate
	crlURL         string
	certificateURL string
	ocspURL        string
	partitions     int // of the CRL
}

// signer is a key with the scheme that it signs with.
type signer struct {
	key    crypto.Signer
	scheme signature.Scheme
}

func newSigner(key crypto.Signer) (signer, error) {
	scheme, err := signature.For(key.Public(), nil)
	return signer{key, scheme}, err
}

// NewIssuer joins an authority's certificate with its key. It refuses a key
// that is not the certificate's and a certificate that is no authority's.
func NewIssuer(c *cert.Certificate, key crypto.Signer, crlURL, certificateURL string) (*Issuer, error) {
	s, err := newSigner(key)
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", c.Subject, err)
	}
	spki, err := encodeKey(key.Public())
	switch {
	case err != nil:
		return nil, fmt.Errorf("issuer %s: %w", c.Subject, err)
	case !bytes.Equal(spki, c.RawSPKI):
		return nil, fmt.Errorf("issuer %s: the private key is not that of the certificate", c.Subject)
	case !c.BasicConstraints.CA || !c.Allows(cert.KeyUsageCertSign) || len(c.SubjectKeyID) == 0 || len(c.Defects) > 0:
		return nil, fmt.Errorf("issuer %s: the certificate is not an authority's", c.Subject)
	}
	if err := errors.Join(checkHTTP(crlURL), checkHTTP(certificateURL)); err != nil {
		return nil, fmt.Errorf("issuer %s: %w", c.Subject, err)
	}
	return &Issuer{s, c, crlURL, certificateURL, "", 1}, nil
}

// Certificate returns the authority's certificate.
func (is *Issuer) Certificate() *cert.Certificate { return is.certificate }

// Issue signs exactly the bytes that were prepared for this issuer, once.
func (is *Issuer) Issue(p *Prepared) (*cert.Certificate, error) {
	if p == nil || p.issuer != is {
		return nil, errors.New("issue certificate: nothing prepared, prepared for another issuer, or issued already")
	}
	p.issuer = nil
	c, err := is.sign(p.tbs)
	if err != nil {
		return nil, fmt.Errorf("issue certificate as %s: %w", is.certificate.Subject, err)
	}
	return c, nil
}

// sign makes a certificate and looks at it before anybody else does: a fault
// in an RSA signature would give the key away (Boneh, DeMillo, Lipton 1997).
func (s signer) sign(tbs []byte) (*cert.Certificate, error) {
	der, err := s.signDER(tbs)
	if err != nil {
		return nil, err
	}
	c, err := cert.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("read the signed certificate: %w", err)
	}
	if !bytes.Equal(c.RawTBS, tbs) {
		return nil, errors.New("the signed certificate is not what was prepared")
	}
	return c, nil
}

// signDER signs tbs and returns SEQUENCE { tbs, algorithm, signature }.
func (s signer) signDER(tbs []byte) ([]byte, error) {
	sig, err := s.signature(tbs)
	if err != nil {
		return nil, err
	}
	return signed(tbs, s.scheme.Algorithm, sig)
}

func (s signer) signature(tbs []byte) ([]byte, error) {
	sig, err := s.scheme.Sign(rand.Reader, s.key, tbs)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := s.scheme.Verify(s.key.Public(), tbs, sig); err != nil {
		return nil, fmt.Errorf("check our own signature: %w", err)
	}
	return sig, nil
}
