package enrollment

import (
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/validation"
)

// Whose form a file has where nobody said what imports it.
const anyClient = "any"

// newFile writes a PKCS #12 file under a passphrase that it makes, with 142
// random bits: then 10,000 iterations are enough (SECURITY.md, row 38).
func (s *Service) newFile(ids []*identity.Identity, client string) (file, passphrase []byte, err error) {
	code, err := validation.NewCode(s.o.Rand)
	if err != nil {
		return nil, nil, err
	}
	file, err = s.encode(ids, []byte(code), client)
	return file, []byte(code), err
}

func (s *Service) encode(ids []*identity.Identity, passphrase []byte, client string) ([]byte, error) {
	form, known := identity.PKCS12FormFor(client)
	if !known {
		return nil, fmt.Errorf("%w: client %q: no form of PKCS #12 is known for it", ErrOptions, client)
	}
	o := form.Options
	o.Rand, o.Iterations = s.o.Rand, identity.GeneratedIterations
	return identity.EncodePKCS12(ids, passphrase, &o)
}

// identityOf joins a key with what was issued for it.
func identityOf(key crypto.Signer, i registration.Issued, label string) *identity.Identity {
	return &identity.Identity{Key: key, Certificate: i.Certificate, Chain: i.Chain, Label: label}
}

// sealKey is a private key as it is kept until its certificate has come.
func (s *Service) sealKey(orderID string, key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("enrollment: encode key: %w", err)
	}
	defer clear(der)
	return s.sealer.Seal("key", orderID, der)
}

func (s *Service) openKey(orderID string, sealed []byte) (crypto.Signer, error) {
	der, err := s.sealer.Open("key", orderID, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("enrollment: kept key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("enrollment: a kept %T cannot sign", key)
	}
	return signer, nil
}
