package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// timeStamping is what the certificate of a timestamp authority says (RFC 3161 §2.3).
var timeStamping = testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08"))

// clock is a timestamp authority with a root of its own, whose clock shows at.
func clock(t *testing.T, at time.Time, options ...testca.Option) (root *testca.Authority, stamp func([]byte) ([]byte, error)) {
	return clockUnder(t, testca.NewRoot(t, "Clock Root"), at, options...)
}

func clockUnder(t *testing.T, root *testca.Authority, at time.Time, options ...testca.Option) (*testca.Authority, func([]byte) ([]byte, error)) {
	leaf := root.Leaf("", testca.P256, append([]testca.Option{testca.KeyUsage(x509.KeyUsageDigitalSignature)}, options...)...)
	a := &cms.TimestampAuthority{Signer: &cms.Signer{Key: leaf.Signer(), Certificate: leaf.Certificate}, Policy: "1.2.3", Accuracy: time.Second}
	return root, func(request []byte) ([]byte, error) { return a.Respond(request, big.NewInt(1), at) }
}

// rawSigned signs a text and returns the reader of it, read to its end.
func rawSigned(t *testing.T, leaf *testca.Leaf, change func([]byte) []byte, o *cms.SignOptions) *cms.SignedReader {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.Sign(&out, []*cms.Signer{{Key: leaf.Signer(), Certificate: leaf.Certificate, Chain: leaf.Chain}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "Pay 10 to Bob"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	message := out.Bytes()
	if change != nil {
		message = change(message)
	}
	r, err := cms.NewReader(bytes.NewReader(message), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil && !errors.Is(err, cms.ErrSignature) {
		t.Fatal(err)
	}
	return s
}

func TestJudgeRaw(t *testing.T) {
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.com", testca.P256)
	expired := ca.Leaf("alice@example.com", testca.P256, testca.Expired())
	altered := func(m []byte) []byte { return bytes.Replace(m, []byte("Pay 10"), []byte("Pay 99"), 1) }
	anchors := []*cert.Certificate{ca.Root.Certificate}
	stranger := []*cert.Certificate{testca.NewRoot(t, "Stranger Root").Certificate}
	for name, c := range map[string]struct {
		s    *cms.SignedReader
		o    *OpenOptions
		want Conclusion
	}{
		"trusted":             {rawSigned(t, alice, nil, nil), &OpenOptions{Anchors: anchors, At: testca.Now}, Valid},
		"altered":             {rawSigned(t, alice, altered, nil), &OpenOptions{Anchors: anchors, At: testca.Now}, Invalid},
		"stranger":            {rawSigned(t, alice, nil, nil), &OpenOptions{Anchors: stranger, At: testca.Now}, Untrusted},
		"expired":             {rawSigned(t, expired, nil, nil), &OpenOptions{Anchors: anchors, At: testca.Now}, Untrusted},
		"nobody asked":        {rawSigned(t, expired, nil, nil), nil, Valid},
		"nobody asked, wrong": {rawSigned(t, alice, altered, nil), nil, Invalid},
	} {
		v := JudgeRaw(c.s, c.o)
		if v.Verdict != c.want || v.Coverage != CoverageWhole || len(v.Signers) != 1 || len(v.Layers) != 1 || len(v.Warnings) == 0 {
			t.Errorf("%s: %+v", name, v)
		}
	}
	var none bytes.Buffer
	if err := cms.CertsOnly(&none, anchors, nil); err != nil {
		t.Fatal(err)
	}
	r, err := cms.NewReader(&none, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		t.Fatal(err)
	}
	if v := JudgeRaw(s, nil); v.Verdict != Unsigned || v.Coverage != CoverageNone {
		t.Errorf("certificates only: %+v", v)
	}
}

// A timestamp saves a certificate that has ended since, if its authority is
// trusted and its time before that end.
func TestTimestampProves(t *testing.T) {
	ca := testca.New(t)
	end := testca.Now.AddDate(0, 0, -1)
	expired := ca.Leaf("alice@example.com", testca.P256, testca.Expired())
	for name, c := range map[string]struct {
		at       time.Time
		distrust bool
		options  []testca.Option
		want     Status
		proven   bool
	}{
		"in time":                        {at: end.AddDate(0, -1, 0), want: StatusValid, proven: true},
		"too late":                       {at: end.Add(time.Hour), want: StatusExpired, proven: true},
		"within the clock's error":       {at: end, want: StatusExpired, proven: true},
		"by one who is not trusted":      {at: end.AddDate(0, -1, 0), distrust: true, want: StatusExpired},
		"before the certificate":         {at: end.AddDate(-2, 0, 0), want: StatusUntrusted, proven: true},
		"in the future":                  {at: testca.Now.AddDate(0, 1, 0), want: StatusExpired},
		"by one whose certificate ended": {at: end.AddDate(0, -1, 0), options: []testca.Option{timeStamping, testca.Expired()}, want: StatusExpired},
		"by one who stamps no times":     {at: end.AddDate(0, -1, 0), options: []testca.Option{testca.KeyUsage(x509.KeyUsageDigitalSignature)}, want: StatusExpired},
	} {
		if c.options == nil {
			c.options = []testca.Option{timeStamping}
		}
		root, stamp := clock(t, c.at, c.options...)
		o := &OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate}, At: testca.Now}
		if !c.distrust {
			o.Anchors = append(o.Anchors, root.Certificate)
		}
		v := JudgeRaw(rawSigned(t, expired, nil, &cms.SignOptions{Timestamp: stamp}), o)
		if len(v.Signers) != 1 || v.Signers[0].Status != c.want || v.Signers[0].Timestamped.IsZero() == c.proven {
			t.Errorf("%s: %+v", name, v.Signers)
		}
		if c.proven && !v.Signers[0].Timestamped.Equal(c.at.Add(time.Second)) {
			t.Errorf("%s: %v, which is not as late as the clock's error allows", name, v.Signers[0].Timestamped)
		}
	}
}

// A mail's signature is judged with its timestamps too.
func TestTimestampedMail(t *testing.T) {
	ca := testca.New(t)
	expired := ca.Leaf("alice@example.com", testca.P256, testca.Expired())
	at := testca.Now.AddDate(0, -1, 0)
	root, stamp := clock(t, at, timeStamping)
	var out bytes.Buffer
	out.WriteString("From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: binary\r\n\r\n")
	w, err := cms.Sign(&out, []*cms.Signer{{Key: expired.Signer(), Certificate: expired.Certificate, Chain: expired.Chain}}, &cms.SignOptions{Timestamp: stamp})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "Content-Type: text/plain\r\n\r\ntext\r\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o := &OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate, root.Certificate}, At: testca.Now}
	m, err := Open(strings.NewReader(out.String()), int64(out.Len()), o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Verdict.Verdict != Valid || !m.Verdict.Signers[0].Timestamped.Equal(at.Add(time.Second)) {
		t.Errorf("%+v", m.Verdict)
	}
}
