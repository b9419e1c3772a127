package smime

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

var errFull = errors.New("full")

// roomFor takes so many octets.
type roomFor struct{ left int }

func (r *roomFor) Write(p []byte) (int, error) {
	if n := r.left; len(p) > n {
		r.left = 0
		return n, errFull
	}
	r.left -= len(p)
	return len(p), nil
}

// holdsNothing looks into the buffer that the next message would get.
func holdsNothing(t *testing.T, after string) {
	t.Helper()
	w := newBuffer(io.Discard)
	defer giveBack(w)
	room := w.AvailableBuffer()
	room = room[:cap(room)]
	if at := slices.IndexFunc(room, func(c byte) bool { return c != 0 }); at >= 0 {
		t.Errorf("%s: the buffer holds %q", after, room[at:min(at+20, len(room))])
	}
}

// TestBuffers: wherever the destination fails, the caller hears of it, and nothing of a message is left for the next.
func TestBuffers(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.Ed25519), w.ca.Leaf("bob@example.com", testca.P256) // signatures of one size
	sign := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Detached: true, Time: testca.Now}
	opaque := &SignOptions{Signers: sign.Signers, Opaque: true, Time: testca.Now}
	encrypt := &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob)}}
	for _, size := range []int{100, 9000, 40000} {
		mail := "From: alice@example.com\r\nTo: bob@example.com\r\nSubject: x\r\n\r\n" + strings.Repeat("secret words here\r\n", size/19)
		src := func() (io.ReaderAt, int64) { return strings.NewReader(mail), int64(len(mail)) }
		for name, write := range map[string]func(dst io.Writer) error{
			"signed": func(dst io.Writer) error { in, n := src(); return Sign(dst, in, n, sign) },
			"opaque": func(dst io.Writer) error { in, n := src(); return Sign(dst, in, n, opaque) },
			"sealed": func(dst io.Writer) error { in, n := src(); return Seal(dst, in, n, sign, encrypt) },
			"triple": func(dst io.Writer) error { in, n := src(); return TripleWrap(dst, in, n, sign, encrypt, opaque) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(name, err)
			}
			holdsNothing(t, name)
			for n := b.Len() - 1; n >= 0; n -= max(1, b.Len()/30) {
				if err := write(&roomFor{n}); !errors.Is(err, errFull) {
					t.Errorf("%s: room for %d octets of %d: %v", name, n, b.Len(), err)
				}
				holdsNothing(t, name+", failed")
			}
			m := open(t, b.String(), w.options(bob))
			var content bytes.Buffer
			if err := m.WriteContent(&content); err != nil {
				t.Fatal(name, err)
			}
			for n := content.Len() - 1; n >= 0; n -= max(1, content.Len()/30) {
				if err := m.WriteContent(&roomFor{n}); !errors.Is(err, errFull) {
					t.Errorf("%s: room for %d octets of the content: %v", name, n, err)
				}
				holdsNothing(t, name+", content")
			}
		}
	}
}
