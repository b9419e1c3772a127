package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestSenderProblems: why there is no sender is said, each reason for itself.
func TestSenderProblems(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	for header, want := range map[string]string{
		"From: eve@example.com\r\nFrom: eve@example.com\r\n": "the message has 2 From headers",
		"From: eve@example.com, <\r\n":                       "cannot be read without guessing",
		"X: y\r\n":                                           "the message has no From header",
		"From: eve@example.com, alice@example.com\r\n":       "names 2 addresses",
		"From: Group: eve@example.com;\r\n":                  "names a group",
	} {
		m := open(t, signMessage(t, header+"\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}}), w.options())
		if got := m.Verdict.Signers[0].Reason; !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// TestExpectedNonsense: whoever expects what is no address gets no mail from anybody.
func TestExpectedNonsense(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	mail := signMessage(t, "From: alice@example.com\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	for _, expected := range []string{"nonsense", "alice@example.com, bob@example.com", "Alice <alice@example.com>"} {
		o := w.options()
		o.From = expected
		m := open(t, mail, o)
		if m.Verdict.Verdict != Invalid || !strings.Contains(m.Verdict.Signers[0].Reason, "the expected sender is not an address") {
			t.Errorf("%q: %s", expected, show(m.Verdict))
		}
	}
}

// TestSenderTold: of several things that are wrong with a sender the first is told, and nothing is said of an address that there is not.
func TestSenderTold(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	signed := signMessage(t, "Content-Type: text/plain\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}})
	for _, tc := range []struct{ header, expected, reason string }{
		{"From: eve@example.com\rX: y\r\n", "", "the header can be read in two ways"},
		{"From: eve@example.com, alice@example.com\r\n", "nonsense", "names 2 addresses"},
		{"From: alice@example.com\r\n", "eve@example.com", "the message is from alice@example.com, not from eve@example.com"},
		{"Sender: alice@example.com\r\n", "", "has no From header"},
	} {
		o := w.options()
		o.From = tc.expected
		m := open(t, tc.header+signed, o)
		wantVerdict(t, m, Invalid, CoverageWhole)
		if got := m.Verdict.Signers[0].Reason; !strings.Contains(got, tc.reason) {
			t.Errorf("%q: %q, want %q", tc.header, got, tc.reason)
		}
		wantWarning(t, m, "")
	}
}

// TestReasonsInOrder: what decides stands first, and the rest is told too.
func TestReasonsInOrder(t *testing.T) {
	w := newWorld(t)
	eve := testca.NewRoot(t, "Stranger").Leaf("eve@example.com", testca.P256)
	signed := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(eve)}})
	m := open(t, signed, w.options())
	if s := m.Verdict.Signers[0]; s.Status != StatusAddressMismatch || !regexp.MustCompile(`^the certificate does not name alice@example\.com; no path: `).MatchString(s.Reason) {
		t.Error(show(m.Verdict))
	}
	// And from the milder to the worse.
	f := finding{status: StatusValid}
	f.add(StatusWeak, "weak")
	f.add(StatusRevoked, "revoked")
	f.add(StatusExpired, "expired")
	f.add(StatusRevoked, "revoked twice")
	if got := strings.Join(f.reasons, "; "); got != "revoked twice; revoked; weak; expired" || f.status != StatusRevoked {
		t.Errorf("%s: %s", f.status, got)
	}
}

// TestSignerShown: whoever signed is named as the certificate names them.
func TestSignerShown(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	s := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), w.options()).Verdict.Signers[0]
	c := alice.Certificate
	if s.Subject != c.Subject.String() || s.Issuer != c.Issuer.String() || s.Subject == "" || s.Issuer == "" || s.Serial != c.SerialHex() || s.SHA256 != c.SHA256() || len(s.Emails) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestWeakSignatures: an old algorithm or a short key convinces nobody any more, however right the rest is (RFC 8551 §4).
func TestWeakSignatures(t *testing.T) {
	w := newWorld(t)
	const text = "Content-Type: text/plain\r\n\r\nHello\r\n"
	for _, tc := range []struct {
		name   string
		kind   testca.Kind
		hash   crypto.Hash
		status Status
		reason string
	}{
		{"RSA-2048, SHA-256", testca.RSA2048, crypto.SHA256, StatusValid, "^$"},
		{"RSA-2048, SHA-1", testca.RSA2048, crypto.SHA1, StatusWeak, "SHA-1 can be forged"},
		{"RSA-2048, MD5", testca.RSA2048, crypto.MD5, StatusWeak, "MD5 can be forged"},
		{"RSA-1024, SHA-256", testca.RSA1024, crypto.SHA256, StatusWeak, "the key has 1024 bits, 2048 are needed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := w.options()
			o.WithoutAttributes = true
			m := open(t, bareSignature(t, w.ca.Leaf("alice@example.com", tc.kind), tc.hash, text), o)
			if s := m.Verdict.Signers[0]; s.Status != tc.status || !regexp.MustCompile(tc.reason).MatchString(s.Reason) {
				t.Error(show(m.Verdict))
			}
			// Without asking for trust, strength is asked for all the same.
			_, body, _ := strings.Cut(bareSignature(t, w.ca.Leaf("alice@example.com", tc.kind), tc.hash, text), "\r\n\r\n")
			r, err := cms.NewReader(entity.NewBase64Reader(strings.NewReader(body)), nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.SignedData(&cms.SignedOptions{WithoutAttributes: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, s); err != nil {
				t.Fatal(err)
			}
			if v := JudgeRaw(s, nil); v.Signers[0].Status != tc.status {
				t.Error(show(v))
			}
		})
	}
}

// TestSignerNotThere: a signature whose certificate is not in the message, or whose algorithm nobody knows, is not called wrong.
func TestSignerNotThere(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	head, body, _ := strings.Cut(opaque, "\r\n\r\n")
	der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, by []byte) string {
		if !bytes.Contains(der, old) || len(old) != len(by) {
			t.Fatal("nothing to change")
		}
		return armour(head+"\r\n\r\n", bytes.ReplaceAll(der, old, by))
	}
	// The serial number in the certificate is another one than the signature names.
	c := alice.Certificate
	stranger := bytes.Replace(c.Raw, c.Serial.Bytes(), append([]byte{c.Serial.Bytes()[0] ^ 1}, c.Serial.Bytes()[1:]...), 1)
	m := open(t, with(c.Raw, stranger), w.options())
	if s := m.Verdict.Signers[0]; m.Verdict.Verdict != Untrusted || s.Status != StatusUntrusted || !strings.Contains(s.Reason, "certificate is not in the message") {
		t.Error(show(m.Verdict))
	}
	// ECDSA with SHA-256 becomes 1.2.840.10045.4.3.31.
	known := []byte("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
	tail := bytes.LastIndex(der, known)
	unknown := bytes.Clone(der)
	unknown[tail+len(known)-1] = 31
	m = open(t, armour(head+"\r\n\r\n", unknown), w.options())
	if s := m.Verdict.Signers[0]; m.Verdict.Verdict != Unknown || s.Status != StatusUnsupported {
		t.Error(show(m.Verdict))
	}
}

// TestPathStatus is the table from reasons to statuses.
func TestPathStatus(t *testing.T) {
	for reason := certpath.Expired; reason <= certpath.Budget; reason++ {
		want := StatusUntrusted
		switch reason {
		case certpath.Expired:
			want = StatusExpired
		case certpath.Weak:
			want = StatusWeak
		case certpath.Unsupported:
			want = StatusUnsupported
		}
		if got := PathStatus(&certpath.Error{Reason: reason}); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
	if got := PathStatus(errors.New("another")); got != StatusUntrusted {
		t.Errorf("another error: %s", got)
	}
}

// TestExpiredTwice: a certificate that ended after its authority did is expired, and of no other fault is told.
func TestExpiredTwice(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	old := root.Authority("Old", testca.Validity(testca.Now.AddDate(-3, 0, 0), testca.Now.AddDate(-1, 0, 0)))
	alice := old.Leaf("alice@example.com", testca.P256, testca.Validity(testca.Now.AddDate(-2, 0, 0), testca.Now.AddDate(0, -1, 0)))
	list, err := cert.ParseCRL(root.CRL(nil))
	if err != nil {
		t.Fatal(err)
	}
	o := &OpenOptions{Anchors: []*cert.Certificate{root.Certificate}, CRLs: []*cert.CRL{list}, At: testca.Now}
	m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), o)
	if s := m.Verdict.Signers[0]; s.Status != StatusExpired || strings.Contains(s.Reason, ";") {
		t.Error(show(m.Verdict))
	}
}

// TestRenewedAfterTimestamp: a timestamp from before the certificate began takes nothing from one that is good now.
func TestRenewedAfterTimestamp(t *testing.T) {
	ca := testca.New(t)
	root, stamp := clock(t, testca.Now.AddDate(0, -1, 0), timeStamping)
	renewed := ca.Leaf("alice@example.com", testca.P256, testca.Validity(testca.Now.AddDate(0, 0, -1), testca.Now.AddDate(1, 0, 0)))
	o := &OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate, root.Certificate}, At: testca.Now}
	if v := JudgeRaw(rawSigned(t, renewed, nil, &cms.SignOptions{Timestamp: stamp}), o); v.Verdict != Valid || v.Signers[0].Timestamped.IsZero() {
		t.Error(show(v))
	}
}

// TestTimestampNotes: why a timestamp does not count is said of mail too.
func TestTimestampNotes(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	clockRoot := testca.NewRoot(t, "Clock Root")
	leaf := clockRoot.Leaf("", testca.P256, testca.KeyUsage(x509.KeyUsageDigitalSignature), timeStamping)
	a := &cms.TimestampAuthority{Signer: &cms.Signer{Key: leaf.Signer(), Certificate: leaf.Certificate}, Policy: "1.2.3", Accuracy: time.Second}
	stamp := func(request []byte) ([]byte, error) { return a.Respond(request, big.NewInt(1), testca.Now) }
	list, err := cert.ParseCRL(clockRoot.CRL([]testca.Revoked{testca.Entry(leaf.Certificate.Serial, int(cert.KeyCompromise))}))
	if err != nil {
		t.Fatal(err)
	}
	own, err := cert.ParseCRL(w.ca.Issuing.CRL(nil))
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.Anchors, o.CRLs = append(o.Anchors, clockRoot.Certificate), []*cert.CRL{list, own}
	m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Timestamp: stamp}), o)
	wantWarning(t, m, "the timestamp does not count")
}

// TestTimesNotSaid: what says no time is not compared with any.
func TestTimesNotSaid(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	opaque := func(header string, at time.Time) string {
		var b bytes.Buffer
		b.WriteString("From: alice@example.com\r\n" + header + "MIME-Version: 1.0\r\n")
		err := writePKCS7(&b, "signed-data", func(w io.Writer) (io.WriteCloser, error) {
			return cms.Sign(w, []*cms.Signer{signerOf(alice)}, &cms.SignOptions{Time: at})
		}, func(w io.Writer) error {
			_, err := io.WriteString(w, "Content-Type: text/plain\r\n\r\nx\r\n")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	dated := "Date: " + testca.Now.Format(time.RFC1123Z) + "\r\n"
	for _, message := range []string{opaque(dated, time.Time{}), opaque("", testca.Now), opaque("Date: yesterday\r\n", testca.Now), opaque(dated+dated, testca.Now)} {
		m := open(t, message, w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, "")
	}
}

// TestOutsideSigners: a signature outside of the encryption covers no content, so nothing that it asks for is answered.
func TestOutsideSigners(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Receipt: requestTo(t, "alice@example.com")}
	if m := open(t, signMessage(t, encryptMessage(t, plain, "", bob), o), w.options(bob)); m.signed != nil {
		t.Errorf("%d signers of the ciphertext pass for those of the content", len(m.signed))
	}
	// A layer that nobody signed hides not who signed around it.
	hollow := armour("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n", degenerate(t, []byte("Content-Type: text/plain\r\n\r\nx\r\n")))
	m := open(t, signMessage(t, "From: alice@example.com\r\n"+hollow, o), w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "nobody signed it")
	if m.ReceiptRequest() == nil {
		t.Error("the request of who signed all of it is lost")
	}
}

// TestEncryptionWarnings: what is said of encryption without a signature inside, and where nothing is to be said.
func TestEncryptionWarnings(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("carol@example.org", testca.P256)
	sign := func(message string) string {
		return signMessage(t, message, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	}
	raw := func(content string, c cms.Cipher) string {
		var b bytes.Buffer
		b.WriteString("From: alice@example.com\r\nMIME-Version: 1.0\r\n")
		err := writePKCS7(&b, "enveloped-data", func(w io.Writer) (io.WriteCloser, error) {
			return cms.Encrypt(w, []*cms.Recipient{recipientOf(t, bob)}, &cms.EncryptOptions{Cipher: c})
		}, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const (
		outside   = "outside of the encryption"
		unguarded = "does not protect against changes"
		garbage   = "the decrypted part looks changed"
		partly    = "a part of the message has a signature"
	)
	mixed := "From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + sign("Content-Type: text/plain\r\n\r\nx\r\n") + "\r\n--x--\r\n"
	for _, tc := range []struct {
		name, message string
		keys          []*testca.Leaf
		want          []string // all others of the above must be absent
	}{
		{"CBC, signed inside", encryptMessage(t, sign(plain), cms.AES256CBC, bob), []*testca.Leaf{bob}, nil},
		{"CBC, signed and compressed inside", encryptMessage(t, sign(compress(t, plain)), cms.AES256CBC, bob), []*testca.Leaf{bob}, nil},
		{"CBC alone", encryptMessage(t, plain, cms.AES256CBC, bob), []*testca.Leaf{bob}, []string{unguarded}},
		{"GCM alone", encryptMessage(t, plain, cms.AES256GCM, bob), []*testca.Leaf{bob}, nil},
		{"CBC, for somebody else", encryptMessage(t, plain, cms.AES256CBC, bob), []*testca.Leaf{carol}, nil},
		{"CBC in CBC, for somebody else inside", encryptMessage(t, encryptMessage(t, plain, cms.AES256CBC, bob), cms.AES256CBC, carol), []*testca.Leaf{carol}, []string{unguarded}},
		{"CBC, signed outside", sign(encryptMessage(t, plain, cms.AES256CBC, bob)), []*testca.Leaf{bob}, []string{outside, unguarded}},
		{"signed outside, for somebody else", sign(encryptMessage(t, plain, cms.AES256CBC, bob)), []*testca.Leaf{carol}, nil},
		{"a signed part inside GCM", encryptMessage(t, mixed, cms.AES256GCM, bob), []*testca.Leaf{bob}, []string{partly}},
		{"garbage in CBC", raw("Content-Type: text/plain\r\ngarbage\r\n\r\nx\r\n", cms.AES256CBC), []*testca.Leaf{bob}, []string{unguarded, garbage}},
		{"garbage in GCM", raw("Content-Type: text/plain\r\ngarbage\r\n\r\nx\r\n", cms.AES256GCM), []*testca.Leaf{bob}, nil},
		{"no garbage in CBC", raw("Content-Type: text/plain\r\n\r\ngarbage\r\n", cms.AES256CBC), []*testca.Leaf{bob}, []string{unguarded}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := judgeAnything(t, tc.message, w.options(tc.keys...))
			all := strings.Join(m.Verdict.Warnings, "\n")
			for _, words := range []string{outside, unguarded, garbage, partly} {
				if got, want := strings.Count(all, words), strings.Count(strings.Join(tc.want, "\n"), words); got != want {
					t.Errorf("%q is said %d times, not %d: %q", words, got, want, m.Verdict.Warnings)
				}
			}
		})
	}
}

// TestScan: how far signatures of parts are looked for, and what is taken for one.
func TestScan(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	_, part, _ := strings.Cut(signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), "MIME-Version: 1.0\r\n")
	mixed := func(parts ...string) string {
		b := fmt.Sprintf("x%d", len(strings.Join(parts, "")))
		return "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + strings.Join(parts, "\r\n--"+b+"\r\n") + "\r\n--" + b + "--\r\n"
	}
	deep := func(n int) string {
		e := part
		for range n {
			e = mixed(e)
		}
		return e
	}
	attached := func(n int) string {
		e := part
		for range n {
			e = "Content-Type: message/rfc822\r\n\r\nFrom: alice@example.com\r\n" + e
		}
		return e
	}
	many := func(n int) string {
		return mixed(append(slices.Repeat([]string{"\r\nx"}, n), part)...)
	}
	noSignature := strings.NewReplacer("application/pkcs7-signature; name", "text/plain; name", "Content-Transfer-Encoding: base64", "X: y").Replace(part)
	for name, tc := range map[string]struct {
		message string
		found   bool
	}{
		"as deep as is looked": {deep(maxScanDepth), true}, "deeper": {deep(maxScanDepth + 1), false},
		"attached as deep as is looked": {attached(maxScanDepth), true}, "attached deeper": {attached(maxScanDepth + 1), false},
		// The message itself is one of the parts that are looked at.
		"as late as is looked": {many(maxScanned - 2), true}, "later": {many(maxScanned - 1), false},
		"a multipart/signed whose signature is cut off": {mixed(noSignature), true},
		"no signature at all":                           {mixed("Content-Type: application/octet-stream; name=a.p7s\r\n\r\nx"), false},
	} {
		m := open(t, "From: alice@example.com\r\n"+tc.message, w.options())
		want := map[bool]Coverage{true: CoveragePart, false: CoverageNone}[tc.found]
		if m.Verdict.Verdict != Unsigned || m.Verdict.Coverage != want {
			t.Errorf("%s: %s, %s", name, m.Verdict.Verdict, m.Verdict.Coverage)
		}
	}
}

// TestAuthorityWritesMail: the certificate of an authority signs no mail that is believed, unless it is trusted for itself.
func TestAuthorityWritesMail(t *testing.T) {
	root := testca.NewRoot(t, "Root", testca.Emails("alice@example.com"), testca.KeyUsage(0))
	authority := root.Authority("Alice's", testca.Emails("alice@example.com"), testca.KeyUsage(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign))
	own := testca.NewRoot(t, "Alice herself", testca.Emails("alice@example.com"), testca.KeyUsage(0))
	leaf := func(a *testca.Authority, chain ...*cert.Certificate) *testca.Leaf {
		return &testca.Leaf{Certificate: a.Certificate, Key: a.Key, Chain: chain}
	}
	anchor := func(a *testca.Authority) *cert.Certificate { return a.Certificate }
	for _, tc := range []struct {
		name    string
		signer  *testca.Leaf
		anchors []*cert.Certificate
		status  Status
	}{
		{"one who is under an authority", root.Leaf("alice@example.com", testca.P256), []*cert.Certificate{anchor(root)}, StatusValid},
		{"an authority under an authority", leaf(authority), []*cert.Certificate{anchor(root)}, StatusUntrusted},
		{"the same, trusted for itself", leaf(authority), []*cert.Certificate{anchor(root), anchor(authority)}, StatusValid},
		{"self-signed with cA, trusted for itself", leaf(own), []*cert.Certificate{anchor(own)}, StatusValid},
		{"self-signed with cA, not trusted", leaf(own), []*cert.Certificate{anchor(root)}, StatusUntrusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := &OpenOptions{Anchors: tc.anchors, At: testca.Now}
			m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(tc.signer)}}), o)
			if s := m.Verdict.Signers[0]; s.Status != tc.status || (tc.status == StatusValid) != (m.Verdict.Verdict == Valid) {
				t.Error(show(m.Verdict))
			}
		})
	}
	// The roots that are trusted by default are trusted to vouch for others.
	o := &OpenOptions{Store: oneAnchor{root.Certificate}, At: testca.Now}
	m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(leaf(root))}}), o)
	wantVerdict(t, m, Untrusted, CoverageWhole)
}

// TestNotAllHere: a signature over a reference or over a piece says nothing about what a program puts in its place (RFC 2046 §5.2.2,
// §5.2.3).
func TestNotAllHere(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	external := "Content-Type: message/external-body; access-type=url; url=\"http://eve.example/\"\r\n\r\nContent-Type: text/plain\r\n\r\n"
	partial := "Content-Type: message/partial; id=\"1@example.com\"; number=1; total=2\r\n\r\nSubject: x\r\n\r\nPay \r\n"
	mixed := func(part string) string {
		return "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nsee below\r\n--x\r\n" + part + "\r\n--x--\r\n"
	}
	for _, content := range []string{external, partial, mixed(external), mixed(partial)} {
		m := open(t, signMessage(t, "From: alice@example.com\r\n"+content, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, "the message is not all here")
	}
}

// oneAnchor is a store of anchors.
type oneAnchor struct{ c *cert.Certificate }

func (s oneAnchor) Named(subject cert.Name) []*cert.Certificate {
	if s.c.Subject.Equal(subject) {
		return []*cert.Certificate{s.c}
	}
	return nil
}

func (s oneAnchor) DistrustAfter(*cert.Certificate) time.Time { return time.Time{} }
