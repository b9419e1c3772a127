package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

// detach takes a mail apart.
func detach(message string) (content, signature []byte, err error) {
	var c, s bytes.Buffer
	err = Detach(&c, &s, strings.NewReader(message), int64(len(message)), nil)
	return c.Bytes(), s.Bytes(), err
}

// The signature that was taken off fits what was signed, in whatever form the mail has it.
func TestDetach(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	signer := &cms.Signer{Key: alice.Signer(), Certificate: alice.Certificate, Chain: alice.Chain}
	detached := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signer}})
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signer}, Opaque: true})
	two := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signer, signer}})
	for name, message := range map[string]string{
		"multipart": detached, "with bare LFs": strings.ReplaceAll(detached, "\r\n", "\n"), "opaque": opaque, "opaque with bare LFs": strings.ReplaceAll(opaque, "\r\n", "\n"),
		"two signers": two, "bare LFs signed": bareSigned(t, signer),
	} {
		content, signature, err := detach(message)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := cms.NewReader(bytes.NewReader(signature), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.SignedData(&cms.SignedOptions{Content: bytes.NewReader(content)})
		if err != nil || !s.Detached() {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := io.Copy(io.Discard, s); err != nil || len(s.Signers()) == 0 {
			t.Errorf("%s: %v with %d signers", name, err, len(s.Signers()))
		}
	}
	for name, tt := range map[string]struct {
		message string
		want    error
	}{
		"plain":             {plain, ErrNotSigned},
		"encrypted":         {encryptMessage(t, plain, cms.AES256CBC, alice), ErrNotSigned},
		"altered":           {strings.Replace(detached, "charset", "chairs", 1), cms.ErrSignature},
		"signature altered": {strings.Replace(detached, "\r\n\r\nMI", "\r\n\r\nAI", 1), cms.ErrMalformed},
		"two content types": {"Content-Type: text/plain\r\n" + detached, ErrNotSigned},
		"no mail":           {"", ErrNotSigned},
	} {
		if _, _, err := detach(tt.message); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	fault := errors.New("disk")
	if err := Detach(io.Discard, io.Discard, strings.NewReader(opaque), int64(len(opaque)), func() (Spool, error) { return nil, fault }); !errors.Is(err, fault) {
		t.Errorf("no spool: %v", err)
	}
}

// bareSigned is a mail whose signature covers bare LFs, as OpenSSL's -binary makes it.
func bareSigned(t *testing.T, signer *cms.Signer) string {
	t.Helper()
	part := "Content-Type: text/plain\n\ntext\n"
	var sig bytes.Buffer
	c, err := cms.Sign(&sig, []*cms.Signer{signer}, &cms.SignOptions{Detached: true})
	if err == nil {
		_, err = io.WriteString(c, part)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return "From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n" +
		"--b\r\n" + strings.ReplaceAll(part, "\n", "\r\n") + "\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n" + sig.String() + "\r\n--b--\r\n"
}

// What a signature has grown beside the mail counts, if it is that of the mail.
func TestAugmented(t *testing.T) {
	w := newWorld(t)
	expired := w.ca.Leaf("alice@example.com", testca.P256, testca.Expired())
	at := testca.Now.AddDate(0, -1, 0)
	root, stamp := clock(t, at, timeStamping)
	signer := &cms.Signer{Key: expired.Signer(), Certificate: expired.Certificate, Chain: expired.Chain}
	raise := func(message string) []byte {
		content, signature, err := detach(message)
		if err != nil {
			t.Fatal(err)
		}
		raised, _, err := cades.Raise(signature, func() io.Reader { return bytes.NewReader(content) }, &cades.RaiseOptions{
			Options: cades.Options{Anchors: []*cert.Certificate{w.ca.Root.Certificate, root.Certificate}, At: at}, Level: cades.BT, Timestamp: stamp,
		})
		if err != nil {
			t.Fatal(err)
		}
		return raised
	}
	for _, opaque := range []bool{false, true} {
		message := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signer}, Opaque: opaque})
		other := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signer}, Opaque: opaque}) // ECDSA: another value
		for name, tt := range map[string]struct {
			message   string
			augmented []byte
			want      Conclusion
		}{
			"alone":           {message, nil, Untrusted},
			"augmented":       {message, raise(message), Valid},
			"a file with LF":  {strings.ReplaceAll(message, "\r\n", "\n"), raise(message), Valid},
			"another":         {message, raise(other), Invalid},
			"no signature":    {message, []byte("\x30\x00"), Invalid},
			"an altered mail": {strings.Replace(signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signer}}), "charset", "chairs", 1), raise(message), Invalid},
		} {
			o := w.options()
			o.Anchors = append(o.Anchors, root.Certificate)
			o.Augmented = tt.augmented
			m := open(t, tt.message, o)
			if m.Verdict.Verdict != tt.want {
				t.Errorf("opaque %v, %s: %+v", opaque, name, m.Verdict)
			}
		}
	}
}

// A mail with archive timestamps is judged as of the time that they prove, also when its clocks have ended; with the lists that it
// carries, and with what others know.
func TestArchivedMail(t *testing.T) {
	long := testca.Validity(testca.Now.AddDate(-2, 0, 0), testca.Now.AddDate(9, 0, 0))
	root := testca.NewRoot(t, "Archive Root", long)
	issuing := root.Authority("Archive Issuing", long)
	alice := issuing.Leaf("alice@example.com", testca.P256, testca.Expired())
	at := testca.Now.AddDate(0, -2, 0)
	day := at.AddDate(0, 0, 1)
	stamping := func(at, end time.Time) func([]byte) ([]byte, error) {
		_, stamp := clockUnder(t, root, at, timeStamping, testca.Validity(testca.Now.AddDate(-1, 0, 0), end))
		return stamp
	}
	short := testca.Now.AddDate(0, 0, -3)
	lists := func(at time.Time, revoked ...testca.Revoked) (out []*cert.CRL) {
		for _, a := range []*testca.Authority{issuing, root} {
			l, err := cert.ParseCRL(a.CRL(revoked, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = at, at.AddDate(0, 0, 30) }))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, l)
		}
		return out
	}
	revoked := testca.Revoked{SerialNumber: alice.Certificate.Serial, RevocationTime: at.Add(-time.Hour)}
	after := testca.Revoked{SerialNumber: alice.Certificate.Serial, RevocationTime: at.Add(time.Hour)}
	for name, tt := range map[string]struct {
		level cades.Level
		ends  time.Time // of the archive timestamp's clock
		given []*cert.CRL
		want  Conclusion
		warns bool
	}{
		"stamped by a clock that has ended":       {cades.BT, time.Time{}, nil, Untrusted, true},
		"archived by one that has not":            {cades.BLTA, testca.Now.AddDate(1, 0, 0), nil, Valid, false},
		"archived by one that has ended too":      {cades.BLTA, short, nil, Untrusted, true},
		"others know that it was revoked before":  {cades.BLTA, testca.Now.AddDate(1, 0, 0), lists(day, revoked), Invalid, false},
		"others know that it was revoked later":   {cades.BLTA, testca.Now.AddDate(1, 0, 0), lists(day, after), Valid, false},
		"others know nothing, the mail has lists": {cades.BLTA, testca.Now.AddDate(1, 0, 0), lists(testca.Now.AddDate(-1, 0, 0)), Valid, false},
	} {
		var out bytes.Buffer
		out.WriteString("From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n--b\r\n")
		part := "Content-Type: text/plain\r\n\r\ntext\r\n"
		var sig bytes.Buffer
		c, err := cms.Sign(&sig, []*cms.Signer{{Key: alice.Signer(), Certificate: alice.Certificate, Chain: alice.Chain}}, &cms.SignOptions{Detached: true, Time: at})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, part)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		raised := sig.Bytes()
		for _, step := range []struct {
			level cades.Level
			at    time.Time
			stamp func([]byte) ([]byte, error)
		}{{cades.BT, at, stamping(at, short)}, {cades.BLTA, day, stamping(day, tt.ends)}} {
			if step.level > tt.level {
				continue
			}
			var found []*cades.Assessment
			raised, found, err = cades.Raise(raised, func() io.Reader { return strings.NewReader(part) }, &cades.RaiseOptions{
				Options: cades.Options{Anchors: []*cert.Certificate{root.Certificate}, At: step.at, Evidence: revocation.Evidence{CRLs: lists(day)}},
				Level:   step.level, Timestamp: step.stamp,
			})
			if err != nil || found[0].Level != step.level {
				t.Fatalf("%s: %v, found %+v", name, err, found)
			}
		}
		out.WriteString(part + "\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n")
		out.Write(raised)
		out.WriteString("\r\n--b--\r\n")
		m := open(t, out.String(), &OpenOptions{Anchors: []*cert.Certificate{root.Certificate}, At: testca.Now, CRLs: tt.given})
		if m.Verdict.Verdict != tt.want || strings.Contains(strings.Join(m.Verdict.Warnings, "; "), "revocation was not checked") != tt.warns {
			t.Errorf("%s: %+v", name, m.Verdict)
		}
	}
}
