package interop

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/testca"
)

// mutt is a person's neomutt with docs/mailseal.muttrc.
type mutt struct {
	path, home string
	env        []string
}

func newMutt(t *testing.T, p *party, root []byte) *mutt {
	t.Helper()
	m := &mutt{path: tool(t, "neomutt", "neomutt"), home: t.TempDir()}
	ours := filepath.Join(m.home, ".config", "mailseal")
	mailsealHome(t, ours, p, root)
	if err := os.Mkdir(filepath.Join(ours, "mutt"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, ours, "mutt/.index", nil)
	put(t, ours, "mailseal.muttrc", get(t, "../../docs/mailseal.muttrc"))
	sendmail := put(t, m.home, "sendmail", []byte("#!/bin/sh\ncat > "+m.home+"/part && mv "+m.home+"/part "+m.home+"/sent\n"))
	if err := os.Chmod(sendmail, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, m.home, "muttrc", fmt.Appendf(nil, `source ~/.config/mailseal/mailseal.muttrc
set smime_default_key="%s" from="%s" hostname=example.com
set folder=~ sendmail="%s" copy=no editor=true abort_unmodified=no
set wait_key=no smime_ask_cert_label=no confirmappend=no quit=yes move=no mark_old=no beep=no
set header_cache="" record="" signature=""
`, p.email, p.email, sendmail))
	put(t, m.home, "body", []byte(words+"\n"))
	m.env = append(os.Environ(), "HOME="+m.home, "PATH="+filepath.Dir(program(t, "mailseal"))+":"+os.Getenv("PATH"))
	return m
}

func (m *mutt) start(t *testing.T, args ...string) *terminal {
	t.Helper()
	return onTerminal(t, m.env, m.path, append([]string{"-n", "-F", filepath.Join(m.home, "muttrc")}, args...)...)
}

// show opens the only mail of a folder.
func (m *mutt) show(t *testing.T, mail []byte) *terminal {
	t.Helper()
	mbox := fmt.Appendf(nil, "From bob@example.com %s\n%s\n", time.Now().Format(time.ANSIC), bytes.ReplaceAll(mail, []byte("\r\n"), []byte("\n")))
	x := m.start(t, "-f", put(t, m.home, "mbox", mbox))
	x.press(t, "Lunch", "\r")
	return x
}

// send writes a mail and returns what neomutt gave to sendmail.
func (m *mutt) send(t *testing.T, settings, to string) []byte {
	t.Helper()
	sent := filepath.Join(m.home, "sent")
	os.Remove(sent)
	x := m.start(t, "-e", "set "+settings, "-s", "Lunch", "-i", filepath.Join(m.home, "body"), to)
	x.press(t, "To:", "\r")
	x.press(t, "Subject:", "\r")
	x.press(t, "Security", "y")
	x.press(t, "passphrase", "passphrase\r")
	for end := time.Now().Add(peerTimeout); ; time.Sleep(20 * time.Millisecond) {
		if mail, err := os.ReadFile(sent); err == nil {
			return mail
		}
		if time.Now().After(end) {
			x.wait(t, "a mail that is sent")
		}
	}
}

// TestMutt: neomutt signs, encrypts, verifies, decrypts and learns certificates
// through mailseal, as docs/mailseal.muttrc sets it up.
func TestMutt(t *testing.T) {
	t.Parallel()
	// Not about to end: mutt stops for a key after every warning.
	valid := testca.Validity(time.Now().Add(-24*time.Hour), time.Now().Add(200*24*time.Hour))
	ca := testca.New(t, valid)
	alice, bob := newParty(ca, "alice", testca.RSA2048), newParty(ca, "bob", testca.RSA2048)
	for _, p := range []*party{alice, bob} {
		p.leaf = ca.Leaf(p.email, p.kind, valid)
	}
	dir := t.TempDir()
	root := put(t, dir, "root.pem", ca.Root.Certificate.PEM())
	bobID, aliceCert := identityFile(t, dir, bob), put(t, dir, "alice.pem", alice.leaf.Certificate.PEM())
	m := newMutt(t, alice, ca.Root.Certificate.PEM())

	in := put(t, dir, "letter.eml", fmt.Appendf(nil, "From: bob@example.com\r\nTo: alice@example.com\r\nSubject: Lunch\r\nDate: %s\r\nMessage-ID: <lunch@example.com>\r\nContent-Type: text/plain\r\n\r\n%s\r\n",
		time.Now().Format(time.RFC1123Z), words))
	made := func(args ...string) []byte {
		out := filepath.Join(dir, "out.eml")
		mustCommand(t, append(args, "-o", out, in)...)
		return get(t, out)
	}
	signed := made("sign", "--as", bobID)

	t.Run("signed", func(t *testing.T) {
		x := m.show(t, signed)
		x.press(t, "successfully verified", "\x0b") // extract-keys
		for end := time.Now().Add(peerTimeout); !strings.Contains(string(get(t, filepath.Join(m.home, ".config/mailseal/mutt/.index"))), "bob@example.com"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				x.wait(t, "a certificate")
			}
		}
	})
	t.Run("opaque", func(t *testing.T) {
		m.show(t, made("sign", "--opaque", "--as", bobID)).wait(t, "successfully verified")
	})
	t.Run("sealed", func(t *testing.T) {
		x := m.show(t, made("seal", "--as", bobID, "--to", aliceCert))
		x.press(t, "passphrase", "passphrase\r")
		x.wait(t, "successfully verified")
	})
	t.Run("changed", func(t *testing.T) {
		m.show(t, bytes.Replace(signed, []byte("noon"), []byte("nine"), 1)).wait(t, "could NOT be verified")
	})
	t.Run("another sender", func(t *testing.T) {
		x := m.show(t, bytes.Replace(signed, []byte("From: bob@"), []byte("From: carol@"), 1))
		x.press(t, "Press any key", " ")
		x.wait(t, "no certfile") // what is not valid has no signer to compare
	})

	for _, tc := range []struct {
		settings  string
		as        []string
		encrypted bool
	}{
		{"crypt_autosign", nil, false},
		{"crypt_autosign crypt_autoencrypt", []string{"--as", bobID}, true},
		{"crypt_autosign crypt_autoencrypt smime_self_encrypt", []string{"--as", identityFile(t, dir, alice)}, true},
	} {
		t.Run("send "+tc.settings, func(t *testing.T) {
			mail := put(t, dir, "sent.eml", m.send(t, tc.settings, "bob@example.com"))
			out := mustCommand(t, append(append([]string{"open", "--trust", root}, tc.as...), mail)...)
			if !strings.Contains(out, words) {
				t.Errorf("open wrote %q", out)
			}
			if plain := strings.Contains(string(get(t, mail)), words); plain == tc.encrypted {
				t.Errorf("sent\n%s", get(t, mail))
			}
		})
	}
}
