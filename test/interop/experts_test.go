package interop

import (
	"crypto"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// errNoOption: the peer's command line has no way to ask for it.
var errNoOption = errors.New("no option for it")

// majorMinor cuts a version to what decides the algorithms.
func majorMinor(t testing.TB, s string) string {
	t.Helper()
	v := regexp.MustCompile(`\d+\.\d+`).FindString(s)
	if v == "" {
		t.Fatalf("no version in %q", s)
	}
	return v
}

func (o *openssl) title(t testing.TB) string {
	t.Helper()
	out, err := call(t, o.dir, nil, nil, o.path, "version")
	if err != nil {
		t.Fatal(err)
	}
	return "OpenSSL " + majorMinor(t, string(out))
}

func (o *openssl) write(t testing.TB, a algorithm, p *party, content []byte) ([]byte, error) {
	t.Helper()
	args := []string{"cms", "-binary", "-outform", "DER"}
	switch a.form {
	case signedForm:
		cert, key, chain := o.files(t, p)
		args = append(args, "-sign", "-nodetach", "-signer", cert, "-inkey", key, "-certfile", chain)
		if a.digest != 0 {
			args = append(args, "-md", strings.ToLower(strings.Replace(a.digest.String(), "SHA-", "SHA", 1)))
		}
		if a.pss {
			args = append(args, "-keyopt", "rsa_padding_mode:pss")
		}
		return call(t, o.dir, content, nil, o.path, args...)
	case compressedForm:
		return call(t, o.dir, content, nil, o.path, append(args, "-compress")...)
	case digestedForm:
		md := strings.ToLower(strings.ReplaceAll(a.digest.String(), "-", ""))
		return call(t, o.dir, content, nil, o.path, append(args, "-digest_create", "-nodetach", "-md", md)...)
	case encryptedForm:
		args = append(args, "-EncryptedData_encrypt", "-"+a.cipher.String(), "-secretkey", hex.EncodeToString(sharedKey))
		return call(t, o.dir, content, nil, o.path, args...)
	case authenticatedForm:
		return nil, errNoOption
	}
	args = append(args, "-encrypt", "-"+a.cipher.String())
	switch a.form {
	case toPassphrase:
		args = append(args, "-pwri_password", secret)
	case toSharedKey:
		args = append(args, "-secretkey", hex.EncodeToString(sharedKey), "-secretkeyid", hex.EncodeToString(sharedKeyID))
	default:
		cert, _, _ := o.files(t, p)
		args = append(args, "-recip", cert)
		if a.digest != 0 {
			args = append(args, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:"+strings.ReplaceAll(strings.ToLower(a.digest.String()), "-", ""))
		}
	}
	return call(t, o.dir, content, nil, o.path, args...)
}

func (o *openssl) read(t testing.TB, a algorithm, p *party, message []byte) ([]byte, error) {
	t.Helper()
	switch a.form {
	case signedForm:
		return o.verify(t, message, nil)
	case compressedForm:
		return call(t, o.dir, message, nil, o.path, "cms", "-uncompress", "-binary", "-inform", "DER")
	case digestedForm:
		return call(t, o.dir, message, nil, o.path, "cms", "-digest_verify", "-binary", "-inform", "DER")
	case encryptedForm:
		return call(t, o.dir, message, nil, o.path, "cms", "-EncryptedData_decrypt", "-binary", "-inform", "DER", "-secretkey", hex.EncodeToString(sharedKey))
	case authenticatedForm:
		return nil, errNoOption
	case toPassphrase:
		return call(t, o.dir, message, nil, o.path, "cms", "-decrypt", "-binary", "-inform", "DER", "-pwri_password", secret)
	case toSharedKey:
		return call(t, o.dir, message, nil, o.path, "cms", "-decrypt", "-binary", "-inform", "DER", "-secretkey", hex.EncodeToString(sharedKey))
	}
	return o.decrypt(t, p, message)
}

func (g *gpgsm) title(t testing.TB) string {
	t.Helper()
	return "gpgsm " + majorMinor(t, string(g.must(t, nil, "--version")))
}

// write: gpgsm signs with PKCS #1 v1.5 and encrypts with RSA; the rest has no
// option, or no key that can be imported (see can).
func (g *gpgsm) write(t testing.TB, a algorithm, p *party, content []byte) ([]byte, error) {
	t.Helper()
	if a.kind != testca.RSA2048 || a.pss || a.form != signedForm && a.form != toCertificate || a.form == toCertificate && a.digest != 0 {
		return nil, errNoOption
	}
	if a.form == signedForm {
		name := strings.Replace(a.digest.String(), "SHA-", "SHA", 1)
		return g.unlocked(t, content, "--sign", "-u", p.email, "--digest-algo", name)
	}
	name, ok := map[cms.Cipher]string{cms.AES128CBC: "AES", cms.AES192CBC: "AES192", cms.AES256CBC: "AES256"}[a.cipher]
	if !ok {
		return nil, errNoOption
	}
	return g.run(t, content, "--encrypt", "--cipher-algo", name, "-r", p.email)
}

func (g *gpgsm) read(t testing.TB, a algorithm, p *party, message []byte) ([]byte, error) {
	t.Helper()
	switch {
	case a.form == signedForm:
		return g.verify(t, message, nil)
	case a.form == toCertificate && a.kind == testca.RSA2048:
		return g.decrypt(t, p, message)
	case a.form == toCertificate:
		return nil, errors.New("it cannot import the key")
	}
	return nil, errNoOption
}

// title: the programs of NSS do not say their version; Debian 12 has 3.87.
func (n *nss) title(testing.TB) string { return "NSS" }

func (n *nss) write(t testing.TB, a algorithm, p *party, content []byte) ([]byte, error) {
	t.Helper()
	put(t, n.dir, "content", content)
	switch {
	case a.form == signedForm && !a.pss && a.digest != 0 && strings.HasPrefix(a.digest.String(), "SHA-"):
		_, err := call(t, n.dir, nil, nil, n.cmsutil, "-S", "-d", "sql:.", "-N", p.name,
			"-H", strings.Replace(a.digest.String(), "SHA-", "SHA", 1), "-G", "-i", "content", "-o", "signed")
		if err != nil {
			return nil, err
		}
		return get(t, n.dir+"/signed"), nil
	case a.form == toCertificate && a.kind == testca.RSA2048 && a.digest == 0 && a.cipher == cms.AES128CBC:
		_, err := call(t, n.dir, nil, nil, n.cmsutil, "-E", "-d", "sql:.", "-i", "content", "-o", "encrypted", "-r", p.email)
		if err != nil {
			return nil, err
		}
		return get(t, n.dir+"/encrypted"), nil
	}
	return nil, errNoOption
}

func (n *nss) read(t testing.TB, a algorithm, p *party, message []byte) ([]byte, error) {
	t.Helper()
	switch a.form {
	case signedForm:
		return n.verify(t, message, nil)
	case toCertificate:
		return n.decrypt(t, p, message)
	}
	return nil, errNoOption
}

func (b *bouncyCastle) title(t testing.TB) string {
	t.Helper()
	out, err := b.ask(t, "version")
	if err != nil {
		t.Fatal(err)
	}
	return "Bouncy Castle " + majorMinor(t, string(out))
}

// signerName is the name of a signature algorithm in Java.
func signerName(a algorithm) string {
	digest := strings.Replace(a.digest.String(), "SHA-", "SHA", 1)
	switch {
	case a.digest == 0:
		return a.kind.String()
	case a.pss:
		return digest + "withRSAandMGF1"
	case isRSA(a.kind):
		return digest + "withRSA"
	}
	return digest + "withECDSA"
}

// material is what the driver calls the way to the recipient, and what it
// takes for it.
func (a algorithm) material(p *party) (string, []byte) {
	switch a.form {
	case toPassphrase:
		return "password", []byte(secret)
	case toSharedKey:
		return "kek", sharedKey
	}
	if a.digest != 0 {
		return "oaep-" + map[crypto.Hash]string{crypto.SHA256: "SHA-256", crypto.SHA512: "SHA-512"}[a.digest], p.leaf.Certificate.Raw
	}
	return way(a.kind), p.leaf.Certificate.Raw
}

func (b *bouncyCastle) write(t testing.TB, a algorithm, p *party, content []byte) ([]byte, error) {
	t.Helper()
	switch a.form {
	case signedForm:
		return b.ask(t, "sign", p.leaf.Certificate.Raw, pkcs8(t, p), []byte(signerName(a)), nil, content)
	case compressedForm:
		return b.ask(t, "compress", content)
	case authenticatedForm:
		return b.ask(t, "authenticate", p.leaf.Certificate.Raw, content)
	case digestedForm, encryptedForm:
		return nil, errNoOption
	}
	name, material := a.material(p)
	return b.ask(t, "encrypt", []byte(name), material, []byte(a.cipher), content)
}

func (b *bouncyCastle) read(t testing.TB, a algorithm, p *party, message []byte) ([]byte, error) {
	t.Helper()
	switch a.form {
	case signedForm:
		return b.verify(t, message, nil)
	case compressedForm:
		return b.ask(t, "expand", message)
	case digestedForm:
		return b.ask(t, "digested", message)
	case authenticatedForm:
		return b.ask(t, "authenticated", pkcs8(t, p), message)
	case encryptedForm:
		return nil, errNoOption
	}
	name, material := a.material(p)
	var key []byte
	if a.form == toCertificate {
		key = pkcs8(t, p)
	}
	return b.ask(t, "decrypt", []byte(name), material, key, message)
}

const preface = `# What mailseal exchanges with other software

Each row is an algorithm, each pair of columns a peer on Debian 12: whether it
*reads* what mailseal writes, and whether mailseal reads what it *writes*. A test
(test/interop, TestMatrix) fills the table from the live peers, and fails when
this page no longer says what came out. *yes* includes that the peer refuses a
message that was changed, where the algorithm can tell. *no* means that the peer
does not have the algorithm, or that its command line has no option for it.

`

const epilogue = `
Where nobody reads or writes, published vectors stand in (test/vectors):
Wycheproof for ML-KEM-768, ML-DSA, X25519 and X448, the working group's messages
for ML-KEM-512 (RFC 9936) and ML-DSA (RFC 9882). No message with SLH-DSA, X25519,
X448, ML-KEM-768 or ML-KEM-1024 was found that others wrote: what holds these is
the primitive's own vectors and the structure that they share with the rest.

What the peers say:

- OpenSSL 3.0 has no default digest for EdDSA in CMS and refuses SHA-512 beside
  it, which RFC 8419 demands. Debian builds it without zlib.
- gpgsm 2.2 names the P-521 and Ed25519 keys that signed, then fails with
  "Internal error". It fails at the nonce of AES-GCM ("Buffer too short"). EC keys
  end its import, so that it neither signs nor decrypts with them.
- NSS (cmsutil) takes no option for the cipher and none for RSA-PSS; key
  agreement came with NSS 3.100.
- OpenSSL has no AuthenticatedData. Of DigestedData Bouncy Castle has a reader
  alone, of EncryptedData classes for PKCS #12 alone.
- Bouncy Castle 1.72 opens AuthEnvelopedData with RSA keys alone. It writes
  ChaCha20-Poly1305 as EnvelopedData without the tag, which mailseal refuses
  (RFC 8103 §1 has AuthEnvelopedData). It knows neither the key agreement of
  RFC 8418 nor the final ML-KEM, ML-DSA and SLH-DSA.
`
