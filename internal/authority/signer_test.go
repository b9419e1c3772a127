package authority_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/signer"
)

// An authority whose keys are in a process of their own issues, revokes, publishes
// and gets a new key like any other.
func TestKeysInASigner(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var list []signer.Key
	for name, algorithm := range map[string]string{"root": "p-384", "issuing": "p-256", "next": "ml-dsa-65", "root-2": "p-256"} {
		generate, err := keys.Generator(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		key, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, signer.Key{Name: name, Signer: key})
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- signer.Serve(ctx, l, signer.Options{
			Keys: list, Allow: func(uid int) bool { return uid == os.Getuid() }, Rate: 1000, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	at := func(name string) string { return signer.Scheme + socket + "#" + name }

	w := foundAs(t, authority.Founding{
		Organization: "Example Ltd", BaseURL: "http://ca.example.org", RootKey: at("root"), IssuingKey: at("issuing"),
	})
	issue := func() *cert.Certificate {
		t.Helper()
		key := newKey(t)
		c, err := w.issue(w.order(key), key)
		if err != nil {
			t.Fatal(err)
		}
		chain, root, err := w.Above(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckSignatureFrom(chain[0]); err != nil {
			t.Error(err)
		}
		if err := chain[0].CheckSignatureFrom(root); err != nil {
			t.Error(err)
		}
		return c
	}
	c := issue()
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	if n := len(w.crl("issuing").RevokedCertificateEntries); n != 1 {
		t.Errorf("%d entries in the list", n)
	}
	for _, step := range []struct{ line, key string }{{"issuing", "next"}, {"root", "root-2"}} {
		if _, err := authority.Rollover(t.Context(), w.options(), step.line, at(step.key)); err != nil {
			t.Fatalf("rollover of %s: %v", step.line, err)
		}
		w.restart()
	}
	if m, err := w.Member("issuing-2"); err != nil || m.KeyURI() != at("next") {
		t.Errorf("the new key is %v, %v", m, err)
	}
	issue()
	root, err := x509.ParseCertificate(w.Root().Raw)
	if err != nil || root.Subject.CommonName != "Example Ltd Root G2" {
		t.Errorf("the new root is %v, %v", w.Root().Subject, err)
	}

	// With the process gone nothing is issued, and nothing is half done.
	stop()
	key := newKey(t)
	o := w.order(key)
	if _, err := w.issue(o, key); err == nil {
		t.Error("issued without the key")
	}
}
