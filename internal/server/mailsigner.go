package server

import (
	"bytes"
	"crypto"
	"fmt"
	"os"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/smime"
)

// MailSigner reads what checked settings say that mails are signed with: a key
// whose certificate signs and names the sender.
func MailSigner(settings *config.Settings, credentials string) (*cms.Signer, error) {
	from, err := mailbox.Parse(settings.Mail.From)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	path, err := settings.Mail.Signature.File.Path(credentials)
	if err != nil {
		return nil, fmt.Errorf("mail.signature.file: %w", err)
	}
	file, err := os.ReadFile(path) // not as a secret's text, of which a last line end is no part
	if err != nil {
		return nil, fmt.Errorf("mail.signature.file: %w", err)
	}
	passphrase, err := settings.Mail.Signature.Passphrase.Read(credentials)
	if err != nil {
		return nil, fmt.Errorf("mail.signature.passphrase: %w", err)
	}
	p12, err := identity.DecodePKCS12(file, func() ([]byte, error) { return passphrase, nil })
	if err != nil {
		return nil, fmt.Errorf("mail.signature.file: %w", err)
	}
	for _, id := range p12.Identities {
		key, signs := id.Key.(crypto.Signer)
		if !signs || id.Certificate == nil || !id.Certificate.CanSign() {
			continue
		}
		for _, address := range id.Certificate.Emails() {
			if m, err := mailbox.Parse(address); err == nil && m.Equal(from) {
				return &cms.Signer{Key: key, Certificate: id.Certificate, Chain: id.Chain}, nil
			}
		}
	}
	return nil, fmt.Errorf("mail.signature.file: no certificate in it signs for %s: ask for one with mailseal id request", from)
}

// signMail signs a mail, as long as the certificate is valid: a signature that
// warns its reader would teach people to overlook warnings.
func (s *system) signMail(signer *cms.Signer) func(message []byte, at time.Time) ([]byte, error) {
	return func(message []byte, at time.Time) ([]byte, error) {
		if c := signer.Certificate; at.Before(c.NotBefore) || at.After(c.NotAfter) {
			s.Log.Error("mail not signed: the certificate of mail.signature is not valid now", "until", c.NotAfter)
			return message, nil
		}
		var signed bytes.Buffer
		err := smime.Sign(&signed, bytes.NewReader(message), int64(len(message)), &smime.SignOptions{Signers: []*cms.Signer{signer}, Time: at})
		return signed.Bytes(), err
	}
}
