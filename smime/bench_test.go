package smime

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

func benchmarkMail(size int) string {
	line := strings.Repeat("QUJDREVG", 9) + "\r\n"
	return "From: alice@example.com\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(line, size/len(line))
}

func BenchmarkSign16MiB(b *testing.B) {
	alice := newWorld(b).ca.Leaf("alice@example.com", testca.P256)
	in := benchmarkMail(16 << 20)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if err := Sign(io.Discard, strings.NewReader(in), int64(len(in)), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkOpen(b *testing.B, message string, o *OpenOptions) {
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := Open(strings.NewReader(message), int64(len(message)), o)
		if err != nil || m.Verdict.Verdict != Valid {
			b.Fatal(err)
		}
		m.Close()
	}
}

func BenchmarkOpen(b *testing.B) {
	w := newWorld(b)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now}
	large, small := benchmarkMail(16<<20), benchmarkMail(10<<10)
	b.Run("detached 16MiB", func(b *testing.B) { benchmarkOpen(b, signMessage(b, large, o), w.options()) })
	b.Run("detached 10KiB", func(b *testing.B) { benchmarkOpen(b, signMessage(b, small, o), w.options()) })
	b.Run("detached 10KiB, chain known", func(b *testing.B) {
		options := w.options()
		options.Known = &certpath.Known{}
		benchmarkOpen(b, signMessage(b, small, o), options)
	})
	var sealed bytes.Buffer
	if err := Seal(&sealed, strings.NewReader(large), int64(len(large)), o, &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(b, bob)}}); err != nil {
		b.Fatal(err)
	}
	b.Run("sealed 16MiB", func(b *testing.B) {
		options := w.options(bob)
		options.Spool = func() (Spool, error) { return &unlimited{}, nil }
		benchmarkOpen(b, sealed.String(), options)
	})
}

// unlimited is a Spool in memory.
type unlimited struct{ memory }

func (u *unlimited) Write(p []byte) (int, error) {
	u.b = append(u.b, p...)
	return len(p), nil
}
