package cms

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// form is one way to write and read content.
type form struct {
	write func(io.Writer, bool) (io.WriteCloser, error)
	read  func(*Reader) (io.Reader, error)
	// integrity: no change of the message gives other content.
	integrity bool
}

func forms(t testing.TB) map[string]form {
	leaf := testca.New(t).Leaf("a@example.com", testca.P256)
	to, keys := recipients(t, leaf)
	key := bytes.Repeat([]byte{7}, 32)
	return map[string]form{
		"digested": {
			func(w io.Writer, indefinite bool) (io.WriteCloser, error) {
				return Digest(w, &DigestOptions{Indefinite: indefinite, Hash: crypto.SHA3_256})
			},
			func(r *Reader) (io.Reader, error) { return r.DigestedData(nil) }, false,
		},
		"encrypted": {
			func(w io.Writer, indefinite bool) (io.WriteCloser, error) {
				return EncryptWithKey(w, key, &EncryptOptions{Indefinite: indefinite})
			},
			func(r *Reader) (io.Reader, error) { return r.EncryptedData(key) }, false,
		},
		"authenticated": {
			func(w io.Writer, indefinite bool) (io.WriteCloser, error) {
				return Authenticate(w, to, &AuthenticateOptions{Indefinite: indefinite})
			},
			func(r *Reader) (io.Reader, error) { return r.AuthenticatedData(keys) }, true,
		},
		"authenticated, other content type": {
			func(w io.Writer, indefinite bool) (io.WriteCloser, error) {
				return Authenticate(w, to, &AuthenticateOptions{Indefinite: indefinite, ContentType: oid.TSTInfo})
			},
			func(r *Reader) (io.Reader, error) { return r.AuthenticatedData(keys) }, true,
		},
	}
}

func TestOtherTypes(t *testing.T) {
	for name, f := range forms(t) {
		for _, size := range []int{0, 1, 1000, holdSize + 1} {
			for _, indefinite := range []bool{false, true} {
				t.Run(fmt.Sprint(name, size, indefinite), func(t *testing.T) {
					content := text(size)
					message := f.message(t, content, indefinite)
					if got, err := f.content(message); err != nil || !bytes.Equal(got, content) {
						t.Fatal(err)
					}
					for n := 0; n < len(message); n += 1 + n/10 {
						if _, err := f.content(message[:n]); err == nil {
							t.Fatalf("cut at %d: accepted", n)
						}
					}
				})
			}
		}
	}
}

func (f form) message(t testing.TB, content []byte, indefinite bool) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := f.write(&out, indefinite)
	if err != nil {
		t.Fatal(err)
	}
	writeParts(t, w, content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (f form) content(message []byte) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(message), nil)
	if err != nil {
		return nil, err
	}
	c, err := f.read(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

func TestOtherTypesAltered(t *testing.T) {
	for name, f := range forms(t) {
		content := []byte("Pay 10 to Bob")
		message := f.message(t, content, false)
		for i := range message {
			altered := bytes.Clone(message)
			altered[i] ^= 1
			got, err := f.content(altered)
			if err == nil && f.integrity && !bytes.Equal(got, content) {
				t.Errorf("%s: octet %d altered: %q", name, i, got)
			}
		}
	}
}

func TestDetachedDigest(t *testing.T) {
	f := forms(t)["digested"]
	message := f.message(t, []byte("inside"), false)
	r, _ := NewReader(bytes.NewReader(message), nil)
	if _, err := r.DigestedData(bytes.NewReader([]byte("outside"))); !errors.Is(err, ErrMalformed) {
		t.Errorf("content inside and outside: %v", err)
	}
	altered := bytes.Replace(message, []byte("inside"), []byte("insidE"), 1)
	if _, err := f.content(altered); !errors.Is(err, ErrDigest) {
		t.Errorf("altered: %v", err)
	}
}

func TestEncryptedDataRefuses(t *testing.T) {
	for name, o := range map[string]*EncryptOptions{
		"a cipher that authenticates": {Cipher: AES256GCM},
		"a key of another size":       {Cipher: AES128CBC},
		"a derived key":               {DeriveKey: true},
	} {
		if _, err := EncryptWithKey(io.Discard, make([]byte, 32), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	message := forms(t)["encrypted"].message(t, []byte("text"), false)
	for _, key := range [][]byte{make([]byte, 32), make([]byte, 16)} {
		r, _ := NewReader(bytes.NewReader(message), nil)
		e, err := r.EncryptedData(key)
		if err == nil {
			_, err = io.ReadAll(e)
		}
		if !errors.Is(err, ErrDecrypt) {
			t.Errorf("wrong key of %d octets: %v", len(key), err)
		}
	}
}

func FuzzOtherTypes(f *testing.F) {
	all := forms(f)
	for _, form := range all {
		f.Add(form.message(f, []byte("some text"), false))
		f.Add(form.message(f, []byte("some text"), true))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, form := range all {
			form.content(message)
		}
	})
}
