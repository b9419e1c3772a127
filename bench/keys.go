package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// makeKeys writes the senders', and those of the other recipients, who share
// one key: encrypting to it costs the same.
func (b *bench) makeKeys() error {
	leaf, err := b.makeSenders()
	if err != nil {
		return err
	}
	if err := b.writeCrowd(leaf); err != nil {
		return err
	}
	return b.preparePeers()
}

// issue makes a certificate for a key.
type issue func(name string, public crypto.PublicKey, usage x509.KeyUsage) ([]byte, error)

// makeSenders writes a root, an issuing authority, and certificates of Alice with
// RSA-2048 and P-256.
func (b *bench) makeSenders() (issue, error) {
	rootKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bench Root"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	issuingKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, err
	}
	issuing := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Bench Issuing"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: root.KeyUsage,
	}
	issuingDER, err := x509.CreateCertificate(rand.Reader, issuing, root, issuingKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	for name, der := range map[string][]byte{"root.pem": rootDER, "issuing.pem": issuingDER} {
		if err := b.writePEM(name, "CERTIFICATE", der); err != nil {
			return nil, err
		}
	}
	serial := int64(2)
	leaf := func(name string, public crypto.PublicKey, usage x509.KeyUsage) ([]byte, error) {
		serial++
		return x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, EmailAddresses: []string{name + "@example.com"},
			NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 6, 0), KeyUsage: usage,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, BasicConstraintsValid: true,
		}, issuing, public, issuingKey)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	const both = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	for _, k := range []struct {
		name  string
		key   crypto.Signer
		usage x509.KeyUsage
	}{{"rsa", rsaKey, both}, {"p256", ecKey, x509.KeyUsageDigitalSignature}} {
		der, err := leaf("alice", k.key.Public(), k.usage)
		if err != nil {
			return nil, err
		}
		if err := b.writeIdentity(k.name, k.key, der, issuingDER); err != nil {
			return nil, err
		}
	}
	return leaf, nil
}

func (b *bench) writeIdentity(name string, key crypto.Signer, certificate, issuing []byte) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := b.writePEM(name+".pem", "CERTIFICATE", certificate); err != nil {
		return err
	}
	if err := b.writePEM(name+".key", "PRIVATE KEY", pkcs8); err != nil {
		return err
	}
	all := slices.Concat(armor("CERTIFICATE", certificate), armor("PRIVATE KEY", pkcs8), armor("CERTIFICATE", issuing))
	return os.WriteFile(b.path(name+".both"), all, 0o600)
}

// writeCrowd writes one file for each other recipient, and bundles that end with
// Alice.
func (b *bench) writeCrowd(leaf issue) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	alice, err := os.ReadFile(b.path("rsa.pem"))
	if err != nil {
		return err
	}
	var bundle bytes.Buffer
	for i := 1; i <= crowd; i++ {
		if i == 1 || i == 100 || i == crowd {
			if err := os.WriteFile(b.path(fmt.Sprintf("to%d.pem", i)), append(bundle.Bytes(), alice...), 0o600); err != nil {
				return err
			}
		}
		der, err := leaf(fmt.Sprintf("bob%d", i), key.Public(), x509.KeyUsageKeyEncipherment)
		if err != nil {
			return err
		}
		if err := b.writePEM(fmt.Sprintf("bob%d.pem", i), "CERTIFICATE", der); err != nil {
			return err
		}
		bundle.Write(armor("CERTIFICATE", der))
	}
	return nil
}

func armor(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (b *bench) writePEM(name, kind string, der []byte) error {
	return os.WriteFile(b.path(name), armor(kind, der), 0o600)
}

// must runs a program that prepares something.
func (b *bench) must(stdin string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdin = b.dir, bytes.NewReader([]byte(stdin))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", filepath.Base(program), args, err, out)
	}
	return nil
}
