package interop

import (
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestGitTimestamp: a commit that git's configuration has stamped stays good when the
// signer's certificate has ended; one that it has not does not.
func TestGitTimestamp(t *testing.T) {
	t.Parallel()
	program := program(t, "mailseal-git")
	clock := testca.NewRoot(t, "Clock Root", validNow())
	leaf := clock.Leaf("", testca.P256, validNow(), testca.KeyUsage(x509.KeyUsageDigitalSignature),
		testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08")))
	authority := &cms.TimestampAuthority{Signer: &cms.Signer{Key: leaf.Signer(), Certificate: leaf.Certificate}, Policy: stampPolicy}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		response, err := authority.Respond(request, big.NewInt(1), time.Now())
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.Write(response)
	}))
	defer server.Close()

	ca := testca.New(t, validNow())
	var r *gitRepository
	var home string
	var ends time.Time
	// The certificate must last until both commits are made, however slow this machine is, and no longer than need be.
	for lasts := 8 * time.Second; ; lasts *= 2 {
		ends = time.Now().Add(lasts).Truncate(time.Second)
		alice := &party{name: "alice", email: "alice@example.com", ca: ca, leaf: ca.Leaf("alice@example.com", testca.P256, testca.Validity(time.Now().Add(-time.Hour), ends))}
		home = mailsealHome(t, t.TempDir(), alice, ca.Root.Certificate.PEM())
		r = newGitRepository(t, program, "", home)
		_, err := r.run(t, "commit", "-q", "-S", "--allow-empty", "-m", "without")
		r.must(t, "tag", "-f", "without")
		r.set(t, "mailseal.timestamp", server.URL)
		if err == nil {
			_, err = r.run(t, "commit", "-q", "-S", "--allow-empty", "-m", "with")
		}
		if err == nil {
			break
		}
		if lasts > time.Minute {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Until(ends.Add(1100 * time.Millisecond)))
	if out, err := r.run(t, "verify-commit", "HEAD"); err == nil || r.state(t, "HEAD") != "Y" {
		t.Errorf("nobody trusts the clock: %v, state %s\n%s", err, r.state(t, "HEAD"), out)
	}
	stamps := filepath.Join(home, "trust", "timestamps")
	if err := os.Mkdir(stamps, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, stamps, "clock.pem", clock.Certificate.PEM())
	if out := r.must(t, "verify-commit", "HEAD"); r.state(t, "HEAD") != "G" || !strings.Contains(out, "Stamped at") {
		t.Errorf("state %s\n%s", r.state(t, "HEAD"), out)
	}
	if out, err := r.run(t, "verify-commit", "without"); err == nil || r.state(t, "without") != "Y" {
		t.Errorf("without a timestamp: %v, state %s\n%s", err, r.state(t, "without"), out)
	}
	if out, err := r.run(t, "verify-commit", r.forge(t, "HEAD", "with", "from")); err == nil {
		t.Errorf("a changed commit is taken:\n%s", out)
	}
}
