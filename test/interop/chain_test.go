package interop

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// office is the authority of a first start, with the keys that it makes, and
// the registration before it.
type office struct {
	*registration.Service
	authority *authority.Authority
	mail      validation.Mail
}

func (o *office) Send(_ context.Context, m validation.Mail) error { o.mail = m; return nil }

func newOffice(t *testing.T) *office { return newOfficeWith(t, nil) }

// newOfficeWith has the keys that generate makes.
func newOfficeWith(t *testing.T, generate func() (crypto.Signer, error)) *office {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "mailseal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o := &office{}
	v := &validation.Validator{Clock: time.Now}
	o.authority, err = authority.Found(t.Context(), authority.Options{
		Store: db, Keys: &keys.Keys{Dir: dir, Plaintext: true}, Validation: v, Clock: time.Now, GenerateKey: generate,
	}, authority.Founding{BaseURL: "http://127.0.0.1:8080", Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	box, err := outbox.New(outbox.Options{Store: db, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	mails := mailqueue.New(mailqueue.Options{Store: db, Outbox: box, Mailer: o, Clock: time.Now})
	o.Service = registration.New(registration.Options{Store: db, Validation: v, Issuer: o.authority, Mails: mails, Clock: time.Now})
	return o
}

// enrol walks from the address to the certificate.
func (o *office) enrol(t *testing.T, address string, key crypto.Signer) registration.Issued {
	t.Helper()
	order, secret, err := o.Apply(t.Context(), registration.Application{Email: address})
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindString(o.mail.Text)
	if _, err := o.Prove(t.Context(), order.ID, secret, code); err != nil {
		t.Fatal(err)
	}
	csr, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := o.Enroll(t.Context(), order.ID, secret, csr)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// crls returns the lists of both authorities as PEM.
func (o *office) crls(t *testing.T) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{"root", "issuing"} {
		list, err := o.authority.CRL(t.Context(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list.DER})...)
	}
	return all
}

// What the authority of a first start issues is a chain for OpenSSL, in its
// strict mode and with its revocation lists, and for our own path validation;
// it serves mail and client authentication and no TLS server.
func TestIssuedChain(t *testing.T) {
	t.Parallel()
	program := tool(t, "openssl", "openssl")
	o := newOffice(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"rsa": rsaKey, "p256": ecKey} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			issued := o.enrol(t, name+"@example.org", key)
			put(t, dir, "root.pem", issued.Root.PEM())
			put(t, dir, "issuing.pem", issued.Chain[0].PEM())
			put(t, dir, "leaf.pem", issued.Certificate.PEM())
			put(t, dir, "crls.pem", o.crls(t))
			verify := func(extra ...string) error {
				args := append([]string{"verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "issuing.pem"}, extra...)
				_, err := call(t, dir, nil, nil, program, append(args, "leaf.pem")...)
				return err
			}
			purposes := []string{"smimesign", "sslclient"}
			if name == "rsa" {
				// OpenSSL's purpose asks for keyEncipherment, which keys that
				// agree do not have (S/MIME BR §7.1.2.3); its cms encrypts to
				// them all the same.
				purposes = append(purposes, "smimeencrypt")
			}
			for _, purpose := range purposes {
				if err := verify("-purpose", purpose, "-crl_check_all", "-CRLfile", "crls.pem"); err != nil {
					t.Errorf("%s: %v", purpose, err)
				}
			}
			if err := verify("-purpose", "sslserver"); err == nil {
				t.Error("OpenSSL takes it for a TLS server")
			}
			if _, err := call(t, dir, []byte("text"), nil, program, "cms", "-encrypt", "-outform", "DER", "-aes256", "leaf.pem"); err != nil {
				t.Errorf("OpenSSL cannot encrypt to it: %v", err)
			}
			_, err := certpath.Verify(issued.Certificate, &certpath.Options{
				Anchors: []*cert.Certificate{issued.Root}, Intermediates: issued.Chain, At: time.Now(),
			})
			if err != nil {
				t.Errorf("our own path validation: %v", err)
			}

			if err := o.authority.Revoke(t.Context(), issued.Certificate.Serial, cert.KeyCompromise); err != nil {
				t.Fatal(err)
			}
			put(t, dir, "crls.pem", o.crls(t))
			err = verify("-crl_check_all", "-CRLfile", "crls.pem")
			if err == nil || !strings.Contains(err.Error(), "certificate revoked") {
				t.Errorf("revoked: %v, want OpenSSL to say so", err)
			}
		})
	}
}

// gpgsm knows no name constraints and refuses what it does not know when it is
// critical, which the root's exclusion of all hosts must be. Told to pass over
// them, as its manual has it, it takes the chain to sign, encrypt and verify.
func TestIssuedChainGPGSM(t *testing.T) {
	t.Parallel()
	program := tool(t, "gpgsm", "gpgsm")
	o := newOffice(t)
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	issued := o.enrol(t, "alice@example.org", key)
	dir, err := os.MkdirTemp("", "gpgsm") // short, for the agent's socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", dir, "--kill", "all").Run()
		os.RemoveAll(dir)
	})
	root := sha1.Sum(issued.Root.Raw)
	put(t, dir, "trustlist.txt", []byte(hex.EncodeToString(root[:])+" S relax\n"))
	put(t, dir, "gpg-agent.conf", []byte("allow-loopback-pinentry\n"))
	put(t, dir, "gpgsm.conf", []byte("ignore-cert-extension 2.5.29.30\n"))
	gpgsm := func(stdin string, args ...string) []byte {
		common := []string{"--homedir", dir, "--batch", "--no-tty", "--disable-crl-checks", "--disable-dirmngr"}
		out, err := call(t, dir, []byte(stdin), nil, program, append(common, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	p12, err := identity.EncodePKCS12(
		[]*identity.Identity{{Key: key, Certificate: issued.Certificate, Chain: issued.Chain, Label: "alice"}},
		[]byte("passphrase"), &identity.PKCS12Options{Compatible: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(issued.Chain, issued.Root) {
		gpgsm(string(c.PEM()), "--import")
	}
	gpgsm("passphrase\n", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", put(t, dir, "alice.p12", p12))
	if out := gpgsm("text", "--encrypt", "--recipient", "alice@example.org"); len(out) == 0 {
		t.Error("gpgsm encrypted nothing")
	}
	text := put(t, dir, "text", []byte("text"))
	message := gpgsm("passphrase\n", "--pinentry-mode", "loopback", "--passphrase-fd", "0",
		"--local-user", "alice@example.org", "--sign", text)
	if out := gpgsm(string(message), "--output", "-", "--verify"); string(out) != "text" {
		t.Errorf("gpgsm verified %q", out)
	}
}
