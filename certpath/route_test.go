package certpath

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// shelf is an AnchorStore that a test changes.
type shelf struct {
	certs    []*cert.Certificate
	distrust map[*cert.Certificate]time.Time
}

func (s *shelf) Named(subject cert.Name) (found []*cert.Certificate) {
	for _, c := range s.certs {
		if c.Subject.Equal(subject) {
			found = append(found, c)
		}
	}
	return found
}

func (s *shelf) DistrustAfter(c *cert.Certificate) time.Time { return s.distrust[c] }

// TestRoutesChangeNothing: whatever was judged before, a path that is remembered
// is the one that a search without memory finds, and there is none where it finds
// none.
func TestRoutesChangeNothing(t *testing.T) {
	ca, other := testca.New(t), testca.NewRoot(t, "Other Root")
	old := ca.Root.CrossSign(ca.Issuing, testca.Expired())
	noPath := ca.Root.CrossSign(ca.Issuing, testca.ExcludeEmails("example.com"))
	cross := other.CrossSign(ca.Issuing)
	up := other.CrossSign(ca.Root)
	leaf := ca.Leaf(alice, testca.P256, testca.Validity(testca.Now.AddDate(0, -3, 0), testca.Now.AddDate(0, 0, 10))).Certificate
	authorities := []*cert.Certificate{ca.Issuing.Certificate, old, noPath, cross, up, ca.Root.Certificate, other.Certificate, nil}
	anchors := []*cert.Certificate{ca.Root.Certificate, other.Certificate, ca.Issuing.Certificate, leaf, nil}
	times := []time.Time{testca.Now, testca.Now.Add(-36 * time.Hour), testca.Now.AddDate(-20, 0, 0), testca.Now.AddDate(0, 0, 30)}
	r := rand.New(rand.NewPCG(1, 2))
	some := func(of []*cert.Certificate) (list []*cert.Certificate) {
		for _, i := range r.Perm(len(of)) {
			if r.IntN(2) == 0 {
				list = append(list, of[i])
			}
		}
		return list
	}
	known := &Known{}
	var o *Options
	recalled, valid := 0, 0
	for i := range 2400 {
		if i%6 == 0 {
			o = &Options{Anchors: some(anchors[:2]), Intermediates: some(authorities), At: testca.Now, Store: &shelf{distrust: map[*cert.Certificate]time.Time{}}}
		}
		// The same once more, but for one thing.
		next := *o
		store := o.Store.(*shelf)
		switch root := anchors[r.IntN(2)]; r.IntN(8) {
		case 0:
			next.At = times[r.IntN(len(times))] // 36 hours ago, what has ended had not
		case 1:
			next.Anchors = some(anchors)
		case 2:
			next.Intermediates = some(authorities)
		case 3:
			next.KeyUsage = cert.KeyUsageKeyEncipherment
		case 4:
			next.ExplicitPolicy = true
		case 5:
			next.Store = &shelf{append(slices.Clip(store.certs), root), store.distrust}
		case 6:
			next.Store = &shelf{store.certs, map[*cert.Certificate]time.Time{root: leaf.NotBefore.Add(-time.Hour)}}
		}
		want, wantErr := Verify(leaf, &next)
		next.Known = known
		if next.recall(leaf) != nil {
			recalled++
		}
		got, err := Verify(leaf, &next)
		if (err == nil) != (wantErr == nil) || !slices.EqualFunc(got, want, (*cert.Certificate).Equal) {
			t.Fatalf("with memory %v, %v, without %v, %v\n%+v", got, err, want, wantErr, next)
		}
		if err == nil {
			valid++
		}
	}
	if recalled < 100 || valid < recalled+100 {
		t.Errorf("%d paths were recalled, %d were found: the test shows nothing", recalled, valid)
	}
}

func TestRouteIsRecalled(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf(alice, testca.P256)
	o := &Options{Anchors: []*cert.Certificate{ca.Root.Certificate}, Intermediates: leaf.Chain, At: testca.Now, Known: &Known{}}
	first, err := Verify(leaf.Certificate, o)
	if err != nil {
		t.Fatal(err)
	}
	first[1] = nil // what the caller does with a chain is no concern of the next one
	again, err := cert.Parse(leaf.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	chain := o.recall(again)
	if len(chain) != 3 || chain[0] != again || !chain[1].Equal(ca.Issuing.Certificate) || !chain[2].Equal(ca.Root.Certificate) {
		t.Fatalf("recalled %v", chain)
	}
	asked := *o
	asked.Accept = func([]*cert.Certificate) error { return nil }
	if asked.recall(again) != nil {
		t.Error("the caller is not asked about a path that is remembered")
	}
}

func TestRoutesAreBounded(t *testing.T) {
	known := &Known{}
	for i := range 2 * MaxRoutes {
		known.addRoute(request{usage: cert.KeyUsage(i)}, &route{})
		if n := len(known.routes) + len(known.oldRoutes); n > MaxRoutes {
			t.Fatalf("%d routes", n)
		}
	}
	if known.route(request{usage: 0}) != nil || known.route(request{usage: cert.KeyUsage(2*MaxRoutes - 1)}) == nil {
		t.Error("what is old goes first")
	}
}

// TestWideRouteIsNotRemembered: a mail with a crowd of certificates that share a
// name must not fill the memory.
func TestWideRouteIsNotRemembered(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf(alice, testca.P256)
	o := &Options{Anchors: []*cert.Certificate{ca.Root.Certificate}, Intermediates: leaf.Chain, At: testca.Now, Known: &Known{}}
	for len(o.Intermediates) <= MaxRouteWidth {
		o.Intermediates = append(o.Intermediates, ca.Root.CrossSign(ca.Issuing))
	}
	if _, err := Verify(leaf.Certificate, o); err != nil {
		t.Fatal(err)
	}
	if len(o.Known.routes) != 0 {
		t.Error("a wide search is remembered")
	}
	// Nor one with a few that are large.
	for large := range 10 {
		o.Intermediates, o.Known = slices.Clone(leaf.Chain), &Known{}
		for range large {
			o.Intermediates = append(o.Intermediates, ca.Root.CrossSign(ca.Issuing, testca.Extension("1.3.6.1.4.1.99999.1", false, make([]byte, 7<<10))))
		}
		if _, err := Verify(leaf.Certificate, o); err != nil {
			t.Fatal(err)
		}
		if got := len(o.Known.routes) != 0; got != (large < 9) {
			t.Errorf("with %d large certificates remembered: %v", large, got)
		}
	}
}

// TestPathOfShortWorkIsNotRemembered: a search that could not afford a signature
// went another way than one that can. Whoever sends a mail can make the work run
// short, and the other way may be past an authority that was revoked.
func TestPathOfShortWorkIsNotRemembered(t *testing.T) {
	ca, other := testca.New(t), testca.NewRoot(t, "Other Root")
	dear := ca.Root.AuthorityOf(testca.RSA3072, "Dear")
	first, second := dear.CrossSign(ca.Issuing), other.CrossSign(ca.Issuing)
	leaf := ca.Leaf(alice, testca.P256).Certificate
	o := Options{
		Anchors:       []*cert.Certificate{dear.Certificate, other.Certificate},
		Intermediates: []*cert.Certificate{first, second}, At: testca.Now, Known: &Known{}, Budget: 3,
	}
	chain, err := Verify(leaf, &o)
	if err != nil || !chain[1].Equal(second) {
		t.Fatalf("with little work %v, %v", chain, err)
	}
	o.Budget = 0
	chain, err = Verify(leaf, &o)
	if err != nil || !chain[1].Equal(first) {
		t.Fatalf("what was found with little work is given to who asks for all of it: %v, %v", chain, err)
	}
}
