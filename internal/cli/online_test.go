package cli_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// online is an authority whose certificates name a responder, which is
// OpenSSL's, and a server with lists. The responder's clock is the real one, and
// so is the time of everything here.
type online struct {
	t    *testing.T
	dir  string
	now  time.Time
	ca   *testca.CA
	hits atomic.Int32 // requests to the server with lists
	list atomic.Value // what it has: []byte
	crls string       // its address
}

func newOnline(t *testing.T) *online {
	o := &online{t: t, dir: t.TempDir(), now: time.Now()}
	o.ca = testca.New(t, o.alive())
	put(t, o.dir, "root.pem", o.ca.Root.Certificate.PEM())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.hits.Add(1)
		w.Write(o.list.Load().([]byte))
	}))
	t.Cleanup(server.Close)
	o.crls = server.URL
	o.publish()
	return o
}

// alive makes certificates that are in force now, whenever that is.
func (o *online) alive() testca.Option {
	return testca.Validity(o.now.Add(-24*time.Hour), o.now.Add(24*time.Hour))
}

// publish has the server give out a list with these certificates.
func (o *online) publish(revoked ...*testca.Leaf) {
	var entries []testca.Revoked
	for _, l := range revoked {
		e := testca.Entry(l.Certificate.Serial, int(cert.KeyCompromise))
		e.RevocationTime = o.now.Add(-time.Hour)
		entries = append(entries, e)
	}
	o.list.Store(o.ca.Issuing.CRL(entries, testca.Updates(o.now.Add(-time.Hour), o.now.Add(time.Hour))))
}

// mail signs one as alice with a certificate that the options make.
func (o *online) mail(name string, a *testca.Authority, options ...testca.Option) *testca.Leaf {
	o.t.Helper()
	leaf := a.Leaf("alice@example.com", testca.P256, append([]testca.Option{o.alive()}, options...)...)
	text := "From: alice@example.com\r\nSubject: Hello\r\nDate: " + o.now.Format(time.RFC1123Z) + "\r\n\r\nHello.\r\n"
	var b bytes.Buffer
	err := smime.Sign(&b, strings.NewReader(text), int64(len(text)), &smime.SignOptions{
		Signers: []*cms.Signer{{Key: leaf.Signer(), Certificate: leaf.Certificate, Chain: leaf.Chain}}, Time: o.now,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	put(o.t, o.dir, name, b.Bytes())
	return leaf
}

// ask runs verify or open on a mail.
func (o *online) ask(command, name string, loopback bool, flags ...string) (v smime.Verdict, exit int) {
	o.t.Helper()
	args := append([]string{command, "--trust", filepath.Join(o.dir, "root.pem"), "--json", filepath.Join(o.dir, name)}, flags...)
	var out, errs bytes.Buffer
	exit = cli.Run(context.Background(), args, strings.NewReader(""), &out, &errs, cli.Environment{
		LookupEnv: func(key string) (string, bool) { return filepath.Join(o.dir, "home"), key == "MAILSEAL_HOME" },
		ConfigDir: os.UserConfigDir, Now: func() time.Time { return o.now }, Loopback: loopback,
	})
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		o.t.Fatalf("%v: %s%s", args, out.Bytes(), errs.Bytes())
	}
	return v, exit
}

// want asks and compares.
func (o *online) want(v smime.Verdict, exit int, conclusion smime.Conclusion, status smime.Status, warned bool) {
	o.t.Helper()
	has := strings.Contains(strings.Join(v.Warnings, "\n"), "revocation was not checked")
	if v.Verdict != conclusion || v.Signers[0].Status != status || (exit == 0) != (conclusion == smime.Valid) || has != warned {
		o.t.Errorf("%s, %s (%s), exit %d, warnings %q; want %s, %s", v.Verdict, v.Signers[0].Status, v.Signers[0].Reason, exit, v.Warnings, conclusion, status)
	}
}

// opensslResponder starts OpenSSL's responder about the leaves, of whom those
// that are listed with true are revoked, and returns its address and how to end
// it.
func (o *online) opensslResponder(port int, leaves map[*testca.Leaf]bool) (stop func()) {
	o.t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CI") != "true" {
		o.t.Skip("needs openssl")
	} else if err != nil {
		o.t.Fatal(err)
	}
	responder := o.ca.Issuing.Responder(o.alive())
	key, err := x509.MarshalPKCS8PrivateKey(responder.Key)
	if err != nil {
		o.t.Fatal(err)
	}
	var index strings.Builder
	for l, revoked := range leaves {
		status, at := "V", ""
		if revoked {
			status, at = "R", o.now.Add(-time.Hour).UTC().Format("060102150405Z")+",keyCompromise"
		}
		fmt.Fprintf(&index, "%s\t%s\t%s\t%s\tunknown\t/CN=%x\n", status, o.now.Add(24*time.Hour).UTC().Format("060102150405Z"), at, serialHex(l.Certificate.Serial), l.Certificate.Serial)
	}
	put(o.t, o.dir, "index.txt", []byte(index.String()))
	put(o.t, o.dir, "index.txt.attr", []byte("unique_subject = no\n"))
	put(o.t, o.dir, "issuing.pem", o.ca.Issuing.Certificate.PEM())
	put(o.t, o.dir, "responder.pem", responder.Certificate.PEM())
	put(o.t, o.dir, "responder.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	c := exec.Command(openssl, "ocsp", "-port", fmt.Sprint(port), "-index", "index.txt", "-CA", "issuing.pem", "-rsigner", "responder.pem", "-rkey", "responder.key", "-nmin", "5")
	c.Dir = o.dir
	// No connection tells that it is ready: it takes one at a time, and would
	// wait for the request of one that asks for nothing.
	log := filepath.Join(o.dir, "ocsp.log")
	file, err := os.Create(log)
	if err != nil {
		o.t.Fatal(err)
	}
	defer file.Close()
	c.Stdout, c.Stderr = file, file
	if err := c.Start(); err != nil {
		o.t.Fatal(err)
	}
	stop = func() { c.Process.Kill(); c.Wait() }
	for range 200 {
		if said, _ := os.ReadFile(log); bytes.Contains(said, []byte("waiting for OCSP client connections")) {
			return stop
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	said, _ := os.ReadFile(log)
	o.t.Fatalf("openssl ocsp does not listen: %s", said)
	return nil
}

// serialHex writes whole octets, as OpenSSL's index has them.
func serialHex(n *big.Int) string { return strings.ToUpper(fmt.Sprintf("%x", n.Bytes())) }

// freePort finds one that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestOnlineOCSP: verify and open ask OpenSSL's responder.
func TestOnlineOCSP(t *testing.T) {
	o := newOnline(t)
	port := freePort(t)
	source := testca.OCSPServers(fmt.Sprintf("http://127.0.0.1:%d/", port))
	good := o.mail("good.eml", o.ca.Issuing, source)
	revoked := o.mail("revoked.eml", o.ca.Issuing, source)
	o.mail("strange.eml", o.ca.Issuing, source) // not in the responder's index
	stop := o.opensslResponder(port, map[*testca.Leaf]bool{good: false, revoked: true})
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			stop()
		}
	})
	ask := func(command, name string, conclusion smime.Conclusion, status smime.Status) {
		t.Helper()
		v, exit := o.ask(command, name, true, "--revocation", "online")
		o.want(v, exit, conclusion, status, false)
	}
	for _, command := range []string{"verify", "open"} {
		ask(command, "good.eml", smime.Valid, smime.StatusValid)
		ask(command, "revoked.eml", smime.Invalid, smime.StatusRevoked)
		ask(command, "strange.eml", smime.Unknown, smime.StatusRevocationUnknown)
	}
	stop()
	stopped = true
	ask("verify", "good.eml", smime.Valid, smime.StatusValid)        // from the cache
	ask("verify", "revoked.eml", smime.Invalid, smime.StatusRevoked) // likewise
	if err := os.RemoveAll(filepath.Join(o.dir, "home", "revocation")); err != nil {
		t.Fatal(err)
	}
	ask("verify", "good.eml", smime.Unknown, smime.StatusRevocationUnknown)
	v, exit := o.ask("verify", "good.eml", true, "--revocation", "off")
	o.want(v, exit, smime.Valid, smime.StatusValid, true)
}

// run runs a command and returns what it says.
func (o *online) run(args ...string) (stdout, stderr string, exit int) {
	o.t.Helper()
	for i, a := range args {
		if _, err := os.Stat(filepath.Join(o.dir, a)); err == nil && a != "" {
			args[i] = filepath.Join(o.dir, a)
		}
	}
	var out, errs bytes.Buffer
	exit = cli.Run(context.Background(), args, strings.NewReader(""), &out, &errs, cli.Environment{
		LookupEnv: func(key string) (string, bool) { return filepath.Join(o.dir, "home"), key == "MAILSEAL_HOME" },
		ConfigDir: os.UserConfigDir, Now: func() time.Time { return o.now }, Loopback: true,
	})
	return out.String(), errs.String(), exit
}

// TestOnlineEverywhere: what judges certificates asks their sources where it is told
// to, and nobody where it is not.
func TestOnlineEverywhere(t *testing.T) {
	o := newOnline(t)
	source := testca.Points(testca.Point{URIs: []string{o.crls + "/a.crl"}})
	revoked := o.mail("revoked.eml", o.ca.Issuing, source)
	bob := o.ca.Leaf("bob@example.com", testca.P256, o.alive(), source)
	o.publish(revoked, bob)
	for name, leaf := range map[string]*testca.Leaf{"alice.pem": revoked, "bob.pem": bob} {
		key, err := x509.MarshalPKCS8PrivateKey(leaf.Key)
		if err != nil {
			t.Fatal(err)
		}
		put(t, o.dir, name, append(append(leaf.Certificate.PEM(), o.ca.Issuing.Certificate.PEM()...), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...))
	}
	put(t, o.dir, "leaf.pem", append(revoked.Certificate.PEM(), o.ca.Issuing.Certificate.PEM()...))
	put(t, o.dir, "plain.eml", []byte("From: alice@example.com\r\nTo: bob@example.com\r\n\r\nHello.\r\n"))
	sign := func(args ...string) {
		t.Helper()
		if _, stderr, exit := o.run(args...); exit != 0 {
			t.Fatalf("%v: %s", args, stderr)
		}
	}
	sign("cms", "sign", "--as", "alice.pem", "-o", filepath.Join(o.dir, "file.p7m"), "revoked.eml")
	sign("sign", "--as", "alice.pem", "--request-receipt", "-o", filepath.Join(o.dir, "asking.eml"), "plain.eml")
	sign("receipt", "make", "--as", "bob.pem", "--trust", "root.pem", "-o", filepath.Join(o.dir, "receipt.eml"), "asking.eml")
	for _, line := range []string{
		"verify --no-learn --trust root.pem revoked.eml",
		"cms verify --trust root.pem file.p7m",
		"cert verify --trust root.pem leaf.pem",
		"receipt make --as bob.pem --trust root.pem -o /dev/null asking.eml",
		"receipt verify --trust root.pem --original asking.eml receipt.eml",
		"evidence --trust root.pem -o /dev/null revoked.eml",
		"encrypt --plan --trust root.pem --to leaf.pem plain.eml",
	} {
		args := strings.Fields(line)
		if err := os.RemoveAll(filepath.Join(o.dir, "home", "revocation")); err != nil {
			t.Fatal(err)
		}
		before := o.hits.Load()
		if stdout, stderr, exit := o.run(args...); exit != 0 || o.hits.Load() != before {
			t.Errorf("%s: exit %d, %d requests: %s%s", line, exit, o.hits.Load()-before, stdout, stderr)
		}
		if stdout, stderr, exit := o.run(append(args, "--revocation", "online")...); exit != 1 || o.hits.Load() == before || !strings.Contains(stdout+stderr, "revoked") {
			t.Errorf("%s, online: exit %d, %d requests: %s%s", line, exit, o.hits.Load()-before, stdout, stderr)
		}
	}
	if stdout, _, exit := o.run("cert", "verify", "--trust", "root.pem", "--revocation", "online", "--json", "leaf.pem"); exit != 1 || !strings.Contains(stdout, `"status": "revoked"`) {
		t.Errorf("exit %d, %s", exit, stdout)
	}
	// A contact is asked about, for a mail and for a file.
	o.publish()
	if err := os.RemoveAll(filepath.Join(o.dir, "home", "revocation")); err != nil {
		t.Fatal(err)
	}
	if _, stderr, exit := o.run("verify", "--trust", "root.pem", "revoked.eml"); exit != 0 || !strings.Contains(stderr, "learned") {
		t.Fatalf("exit %d: %s", exit, stderr)
	}
	o.publish(revoked)
	for _, command := range []string{"encrypt", "cms encrypt"} {
		args := append(strings.Fields(command), "--to", "alice@example.com", "-o", "/dev/null", "plain.eml")
		if _, stderr, exit := o.run(args...); exit != 0 {
			t.Errorf("%s: exit %d: %s", command, exit, stderr)
		}
		if _, stderr, exit := o.run(append(args, "--revocation", "online")...); exit != 1 || !strings.Contains(stderr, "revoked") {
			t.Errorf("%s, online: exit %d: %s", command, exit, stderr)
		}
	}
	// One that names no source is said to name none.
	put(t, o.dir, "silent.pem", append(o.ca.Leaf("bob@example.com", testca.P256, o.alive()).Certificate.PEM(), o.ca.Issuing.Certificate.PEM()...))
	if stdout, _, exit := o.run("cert", "verify", "--trust", "root.pem", "--revocation", "online", "silent.pem"); exit != 0 || !strings.Contains(stdout, "names no source") {
		t.Errorf("exit %d, %s", exit, stdout)
	}
}

// TestFetchIssuers: a missing authority is fetched where somebody asks for it, and that
// is said.
func TestFetchIssuers(t *testing.T) {
	o := newOnline(t)
	o.list.Store(o.ca.Issuing.Certificate.Raw)
	leaf := o.ca.Issuing.Leaf("alice@example.com", testca.P256, o.alive(), func(c *x509.Certificate) { c.IssuingCertificateURL = []string{o.crls + "/issuing.cer"} })
	text := "From: alice@example.com\r\nDate: " + o.now.Format(time.RFC1123Z) + "\r\n\r\nHello.\r\n"
	var b bytes.Buffer
	if err := smime.Sign(&b, strings.NewReader(text), int64(len(text)), &smime.SignOptions{
		Signers: []*cms.Signer{{Key: leaf.Signer(), Certificate: leaf.Certificate}}, Time: o.now,
	}); err != nil {
		t.Fatal(err)
	}
	put(t, o.dir, "alone.eml", b.Bytes())
	put(t, o.dir, "leaf.pem", leaf.Certificate.PEM())
	for _, line := range []string{
		"verify --no-learn --trust root.pem alone.eml",
		"evidence --trust root.pem -o /dev/null alone.eml",
		"cert verify --trust root.pem leaf.pem",
		"encrypt --plan --trust root.pem --to leaf.pem alone.eml",
	} {
		args := strings.Fields(line)
		if err := os.RemoveAll(filepath.Join(o.dir, "home", "revocation")); err != nil {
			t.Fatal(err)
		}
		before := o.hits.Load()
		if stdout, stderr, exit := o.run(append(args, "--revocation", "online")...); exit != 1 || o.hits.Load() != before {
			t.Errorf("%s: exit %d, %d requests: %s%s", line, exit, o.hits.Load()-before, stdout, stderr)
		}
		stdout, stderr, exit := o.run(append(args, "--fetch-issuers")...)
		if exit != 0 || o.hits.Load() != before+1 || strings.Count(stderr, "fetched the certificate of") != 1 {
			t.Errorf("%s, on request: exit %d, %d requests: %s%s", line, exit, o.hits.Load()-before, stdout, stderr)
		}
	}
	// The record has what was fetched.
	if _, stderr, exit := o.run("evidence", "--trust", "root.pem", "--fetch-issuers", "-o", filepath.Join(o.dir, "alone.zip"), "alone.eml"); exit != 0 {
		t.Fatal(stderr)
	}
	// What comes is of another authority: the mail stays untrusted.
	if err := os.RemoveAll(filepath.Join(o.dir, "home", "revocation")); err != nil {
		t.Fatal(err)
	}
	o.list.Store(testca.NewRoot(t, "Stranger", o.alive()).Certificate.Raw)
	if _, stderr, exit := o.run("verify", "--trust", "root.pem", "--fetch-issuers", "alone.eml"); exit != 1 || !strings.Contains(stderr, "could not be fetched") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
}

// TestOnlineLists: lists are fetched, and only of certificates that are
// trusted, and only if somebody asks for it.
func TestOnlineLists(t *testing.T) {
	o := newOnline(t)
	source := testca.Points(testca.Point{URIs: []string{o.crls + "/a.crl"}})
	o.mail("good.eml", o.ca.Issuing, source)
	revoked := o.mail("revoked.eml", o.ca.Issuing, source)
	o.mail("silent.eml", o.ca.Issuing)
	o.mail("stranger.eml", testca.NewRoot(t, "Stranger", o.alive()), source)
	o.publish(revoked)
	for _, tt := range []struct {
		name       string
		loopback   bool
		flags      []string
		conclusion smime.Conclusion
		status     smime.Status
		warned     bool
		hits       int32
	}{
		{"good.eml", true, nil, smime.Valid, smime.StatusValid, true, 0},
		{"good.eml", true, []string{"--revocation", "off"}, smime.Valid, smime.StatusValid, true, 0},
		{"stranger.eml", true, []string{"--revocation", "online"}, smime.Untrusted, smime.StatusUntrusted, false, 0},
		{"silent.eml", true, []string{"--revocation", "online"}, smime.Valid, smime.StatusValid, true, 0},
		{"good.eml", false, []string{"--revocation", "online"}, smime.Unknown, smime.StatusRevocationUnknown, false, 0},
		{"good.eml", true, []string{"--revocation", "online"}, smime.Valid, smime.StatusValid, false, 1},
		{"revoked.eml", true, []string{"--revocation", "online"}, smime.Invalid, smime.StatusRevoked, false, 0}, // the list is in the cache
	} {
		before := o.hits.Load()
		v, exit := o.ask("verify", tt.name, tt.loopback, tt.flags...)
		t.Log(tt.name, tt.flags)
		o.want(v, exit, tt.conclusion, tt.status, tt.warned)
		if n := o.hits.Load() - before; n != tt.hits {
			t.Errorf("%s %v: %d requests, want %d", tt.name, tt.flags, n, tt.hits)
		}
	}
	// A list that has no answer, while the one in the cache is over.
	o.now = o.now.Add(2 * time.Hour)
	v, exit := o.ask("verify", "good.eml", true, "--revocation", "online")
	o.want(v, exit, smime.Unknown, smime.StatusRevocationUnknown, false)
	// What the caller has is asked first.
	o.publish()
	put(t, o.dir, "given.crl", o.list.Load().([]byte))
	before := o.hits.Load()
	v, exit = o.ask("verify", "good.eml", true, "--revocation", "online", "--crl", filepath.Join(o.dir, "given.crl"))
	o.want(v, exit, smime.Valid, smime.StatusValid, false)
	if o.hits.Load() != before {
		t.Error("fetched what was given")
	}
}
