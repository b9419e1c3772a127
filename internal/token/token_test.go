package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/testca"
)

// soft is a token whose keys are in memory. It does what cheap tokens do: OAEP is
// the caller's.
type soft struct {
	keys   []crypto.PrivateKey
	wrong  bool // sign something else
	closed bool
}

func (s *soft) Sign(key int, m *Mechanism, digest []byte) ([]byte, error) {
	if s.wrong {
		digest = make([]byte, len(digest))
	}
	h := map[string]crypto.Hash{"SHA-256": crypto.SHA256, "": crypto.SHA256}[m.Hash]
	signer := s.keys[key].(crypto.Signer)
	if m.Name == "rsa-pss" {
		return signer.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: m.Salt, Hash: h})
	}
	return signer.Sign(rand.Reader, digest, h)
}

func (s *soft) Decrypt(key int, m *Mechanism, ciphertext []byte) ([]byte, error) {
	k := s.keys[key].(*rsa.PrivateKey)
	switch m.Name {
	case "rsa-pkcs1":
		out, err := rsa.DecryptPKCS1v15(nil, k, ciphertext) //nolint:staticcheck // what deployed clients send
		if err != nil {
			return nil, fmt.Errorf("%w: decrypt", ErrToken)
		}
		return out, nil
	case "rsa-raw":
		c := new(big.Int).SetBytes(ciphertext)
		return new(big.Int).Exp(c, k.D, k.N).Bytes(), nil
	}
	return nil, ErrUnsupported
}

func (s *soft) Derive(key int, point []byte) ([]byte, error) {
	k, err := s.keys[key].(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		return nil, err
	}
	partner, err := k.Curve().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	return k.ECDH(partner)
}

func (s *soft) Close() error {
	s.closed = true
	return nil
}

// connect serves open to a client in the same process.
func connect(t testing.TB, open Opener) *Client {
	t.Helper()
	questions, in := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Serve(questions, answers, open)
		_ = answers.CloseWithError(io.EOF)
		done <- err
	}()
	c := &Client{in: in, out: out, wait: func() error { return <-done }}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func softToken(t testing.TB) (*soft, Opener, []*testca.Leaf) {
	ca := testca.New(t)
	leaves := []*testca.Leaf{ca.Leaf("alice@example.com", testca.RSA2048), ca.Leaf("alice@example.com", testca.P256)}
	s := &soft{}
	content := &Content{Certificates: [][]byte{ca.Issuing.Certificate.Raw, []byte("not a certificate")}}
	for _, l := range leaves {
		public, err := cert.MarshalPublicKey(identity.Public(l.Key))
		if err != nil {
			t.Fatal(err)
		}
		s.keys = append(s.keys, l.Key)
		content.Keys = append(content.Keys, Key{Label: "key\x1b[31m", Public: public})
		content.Certificates = append(content.Certificates, l.Certificate.Raw)
	}
	return s, func(module string, u *URI, pin []byte) (Module, *Content, error) {
		switch {
		case module != "/module.so" || u.Token != "Alice":
			return nil, nil, ErrNotFound
		case pin == nil:
			return nil, nil, ErrPINNeeded
		case string(pin) != "1234":
			return nil, nil, fmt.Errorf("%w: log in", ErrPIN)
		}
		return s, content, nil
	}, leaves
}

func openSoft(t testing.TB, c *Client) []*identity.Identity {
	t.Helper()
	ids, _, err := c.Open("/module.so", &URI{Token: "Alice"}, []byte("1234"))
	if err != nil || len(ids) != 2 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	return ids
}

func TestOpen(t *testing.T) {
	s, open, leaves := softToken(t)
	c := connect(t, open)
	for _, tt := range []struct {
		token string
		pin   []byte
		want  error
	}{{"Bob", []byte("1234"), ErrNotFound}, {"Alice", nil, ErrPINNeeded}, {"Alice", []byte("1"), ErrPIN}} {
		if _, _, err := c.Open("/module.so", &URI{Token: tt.token}, tt.pin); !errors.Is(err, tt.want) {
			t.Errorf("%s with %q: %v, want %v", tt.token, tt.pin, err, tt.want)
		}
	}
	ids := openSoft(t, c)
	for i, id := range ids {
		if !id.Certificate.Equal(leaves[i].Certificate) || len(id.Chain) != 1 || id.Label != "key?[31m" {
			t.Errorf("%+v", id)
		}
	}
	if _, _, err := c.Open("/module.so", &URI{}, nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("opened twice: %v", err)
	}
	if err := c.Close(); err != nil || !s.closed {
		t.Errorf("closed %v, %v", s.closed, err)
	}
	if _, err := ids[0].Key.(crypto.Signer).Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("signed after the end")
	}
}

func TestKeys(t *testing.T) {
	s, open, leaves := softToken(t)
	ids := openSoft(t, connect(t, open))
	rsaKey, ec := ids[0].Key, ids[1].Key
	public := leaves[0].Signer().Public().(*rsa.PublicKey)
	digest := bytes.Repeat([]byte{7}, 32)

	sig, err := rsaKey.(crypto.Signer).Sign(nil, digest, crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, sig) != nil {
		t.Errorf("PKCS #1: %v", err)
	}
	o := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	sig, err = rsaKey.(crypto.Signer).Sign(nil, digest, o)
	if err != nil || rsa.VerifyPSS(public, crypto.SHA256, digest, sig, o) != nil {
		t.Errorf("PSS: %v", err)
	}
	sig, err = ec.(crypto.Signer).Sign(nil, digest, crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(leaves[1].Signer().Public().(*ecdsa.PublicKey), digest, sig) {
		t.Errorf("ECDSA: %v", err)
	}
	if _, err := rsaKey.(crypto.Signer).Sign(nil, digest[1:], crypto.SHA256); !errors.Is(err, ErrUnsupported) {
		t.Errorf("short digest: %v", err)
	}
	s.wrong = true
	for _, k := range []any{rsaKey, ec} {
		if _, err := k.(crypto.Signer).Sign(nil, digest, crypto.SHA256); !errors.Is(err, ErrToken) {
			t.Errorf("%T: a wrong signature came through: %v", k, err)
		}
	}

	partner, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := leaves[1].Key.(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := own.ECDH(partner.PublicKey())
	if got, err := ec.(cms.ECDHKey).ECDH(partner.PublicKey()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("ECDH: %v", err)
	}
	other, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ec.(cms.ECDHKey).ECDH(other.PublicKey()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("another curve: %v", err)
	}
}

// Of a wrong padding nothing shows but another key, as with keys from files.
func TestDecrypt(t *testing.T) {
	_, open, leaves := softToken(t)
	key := openSoft(t, connect(t, open))[0].Key.(crypto.Decrypter)
	public := leaves[0].Signer().Public().(*rsa.PublicKey)
	session := bytes.Repeat([]byte{9}, 32)
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, session) //nolint:staticcheck // what deployed clients send
	if err != nil {
		t.Fatal(err)
	}
	v15 := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 32} //nolint:staticcheck // likewise
	if got, err := key.Decrypt(rand.Reader, sealed, v15); err != nil || !bytes.Equal(got, session) {
		t.Errorf("%x, %v", got, err)
	}
	for name, bad := range map[string][]byte{"altered": append([]byte{sealed[0] ^ 1}, sealed[1:]...), "another length": sealed} {
		o := *v15
		if name == "another length" {
			o.SessionKeyLen = 16
		}
		got, err := key.Decrypt(rand.Reader, bad, &o)
		again, _ := key.Decrypt(rand.Reader, bad, &o)
		if err != nil || len(got) != o.SessionKeyLen || bytes.Equal(got, again) {
			t.Errorf("%s: %x, %x, %v", name, got, again, err)
		}
	}
}

// The padding that is taken off here is the one that crypto/rsa puts on, for every
// combination of digests; whatever is wrong gives the same error.
func TestOAEP(t *testing.T) {
	_, open, leaves := softToken(t)
	key := openSoft(t, connect(t, open))[0].Key.(crypto.Decrypter)
	public := leaves[0].Signer().Public().(*rsa.PublicKey)
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA512} {
		for _, mgf := range []crypto.Hash{0, crypto.SHA1, crypto.SHA384} {
			for _, message := range []string{"", "\x00\x01key", strings.Repeat("k", 100)} {
				o := &rsa.OAEPOptions{Hash: h, MGFHash: mgf, Label: []byte("label")}
				sealed, err := rsa.EncryptOAEPWithOptions(rand.Reader, public, []byte(message), o)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := key.Decrypt(rand.Reader, sealed, o); err != nil || string(got) != message {
					t.Errorf("%v, %v: %q, %v", h, mgf, got, err)
				}
				wrongLabel := *o
				wrongLabel.Label = nil
				sealed[9] ^= 1
				_, altered := key.Decrypt(rand.Reader, sealed, o)
				sealed[9] ^= 1
				_, label := key.Decrypt(rand.Reader, sealed, &wrongLabel)
				_, short := key.Decrypt(rand.Reader, sealed[1:], o)
				for _, err := range []error{altered, label, short} {
					if !errors.Is(err, ErrToken) || err.Error() != altered.Error() {
						t.Errorf("%v, %v: %v", h, mgf, err)
					}
				}
			}
		}
	}
}

func frame(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// What mailseal-pkcs11 may be asked, and what ends the talk.
func TestServe(t *testing.T) {
	s, open, _ := softToken(t)
	ready := frame(`{"op":"open","uri":{"Token":"Alice"},"module":"/module.so","pin":"MTIzNA==","key":0,"mechanism":{"name":""}}`)
	for name, tt := range map[string]struct {
		input []byte
		fatal bool
		want  string
	}{
		"nothing":         {nil, false, ""},
		"sign too early":  {frame(`{"op":"sign"}`), false, `"code":"protocol"`},
		"open nothing":    {frame(`{"op":"open"}`), false, `"code":"protocol"`},
		"no such key":     {append(ready, frame(`{"op":"sign","key":2}`)...), false, `"code":"protocol"`},
		"negative key":    {append(ready, frame(`{"op":"sign","key":-1}`)...), false, `"code":"protocol"`},
		"no operation":    {append(ready, frame(`{"op":"export","key":0}`)...), false, `"code":"protocol"`},
		"long input":      {append(ready, frame(`{"op":"sign","key":0,"input":"`+strings.Repeat("AAAA", 2000)+`"}`)...), false, `at most 4096`},
		"unknown field":   {frame(`{"op":"open","extra":1}`), true, ""},
		"two in a frame":  {frame(`{"op":"open"}{"op":"open"}`), true, ""},
		"no JSON":         {frame(`open`), true, ""},
		"empty frame":     {frame(``), true, ""},
		"frame too large": {[]byte{0xff, 0xff, 0xff, 0xff}, true, ""},
		"cut":             {ready[:20], true, ""},
		"cut length":      {ready[:3], true, ""},
	} {
		var out bytes.Buffer
		err := Serve(bytes.NewReader(tt.input), &out, open)
		if (err != nil) != tt.fatal || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %v, %s", name, err, out.String())
		}
	}
	if !s.closed {
		t.Error("the token is still open")
	}
}

// A token with too much in it is named as that, not cut short.
func TestContentLimits(t *testing.T) {
	for name, c := range map[string]*Content{
		"keys":         {Keys: make([]Key, MaxKeys+1)},
		"certificates": {Certificates: make([][]byte, MaxCertificates+1)},
		"bytes":        {Certificates: [][]byte{make([]byte, MaxFrame/2+1)}},
		"notice":       {Notice: strings.Repeat("x", MaxText+1)},
	} {
		s := &soft{}
		client := connect(t, func(string, *URI, []byte) (Module, *Content, error) { return s, c, nil })
		if _, _, err := client.Open("/m", &URI{}, nil); !errors.Is(err, ErrUnsupported) || !s.closed {
			t.Errorf("%s: %v, closed %v", name, err, s.closed)
		}
	}
}

// hostile is a program that answers with what it likes.
func hostile(output []byte) *Client {
	return &Client{in: nopCloser{io.Discard}, out: bytes.NewReader(output), wait: func() error { return nil }}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestHostileProgram(t *testing.T) {
	for name, output := range map[string]string{
		"nothing":          "",
		"no content":       string(frame(`{}`)),
		"unknown code":     string(frame(`{"code":"yes"}`)),
		"too large":        "\x7f\xff\xff\xff",
		"no JSON":          string(frame(`[`)),
		"keys of no kind":  string(frame(`{"content":{"keys":[{"label":"x","public":"AAAA"}],"certificates":[]}}`)),
		"terminal escapes": string(frame(`{"code":"token","text":"\u001b[2J\u202e"}`)),
	} {
		_, _, err := hostile([]byte(output)).Open("/m", &URI{}, nil)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") {
			t.Errorf("%s: %q", name, err)
		}
	}
}

func FuzzServe(f *testing.F) {
	_, open, _ := softToken(f)
	f.Add(frame(`{"op":"open","uri":{"Token":"Alice"},"module":"/module.so","pin":"MTIzNA=="}`))
	f.Add(append(frame(`{"op":"open","uri":{"Token":"Alice"},"module":"/module.so","pin":"MTIzNA=="}`), frame(`{"op":"derive","key":1,"input":"BA=="}`)...))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_ = Serve(bytes.NewReader(data), io.Discard, open)
	})
}

func FuzzAnswer(f *testing.F) {
	_, open, _ := softToken(f)
	var out bytes.Buffer
	q := frame(`{"op":"open","uri":{"Token":"Alice"},"module":"/module.so","pin":"MTIzNA=="}`)
	if err := Serve(bytes.NewReader(q), &out, open); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(frame(`{"code":"pin-refused","text":"x"}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		ids, _, err := hostile(data).Open("/m", &URI{}, nil)
		if err != nil {
			return
		}
		for _, id := range ids {
			if s, ok := id.Key.(crypto.Signer); ok {
				_, _ = s.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
			}
		}
	})
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := FindProgram(); !errors.Is(err, ErrProgram) {
		t.Errorf("nowhere: %v", err)
	}
	path := filepath.Join(dir, Program)
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	found, err := FindProgram()
	if err != nil || found != path {
		t.Fatalf("%s, %v", found, err)
	}
	c, err := Start(context.Background(), found, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Open("/m", &URI{}, nil); err == nil {
		t.Error("a program that ends at once opened a token")
	}
	_ = c.Close()
}
