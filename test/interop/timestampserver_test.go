package interop

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/repository"
)

// OpenSSL writes requests for timestamps with every digest that it has for them,
// and believes the answers of a first start's authority.
func TestTimestampServer(t *testing.T) {
	program := tool(t, "openssl", "openssl")
	o := newOffice(t)
	server := httptest.NewServer(repository.New(o.authority, time.Now, slog.New(slog.DiscardHandler), http.NotFoundHandler()))
	defer server.Close()
	dir := t.TempDir()
	put(t, dir, "root.pem", o.authority.Root().PEM())
	put(t, dir, "letter", []byte("text"))
	for _, test := range []struct {
		query  []string
		reason string // of the refusal
	}{
		{[]string{"-sha256", "-cert"}, ""},
		{[]string{"-sha512", "-cert", "-no_nonce"}, ""},
		{[]string{"-sha384", "-cert"}, ""},
		{[]string{"-sha1", "-cert"}, "unrecognized or unsupported algorithm"},
		{[]string{"-sha256", "-tspolicy", "1.2.3"}, "the requested TSA policy is not supported"},
	} {
		query := append([]string{"ts", "-query", "-data", "letter", "-out", "query"}, test.query...)
		if _, err := call(t, dir, nil, nil, program, query...); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(filepath.Join(dir, "query"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.Post(server.URL+"/timestamp", "application/timestamp-query", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "answer", answer)
		if test.reason != "" {
			text, err := call(t, dir, nil, nil, program, "ts", "-reply", "-in", "answer", "-text")
			if err != nil || !strings.Contains(string(text), test.reason) {
				t.Errorf("%v: OpenSSL reads %v\n%s\nand not %q", test.query, err, text, test.reason)
			}
			continue
		}
		if _, err := call(t, dir, nil, nil, program, "ts", "-verify", "-queryfile", "query", "-in", "answer", "-CAfile", "root.pem"); err != nil {
			t.Errorf("%v: %v", test.query, err)
		}
	}
}
