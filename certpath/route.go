package certpath

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
)

// Limits on the routes of a [Known]: how many it remembers, and how many
// certificates, of how many octets together, the search for one may have looked
// at.
const (
	MaxRoutes     = 1024
	MaxRouteWidth = 16
	MaxRouteSize  = 8 * cert.MaxCachedSize
)

// route is a path that a search has found, with all that the search has looked
// at besides the leaf and the request. A search that would see the same again
// would end the same; whether it would is asked each time.
type route struct {
	chain     []*cert.Certificate
	at        time.Time
	namesakes []namesake
}

// request is what is asked of a path; certificates and time aside, a search
// depends on nothing else.
type request struct {
	leaf                                 [sha256.Size]byte // its digest
	purpose                              Purpose
	usage                                cert.KeyUsage
	explicit, inhibitMapping, inhibitAny bool
}

// namesake is which certificates have a name.
type namesake struct {
	subject                cert.Name
	anchors, intermediates []*cert.Certificate
	issuer                 bool // intermediates were asked for
}

// remembers tells whether the path for o may be remembered: what Accept says,
// and which policies are accepted, is the caller's.
func (o *Options) remembers() bool {
	return o.Known != nil && o.Accept == nil && len(o.Policies) == 0
}

func (o *Options) request(leaf *cert.Certificate) request {
	return request{leaf.Digest(), o.Purpose, o.KeyUsage, o.ExplicitPolicy, o.InhibitPolicyMapping, o.InhibitAnyPolicy}
}

// remember keeps the path that s has found.
func (s *search) remember(leaf *cert.Certificate, chain []*cert.Certificate) {
	// Where the first path that came to an anchor was not good, more has been
	// asked than is written down here. Where the budget ran short, another search
	// could afford another path.
	if !s.o.remembers() || s.best != nil || s.short {
		return
	}
	width, size := 0, len(leaf.Raw)
	for _, a := range s.asked {
		for _, list := range [][]*cert.Certificate{a.anchors, a.intermediates} {
			width += len(list)
			for _, c := range list {
				size += len(c.Raw)
			}
		}
	}
	if width > MaxRouteWidth || len(s.asked) > MaxRouteWidth || size > MaxRouteSize {
		return
	}
	r := &route{chain: slices.Clone(chain), at: s.o.At}
	for _, a := range s.asked {
		r.namesakes = append(r.namesakes, *a)
	}
	s.o.Known.addRoute(s.o.request(leaf), r)
}

// recall returns the path that a search would find; nil when it is not known.
func (o *Options) recall(leaf *cert.Certificate) []*cert.Certificate {
	if !o.remembers() {
		return nil
	}
	r := o.Known.route(o.request(leaf))
	if r == nil || stageOf(leaf, o.At) != stageOf(leaf, r.at) {
		return nil
	}
	for i := range r.namesakes {
		if !r.namesakes[i].stands(o, r.at) {
			return nil
		}
	}
	chain := slices.Clone(r.chain)
	chain[0] = leaf
	if checkDistrust(chain, o.Store) != nil {
		return nil
	}
	return chain
}

// stands tells whether the same certificates have that name today, and are as
// far in their time as they were then.
func (n *namesake) stands(o *Options, then time.Time) bool {
	var room [MaxRouteWidth + 1]*cert.Certificate
	if !alike(o.appendAnchors(room[:0], n.subject, len(n.anchors)), n.anchors, o.At, then) {
		return false
	}
	if !n.issuer {
		return true
	}
	return alike(appendNamed(room[:0], o.Intermediates, n.subject, len(n.intermediates)), n.intermediates, o.At, then)
}

func alike(now, before []*cert.Certificate, at, then time.Time) bool {
	return slices.EqualFunc(now, before, func(c, old *cert.Certificate) bool {
		return (c == old || c.Equal(old)) && stageOf(c, at) == stageOf(old, then)
	})
}
