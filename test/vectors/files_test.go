package vectors_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/test/vectors"
)

const (
	explicit = "elliptic curve that is spelled out, so that the sender chooses it (CVE-2020-0601)"
	certs    = "openssl/test/certs/"
	smimes   = "openssl/test/smime-certs/"
	pyca509  = "pyca-vectors/vectors/cryptography_vectors/x509/"
	rust509  = "rustcrypto/x509-cert/tests/examples/"
)

// unsupportedFiles have algorithms that are none of ours, or are no files of
// ours at all.
var unsupportedFiles = map[string]string{
	certs + "c[ae]-*-ec-explicit.pem#0":                          explicit,
	certs + "ee-*-ec-explicit.pem#0":                             explicit,
	pyca509 + "custom/ec_no_named_curve.pem#0":                   explicit,
	certs + "dh[kp]2048.pem#0":                                   "Diffie-Hellman",
	smimes + "smdh.pem#[01]":                                     "Diffie-Hellman",
	certs + "grfc.pem#0":                                         "GOST",
	certs + "root-cert-rsa2.pem#0":                               "RSA under the identifier of X.509 (1988), 2.5.8.1.1",
	certs + "server-dsa-*.pem#0":                                 "DSA",
	smimes + "smdsa?.pem#[01]":                                   "DSA",
	pyca509 + "custom/dsa_selfsigned_ca.pem#0":                   "DSA",
	pyca509 + "requests/dsa_sha1.*":                              "DSA",
	"rfc4134/*DSS*[rei]":                                         "DSA",
	certs + "server-ecdsa-brainpoolP256r1-*.pem#0":               "brainpool",
	certs + "sm2*":                                               "SM2",
	smimes + "smec2.pem#[01]":                                    "sect283k1",
	pyca509 + "custom/unsupported_subject_public_key_info.pem#0": "a key algorithm that there is not",
	pyca509 + "requests/rsa_md4.*":                               "MD4",
	rust509 + "*.ta":                                             "trust anchors of RFC 5914",
	rust + "signer_info_*.bin":                                   "a SignerInfo alone, in no message",
	rust + "authroot.stl.sd":                                     "a SignedData alone, with content that is no octet string",
}

// refusedFiles must not be read.
var refusedFiles = map[string]string{
	smimes + "badrsa.pem#0":                          "an RSA modulus that is even",
	pyca509 + "custom/invalid_version.pem#0":         "a certificate of version 8",
	pyca509 + "requests/invalid_signature.pem#0":     "a wrong signature",
	pyca509 + "requests/challenge-invalid.der":       "a wrong signature",
	pyca509 + "requests/two_basic_constraints.pem#0": "an extension twice",
}

// TestFiles reads whatever the sets have beside messages: certificates, keys,
// requests, revocation lists and OCSP. What is compared with other readers, and what
// must be refused, is in the tests of cert and identity; here nothing may be
// left over.
func TestFiles(t *testing.T) {
	dir := vectors.Dir(t, "")
	s := vectors.NewSuite(t, unsupportedFiles)
	for _, name := range vectors.Files(t, dir) {
		if !isMessage(name) && !elsewhere(name) && !isText(name) {
			readFile(s, name, vectors.Read(t, dir, name))
		}
	}
}

func isMessage(name string) bool {
	_, ok := messages[name]
	return ok || name == ossl+"ciphertext_from_1_1_1.cms" || path.Ext(name) == ".eml"
}

// elsewhere tells what other tests run: Wycheproof's files, PKCS #12 in
// identity, the bad keys too.
func elsewhere(name string) bool {
	return strings.HasPrefix(name, "wycheproof/") || strings.HasPrefix(name, "go-pkcs12/") || strings.HasPrefix(path.Base(name), "bad-ML-") ||
		path.Ext(name) == ".p12" || path.Ext(name) == ".pfx"
}

func isText(name string) bool {
	switch path.Ext(name) {
	case ".txt", ".md", ".cnf", ".srl", ".keyid", ".BSD", ".APACHE", ".utf8", ".msb", ".sct", ".tlssct":
		return true
	}
	return strings.HasPrefix(path.Base(name), "LICENSE") || path.Base(name) == "README" || name == example
}

func readFile(s *vectors.Suite, name string, data []byte) {
	n := 0
	for rest := data; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		check(s, fmt.Sprintf("%s#%d", name, n), readBlock(block.Type, block))
	}
	if n == 0 {
		check(s, name, readBinary(data))
	}
}

func check(s *vectors.Suite, name string, err error) {
	if why, refused := refusedFiles[name]; refused && err == nil {
		err = errors.New("is read, and has " + why)
	} else if refused {
		err = nil
	}
	s.Check(name, err)
}

func readBlock(kind string, block *pem.Block) error {
	switch kind {
	case "TRUSTED CERTIFICATE": // behind it, what OpenSSL is told to trust it for
		in := cryptobyte.String(block.Bytes)
		var first cryptobyte.String
		var tag asn1.Tag
		if !in.ReadAnyASN1Element(&first, &tag) {
			return errors.New("no certificate")
		}
		return readCertificate(first)
	case "CERTIFICATE", "X509 CERTIFICATE":
		return readCertificate(block.Bytes)
	case "X509 CRL":
		_, err := cert.ParseCRL(block.Bytes)
		return err
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		_, err := cert.ParseRequest(block.Bytes)
		return err
	case "PUBLIC KEY":
		_, err := cert.ParsePublicKey(block.Bytes)
		return err
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		if kind == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil // nobody says the passphrase
		}
		_, err := identity.ParsePrivateKey(block.Bytes)
		return err
	}
	return fmt.Errorf("PEM block %q", kind)
}

// readBinary tries every reader; the file says what it is by parsing.
func readBinary(der []byte) error {
	failed := readCertificate(der)
	if failed == nil || errors.Is(failed, errKey) {
		return failed
	}
	_, crl := cert.ParseCRL(der)
	_, request := cert.ParseRequest(der)
	_, public := cert.ParsePublicKey(der)
	_, private := identity.ParsePrivateKey(der)
	_, question := cert.ParseOCSPRequest(der)
	_, answer := cert.ParseOCSPResponse(der)
	if crl == nil || request == nil || public == nil || private == nil || question == nil || answer == nil {
		return nil
	}
	return errors.Join(failed, crl, request, public, private, question, answer)
}

var errKey = errors.New("public key")

// readCertificate wants its key, too.
func readCertificate(der []byte) error {
	c, err := cert.Parse(der)
	if err == nil && c.PublicKey == nil {
		return fmt.Errorf("%w of algorithm %s %v", errKey, c.SPKIAlgorithm.Algorithm.Name(), c.Defects)
	}
	return err
}
