package interop

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// mail is a message as a mail program hands it over, with what transports damage.
const mail = "From: alice@example.com\r\nTo: bob@example.com\r\nSubject: Lunch\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n\r\nFrom here,\r\nto there.  \r\n.\r\n\r\n\u3042\r\n"

func openMail(t testing.TB, ca *testca.CA, message []byte, keys ...*party) (*smime.Message, string) {
	t.Helper()
	o := &smime.OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate}, At: time.Now()}
	for _, k := range keys {
		o.Keys = append(o.Keys, k.key())
	}
	m, err := smime.Open(bytes.NewReader(message), int64(len(message)), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, message)
	}
	t.Cleanup(func() { m.Close() })
	var b bytes.Buffer
	if err := m.WriteContent(&b); err != nil {
		t.Fatal(err)
	}
	return m, b.String()
}

func wantValid(t testing.TB, m *smime.Message) {
	t.Helper()
	if m.Verdict.Verdict != smime.Valid || m.Verdict.Coverage != smime.CoverageWhole {
		t.Errorf("verdict %+v", m.Verdict)
	}
}

// TestOpenSSLReadsOurMail: what we sign and seal, OpenSSL verifies and decrypts as mail.
func TestOpenSSLReadsOurMail(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	for _, kind := range kinds {
		alice, bob := newParty(ca, "alice", kind), newParty(ca, "bob", kind)
		bobCert, bobKey, _ := o.files(t, bob)
		for _, opaque := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/opaque=%v", kind, opaque), func(t *testing.T) {
				so := &smime.SignOptions{Signers: []*cms.Signer{alice.signer()}, Opaque: opaque, Detached: !opaque, Time: time.Now()}
				var signed, sealed bytes.Buffer
				if err := smime.Sign(&signed, strings.NewReader(mail), int64(len(mail)), so); err != nil {
					t.Fatal(err)
				}
				content := verifyMail(t, o, signed.Bytes())
				if !bytes.Contains(content, []byte("=46rom here,")) && !bytes.Contains(content, []byte("base64")) {
					t.Errorf("content %q", content)
				}
				eo := &smime.EncryptOptions{Recipients: []*cms.Recipient{alice.recipient(t), bob.recipient(t)}}
				if err := smime.Seal(&sealed, strings.NewReader(mail), int64(len(mail)), so, eo); err != nil {
					t.Fatal(err)
				}
				inner, err := call(t, o.dir, sealed.Bytes(), nil, o.path, "cms", "-decrypt", "-binary", "-recip", bobCert, "-inkey", bobKey)
				if err != nil {
					t.Fatal(err)
				}
				if again := verifyMail(t, o, inner); !bytes.Equal(again, content) {
					t.Errorf("sealed content %q, signed content %q", again, content)
				}
				changed := bytes.Replace(signed.Bytes(), []byte("here"), []byte("away"), 1)
				if _, err := call(t, o.dir, changed, nil, o.path, "cms", "-verify", "-CAfile", "root.pem"); !opaque && err == nil {
					t.Error("OpenSSL takes what was changed")
				}
			})
		}
	}
}

func verifyMail(t testing.TB, o *openssl, message []byte) []byte {
	t.Helper()
	out, err := call(t, o.dir, message, nil, o.path, "cms", "-verify", "-CAfile", "root.pem", "-purpose", "smimesign")
	if err != nil {
		t.Fatalf("%v\n%s", err, message)
	}
	return out
}

// TestWeReadOpenSSLMail: the forms in which OpenSSL writes mail.
func TestWeReadOpenSSLMail(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	body := "Content-Type: text/plain\r\n\r\nHello,\r\nBob.\r\n"
	for _, kind := range kinds {
		alice, bob := newParty(ca, "alice", kind), newParty(ca, "bob", kind)
		aliceCert, aliceKey, chain := o.files(t, alice)
		bobCert, _, _ := o.files(t, bob)
		for _, form := range [][]string{nil, {"-nodetach"}, {"-stream"}, {"-nodetach", "-stream"}, {"-crlfeol"}, {"-binary"}, {"-binary", "-nodetach"}, {"-nosmimecap"}, {"-md", "sha512"}} {
			t.Run(fmt.Sprintf("%v/%v", kind, form), func(t *testing.T) {
				args := append([]string{"cms", "-sign", "-signer", aliceCert, "-inkey", aliceKey, "-certfile", chain, "-from", "alice@example.com", "-to", "bob@example.com", "-subject", "x"}, form...)
				signed, err := call(t, o.dir, []byte(body), nil, o.path, args...)
				if err != nil {
					t.Fatal(err)
				}
				m, got := openMail(t, ca, signed)
				wantValid(t, m)
				if !strings.HasSuffix(got, "Content-Type: text/plain\r\n\r\nHello,\r\nBob.\r\n") || !strings.Contains(got, "Subject: x\r\n") {
					t.Errorf("content %q", got)
				}
				m, _ = openMail(t, ca, bytes.Replace(signed, []byte("alice@example.com"), []byte("carol@example.com"), 1))
				if m.Verdict.Verdict != smime.Invalid {
					t.Errorf("another sender: %+v", m.Verdict)
				}
				for _, cipher := range []string{"-aes-256-cbc", "-aes-128-cbc", "-aes-256-gcm"} {
					// The signed mail goes in whole, as OpenSSL's manual shows.
					sealed, err := call(t, o.dir, signed, nil, o.path, "cms", "-encrypt", cipher, "-from", "alice@example.com", "-stream", bobCert)
					if err != nil {
						t.Fatal(err)
					}
					m, got := openMail(t, ca, sealed, bob)
					wantValid(t, m)
					if !m.Verdict.Encrypted || !strings.HasSuffix(got, "Hello,\r\nBob.\r\n") {
						t.Errorf("sealed: %+v, %q", m.Verdict, got)
					}
				}
			})
		}
	}
}

// TestWeakMail: what a peer signs with, and we do not believe.
func TestWeakMail(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	for _, tc := range []struct {
		name   string
		kind   testca.Kind
		args   []string
		status smime.Status
		want   smime.Conclusion
	}{
		{"SHA-1", testca.RSA2048, []string{"-md", "sha1"}, smime.StatusWeak, smime.Untrusted},
		{"MD5", testca.RSA2048, []string{"-md", "md5"}, smime.StatusWeak, smime.Untrusted},
		{"small key", testca.RSA1024, nil, smime.StatusWeak, smime.Untrusted},
		{"no certificate", testca.RSA2048, []string{"-nocerts"}, smime.StatusUntrusted, smime.Untrusted},
		{"no signed attributes", testca.RSA2048, []string{"-noattr"}, smime.StatusInvalid, smime.Invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			alice := newParty(ca, "alice", tc.kind)
			cert, key, chain := o.files(t, alice)
			args := append([]string{"cms", "-sign", "-signer", cert, "-inkey", key, "-certfile", chain, "-from", "alice@example.com"}, tc.args...)
			signed, err := call(t, o.dir, []byte("Content-Type: text/plain\r\n\r\nHello\r\n"), nil, o.path, args...)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := openMail(t, ca, signed)
			if m.Verdict.Verdict != tc.want || m.Verdict.Signers[0].Status != tc.status {
				t.Errorf("%+v", m.Verdict)
			}
		})
	}
}
