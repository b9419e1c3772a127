package cades_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

func date(year int, month time.Month) time.Time {
	return time.Date(year, month, 1, 12, 0, 0, 0, time.UTC)
}

// The story of the tests: signed in June 2025, until August with a certificate;
// the first clock gives out in 2030, the second in 2040.
var (
	signedAt  = date(2025, time.June)
	endOfSign = date(2025, time.August)
	endOfTSA1 = date(2030, time.January)
	endOfTSA2 = date(2040, time.January)
)

var content = []byte("Content-Type: text/plain\r\n\r\nI owe you a lunch.\r\n")

type world struct {
	t              *testing.T
	root, issuing  *testca.Authority
	tsaRoot        *testca.Authority
	signer         *testca.Leaf
	clock1, clock2 *testca.Leaf
}

func newWorld(t *testing.T, options ...testca.Option) *world {
	long := testca.Validity(date(2024, time.January), date(2050, time.January))
	w := &world{t: t, root: testca.NewRoot(t, "Evidence Root", long), tsaRoot: testca.NewRoot(t, "Clock Root", long)}
	w.issuing = w.root.Authority("Evidence Issuing", long)
	w.signer = w.issuing.Leaf("alice@example.com", testca.P256, append([]testca.Option{testca.Validity(date(2024, time.August), endOfSign)}, options...)...)
	w.clock1 = w.clock("first", date(2024, time.August), endOfTSA1)
	w.clock2 = w.clock("second", date(2029, time.January), endOfTSA2)
	return w
}

func (w *world) clock(name string, from, to time.Time) *testca.Leaf {
	return w.tsaRoot.Leaf("", testca.P256, testca.Validity(from, to), testca.KeyUsage(x509.KeyUsageDigitalSignature),
		testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08")),
		func(c *x509.Certificate) { c.Subject.CommonName = name + " clock" })
}

func stamping(clock *testca.Leaf, at time.Time) func([]byte) ([]byte, error) {
	a := &cms.TimestampAuthority{Signer: &cms.Signer{Key: clock.Signer(), Certificate: clock.Certificate}, Policy: "1.3.6.1.4.1.99999.1"}
	return func(request []byte) ([]byte, error) { return a.Respond(request, big.NewInt(at.Unix()), at) }
}

func (w *world) crl(a *testca.Authority, from time.Time, revoked ...testca.Revoked) *cert.CRL {
	w.t.Helper()
	l, err := cert.ParseCRL(a.CRL(revoked, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = from, from.AddDate(0, 0, 30) }))
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// lists are those of every authority, as of a time.
func (w *world) lists(at time.Time) []*cert.CRL {
	return []*cert.CRL{w.crl(w.issuing, at), w.crl(w.root, at), w.crl(w.tsaRoot, at)}
}

func (w *world) options(at time.Time, lists ...*cert.CRL) cades.Options {
	return cades.Options{Anchors: []*cert.Certificate{w.root.Certificate, w.tsaRoot.Certificate}, Evidence: revocation.Evidence{CRLs: lists}, At: at}
}

// signed is B-B.
func (w *world) signed(o *cms.SignOptions) []byte {
	w.t.Helper()
	if o == nil {
		o = &cms.SignOptions{Time: signedAt}
	}
	o.Detached = true
	var out bytes.Buffer
	c, err := cms.Sign(&out, []*cms.Signer{{Key: w.signer.Signer(), Certificate: w.signer.Certificate, Chain: w.signer.Chain}}, o)
	if err == nil {
		_, err = c.Write(content)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}

func (w *world) raise(message []byte, o *cades.RaiseOptions) ([]byte, *cades.Assessment) {
	w.t.Helper()
	out, found, err := cades.Raise(message, open, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return out, found[0]
}

func open() io.Reader { return bytes.NewReader(content) }

// stamped is B-T, lasting B-LT, archived B-LTA.
func (w *world) stamped() []byte {
	out, _ := w.raise(w.signed(nil), &cades.RaiseOptions{Options: w.options(signedAt), Level: cades.BT, Timestamp: stamping(w.clock1, signedAt)})
	return out
}

func (w *world) lasting() []byte {
	day := signedAt.AddDate(0, 0, 1)
	out, _ := w.raise(w.stamped(), &cades.RaiseOptions{Options: w.options(day, w.lists(day)...), Level: cades.BLT})
	return out
}

func (w *world) archived() []byte {
	day := signedAt.AddDate(0, 0, 1)
	out, _ := w.raise(w.lasting(), &cades.RaiseOptions{Options: w.options(day), Level: cades.BLTA, Timestamp: stamping(w.clock1, day)})
	return out
}

func (w *world) assess(message []byte, o cades.Options) *cades.Assessment {
	w.t.Helper()
	_, a := w.raise(message, &cades.RaiseOptions{Options: o})
	return a
}

// TestLevels climbs from level to level and looks at each from later times.
func TestLevels(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name    string
		message []byte
		at      time.Time
		want    cades.Level
		missing string
	}{
		{"B-B", w.signed(nil), signedAt, cades.BB, "a timestamp of the signature"},
		{"B-T", w.stamped(), signedAt, cades.BT, "revocation"},
		{"B-T when the certificate has ended", w.stamped(), date(2026, time.January), cades.BT, "revocation"},
		{"B-T when the clock's has ended too", w.stamped(), date(2031, time.January), cades.BB, "expired"},
		{"B-LT", w.lasting(), date(2026, time.January), cades.BLT, "an archive timestamp"},
		{"B-LT when the clock's has ended", w.lasting(), date(2031, time.January), cades.BB, "expired"},
		{"B-LTA", w.archived(), date(2026, time.January), cades.BLTA, ""},
		{"B-LTA when the clock's has ended", w.archived(), date(2031, time.January), cades.BB, "expired"},
	} {
		a := w.assess(tt.message, w.options(tt.at))
		if a.Level != tt.want || !strings.Contains(strings.Join(a.Missing, "; "), tt.missing) || (tt.missing == "") != (len(a.Missing) == 0) {
			t.Errorf("%s: %v, missing %q; want %v, %q", tt.name, a.Level, a.Missing, tt.want, tt.missing)
		}
		if proven := a.Level >= cades.BT; proven == a.Time.IsZero() || proven && !a.Time.Equal(signedAt) {
			t.Errorf("%s: proven at %v", tt.name, a.Time)
		}
	}
}

// TestRenewal: a second archive timestamp, made while the first was good, carries
// the proof over the end of the first; one made later does not.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	first := w.archived()
	inTime, tooLate := date(2029, time.June), date(2031, time.January)
	renewal := func(judged, stamped time.Time, lists ...*cert.CRL) *cades.RaiseOptions {
		return &cades.RaiseOptions{Options: w.options(judged, lists...), Level: cades.BLTA, Renew: true, Timestamp: stamping(w.clock2, stamped), Digest: crypto.SHA512}
	}
	second, _ := w.raise(first, renewal(inTime, inTime, w.lists(inTime)...))
	a := w.assess(second, w.options(date(2035, time.January)))
	if a.Level != cades.BLTA || len(a.Archive) != 2 || !a.Time.Equal(signedAt) {
		t.Fatalf("%v, missing %q, proven %v", a.Level, a.Missing, a.Time)
	}
	for _, s := range a.Archive {
		if !s.Trusted() {
			t.Errorf("stamp of %v: %v", s.Time, s.Why)
		}
		judged := date(2035, time.January)
		if s.Time.Before(inTime) {
			judged = inTime
		}
		if !s.Judged.Equal(judged) {
			t.Errorf("stamp of %v judged for %v, want %v", s.Time, s.Judged, judged)
		}
	}
	if d := a.Archive[0].Digest.Algorithm; d != oid.SHA512 && a.Archive[1].Digest.Algorithm != oid.SHA512 {
		t.Errorf("digests %v", d)
	}
	if a := w.assess(second, w.options(date(2041, time.January))); a.Level != cades.BB {
		t.Errorf("after the end of the second: %v", a.Level)
	}
	if _, _, err := cades.Raise(first, open, renewal(tooLate, tooLate)); err == nil || !strings.Contains(err.Error(), "would prove nothing") {
		t.Errorf("renewed too late: %v", err)
	}
	late, _ := w.raise(first, renewal(inTime, tooLate))
	if a := w.assess(late, w.options(date(2035, time.January))); a.Level != cades.BB || a.Time.Before(tooLate) || a.Timestamps[0].Trusted() {
		t.Errorf("renewed too late: %v, proven %v", a.Level, a.Time)
	}
}

// TestRevokedSigner: what was revoked after the proven time was good; what was
// revoked before, or since before, was not.
func TestRevokedSigner(t *testing.T) {
	w := newWorld(t)
	entry := func(at time.Time) testca.Revoked {
		return testca.Revoked{SerialNumber: w.signer.Certificate.Serial, RevocationTime: at, ReasonCode: int(cert.KeyCompromise)}
	}
	since := entry(signedAt.Add(time.Hour))
	since.ExtraExtensions = invalidity("20250531120000Z")
	day := signedAt.AddDate(0, 0, 2)
	for name, tt := range map[string]struct {
		lists []*cert.CRL
		level cades.Level
		state revocation.Status
	}{
		"good":                    {[]*cert.CRL{w.crl(w.issuing, day)}, cades.BLT, revocation.Good},
		"revoked later":           {[]*cert.CRL{w.crl(w.issuing, day, entry(signedAt.Add(time.Hour)))}, cades.BLT, revocation.Good},
		"revoked before":          {[]*cert.CRL{w.crl(w.issuing, day, entry(signedAt.Add(-time.Hour)))}, cades.BB, revocation.Revoked},
		"compromised before":      {[]*cert.CRL{w.crl(w.issuing, day, since)}, cades.BB, revocation.Revoked},
		"an old list":             {[]*cert.CRL{w.crl(w.issuing, signedAt.Add(-time.Hour))}, cades.BT, revocation.Unknown},
		"an old list, and a new":  {[]*cert.CRL{w.crl(w.issuing, signedAt.Add(-time.Hour)), w.crl(w.issuing, day, entry(signedAt.Add(-time.Minute)))}, cades.BB, revocation.Revoked},
		"another authority's":     {[]*cert.CRL{w.crl(w.root, day)}, cades.BT, revocation.Unknown},
		"made after its end":      {[]*cert.CRL{w.crl(w.issuing, endOfSign.Add(time.Hour))}, cades.BT, revocation.Unknown},
		"none":                    {nil, cades.BT, revocation.NotChecked},
		"signed by somebody else": {[]*cert.CRL{w.crl(testca.Renamed(w.tsaRoot, name("Evidence Issuing")), day)}, cades.BT, revocation.Unknown},
	} {
		// In the message, as whoever made it chose.
		amendment := &cms.Amendment{Certificates: []*cert.Certificate{w.root.Certificate, w.tsaRoot.Certificate}}
		for _, l := range append(tt.lists, w.crl(w.root, signedAt), w.crl(w.tsaRoot, signedAt)) {
			if name != "none" {
				amendment.CRLs = append(amendment.CRLs, l.Raw)
			}
		}
		var out bytes.Buffer
		stamped := w.stamped()
		if err := cms.Amend(&out, bytes.NewReader(stamped), int64(len(stamped)), amendment); err != nil {
			t.Fatal(err)
		}
		a := w.assess(out.Bytes(), w.options(date(2026, time.January)))
		if a.Level != tt.level {
			t.Errorf("%s: %v, missing %q; want %v", name, a.Level, a.Missing, tt.level)
		}
		chain := []*cert.Certificate{w.signer.Certificate, w.issuing.Certificate, w.root.Certificate}
		if state, err := a.Revocation(chain); state != tt.state {
			t.Errorf("%s: %v, %v; want %v", name, state, err, tt.state)
		}
	}
	// The verifier's own list may be of before: it was not chosen by the signer.
	a := w.assess(w.stamped(), w.options(date(2026, time.January), w.crl(w.issuing, signedAt.Add(-time.Hour))))
	if state, err := a.Revocation(a.Chain); state != revocation.Good {
		t.Errorf("own list: %v, %v", state, err)
	}
}

// sources asks an authority's list, as package revocation/fetch would.
type sources struct {
	lists []*cert.CRL
	asked []*cert.Certificate
}

func (s *sources) Fetch(c, _ *cert.Certificate, answers func(revocation.Evidence) bool) (revocation.Evidence, error) {
	s.asked = append(s.asked, c)
	for _, l := range s.lists {
		if e := (revocation.Evidence{CRLs: []*cert.CRL{l}}); l.Issuer.Equal(c.Issuer) && answers(e) {
			return e, nil
		}
	}
	return revocation.Evidence{}, errors.New("no list")
}

// TestOldListOfAuthority: a list about an authority that was fresh at the proven time
// and older than that was chosen by whoever made the message. It keeps nobody from
// asking, neither for a verdict nor when the signature is raised.
func TestOldListOfAuthority(t *testing.T) {
	w := newWorld(t)
	long := testca.Validity(date(2024, time.January), date(2050, time.January))
	w.issuing = w.root.Authority("Evidence Issuing", long, testca.Points(testca.Point{URIs: []string{"http://lists.example.com/root.crl"}}))
	w.signer = w.issuing.Leaf("alice@example.com", testca.P256, testca.Validity(date(2024, time.August), endOfSign))
	day := signedAt.AddDate(0, 0, 2)
	old, fresh := w.crl(w.root, signedAt.AddDate(0, 0, -7)), w.crl(w.issuing, day)
	stolen := w.crl(w.root, day, testca.Revoked{SerialNumber: w.issuing.Certificate.Serial, RevocationTime: signedAt.AddDate(0, 0, -1), ReasonCode: int(cert.CACompromise)})
	message := w.amended(w.stamped(), &cms.Amendment{
		Certificates: []*cert.Certificate{w.root.Certificate, w.tsaRoot.Certificate},
		CRLs:         [][]byte{old.Raw, fresh.Raw, w.crl(w.tsaRoot, signedAt).Raw},
	})
	o := w.options(date(2025, time.July))
	if a := w.assess(message, o); a.Level != cades.BLT { // nobody asks: it was in force
		t.Errorf("offline: %v, missing %q", a.Level, a.Missing)
	}
	for name, tt := range map[string]struct {
		source *cert.CRL
		want   revocation.Status
	}{
		"revoked before the proven time": {stolen, revocation.Revoked},
		"good":                           {w.crl(w.root, day), revocation.Good},
		"no answer":                      {w.crl(w.tsaRoot, day), revocation.Unknown},
	} {
		s := &sources{lists: []*cert.CRL{tt.source}}
		o.Fetcher = s
		a := w.assess(message, o)
		if status, err := a.Revocation([]*cert.Certificate{w.signer.Certificate, w.issuing.Certificate, w.root.Certificate}); status != tt.want || len(s.asked) == 0 {
			t.Errorf("%s: %v, %v; asked %d times", name, status, err, len(s.asked))
		}
	}
	s := &sources{lists: []*cert.CRL{w.crl(w.root, day)}}
	o.Fetcher = s
	raised, _ := w.raise(message, &cades.RaiseOptions{Options: o, Level: cades.BLT})
	if !bytes.Contains(raised, s.lists[0].Raw) {
		t.Error("raised with the old list alone")
	}
	// One that had run out by the proven time is of no use to anybody.
	ended := w.crl(w.root, signedAt.AddDate(0, 0, -31))
	message = w.amended(w.stamped(), &cms.Amendment{
		Certificates: []*cert.Certificate{w.root.Certificate, w.tsaRoot.Certificate},
		CRLs:         [][]byte{ended.Raw, fresh.Raw, w.crl(w.tsaRoot, signedAt).Raw},
	})
	if a := w.assess(message, w.options(date(2025, time.July))); a.Level != cades.BT {
		t.Errorf("a list that had run out: %v", a.Level)
	}
}

// TestListsWithoutProof: once the authority itself has ended, its lists count
// only under an archive timestamp, for others may have its key by then.
func TestListsWithoutProof(t *testing.T) {
	w := newWorld(t)
	short := testca.Validity(date(2024, time.January), date(2027, time.January))
	w.issuing = w.root.Authority("Evidence Issuing", short)
	w.signer = w.issuing.Leaf("alice@example.com", testca.P256, testca.Validity(date(2024, time.August), endOfSign))
	lasting, archived := w.lasting(), w.archived()
	for at, want := range map[time.Time][2]cades.Level{
		date(2026, time.January): {cades.BLT, cades.BLTA},
		date(2028, time.January): {cades.BT, cades.BLTA},
	} {
		if a := w.assess(lasting, w.options(at)); a.Level != want[0] {
			t.Errorf("B-LT at %v: %v, missing %q", at, a.Level, a.Missing)
		}
		if a := w.assess(archived, w.options(at)); a.Level != want[1] {
			t.Errorf("B-LTA at %v: %v, missing %q", at, a.Level, a.Missing)
		}
	}
}

// TestRevokedClock follows RFC 3161 §4.
func TestRevokedClock(t *testing.T) {
	w := newWorld(t)
	late := date(2026, time.January)
	for name, tt := range map[string]struct {
		at     time.Time
		reason cert.Reason
		want   bool
	}{
		"compromised later":   {signedAt.AddDate(0, 1, 0), cert.KeyCompromise, false},
		"superseded later":    {signedAt.AddDate(0, 1, 0), cert.Superseded, true},
		"ceased later":        {signedAt.AddDate(0, 1, 0), cert.CessationOfOperation, true},
		"no reason, later":    {signedAt.AddDate(0, 1, 0), cert.Unspecified, false},
		"superseded before":   {signedAt.AddDate(0, -1, 0), cert.Superseded, false},
		"after the judgement": {late.AddDate(0, 1, 0), cert.KeyCompromise, true},
	} {
		l := w.crl(w.tsaRoot, late.AddDate(0, 2, 0), testca.Revoked{SerialNumber: w.clock1.Certificate.Serial, RevocationTime: tt.at, ReasonCode: int(tt.reason)})
		a := w.assess(w.stamped(), w.options(late, l))
		if got := a.Timestamps[0].Trusted(); got != tt.want || got == (a.Timestamps[0].Why != nil) {
			t.Errorf("%s: believed %v, %v", name, got, a.Timestamps[0].Why)
		}
	}
	// Superseded, but with a date since when the key was not safe; and a
	// superseded authority above, whose key others may have.
	superseded := testca.Revoked{SerialNumber: w.clock1.Certificate.Serial, RevocationTime: signedAt.AddDate(0, 1, 0), ReasonCode: int(cert.Superseded), ExtraExtensions: invalidity("20250615120000Z")}
	if a := w.assess(w.stamped(), w.options(late, w.crl(w.tsaRoot, late, superseded))); a.Timestamps[0].Trusted() {
		t.Error("superseded with an invalidity date: believed")
	}
	below := w.tsaRoot.Authority("Clock Issuing", testca.Validity(date(2024, time.January), date(2050, time.January)))
	root := w.tsaRoot
	w.tsaRoot = below
	w.clock1 = w.clock("below", date(2024, time.August), endOfTSA1)
	w.tsaRoot = root
	chained := w.amended(w.stamped(), &cms.Amendment{Certificates: []*cert.Certificate{below.Certificate}})
	above := testca.Revoked{SerialNumber: below.Certificate.Serial, RevocationTime: signedAt.AddDate(0, 1, 0), ReasonCode: int(cert.Superseded)}
	if a := w.assess(chained, w.options(late)); !a.Timestamps[0].Trusted() {
		t.Errorf("under an authority: %v", a.Timestamps[0].Why)
	}
	if a := w.assess(chained, w.options(late, w.crl(w.tsaRoot, late, above))); a.Timestamps[0].Trusted() {
		t.Error("superseded authority: believed")
	}
	w = newWorld(t)
	// An archive timestamp by another clock proves that it was there before.
	day := signedAt.AddDate(0, 0, 1)
	other := w.clock("third", date(2024, time.August), endOfTSA2)
	message, _ := w.raise(w.lasting(), &cades.RaiseOptions{Options: w.options(day), Level: cades.BLTA, Timestamp: stamping(other, day)})
	l := w.crl(w.tsaRoot, late, testca.Revoked{SerialNumber: w.clock1.Certificate.Serial, RevocationTime: signedAt.AddDate(0, 1, 0), ReasonCode: int(cert.KeyCompromise)})
	if a := w.assess(message, w.options(late, l)); !a.Timestamps[0].Trusted() || a.Level != cades.BLTA {
		t.Errorf("compromised after the archive timestamp: %v, %v", a.Level, a.Timestamps[0].Why)
	}
}

// TestBelowBB: what other programs leave out cannot be added later.
func TestBelowBB(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		message []byte
		missing string
	}{
		"no signing time": {w.signed(&cms.SignOptions{}), "signing-time"},
		"not data":        {w.signed(&cms.SignOptions{Time: signedAt, ContentType: oid.TSTInfo}), "id-data"},
	} {
		a := w.assess(tt.message, w.options(signedAt))
		if a.Level != cades.None || !strings.Contains(strings.Join(a.Missing, "; "), tt.missing) {
			t.Errorf("%s: %v, missing %q", name, a.Level, a.Missing)
		}
	}
}

// TestRaiseRefuses: nothing is put around what proves nothing.
func TestRaiseRefuses(t *testing.T) {
	w := newWorld(t)
	asked := false
	ask := func(q []byte) ([]byte, error) { asked = true; return stamping(w.clock1, signedAt)(q) }
	revoked := w.crl(w.issuing, signedAt.Add(-time.Hour), testca.Revoked{SerialNumber: w.signer.Certificate.Serial, RevocationTime: signedAt.AddDate(0, -1, 0)})
	wrong := bytes.Replace(w.signed(nil), []byte("alice@example.com"), []byte("mallo@example.com"), -1)
	for name, tt := range map[string]struct {
		message []byte
		o       cades.Options
		want    string
	}{
		"the certificate has ended":   {w.signed(nil), w.options(date(2026, time.January)), "expired"},
		"the certificate was revoked": {w.signed(nil), w.options(signedAt, revoked), "revoked"},
		"nobody trusted":              {w.signed(nil), cades.Options{At: signedAt}, "no path"},
		"altered":                     {wrong, w.options(signedAt), ""},
		"no CMS":                      {content, w.options(signedAt), "malformed"},
	} {
		_, _, err := cades.Raise(tt.message, open, &cades.RaiseOptions{Options: tt.o, Level: cades.BLTA, Timestamp: ask})
		if err == nil || !strings.Contains(err.Error(), tt.want) || asked {
			t.Errorf("%s: %v, asked %v", name, err, asked)
		}
	}
	down := errors.New("no answer")
	_, _, err := cades.Raise(w.signed(nil), open, &cades.RaiseOptions{Options: w.options(signedAt), Level: cades.BT, Timestamp: func([]byte) ([]byte, error) { return nil, down }})
	if !errors.Is(err, down) {
		t.Errorf("authority is down: %v", err)
	}
	other := func() io.Reader { return strings.NewReader("something else") }
	if _, _, err := cades.Raise(w.signed(nil), other, &cades.RaiseOptions{Options: w.options(signedAt)}); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("other content: %v", err)
	}
}

// TestRaiseStops: no further than is asked for, and no archive timestamp around
// what lacks something.
func TestRaiseStops(t *testing.T) {
	w := newWorld(t)
	day := signedAt.AddDate(0, 0, 1)
	for level := cades.None; level <= cades.BLTA; level++ {
		_, a := w.raise(w.stamped(), &cades.RaiseOptions{Options: w.options(day, w.lists(day)...), Level: level, Timestamp: stamping(w.clock1, day)})
		if want := max(level, cades.BT); a.Level != want {
			t.Errorf("up to %v: %v, missing %q", level, a.Level, a.Missing)
		}
	}
	_, a := w.raise(w.stamped(), &cades.RaiseOptions{Options: w.options(day, w.lists(day)[1:]...), Level: cades.BLTA, Timestamp: stamping(w.clock1, day)})
	if a.Level != cades.BT || len(a.Archive) != 0 {
		t.Errorf("without the signer's list: %v with %d archive timestamps", a.Level, len(a.Archive))
	}
	_, b := w.raise(w.archived(), &cades.RaiseOptions{Options: w.options(day), Level: cades.BLTA, Timestamp: stamping(w.clock1, day)})
	if len(b.Archive) != 1 || b.Level != cades.BLTA {
		t.Errorf("raised again: %d archive timestamps", len(b.Archive))
	}
}

func name(common string) (n pkix.Name) {
	n.CommonName, n.Organization = common, []string{"Example"}
	return n
}

// invalidity is the entry extension invalidityDate (RFC 5280 §5.3.2).
func invalidity(at string) []pkix.Extension {
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: append([]byte{0x18, byte(len(at))}, at...)}}
}

// around puts an archive timestamp around a message, whatever it lacks.
func (w *world) around(message []byte, stamp func([]byte) ([]byte, error)) []byte {
	w.t.Helper()
	r, err := cms.NewReader(bytes.NewReader(message), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := r.SignedData(&cms.SignedOptions{Content: open()})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		w.t.Fatal(err)
	}
	return w.amended(message, &cms.Amendment{Unsigned: func(i int, _ *cms.SignerInfo) (cms.Attributes, error) {
		q, err := s.ArchiveTimestampRequest(i, 0, nil)
		if err != nil {
			return nil, err
		}
		der, err := q.DER()
		if err != nil {
			return nil, err
		}
		response, err := stamp(der)
		if err != nil {
			return nil, err
		}
		a, _, err := q.OpenAttribute(response)
		return cms.Attributes{a}, err
	}})
}

func (w *world) amended(message []byte, a *cms.Amendment) []byte {
	w.t.Helper()
	var out bytes.Buffer
	if err := cms.Amend(&out, bytes.NewReader(message), int64(len(message)), a); err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}

// TestAddedLater: an archive timestamp makes B-LTA of what was there before it,
// and of nothing that came later.
func TestAddedLater(t *testing.T) {
	w := newWorld(t)
	day := signedAt.AddDate(0, 0, 1)
	certificates := &cms.Amendment{Certificates: []*cert.Certificate{w.root.Certificate, w.tsaRoot.Certificate}}
	lists := &cms.Amendment{}
	for _, l := range w.lists(day) {
		lists.CRLs = append(lists.CRLs, l.Raw)
	}
	timestamp := func(message []byte) []byte {
		out, _ := w.raise(message, &cades.RaiseOptions{Options: w.options(signedAt), Level: cades.BT, Timestamp: stamping(w.clock1, signedAt)})
		return out
	}
	archive := func(message []byte) []byte { return w.around(message, stamping(w.clock1, day)) }
	add := func(a *cms.Amendment) func([]byte) []byte {
		return func(message []byte) []byte { return w.amended(message, a) }
	}
	for name, tt := range map[string]struct {
		steps []func([]byte) []byte
		want  cades.Level
	}{
		"everything before":           {[]func([]byte) []byte{timestamp, add(certificates), add(lists), archive}, cades.BLTA},
		"certificates later":          {[]func([]byte) []byte{timestamp, add(lists), archive, add(certificates)}, cades.BLT},
		"lists later":                 {[]func([]byte) []byte{timestamp, add(certificates), archive, add(lists)}, cades.BLT},
		"the timestamp later":         {[]func([]byte) []byte{add(certificates), add(lists), archive, timestamp}, cades.BLT},
		"one more list later":         {[]func([]byte) []byte{timestamp, add(certificates), add(lists), archive, add(&cms.Amendment{CRLs: [][]byte{w.crl(w.root, day).Raw}})}, cades.BLTA},
		"values where they should be": {[]func([]byte) []byte{timestamp, add(certificates), add(lists), add(&cms.Amendment{Unsigned: values}), archive}, cades.BT},
	} {
		message := w.signed(nil)
		for _, step := range tt.steps {
			message = step(message)
		}
		if a := w.assess(message, w.options(date(2025, time.July))); a.Level != tt.want {
			t.Errorf("%s: %v, missing %q; want %v", name, a.Level, a.Missing, tt.want)
		}
	}
}

// values is the attribute of older forms, which B-LT forbids (Table 1).
func values(int, *cms.SignerInfo) (cms.Attributes, error) {
	return cms.Attributes{{Type: oid.AttrRevocationValues, Values: [][]byte{{0x30, 0}}}}, nil
}

// TestTimestampsNotBelieved: none of them proves a time.
func TestTimestampsNotBelieved(t *testing.T) {
	w := newWorld(t)
	other := w.signed(nil) // another signature by the same key
	at := date(2025, time.July)
	stranger := testca.NewRoot(t, "Stranger", testca.Validity(date(2024, time.January), date(2050, time.January)))
	w.tsaRoot, stranger = stranger, w.tsaRoot
	unknown := w.clock("unknown", date(2024, time.August), endOfTSA1)
	w.tsaRoot = stranger
	for name, tt := range map[string]struct {
		over  []byte
		stamp func([]byte) ([]byte, error)
		want  string
	}{
		"of another signature": {other, stamping(w.clock1, signedAt), "something else"},
		"in the future":        {nil, stamping(w.clock1, at.Add(2*time.Hour)), "later than"},
		"of a stranger":        {nil, stamping(unknown, signedAt), "no path"},
		"by the signer":        {nil, stamping(w.signer, signedAt), "purpose"},
		"by one not begun":     {nil, stamping(w.clock2, signedAt), "not yet valid"},
	} {
		message := w.signed(nil)
		message = w.amended(message, &cms.Amendment{Unsigned: func(_ int, si *cms.SignerInfo) (cms.Attributes, error) {
			signature := si.Signature
			if tt.over != nil {
				signature = tt.over[len(tt.over)-70:]
			}
			q, err := cms.NewTimestampRequest(signature, 0, nil)
			if err != nil {
				return nil, err
			}
			der, err := q.DER()
			if err != nil {
				return nil, err
			}
			response, err := tt.stamp(der)
			if err != nil {
				return nil, err
			}
			token, _, err := q.Open(response)
			return cms.Attributes{cms.TimestampAttribute(token)}, err
		}})
		o := w.options(at)
		if name == "by the signer" {
			o.At = signedAt
		}
		a := w.assess(message, o)
		if a.Level != cades.BB || !a.Time.IsZero() || a.Timestamps[0].Trusted() || !strings.Contains(a.Timestamps[0].Why.Error(), tt.want) {
			t.Errorf("%s: %v, proven %v, %v", name, a.Level, a.Time, a.Timestamps[0].Why)
		}
	}
}

// A weak timestamp, which nothing here makes any more.
func TestWeakTimestamp(t *testing.T) {
	w := newWorld(t)
	r, err := cms.NewReader(bytes.NewReader(w.stamped()), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.SignedData(&cms.SignedOptions{Content: open()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		t.Fatal(err)
	}
	o := w.options(signedAt)
	for _, weak := range []bool{false, true} {
		s.Signers()[0].Timestamps[0].Weak = weak
		if p := cades.Prove(&s.Signers()[0], s, &o); p.Time.IsZero() != weak {
			t.Errorf("weak %v: proven %v", weak, p.Time)
		}
	}
}

// anchorStore is a store with a root in it.
type anchorStore struct{ root *cert.Certificate }

func (s anchorStore) Named(subject cert.Name) []*cert.Certificate {
	if subject.Equal(s.root.Subject) {
		return []*cert.Certificate{s.root}
	}
	return nil
}

func (anchorStore) DistrustAfter(*cert.Certificate) time.Time { return time.Time{} }

// A store of anchors is for signers; who issues timestamps is said by Anchors.
func TestStore(t *testing.T) {
	w := newWorld(t)
	o := w.options(date(2026, time.January))
	o.Anchors, o.Store = []*cert.Certificate{w.tsaRoot.Certificate}, anchorStore{w.root.Certificate}
	if a := w.assess(w.lasting(), o); a.Level != cades.BLT {
		t.Errorf("signer's root in the store: %v, missing %q", a.Level, a.Missing)
	}
	o.Anchors, o.Store = []*cert.Certificate{w.root.Certificate}, anchorStore{w.tsaRoot.Certificate}
	if a := w.assess(w.lasting(), o); a.Level != cades.BB || !a.Time.IsZero() {
		t.Errorf("clock's root in the store: %v, proven %v", a.Level, a.Time)
	}
}

// TestKinds: each kind of key reaches B-LTA, those too whose digest no timestamp
// has.
func TestKinds(t *testing.T) {
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P384, testca.Ed25519, testca.Ed448, testca.MLDSA65} {
		w := newWorld(t)
		w.signer = w.issuing.Leaf("alice@example.com", kind, testca.Validity(date(2024, time.August), endOfSign))
		if a := w.assess(w.archived(), w.options(date(2026, time.January))); a.Level != cades.BLTA {
			t.Errorf("%v: %v, missing %q", kind, a.Level, a.Missing)
		}
	}
}
