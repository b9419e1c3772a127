package issuance

import (
	"crypto/elliptic"
	"testing"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// BenchmarkPrepare is what an issued certificate costs beside its signature.
func BenchmarkPrepare(b *testing.B) {
	_, is := authorities(b, ecKey(b, elliptic.P256()), ecKey(b, elliptic.P256()))
	p := profile(b, config())
	r := Request{
		Key: ecKey(b, elliptic.P256()).Public(), Serial: serial(b), NotBefore: now,
		Names: Names{Mailboxes: []mailbox.Mailbox{parse(b, "alice@example.org")}},
	}
	for b.Loop() {
		if _, err := Prepare(p, is, r); err != nil {
			b.Fatal(err)
		}
	}
}
