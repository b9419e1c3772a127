package certpath

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// Policies of an imagined company.
const (
	gold      oid.OID = "1.3.6.1.4.1.99999.2.1"
	silver    oid.OID = "1.3.6.1.4.1.99999.2.2"
	bronze    oid.OID = "1.3.6.1.4.1.99999.2.3"
	anyPolicy         = oid.AnyPolicy
)

// Short names for what the tables below are made of.
var (
	asserts     = testca.Policies
	mapsTo      = testca.PolicyMappings
	requires    = testca.PolicyConstraints
	inhibitsAny = testca.InhibitAnyPolicy
)

type level []testca.Option

// hierarchy issues one certificate for each level, the last for the leaf.
func hierarchy(t *testing.T, levels []level) pki {
	root := testca.NewRoot(t, "Root")
	a := root
	last := len(levels) - 1
	for i, options := range levels[:last] {
		a = a.Authority(fmt.Sprintf("Level %d", i), options...)
	}
	return of(root, a.Leaf(alice, testca.P256, levels[last]...))
}

func TestPolicies(t *testing.T) {
	explicit := func(o *Options) { o.ExplicitPolicy = true }
	accept := func(ids ...oid.OID) func(*Options) {
		return func(o *Options) { o.ExplicitPolicy, o.Policies = true, ids }
	}
	for _, tt := range []struct {
		name   string
		levels []level // authorities from the top, then the leaf
		change func(*Options)
		want   Reason
	}{
		{"none asserted, none required", []level{{}, {}}, nil, 0},
		{"none asserted, required by the user", []level{{}, {}}, explicit, Policy},
		{"asserted all the way", []level{{asserts(gold)}, {asserts(gold)}}, explicit, 0},
		{"asserted all the way, accepted", []level{{asserts(gold)}, {asserts(gold)}}, accept(gold), 0},
		{"asserted all the way, another accepted", []level{{asserts(gold)}, {asserts(gold)}}, accept(silver), Policy},
		{"not required, another accepted", []level{{asserts(gold)}, {asserts(gold)}}, func(o *Options) { o.Policies = []oid.OID{silver} }, 0},
		{"missing in the authority", []level{{}, {asserts(gold)}}, explicit, Policy},
		{"missing in the leaf", []level{{asserts(gold)}, {}}, explicit, Policy},
		{"different", []level{{asserts(gold)}, {asserts(silver)}}, explicit, Policy},
		{"one of several in common", []level{{asserts(gold, silver)}, {asserts(silver, bronze)}}, accept(silver), 0},
		{"one of several in common is not accepted", []level{{asserts(gold, silver)}, {asserts(silver, bronze)}}, accept(gold), Policy},

		// anyPolicy
		{"any above", []level{{asserts(anyPolicy)}, {asserts(gold)}}, accept(gold), 0},
		{"any below", []level{{asserts(gold)}, {asserts(anyPolicy)}}, accept(gold), 0},
		{"any below, another accepted", []level{{asserts(gold)}, {asserts(anyPolicy)}}, accept(silver), Policy},
		{"any everywhere", []level{{asserts(anyPolicy)}, {asserts(anyPolicy)}}, accept(gold), 0},
		{"any above, inhibited by the user", []level{{asserts(anyPolicy)}, {asserts(gold)}}, func(o *Options) { o.ExplicitPolicy, o.InhibitAnyPolicy = true, true }, Policy},
		{"any below, inhibited above at once", []level{{asserts(gold), inhibitsAny(0)}, {asserts(anyPolicy)}}, explicit, Policy},
		{"any below, inhibited above later", []level{{asserts(gold), inhibitsAny(1)}, {asserts(anyPolicy)}}, explicit, 0},
		{"any below, inhibited two above later", []level{{asserts(gold), inhibitsAny(1)}, {asserts(gold)}, {asserts(anyPolicy)}}, explicit, Policy},
		{"inhibited, gold all the way", []level{{asserts(gold), inhibitsAny(0)}, {asserts(gold)}}, explicit, 0},

		// requireExplicitPolicy
		{"required by the authority, none asserted", []level{{requires(0, -1)}, {}}, nil, Policy},
		{"required by the authority, asserted", []level{{asserts(gold), requires(0, -1)}, {asserts(gold)}}, nil, 0},
		{"required one later, none asserted", []level{{requires(1, -1)}, {}}, nil, Policy},
		{"required two later, path ends before", []level{{requires(2, -1)}, {}}, nil, 0},
		{"required three above", []level{{requires(2, -1)}, {}, {}}, nil, Policy},
		{"required by the leaf", []level{{}, {requires(0, -1)}}, nil, Policy},
		{"required later by the leaf", []level{{}, {requires(1, -1)}}, nil, 0},
		{"a larger number does not take back", []level{{requires(0, -1)}, {requires(5, -1)}, {}}, nil, Policy},

		// mappings
		{"mapped", []level{{asserts(gold), mapsTo(gold, silver)}, {asserts(silver)}}, accept(gold), 0},
		{"mapped: the user speaks the upper language", []level{{asserts(gold), mapsTo(gold, silver)}, {asserts(silver)}}, accept(silver), Policy},
		{"mapped: the old name is gone", []level{{asserts(gold), mapsTo(gold, silver)}, {asserts(gold)}}, explicit, Policy},
		{"mapped to two, one asserted", []level{{asserts(gold), mapsTo(gold, silver, gold, bronze)}, {asserts(bronze)}}, accept(gold), 0},
		{"mapped twice", []level{{asserts(gold), mapsTo(gold, silver)}, {asserts(silver), mapsTo(silver, bronze)}, {asserts(bronze)}}, accept(gold), 0},
		{"mapped from what any asserts", []level{{asserts(anyPolicy), mapsTo(gold, silver)}, {asserts(silver)}}, accept(gold), 0},
		{"mapped from what nobody asserts", []level{{asserts(bronze), mapsTo(gold, silver)}, {asserts(silver)}}, explicit, Policy},
		{"inhibited by the user", []level{{asserts(gold), mapsTo(gold, silver)}, {asserts(silver)}}, func(o *Options) { o.ExplicitPolicy, o.InhibitPolicyMapping = true, true }, Policy},
		{"inhibited above", []level{{asserts(gold), requires(-1, 0)}, {asserts(gold), mapsTo(gold, silver)}, {asserts(silver)}}, explicit, Policy},
		{"inhibited above later", []level{{asserts(gold), requires(-1, 1)}, {asserts(gold), mapsTo(gold, silver)}, {asserts(silver)}}, explicit, 0},
		{"inhibited, unmapped stays", []level{{asserts(gold, bronze), requires(-1, 0)}, {asserts(gold, bronze), mapsTo(gold, silver)}, {asserts(bronze)}}, explicit, 0},
		{"from anyPolicy", []level{{asserts(anyPolicy), mapsTo(anyPolicy, silver)}, {asserts(silver)}}, nil, Policy},
		{"to anyPolicy", []level{{asserts(gold), mapsTo(gold, anyPolicy)}, {asserts(gold)}}, nil, Policy},

		// malformed
		{"a policy twice", []level{{}, {asserts(gold, gold)}}, nil, Malformed},
		{"empty constraints", []level{{requires(-1, -1)}, {}}, nil, Malformed},
		{"negative inhibitAnyPolicy", []level{{inhibitsAny(-1)}, {}}, nil, Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := hierarchy(t, tt.levels)
			o := options(p)
			if tt.change != nil {
				tt.change(o)
			}
			check(t, p, o, tt.want)
		})
	}
}

// TestPoliciesSelfIssued: self-issued authorities do not count, and may assert
// anyPolicy where it is inhibited.
func TestPoliciesSelfIssued(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a := root.Authority("A", asserts(gold), inhibitsAny(0))
	rolled := a.AuthorityOf(testca.P384, "A", asserts(anyPolicy))
	p := of(root, rolled.Leaf(alice, testca.P256, asserts(gold)))
	o := options(p)
	o.ExplicitPolicy = true
	check(t, p, o, 0)

	a = root.Authority("A", requires(1, -1))
	rolled = a.AuthorityOf(testca.P384, "A")
	p = of(root, rolled.Leaf(alice, testca.P256))
	check(t, p, options(p), Policy) // the leaf is the one certificate that is skipped, and then comes the end
	a = root.Authority("A", requires(2, -1))
	rolled = a.AuthorityOf(testca.P384, "A")
	p = of(root, rolled.Leaf(alice, testca.P256))
	check(t, p, options(p), 0) // counted, the self-issued one would make it Policy
}

// TestPolicyGrowth: mappings that double a policy tree on each level stay
// small in a graph (RFC 9618 §3.1).
func TestPolicyGrowth(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	a := root
	policies := make([]oid.OID, 30)
	var crossed []oid.OID
	for i := range policies {
		policies[i] = oid.OID(fmt.Sprintf("1.3.6.1.4.1.99999.3.%d", i))
	}
	for _, from := range policies[:8] {
		for _, to := range policies {
			crossed = append(crossed, from, to)
		}
	}
	for i := range 20 {
		a = a.Authority(fmt.Sprintf("Growth %d", i), asserts(policies...), mapsTo(crossed...))
	}
	p := of(root, a.Leaf(alice, testca.P256, asserts(gold)))
	o := options(p)
	o.ExplicitPolicy = true
	start := time.Now()
	check(t, p, o, Policy)
	if d := time.Since(start); d > patience {
		t.Errorf("took %v", d)
	}
}

// TestPolicySet: what the chain may be relied on for.
func TestPolicySet(t *testing.T) {
	for _, tt := range []struct {
		name   string
		levels []level
		user   []oid.OID
		want   []oid.OID
	}{
		{"none", []level{{}, {}}, nil, nil},
		{"one", []level{{asserts(gold)}, {asserts(gold)}}, nil, []oid.OID{gold}},
		{"two of three", []level{{asserts(gold, silver, bronze)}, {asserts(silver, gold)}}, nil, []oid.OID{gold, silver}},
		{"one of the user's", []level{{asserts(gold, silver)}, {asserts(silver, gold)}}, []oid.OID{silver, bronze}, []oid.OID{silver}},
		{"none of the user's", []level{{asserts(gold)}, {asserts(gold)}}, []oid.OID{silver}, nil},
		{"user takes any", []level{{asserts(gold)}, {asserts(gold)}}, []oid.OID{silver, oid.AnyPolicy}, []oid.OID{gold}},
		{"any all the way", []level{{asserts(oid.AnyPolicy)}, {asserts(oid.AnyPolicy)}}, nil, []oid.OID{oid.AnyPolicy}},
		{"any all the way, the user's", []level{{asserts(oid.AnyPolicy)}, {asserts(oid.AnyPolicy)}}, []oid.OID{silver}, []oid.OID{silver}},
		{"mapped: as the first authority calls it", []level{{asserts(gold), mapsTo(gold, silver)}, {asserts(silver)}}, nil, []oid.OID{gold}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := hierarchy(t, tt.levels)
			o := options(p)
			o.Policies = tt.user
			chain, err := Verify(p.leaf, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := Policies(chain, o); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
