package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// correspondent is one of those who write to each other, each with a program of
// their own.
type correspondent interface {
	address() string
	// introduce writes a signed mail to all, from which others learn a key.
	introduce(t *testing.T, text string) []byte
	// receive reads a mail and returns what it says.
	receive(t *testing.T, mail []byte) string
	// reply encrypts to all others, or says for whom it cannot.
	reply(t *testing.T, others []correspondent, text string) (mail []byte, missing []string)
}

// sealer has mailseal, with a home of their own.
type sealer struct {
	who, profile   string
	identity, root string
	dir            string
}

func newSealer(t *testing.T, ca *testca.CA, who, profile string, kinds ...testca.Kind) *sealer {
	s := &sealer{who: who + "@example.com", profile: profile, dir: t.TempDir()}
	var all []byte
	for _, kind := range kinds {
		p := newParty(ca, who, kind)
		all = append(append(all, p.keyPEM(t)...), p.leaf.Certificate.PEM()...)
	}
	s.identity = put(t, s.dir, "identity.pem", append(all, ca.Issuing.Certificate.PEM()...))
	s.root = put(t, s.dir, "root.pem", ca.Root.Certificate.PEM())
	return s
}

func (s *sealer) run(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, messages bytes.Buffer
	exit = cli.Run(t.Context(), args, strings.NewReader(""), &out, &messages, cli.Environment{
		LookupEnv: func(name string) (string, bool) { return s.dir + "/home", name == "MAILSEAL_HOME" },
		ConfigDir: func() (string, error) { return "", errors.New("MAILSEAL_HOME is set") },
		Now:       time.Now,
		Version:   "test",
	})
	return out.String(), messages.String(), exit
}

func (s *sealer) must(t *testing.T, args ...string) string {
	t.Helper()
	out, messages, exit := s.run(t, args...)
	if exit != 0 {
		t.Fatalf("%s: mailseal %s: %d\n%s%s", s.who, strings.Join(args, " "), exit, out, messages)
	}
	return out
}

func (s *sealer) address() string { return s.who }

func (s *sealer) introduce(t *testing.T, text string) []byte {
	return []byte(s.must(t, "sign", "--as", s.identity, "--profile", s.profile, put(t, s.dir, "letter.eml", mailFrom(s.who, text))))
}

func (s *sealer) receive(t *testing.T, mail []byte) string {
	return s.must(t, "open", "--as", s.identity, "--trust", s.root, put(t, s.dir, "received.eml", mail))
}

func (s *sealer) seal(t *testing.T, others []correspondent, text string, more ...string) (string, string, int) {
	args := append([]string{"seal", "--as", s.identity, "--profile", s.profile}, more...)
	for _, o := range others {
		args = append(args, "--to", o.address())
	}
	return s.run(t, append(args, put(t, s.dir, "letter.eml", mailFrom(s.who, text)))...)
}

func (s *sealer) reply(t *testing.T, others []correspondent, text string) (mail []byte, missing []string) {
	out, messages, exit := s.seal(t, others, text)
	planned, _, planExit := s.seal(t, others, text, "--plan", "--json")
	var plan smime.Plan
	if err := json.Unmarshal([]byte(planned), &plan); err != nil {
		t.Fatal(err)
	}
	for _, e := range plan.Missing() {
		if !strings.Contains(messages, e.Name+": "+e.Why) || e.Why == "" {
			t.Errorf("%s is not told about %s (%s):\n%s", s.who, e.Name, e.Why, messages)
		}
		missing = append(missing, e.Name)
	}
	if planExit != exit || plan.Complete != (exit == 0) || (exit == 0) != (len(missing) == 0) || exit > 1 {
		t.Fatalf("%s: seal says %d and the plan %d:\n%s\n%s", s.who, exit, planExit, planned, messages)
	}
	if exit != 0 && out != "" {
		t.Errorf("%s: something was written for nobody:\n%s", s.who, out)
	}
	return []byte(out), missing
}

func mailFrom(who, text string) []byte {
	return []byte("From: " + who + "\r\nTo: all@example.com\r\nSubject: Re: lunch\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + text + "\r\n")
}

// opensslUser has OpenSSL's command line.
type opensslUser struct {
	*openssl
	self  *party
	certs map[string]string // of the others: their files
	tried []string          // those whom it cannot encrypt to; nil before it was tried
}

func (u *opensslUser) address() string { return u.self.email }

func (u *opensslUser) introduce(t *testing.T, text string) []byte {
	cert, key, chain := u.files(t, u.self)
	out, err := call(t, u.dir, []byte(text+"\r\n"), nil, u.path, "cms", "-sign", "-text", "-signer", cert, "-inkey", key, "-certfile", chain,
		"-from", u.address(), "-to", "all@example.com", "-subject", "Re: lunch")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (u *opensslUser) receive(t *testing.T, mail []byte) string {
	cert, key, _ := u.files(t, u.self)
	inner, err := call(t, u.dir, mail, nil, u.path, "cms", "-decrypt", "-recip", cert, "-inkey", key)
	if err != nil {
		t.Fatalf("OpenSSL: %v", err)
	}
	return string(body(t, inner))
}

func (u *opensslUser) reply(t *testing.T, others []correspondent, text string) (mail []byte, missing []string) {
	signed := u.introduce(t, text)
	encrypt := func(to ...string) ([]byte, error) {
		return call(t, u.dir, signed, nil, u.path, append([]string{"cms", "-encrypt", "-aes-256-cbc", "-from", u.address(), "-to", "all@example.com"}, to...)...)
	}
	var all []string
	for _, o := range others {
		cert := u.certs[o.address()]
		all = append(all, cert)
		if u.tried != nil {
			continue
		}
		if _, err := encrypt(cert); err != nil {
			missing = append(missing, o.address())
		}
	}
	if u.tried == nil {
		u.tried = missing
	}
	missing = u.tried
	out, err := encrypt(all...)
	if (err != nil) != (len(missing) > 0) {
		t.Fatalf("OpenSSL: %v, missing %v", err, missing)
	}
	if err != nil {
		return nil, missing
	}
	return out, nil
}

// gpgsmUser has GnuPG's.
type gpgsmUser struct {
	*gpgsm
	self  *party
	tried []string
}

func (u *gpgsmUser) address() string { return u.self.email }

func (u *gpgsmUser) introduce(t *testing.T, text string) []byte {
	der := u.sign(t, u.self, []byte("Content-Type: text/plain\r\n\r\n"+text+"\r\n"), false)
	return []byte("From: " + u.address() + "\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + wrapped(der))
}

func (u *gpgsmUser) receive(t *testing.T, mail []byte) string {
	// gpgsm 2.2 decrypts, and ends with status 2 for each entry of another's RSA
	// key that it meets before its own.
	inner, err := u.decrypt(t, u.self, body(t, mail))
	if err != nil && len(inner) == 0 {
		t.Fatalf("gpgsm: %v", err)
	}
	return string(body(t, inner))
}

// reply: gpgsm names the first one itself whom it cannot encrypt to.
func (u *gpgsmUser) reply(t *testing.T, others []correspondent, text string) (mail []byte, missing []string) {
	args := []string{"--encrypt"}
	for _, o := range others {
		args = append(args, "-r", o.address())
		if u.tried != nil {
			continue
		}
		if _, err := u.run(t, []byte(text), "--encrypt", "-r", o.address()); err != nil {
			missing = append(missing, o.address())
		}
	}
	if u.tried == nil {
		u.tried = missing
	}
	missing = u.tried
	out, err := u.run(t, u.introduce(t, text), args...)
	if (err != nil) != (len(missing) > 0) {
		t.Fatalf("gpgsm: %v, missing %v", err, missing)
	}
	if err != nil {
		return nil, missing
	}
	return out, nil
}

// TestThread: five people with five kinds of keys and three programs write to each
// other, three rounds of replies to all. Each mail is encrypted to all, and all read
// it; or it is refused with the names of those for whom a key is missing.
func TestThread(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	olga, gerd := newParty(ca, "olga", testca.RSA2048), newParty(ca, "gerd", testca.RSA3072)
	ou := &opensslUser{newOpenSSL(t, ca), olga, map[string]string{}, nil}
	gu := &gpgsmUser{newGPGSM(t, ca, []*party{gerd}), gerd, nil}
	paul := newSealer(t, ca, "paul", "compat", testca.P256)
	dora := newSealer(t, ca, "dora", "modern", testca.Ed25519, testca.X25519)
	pia := newSealer(t, ca, "pia", "pq", testca.P256, testca.MLKEM768)
	everybody := []correspondent{ou, gu, paul, dora, pia}
	for _, p := range []*party{olga, gerd, newParty(ca, "paul", testca.P256), newParty(ca, "dora", testca.X25519), newParty(ca, "pia", testca.MLKEM768)} {
		ou.certs[p.email] = put(t, ou.dir, "to-"+p.name+".pem", p.leaf.Certificate.PEM())
		gu.must(t, p.leaf.Certificate.PEM(), "--import")
	}
	others := func(self correspondent) []correspondent {
		return slices.DeleteFunc(slices.Clone(everybody), func(c correspondent) bool { return c == self })
	}
	addresses := func(list []correspondent) (out []string) {
		for _, c := range list {
			out = append(out, c.address())
		}
		return out
	}

	// Before anybody has heard of another, everybody is missing.
	for _, s := range []*sealer{paul, dora, pia} {
		if _, missing := s.reply(t, others(s), "hello"); !slices.Equal(missing, addresses(others(s))) {
			t.Errorf("%s misses %v", s.who, missing)
		}
	}
	for _, from := range everybody {
		mail := from.introduce(t, "I am "+from.address())
		for _, s := range []*sealer{paul, dora, pia} {
			if s.who != from.address() {
				s.receive(t, mail)
			}
		}
	}

	cannot := map[string][]string{ou.address(): {dora.who, pia.who}, gu.address(): {paul.who, dora.who, pia.who}}
	for round := range 3 {
		for _, from := range everybody {
			text := fmt.Sprintf("round %d, says %s", round+1, from.address())
			mail, missing := from.reply(t, others(from), text)
			if !slices.Equal(missing, cannot[from.address()]) {
				t.Fatalf("%s misses %v", from.address(), missing)
			}
			if missing != nil {
				// Those whose program cannot encrypt to all answer in clear text, signed.
				mail = from.introduce(t, text)
			}
			for _, to := range others(from) {
				_, reads := to.(*sealer)
				if missing != nil && !reads {
					continue
				}
				if got := to.receive(t, mail); !strings.Contains(got, text) {
					t.Errorf("%s reads %q, not %q", to.address(), got, text)
				}
			}
		}
	}
	// Nobody has become another on the way.
	for _, s := range []*sealer{paul, dora, pia} {
		book := s.must(t, "book", "list")
		if strings.Count(book, "until ") != 4 || strings.Contains(book, "waits") {
			t.Errorf("%s knows\n%s", s.who, book)
		}
	}
	planned, _, _ := pia.seal(t, others(pia), "hello", "--plan")
	for _, want := range []string{"aes-128-cbc", "dora@example.com +", "ECDH X25519", "ECDH P-256", "RSA PKCS #1 v1.5", "ML-KEM-768"} {
		if !strings.Contains(planned, strings.TrimSuffix(want, " +")) {
			t.Errorf("%q is not in the plan\n%s", want, planned)
		}
	}
}

// TestReceiptsWithOpenSSL: OpenSSL and mailseal each make a receipt that the other asks
// for, and take the other's.
func TestReceiptsWithOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	alice, bob := newParty(ca, "alice", testca.RSA2048), newParty(ca, "bob", testca.P256)
	root := o.dir + "/root.pem"
	s := &sealer{who: bob.email, dir: o.dir}
	aliceID, bobID := identityFile(t, o.dir, alice), identityFile(t, o.dir, bob)
	aliceCert, aliceKey, aliceChain := o.files(t, alice)
	bobCert, bobKey, bobChain := o.files(t, bob)
	changed := func(mail []byte) string {
		return put(t, o.dir, "changed.eml", bytes.Replace(mail, []byte("noon"), []byte("moon"), 1))
	}
	text := put(t, o.dir, "now.eml", mailFrom(alice.email, words))

	// mailseal asks, OpenSSL answers, mailseal verifies.
	sent := put(t, o.dir, "sent.eml", []byte(s.must(t, "sign", "--as", aliceID, "--request-receipt", text)))
	theirs, err := call(t, o.dir, get(t, sent), nil, o.path, "cms", "-sign_receipt", "-signer", bobCert, "-inkey", bobKey, "-certfile", bobChain, "-outform", "DER")
	if err != nil {
		t.Fatal(err)
	}
	receipt := put(t, o.dir, "theirs.der", theirs)
	if out := s.must(t, "receipt", "verify", "--original", sent, "--trust", root, receipt); !strings.Contains(out, bob.email) {
		t.Errorf("%s", out)
	}
	if out, _, exit := s.run(t, "receipt", "verify", "--original", changed(get(t, sent)), "--trust", root, receipt); exit != 1 {
		t.Errorf("%d\n%s", exit, out)
	}

	// OpenSSL asks, mailseal answers, OpenSSL verifies; and mailseal does.
	asked, err := call(t, o.dir, []byte(words+"\r\n"), nil, o.path, "cms", "-sign", "-text", "-signer", aliceCert, "-inkey", aliceKey, "-certfile", aliceChain,
		"-receipt_request_all", "-receipt_request_to", alice.email, "-from", alice.email, "-to", bob.email, "-subject", "Lunch")
	if err != nil {
		t.Fatal(err)
	}
	original := put(t, o.dir, "asked.eml", asked)
	ours := o.dir + "/ours.der"
	s.must(t, "receipt", "make", "--as", bobID, "--trust", root, "--bare", "-o", ours, original)
	verify := func(mail []byte) error {
		_, err := call(t, o.dir, mail, nil, o.path, "cms", "-verify_receipt", ours, "-rctform", "DER", "-CAfile", root)
		return err
	}
	if err := verify(asked); err != nil {
		t.Error(err)
	}
	if err := verify(get(t, sent)); err == nil {
		t.Error("OpenSSL takes a receipt for another mail")
	}
	s.must(t, "receipt", "verify", "--original", original, "--trust", root, ours)
}
