package cms

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func compressed(t testing.TB, content []byte, o *CompressOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Compress(&out, o)
	if err != nil {
		t.Fatal(err)
	}
	writeParts(t, w, content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func uncompress(message []byte) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(message), nil)
	if err != nil {
		return nil, err
	}
	c, err := r.CompressedData()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

func TestCompress(t *testing.T) {
	for _, size := range []int{0, 1, 1000, holdSize + 1} {
		for _, indefinite := range []bool{false, true} {
			t.Run(fmt.Sprint(size, indefinite), func(t *testing.T) {
				content := text(size)
				message := compressed(t, content, &CompressOptions{Indefinite: indefinite})
				if got, err := uncompress(message); err != nil || !bytes.Equal(got, content) {
					t.Fatal(err)
				}
				for n := 0; n < len(message); n += 1 + n/10 {
					if _, err := uncompress(message[:n]); err == nil {
						t.Fatalf("cut at %d: accepted", n)
					}
				}
			})
		}
	}
}

func TestDecompressionBomb(t *testing.T) {
	longTest(t)
	blank := make([]byte, 50<<20)
	if _, err := uncompress(compressed(t, blank, nil)); !errors.Is(err, ErrBomb) {
		t.Errorf("50 MiB of zeros: %v", err)
	}
	if got, err := uncompress(compressed(t, blank[:compressionFloor], nil)); err != nil || len(got) != compressionFloor {
		t.Errorf("1 MiB of zeros: %v", err)
	}
}

// What stands behind the compressed content would go unseen.
func TestBehindCompressed(t *testing.T) {
	tree, err := parseNode(compressed(t, []byte("some text"), nil))
	if err != nil {
		t.Fatal(err)
	}
	octets := tree.children[1].children[0].children[2].children[1].children[0]
	octets.content = append(octets.content, "more"...)
	if got, err := uncompress(tree.encode(nil)); !errors.Is(err, ErrMalformed) {
		t.Errorf("%q, %v", got, err)
	}
}

// Content may be a message of another type, in any order.
func TestNested(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	to, keys := recipients(t, leaf)
	// strip leaves the type's own SEQUENCE.
	strip := func(message []byte) []byte {
		r, err := NewReader(bytes.NewReader(message), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := r.ber.Raw(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	inner := signed(t, []byte("inner"), []*Signer{signerOf(leaf, ca)}, nil)
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		enveloped := encrypted(t, strip(inner), to, &EncryptOptions{Cipher: c, ContentType: oid.SignedData})
		content, e, err := decrypt(enveloped, keys...)
		if err != nil || e.ContentType() != oid.SignedData {
			t.Fatal(err)
		}
		s, err := NewContentReader(bytes.NewReader(content), e.ContentType(), nil).SignedData(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(s); err != nil || string(got) != "inner" {
			t.Errorf("%q, %v", got, err)
		}
	}
	outer := signed(t, strip(compressed(t, []byte("inner"), nil)), []*Signer{signerOf(leaf, ca)}, &SignOptions{ContentType: oid.CompressedData})
	content, s, err := verify(outer, nil)
	if err != nil || s.ContentType() != oid.CompressedData {
		t.Fatal(err)
	}
	z, err := NewContentReader(bytes.NewReader(content), s.ContentType(), nil).CompressedData()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != "inner" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzCompressedData(f *testing.F) {
	f.Add(compressed(f, []byte("some text some text some text"), nil))
	f.Add(compressed(f, text(100), &CompressOptions{Indefinite: true}))
	f.Fuzz(func(t *testing.T, message []byte) {
		got, err := uncompress(message)
		if err == nil && len(got) > compressionFloor+len(message)*MaxCompressionRatio {
			t.Fatalf("%d octets out of %d", len(got), len(message))
		}
	})
}
