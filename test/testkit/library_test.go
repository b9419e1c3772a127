package testkit

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/smime"
)

// finding is what the library says about a case.
type finding struct {
	answer    Answer
	layers    []Layer // where it noticed, as far as it says
	plaintext string
	verdict   *smime.Verdict // nil where there is none
	written   []byte         // of a mail: what WriteContent gives; nil where nothing may be written
	err       error
}

// TestLibrary runs every case through packages smime and cms.
func TestLibrary(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.holds(t, runLibrary(t, c))
		})
	}
}

// holds compares what was found with what the case expects.
func (c *Case) holds(t testing.TB, f finding) {
	t.Helper()
	right := f.answer == c.Expect
	if c.Expect == Refused {
		right = f.answer != Valid && f.answer != Decrypted
	}
	if !right {
		t.Errorf("%s: answer %s, want %s (%v, %+v)", c.Comment, f.answer, c.Expect, f.err, f.verdict)
	}
	if c.Layer != "" && !slices.ContainsFunc(f.layers, c.noticed) {
		t.Errorf("%s: noticed in %v, want %s (%v, %+v)", c.Comment, f.layers, c.Layer, f.err, f.verdict)
	}
	// What is refused may still be shown as what it is, an unsigned mail: never as its sender's.
	if c.Expect != Refused && f.plaintext != c.Plaintext || c.Expect == Refused && c.Form == Raw && f.plaintext != NoPlaintext {
		t.Errorf("%s: released %s, want %s", c.Comment, f.plaintext, c.Plaintext)
	}
}

// noticed tells whether a layer will do for the one that is wanted. Who parses BER and CMS in one step need not tell them apart, and
// who has begun to decrypt had better not.
func (c *Case) noticed(l Layer) bool {
	structure := c.Layer == BER || c.Layer == CMS
	return l == c.Layer || structure && (l == BER || l == CMS || l == Decrypt && len(c.Keys) > 0)
}

func runLibrary(t testing.TB, c *Case) finding {
	t.Helper()
	if c.Form == Key {
		return runKey(c)
	}
	o := c.options(t)
	if c.Form == Mail {
		return runMail(t, c, o)
	}
	return runCMS(c, o)
}

func (c *Case) options(t testing.TB) *smime.OpenOptions {
	t.Helper()
	o := &smime.OpenOptions{At: c.At, From: c.From}
	for _, name := range c.Anchors {
		o.Anchors = append(o.Anchors, readCertificates(t, name)...)
	}
	for _, name := range c.Intermediates {
		o.Intermediates = append(o.Intermediates, readCertificates(t, name)...)
	}
	for _, name := range c.CRLs {
		block, _ := pem.Decode(readPKI(t, name))
		crl, err := cert.ParseCRL(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		o.CRLs = append(o.CRLs, crl)
	}
	for _, name := range c.Keys {
		ids, err := identity.Read(readPKI(t, name), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			o.Keys = append(o.Keys, &cms.RecipientKey{Key: id.Key, Certificate: id.Certificate})
		}
	}
	if c.Passphrase != "" {
		o.Keys = append(o.Keys, &cms.RecipientKey{Passphrase: []byte(c.Passphrase)})
	}
	return o
}

// runKey reads a file with a private key.
func runKey(c *Case) finding {
	ids, err := identity.Read(c.Message, func() ([]byte, error) { return []byte(c.Passphrase), nil })
	if err != nil {
		return finding{answer: Refused, layers: []Layer{Decrypt}, plaintext: NoPlaintext, err: err}
	}
	return finding{answer: Decrypted, plaintext: Sum(ids[0].Certificate.RawSPKI)}
}

func pkiFile(name string) string { return filepath.Join(folder, "pki", name+".pem") }

func readPKI(t testing.TB, name string) []byte {
	t.Helper()
	return readFile(t, "pki/"+name+".pem")
}

func readCertificates(t testing.TB, name string) []*cert.Certificate {
	t.Helper()
	certs, err := cert.ParseAll(readPKI(t, name))
	if err != nil || len(certs) == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	return certs
}

func runMail(t testing.TB, c *Case, o *smime.OpenOptions) finding {
	t.Helper()
	m, err := smime.Open(bytes.NewReader(c.Message), int64(len(c.Message)), o)
	if m == nil {
		return finding{answer: Refused, layers: []Layer{MIME}, plaintext: NoPlaintext, err: err}
	}
	defer m.Close()
	f := finding{answer: Answer(m.Verdict.Verdict), plaintext: NoPlaintext, verdict: &m.Verdict, err: err}
	f.layers = layersOf(f.verdict, err)
	if m.Content() != nil && err == nil && m.Verdict.Verdict != smime.Invalid {
		content, readErr := io.ReadAll(m.Content())
		if readErr != nil {
			t.Fatal(readErr)
		}
		f.plaintext = Sum(content)
		var b bytes.Buffer
		if err := m.WriteContent(&b); err != nil {
			t.Fatal(err)
		}
		f.written = b.Bytes()
	}
	if (m.Learned != nil) && f.answer != Valid {
		t.Errorf("%s: something was learned from a mail that is %s", c.Name, f.answer)
	}
	return f
}

// layersOf reads from verdict and error where a fault was noticed. A signature that cannot be read says only that it is malformed, in
// whatever layer; the raw form of the case says more.
func layersOf(v *smime.Verdict, err error) []Layer {
	var syntax *ber.SyntaxError
	switch {
	case errors.Is(err, smime.ErrDecrypt), errors.Is(err, smime.ErrNoKey), errors.Is(err, cms.ErrDecrypt), errors.Is(err, cms.ErrNoRecipient):
		return []Layer{Decrypt}
	case errors.As(err, &syntax):
		return []Layer{BER}
	case err != nil:
		return []Layer{CMS}
	}
	var layers []Layer
	for _, s := range v.Signers {
		layers = append(layers, signerLayers(&s)...)
	}
	if v.Verdict == smime.Unsigned {
		layers = append(layers, MIME)
		if len(v.Layers) > 0 {
			layers = append(layers, Signature)
		}
	}
	return layers
}

func signerLayers(s *smime.Signer) []Layer {
	switch s.Status {
	case smime.StatusAddressMismatch:
		if strings.Contains(s.Reason, "can be read in two ways") {
			return []Layer{Identity, MIME}
		}
		return []Layer{Identity}
	case smime.StatusUntrusted, smime.StatusExpired, smime.StatusRevoked, smime.StatusRevocationUnknown:
		return []Layer{Path}
	case smime.StatusWeak:
		return []Layer{Path, Signature}
	case smime.StatusUnsupported:
		return []Layer{Signature, Path}
	case smime.StatusInvalid:
		switch {
		case strings.Contains(s.Reason, "malformed: "), strings.Contains(s.Reason, "covers "):
			return []Layer{MIME, CMS, BER}
		case strings.Contains(s.Reason, "changed after signing") && !strings.Contains(s.Reason, "algorithms"):
			return []Layer{Digest}
		}
		return []Layer{Signature}
	}
	return nil
}

func runCMS(c *Case, o *smime.OpenOptions) finding {
	f := finding{answer: Refused, plaintext: NoPlaintext}
	fail := func(err error) finding {
		f.err = err
		f.layers = layersOf(&smime.Verdict{}, err)
		return f
	}
	r, err := cms.NewReader(bytes.NewReader(c.Message), nil)
	if err != nil {
		return fail(err)
	}
	var content io.Reader
	switch r.ContentType() {
	case oid.SignedData:
		return runSigned(r, o, fail)
	case oid.EnvelopedData, oid.AuthEnvelopedData:
		content, err = openEnveloped(r, o)
	case oid.CompressedData:
		content, err = openCompressed(r)
	default:
		err = cms.ErrUnsupported
	}
	if err != nil {
		return fail(err)
	}
	plain, err := io.ReadAll(content)
	if err != nil {
		return fail(err)
	}
	f.answer, f.plaintext = Decrypted, Sum(plain)
	return f
}

// openEnveloped and openCompressed keep a nil reader from becoming an interface.
func openEnveloped(r *cms.Reader, o *smime.OpenOptions) (io.Reader, error) {
	e, err := r.EnvelopedData(o.Keys)
	return e, err
}

func openCompressed(r *cms.Reader) (io.Reader, error) {
	c, err := r.CompressedData()
	return c, err
}

func runSigned(r *cms.Reader, o *smime.OpenOptions, fail func(error) finding) finding {
	s, err := r.SignedData(&cms.SignedOptions{Certificates: o.Intermediates})
	if err != nil {
		return fail(err)
	}
	content, err := io.ReadAll(s)
	if err != nil && s.Signers() == nil {
		return fail(err)
	}
	v := smime.JudgeRaw(s, o)
	f := finding{answer: Answer(v.Verdict), plaintext: NoPlaintext, verdict: &v, err: err, layers: layersOf(&v, nil)}
	if v.Verdict == smime.Valid {
		f.plaintext = Sum(content)
	}
	return f
}
