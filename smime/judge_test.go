package smime

import (
	"bytes"
	"errors"
	"regexp"
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
		{"no address", w.ca.Leaf("", testca.P256), StatusAddressMismatch, Invalid},
		{"Ed25519", w.ca.Leaf("alice@example.com", testca.Ed25519), StatusValid, Valid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Sign(&b, strings.NewReader(plain), int64(len(plain)), &SignOptions{Signers: []*cms.Signer{signerOf(tc.signer)}, Time: testca.Now})
			if err != nil {
				t.Fatal(err)
			}
			m := open(t, b.String(), w.options())
			if m.Verdict.Verdict != tc.want || m.Verdict.Signers[0].Status != tc.status || (m.Verdict.Signers[0].Reason == "") != (tc.want == Valid) {
				t.Error(show(m.Verdict))
			}
		})
	}
}

// redated is a message with another Date.
func redated(message string, at time.Time) string {
	return regexp.MustCompile(`(?m)^Date: .*\r$`).ReplaceAllLiteralString(message, "Date: "+at.Format(time.RFC1123Z)+"\r")
}

// TestDateAgainstClock: a message is not signed at another time than it is dated, unless its Date may be put right.
func TestDateAgainstClock(t *testing.T) {
	w := newWorld(t)
	o := SignOptions{Signers: []*cms.Signer{signerOf(w.ca.Leaf("alice@example.com", testca.P256))}}
	sign := func(message string, at time.Time, redate bool) (string, error) {
		o.Time, o.Redate = at, redate
		var b strings.Builder
		err := Sign(&b, strings.NewReader(message), int64(len(message)), &o)
		return b.String(), err
	}
	for _, skew := range []time.Duration{-48 * time.Hour, -56 * time.Minute, -55 * time.Minute, 0, 55 * time.Minute, 56 * time.Minute, 48 * time.Hour} {
		at := testca.Now.Add(skew)
		_, err := sign(plain, at, false)
		var wrong *DateError
		if errors.As(err, &wrong) != (skew.Abs() > 55*time.Minute) {
			t.Errorf("%s: %v", skew, err)
		}
		signed, err := sign(plain, at, true)
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, signed, w.options())
		date := headerDate(m.outer)
		if kept := date.Equal(testca.Now); kept != (skew.Abs() <= 55*time.Minute) || !kept && !date.Equal(at) {
			t.Errorf("%s: dated %s", skew, date)
		}
		for _, warning := range m.Verdict.Warnings {
			if strings.Contains(warning, "but dated") {
				t.Errorf("%s: %s", skew, warning)
			}
		}
	}
	undated := strings.Replace(plain, "Date: ", "X-Date: ", 1)
	signed, err := sign(undated, testca.Now, false)
	if err != nil || !headerDate(open(t, signed, w.options()).outer).Equal(testca.Now) {
		t.Errorf("no Date: %v\n%s", err, signed)
	}
	signed, err = sign(strings.Replace(plain, "Date: ", "Date: long ago, ", 1), testca.Now, false)
	if err != nil || !strings.Contains(signed, "long ago") {
		t.Errorf("a Date that cannot be read: %v", err)
	}
}

func TestSigningTime(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	for _, tc := range []struct {
		skew time.Duration
		warn string
	}{{0, ""}, {55 * time.Minute, ""}, {-55 * time.Minute, ""}, {56 * time.Minute, "but dated"}, {-65 * time.Minute, "but dated"}, {48 * time.Hour, "in the future"}} {
		// Some other program signs it so; Sign itself does not (TestDateAgainstClock).
		at := testca.Now.Add(tc.skew)
		signed := signMessage(t, redated(plain, at), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: at})
		m := open(t, redated(signed, testca.Now), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, tc.warn)
	}
}
