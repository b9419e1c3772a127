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
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/smime"
)

// library measures packages in this process, on messages in memory.
func (b *bench) library(all []cell) error {
	for _, c := range all {
		if b.results.Cells[c.String()] != nil {
			continue
		}
		if err := b.inProcess(c); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		if err := b.results.save(); err != nil {
			return err
		}
	}
	return nil
}

// keyAlone is the contestant of short messages that only uses a key.
const keyAlone = "key alone"

func (b *bench) inProcess(c cell) error {
	if err := b.writeContent(c.size); err != nil {
		return err
	}
	l, err := b.newOurs(c)
	if err != nil {
		return err
	}
	contestants := map[string]func() error{}
	if contestants["mailseal"], err = l.task(c); err != nil {
		return err
	}
	if c.form == "cms" {
		if contestants["smallstep/pkcs7"], err = b.smallstep(c, l.input); err != nil {
			return err
		}
	}
	if key := c.keyOperation(); key != "" { // in the same minute: a machine is not always as fast
		contestants[keyAlone] = b.operations[key]
	}
	measured := map[string]*result{}
	rounds := 3
	if c.size <= 4*kib {
		rounds = 8
	}
	for range rounds {
		for name, f := range contestants {
			if f == nil {
				continue
			}
			run, err := repeat(f)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if measured[name] == nil {
				measured[name] = &result{}
			}
			measured[name].add(run)
		}
	}
	b.results.Cells[c.String()] = measured
	fmt.Fprintf(os.Stderr, "%-52s %s\n", c, summary(measured))
	return nil
}

// ours is this module's packages at work.
type ours struct {
	content    []byte
	input      []byte // of verify and decrypt
	signer     *cms.Signer
	key        *cms.RecipientKey
	root       []*cert.Certificate
	recipients []*cms.Recipient
}

func (b *bench) newOurs(c cell) (*ours, error) {
	name := "letter.eml"
	if c.form == "cms" {
		name = "content"
	}
	key := "rsa"
	if c.signs() {
		key = c.variant
	}
	var files [4][]byte
	for i, name := range []string{name, key + ".both", "root.pem", fmt.Sprintf("to%d.pem", c.recipients)} {
		var err error
		if files[i], err = os.ReadFile(b.path(name)); err != nil {
			return nil, err
		}
	}
	ids, err := identity.Read(files[1], nil)
	if err != nil {
		return nil, err
	}
	l := &ours{content: files[0], key: &cms.RecipientKey{Key: ids[0].Key, Certificate: ids[0].Certificate}}
	l.signer = &cms.Signer{Key: ids[0].Key.(crypto.Signer), Certificate: ids[0].Certificate, Chain: ids[0].Chain}
	if l.root, err = cert.ParseAll(files[2]); err != nil {
		return nil, err
	}
	certs, err := cert.ParseAll(files[3])
	if err != nil {
		return nil, err
	}
	for _, c := range certs {
		r, err := cms.NewRecipient(c, nil)
		if err != nil {
			return nil, err
		}
		l.recipients = append(l.recipients, r)
	}
	return l, nil
}

// task returns what is repeated, with its input made.
func (l *ours) task(c cell) (func() error, error) {
	write, read := l.mail(c), l.openMail(c)
	if c.form == "cms" {
		write, read = l.raw(c), l.openRaw(c)
	}
	if maker := c.maker(); maker != nil {
		var out bytes.Buffer
		made := l.mail(*maker)
		if c.form == "cms" {
			made = l.raw(*maker)
		}
		if err := made(&out); err != nil {
			return nil, err
		}
		l.input = out.Bytes()
		return read, nil
	}
	out := bytes.NewBuffer(make([]byte, 0, len(l.content)*2+1<<19))
	return func() error { out.Reset(); return write(out) }, nil
}

func ciphers(variant string) cms.Cipher {
	if variant == "gcm" {
		return cms.AES256GCM
	}
	return cms.AES256CBC
}

func (l *ours) raw(c cell) func(io.Writer) error {
	encrypt := func(dst io.Writer, length int64) (io.WriteCloser, error) {
		return cms.Encrypt(dst, l.recipients, &cms.EncryptOptions{Cipher: ciphers(c.variant), Length: length, HasLength: length >= 0, Indefinite: length < 0})
	}
	sign := func(dst io.Writer, detached bool) (io.WriteCloser, error) {
		return cms.Sign(dst, []*cms.Signer{l.signer}, &cms.SignOptions{Detached: detached, Indefinite: !detached, Time: time.Now()})
	}
	return func(dst io.Writer) error {
		var outer, w io.WriteCloser
		var err error
		switch c.task {
		case "sign":
			w, err = sign(dst, true)
		case "encrypt":
			w, err = encrypt(dst, int64(len(l.content)))
		case "seal":
			if outer, err = encrypt(dst, -1); err == nil {
				w, err = sign(outer, false)
			}
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(l.content); err != nil {
			return err
		}
		if err := w.Close(); err != nil || outer == nil {
			return err
		}
		return outer.Close()
	}
}

func (l *ours) openRaw(c cell) func() error {
	var known cert.Cache
	return func() error {
		r, err := cms.NewReader(bytes.NewReader(l.input), nil)
		if err != nil {
			return err
		}
		var src io.Reader
		if c.task == "verify" { // the signature alone: the chain is known
			src, err = r.SignedData(&cms.SignedOptions{Content: bytes.NewReader(l.content), ParseCertificate: known.Parse})
		} else {
			src, err = r.EnvelopedData([]*cms.RecipientKey{l.key})
		}
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{src}, make([]byte, min(max(len(l.input), 8<<10), 256<<10)))
		return err
	}
}

func (l *ours) mail(c cell) func(io.Writer) error {
	s := &smime.SignOptions{Signers: []*cms.Signer{l.signer}, Time: time.Now()}
	e := &smime.EncryptOptions{Recipients: l.recipients, Cipher: ciphers(c.variant)}
	return func(dst io.Writer) error {
		src, size := bytes.NewReader(l.content), int64(len(l.content))
		switch c.task {
		case "sign":
			return smime.Sign(dst, src, size, s)
		case "encrypt":
			return smime.Encrypt(dst, src, size, e)
		}
		return smime.Seal(dst, src, size, s, e)
	}
}

// openMail verifies the chain too, whose signatures it knows after the first
// time, as programs do that open many mails.
func (l *ours) openMail(cell) func() error {
	known := &certpath.Known{}
	return func() error {
		m, err := smime.Open(bytes.NewReader(l.input), int64(len(l.input)), &smime.OpenOptions{
			Keys: []*cms.RecipientKey{l.key}, Anchors: l.root, At: time.Now(), Known: known,
			Spool: func() (smime.Spool, error) { return &memory{}, nil },
		})
		if err != nil {
			return err
		}
		if v := m.Verdict.Verdict; v != smime.Valid && v != smime.Unsigned {
			return fmt.Errorf("verdict %s", v)
		}
		return errors.Join(m.WriteContent(io.Discard), m.Close())
	}
}

// memory is a spool without smime's limit.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) { m.b = append(m.b, p...); return len(p), nil }

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }

func (m *memory) Close() error { return nil }
