package interop

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/testca"
)

// letter is the mail that goes around.
var letter = "From: alice@example.com\r\nTo: person0@example.com\r\nSubject: Lunch\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\n" +
	"Message-ID: <lunch@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nlet us meet at noon\r\n"

const words = "let us meet at noon"

// command runs mailseal as main does and returns its standard output and exit
// status.
func command(t testing.TB, args ...string) (stdout string, exit int) {
	t.Helper()
	var out, messages bytes.Buffer
	home := t.TempDir()
	exit = cli.Run(t.Context(), args, strings.NewReader(""), &out, &messages, cli.Environment{
		LookupEnv: func(name string) (string, bool) { return home, name == "MAILSEAL_HOME" },
		ConfigDir: func() (string, error) { return "", errors.New("MAILSEAL_HOME is set") },
		Now:       time.Now,
		Version:   "test",
	})
	t.Logf("mailseal %s: %d\n%s", strings.Join(args, " "), exit, messages.Bytes())
	return out.String(), exit
}

func mustCommand(t testing.TB, args ...string) string {
	t.Helper()
	out, exit := command(t, args...)
	if exit != 0 {
		t.Fatalf("mailseal %s: exit status %d", args[0], exit)
	}
	return out
}

// identityFile is key, certificate and chain as one PEM file, as --as takes it.
func identityFile(t testing.TB, dir string, p *party) string {
	t.Helper()
	all := append(p.keyPEM(t), p.leaf.Certificate.PEM()...)
	for _, c := range p.leaf.Chain {
		all = append(all, c.PEM()...)
	}
	return put(t, dir, p.name+"-identity.pem", all)
}

// TestSealAndOpenWithOpenSSL: what mailseal seal writes, openssl cms -decrypt
// and -verify accept; what openssl cms -sign and -encrypt write, mailseal open
// accepts: RSA-2048, RSA-3072 and P-256, one recipient and a hundred.
func TestSealAndOpenWithOpenSSL(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	in := put(t, o.dir, "letter.eml", []byte(letter))
	for _, kind := range []testca.Kind{testca.RSA2048, testca.RSA3072, testca.P256} {
		alice := newParty(ca, "alice", kind)
		aliceID := identityFile(t, o.dir, alice)
		aliceCert, aliceKey, aliceChain := o.files(t, alice)
		for _, n := range []int{1, 100} {
			t.Run(fmt.Sprintf("%v/%d", kind, n), func(t *testing.T) {
				group := crowd(ca, kind, n)
				sealed := o.dir + "/sealed.eml"
				seal := []string{"seal", "--as", aliceID, "-o", sealed}
				encrypt := []string{"cms", "-encrypt", "-aes-256-cbc", "-from", alice.email, "-to", group[0].email, "-subject", "Lunch"}
				for _, p := range group {
					cert, _, _ := o.files(t, p)
					seal = append(seal, "--to", cert)
					encrypt = append(encrypt, cert)
				}
				mustCommand(t, append(seal, in)...)

				theirsSigned, err := call(t, o.dir, []byte(words+"\r\n"), nil, o.path, "cms", "-sign", "-signer", aliceCert, "-inkey", aliceKey,
					"-certfile", aliceChain, "-text")
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := call(t, o.dir, theirsSigned, nil, o.path, encrypt...)
				if err != nil {
					t.Fatal(err)
				}
				theirsFile := put(t, o.dir, "theirs.eml", theirs)
				for _, p := range []*party{group[0], group[n-1], alice} {
					cert, key, _ := o.files(t, p)
					signed, err := call(t, o.dir, get(t, sealed), nil, o.path, "cms", "-decrypt", "-recip", cert, "-inkey", key)
					if err != nil {
						t.Fatal(err)
					}
					content, err := call(t, o.dir, signed, nil, o.path, "cms", "-verify", "-CAfile", "root.pem")
					if err != nil || !bytes.Contains(content, []byte(words)) {
						t.Fatalf("%v\n%s", err, content)
					}
					if p == alice {
						continue // OpenSSL adds no entry for the sender
					}
					if out := mustCommand(t, "open", "--as", identityFile(t, o.dir, p), "--trust", o.dir+"/root.pem", theirsFile); !strings.Contains(out, words) {
						t.Errorf("open wrote %q", out)
					}
				}
			})
		}
	}
}

// body returns what a base64 mail carries.
func body(t testing.TB, mail []byte) []byte {
	t.Helper()
	_, text, found := bytes.Cut(mail, []byte("\r\n\r\n"))
	if !found {
		t.Fatalf("no body in\n%s", mail)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestSealWithOthers: gpgsm and NSS, which know no mail but CMS, decrypt and
// verify what a sealed mail carries, and both and mailseal refuse a changed
// one.
func TestSealWithOthers(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	alice, bob := newParty(ca, "alice", testca.RSA3072), newParty(ca, "bob", testca.RSA2048)
	all := []*party{alice, bob}
	for name, p := range map[string]peer{"gpgsm": newGPGSM(t, ca, all), "NSS": newNSS(t, ca, all)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in, root := put(t, dir, "letter.eml", []byte(letter)), put(t, dir, "root.pem", ca.Root.Certificate.PEM())
			bobCert := put(t, dir, "bob.pem", bob.leaf.Certificate.PEM())
			sealed := dir + "/sealed.eml"
			mustCommand(t, "seal", "--as", identityFile(t, dir, alice), "--to", bobCert, "-o", sealed, in)
			inner, err := p.decrypt(t, bob, body(t, get(t, sealed)))
			if err != nil {
				t.Fatal(err)
			}
			signed := body(t, inner)
			content, err := p.verify(t, signed, nil)
			if err != nil || !bytes.Contains(content, []byte(words)) {
				t.Fatalf("%v\n%s", err, content)
			}
			changed := bytes.Replace(signed, []byte("noon"), []byte("moon"), 1)
			if _, err := p.verify(t, changed, nil); err == nil {
				t.Error("the peer takes a changed mail")
			}
			mail := put(t, dir, "changed.eml", []byte("From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\n"+
				"Content-Transfer-Encoding: base64\r\n\r\n"+wrapped(changed)))
			if out, exit := command(t, "verify", "--trust", root, mail); exit != 1 {
				t.Errorf("mailseal verify: %d\n%s", exit, out)
			}

			theirs := p.encrypt(t, []*party{bob}, append([]byte("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
				wrapped(p.sign(t, alice, []byte("Content-Type: text/plain\r\n\r\n"+words+"\r\n"), false))...), cms.AES128CBC)
			mail = put(t, dir, "theirs.eml", []byte("From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n"+
				"Content-Transfer-Encoding: base64\r\n\r\n"+wrapped(theirs)))
			if out := mustCommand(t, "open", "--as", identityFile(t, dir, bob), "--trust", root, mail); !strings.Contains(out, words) {
				t.Errorf("open wrote %q", out)
			}
		})
	}
}

// wrapped is base64 in lines, as mail carries it.
func wrapped(der []byte) string {
	text := base64.StdEncoding.EncodeToString(der)
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return b.String() + text + "\r\n"
}
