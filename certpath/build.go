package certpath

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"math"
	"slices"

	"github.com/mailseal/mailseal/cert"
)

// search is the work for one leaf: depth-first walks from the leaf up, each
// allowed to go one certificate further than the one before, so that a short
// path is found before a thicket of cross-certificates is entered. Strict walks
// turn back at the first fault. Only when they find nothing lenient ones go on
// past faults, to learn which of them stands between the leaf and an anchor;
// they accept nothing.
type search struct {
	o             *Options
	lenient       bool
	asked         []*namesake          // of which certificates have a name
	namesakes     map[string]*namesake // the same by the DER of the name
	intermediates []*cert.Certificate  // each once
	signatures    map[edge]*Error      // what is known about signatures
	candidates    map[*cert.Certificate][]candidate
	budget        int // signature checks that are left
	steps         int // issuers tried in this walk
	comparisons   int // names compared with constraints
	exhausted     bool
	short         bool // of budget: a signature was not checked
	limit         int  // certificates in a path of this walk
	cut           bool // a path of this walk ended at the limit

	best     *Error  // fault of the best path to an anchor
	broken   *Error  // worst signature fault, for when there is no path
	refusals []error // what Options.Accept said of paths without fault
}

// edge is a question: did parent sign child?
type edge struct{ child, parent *cert.Certificate }

func (s *search) run(leaf *cert.Certificate) ([]*cert.Certificate, error) {
	path := []*cert.Certificate{leaf}
	fault := s.checkLeaf(leaf)
	if slices.ContainsFunc(s.anchorsNamed(leaf.Subject), leaf.Equal) {
		fault = worse(fault, checkDistrust(path, s.o.Store))
		if fault == nil && s.accepted(path) {
			return path, nil
		}
		s.reached(fault)
	}
	if fault == nil {
		if chain := s.walk(path, nil); chain != nil {
			return chain, nil
		}
	}
	if len(s.refusals) > 0 {
		return nil, s.refusals[0]
	}
	s.lenient = true
	s.walk(path, fault)
	return nil, s.verdict(leaf)
}

// walk goes further and further until no path was cut short.
func (s *search) walk(path []*cert.Certificate, fault *Error) []*cert.Certificate {
	s.steps, s.cut = 0, true
	for s.limit = 2; s.limit <= MaxDepth && s.cut && !s.exhausted; s.limit++ {
		s.cut = false
		if chain := s.extend(path, fault); chain != nil {
			return chain
		}
	}
	return nil
}

// verdict picks the reason that tells most.
func (s *search) verdict(leaf *cert.Certificate) *Error {
	switch {
	case s.best != nil:
		return s.best
	case s.exhausted:
		return fault(Budget, leaf, "more work than %d signature checks, given up", max(s.o.Budget, DefaultBudget))
	case s.broken != nil:
		return s.broken
	}
	return fault(NoPath, leaf, "no trusted authority issued it: issuer %s", issuerLabel(leaf))
}

// extend looks for a way from the end of path to an anchor. worst is the worst
// fault on the path so far.
func (s *search) extend(path []*cert.Certificate, worst *Error) []*cert.Certificate {
	for _, c := range s.issuers(path[len(path)-1]) {
		if repeats(path, c.Certificate) {
			continue
		}
		if !c.anchor && len(path)+1 >= s.limit {
			s.cut = true // no room for another one above it
			continue
		}
		if s.steps++; s.steps > maxSteps || s.budget <= 0 {
			s.exhausted = true
			return nil
		}
		next := append(slices.Clip(path), c.Certificate)
		found, passable := s.link(path, c)
		if !passable {
			continue
		}
		found = worse(worst, found)
		if c.anchor {
			_, policies := processPolicies(next, s.o)
			found = worse(worse(found, policies), checkDistrust(next, s.o.Store))
			if found != nil {
				s.reached(found)
			} else if s.accepted(next) {
				return next
			}
			if len(s.refusals) == maxRefusals {
				s.exhausted = true
				return nil
			}
			continue
		}
		if found != nil && !s.lenient {
			continue
		}
		if chain := s.extend(next, found); chain != nil || s.exhausted {
			return chain
		}
	}
	return nil
}

// accepted asks the caller about a path without fault. One that is shorter than
// this walk goes was refused in the walk before.
func (s *search) accepted(path []*cert.Certificate) bool {
	if s.o.Accept == nil {
		return true
	}
	if len(path) < s.limit {
		return false
	}
	err := s.o.Accept(slices.Clone(path))
	if err != nil {
		s.refusals = append(s.refusals, err)
	}
	return err == nil
}

// reached notes the fault of a path that has come to an anchor.
func (s *search) reached(found *Error) {
	if found != nil && (s.best == nil || found.Reason < s.best.Reason) {
		s.best = found
	}
}

// candidate is a certificate that may have issued the end of a path.
type candidate struct {
	*cert.Certificate
	anchor bool
	rank   int
}

// distinct drops repetitions.
func distinct(certs []*cert.Certificate) (list []*cert.Certificate) {
	seen := map[string]bool{}
	for _, c := range certs {
		if c != nil && !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			list = append(list, c)
		}
	}
	return list
}

// anchorsNamed returns the anchors with that subject, each once.
func (s *search) anchorsNamed(subject cert.Name) []*cert.Certificate { return s.named(subject).anchors }

func (s *search) named(subject cert.Name) *namesake {
	if known, ok := s.namesakes[string(subject.Raw)]; ok {
		return known
	}
	a := &namesake{subject: subject, anchors: s.o.appendAnchors(nil, subject, math.MaxInt)}
	s.namesakes[string(subject.Raw)] = a
	s.asked = append(s.asked, a)
	return a
}

// appendAnchors appends the anchors with that subject, each once. It stops
// behind the first that is too many.
func (o *Options) appendAnchors(list []*cert.Certificate, subject cert.Name, most int) []*cert.Certificate {
	list = appendNamed(list, o.Anchors, subject, most)
	if o.Store != nil {
		list = appendNamed(list, o.Store.Named(subject), subject, most)
	}
	return list
}

// appendNamed appends those of certs that have the subject and are not in list.
func appendNamed(list, certs []*cert.Certificate, subject cert.Name, most int) []*cert.Certificate {
	for _, c := range certs {
		if len(list) > most {
			break
		}
		if c != nil && c.Subject.Equal(subject) && !slices.ContainsFunc(list, c.Equal) {
			list = append(list, c)
		}
	}
	return list
}

// issuers lists the certificates whose subject is the issuer of child, the
// most promising first: anchors, and those whose key identifier is the one
// asked for. Key identifiers are hints and exclude nobody (RFC 5280 §4.2.1.1).
func (s *search) issuers(child *cert.Certificate) []candidate {
	if list, known := s.candidates[child]; known {
		return list
	}
	var list []candidate
	a := s.named(child.Issuer)
	if !a.issuer {
		a.issuer = true
		for _, c := range s.intermediates {
			if c.Subject.Equal(child.Issuer) {
				a.intermediates = append(a.intermediates, c)
			}
		}
	}
	for _, c := range a.anchors {
		list = append(list, candidate{c, true, s.rank(child, c, true)})
	}
	for _, c := range a.intermediates {
		if !slices.ContainsFunc(a.anchors, c.Equal) {
			list = append(list, candidate{c, false, s.rank(child, c, false)})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return a.rank - b.rank })
	s.candidates[child] = list
	return list
}

// repeats tells whether the path has that name and key already: from there it
// leads nowhere but around in a circle.
func repeats(path []*cert.Certificate, c *cert.Certificate) bool {
	return slices.ContainsFunc(path, func(p *cert.Certificate) bool {
		return bytes.Equal(p.RawSPKI, c.RawSPKI) && p.Subject.Equal(c.Subject)
	})
}

// rank is lower for those that are likelier to end the search soon.
func (s *search) rank(child, parent *cert.Certificate, anchor bool) (rank int) {
	if !anchor {
		rank++
		if len(s.anchorsNamed(parent.Issuer)) == 0 {
			rank += 16
		}
	}
	switch {
	case len(child.AuthorityKeyID) == 0 || len(parent.SubjectKeyID) == 0:
		rank += 2
	case !bytes.Equal(child.AuthorityKeyID, parent.SubjectKeyID):
		rank += 8
	}
	if checkValidity(parent, s.o.At) != nil {
		rank += 4
	}
	return rank
}

// link checks one step of the path: the signature, the issuer by itself, and
// what the issuer says about everything below. A step is not passable when the
// signature is not known to be right.
func (s *search) link(path []*cert.Certificate, parent candidate) (found *Error, passable bool) {
	child := path[len(path)-1]
	if !s.lenient {
		// The cheap questions first: a signature check costs a thousand times
		// as much.
		if found = s.checkIssuer(path, parent); found != nil {
			return found, false
		}
	}
	if bad := s.checkSignature(child, parent.Certificate); bad != nil {
		s.noteBroken(bad, child, parent.Certificate)
		return bad, false
	}
	if s.lenient {
		found = s.checkIssuer(path, parent)
	}
	return worse(found, checkSignatureStrength(child, parent.Certificate)), true
}

// noteBroken keeps a failed signature as an explanation, unless the two
// certificates only happen to share a name.
func (s *search) noteBroken(bad *Error, child, parent *cert.Certificate) {
	if len(child.AuthorityKeyID) > 0 && len(parent.SubjectKeyID) > 0 &&
		!bytes.Equal(child.AuthorityKeyID, parent.SubjectKeyID) {
		return
	}
	if s.broken == nil || bad.Reason < s.broken.Reason {
		s.broken = bad
	}
}

// checkSignature asks each pair once.
func (s *search) checkSignature(child, parent *cert.Certificate) *Error {
	e := edge{child, parent}
	if known, ok := s.signatures[e]; ok {
		return known
	}
	bad := s.verifySignature(child, parent)
	s.signatures[e] = bad
	return bad
}

func (s *search) verifySignature(child, parent *cert.Certificate) *Error {
	var f fact
	if s.o.Known != nil {
		if f = factOf(child, parent); s.o.Known.has(f) {
			return nil
		}
	}
	effort := cert.Effort(parent.PublicKey)
	if effort > s.budget {
		s.short = true
		return fault(Budget, child, "issuer %s: its key takes more work than is left", label(parent))
	}
	s.budget -= effort
	if err := child.CheckSignatureFrom(parent); err != nil {
		return fault(signatureReason(err, parent), child, "issuer %s: %v", label(parent), err)
	}
	if s.o.Known != nil {
		s.o.Known.add(f)
	}
	return nil
}

func signatureReason(err error, parent *cert.Certificate) Reason {
	if !errors.Is(err, cert.ErrUnsupported) {
		return BadSignature
	}
	if key, ok := parent.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < MinRSABits {
		return Weak
	}
	return Unsupported
}
