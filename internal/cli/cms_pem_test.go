package cli

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/mailseal/mailseal/cms"
)

func TestUnarmored(t *testing.T) {
	der := bytes.Repeat([]byte{0x30, 0, 1, 2, 3}, 20_000)
	armored := pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der})
	oneLine := append(bytes.ReplaceAll(armored[len("-----BEGIN CMS-----\n"):len(armored)-len("-----END CMS-----\n")], []byte("\n"), nil), '\n')
	for name, in := range map[string][]byte{
		"DER":           der,
		"PEM":           armored,
		"PEM with CRLF": bytes.ReplaceAll(armored, []byte("\n"), []byte("\r\n")),
		"text before":   append([]byte("From: nobody\n\n"), armored...),
		"text behind":   append(bytes.Clone(armored), "and so on"...),
		"PKCS7":         bytes.ReplaceAll(armored, []byte(" CMS-"), []byte(" PKCS7-")),
		"one line":      append(append([]byte("-----BEGIN CMS-----\n"), oneLine...), "-----END CMS-----"...),
	} {
		r, err := unarmored(iotest.HalfReader(bytes.NewReader(in)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
	}
	for name, in := range map[string][]byte{
		"certificate":     []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
		"no end":          armored[:len(armored)-20],
		"cut":             armored[:1000],
		"not base64":      []byte("-----BEGIN CMS-----\n????\n-----END CMS-----\n"),
		"BEGIN in a line": []byte("see -----BEGIN CMS-----"),
	} {
		r, err := unarmored(bytes.NewReader(in))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s: read", name)
		}
	}
	broken := errors.New("disk")
	if _, err := unarmored(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken disk: %v", err)
	}
}

// FuzzUnarmored holds the stream to encoding/pem, where that reads a block.
func FuzzUnarmored(f *testing.F) {
	f.Add([]byte("-----BEGIN CMS-----\nMAA=\n-----END CMS-----\n"))
	f.Add([]byte("text\n-----BEGIN PKCS7-----\r\nMAA=\r\n-----END PKCS7-----"))
	f.Add([]byte("\x30\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := unarmored(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, cms.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		got, err := io.ReadAll(io.LimitReader(r, int64(len(in))+1))
		if err == nil && len(got) > len(in) {
			t.Fatal("more came out than went in")
		}
		if block, rest := pem.Decode(in); err == nil && block != nil && len(rest) == 0 && len(block.Headers) == 0 && bytes.HasPrefix(in, []byte("-----BEGIN CMS-----\n")) && !bytes.Equal(got, block.Bytes) {
			t.Fatalf("%x, encoding/pem %x", got, block.Bytes)
		}
	})
}
