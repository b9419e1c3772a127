package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"time"
)

// floors measures what nothing that does these tasks with Go's libraries can do
// without: each in CPU time, per octet for the first group and per operation for
// the second.
func (b *bench) floors() error {
	const size = 16 * mib
	data, out := make([]byte, size), make([]byte, 2*size)
	random, err := os.Open("/dev/urandom")
	if err != nil {
		return err
	}
	_, err = io.ReadFull(random, data)
	if err = errors.Join(err, random.Close()); err != nil {
		return err
	}
	block, err := aes.NewCipher(data[:32])
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.AppendEncode(nil, data)
	for name, f := range map[string]func() error{
		"read":          func() error { return b.readFile(out[:256*kib]) },
		"write":         func() error { return b.writeFile(data) },
		"base64 encode": func() error { base64.StdEncoding.Encode(out, data); return nil },
		"base64 decode": func() error { _, err := base64.StdEncoding.Decode(out, text[:size]); return err },
		"sha256":        func() error { sha256.Sum256(data); return nil },
		"cbc encrypt":   func() error { cipher.NewCBCEncrypter(block, data[:16]).CryptBlocks(out[:size], data); return nil },
		"cbc decrypt":   func() error { cipher.NewCBCDecrypter(block, data[:16]).CryptBlocks(out[:size], data); return nil },
		"gcm":           func() error { aead.Seal(out[:0], data[:12], data, nil); return nil },
	} {
		if err := b.floor(name, size, f); err != nil {
			return err
		}
	}
	for name, f := range b.operations {
		if err := b.floor(name, 1, f); err != nil {
			return err
		}
	}
	return nil
}

// keyOperations are those of Go's own packages alone.
func keyOperations() (map[string]func() error, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("bench"))
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, digest[:])
	if err != nil {
		return nil, err
	}
	signed, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return nil, err
	}
	ecSigned, err := ecdsa.SignASN1(rand.Reader, ec, digest[:])
	if err != nil {
		return nil, err
	}
	return map[string]func() error{
		"rsa sign":    func() error { _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); return err },
		"rsa verify":  func() error { return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signed) },
		"rsa encrypt": func() error { _, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, digest[:]); return err },
		"rsa decrypt": func() error {
			return rsa.DecryptPKCS1v15SessionKey(rand.Reader, key, sealed, make([]byte, 32))
		},
		"p256 sign": func() error { _, err := ecdsa.SignASN1(rand.Reader, ec, digest[:]); return err },
		"p256 verify": func() error {
			if !ecdsa.VerifyASN1(&ec.PublicKey, digest[:], ecSigned) {
				return errors.New("wrong signature")
			}
			return nil
		},
	}, nil
}

// floor keeps the best of several times, divided by n.
func (b *bench) floor(name string, n int64, f func() error) error {
	var best result
	for range 8 {
		run, err := repeat(f)
		if err != nil {
			return err
		}
		best.add(run)
	}
	b.results.Floors[name] = float64(best.CPU) / float64(n)
	return nil
}

func (b *bench) readFile(buf []byte) error {
	f, err := os.Open(b.path("floor"))
	if errors.Is(err, os.ErrNotExist) {
		if err := b.writeFile(make([]byte, 16*mib)); err != nil {
			return err
		}
		f, err = os.Open(b.path("floor"))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
	return err
}

// writeFile writes a file that is not there yet, as the programs do.
func (b *bench) writeFile(data []byte) error {
	_ = os.Remove(b.path("floor"))
	f, err := os.Create(b.path("floor"))
	if err != nil {
		return err
	}
	for ; len(data) > 0 && err == nil; data = data[min(len(data), 256*kib):] {
		_, err = f.Write(data[:min(len(data), 256*kib)])
	}
	return errors.Join(err, f.Close())
}

// repeat runs f for at least a tenth of a second and returns the time of one.
func repeat(f func() error) (result, error) {
	n := 0
	used, begin := cpu(), time.Now()
	for time.Since(begin) < 100*time.Millisecond {
		if err := f(); err != nil {
			return result{}, err
		}
		n++
	}
	return result{CPU: (cpu() - used) / time.Duration(n), Wall: time.Since(begin) / time.Duration(n), Runs: n}, nil
}

// base64Growth is how much longer base64 in lines of 76 is.
const base64Growth = 78.0 / 57

// stages are the octets, as a multiple of the content's, that go through each
// stage of a task, and the key operations.
func (c cell) stages() (octets, operations map[string]float64) {
	octets, operations = map[string]float64{"read": 1}, map[string]float64{}
	n := float64(c.recipients)
	armor := 1.0
	if c.form == "mail" {
		armor = base64Growth
	}
	cipher := func(direction string) string {
		if c.variant == "gcm" {
			return "gcm"
		}
		return "cbc " + direction
	}
	switch c.task {
	case "sign":
		octets["sha256"], operations[c.variant+" sign"] = 1, 1
		if c.form == "mail" {
			octets["write"] = 1
		}
	case "verify":
		octets["sha256"], operations[c.variant+" verify"] = 1, 1
	case "open":
		octets["sha256"], octets["write"], operations[c.variant+" verify"] = 1, 1, 1
	case "encrypt":
		octets[cipher("encrypt")], octets["write"], operations["rsa encrypt"] = 1, armor, n
		if c.form == "mail" {
			octets["base64 encode"] = 1
		}
	case "decrypt":
		octets["read"], octets[cipher("decrypt")], octets["write"], operations["rsa decrypt"] = armor, 1, 1, 1
		if c.form == "mail" {
			octets["base64 decode"] = armor
		}
	case "seal": // in mail the signed entity is base64 too, inside
		octets["sha256"], octets["cbc encrypt"], octets["write"] = 1, armor, armor*armor
		operations["rsa sign"], operations["rsa encrypt"] = 1, n
		if c.form == "mail" {
			octets["base64 encode"] = 1 + armor
		}
	}
	if c.where == "library" {
		delete(octets, "read")
		delete(octets, "write")
	}
	return octets, operations
}

// floor is the sum of the stages' times.
func (r *results) floor(c cell) time.Duration {
	octets, operations := c.stages()
	var ns float64
	for name, share := range octets {
		ns += r.Floors[name] * share * float64(c.size)
	}
	for name, count := range operations {
		ns += r.Floors[name] * count
	}
	return time.Duration(ns)
}

// keyOperation names the one key operation of a short message; "" for other cells.
func (c cell) keyOperation() string {
	_, operations := c.stages()
	if c.size > 4*kib || len(operations) != 1 {
		return ""
	}
	for name, count := range operations {
		if count == 1 {
			return name
		}
	}
	return ""
}
