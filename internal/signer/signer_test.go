package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/signature"
	"github.com/mailseal/mailseal/internal/testca"
)

// process is a signer in this process, at a socket.
type process struct {
	socket   string
	listener *net.UnixListener
	log      *bytes.Buffer
	now      time.Time
	stop     func()
}

func start(t *testing.T, socket string, change func(*Options), keys ...Key) *process {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{socket: socket, listener: l, log: &bytes.Buffer{}, now: testca.Now}
	o := Options{
		Keys: keys, Allow: func(uid int) bool { return uid == os.Getuid() }, Rate: 1000, Clock: func() time.Time { return p.now },
		Log: slog.New(slog.NewJSONHandler(p.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, o) }()
	p.stop = func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(p.stop)
	return p
}

func socketIn(t *testing.T) string { return filepath.Join(t.TempDir(), "s") }

// sign asks as the rest of mailseal does.
func (p *process) sign(t *testing.T, name string, message []byte) error {
	t.Helper()
	key, err := Open(p.socket, name)
	if err != nil {
		return err
	}
	scheme, err := signature.For(key.Public(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := scheme.Sign(rand.Reader, key, message)
	if err != nil {
		return err
	}
	return scheme.Verify(key.Public(), message, sig)
}

func authorityKey(name string, a *testca.Authority) Key {
	return Key{Name: name, Signer: a.Key, Certificate: a.Certificate}
}

func crlTBS(t *testing.T, der []byte) []byte {
	t.Helper()
	l, err := cert.ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	return l.RawTBS
}

func ocspTBS(t *testing.T, der []byte) []byte {
	t.Helper()
	r, err := cert.ParseOCSPResponse(der)
	if err != nil {
		t.Fatal(err)
	}
	return r.Basic.RawTBS
}

func requestInfo(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return r.RawTBSCertificateRequest
}

// timestampAttributes are signed attributes with a content type.
func timestampAttributes(t *testing.T, contentType asn1.ObjectIdentifier) []byte {
	t.Helper()
	type attribute struct {
		ID     asn1.ObjectIdentifier
		Values []asn1.ObjectIdentifier `asn1:"set"`
	}
	der, err := asn1.MarshalWithParams([]attribute{{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, []asn1.ObjectIdentifier{contentType}}}, "set")
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A key signs what names it as the issuer, and nothing else.
func TestWhatIsSigned(t *testing.T) {
	ca, other := testca.New(t), testca.NewRoot(t, "Other Root")
	narrow := ca.Root.Authority("Narrow", testca.PathLen(0))
	clock := ca.Issuing.Leaf("", testca.P256, testca.ExtKeyUsage(x509.ExtKeyUsageTimeStamping))
	responder := ca.Issuing.Responder()
	fresh := testca.NewRoot(t, "Fresh Root")
	leaf := ca.Issuing.Leaf("alice@example.com", testca.P256).Certificate
	about := testca.Response{Answers: []testca.Answer{{About: leaf, Issuer: ca.Issuing.Certificate}}}
	byName := about
	byName.ByKey = true
	tst, data := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}

	strong := ca.Root.AuthorityOf(testca.P384, "Strong")
	weaker := func(tbs []byte) []byte { // ecdsa-with-SHA256 in place of ecdsa-with-SHA384
		changed := bytes.ReplaceAll(tbs, []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3}, []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2})
		if bytes.Equal(changed, tbs) {
			t.Fatal("no algorithm to change")
		}
		return changed
	}

	p := start(t, socketIn(t), nil,
		authorityKey("root", ca.Root), authorityKey("issuing", ca.Issuing), authorityKey("narrow", narrow), authorityKey("strong", strong),
		Key{Name: "clock", Signer: clock.Signer(), Certificate: clock.Certificate},
		Key{Name: "responder", Signer: responder.Signer(), Certificate: responder.Certificate},
		Key{Name: "fresh", Signer: fresh.Key})
	for name, tt := range map[string]struct {
		key     string
		message []byte
		want    string // empty: signed
	}{
		"certificate":             {"issuing", leaf.RawTBS, ""},
		"authority's certificate": {"root", ca.Issuing.Certificate.RawTBS, ""},
		"list":                    {"issuing", crlTBS(t, ca.Issuing.CRL(nil)), ""},
		"response by name":        {"issuing", ocspTBS(t, ca.Issuing.OCSP(about)), ""},
		"response by key":         {"issuing", ocspTBS(t, ca.Issuing.OCSP(byName)), ""},
		"delegated response":      {"responder", ocspTBS(t, responder.OCSP(t, about)), ""},
		"timestamp":               {"clock", timestampAttributes(t, tst), ""},
		"request of a new key":    {"fresh", requestInfo(t, fresh.Key), ""},

		"certificate, other digest":   {"strong", weaker(strong.Leaf("a@example.com", testca.P256).Certificate.RawTBS), "algorithm"},
		"list, other digest":          {"strong", weaker(crlTBS(t, strong.CRL(nil))), "algorithm"},
		"certificate of another":      {"root", leaf.RawTBS, "another issuer"},
		"authority below narrow":      {"narrow", narrow.Authority("Below").Certificate.RawTBS, "no authority below"},
		"certificate by the clock":    {"clock", leaf.RawTBS, "no authority's"},
		"root of another":             {"root", other.Certificate.RawTBS, "another issuer"},
		"beyond the issuer's years":   {"issuing", ca.Issuing.Leaf("a@example.com", testca.P256, testca.Validity(testca.Now, testca.Now.AddDate(90, 0, 0))).Certificate.RawTBS, "outside the validity"},
		"list of another":             {"root", crlTBS(t, ca.Issuing.CRL(nil)), "another issuer"},
		"list by the responder":       {"responder", crlTBS(t, ca.Issuing.CRL(nil)), "does not allow CRLs"},
		"response of another":         {"root", ocspTBS(t, ca.Issuing.OCSP(about)), "another responder"},
		"response of another by key":  {"root", ocspTBS(t, ca.Issuing.OCSP(byName)), "another responder"},
		"response by the clock":       {"clock", ocspTBS(t, clock.OCSP(t, about)), "not for"},
		"timestamp by the authority":  {"issuing", timestampAttributes(t, tst), "not for"},
		"signed mail":                 {"clock", timestampAttributes(t, data), "neither"},
		"request of an old key":       {"issuing", requestInfo(t, ca.Issuing.Key), "has its certificate"},
		"request for another key":     {"fresh", requestInfo(t, ca.Issuing.Key), "another key"},
		"new key issues":              {"fresh", leaf.RawTBS, "no certificate yet"},
		"new key as another's root":   {"fresh", other.Certificate.RawTBS, "no certificate yet"},
		"new key's list":              {"fresh", crlTBS(t, fresh.CRL(nil)), "none yet"},
		"nothing":                     {"issuing", nil, "neither"},
		"text":                        {"issuing", []byte("I owe you a thousand"), "neither"},
		"certificate, and more":       {"issuing", append(bytes.Clone(leaf.RawTBS), 0), "neither"},
		"the signed one":              {"issuing", leaf.Raw, "neither"},
		"list, and more":              {"issuing", append(crlTBS(t, ca.Issuing.CRL(nil)), 5, 0), "neither"},
		"digest of what it would not": {"issuing", bytes.Repeat([]byte{1}, 32), "neither"},
	} {
		err := p.sign(t, tt.key, tt.message)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want a refusal: %q", name, err, tt.want)
		}
	}
	if err := p.sign(t, "nobody", leaf.RawTBS); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown key: %v", err)
	}
	p.stop()
	for _, want := range []string{`"msg":"signed"`, `"msg":"not signed"`, fmt.Sprintf(`"detail":%q`, leaf.SerialHex()), fmt.Sprintf(`"user":%d`, os.Getuid())} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

// A key of the process gets the certificate that another one of it signs.
func TestCertificateIsLearned(t *testing.T) {
	ca := testca.New(t)
	var learned []*cert.Certificate
	keep := func(c *cert.Certificate) error { learned = append(learned, c); return nil }
	second := testca.NewRoot(t, "Second Root")
	p := start(t, socketIn(t), nil, Key{Name: "root", Signer: ca.Root.Key, Learned: keep}, Key{Name: "issuing", Signer: ca.Issuing.Key, Learned: keep}, authorityKey("second", second))
	leaf, list := ca.Issuing.Leaf("alice@example.com", testca.P256).Certificate.RawTBS, crlTBS(t, ca.Root.CRL(nil))
	for i, tt := range []struct {
		key     string
		message []byte
		signed  bool
	}{
		{"root", list, false}, {"root", ca.Issuing.Certificate.RawTBS, false}, {"issuing", leaf, false},
		{"root", ca.Root.Certificate.RawTBS, true}, {"root", list, true},
		{"issuing", leaf, false}, {"root", ca.Issuing.Certificate.RawTBS, true}, {"issuing", leaf, true},
		{"root", ca.Root.Certificate.RawTBS, false}, // it has one now
		{"second", second.CrossSign(ca.Root).RawTBS, true}, {"root", list, true},
	} {
		if err := p.sign(t, tt.key, tt.message); (err == nil) != tt.signed {
			t.Errorf("%d: %v", i, err)
		}
	}
	if len(learned) != 2 || !bytes.Equal(learned[0].RawTBS, ca.Root.Certificate.RawTBS) || learned[1].CheckSignatureFrom(learned[0]) != nil {
		t.Errorf("learned %v", learned)
	}
}

// More signatures than the limit are refused, until time has passed.
func TestRate(t *testing.T) {
	ca := testca.New(t)
	p := start(t, socketIn(t), func(o *Options) { o.Rate = 2 }, authorityKey("issuing", ca.Issuing), authorityKey("root", ca.Root))
	list := crlTBS(t, ca.Issuing.CRL(nil))
	try := func(want ...error) {
		t.Helper()
		for i, w := range want {
			if err := p.sign(t, "issuing", list); !errors.Is(err, w) {
				t.Errorf("%d: %v, want %v", i, err, w)
			}
		}
	}
	try(nil, nil, nil, nil, ErrBusy, ErrBusy)
	if err := p.sign(t, "root", crlTBS(t, ca.Root.CRL(nil))); err != nil {
		t.Errorf("another key: %v", err)
	}
	p.now = p.now.Add(time.Second)
	try(nil, nil, ErrBusy)
	p.now = p.now.Add(-time.Hour) // set back: nothing is gained
	try(ErrBusy)
	p.now = p.now.Add(time.Minute)
	try(nil, nil, nil, nil, ErrBusy)
}

// Only the user who is served is heard.
func TestPeer(t *testing.T) {
	ca := testca.New(t)
	p := start(t, socketIn(t), func(o *Options) { o.Allow = func(uid int) bool { return uid != os.Getuid() } }, authorityKey("issuing", ca.Issuing))
	if _, err := Open(p.socket, "issuing"); err == nil {
		t.Error("a stranger was answered")
	}
	p.stop()
	if !strings.Contains(p.log.String(), "is not served") {
		t.Errorf("the log does not tell: %s", p.log)
	}
}

// A client finds the process again that was started anew.
func TestReconnect(t *testing.T) {
	ca := testca.New(t)
	socket := socketIn(t)
	p := start(t, socket, nil, authorityKey("issuing", ca.Issuing))
	key, err := Open(socket, "issuing")
	if err != nil {
		t.Fatal(err)
	}
	message := crlTBS(t, ca.Issuing.CRL(nil))
	sign := func() error {
		_, err := key.(crypto.MessageSigner).SignMessage(rand.Reader, message, crypto.SHA256)
		return err
	}
	if err := sign(); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if err := sign(); err == nil {
		t.Error("signed by nobody")
	}
	start(t, socket, nil, authorityKey("issuing", ca.Issuing))
	if err := sign(); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	if _, err := key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); !errors.Is(err, signature.ErrWholeMessage) {
		t.Errorf("a digest: %v", err)
	}
	if _, err := key.(crypto.MessageSigner).SignMessage(rand.Reader, message, crypto.SHA384); !errors.Is(err, signature.ErrUnsupported) {
		t.Errorf("another digest: %v", err)
	}
}

func TestServeRefusals(t *testing.T) {
	ca := testca.New(t)
	for name, keys := range map[string][]Key{
		"twice":               {authorityKey("a", ca.Root), authorityKey("a", ca.Issuing)},
		"no name":             {authorityKey("", ca.Root)},
		"long name":           {authorityKey(strings.Repeat("a", MaxName+1), ca.Root)},
		"another certificate": {{Name: "a", Signer: ca.Root.Key, Certificate: ca.Issuing.Certificate}},
	} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketIn(t), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Serve(t.Context(), l, Options{Keys: keys}); err == nil {
			t.Errorf("%s: served", name)
		}
		l.Close()
	}
}

func TestSplitURI(t *testing.T) {
	socket, name, err := SplitURI("signer:/run/mailseal/signer.sock#issuing")
	if socket != "/run/mailseal/signer.sock" || name != "issuing" || err != nil {
		t.Errorf("%q %q %v", socket, name, err)
	}
	for _, bad := range []string{"", "signer:", "signer:/a", "signer:/a#", "signer:#a", "pkcs11:a#b", "signer:/a#" + strings.Repeat("b", MaxName+1)} {
		if _, _, err := SplitURI(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func frame(body string, after ...byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), after...)
}

func TestLimits(t *testing.T) {
	for name, data := range map[string][]byte{
		"long frame":   binary.BigEndian.AppendUint32(nil, MaxFrame+1),
		"empty frame":  {0, 0, 0, 0},
		"cut frame":    frame(`{"op":"sign"}`)[:9],
		"long message": frame(fmt.Sprintf(`{"op":"sign","key":"a","size":%d}`, MaxMessage+1)),
		"negative":     frame(`{"op":"sign","key":"a","size":-1}`),
		"cut message":  frame(`{"op":"sign","key":"a","size":3}`, 1, 2),
		"long name":    frame(`{"op":"sign","key":"` + strings.Repeat("a", MaxName+1) + `"}`),
		"unknown":      frame(`{"op":"sign","digest":"AA=="}`),
		"two objects":  frame(`{}{}`),
	} {
		if _, _, err := readQuestion(bytes.NewReader(data)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzQuestion: what comes over the socket is read or refused, within the limits.
func FuzzQuestion(f *testing.F) {
	f.Add(frame(`{"op":"public","key":"a"}`))
	f.Add(frame(`{"op":"sign","key":"a","size":3}`, 1, 2, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, message, err := readQuestion(bytes.NewReader(data))
		if err == nil && (len(message) != q.Size || len(q.Key) > MaxName) {
			t.Errorf("%+v with %d octets", q, len(message))
		}
	})
}

// FuzzAdmit: whatever is signed is read by the parsers of the rest as what it was
// taken for, for this key.
func FuzzAdmit(f *testing.F) {
	ca := testca.New(f)
	leaf := ca.Issuing.Leaf("alice@example.com", testca.P256).Certificate
	f.Add(leaf.RawTBS)
	list, err := cert.ParseCRL(ca.Issuing.CRL(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list.RawTBS)
	k, err := newKey(authorityKey("issuing", ca.Issuing), &Options{Rate: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		what, err := k.admit(message)
		if err != nil {
			return
		}
		if what.kind == kindCertificate && !bytes.Equal(what.certificate.RawIssuer, ca.Issuing.Certificate.RawSubject) {
			t.Error("a certificate of another issuer")
		}
		if what.kind == kindTimestamp || what.kind == kindRequest || what.kind == "" {
			t.Errorf("an authority signs a %q", what.kind)
		}
	})
}

// A connection that cannot be accepted ends nothing.
func TestAcceptFails(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	p := start(t, socketIn(t), nil, authorityKey("root", root))
	if err := p.listener.SetDeadline(time.Unix(1, 0)); err != nil { // every accept fails from now on
		t.Fatal(err)
	}
	time.Sleep(3 * acceptPause)
	if err := p.listener.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p.socket, "root"); err != nil {
		t.Errorf("after failures: %v", err)
	}
	p.stop()
	if n := strings.Count(p.log.String(), "connection not accepted"); n == 0 || n > 10 {
		t.Errorf("%d failures were logged", n)
	}
}
