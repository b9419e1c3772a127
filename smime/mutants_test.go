package smime

import (
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
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
