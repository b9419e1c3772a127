package inspect

import (
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/oid"
)

// errNoPassphrase stands for a passphrase that nobody can give; it never leaves
// this package.
var errNoPassphrase = errors.New("encrypted")

// opened is read with the passphrase if there is one to be had.
func (o *Options) ask(encrypted *bool) func() ([]byte, error) {
	return func() ([]byte, error) {
		*encrypted = true
		if o.Passphrase == nil {
			return nil, errNoPassphrase
		}
		return o.Passphrase()
	}
}

func pkcs12(data []byte, o *Options) (*Report, error) {
	summary, err := identity.DescribePKCS12(data)
	if err != nil {
		return nil, err
	}
	r := &Report{Kind: "pkcs12"}
	var encrypted bool
	p, err := identity.DecodePKCS12(data, o.ask(&encrypted))
	r.add("encrypted", encrypted)
	r.add("mac", summary.MAC)
	r.add("structure", structure(summary))
	if errors.Is(err, errNoPassphrase) {
		r.add("note", "what is inside is shown with its passphrase")
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.add("authenticated", p.Authenticated)
	for _, i := range p.Identities {
		r.Parts = append(r.Parts, keyReport(i))
	}
	for _, c := range p.Certificates {
		r.Parts = append(r.Parts, certificate(c))
	}
	r.add("skipped", texts(p.Skipped))
	return r, nil
}

// structure has a line for each part of the file and each bag that is in sight.
func structure(s *identity.PKCS12Summary) (list []string) {
	for i, part := range s.Parts {
		if part.Encryption != "" {
			list = append(list, fmt.Sprintf("part %d: %s", i+1, part.Encryption))
		}
		for _, bag := range part.Bags {
			line := fmt.Sprintf("part %d: %s", i+1, bag.Type)
			if bag.Encryption != "" {
				line += ", " + bag.Encryption
			}
			list = append(list, line)
		}
	}
	return list
}

// privateKey explains a key of any form that identity reads. The key itself is not
// shown.
func privateKey(data []byte, o *Options) (*Report, error) {
	var encrypted bool
	found, err := identity.Read(data, o.ask(&encrypted))
	if errors.Is(err, errNoPassphrase) {
		r := &Report{Kind: "private key"}
		r.add("encrypted", true)
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r := keyReport(found[0])
	r.add("encrypted", encrypted)
	return r, nil
}

// publicKey explains a SubjectPublicKeyInfo.
func publicKey(data []byte) (*Report, error) {
	key, err := cert.ParsePublicKey(data)
	if err != nil {
		return nil, err
	}
	r := &Report{Kind: "public key"}
	r.add("key", KeyName(key, oid.AlgorithmIdentifier{}))
	return r, nil
}

func keyReport(i *identity.Identity) *Report {
	r := &Report{Kind: "private key"}
	r.add("label", i.Label)
	r.add("key", KeyName(identity.Public(i.Key), oid.AlgorithmIdentifier{}))
	if i.Certificate != nil {
		r.add("certificate_sha256", i.Certificate.SHA256())
	}
	return r
}
