package vectors_test

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/smime"
	"github.com/mailseal/mailseal/test/vectors"
)

// message is what a published message must come to.
type message struct {
	want    string   // of opened
	content []string // files, any of which is the content
	err     error
}

const (
	lamps   = "lamps-wg/"
	rust    = "rustcrypto/cms/tests/examples/"
	pyca    = "pyca-vectors/vectors/cryptography_vectors/pkcs7/"
	ossl    = "openssl/test/recipes/80-test_cms_data/"
	example = "rfc4134/ExContent.bin"
)

// messages are all in the sets. Where nothing tells what comes of one, the
// sentence is what OpenSSL says too.
var messages = map[string]message{
	lamps + "cms-kyber/example/ML-KEM-512.cms":             {want: "authEnvelopedData with aes-128-gcm for kemri", content: []string{lamps + "cms-kyber/example/plaintext.txt"}},
	lamps + "cms-ml-dsa/examples/mldsa44-signed-attrs.pem": {want: "signedData, ML-DSA-44 right"},
	lamps + "cms-ml-dsa/examples/mldsa65-signed-attrs.pem": {want: "signedData, ML-DSA-65 right"},
	lamps + "cms-ml-dsa/examples/mldsa87-signed-attrs.pem": {want: "signedData, ML-DSA-87 right"},

	"rfc4134/3.1.bin":  {want: "data"},
	"rfc4134/3.2.bin":  {want: "data"},
	"rfc4134/4.1.bin":  {want: "signedData, dsaWithSHA1 right"},
	"rfc4134/4.2.bin":  {want: "signedData, RSA with SHA-1 right", content: []string{example}},
	"rfc4134/4.3.bin":  {want: "signedData, dsaWithSHA1 right"},
	"rfc4134/4.4.bin":  {want: "signedData, dsaWithSHA1 right"},
	"rfc4134/4.5.bin":  {want: "signedData, RSA with SHA-1 right", content: []string{example}},
	"rfc4134/4.6.bin":  {want: "signedData, dsaWithSHA1 right, dsaWithSHA1 right"},
	"rfc4134/4.7.bin":  {want: "signedData, dsaWithSHA1 right"},
	"rfc4134/4.10.bin": {want: "signedData, dsaWithSHA1 right"},
	"rfc4134/4.11.bin": {want: "signedData with 2 certificates, nobody signs"},
	"rfc4134/5.1.bin":  {want: "envelopedData with des-ede3-cbc for ktri", content: []string{example}},
	"rfc4134/5.2.bin":  {want: "envelopedData with rc2-cbc for ktri kekri", content: []string{example}},
	"rfc4134/6.0.bin":  {want: "digestedData with sha1", content: []string{example}},
	"rfc4134/7.1.bin":  {want: "encryptedData with des-ede3-cbc", content: []string{example}},
	"rfc4134/7.2.bin":  {want: "encryptedData with des-ede3-cbc", content: []string{example}},

	rust + "1.3.6.1.4.1.22554.5.6.1_ML-KEM-512-ipd_kemri_auth.der":                    {want: "authEnvelopedData with aes-256-gcm for kemri", err: cms.ErrNoRecipient},
	rust + "1.3.6.1.4.1.22554.5.6.1_ML-KEM-512-ipd_kemri_id-alg-hkdf-with-sha256.der": {want: "envelopedData with aes-256-cbc for kemri", err: cms.ErrNoRecipient},
	rust + "1.3.6.1.4.1.22554.5.6.1_ML-KEM-512-ipd_kemri_ukm.der":                     {want: "envelopedData with aes-256-cbc for kemri", err: cms.ErrNoRecipient},
	rust + "apple_mdm_signature_der.bin":                                              {want: "signedData"},
	rust + "authroot.stl":                                                             {want: "signedData"},
	rust + "certData.bin":                                                             {want: "data"},
	rust + "cms_ber.bin":                                                              {want: "signedData, ECDSA with SHA-256 right"},
	rust + "cms_der.bin":                                                              {want: "signedData, ECDSA with SHA-256 right"},
	rust + "compressed_data.bin":                                                      {want: "compressedData", content: []string{rust + "data.txt"}},
	rust + "digested_data.bin":                                                        {want: "digestedData with sha1", content: []string{rust + "data.txt"}},
	rust + "encrypted_data.bin":                                                       {want: "encryptedData with aes-128-cbc", content: []string{rust + "data.txt"}},
	rust + "enveloped_data_kari.bin":                                                  {want: "envelopedData with aes-256-cbc for kari", err: cms.ErrNoRecipient},
	rust + "enveloped_data_kekri.bin":                                                 {want: "envelopedData with aes-128-cbc for kekri", content: []string{rust + "data.txt"}},
	rust + "enveloped_data_ktri.bin":                                                  {want: "envelopedData with aes-256-cbc for ktri", err: cms.ErrNoRecipient},
	rust + "enveloped_data_multi.bin":                                                 {want: "envelopedData with aes-256-cbc for ktri kari kekri pwri", content: []string{rust + "data.txt"}},
	rust + "enveloped_data_pwri.bin":                                                  {want: "envelopedData with aes-128-cbc for pwri", content: []string{rust + "data.txt"}},
	rust + "keyEncryptedData.bin":                                                     {want: "encryptedData with pbeWithSHA1RC240"},
	rust + "kms_ciphertext_for_recipient_1.ber":                                       {want: "envelopedData with aes-256-cbc for ktri", err: cms.ErrNoRecipient},
	rust + "kms_ciphertext_for_recipient_2.ber":                                       {want: "envelopedData with aes-256-cbc for ktri", err: cms.ErrNoRecipient},
	rust + "kms_ciphertext_for_recipient_3.ber":                                       {want: "envelopedData with aes-256-cbc for ktri", err: cms.ErrNoRecipient},
	rust + "kms_ciphertext_for_recipient_4.ber":                                       {want: "envelopedData with aes-256-cbc for ktri", err: cms.ErrNoRecipient},
	rust + "pkits.p7b":                                                                {want: "signedData with 2 certificates, nobody signs"},
	rust + "pkits_ee.p7b":                                                             {want: "signedData with 1 certificates, nobody signs"},
	rust + "scep_der.bin":                                                             {want: "signedData, RSA with SHA-256 right"},
	rust + "sd.cms":                                                                   {want: "signedData, RSA with SHA-256 right"},

	pyca + "amazon-roots.p7b": {want: "signedData with 2 certificates, nobody signs"},
	pyca + "isrg.pem":         {want: "signedData with 1 certificates, nobody signs"},
	pyca + "enveloped.pem":    {want: "envelopedData with des-ede3-cbc for ktri ktri", err: cms.ErrNoRecipient},

	ossl + "bad_signtime_attr.cms": {want: "signedData, RSA with SHA-256 wrong", err: cms.ErrSignature},
	ossl + "ct_multiple_attr.cms":  {want: "signedData, RSA with SHA-256 wrong", err: cms.ErrSignature},
	ossl + "no_ct_attr.cms":        {want: "signedData, RSA with SHA-256 wrong", err: cms.ErrSignature},
	ossl + "no_md_attr.cms":        {want: "signedData, RSA with SHA-256 wrong", err: cms.ErrSignature},
	ossl + "pkcs7-md4.pem":         {want: "signedData, rsaEncryption right"},
}

// unsupportedMessages: no algorithm or form of ours.
var unsupportedMessages = map[string]string{
	"rfc4134/4.1.bin":                    "DSA",
	"rfc4134/4.[3467].bin":               "DSA",
	"rfc4134/4.10.bin":                   "DSA",
	rust + "apple_mdm_signature_der.bin": "content that is no octet string (PKCS #7 alone has it, RFC 5652 §5.2.1)",
	rust + "authroot.stl":                "content that is no octet string (PKCS #7 alone has it, RFC 5652 §5.2.1)",
	rust + "keyEncryptedData.bin":        "PKCS #12 encryption, which identity reads in its place",
	ossl + "pkcs7-md4.pem":               "MD4",
}

// TestMessages opens every CMS message of the sets with the keys that are there.
func TestMessages(t *testing.T) {
	dir := vectors.Dir(t, "")
	s := vectors.NewSuite(t, unsupportedMessages)
	m := keyring(t, dir)
	for name, want := range messages {
		raw := vectors.Read(t, dir, name)
		if block, _ := pem.Decode(raw); block != nil {
			raw = block.Bytes
		}
		with := *m
		switch path.Base(name) {
		case "4.3.bin":
			with.detached = vectors.Read(t, dir, example)
		case "7.1.bin", "7.2.bin": // RFC 4134 §7.1 names the key
			with.contentKey = unhex(t, "737c791f25ead0e04629254352f7dc6291e5cb26917ada32")
		}
		s.Check(name, want.check(t, dir, &with, raw))
	}
}

func (want *message) check(t *testing.T, dir string, m *material, raw []byte) error {
	got, err := m.open(raw)
	if !errors.Is(err, want.err) || want.err == nil && err != nil {
		return fmt.Errorf("%s: error %w, want %v", got, err, want.err)
	}
	if got.String() != want.want {
		return fmt.Errorf("%s, want %s", got, want.want)
	}
	for _, file := range want.content {
		if !bytes.Equal(lf(got.content), lf(vectors.Read(t, dir, file))) {
			return fmt.Errorf("content %q, want that of %s", got.content, file)
		}
	}
	return nil
}

// lf undoes what OpenSSL does to text.
func lf(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyring is every key that the sets have for their messages, and the
// certificates of signers that are in other files.
func keyring(t *testing.T, dir string) *material {
	t.Helper()
	m := &material{contentKey: unhex(t, "0102030405060708090a0b0c0d0e0f00")} // as in the sources of RustCrypto, with what follows
	m.keys = append(m.keys,
		&cms.RecipientKey{KEK: m.contentKey, KEKID: unhex(t, "deadbeef")},
		&cms.RecipientKey{Passphrase: []byte("password")})
	for key, certificate := range map[string]string{
		"rfc4134/BobPrivRSAEncrypt.pri":                  "rfc4134/BobRSASignByCarl.cer",
		lamps + "cms-kyber/example/ML-KEM-512-seed.priv": lamps + "cms-kyber/example/ML-KEM-512.pem",
		rust + "rsa_sk.pkcs1.pem":                        rust + "cert.pem",
		"openssl/test/smime-certs/smec3.pem":             "openssl/test/smime-certs/smec3.pem",
	} {
		ids, err := identity.Read(vectors.Read(t, dir, key), nil)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		m.keys = append(m.keys, &cms.RecipientKey{Key: ids[0].Key, Certificate: certificates(t, dir, certificate)[0]})
	}
	for _, set := range []string{"44", "65", "87"} {
		m.certificates = append(m.certificates, certificates(t, dir, lamps+"dilithium-certificates/examples/ML-DSA-"+set+".crt")...)
	}
	return m
}

func certificates(t *testing.T, dir, name string) []*cert.Certificate {
	t.Helper()
	list, err := cert.ParseAll(vectors.Read(t, dir, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return list
}

// TestMails opens the mails of the sets as a mail program does.
func TestMails(t *testing.T) {
	dir := vectors.Dir(t, "")
	s := vectors.NewSuite(t, map[string]string{"rfc4134/4.[89].eml": "DSA"})
	then := time.Date(2002, 9, 6, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]mail{
		"rfc4134/4.8.eml":                  {smime.StatusWeak, "This is some sample content.", then},
		"rfc4134/4.9.eml":                  {smime.StatusWeak, "This is some sample content.", then},
		"rfc4134/5.3.eml":                  {"", "This is some sample content.", then},
		ossl + "ciphertext_from_1_1_1.cms": {"", "Somewhat longer test content for OpenSSL CMS utility", then.AddDate(20, 0, 0)},
		"openssl/test/smime-eml/SignedInvalidMappingFromanyPolicyTest7.eml": {smime.StatusAddressMismatch, "This is a sample signed message.", then.AddDate(15, 0, 0)},
	} {
		s.Check(name, want.check(vectors.Read(t, dir, name), keyring(t, dir).keys))
	}
}

type mail struct {
	status  smime.Status // of the only signer; empty for none
	content string
	at      time.Time
}

func (want *mail) check(raw []byte, keys []*cms.RecipientKey) error {
	m, err := smime.Open(bytes.NewReader(raw), int64(len(raw)), &smime.OpenOptions{Keys: keys, At: want.at, WithoutAttributes: true})
	if err != nil {
		return err
	}
	defer m.Close()
	var out strings.Builder
	if err := m.WriteContent(&out); err != nil {
		return err
	}
	var status smime.Status
	for _, signer := range m.Verdict.Signers {
		status = signer.Status
	}
	if status != want.status || !strings.Contains(out.String(), want.content) {
		return fmt.Errorf("%s (%+v): %q", m.Verdict.Verdict, m.Verdict.Signers, out.String())
	}
	return nil
}
