package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openssl runs the program and returns everything that it wrote.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(need(t, "openssl"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// opened is a PKCS #12 file as OpenSSL took it apart.
type opened struct {
	info string // what `openssl pkcs12 -info` says of its algorithms, between the lines of all else
	keys string // PEM
	leaf *x509.Certificate
	key  any
	file string
}

// openPKCS12 opens the file with its passphrase and has OpenSSL verify the
// certificate for S/MIME, over the chain in the file, to the root.
func openPKCS12(t *testing.T, file, passphrase string, root []byte) opened {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pass := "file:" + write("pass", []byte(passphrase))
	info := openssl(t, "pkcs12", "-in", file, "-passin", pass, "-nodes", "-info")
	keys := openssl(t, "pkcs12", "-in", file, "-passin", pass, "-nodes", "-nocerts")
	leaf := openssl(t, "pkcs12", "-in", file, "-passin", pass, "-nokeys", "-clcerts")
	chain := openssl(t, "pkcs12", "-in", file, "-passin", pass, "-nokeys", "-cacerts")
	o := opened{info: info, keys: keys, file: file}
	var err error
	if o.leaf, err = x509.ParseCertificate(block(t, leaf, "CERTIFICATE")); err != nil {
		t.Fatal(err)
	}
	purposes := []string{"smimesign", "smimeencrypt"}
	if o.leaf.PublicKeyAlgorithm == x509.ECDSA {
		// OpenSSL wants keyEncipherment for smimeencrypt, which RFC 8550 §4.4.2
		// does not give to a key that agrees on keys.
		purposes = purposes[:1]
	}
	for _, purpose := range purposes {
		openssl(t, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", write("root.pem", root),
			"-untrusted", write("chain.pem", []byte(chain)), write("leaf.pem", []byte(leaf)))
	}
	if o.key, err = x509.ParsePKCS8PrivateKey(block(t, keys, "PRIVATE KEY")); err != nil {
		t.Fatal(err)
	}
	return o
}

func block(t *testing.T, text, kind string) []byte {
	t.Helper()
	rest := []byte(text)
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			t.Fatalf("no %s in:\n%s", kind, text)
		}
		if b.Type == kind {
			return b.Bytes
		}
	}
}

// secrets are the numbers of a private key that nobody else may see.
func secrets(t *testing.T, key any) [][]byte {
	t.Helper()
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return [][]byte{k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes(), k.Precomputed.Qinv.Bytes()}
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{d}
	}
	t.Fatalf("unexpected key %T", key)
	return nil
}

// holds tells whether a request body has the secret: as it is, or as text. A
// quarter of it is enough to be found out, and no less than 16 octets, of which
// some characters of base64 are left that no other text has by chance.
func holds(body, secret []byte) bool {
	size := max(len(secret)/4, 16)
	for _, part := range [][]byte{secret[:size], secret[len(secret)/2:][:size]} {
		forms := [][]byte{part, []byte(hex.EncodeToString(part)), []byte(strings.ToUpper(hex.EncodeToString(part)))}
		for shift := range 3 { // base64 looks different at each offset
			padded := append(make([]byte, shift), part...)
			text := base64.RawStdEncoding.EncodeToString(padded)
			inner := text[4 : len(text)-4]
			forms = append(forms, []byte(inner), []byte(strings.NewReplacer("+", "-", "/", "_").Replace(inner)))
		}
		for _, form := range forms {
			if bytes.Contains(body, form) {
				return true
			}
		}
	}
	return false
}
