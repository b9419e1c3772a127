package cert_test

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

func TestParseCRLs(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a, b := root.CRL(nil), testca.NewRoot(t, "Other").CRL(nil)
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tt := range []struct {
		name string
		data []byte
		want int
		says string
	}{
		{"one in DER", a, 1, ""},
		{"two in DER", join(a, b), 2, ""},
		{"two in DER, a line end", join(a, b, []byte("\r\n")), 2, ""},
		{"one in PEM", block(a), 1, ""},
		{"two in PEM, a certificate between", join(block(a), root.Certificate.PEM(), block(b)), 2, ""},
		{"a certificate", root.Certificate.PEM(), 0, `"CERTIFICATE"`},
		{"a certificate in DER", root.Certificate.Raw, 0, "malformed"},
		{"nothing", nil, 0, "none found"},
		{"text", []byte("no list here"), 0, "none found"},
		{"the second is cut short", join(a, b[:len(b)-1]), 0, "malformed"},
		{"the second is broken in PEM", join(block(a), block(b[:40])), 0, "after 1 lists"},
		{"too many", bytes.Repeat(a, cert.MaxBundleCRLs+1), 0, "more than"},
	} {
		list, err := cert.ParseCRLs(tt.data)
		if len(list) != tt.want || (err == nil) != (tt.want > 0) || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %d lists, %v", tt.name, len(list), err)
		}
		if tt.want == 2 && (!bytes.Equal(list[0].Raw, a) || !bytes.Equal(list[1].Raw, b)) {
			t.Errorf("%s: other lists", tt.name)
		}
	}
}
