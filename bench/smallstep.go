package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/smallstep/pkcs7"
)

// smallstep is the PKCS #7 package that most Go programs use. Its GCM is no
// message that others read (it lies in EnvelopedData), and it encrypts with what
// a global says.
func (b *bench) smallstep(c cell, input []byte) (func() error, error) {
	content, err := os.ReadFile(b.path("content"))
	if err != nil {
		return nil, err
	}
	name := "rsa"
	if c.signs() {
		name = c.variant
	}
	own, err := b.certificates(name + ".pem")
	if err != nil {
		return nil, err
	}
	keyDER, err := os.ReadFile(b.path(name + ".key"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(keyDER)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	to, err := b.certificates(fmt.Sprintf("to%d.pem", c.recipients))
	if err != nil {
		return nil, err
	}
	roots, err := b.certificates("root.pem")
	if err != nil {
		return nil, err
	}
	issuing, err := b.certificates("issuing.pem")
	if err != nil {
		return nil, err
	}
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC
	if c.variant == "gcm" {
		pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256GCM
	}
	sign := func(detached bool) ([]byte, error) {
		s, err := pkcs7.NewSignedData(content)
		if err != nil {
			return nil, err
		}
		s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := s.AddSigner(own[0], key.(crypto.Signer), pkcs7.SignerInfoConfig{}); err != nil {
			return nil, err
		}
		s.AddCertificate(issuing[0])
		if detached {
			s.Detach()
		}
		return s.Finish()
	}
	switch c.task {
	case "sign":
		return func() error { _, err := sign(true); return err }, nil
	case "encrypt":
		return func() error { _, err := pkcs7.Encrypt(content, to); return err }, nil
	case "seal":
		return func() error {
			signed, err := sign(false)
			if err != nil {
				return err
			}
			_, err = pkcs7.Encrypt(signed, to)
			return err
		}, nil
	case "verify":
		pool := x509.NewCertPool()
		pool.AddCert(roots[0])
		return func() error {
			m, err := pkcs7.Parse(input)
			if err != nil {
				return err
			}
			m.Content = content
			return m.VerifyWithChain(pool)
		}, nil
	}
	if c.variant == "gcm" { // it does not know AuthEnvelopedData: let it read its own
		if input, err = pkcs7.Encrypt(content, to); err != nil {
			return nil, err
		}
	}
	return func() error {
		m, err := pkcs7.Parse(input)
		if err != nil {
			return err
		}
		_, err = m.Decrypt(own[0], key)
		return err
	}, nil
}

func (b *bench) certificates(name string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(b.path(name))
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
