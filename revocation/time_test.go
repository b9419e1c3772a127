package revocation

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestTimes: when a revocation counts, with and without proof of the time
// asked about, in a list and in a response.
func TestTimes(t *testing.T) {
	now, hour := testca.Now, time.Hour
	proven := now.Add(-10 * hour)
	for _, tt := range []struct {
		name             string
		at, now          time.Time
		proven           bool
		revoked, invalid time.Time // zero: not revoked
		this, next       time.Time
		want             Status
	}{
		{"not revoked", now, now, false, time.Time{}, time.Time{}, now.Add(-hour), now.Add(hour), Good},
		{"revoked before", now, now, false, now.Add(-2 * hour), time.Time{}, now.Add(-hour), now.Add(hour), Revoked},
		{"dated after it was published", now, now, false, now.Add(2 * hour), time.Time{}, now.Add(-hour), now.Add(hour), Revoked},

		{"revoked before the proven time", proven, now, true, proven.Add(-hour), time.Time{}, now.Add(-hour), now.Add(hour), Revoked},
		{"revoked in the proven second", proven, now, true, proven, time.Time{}, now.Add(-hour), now.Add(hour), Revoked},
		{"revoked after the proven time", proven, now, true, proven.Add(time.Second), time.Time{}, now.Add(-hour), now.Add(hour), Good},
		{"revoked after it, and the key was lost before", proven, now, true, proven.Add(hour), proven.Add(-hour), now.Add(-hour), now.Add(hour), Revoked},
		{"revoked after it, and the key was lost after", proven, now, true, proven.Add(hour), proven.Add(hour), now.Add(-hour), now.Add(hour), Good},
		{"not revoked, evidence younger than the proven time", proven, now, true, time.Time{}, time.Time{}, now.Add(-hour), now.Add(hour), Good},
		{"not revoked, evidence of then", proven, now, true, time.Time{}, time.Time{}, proven.Add(-hour), proven.Add(hour), Good},
		{"not revoked, evidence that had ended then", proven, now, true, time.Time{}, time.Time{}, proven.Add(-2 * hour), proven.Add(-hour), Unknown},
		{"revoked after it in evidence that is old now", proven, now, true, proven.Add(hour), time.Time{}, proven.Add(2 * hour), proven.Add(3 * hour), Good},
		{"not revoked, evidence from the future", proven, now, true, time.Time{}, time.Time{}, now.Add(hour), now.Add(2 * hour), Unknown},

		{"asked for the past, not revoked now", proven, now, false, time.Time{}, time.Time{}, now.Add(-hour), now.Add(hour), Good},
		{"asked for the past, revoked before", proven, now, false, proven.Add(-hour), time.Time{}, now.Add(-hour), now.Add(hour), Revoked},
		{"asked for the past without proof, revoked since", proven, now, false, proven.Add(hour), time.Time{}, now.Add(-hour), now.Add(hour), Unknown},
		{"asked for the past, and the present is not said", proven, time.Time{}, false, time.Time{}, time.Time{}, now.Add(-hour), now.Add(hour), Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var revoked []testca.Revoked
			a := testca.Answer{About: w.leaf.Certificate, Issuer: w.ca.Issuing.Certificate, This: tt.this, Next: tt.next}
			if !tt.revoked.IsZero() {
				e := testca.Entry(w.leaf.Certificate.Serial, 1)
				e.RevocationTime = tt.revoked
				a.Status, a.RevokedAt, a.Reason = cert.OCSPRevoked, tt.revoked, cert.KeyCompromise
				if !tt.invalid.IsZero() {
					e.ExtraExtensions = append(e.ExtraExtensions, invalidityDate(tt.invalid))
					a.Extensions = []cert.Extension{{ID: oid.ExtInvalidityDate, Value: generalized(tt.invalid)}}
				}
				revoked = append(revoked, e)
			}
			l := w.list(w.ca.Issuing, revoked, testca.Updates(tt.this, tt.next))
			r := parsed(t, w.ca.Issuing.OCSP(testca.Response{Answers: []testca.Answer{a}, Produced: tt.this}))
			for what, e := range map[string]Evidence{"list": {CRLs: []*cert.CRL{l}}, "response": {Responses: []*cert.OCSPResponse{r}}} {
				status, err := Check(w.chain(), &Options{Evidence: e, At: tt.at, Now: tt.now, Proven: tt.proven})
				if status != tt.want {
					t.Errorf("%s: %v, %v; want %v", what, status, err, tt.want)
				}
			}
		})
	}
}

func invalidityDate(t time.Time) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: generalized(t)}
}

// fetcher brings what it is told to, and remembers for whom it was asked.
type fetcher struct {
	brings func(c *cert.Certificate) (Evidence, error)
	asked  []string
}

func (f *fetcher) Fetch(c, issuer *cert.Certificate, answers func(Evidence) bool) (Evidence, error) {
	f.asked = append(f.asked, c.Subject.String())
	e, err := f.brings(c)
	if err == nil && !answers(e) {
		err = errors.New("what came has no answer")
	}
	return e, err
}

func TestFetcher(t *testing.T) {
	source := testca.Points(testca.Point{URIs: []string{uri1}})
	w := newWorld(t, source)
	named := w.leaf
	silent := w.ca.Leaf("bob@example.com", testca.P256)
	list := w.list(w.ca.Issuing, nil)
	bad := w.list(w.stranger, nil)
	revoking := w.list(w.ca.Issuing, entry(named.Certificate, cert.KeyCompromise))
	for _, tt := range []struct {
		name   string
		leaf   *testca.Leaf
		given  []*cert.CRL
		brings Evidence
		err    error
		want   Status
		asked  int
		inVain bool
	}{
		{"brings an answer", named, nil, Evidence{CRLs: []*cert.CRL{list}}, nil, Good, 1, false},
		{"brings a revocation", named, nil, Evidence{CRLs: []*cert.CRL{revoking}}, nil, Revoked, 1, false},
		{"brings nothing of use", named, nil, Evidence{CRLs: []*cert.CRL{bad}}, nil, Unknown, 1, true},
		{"fails", named, nil, Evidence{}, errors.New("connection refused"), Unknown, 1, true},
		{"is not asked where the answer is here", named, []*cert.CRL{list}, Evidence{}, nil, Good, 0, false},
		{"is asked where what is here has no answer", named, []*cert.CRL{bad}, Evidence{CRLs: []*cert.CRL{list}}, nil, Good, 1, false},
		{"is not asked about one who names no source", silent, nil, Evidence{CRLs: []*cert.CRL{list}}, nil, NotChecked, 0, false},
	} {
		f := &fetcher{brings: func(*cert.Certificate) (Evidence, error) { return tt.brings, tt.err }}
		chain := []*cert.Certificate{tt.leaf.Certificate, w.ca.Issuing.Certificate, w.ca.Root.Certificate}
		status, err := Check(chain, &Options{Evidence: Evidence{CRLs: tt.given}, Fetcher: f, At: testca.Now})
		var e *Error
		if status != tt.want || len(f.asked) != tt.asked || (errors.As(err, &e) && e.Asked) != tt.inVain {
			t.Errorf("%s: %v, %v, asked about %v", tt.name, status, err, f.asked)
		}
	}
}

// TestFetcherAuthorities: authorities that name a source are asked about, the
// highest first, and below a revoked one nobody is.
func TestFetcherAuthorities(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a := root.Authority("A", testca.Points(testca.Point{URIs: []string{uri1}}))
	leaf := a.Leaf("alice@example.com", testca.P256, testca.Points(testca.Point{URIs: []string{uri2}}))
	w := &world{t: t}
	chain := []*cert.Certificate{leaf.Certificate, a.Certificate, root.Certificate}
	for _, tt := range []struct {
		name    string
		revoked []testca.Revoked
		missing bool
		want    Status
		asked   int
	}{
		{"good", nil, false, Good, 2},
		{"authority revoked", entry(a.Certificate, cert.CACompromise), false, Revoked, 1},
		{"authority's source is silent", nil, true, Unknown, 2},
	} {
		f := &fetcher{brings: func(c *cert.Certificate) (Evidence, error) {
			if c.Equal(leaf.Certificate) {
				return Evidence{CRLs: []*cert.CRL{w.list(a, nil)}}, nil
			}
			if tt.missing {
				return Evidence{}, errors.New("no route to host")
			}
			return Evidence{CRLs: []*cert.CRL{w.list(root, tt.revoked)}}, nil
		}}
		used := &Evidence{}
		status, err := Check(chain, &Options{Fetcher: f, At: testca.Now, Used: used})
		if status != tt.want || len(f.asked) != tt.asked || f.asked[0] != a.Certificate.Subject.String() {
			t.Errorf("%s: %v, %v, asked about %v", tt.name, status, err, f.asked)
		}
		if want := map[Status]int{Good: 2, Revoked: 1, Unknown: 1}[status]; len(used.CRLs) != want {
			t.Errorf("%s: the answer rests on %d lists", tt.name, len(used.CRLs))
		}
	}
}

// TestNoRevAvail: RFC 9608.
func TestNoRevAvail(t *testing.T) {
	never := testca.Extension(oid.ExtNoRevAvail, false, oid.Null)
	w := newWorld(t, never)
	if status, err := Check(w.chain(), &Options{At: testca.Now}); status != Good {
		t.Errorf("%v, %v", status, err)
	}
	if status, err := check(w.chain(), w.list(w.ca.Issuing, entry(w.leaf.Certificate, cert.KeyCompromise))); status != Revoked {
		t.Errorf("listed all the same: %v, %v", status, err)
	}
	w = newWorld(t, never, testca.Points(testca.Point{URIs: []string{uri1}}))
	if status, err := Check(w.chain(), &Options{At: testca.Now, Every: true}); status == Good {
		t.Errorf("names a source all the same: %v, %v", status, err)
	}
	root := testca.NewRoot(t, "Root")
	a := root.Authority("A", never)
	if status, err := Check([]*cert.Certificate{a.Certificate, root.Certificate}, &Options{At: testca.Now, Every: true}); status != Unknown {
		t.Errorf("an authority: %v, %v", status, err)
	}
}
