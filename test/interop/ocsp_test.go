package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/repository"
	"github.com/mailseal/mailseal/revocation"
)

// OpenSSL asks our responder, by GET and POST, with nonces and several
// certificates at once, and believes what it says before and after a revocation.
func TestOCSPResponder(t *testing.T) {
	t.Parallel()
	program := tool(t, "openssl", "openssl")
	o := newOffice(t)
	key := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	alice, bob := o.enrol(t, "alice@example.org", key()), o.enrol(t, "bob@example.org", key())
	if got := alice.Certificate.OCSPServer; len(got) != 1 || got[0] != "http://127.0.0.1:8080/ocsp" {
		t.Errorf("the certificate names %q", got)
	}
	server := httptest.NewServer(repository.New(o.authority, time.Now, slog.New(slog.DiscardHandler), http.NotFoundHandler()))
	defer server.Close()
	dir := t.TempDir()
	put(t, dir, "root.pem", alice.Root.PEM())
	put(t, dir, "issuing.pem", alice.Chain[0].PEM())
	put(t, dir, "alice.pem", alice.Certificate.PEM())
	put(t, dir, "bob.pem", bob.Certificate.PEM())
	ask := func(args ...string) string {
		t.Helper()
		common := []string{"ocsp", "-url", server.URL + "/ocsp", "-CAfile", "root.pem", "-verify_other", "issuing.pem", "-issuer", "issuing.pem"}
		out, err := call(t, dir, nil, nil, program, append(common, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	want := func(out string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(out, line) {
				t.Errorf("OpenSSL says\n%s\nand not %q", out, line)
			}
		}
	}
	for _, hash := range []string{"-sha1", "-sha256"} {
		want(ask(hash, "-no_nonce", "-cert", "alice.pem"), "alice.pem: good")
		want(ask(hash, "-nonce", "-cert", "alice.pem", "-cert", "bob.pem"), "alice.pem: good", "bob.pem: good")
	}
	if err := o.authority.Revoke(t.Context(), alice.Certificate.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	want(ask("-no_nonce", "-cert", "alice.pem"), "alice.pem: revoked", "Reason: keyCompromise")
	want(ask("-nonce", "-cert", "alice.pem", "-cert", "bob.pem"), "alice.pem: revoked", "bob.pem: good")

	// Our own check asks by GET and comes to the same.
	for c, status := range map[*cert.Certificate]revocation.Status{alice.Certificate: revocation.Revoked, bob.Certificate: revocation.Good} {
		response, err := cert.ParseOCSPResponse(getOCSP(t, server.URL, c, alice.Chain[0]))
		if err != nil {
			t.Fatal(err)
		}
		got, err := revocation.Check([]*cert.Certificate{c, alice.Chain[0], alice.Root}, &revocation.Options{
			At: time.Now(), Evidence: revocation.Evidence{Responses: []*cert.OCSPResponse{response}},
		})
		if got != status {
			t.Errorf("our own check says %v (%v), want %v", got, err, status)
		}
	}
}

func getOCSP(t *testing.T, base string, c, issuer *cert.Certificate) []byte {
	t.Helper()
	r, err := http.Get(base + "/ocsp/" + ocspPath(t, c, issuer))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	der, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// ocspPath is a request as it stands in a path (RFC 6960 §A.1).
func ocspPath(t *testing.T, c, issuer *cert.Certificate) string {
	t.Helper()
	id, err := cert.NewCertID(c, issuer, crypto.SHA1)
	if err != nil {
		t.Fatal(err)
	}
	der, err := (&cert.OCSPRequest{CertIDs: []cert.CertID{id}}).DER()
	if err != nil {
		t.Fatal(err)
	}
	return url.QueryEscape(base64.StdEncoding.EncodeToString(der))
}
