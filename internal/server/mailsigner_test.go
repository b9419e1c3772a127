package server

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailout"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// settingsWith writes a file with the identity, and the settings that name it.
func settingsWith(t *testing.T, leaf *testca.Leaf, from string) *config.Settings {
	t.Helper()
	dir := t.TempDir()
	p12, err := identity.EncodePKCS12([]*identity.Identity{{Key: leaf.Key, Certificate: leaf.Certificate, Chain: leaf.Chain}}, []byte("secret"), &identity.PKCS12Options{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s := &config.Settings{}
	s.Mail.From = from
	for name, content := range map[string][]byte{"mail.p12": p12, "passphrase": []byte("secret\n")} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		to := &s.Mail.Signature.File
		if name == "passphrase" {
			to = &s.Mail.Signature.Passphrase
		}
		if err := to.UnmarshalText([]byte(path)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A mail that leaves signed is valid to whoever trusts the authority; with a
// certificate that is over it leaves without a signature.
func TestSignedMail(t *testing.T) {
	ca := testca.New(t)
	const from = "certificates@example.org"
	signer, err := MailSigner(settingsWith(t, ca.Leaf(from, testca.P256), from), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MailSigner(settingsWith(t, ca.Leaf("other@example.org", testca.P256), from), ""); err == nil || !strings.Contains(err.Error(), "signs for certificates@example.org") {
		t.Errorf("the certificate of another address: %v", err)
	}
	s := &system{}
	s.Log = slog.New(slog.DiscardHandler)
	sign := s.signMail(signer)
	sender, err := mailbox.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	to, err := mailbox.Parse("taro@example.jp")
	if err != nil {
		t.Fatal(err)
	}
	now := testca.Now
	plain, err := mailout.Mail{To: to, Subject: "証明書", Text: "コード\n", Language: "ja"}.Compose(mailout.Sender{Mailbox: sender}, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := sign(plain, now)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := smime.Open(bytes.NewReader(signed), int64(len(signed)), &smime.OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate}, At: now})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if v := opened.Verdict; v.Verdict != smime.Valid || v.From[0] != from {
		t.Errorf("%+v", v)
	}
	if late, err := sign(plain, signer.Certificate.NotAfter.Add(time.Hour)); err != nil || !bytes.Equal(late, plain) {
		t.Errorf("after its end: %v", err)
	}
}
