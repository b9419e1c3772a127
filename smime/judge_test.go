package smime

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestCertificates: what is wrong with the signer's certificate.
func TestCertificates(t *testing.T) {
	w := newWorld(t)
	leaf := func(o ...testca.Option) *testca.Leaf { return w.ca.Leaf("alice@example.com", testca.P256, o...) }
	for _, tc := range []struct {
		name   string
		signer *testca.Leaf
		status Status
		want   Conclusion
	}{
		{"good", leaf(), StatusValid, Valid},
		{"expired", leaf(testca.Expired()), StatusExpired, Untrusted},
		{"not yet valid", leaf(testca.NotYetValid()), StatusUntrusted, Untrusted},
		{"other root", testca.NewRoot(t, "Other").Leaf("alice@example.com", testca.P256), StatusUntrusted, Untrusted},
		{"for encryption only", leaf(testca.KeyUsage(1 << 4)), StatusUntrusted, Untrusted},
		{"for servers only", leaf(testca.ExtKeyUsage(1)), StatusUntrusted, Untrusted},
		{"small key", w.ca.Leaf("alice@example.com", testca.RSA1024), StatusWeak, Untrusted},
		{"no address", w.ca.Leaf("", testca.P256), StatusAddressMismatch, Invalid},
		{"Ed25519", w.ca.Leaf("alice@example.com", testca.Ed25519), StatusValid, Valid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Sign(&b, strings.NewReader(plain), int64(len(plain)), &SignOptions{Signers: []*cms.Signer{signerOf(tc.signer)}, Time: testca.Now})
			if err != nil {
				t.Skip(err) // cms makes no such signature
			}
			m := open(t, b.String(), w.options())
			if m.Verdict.Verdict != tc.want || m.Verdict.Signers[0].Status != tc.status || (m.Verdict.Signers[0].Reason == "") != (tc.want == Valid) {
				t.Error(show(m.Verdict))
			}
		})
	}
}

func TestSigningTime(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	for _, tc := range []struct {
		skew time.Duration
		warn string
	}{{0, ""}, {55 * time.Minute, ""}, {-55 * time.Minute, ""}, {56 * time.Minute, "but dated"}, {-65 * time.Minute, "but dated"}, {48 * time.Hour, "in the future"}} {
		m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now.Add(tc.skew)}), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, tc.warn)
	}
}
