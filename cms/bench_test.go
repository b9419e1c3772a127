package cms

import (
	"bytes"
	"io"
	"testing"

	"github.com/mailseal/mailseal/internal/testca"
)

// BenchmarkSmall is what a short message costs beside its key operation and digest.
func BenchmarkSmall(b *testing.B) {
	ca := testca.New(b)
	content := bytes.Repeat([]byte("0123456789abcdef"), 256)
	for _, key := range []testca.Kind{testca.RSA2048, testca.P256} {
		leaf := ca.Leaf("alice@example.com", key)
		signer := signerOf(leaf, ca)
		sign := func(dst io.Writer) {
			w, err := Sign(dst, []*Signer{signer}, &SignOptions{Detached: true, Time: testca.Now})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(key.String()+" sign", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sign(io.Discard)
			}
		})
		var message bytes.Buffer
		sign(&message)
		b.Run(key.String()+" verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(message.Bytes()), nil)
				if err != nil {
					b.Fatal(err)
				}
				s, err := r.SignedData(&SignedOptions{Content: bytes.NewReader(content)})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
