package evidence

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// replaced is a record in which some files were changed, and its manifest to fit. With
// stamp, who did so had the manifest stamped; without, the timestamp is taken out.
func replaced(t testing.TB, record []byte, stamp func([]byte) ([]byte, error), change map[string][]byte) []byte {
	t.Helper()
	record = repack(t, record, zip.Store, change)
	r, err := Read(bytes.NewReader(record), int64(len(record)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	for _, name := range r.names {
		if name != manifestName && name != sealName {
			files = append(files, *r.file(name))
		}
	}
	manifest, err := manifestOf(files)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{manifestName: manifest, sealName: nil}
	if stamp != nil {
		q, err := cms.NewTimestampRequest(manifest, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		der, err := q.DER()
		if err != nil {
			t.Fatal(err)
		}
		if out[sealName], err = stamp(der); err != nil {
			t.Fatal(err)
		}
	}
	return repack(t, record, zip.Store, out)
}

// TestExchanged: what is in a record cannot be exchanged unnoticed, by whomever.
func TestExchanged(t *testing.T) {
	w := newWorld(t)
	record, made := w.make(w.mail(false), cades.BT)
	if made.Unsealed != "" || len(made.Seals) != 1 || !made.Seals[0].Believed || made.Seals[0].Manifest != manifestName {
		t.Fatalf("made: %q, %+v", made.Unsealed, made.Seals)
	}
	message := read(t, w.read(record).Message)
	gift := bytes.Replace(message, []byte("Subject: Debt"), []byte("Subject: Gift"), 1)
	if bytes.Equal(gift, message) {
		t.Fatal("no subject")
	}
	long := testca.Validity(date(2024, time.January), date(2048, time.January))
	root := testca.NewRoot(t, "Stranger", long)
	stranger := root.Leaf("", testca.P256, long,
		testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08")))
	for name, data := range map[string][]byte{
		readmeName: []byte("Everything is fine.\r\n"), verdictName: []byte("{}"), anchorsName: root.Certificate.PEM(), messageName: gift,
	} {
		change := map[string][]byte{name: data}
		if report := w.check(repack(t, record, zip.Store, change), w.options(later)); report.Good() || !strings.Contains(strings.Join(report.Altered, "\n"), name) {
			t.Errorf("%s changed: %v", name, report.Altered)
		}
		// With a new manifest the timestamp over it is wrong,
		r := w.read(record)
		forged := repack(t, replaced(t, record, nil, change), zip.Store, map[string][]byte{sealName: r.small[sealName]})
		if report := w.check(forged, w.options(later)); report.Good() || !strings.Contains(strings.Join(report.Altered, "\n"), sealName) {
			t.Errorf("%s and the manifest changed: %v", name, report.Altered)
		}
		// without one nothing vouches for the manifest,
		report := w.check(replaced(t, record, nil, change), w.options(later))
		if len(report.Altered) > 0 || report.Unsealed == "" || len(report.Seals) > 0 {
			t.Errorf("%s and the manifest changed, no timestamp: %v, %q", name, report.Altered, report.Unsealed)
		}
		// and a timestamp by somebody else is worth nothing.
		report = w.check(replaced(t, record, w.stamping(stranger, signedAt), change), w.options(later))
		if len(report.Altered) > 0 || !strings.Contains(report.Unsealed, "not believed") || len(report.Seals) != 1 || report.Seals[0].Believed {
			t.Errorf("%s and the manifest changed, stamped by a stranger: %v, %q", name, report.Altered, report.Unsealed)
		}
	}
}

// TestRenew: a record carries its earlier manifests on, and what they prove.
func TestRenew(t *testing.T) {
	w := newWorld(t)
	soon := date(2025, time.December)
	w.clock = w.newClock("short", soon)
	first, _ := w.make(w.mail(false), cades.BT)
	if report := w.check(first, w.options(later)); report.Unsealed == "" || report.Seals[0].Believed {
		t.Errorf("the authority has ended: %+v", report.Seals)
	}
	w.clock = w.newClock("long", date(2048, time.January))
	o := w.at(cades.BLT)
	o.Options, o.Timestamp = w.options(madeAt, w.lists(madeAt)...), w.stamping(w.clock, madeAt)
	var out bytes.Buffer
	r := w.read(first)
	if _, err := r.Renew(&out, o); err != nil {
		t.Fatal(err)
	}
	second := bytes.Clone(out.Bytes())
	report := w.check(second, w.options(later))
	if report.Unsealed != "" || len(report.Seals) != 2 || !report.Seals[1].Believed || !report.Seals[1].JudgedFor.Equal(report.Seals[0].Time.Add(time.Second)) || !report.Seals[1].Time.Equal(signedAt) {
		t.Fatalf("renewed: %q, %+v", report.Unsealed, report.Seals)
	}
	english, _ := commands(t, unpack(t, second))
	if !slices.ContainsFunc(english, func(c string) bool { return strings.Contains(c, "manifest-1.tsr") }) {
		t.Error("README has no command for the earlier manifest")
	}
	// The mail cannot be exchanged under an earlier manifest.
	mail := bytes.Replace(read(t, w.read(second).Message), []byte("Subject: Debt"), []byte("Subject: Gift"), 1)
	report = w.check(replaced(t, second, w.stamping(w.clock, madeAt), map[string][]byte{messageName: mail}), w.options(later))
	if report.Good() || !strings.Contains(strings.Join(report.Altered, "\n"), "manifest-1.sha256 lists") {
		t.Errorf("the mail exchanged: %v", report.Altered)
	}
	// Nor can one be put there that was never stamped, or something else.
	for name, change := range map[string]map[string][]byte{
		"changed":    {"manifest-1.sha256": bytes.Replace(w.read(second).small["manifest-1.sha256"], []byte("README"), []byte("readme"), 1)},
		"no digests": {"manifest-1.sha256": []byte("nothing")},
		"no stamp":   {"manifest-1.tsr": []byte("nothing")},
		"alone":      {"manifest-1.tsr": nil},
	} {
		if report := w.check(replaced(t, second, w.stamping(w.clock, madeAt), change), w.options(later)); report.Good() {
			t.Errorf("earlier manifest, %s: good", name)
		}
	}
	// Without a timestamp at hand the earlier ones are kept.
	o.Timestamp = nil
	out.Reset()
	if _, err := w.read(second).Renew(&out, o); err != nil {
		t.Fatal(err)
	}
	report = w.check(out.Bytes(), w.options(later))
	if len(report.Altered) > 0 || report.Unsealed == "" || len(report.Seals) != 2 || !report.Seals[0].Believed || !report.Seals[1].Believed {
		t.Errorf("without a timestamp: %v, %q, %+v", report.Altered, report.Unsealed, report.Seals)
	}
	// What was altered is not made into a new record.
	out.Reset()
	var altered *AlteredError
	if _, err := w.read(repack(t, second, zip.Store, map[string][]byte{readmeName: []byte("fine")})).Renew(&out, o); !errors.As(err, &altered) || out.Len() > 0 {
		t.Errorf("altered and renewed: %v", err)
	}
}

// TestSealers: who stamped the manifest is in the record, with what leads to a root
// and is not in the timestamp; whom nobody trusts stamps nothing.
func TestSealers(t *testing.T) {
	w := newWorld(t)
	record, _ := w.make(w.mail(false), cades.BT)
	long := testca.Validity(date(2024, time.January), date(2048, time.January))
	root := testca.NewRoot(t, "Other Clock Root", long)
	between := root.Authority("Other Clock Issuing", long)
	o := w.at(cades.BT)
	options := w.options(later)
	w.tsaRoot = between
	clock := w.newClock("other", date(2047, time.January))
	o.At, o.Timestamp = madeAt, w.stamping(clock, madeAt)
	asked := 0
	stamp := o.Timestamp
	o.Timestamp = func(request []byte) ([]byte, error) { asked++; return stamp(request) }
	var out bytes.Buffer
	report, err := w.read(record).Renew(&out, o)
	if err != nil || !strings.Contains(report.Unsealed, "not believed") || w.read(out.Bytes()).small[sealName] != nil || asked != 1 {
		t.Errorf("nobody trusts the authority: %v, %+v, asked %d times", err, report, asked)
	}
	o.Anchors = append(o.Anchors, root.Certificate)
	o.Intermediates = []*cert.Certificate{between.Certificate}
	out.Reset()
	if report, err = w.read(record).Renew(&out, o); err != nil || report.Unsealed != "" {
		t.Fatalf("%v, %+v", err, report)
	}
	options.Anchors = o.Anchors
	if report := w.check(out.Bytes(), options); !report.Good() || report.Unsealed != "" {
		t.Errorf("%v, %q", report.Altered, report.Unsealed)
	}
	dir := unpack(t, out.Bytes())
	english, _ := commands(t, dir)
	for _, command := range english {
		if said, err := run(t, dir, command); err != nil {
			t.Errorf("%s\n%v\n%s", command, err, said)
		}
	}
	// One that answers with other certificates each time.
	n := int64(0)
	o.Timestamp = func(request []byte) ([]byte, error) {
		n++
		other := root.Authority("Other Clock "+big.NewInt(n).String(), long)
		w.tsaRoot = other
		o.Options.Intermediates = append(o.Options.Intermediates, other.Certificate)
		return w.stamping(w.newClock("other", date(2047, time.January)), madeAt)(request)
	}
	if _, err := w.read(record).Renew(io.Discard, o); err == nil || !strings.Contains(err.Error(), "each time") {
		t.Errorf("other certificates each time: %v", err)
	}
}

// FuzzManifest: what is read keeps to the names and digests that a manifest may have.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + " *README.txt\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		digests, ok := readManifest(in)
		if !ok {
			return
		}
		if len(digests) > MaxFiles {
			t.Fatal(len(digests))
		}
		for name, sum := range digests {
			if !isName(name) || len(sum) != 32 {
				t.Fatalf("%q %x", name, sum)
			}
		}
	})
}
