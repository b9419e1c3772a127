package certpath

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func serial(octets ...byte) testca.Option {
	return func(c *x509.Certificate) { c.SerialNumber = new(big.Int).SetBytes(octets) }
}

func TestRemarks(t *testing.T) {
	long := make([]byte, 20)
	long[0] = 0x80 // DER needs an octet more for the sign
	full := make([]byte, 20)
	full[0] = 0x7f
	root := testca.NewRoot(t, "Root")
	noID := testca.NewRoot(t, "No ID")
	noID.Certificate.SubjectKeyID = nil
	for _, tt := range []struct {
		name string
		c    *cert.Certificate
		want string
	}{
		{"nothing", root.Leaf(alice, testca.P256).Certificate, ""},
		{"an authority", root.Authority("A").Certificate, ""},
		{"negative serial", root.Edit(root.Leaf(alice, testca.P256, serial(0x12, 0x34, 0x56)).Certificate, "\x02\x03\x12\x34\x56", "\x02\x03\x92\x34\x56"), "not positive"},
		{"serial zero", root.Edit(root.Leaf(alice, testca.P256, serial(0x12)).Certificate, "\xa0\x03\x02\x01\x02\x02\x01\x12", "\xa0\x03\x02\x01\x02\x02\x01\x00"), "not positive"},
		{"serial of 20 octets", root.Leaf(alice, testca.P256, serial(full...)).Certificate, ""},
		{"no authorityKeyIdentifier", noID.Leaf(alice, testca.P256).Certificate, "authorityKeyIdentifier"},
		{"basicConstraints not critical", root.Authority("A", testca.Extension(oid.ExtBasicConstraints, false, []byte("\x30\x03\x01\x01\xff"))).Certificate, "basicConstraints is not critical"},
		{"nameConstraints not critical", root.Authority("A", subtrees(false, names(testca.Mailbox("example.com")), nil)).Certificate, "nameConstraints is not critical"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(Remarks([]*cert.Certificate{tt.c, root.Certificate}), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			// What is remarked upon refuses nothing.
			if issuer := tt.c.Issuer.String(); tt.c.BasicConstraints.CA || strings.Contains(issuer, "No ID") {
				return
			}
			if _, err := Verify(tt.c, options(pki{tt.c, nil, []*cert.Certificate{root.Certificate}})); err != nil {
				t.Error(err)
			}
		})
	}
	c := root.Leaf(alice, testca.P256).Certificate
	c.Serial = new(big.Int).SetBytes(long) // crypto/x509 makes no such
	if got := Remarks([]*cert.Certificate{c, root.Certificate}); len(got) != 1 || !strings.Contains(got[0], "longer than 20") {
		t.Errorf("serial of 21 octets: %q", got)
	}
	a := *root.Authority("A").Certificate
	a.SubjectKeyID = nil
	if got := Remarks([]*cert.Certificate{&a, root.Certificate}); len(got) != 1 || !strings.Contains(got[0], "subjectKeyIdentifier") {
		t.Errorf("no subjectKeyIdentifier: %q", got)
	}
	anchor := *root.Certificate
	anchor.AuthorityKeyID = nil
	if got := Remarks([]*cert.Certificate{&anchor}); got != nil {
		t.Errorf("a root need not name its own key: %q", got)
	}
}
