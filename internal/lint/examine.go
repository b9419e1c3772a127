package lint

import (
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// Examined is a certificate with everything that can be said against it.
type Examined struct {
	Kind     Kind // what it was held against; zero: only the rules for all
	Findings []Finding
}

// Examine runs all rules over a certificate that may come from anywhere. The
// kind is that of its policy identifier; as is what it was meant to be, where
// somebody says so (zero: nobody does), and is needed where the policy is an
// operator's own.
func Examine(c *cert.Certificate, as Kind) Examined {
	s := &Subject{Certificate: c, Kind: as}
	reserved := slices.ContainsFunc(c.Policies, func(p cert.Policy) bool { return IsReserved(p.ID) })
	if as == (Kind{}) {
		s.Kind, _ = KindOf(c)
	}
	if c.BasicConstraints.CA {
		s.Kind = Kind{}
	}
	s.Private = s.Kind != (Kind{}) && !reserved
	found := Check(s)
	return Examined{s.Kind, append(found, s.zlint()...)}
}

// zlint shows zlint the twin of a private certificate, and the certificate
// itself otherwise. It cannot read identifiers with arcs beyond 2^31, which
// come from a UUID (X.667) in the certificates of many a private authority:
// then it sees anyPolicy instead.
func (s *Subject) zlint() []Finding {
	der := s.Raw
	if s.Private {
		if twin, err := Twin(s.RawTBS, s.Kind.ReservedPolicy()); err == nil {
			der = twin
		}
	}
	found, err := ZLint(der)
	if err != nil {
		if twin, wrong := Twin(s.RawTBS, oid.AnyPolicy); wrong == nil {
			if others, wrong := ZLint(twin); wrong == nil {
				return others
			}
		}
		return []Finding{{"unreadable", "X.690", Error, err.Error(), "zlint"}}
	}
	return found
}
