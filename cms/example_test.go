package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
)

// person makes a key and a certificate for it, as an authority would.
func person(name string) (crypto.Signer, *cert.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, EmailAddresses: []string{name + "@example.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cert.Parse(der)
	if err != nil {
		log.Fatal(err)
	}
	return key, c
}

// write closes what it has written to, for the message ends there.
func write(w io.WriteCloser, err error, content string) {
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleSign() {
	key, certificate := person("alice")
	var message bytes.Buffer
	w, err := cms.Sign(&message, []*cms.Signer{{Key: key, Certificate: certificate}}, nil)
	write(w, err, "let us meet at noon")

	r, err := cms.NewReader(&message, nil)
	if err != nil {
		log.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		log.Fatal(err)
	}
	content, err := io.ReadAll(s) // nil only if every signature is right
	if err != nil {
		log.Fatal(err)
	}
	// Who has signed is known now; whether to trust it is for package certpath.
	fmt.Printf("%s: %s\n", s.Signers()[0].Certificate.Emails(), content)
	// Output: [alice@example.com]: let us meet at noon
}

func ExampleEncrypt() {
	key, certificate := person("bob")
	bob, err := cms.NewRecipient(certificate, nil)
	if err != nil {
		log.Fatal(err)
	}
	var message bytes.Buffer
	w, err := cms.Encrypt(&message, []*cms.Recipient{bob}, &cms.EncryptOptions{Cipher: cms.AES256GCM})
	write(w, err, "let us meet at noon")

	r, err := cms.NewReader(&message, nil)
	if err != nil {
		log.Fatal(err)
	}
	e, err := r.EnvelopedData([]*cms.RecipientKey{{Key: key, Certificate: certificate}})
	if err != nil {
		log.Fatal(err)
	}
	content, err := io.ReadAll(e)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s (authenticated: %v)\n", content, e.Authenticated())
	// Output: let us meet at noon (authenticated: true)
}

func ExampleNewPasswordRecipient() {
	anyone, err := cms.NewPasswordRecipient([]byte("correct horse"))
	if err != nil {
		log.Fatal(err)
	}
	var message bytes.Buffer
	w, err := cms.Encrypt(&message, []*cms.Recipient{anyone}, nil)
	write(w, err, "let us meet at noon")

	r, err := cms.NewReader(&message, nil)
	if err != nil {
		log.Fatal(err)
	}
	e, err := r.EnvelopedData([]*cms.RecipientKey{{Passphrase: []byte("correct horse")}})
	if err != nil {
		log.Fatal(err)
	}
	content, err := io.ReadAll(e)
	fmt.Printf("%s, %v\n", content, err)
	// Output: let us meet at noon, <nil>
}

func ExampleCompress() {
	var message bytes.Buffer
	w, err := cms.Compress(&message, nil)
	write(w, err, "and on and on and on and on")

	r, err := cms.NewReader(&message, nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := r.CompressedData()
	if err != nil {
		log.Fatal(err)
	}
	content, err := io.ReadAll(c)
	fmt.Printf("%s, %v\n", content, err)
	// Output: and on and on and on and on, <nil>
}

func ExampleDigest() {
	var message bytes.Buffer
	w, err := cms.Digest(&message, &cms.DigestOptions{Hash: crypto.SHA512})
	write(w, err, "some text")

	r, err := cms.NewReader(&message, nil)
	if err != nil {
		log.Fatal(err)
	}
	d, err := r.DigestedData(nil)
	if err != nil {
		log.Fatal(err)
	}
	content, err := io.ReadAll(d)
	fmt.Printf("%s, %s, %v\n", content, d.Algorithm().Algorithm.Name(), err)
	// Output: some text, sha512, <nil>
}

func ExampleCertsOnly() {
	_, alice := person("alice")
	_, bob := person("bob")
	var message bytes.Buffer
	if err := cms.CertsOnly(&message, []*cert.Certificate{alice, bob}, nil); err != nil {
		log.Fatal(err)
	}
	certificates, err := cert.ParseAll(message.Bytes())
	fmt.Println(len(certificates), err)
	// Output: 2 <nil>
}

func ExampleAmend() {
	key, certificate := person("alice")
	var message, amended bytes.Buffer
	w, err := cms.Sign(&message, []*cms.Signer{{Key: key, Certificate: certificate}}, nil)
	write(w, err, "my last will")

	// A notary confirms to have seen the signature.
	key, certificate = person("notary")
	notary := &cms.Signer{Key: key, Certificate: certificate}
	err = cms.Amend(&amended, bytes.NewReader(message.Bytes()), int64(message.Len()), &cms.Amendment{
		Certificates: notary.Certificates(),
		Unsigned: func(_ int, si *cms.SignerInfo) (cms.Attributes, error) {
			a, err := cms.Countersign(si, notary, nil)
			return cms.Attributes{a}, err
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	r, err := cms.NewReader(&amended, nil)
	if err != nil {
		log.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		log.Fatal(err)
	}
	alice := s.Signers()[0]
	seen := alice.Countersignatures[0]
	fmt.Println(alice.Certificate.Emails(), "seen by", seen.Certificate.Emails(), seen.Err)
	// Output: [alice@example.com] seen by [notary@example.com] <nil>
}

func ExampleSignOptions_timestamp() {
	// The authority is usually asked over HTTP (RFC 3161 §3.4).
	key, certificate := person("clock")
	authority := &cms.TimestampAuthority{Signer: &cms.Signer{Key: key, Certificate: certificate}, Policy: "1.2.3"}
	noon := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

	key, certificate = person("alice")
	var message bytes.Buffer
	w, err := cms.Sign(&message, []*cms.Signer{{Key: key, Certificate: certificate}}, &cms.SignOptions{
		Timestamp: func(request []byte) ([]byte, error) { return authority.Respond(request, big.NewInt(1), noon) },
	})
	write(w, err, "let us meet at noon")

	r, err := cms.NewReader(&message, nil)
	if err != nil {
		log.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		log.Fatal(err)
	}
	stamp := s.Signers()[0].Timestamps[0]
	fmt.Println(stamp.Time, stamp.Signer.Certificate.Emails(), stamp.Err)
	// Output: 2026-11-23 12:00:00 +0000 UTC [clock@example.com] <nil>
}
