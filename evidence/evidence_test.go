package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
	"github.com/mailseal/mailseal/smime"
)

func date(year int, month time.Month) time.Time {
	return time.Date(year, month, 1, 12, 0, 0, 0, time.UTC)
}

// Signed in June 2025 with a certificate that ended in August. The clock that the
// tests, and OpenSSL, have today is later in any case.
var (
	signedAt  = date(2025, time.June)
	madeAt    = signedAt.AddDate(0, 0, 2)
	endOfSign = date(2025, time.August)
	later     = date(2026, time.January)
)

const letter = "From: Alice <alice@example.com>\r\nTo: bob@example.com\r\nSubject: Debt\r\nDate: Sun, 01 Jun 2025 12:00:00 +0000\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nI owe you a lunch.\r\n"

type world struct {
	t                      testing.TB
	root, issuing, tsaRoot *testca.Authority
	signer, clock          *testca.Leaf
}

func newWorld(t testing.TB) *world {
	long := testca.Validity(date(2024, time.January), date(2049, time.January))
	w := &world{t: t, root: testca.NewRoot(t, "Evidence Root", long), tsaRoot: testca.NewRoot(t, "Clock Root", long)}
	w.issuing = w.root.Authority("Evidence Issuing", long)
	w.signer = w.issuing.Leaf("alice@example.com", testca.RSA2048, testca.Validity(date(2024, time.August), endOfSign))
	w.clock = w.newClock("clock", date(2048, time.January))
	return w
}

func (w *world) newClock(name string, to time.Time) *testca.Leaf {
	return w.tsaRoot.Leaf("", testca.P256, testca.Validity(date(2024, time.August), to), testca.KeyUsage(x509.KeyUsageDigitalSignature),
		testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08")),
		func(c *x509.Certificate) { c.Subject.CommonName = name })
}

func (w *world) stamping(clock *testca.Leaf, at time.Time) func([]byte) ([]byte, error) {
	a := &cms.TimestampAuthority{Signer: &cms.Signer{Key: clock.Signer(), Certificate: clock.Certificate}, Policy: "1.3.6.1.4.1.99999.1", Accuracy: time.Second}
	return func(request []byte) ([]byte, error) { return a.Respond(request, big.NewInt(at.Unix()), at) }
}

func (w *world) lists(at time.Time, revoked ...testca.Revoked) (out []*cert.CRL) {
	w.t.Helper()
	for _, a := range []*testca.Authority{w.issuing, w.root, w.tsaRoot} {
		var of []testca.Revoked
		if a == w.issuing {
			of = revoked
		}
		l, err := cert.ParseCRL(a.CRL(of, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = at, at.AddDate(0, 0, 30) }))
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

func (w *world) signerOf() *cms.Signer {
	return &cms.Signer{Key: w.signer.Signer(), Certificate: w.signer.Certificate, Chain: w.signer.Chain}
}

// second is another key of the same person.
func (w *world) second() *cms.Signer {
	l := w.issuing.Leaf("alice@example.com", testca.P256, testca.Validity(date(2024, time.August), endOfSign))
	return &cms.Signer{Key: l.Signer(), Certificate: l.Certificate, Chain: l.Chain}
}

// mail is a signed mail, taken apart.
func (w *world) mail(opaque bool, further ...*cms.Signer) *Source {
	w.t.Helper()
	var out bytes.Buffer
	err := smime.Sign(&out, strings.NewReader(letter), int64(len(letter)), &smime.SignOptions{Signers: append([]*cms.Signer{w.signerOf()}, further...), Time: signedAt, Opaque: opaque})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.source(out.Bytes())
}

func (w *world) source(mail []byte) *Source {
	w.t.Helper()
	var content, signature bytes.Buffer
	if err := smime.Detach(&content, &signature, bytes.NewReader(mail), int64(len(mail)), nil); err != nil {
		w.t.Fatal(err)
	}
	return &Source{Message: section(mail), Content: section(content.Bytes()), Signature: signature.Bytes()}
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// file is a signed file, taken apart.
func (w *world) file() *Source {
	w.t.Helper()
	content := []byte("a contract\n")
	var out bytes.Buffer
	c, err := cms.Sign(&out, []*cms.Signer{w.signerOf()}, &cms.SignOptions{Time: signedAt, Detached: true})
	if err == nil {
		_, err = c.Write(content)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return &Source{Content: section(content), Signature: out.Bytes()}
}

func (w *world) options(at time.Time, lists ...*cert.CRL) Options {
	return Options{Anchors: []*cert.Certificate{w.root.Certificate, w.tsaRoot.Certificate}, CRLs: lists, At: at}
}

// at makes the options for a level: stamped when signed, the rest two days later.
func (w *world) at(level cades.Level) *MakeOptions {
	o := &MakeOptions{Options: w.options(signedAt), Level: level, Insist: true, Program: "mailseal test"}
	if level >= cades.BT {
		o.Timestamp = w.stamping(w.clock, signedAt)
	}
	return o
}

// make makes a record of a level.
func (w *world) make(src *Source, level cades.Level) ([]byte, *Report) {
	w.t.Helper()
	var out bytes.Buffer
	report, err := Make(&out, src, w.at(min(level, cades.BT)))
	if err != nil {
		w.t.Fatal(err)
	}
	if level <= cades.BT {
		return out.Bytes(), report
	}
	r := w.read(out.Bytes())
	o := w.at(level)
	o.Options, o.Timestamp = w.options(madeAt, w.lists(madeAt)...), w.stamping(w.clock, madeAt)
	var raised bytes.Buffer
	if report, err = r.Renew(&raised, o); err != nil {
		w.t.Fatal(err)
	}
	return raised.Bytes(), report
}

func (w *world) read(record []byte) *Record {
	w.t.Helper()
	r, err := Read(bytes.NewReader(record), int64(len(record)), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) check(record []byte, o Options) *Report {
	w.t.Helper()
	r := w.read(record)
	defer r.Close()
	report, err := r.Check(&o)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// unpack writes the files of a record to a folder.
func unpack(t testing.TB, record []byte) string {
	t.Helper()
	dir := t.TempDir()
	z, err := zip.NewReader(bytes.NewReader(record), int64(len(record)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// commands are those that README.txt prints, in one of its languages.
func commands(t testing.TB, dir string) (english, japanese []string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, readmeName))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(readme), strings.Repeat("=", 72))
	if len(parts) != 2 {
		t.Fatalf("README in %d languages", len(parts))
	}
	of := func(text string) (out []string) {
		for _, line := range strings.Split(text, "\r\n") {
			if command, is := strings.CutPrefix(line, "    $ "); is {
				out = append(out, command)
			}
		}
		return out
	}
	return of(parts[0]), of(parts[1])
}

// run runs a command as a person would, in the folder of the record.
func run(t testing.TB, dir, command string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c := exec.CommandContext(t.Context(), "sh", "-c", command)
	c.Dir = dir
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestOpenSSL: every command that README.txt prints succeeds today, after the
// signer's certificate has ended, and fails when what it checks is altered.
func TestOpenSSL(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		src   *Source
		level cades.Level
		count int
	}{
		"B-T":          {w.mail(false), cades.BT, 4},
		"B-LT":         {w.mail(false), cades.BLT, 9},
		"B-LT, opaque": {w.mail(true), cades.BLT, 9},
		"B-LT, a file": {w.file(), cades.BLT, 9},
		"B-LTA":        {w.mail(false), cades.BLTA, 10},
		"two signers":  {w.mail(false, w.second()), cades.BLT, 10},
	} {
		t.Run(name, func(t *testing.T) {
			record, _ := w.make(tt.src, tt.level)
			dir := unpack(t, record)
			english, japanese := commands(t, dir)
			if len(english) != tt.count || !slices.Equal(english, japanese) {
				t.Fatalf("%d commands:\n%s\n%s", len(english), strings.Join(english, "\n"), strings.Join(japanese, "\n"))
			}
			for _, command := range english {
				if out, err := run(t, dir, command); err != nil {
					t.Errorf("%s\n%v\n%s", command, err, out)
				}
			}
			if checked, err := os.ReadFile(filepath.Join(dir, "checked.eml")); err != nil || !bytes.Contains(checked, []byte("I owe you a lunch")) && tt.src.Message != nil {
				t.Errorf("checked.eml: %q, %v", checked, err)
			}
			// It has ended indeed: without the proven time OpenSSL says no.
			today := english[0][:strings.Index(english[0], "-attime")]
			if out, err := run(t, dir, today); err == nil || !strings.Contains(out, "expired") {
				t.Errorf("today: %v\n%s", err, out)
			}
			digests := slices.IndexFunc(english, func(c string) bool { return strings.HasPrefix(c, "openssl dgst") })
			for file, command := range map[string]string{
				tt.src.contentName(): english[0], "signature-value-1.bin": english[1], anchorsName: english[0],
				verdictName: english[digests], readmeName: english[digests], manifestName: english[digests+1],
			} {
				whole, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				changed := slices.Clone(whole)
				changed[len(changed)/2] ^= 1
				if file == anchorsName {
					changed = testca.NewRoot(t, "Stranger").Certificate.PEM()
				}
				os.WriteFile(filepath.Join(dir, file), changed, 0o600)
				if out, err := run(t, dir, command); err == nil {
					t.Errorf("%s altered: %s\n%s", file, command, out)
				}
				os.WriteFile(filepath.Join(dir, file), whole, 0o600)
			}
		})
	}
}

// responder fetches OCSP responses, as package revocation/fetch would.
type responder struct {
	w  *world
	at time.Time
}

func (r responder) Fetch(c, issuer *cert.Certificate, answers func(revocation.Evidence) bool) (revocation.Evidence, error) {
	by := r.w.issuing
	if issuer.Subject.Equal(r.w.root.Certificate.Subject) {
		by = r.w.root
	}
	der := by.OCSP(testca.Response{Produced: r.at, Answers: []testca.Answer{{About: c, Issuer: issuer, This: r.at, Next: r.at.AddDate(0, 0, 1)}}})
	response, err := cert.ParseOCSPResponse(der)
	if err != nil {
		return revocation.Evidence{}, err
	}
	e := revocation.Evidence{Responses: []*cert.OCSPResponse{response}}
	answers(e)
	return e, nil
}

// TestOCSP: a record with responses in place of lists, fetched when it is made, and
// checked by OpenSSL.
func TestOCSP(t *testing.T) {
	w := newWorld(t)
	long := testca.Validity(date(2024, time.January), date(2049, time.January))
	source := func(c *x509.Certificate) { c.OCSPServer = []string{"http://ocsp.example.com"} }
	w.issuing = w.root.Authority("Evidence Issuing", long, source)
	w.signer = w.issuing.Leaf("alice@example.com", testca.RSA2048, testca.Validity(date(2024, time.August), endOfSign), source)
	bt, _ := w.make(w.mail(false), cades.BT)
	r := w.read(bt)
	o := w.at(cades.BLT)
	o.Options, o.Timestamp = w.options(madeAt, w.lists(madeAt)[2]), nil
	o.Revocation = responder{w, madeAt}
	var out bytes.Buffer
	if _, err := Make(&out, &r.Source, o); err != nil {
		t.Fatal(err)
	}
	if report := w.check(out.Bytes(), w.options(later)); report.Level != cades.BLT.String() || !report.Good() {
		t.Errorf("%s, %+v", report.Level, report.Signers)
	}
	dir := unpack(t, out.Bytes())
	english, _ := commands(t, dir)
	asked := 0
	for _, command := range english {
		said, err := run(t, dir, command)
		if err != nil {
			t.Errorf("%s\n%v\n%s", command, err, said)
		}
		if strings.HasPrefix(command, "openssl ocsp") {
			asked++
			if !strings.Contains(said, "Response verify OK") || !strings.Contains(said, "\ngood") {
				t.Errorf("%s\n%s", command, said)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ocsp-3.der")); err == nil || asked != 1 {
		t.Errorf("%d responses about the signer in\n%s", asked, strings.Join(english, "\n"))
	}
	// One from before the signature, which whoever made the record might have chosen.
	o.Revocation = responder{w, signedAt.Add(-time.Hour)}
	var level *LevelError
	if _, err := Make(io.Discard, &r.Source, o); !errors.As(err, &level) || level.Reached != cades.BT {
		t.Errorf("responses from before: %v", err)
	}
}

// TestCheck: each level is what it says, later too, and only for those who trust
// the roots.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	for _, level := range []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA} {
		for name, src := range map[string]*Source{"mail": w.mail(false), "opaque mail": w.mail(true), "file": w.file()} {
			record, made := w.make(src, level)
			if made.Level != level.String() || !made.Good() || made.Claim != Claim {
				t.Errorf("%s at %v: made as %s, %+v", name, level, made.Level, made.Verdict)
			}
			report := w.check(record, w.options(later))
			want, good := level, true
			if level == cades.BB { // nothing proves when it signed
				good = false
			}
			if report.Level != want.String() || report.Good() != good || len(report.Altered) > 0 {
				t.Errorf("%s at %v, later: %s, %+v, %v", name, level, report.Level, report.Verdict, report.Altered)
			}
			o := w.options(later)
			o.Anchors = nil
			if report := w.check(record, o); report.Good() || report.Verdict.Verdict != smime.Untrusted {
				t.Errorf("%s at %v, nobody trusted: %+v", name, level, report.Verdict)
			}
			if src.Message != nil {
				o = w.options(later)
				o.From = "bob@example.com"
				if report := w.check(record, o); report.Good() {
					t.Errorf("%s at %v: from bob: %+v", name, level, report.Verdict)
				}
			}
		}
	}
}

// TestStatement: verdict.json says who stamped the time and where the key was made.
func TestStatement(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	o := w.at(cades.BT)
	o.KeyOrigin = func(c *cert.Certificate) string {
		if c.Equal(w.signer.Certificate) {
			return "in a drawer"
		}
		return ""
	}
	if _, err := Make(&out, w.mail(false), o); err != nil {
		t.Fatal(err)
	}
	r := w.read(out.Bytes())
	var report Report
	if err := json.Unmarshal(r.Statement, &report); err != nil {
		t.Fatal(err)
	}
	s := report.Signers[0]
	if report.Format != Format || report.Claim != Claim || s.KeyOrigin != "in a drawer" || len(s.Timestamps) != 1 || s.Timestamps[0].Authority.Subject != "CN=clock" ||
		!s.Timestamps[0].Believed || !s.Proven.Equal(signedAt.Add(time.Second)) || len(report.Anchors) != 2 || len(s.Missing) == 0 {
		t.Errorf("%s", r.Statement)
	}
	for _, want := range []string{"in a drawer", "CN=clock", w.root.Certificate.SHA256(), "not a qualified electronic signature", "適格電子署名"} {
		if !bytes.Contains(r.small[readmeName], []byte(want)) {
			t.Errorf("README says nothing of %q", want)
		}
	}
	// The same input gives the same octets.
	var again [2]bytes.Buffer
	o.Timestamp, o.Options.At = nil, signedAt
	for i := range again {
		if _, err := Make(&again[i], &r.Source, o); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(again[0].Bytes(), again[1].Bytes()) {
		t.Error("made again, it is another one")
	}
}

// repack writes a record anew with some files changed; nil takes one out.
func repack(t testing.TB, record []byte, method uint16, change map[string][]byte) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(record), int64(len(record)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	write := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, f := range in.File {
		seen[f.Name] = true
		data, changed := change[f.Name]
		if !changed {
			src, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(src); err != nil {
				t.Fatal(err)
			}
		}
		if data != nil {
			write(f.Name, data)
		}
	}
	for name, data := range change {
		if !seen[name] && data != nil {
			write(name, data)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// reversed is a record with its files the other way round.
func reversed(t testing.TB, record []byte) []byte {
	t.Helper()
	r, err := Read(bytes.NewReader(record), int64(len(record)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	for _, name := range slices.Backward(r.names) {
		files = append(files, *r.file(name))
	}
	var out bytes.Buffer
	if err := writeZIP(&out, files, later); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAltered: every file is held to the signature or to the manifest.
func TestAltered(t *testing.T) {
	w := newWorld(t)
	record, _ := w.make(w.mail(false), cades.BLTA)
	r := w.read(record)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		if report := w.check(repack(t, record, method, nil), w.options(later)); !report.Good() || report.Level != cades.BLTA.String() || report.Unsealed != "" {
			t.Errorf("packed anew (%d): %+v, %v", method, report.Verdict, report.Altered)
		}
	}
	for _, name := range r.names {
		changed := slices.Clone(content(t, r, name))
		changed[len(changed)/3] ^= 4
		rec := w.read(repack(t, record, zip.Store, map[string][]byte{name: changed}))
		o := w.options(later)
		report, err := rec.Check(&o)
		if err == nil && (report.Good() || !strings.Contains(strings.Join(report.Altered, "\n"), name) && name != mailContentName && name != signatureName) {
			t.Errorf("%s altered: %+v, %v", name, report.Verdict, report.Altered)
		}
		if name == mailContentName || name == signatureName {
			if err == nil && report.Verdict.Verdict != smime.Invalid {
				t.Errorf("%s altered: the verdict is %s", name, report.Verdict.Verdict)
			}
			continue
		}
		report = w.check(repack(t, record, zip.Store, map[string][]byte{name: nil}), w.options(later))
		if want := name == sealName; report.Good() != want || want && report.Unsealed == "" {
			t.Errorf("%s taken out: %+v, %v", name, report.Verdict, report.Altered)
		}
	}
	if report := w.check(reversed(t, record), w.options(later)); !report.Good() || report.Unsealed != "" {
		t.Errorf("in another order: %+v, %v", report.Verdict, report.Altered)
	}
	if report := w.check(repack(t, record, zip.Store, map[string][]byte{"more.exe": []byte("MZ")}), w.options(later)); report.Good() {
		t.Error("a file more: good")
	}
	// The right signature beside another mail by the same person.
	other := w.source(signedLater(t, w))
	swapped := repack(t, record, zip.Store, map[string][]byte{messageName: read(t, other.Message)})
	if report := w.check(swapped, w.options(later)); report.Good() || report.Verdict.Verdict != smime.Invalid {
		t.Errorf("another mail: %+v, %v", report.Verdict, report.Altered)
	}
}

// content is what a file of a record holds.
func content(t testing.TB, r *Record, name string) []byte {
	t.Helper()
	data, err := io.ReadAll(r.file(name).open())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(t testing.TB, s *io.SectionReader) []byte {
	t.Helper()
	data, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// signedLater signs the same letter once more, a second later.
func signedLater(t testing.TB, w *world) []byte {
	t.Helper()
	var out bytes.Buffer
	err := smime.Sign(&out, strings.NewReader(letter), int64(len(letter)), &smime.SignOptions{Signers: []*cms.Signer{w.signerOf()}, Time: signedAt.Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestRefused: no record of what cannot be believed, or does not reach the level
// that was insisted on.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	refused := func(name string, src *Source, o *MakeOptions, want any, text string) {
		t.Helper()
		var out bytes.Buffer
		_, err := Make(&out, src, o)
		if err == nil || !strings.Contains(err.Error(), text) || want != nil && !errors.As(err, want) || out.Len() > 0 {
			t.Errorf("%s: %v, with %d octets", name, err, out.Len())
		}
	}
	var level *LevelError
	var verdict *VerdictError
	o := w.at(cades.BT)
	o.Timestamp = nil
	refused("no timestamp", w.mail(false), o, &level, "CAdES-B-T")
	o = w.at(cades.BLT)
	o.Options = w.options(signedAt, w.lists(signedAt.Add(-time.Hour))...)
	refused("a list from before", w.mail(false), o, &level, "CAdES-B-LT")
	o = w.at(cades.BB)
	o.Anchors = nil
	refused("nobody trusted", w.mail(false), o, &verdict, "untrusted")
	o = w.at(cades.BB)
	o.CRLs = w.lists(signedAt.Add(-time.Hour), testca.Revoked{SerialNumber: w.signer.Certificate.Serial, RevocationTime: signedAt.AddDate(0, -1, 0)})
	refused("revoked", w.mail(false), o, &verdict, "revoked")
	o = w.at(cades.BB)
	o.From = "bob@example.com"
	refused("from another", w.mail(false), o, &verdict, "address-mismatch")
	src := w.mail(false)
	src.Content = section([]byte("something else"))
	refused("other content", src, w.at(cades.BB), nil, "does not fit")
	refused("no time", w.mail(false), &MakeOptions{}, nil, "At is not set")
}

// TestLimits: every limit of Read.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	record, _ := w.make(w.file(), cades.BB)
	many := map[string][]byte{}
	for i := range MaxFiles {
		many["f"+strings.Repeat("0", i%7)+big.NewInt(int64(i)).String()] = []byte("x")
	}
	zeros := make([]byte, MaxSmall+1)
	for name, tt := range map[string]struct {
		record []byte
		text   string
	}{
		"too many files":        {repack(t, record, zip.Store, many), "list of"},
		"a bomb":                {repack(t, record, zip.Deflate, map[string][]byte{"bomb.pem": zeros}), "too large"},
		"a large signature":     {repack(t, record, zip.Deflate, map[string][]byte{signatureName: zeros}), "too large"},
		"a path":                {repack(t, record, zip.Store, map[string][]byte{"../evil": {1}}), "named"},
		"a folder":              {repack(t, record, zip.Store, map[string][]byte{"a/b": {1}}), "named"},
		"a drive":               {repack(t, record, zip.Store, map[string][]byte{"c:evil": {1}}), "named"},
		"a long name":           {repack(t, record, zip.Store, map[string][]byte{strings.Repeat("a", MaxName+1): {1}}), "named"},
		"a hidden name":         {repack(t, record, zip.Store, map[string][]byte{".profile": {1}}), "named"},
		"both contents":         {repack(t, record, zip.Store, map[string][]byte{mailContentName: {1}}), "both"},
		"no signature":          {repack(t, record, zip.Store, map[string][]byte{signatureName: nil}), "no signature"},
		"no content":            {repack(t, record, zip.Store, map[string][]byte{fileContentName: nil}), "no signature.p7s or no content"},
		"cut off":               {record[:len(record)-30], "ZIP"},
		"something before":      {append([]byte("#!/bin/sh\n"), record...), "list of files"},
		"a comment":             {commented(record), "comment"},
		"a hidden file":         {hiding(t, record, false), "follow"},
		"a hidden last file":    {hiding(t, record, true), "between"},
		"two names":             {twoNames(record), "another name"},
		"one over another":      {overlapping(record), "follow"},
		"too many manifests":    {repack(t, record, zip.Store, manifests(MaxSeals+1)), "manifests"},
		"empty":                 {nil, "ZIP"},
		"large compressed text": {repack(t, record, zip.Deflate, map[string][]byte{fileContentName: make([]byte, smime.MaxMemory+1)}), "too large for memory"},
		"twice":                 {twice(t, record), "twice"},
		"many more than said":   {lying(t, record), "list of files"},
	} {
		_, err := Read(bytes.NewReader(tt.record), int64(len(tt.record)), nil)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fault := errors.New("disk")
	packed := repack(t, record, zip.Deflate, nil)
	if _, err := Read(bytes.NewReader(packed), int64(len(packed)), func() (smime.Spool, error) { return nil, fault }); !errors.Is(err, fault) {
		t.Errorf("no spool: %v", err)
	}
}

// commented is a record with a comment, in which another end record could be.
func commented(record []byte) []byte {
	out := append(slices.Clone(record), "hidden"...)
	out[len(record)-2] = 6
	return out
}

// hiding is a record with a file in it that is not in its list: after the first
// file, or after the last.
func hiding(t testing.TB, record []byte, last bool) []byte {
	t.Helper()
	end := record[len(record)-22:]
	directory := int(binary.LittleEndian.Uint32(end[16:]))
	at := directory
	if !last {
		at = 4 + bytes.Index(record[4:], []byte("PK\x03\x04"))
	}
	hidden := slices.Clone(record[:4+bytes.Index(record[4:], []byte("PK\x03\x04"))])
	out := slices.Insert(slices.Clone(record), at, hidden...)
	shift := func(field []byte) {
		binary.LittleEndian.PutUint32(field, binary.LittleEndian.Uint32(field)+uint32(len(hidden)))
	}
	shift(out[len(out)-6:])
	for i := directory + len(hidden); bytes.HasPrefix(out[i:], []byte("PK\x01\x02")); {
		if offset := out[i+42:]; int(binary.LittleEndian.Uint32(offset)) >= at {
			shift(offset)
		}
		i += 46 + int(binary.LittleEndian.Uint16(out[i+28:])) + int(binary.LittleEndian.Uint16(out[i+30:]))
	}
	return out
}

// twoNames is a record in which a file has another name in front of it than in the
// list.
func twoNames(record []byte) []byte {
	out := slices.Clone(record)
	out[30] ^= 'a' ^ 'b'
	return out
}

// overlapping is a record whose second file is in the list as the first.
func overlapping(record []byte) []byte {
	out := slices.Clone(record)
	first := int(binary.LittleEndian.Uint32(out[len(out)-6:]))
	second := first + 46 + int(binary.LittleEndian.Uint16(out[first+28:])) + int(binary.LittleEndian.Uint16(out[first+30:]))
	copy(out[second+42:second+46], out[first+42:first+46])
	return out
}

// manifests are n that a record was before.
func manifests(n int) map[string][]byte {
	out := map[string][]byte{}
	for i := range n {
		manifest, response := earlierName(i + 1)
		out[manifest], out[response] = []byte("x"), []byte("x")
	}
	return out
}

// twice is a record with one name twice.
func twice(t testing.TB, record []byte) []byte {
	out := repack(t, record, zip.Store, map[string][]byte{"signer-2.pem": []byte("other")})
	return bytes.ReplaceAll(out, []byte("signer-2.pem"), []byte("signer-1.pem"))
}

// lying is a record whose list of files is longer than its end says.
func lying(t testing.TB, record []byte) []byte {
	many := map[string][]byte{}
	for i := range 9000 {
		many[strings.Repeat("f", 40)+big.NewInt(int64(i)).String()] = []byte{}
	}
	out := repack(t, record, zip.Store, many)
	end := out[len(out)-22:]
	end[8], end[9], end[10], end[11] = 5, 0, 5, 0
	size := uint32(4000)
	end[12], end[13], end[14], end[15] = byte(size), byte(size>>8), 0, 0
	return out
}

// FuzzRead: whatever is read keeps to the limits.
func FuzzRead(f *testing.F) {
	files := []file{
		{name: messageName, data: []byte(letter)}, {name: mailContentName, data: []byte("text")},
		{name: signatureName, data: []byte("\x30\x00")}, {name: verdictName, data: []byte("{}")},
		{name: manifestName, data: []byte(strings.Repeat("0", 64) + " *" + verdictName + "\n")}, {name: sealName, data: []byte("\x30\x00")},
	}
	var out bytes.Buffer
	if err := writeZIP(&out, files, signedAt); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(repack(f, out.Bytes(), zip.Deflate, nil))
	o := &Options{At: later}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Read(bytes.NewReader(in), int64(len(in)), nil)
		if err != nil {
			return
		}
		defer r.Close()
		if len(r.names) > MaxFiles || slices.ContainsFunc(r.names, func(n string) bool { return !isName(n) }) {
			t.Fatalf("%q", r.names)
		}
		if len(read(t, r.Content)) > MaxContent {
			t.Fatal("content beyond the limit")
		}
		if report, err := r.Check(o); err == nil && report.Good() {
			t.Fatalf("good, and nobody is trusted: %+v", report)
		}
	})
}
