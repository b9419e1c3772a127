package main

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/smime"
)

// library does the four tasks in this process, on messages in memory.
type library struct {
	letter            []byte
	signed, encrypted []byte // made by sign and encrypt
	id                *identity.Identity
	root              []*cert.Certificate
}

func (b *bench) library() (*library, error) {
	l := &library{}
	var files [3][]byte
	for i, name := range []string{"letter.eml", "alice.both", "root.pem"} {
		var err error
		if files[i], err = os.ReadFile(b.path(name)); err != nil {
			return nil, err
		}
	}
	l.letter = files[0]
	ids, err := identity.Read(files[1], nil)
	if err != nil {
		return nil, err
	}
	l.id = ids[0]
	l.root, err = cert.ParseAll(files[2])
	return l, err
}

func (l *library) sign() error {
	var out bytes.Buffer
	err := smime.Sign(&out, bytes.NewReader(l.letter), int64(len(l.letter)), &smime.SignOptions{
		Signers: []*cms.Signer{{Key: l.id.Key.(crypto.Signer), Certificate: l.id.Certificate}}, Time: time.Now(),
	})
	l.signed = out.Bytes()
	return err
}

func (l *library) encrypt() error {
	to, err := cms.NewRecipient(l.id.Certificate, nil)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	err = smime.Encrypt(&out, bytes.NewReader(l.letter), int64(len(l.letter)), &smime.EncryptOptions{
		Recipients: []*cms.Recipient{to}, Cipher: cms.AES256CBC,
	})
	l.encrypted = out.Bytes()
	return err
}

func (l *library) verify() error {
	m, err := l.open(l.signed)
	if err != nil {
		return err
	}
	if m.Verdict.Verdict != smime.Valid {
		return fmt.Errorf("verdict %s", m.Verdict.Verdict)
	}
	return errors.Join(m.WriteContent(io.Discard), m.Close())
}

func (l *library) decrypt() error {
	m, err := l.open(l.encrypted)
	if err != nil {
		return err
	}
	return errors.Join(m.WriteContent(io.Discard), m.Close())
}

func (l *library) open(message []byte) (*smime.Message, error) {
	return smime.Open(bytes.NewReader(message), int64(len(message)), &smime.OpenOptions{
		Keys:    []*cms.RecipientKey{{Key: l.id.Key, Certificate: l.id.Certificate}},
		Anchors: l.root, At: time.Now(),
	})
}
