package interop

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/evidence"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// TestEvidenceStampedByOpenSSL: OpenSSL is the timestamp authority of a record, its
// archive timestamp included, and OpenSSL checks it by the words of the record's own
// README.
func TestEvidenceStampedByOpenSSL(t *testing.T) {
	ca := testca.New(t, validNow())
	o := newOpenSSL(t, ca)
	tsa := newAuthority(ca, testca.P256)
	config := o.stampConfig(t, tsa, "sha256, sha384, sha512", false)
	reply := func(request []byte) ([]byte, error) {
		return o.ts(t, "-reply", "-config", config, "-queryfile", put(t, o.dir, "request", request))
	}
	alice := newParty(ca, "alice", testca.RSA2048)
	letter := "From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\ntext\r\n"
	var mail, content, signature, record bytes.Buffer
	if err := smime.Sign(&mail, strings.NewReader(letter), int64(len(letter)), &smime.SignOptions{Signers: []*cms.Signer{alice.signer()}, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := smime.Detach(&content, &signature, bytes.NewReader(mail.Bytes()), int64(mail.Len()), nil); err != nil {
		t.Fatal(err)
	}
	after := time.Now().Add(5 * time.Second)
	var lists []*cert.CRL
	for _, a := range []*testca.Authority{ca.Issuing, ca.Root} {
		l, err := cert.ParseCRL(a.CRL(nil, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = after, after.AddDate(0, 0, 7) }))
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	options := evidence.Options{Anchors: []*cert.Certificate{ca.Root.Certificate}, CRLs: lists, At: after.Add(time.Second)}
	src := &evidence.Source{Message: section(mail.Bytes()), Content: section(content.Bytes()), Signature: signature.Bytes()}
	report, err := evidence.Make(&record, src, &evidence.MakeOptions{Options: options, Level: cades.BLTA, Insist: true, Timestamp: reply})
	if err != nil {
		t.Fatal(err)
	}
	if s := report.Signers[0]; len(s.Timestamps) != 1 || len(s.ArchiveTimestamps) != 1 || !s.ArchiveTimestamps[0].Believed {
		t.Errorf("%+v", s)
	}
	dir := t.TempDir()
	z, err := zip.NewReader(bytes.NewReader(record.Bytes()), int64(record.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.txt"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, line := range strings.Split(string(readme), "\r\n") {
		command, is := strings.CutPrefix(line, "    $ ")
		if !is {
			continue
		}
		checked++
		c := exec.CommandContext(t.Context(), "sh", "-c", command)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s\n%v\n%s", command, err, out)
		}
	}
	if checked != 16 { // in each language: signature, two timestamps, revocation, two lists, manifest and its timestamp
		t.Errorf("%d commands in\n%s", checked, readme)
	}
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}
