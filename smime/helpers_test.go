package smime

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// world is a small PKI with people in it.
type world struct {
	t  testing.TB
	ca *testca.CA
}

func newWorld(t testing.TB) *world { return &world{t, testca.New(t)} }

func signerOf(l *testca.Leaf) *cms.Signer {
	return &cms.Signer{Key: l.Signer(), Certificate: l.Certificate, Chain: l.Chain}
}

func recipientOf(t testing.TB, l *testca.Leaf) *cms.Recipient {
	t.Helper()
	r, err := cms.NewRecipient(l.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func keyOf(l *testca.Leaf) *cms.RecipientKey {
	return &cms.RecipientKey{Key: l.Key, Certificate: l.Certificate}
}

func (w *world) options(keys ...*testca.Leaf) *OpenOptions {
	o := &OpenOptions{Anchors: []*cert.Certificate{w.ca.Root.Certificate}, At: testca.Now}
	for _, k := range keys {
		o.Keys = append(o.Keys, keyOf(k))
	}
	return o
}

func signMessage(t testing.TB, message string, o *SignOptions) string {
	t.Helper()
	if o.Time.IsZero() {
		o.Time = testca.Now
	}
	var b bytes.Buffer
	if err := Sign(&b, strings.NewReader(message), int64(len(message)), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encryptMessage(t testing.TB, message string, c cms.Cipher, to ...*testca.Leaf) string {
	t.Helper()
	o := &EncryptOptions{Cipher: c}
	for _, l := range to {
		o.Recipients = append(o.Recipients, recipientOf(t, l))
	}
	var b bytes.Buffer
	if err := Encrypt(&b, strings.NewReader(message), int64(len(message)), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// open judges a message that can be opened.
func open(t testing.TB, message string, o *OpenOptions) *Message {
	t.Helper()
	m, err := Open(strings.NewReader(message), int64(len(message)), o)
	if err != nil {
		t.Fatalf("open: %v\n%s", err, message)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func content(t testing.TB, m *Message) string {
	t.Helper()
	b, err := io.ReadAll(m.Content())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func written(t testing.TB, m *Message) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WriteContent(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func show(v Verdict) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}

func wantVerdict(t testing.TB, m *Message, verdict Conclusion, coverage Coverage) {
	t.Helper()
	if m.Verdict.Verdict != verdict || m.Verdict.Coverage != coverage {
		t.Errorf("verdict %s, coverage %s; want %s, %s\n%s", m.Verdict.Verdict, m.Verdict.Coverage, verdict, coverage, show(m.Verdict))
	}
	future := strings.Contains(strings.Join(m.Verdict.Warnings, " "), "in the future")
	if (m.Learned != nil) != (m.Verdict.Verdict == Valid && !future) {
		t.Errorf("learned %v from a verdict %s", m.Learned, m.Verdict.Verdict)
	}
}

// wantWarning looks for words in the warnings; "" wants none but the one about revocation.
func wantWarning(t testing.TB, m *Message, words string) {
	t.Helper()
	for _, w := range m.Verdict.Warnings {
		if words != "" && strings.Contains(w, words) {
			return
		}
		if words == "" && !strings.Contains(w, "revocation was not checked") {
			t.Errorf("warning %q", w)
		}
	}
	if words != "" {
		t.Errorf("no warning with %q in %q", words, m.Verdict.Warnings)
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// plain is a mail that nothing was done to.
var plain = crlf(`From: Alice <alice@example.com>
To: Bob <bob@example.org>
Subject: Hello
Date: ` + testca.Now.Format(time.RFC1123Z) + `
Message-ID: <1@example.com>
Content-Type: text/plain; charset=us-ascii

Dear Bob,

see you at noon.
`)
