package certpath

import "github.com/mailseal/mailseal/internal/oid"

// policyGraph is the valid_policy_graph of RFC 9618 §5.1: one level for each
// certificate, one node for each policy on a level, however many ways lead to
// it. The tree of RFC 5280 that it replaces grows exponentially.
type policyGraph struct {
	levels []map[oid.OID]*policyNode
}

type policyNode struct {
	policy   oid.OID
	expected []oid.OID // policies that the next certificate may assert for this one
	parents  []*policyNode
	children int
}

func newPolicyGraph() *policyGraph {
	root := &policyNode{policy: oid.AnyPolicy, expected: []oid.OID{oid.AnyPolicy}}
	return &policyGraph{levels: []map[oid.OID]*policyNode{{oid.AnyPolicy: root}}}
}

func (g *policyGraph) bottom() map[oid.OID]*policyNode { return g.levels[len(g.levels)-1] }

// descend opens the next level and returns, for each policy that the level
// above expects, the nodes that expect it.
func (g *policyGraph) descend() map[oid.OID][]*policyNode {
	parents := map[oid.OID][]*policyNode{}
	for _, n := range g.bottom() {
		for _, id := range n.expected {
			parents[id] = append(parents[id], n)
		}
	}
	g.levels = append(g.levels, map[oid.OID]*policyNode{})
	return parents
}

func (g *policyGraph) insert(policy oid.OID, parents []*policyNode) *policyNode {
	n := &policyNode{policy: policy, expected: []oid.OID{policy}, parents: parents}
	for _, p := range parents {
		p.children++
	}
	g.bottom()[policy] = n
	return n
}

// assert is §6.1.3 (d) (1): a policy that is expected hangs under all that
// expect it, any other under anyPolicy.
func (g *policyGraph) assert(parents map[oid.OID][]*policyNode, policy oid.OID) {
	above := parents[policy]
	if len(above) == 0 {
		above = parents[oid.AnyPolicy]
	}
	if len(above) > 0 {
		g.insert(policy, above)
	}
}

// assertRest is §6.1.3 (d) (2): anyPolicy asserts all that is expected and not
// asserted by name.
func (g *policyGraph) assertRest(parents map[oid.OID][]*policyNode) {
	for policy, above := range parents {
		if g.bottom()[policy] == nil {
			g.insert(policy, above)
		}
	}
}

// mapTo is §6.1.4 (b) (1): the next certificate asserts the policy under other
// names.
func (g *policyGraph) mapTo(issuer oid.OID, subjects []oid.OID) {
	if n := g.bottom()[issuer]; n != nil {
		n.expected = subjects
		return
	}
	if n := g.bottom()[oid.AnyPolicy]; n != nil {
		g.insert(issuer, n.parents).expected = subjects
	}
}

// remove is §6.1.4 (b) (2): mapping is inhibited.
func (g *policyGraph) remove(policy oid.OID) {
	n := g.bottom()[policy]
	if n == nil {
		return
	}
	for _, p := range n.parents {
		p.children--
	}
	delete(g.bottom(), policy)
}

// prune removes nodes without children above the bottom level, and tells
// whether anything is left. The root has children as long as the bottom has
// nodes.
func (g *policyGraph) prune() bool {
	for i := len(g.levels) - 2; i > 0; i-- {
		for id, n := range g.levels[i] {
			if n.children > 0 {
				continue
			}
			for _, p := range n.parents {
				p.children--
			}
			delete(g.levels[i], id)
		}
	}
	return len(g.bottom()) > 0
}

// authoritySet is the authority-constrained policy set (RFC 9618 §5.4): the
// policies as the first authority to name them called them, and anyPolicy when
// it holds down to the leaf.
func (g *policyGraph) authoritySet() map[oid.OID]bool {
	set := map[oid.OID]bool{}
	for _, level := range g.levels[1:] {
		for id, n := range level {
			if id != oid.AnyPolicy && len(n.parents) == 1 && n.parents[0].policy == oid.AnyPolicy {
				set[id] = true
			}
		}
	}
	if g.bottom()[oid.AnyPolicy] != nil {
		set[oid.AnyPolicy] = true
	}
	return set
}
