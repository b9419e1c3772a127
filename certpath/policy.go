package certpath

import (
	"maps"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// Policies returns the policies under which the user of a chain may rely on it:
// the user-constrained-policy-set of RFC 5280 §6.1.6, sorted, with anyPolicy for
// all. chain is one that Verify returned for o. It is empty when no policy holds
// from end to end, which is a fault only where one is required.
func Policies(chain []*cert.Certificate, o *Options) []oid.OID {
	p, fault := processPolicies(chain, o)
	if fault != nil || p.graph == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(p.userSet(o.Policies)))
}

// processPolicies works from the anchor down (RFC 5280 §6.1, with the sections
// that RFC 9618 replaced). path is leaf first, anchor last; the anchor's own
// policies are not looked at.
func processPolicies(path []*cert.Certificate, o *Options) (*policyState, *Error) {
	n := len(path) - 1
	p := newPolicyState(o, n)
	for i := n - 1; i >= 0; i-- {
		c := path[i]
		p.certificate(c, i == 0)
		if p.explicit == 0 && p.graph == nil { // §6.1.3 (f)
			return nil, fault(Policy, c, "an explicit policy is required and none holds for the path")
		}
		if i == 0 {
			break
		}
		if !p.mappings(c) {
			return nil, fault(Policy, c, "maps from or to anyPolicy")
		}
		p.next(c)
	}
	p.wrapUp(path[0])
	if p.explicit == 0 && len(p.userSet(o.Policies)) == 0 { // §6.1.5 (g)
		return nil, fault(Policy, path[0], "an explicit policy is required, and the path has none that is acceptable")
	}
	return p, nil
}

// policyState has the state variables of RFC 5280 §6.1.2.
type policyState struct {
	graph                         *policyGraph // nil is NULL
	explicit, mapping, inhibitAny int
}

func newPolicyState(o *Options, n int) *policyState {
	p := &policyState{graph: newPolicyGraph(), explicit: n + 1, mapping: n + 1, inhibitAny: n + 1}
	if o.ExplicitPolicy {
		p.explicit = 0
	}
	if o.InhibitPolicyMapping {
		p.mapping = 0
	}
	if o.InhibitAnyPolicy {
		p.inhibitAny = 0
	}
	return p
}

// certificate does RFC 9618 §5.2 for one certificate: §6.1.3 (d) and (e).
func (p *policyState) certificate(c *cert.Certificate, leaf bool) {
	if len(c.Policies) == 0 {
		p.graph = nil // §6.1.3 (e)
	}
	if p.graph == nil {
		return
	}
	parents := p.graph.descend()
	any := false
	for _, policy := range c.Policies {
		if policy.ID == oid.AnyPolicy {
			any = true
			continue
		}
		p.graph.assert(parents, policy.ID) // (d) (1)
	}
	if any && (p.inhibitAny > 0 || !leaf && c.SelfIssued()) {
		p.graph.assertRest(parents) // (d) (2)
	}
	if !p.graph.prune() { // (d) (3)
		p.graph = nil
	}
}

// mappings does §6.1.4 (a) and (b); false when a mapping names anyPolicy.
func (p *policyState) mappings(c *cert.Certificate) bool {
	to := map[oid.OID][]oid.OID{}
	var order []oid.OID
	for _, m := range c.PolicyMappings {
		if m.Issuer == oid.AnyPolicy || m.Subject == oid.AnyPolicy {
			return false
		}
		if to[m.Issuer] == nil {
			order = append(order, m.Issuer)
		}
		to[m.Issuer] = append(to[m.Issuer], m.Subject)
	}
	if p.graph == nil {
		return true
	}
	for _, issuer := range order {
		if p.mapping > 0 {
			p.graph.mapTo(issuer, to[issuer])
		} else {
			p.graph.remove(issuer)
		}
	}
	if !p.graph.prune() {
		p.graph = nil
	}
	return true
}

// next prepares for the certificate below: §6.1.4 (h), (i), (j).
func (p *policyState) next(c *cert.Certificate) {
	if !c.SelfIssued() {
		p.explicit = max(0, p.explicit-1)
		p.mapping = max(0, p.mapping-1)
		p.inhibitAny = max(0, p.inhibitAny-1)
	}
	lower := func(v *int, to int) {
		if to >= 0 && to < *v {
			*v = to
		}
	}
	lower(&p.explicit, c.PolicyConstraints.RequireExplicitPolicy)
	lower(&p.mapping, c.PolicyConstraints.InhibitPolicyMapping)
	lower(&p.inhibitAny, c.InhibitAnyPolicy)
}

// wrapUp: §6.1.5 (a), (b).
func (p *policyState) wrapUp(leaf *cert.Certificate) {
	p.explicit = max(0, p.explicit-1)
	if leaf.PolicyConstraints.RequireExplicitPolicy == 0 {
		p.explicit = 0
	}
}

// userSet is the user-constrained policy set (RFC 9618 §5.4).
func (p *policyState) userSet(user []oid.OID) map[oid.OID]bool {
	if p.graph == nil {
		return nil
	}
	authority := p.graph.authoritySet()
	if len(user) == 0 || slices.Contains(user, oid.AnyPolicy) {
		return authority
	}
	set := map[oid.OID]bool{}
	for _, id := range user {
		if authority[oid.AnyPolicy] || authority[id] {
			set[id] = true
		}
	}
	return set
}
