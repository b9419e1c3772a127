package smime

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

// source is a fetcher that brings lists, or fails, and counts how often it was asked.
type source struct {
	lists []*cert.CRL
	asked int
}

func (s *source) Fetch(_, _ *cert.Certificate, answers func(revocation.Evidence) bool) (revocation.Evidence, error) {
	s.asked++
	e := revocation.Evidence{CRLs: s.lists}
	if !answers(e) {
		return e, errors.New("no route to host")
	}
	return e, nil
}

// TestRevocationTable holds the verdict to the table of DESIGN: what is revoked, what is not known, and when nobody was asked. Lists and
// responses come from the caller, inside the message, or from the sources that the certificate names.
func TestRevocationTable(t *testing.T) {
	ca := testca.New(t)
	silent := ca.Leaf("alice@example.com", testca.P256)
	named := ca.Leaf("alice@example.com", testca.P256, testca.Points(testca.Point{URIs: []string{"http://example.com/a.crl"}}))
	parse := func(der []byte) *cert.CRL {
		l, err := cert.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	list := func(revoked ...*testca.Leaf) []byte {
		var e []testca.Revoked
		for _, l := range revoked {
			e = append(e, testca.Entry(l.Certificate.Serial, int(cert.KeyCompromise)))
		}
		return ca.Issuing.CRL(e)
	}
	stale := ca.Issuing.CRL(nil, testca.Updates(testca.Now.AddDate(0, 0, -9), testca.Now.AddDate(0, 0, -2)))
	response := func(l *testca.Leaf, s cert.OCSPCertStatus) []byte {
		return ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{{About: l.Certificate, Issuer: ca.Issuing.Certificate, Status: s}}})
	}
	for _, tt := range []struct {
		name    string
		leaf    *testca.Leaf
		inside  cms.SignOptions
		given   []*cert.CRL
		online  *source
		want    Status
		verdict Conclusion
		warn    bool // that nobody was asked
		asked   int
	}{
		{"nobody asked", silent, cms.SignOptions{}, nil, nil, StatusValid, Valid, true, 0},
		{"source named, and off", named, cms.SignOptions{}, nil, nil, StatusValid, Valid, true, 0},
		{"no source named, and online", silent, cms.SignOptions{}, nil, &source{}, StatusValid, Valid, true, 0},
		{"source named, and good", named, cms.SignOptions{}, nil, &source{lists: []*cert.CRL{parse(list())}}, StatusValid, Valid, false, 1},
		{"source named, and revoked", named, cms.SignOptions{}, nil, &source{lists: []*cert.CRL{parse(list(named))}}, StatusRevoked, Invalid, false, 1},
		{"source named, and silent", named, cms.SignOptions{}, nil, &source{}, StatusRevocationUnknown, Unknown, false, 1},
		{"source named, and has an old list", named, cms.SignOptions{}, nil, &source{lists: []*cert.CRL{parse(stale)}}, StatusRevocationUnknown, Unknown, false, 1},

		{"list given, good", silent, cms.SignOptions{}, []*cert.CRL{parse(list())}, nil, StatusValid, Valid, false, 0},
		{"list given, revoked", silent, cms.SignOptions{}, []*cert.CRL{parse(list(silent))}, nil, StatusRevoked, Invalid, false, 0},
		{"list given, old", silent, cms.SignOptions{}, []*cert.CRL{parse(stale)}, nil, StatusRevocationUnknown, Unknown, false, 0},
		{"list given, and the source is not asked", named, cms.SignOptions{}, []*cert.CRL{parse(list())}, &source{}, StatusValid, Valid, false, 0},

		{"list inside, good", silent, cms.SignOptions{CRLs: [][]byte{list()}}, nil, nil, StatusValid, Valid, false, 0},
		{"list inside, revoked", silent, cms.SignOptions{CRLs: [][]byte{list(silent)}}, nil, nil, StatusRevoked, Invalid, false, 0},
		{"list inside, old", silent, cms.SignOptions{CRLs: [][]byte{stale}}, nil, nil, StatusValid, Valid, true, 0},
		{"list inside, of a stranger", silent, cms.SignOptions{CRLs: [][]byte{ca.Root.CRL(nil)}}, nil, nil, StatusValid, Valid, true, 0},
		{"list inside, old, and the source is asked", named, cms.SignOptions{CRLs: [][]byte{stale}}, nil, &source{lists: []*cert.CRL{parse(list(named))}}, StatusRevoked, Invalid, false, 1},
		{"list inside, good, list given old", silent, cms.SignOptions{CRLs: [][]byte{list()}}, []*cert.CRL{parse(stale)}, nil, StatusValid, Valid, false, 0},
		{"response inside, good", silent, cms.SignOptions{OCSPResponses: [][]byte{response(silent, cert.OCSPGood)}}, nil, nil, StatusValid, Valid, false, 0},
		{"list inside, good, and the source says revoked", named, cms.SignOptions{CRLs: [][]byte{list()}}, nil, &source{lists: []*cert.CRL{parse(list(named))}}, StatusRevoked, Invalid, false, 1},
		{"list inside, good, and the source is silent", named, cms.SignOptions{CRLs: [][]byte{list()}}, nil, &source{}, StatusRevocationUnknown, Unknown, false, 1},
		{"list inside, revoked, and the source is not asked", named, cms.SignOptions{CRLs: [][]byte{list(named)}}, nil, &source{lists: []*cert.CRL{parse(list())}}, StatusRevoked, Invalid, false, 0},
		{"lists inside, too many to look at, and the source says revoked", named, cms.SignOptions{CRLs: repeated(list(), revocation.MaxLists)}, nil, &source{lists: []*cert.CRL{parse(list(named))}}, StatusRevoked, Invalid, false, 1},
		{"response inside, good, and the source says revoked", named, cms.SignOptions{OCSPResponses: [][]byte{response(named, cert.OCSPGood)}}, nil, &source{lists: []*cert.CRL{parse(list(named))}}, StatusRevoked, Invalid, false, 1},
		{"response inside, good, and no source is named", silent, cms.SignOptions{OCSPResponses: [][]byte{response(silent, cert.OCSPGood)}}, nil, &source{}, StatusValid, Valid, false, 0},
		{"response inside, revoked", silent, cms.SignOptions{OCSPResponses: [][]byte{response(silent, cert.OCSPRevoked)}}, nil, nil, StatusRevoked, Invalid, false, 0},
		{"response inside, unknown", silent, cms.SignOptions{OCSPResponses: [][]byte{response(silent, cert.OCSPUnknown)}}, nil, nil, StatusValid, Valid, true, 0},
		{"response inside, about another", silent, cms.SignOptions{OCSPResponses: [][]byte{response(named, cert.OCSPGood)}}, nil, nil, StatusValid, Valid, true, 0},
		{"response inside, good, and the list given says revoked", silent, cms.SignOptions{OCSPResponses: [][]byte{response(silent, cert.OCSPGood)}}, []*cert.CRL{parse(list(silent))}, nil, StatusRevoked, Invalid, false, 0},
	} {
		o := &OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate}, At: testca.Now, CRLs: tt.given}
		if tt.online != nil {
			o.Revocation = tt.online
		}
		v := JudgeRaw(rawSigned(t, tt.leaf, nil, &tt.inside), o)
		warned := strings.Contains(strings.Join(v.Warnings, "\n"), "revocation was not checked")
		if v.Signers[0].Status != tt.want || v.Verdict != tt.verdict || warned != tt.warn {
			t.Errorf("%s: %s", tt.name, show(v))
		}
		if tt.online != nil && tt.online.asked != tt.asked {
			t.Errorf("%s: asked %d times", tt.name, tt.online.asked)
		}
	}
}

func repeated(der []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, der)
	}
	return all
}

// TestNobodyAskedBeforeTrust: for a signer who leads to no anchor nothing is fetched, whatever the certificates name.
func TestNobodyAskedBeforeTrust(t *testing.T) {
	ca := testca.New(t, testca.Points(testca.Point{URIs: []string{"http://example.com/root.crl"}}))
	points := testca.Points(testca.Point{URIs: []string{"http://example.com/a.crl"}})
	for _, tt := range []struct {
		name    string
		leaf    *testca.Leaf
		anchors []*cert.Certificate
		asked   bool
	}{
		{"trusted", ca.Leaf("alice@example.com", testca.P256, points), []*cert.Certificate{ca.Root.Certificate}, true},
		{"trusted by nobody", ca.Leaf("alice@example.com", testca.P256, points), nil, false},
		{"for servers only", ca.Leaf("alice@example.com", testca.P256, points, testca.ExtKeyUsage(1)), []*cert.Certificate{ca.Root.Certificate}, false},
		{"not yet valid", ca.Leaf("alice@example.com", testca.P256, points, testca.NotYetValid()), []*cert.Certificate{ca.Root.Certificate}, false},
	} {
		online := &source{}
		JudgeRaw(rawSigned(t, tt.leaf, nil, &cms.SignOptions{}), &OpenOptions{Anchors: tt.anchors, At: testca.Now, Revocation: online})
		if (online.asked > 0) != tt.asked {
			t.Errorf("%s: asked %d times", tt.name, online.asked)
		}
	}
}

// TestRevokedClockWithOldList: a list that the message brings, from before the authority of its timestamp was revoked, is no reason not
// to ask about that authority: who has its key can date a signature back.
func TestRevokedClockWithOldList(t *testing.T) {
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.com", testca.P256)
	parse := func(der []byte) *cert.CRL {
		l, err := cert.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	given := parse(ca.Issuing.CRL([]testca.Revoked{testca.Entry(alice.Certificate.Serial, int(cert.KeyCompromise))}))
	before := testca.Now.AddDate(0, 0, -2)
	root, stamp := clock(t, before, timeStamping, testca.Points(testca.Point{URIs: []string{"http://example.com/clock.crl"}}))
	s := rawSigned(t, alice, nil, &cms.SignOptions{Timestamp: stamp, CRLs: [][]byte{root.CRL(nil)}})
	serial := s.Signers()[0].Timestamps[0].Signer.Certificate.Serial
	for name, tt := range map[string]struct {
		online *source
		want   Status
	}{
		"good":    {&source{lists: []*cert.CRL{parse(root.CRL(nil))}}, StatusValid},
		"revoked": {&source{lists: []*cert.CRL{parse(root.CRL([]testca.Revoked{testca.Entry(serial, int(cert.KeyCompromise))}))}}, StatusRevoked},
		"silent":  {&source{}, StatusRevoked},
	} {
		v := JudgeRaw(s, &OpenOptions{
			Anchors: []*cert.Certificate{ca.Root.Certificate, root.Certificate}, At: testca.Now, CRLs: []*cert.CRL{given}, Revocation: tt.online,
		})
		if v.Signers[0].Status != tt.want || tt.online.asked != 1 {
			t.Errorf("%s: asked %d times: %s", name, tt.online.asked, show(v))
		}
	}
}

// TestRevokedAfterProof: a timestamp that was there before the revocation saves the signature, unless the key was out of its
// holder's hands already, and unless the authority of the timestamp is revoked itself.
func TestRevokedAfterProof(t *testing.T) {
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.com", testca.P256)
	revoked := testca.Now.AddDate(0, 0, -1) // see testca.Entry
	list, err := cert.ParseCRL(ca.Issuing.CRL([]testca.Revoked{testca.Entry(alice.Certificate.Serial, int(cert.Superseded))}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		stamp time.Time // zero: none
		want  Status
	}{
		{"without a timestamp", time.Time{}, StatusRevoked},
		{"stamped before", revoked.Add(-time.Hour), StatusValid},
		{"stamped after", revoked.Add(time.Hour), StatusRevoked},
		{"stamped within the clock's error", revoked.Add(-time.Second / 2), StatusRevoked},
	} {
		root, stamp := clock(t, tt.stamp, timeStamping)
		so := &cms.SignOptions{Timestamp: stamp}
		if tt.stamp.IsZero() {
			so.Timestamp = nil
		}
		s := rawSigned(t, alice, nil, so)
		v := JudgeRaw(s, &OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate, root.Certificate}, At: testca.Now, CRLs: []*cert.CRL{list}})
		if v.Signers[0].Status != tt.want {
			t.Errorf("%s: %s", tt.name, show(v))
		}
		if tt.want != StatusValid || so.Timestamp == nil {
			continue
		}
		// The same, and the authority of the timestamp is revoked.
		for reason, want := range map[cert.Reason]Status{cert.KeyCompromise: StatusRevoked, cert.Superseded: StatusValid} {
			serial := s.Signers()[0].Timestamps[0].Signer.Certificate.Serial
			theirs, err := cert.ParseCRL(root.CRL([]testca.Revoked{testca.Entry(serial, int(reason))}))
			if err != nil {
				t.Fatal(err)
			}
			v := JudgeRaw(s, &OpenOptions{Anchors: []*cert.Certificate{ca.Root.Certificate, root.Certificate}, At: testca.Now, CRLs: []*cert.CRL{list, theirs}})
			if v.Signers[0].Status != want {
				t.Errorf("%s, its authority revoked (%s): %s", tt.name, reason, show(v))
			}
		}
	}
}
