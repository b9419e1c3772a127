package cms

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func TestCertsOnly(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	crl := ca.Issuing.CRL(nil)
	var out bytes.Buffer
	if err := CertsOnly(&out, []*cert.Certificate{leaf.Certificate, ca.Issuing.Certificate, leaf.Certificate}, [][]byte{crl}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), mustDER(t, out.Bytes())) {
		t.Error("not DER")
	}
	content, s, err := verify(out.Bytes(), nil)
	if err != nil || len(content) != 0 || len(s.Signers()) != 0 || !s.Detached() {
		t.Fatalf("%q, %v", content, err)
	}
	if len(s.Certificates()) != 2 || len(s.CRLs()) != 1 || !bytes.Equal(s.CRLs()[0], crl) {
		t.Errorf("%d certificates, %d CRLs", len(s.Certificates()), len(s.CRLs()))
	}
	if certs, err := cert.ParseAll(out.Bytes()); err != nil || len(certs) != 2 {
		t.Errorf("cert.ParseAll: %d, %v", len(certs), err)
	}
	if err := CertsOnly(io.Discard, nil, nil); err == nil {
		t.Error("wrote a message with nothing in it")
	}
	if err := CertsOnly(io.Discard, nil, [][]byte{[]byte("no CRL")}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no CRL: %v", err)
	}
}

// What a message carries for verification comes out as it went in, and does
// not change what is signed.
func TestRevocationInfoInSignature(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	crls := [][]byte{ca.Root.CRL(nil), ca.Issuing.CRL(nil)}
	ocsp := []byte{0x30, 0x03, 0x0a, 0x01, 0x06} // OCSPResponse, unauthorized (RFC 6960 §4.2.1)
	for _, detached := range []bool{false, true} {
		message := signed(t, []byte("text"), []*Signer{signerOf(leaf, ca)}, &SignOptions{Detached: detached, CRLs: crls, OCSPResponses: [][]byte{ocsp}})
		o := &SignedOptions{}
		if detached {
			o.Content = bytes.NewReader([]byte("text"))
		}
		_, s, err := verify(message, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.CRLs()) != 2 || len(s.OCSPResponses()) != 1 || !bytes.Equal(s.OCSPResponses()[0], ocsp) {
			t.Errorf("%d CRLs, OCSP responses %x", len(s.CRLs()), s.OCSPResponses())
		}
		if !bytes.Equal(message, mustDER(t, message)) {
			t.Error("not DER")
		}
		if !bytes.Contains(message[:40], []byte{2, 1, 5}) { // RFC 5652 §5.1
			t.Errorf("not version 5: %x", message[:40])
		}
	}
	for name, o := range map[string]*SignOptions{
		"CRL in BER":    {CRLs: [][]byte{{0x30, 0x80, 0, 0}}},
		"OCSP response": {OCSPResponses: [][]byte{nil}},
	} {
		if _, err := Sign(io.Discard, []*Signer{signerOf(leaf, ca)}, o); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFurtherAttributes(t *testing.T) {
	ca := testca.New(t)
	s := signerOf(ca.Leaf("alice@example.com", testca.P256), ca)
	hint := Attribute{Type: "1.2.840.113549.1.9.16.2.4", Values: [][]byte{{0x30, 0}, {5, 0}}}
	_, r, err := verify(signed(t, []byte("text"), []*Signer{s}, &SignOptions{Attributes: Attributes{hint}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Signers()[0].SignedAttrs.Values(hint.Type); len(got) != 2 || !bytes.Equal(got[1], []byte{0x30, 0}) {
		t.Errorf("%x", got)
	}
	null := [][]byte{{5, 0}}
	for name, attrs := range map[string]Attributes{
		"one of ours":        {{oid.AttrContentType, null}},
		"a countersignature": {{oid.AttrCountersignature, null}},
		"a timestamp":        {{oid.AttrTimeStampToken, null}},
		"twice":              {hint, hint},
		"no value":           {{hint.Type, nil}},
		"not DER":            {{hint.Type, [][]byte{{0x30, 0x80, 0, 0}}}},
		"half an element":    {{hint.Type, [][]byte{{0x30}}}},
	} {
		if _, err := Sign(io.Discard, []*Signer{s}, &SignOptions{Attributes: attrs}); err == nil {
			t.Errorf("%s: signs", name)
		}
	}
}

// With a spool, content of any length and of no announced one makes DER.
func TestSpool(t *testing.T) {
	longTest(t)
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	to, keys := recipients(t, leaf)
	made := 0
	spool := func() (Spool, error) {
		made++
		return os.Create(filepath.Join(t.TempDir(), "spool"))
	}
	for _, size := range []int{holdSize, holdSize + 1, 3*holdSize + 17} {
		made = 0
		content := text(size)
		for name, c := range map[string]struct {
			message []byte
			read    func([]byte) ([]byte, error)
		}{
			"signed": {signed(t, content, []*Signer{signerOf(leaf, ca)}, &SignOptions{Spool: spool}), func(m []byte) ([]byte, error) {
				got, _, err := verify(m, nil)
				return got, err
			}},
			"enveloped": {encrypted(t, content, to, &EncryptOptions{Spool: spool}), func(m []byte) ([]byte, error) {
				got, _, err := decrypt(m, keys...)
				return got, err
			}},
			"auth enveloped": {encrypted(t, content, to, &EncryptOptions{Spool: spool, Cipher: AES256GCM}), func(m []byte) ([]byte, error) {
				got, _, err := decrypt(m, keys...)
				return got, err
			}},
			"compressed": {compressed(t, content, &CompressOptions{Spool: spool}), uncompress},
			"digested": {form{write: func(w io.Writer, _ bool) (io.WriteCloser, error) { return Digest(w, &DigestOptions{Spool: spool}) }}.message(t, content, false),
				forms(t)["digested"].content},
			"authenticated": {form{write: func(w io.Writer, _ bool) (io.WriteCloser, error) {
				return Authenticate(w, to, &AuthenticateOptions{Spool: spool})
			}}.message(t, content, false), func(m []byte) ([]byte, error) {
				r, err := NewReader(bytes.NewReader(m), nil)
				if err != nil {
					return nil, err
				}
				a, err := r.AuthenticatedData(keys)
				if err != nil {
					return nil, err
				}
				return io.ReadAll(a)
			}},
		} {
			if !bytes.Equal(c.message, mustDER(t, c.message)) {
				t.Errorf("%s, %d octets: not DER", name, size)
			}
			if got, err := c.read(c.message); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %d octets: %v", name, size, err)
			}
		}
		if size == holdSize && made > 3 || size > holdSize && made != 6 {
			t.Errorf("%d octets: %d spools", size, made)
		}
	}
}

// short is a spool that loses octets.
type short struct{}

func (short) Write(p []byte) (int, error)           { return len(p), nil }
func (short) ReadAt(p []byte, _ int64) (int, error) { return 0, io.EOF }

func TestSpoolFails(t *testing.T) {
	errDisk := errors.New("disk full")
	for name, spool := range map[string]func() (Spool, error){
		"loses octets": func() (Spool, error) { return short{}, nil },
		"is not made":  func() (Spool, error) { return nil, errDisk },
	} {
		w, err := Digest(io.Discard, &DigestOptions{Spool: spool})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(make([]byte, 2*holdSize))
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errDisk) {
			t.Errorf("a spool that %s: %v", name, err)
		}
	}
}
