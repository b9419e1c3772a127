package registration

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// Trust is where the chain of a certificate by somebody else leads.
type Trust string

// Where to. A root that only the organization trusts is enough to encrypt to its
// own people; to say in its name who somebody is takes one that the installation
// trusts, because the first is named by one administrator.
const (
	TrustNone         Trust = ""
	TrustServer       Trust = "server"
	TrustOrganization Trust = "organization"
)

// The words for why a chain is not trusted.
const (
	chainUnchecked  = "unchecked"
	chainPath       = "path"
	chainTime       = "time"
	chainDistrusted = "distrusted"
	chainWeak       = "weak"
	chainOther      = "other"
)

// Limits of what is trusted for one organization, or for everybody.
const (
	maxAnchors     = 100
	maxTrustDetail = 300 // characters
	chainsAtOnce   = 200 // whose verdicts are written in one transaction
	chainsFor      = 24 * time.Hour
	maxJudging     = 10 // times that chains are verified for one change
)

// ErrRootsChange: each time that the chains were verified, other roots were named by
// the time that the change was to be made.
var ErrRootsChange = errors.New("registration: the trusted roots were changed again and again meanwhile")

// trustees are the roots that certificates by others may lead to.
type trustees struct {
	s             *Service
	server, own   []*cert.Certificate
	intermediates []*cert.Certificate
}

// named lists the roots that were named for everybody and for an organization:
// what a verdict about a chain stands on, beside what no act here changes.
func named(tx *store.Tx, organization string) (rows []store.TrustAnchor, err error) {
	if rows, err = tx.TrustAnchors(""); err != nil || organization == "" {
		return rows, err
	}
	own, err := tx.TrustAnchors(organization)
	return append(rows, own...), err
}

// sameRoots tells whether the named roots are those that they were.
func sameRoots(a, b []store.TrustAnchor) bool {
	return slices.EqualFunc(a, b, func(a, b store.TrustAnchor) bool {
		return a.OrganizationID == b.OrganizationID && bytes.Equal(a.SHA256, b.SHA256)
	})
}

func (s *Service) trustees(roots []store.TrustAnchor) (*trustees, error) {
	t := &trustees{s: s}
	t.server, t.intermediates = s.o.Issuer.Authorities()
	for _, row := range roots {
		c, err := cert.Parse(row.DER)
		if err != nil {
			return nil, err
		}
		if row.OrganizationID == "" {
			t.server = append(t.server, c)
		} else {
			t.own = append(t.own, c)
		}
	}
	return t, nil
}

// judging has chains verified outside of any transaction, because everybody's
// changes wait for the one writer, and then makes a change that rests on it. Where
// other roots are named by then, it begins again, but not for ever.
func (s *Service) judging(ctx context.Context, organization string, judge func(*trustees) error, change func(*store.Tx) error) error {
	for range maxJudging {
		var roots []store.TrustAnchor
		err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			roots, err = named(tx, organization)
			return err
		})
		if err != nil {
			return err
		}
		t, err := s.trustees(roots)
		if err == nil {
			err = judge(t)
		}
		if err != nil {
			return err
		}
		current := false
		err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
			now, err := named(tx, organization)
			if current = err == nil && sameRoots(roots, now); !current {
				return err
			}
			return change(tx)
		})
		if err != nil || current {
			return err
		}
	}
	return ErrRootsChange
}

// judge follows the chain of a certificate.
func (t *trustees) judge(f store.ForeignCertificate) store.ForeignTrust {
	v := store.ForeignTrust{Checked: t.s.now()}
	c, err := cert.Parse(f.DER)
	if err == nil {
		var above []*cert.Certificate
		if len(f.Chain) > 0 {
			above, err = cert.ParseAll(f.Chain)
		}
		if err == nil {
			v.Trust, err = t.leads(c, above)
		}
	}
	if err != nil {
		v.Problem = problemOfChain(err)
		detail := []rune(err.Error())
		v.Detail = string(detail[:min(len(detail), maxTrustDetail)])
	}
	return v
}

func (t *trustees) leads(c *cert.Certificate, above []*cert.Certificate) (string, error) {
	o := &certpath.Options{
		Anchors: t.server, Store: t.s.o.Anchors, Intermediates: append(above, t.intermediates...), At: t.s.now(), Known: &t.s.known,
	}
	_, err := certpath.Verify(c, o)
	if err == nil {
		return string(TrustServer), nil
	}
	if len(t.own) > 0 {
		o.Anchors, o.Store = t.own, nil
		if _, own := certpath.Verify(c, o); own == nil {
			return string(TrustOrganization), nil
		}
	}
	return "", err
}

func problemOfChain(err error) string {
	if why, ok := errors.AsType[*certpath.Error](err); ok {
		switch why.Reason {
		case certpath.NoPath:
			return chainPath
		case certpath.Expired, certpath.NotYetValid:
			return chainTime
		case certpath.Distrusted:
			return chainDistrusted
		case certpath.Weak:
			return chainWeak
		}
	}
	return chainOther
}

// above finds the authorities over a certificate by their names; which of them
// signed it is for [trustees.judge] to find out. Roots stay out: who trusts them
// has them.
func above(c *cert.Certificate, authorities []*cert.Certificate) (chain []byte) {
	have := map[*cert.Certificate]bool{}
	for next := []*cert.Certificate{c}; len(next) > 0 && len(have) < maxChain; next = next[1:] {
		for _, a := range authorities {
			if len(have) < maxChain && !have[a] && !a.SelfIssued() && a.Subject.Equal(next[0].Issuer) {
				have[a] = true
				chain = append(chain, a.Raw...)
				next = append(next, a)
			}
		}
	}
	return chain
}

// JudgeChains looks again at the chains of an organization's certificates by
// others, or everybody's (""), which nobody has looked at for a day: authorities
// end and lose trust.
func (s *Service) JudgeChains(ctx context.Context, organization string) error {
	for {
		due, roots, err := s.due(ctx, organization)
		if err != nil || len(due) == 0 {
			return err
		}
		of := map[string]*trustees{}
		found := make([]store.ForeignTrust, len(due))
		for i, f := range due {
			if of[f.OrganizationID] == nil {
				if of[f.OrganizationID], err = s.trustees(roots[f.OrganizationID]); err != nil {
					return err
				}
			}
			found[i] = of[f.OrganizationID].judge(f)
		}
		if again, err := s.enter(ctx, due, roots, found); err != nil || !again {
			return err
		}
	}
}

// due reads certificates whose chains are to be looked at, and the roots that were
// named for their organizations.
func (s *Service) due(ctx context.Context, organization string) (due []store.ForeignCertificate, roots map[string][]store.TrustAnchor, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		roots = map[string][]store.TrustAnchor{}
		due, err = tx.ForeignToJudge(organization, s.now().Add(-chainsFor), s.now(), chainsAtOnce)
		for _, f := range due {
			if _, have := roots[f.OrganizationID]; have {
				continue
			}
			if roots[f.OrganizationID], err = named(tx, f.OrganizationID); err != nil {
				return err
			}
		}
		return err
	})
	return due, roots, err
}

// enter writes what was found about chains. What rests on roots that are not the
// named ones any more, or on a chain that is not the stored one, is left: it is
// still due, or somebody else has looked. Again: there may be more that is due.
func (s *Service) enter(ctx context.Context, due []store.ForeignCertificate, roots map[string][]store.TrustAnchor, found []store.ForeignTrust) (again bool, err error) {
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		again = false
		current := map[string]bool{}
		for organization, were := range roots {
			now, err := named(tx, organization)
			if err != nil {
				return err
			}
			current[organization] = sameRoots(were, now)
			again = again || !current[organization]
		}
		for i, f := range due {
			if !current[f.OrganizationID] {
				continue
			}
			written, err := tx.SetForeignTrust(f, found[i])
			if err != nil {
				return err
			}
			again = again || written
		}
		return nil
	})
	return again, err
}

// Anchor is a root that was named as trusted for certificates by others.
type Anchor struct {
	Organization string // empty: for everybody
	Certificate  *cert.Certificate
	By           string
	Added        time.Time
}

// trusts tells whether the actor may say what an organization, or everybody,
// trusts.
func trusts(a auth.Actor, organization string) bool {
	if organization == "" {
		return operates(a) || console(a)
	}
	return administers(a, organization)
}

// Anchors lists the roots that were named for an organization, or for everybody
// ("").
func (s *Service) Anchors(ctx context.Context, actor auth.Actor, organization string) (list []Anchor, err error) {
	if organization == "" && !trusts(actor, "") || organization != "" && !reads(actor, organization) {
		return nil, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.TrustAnchors(organization)
		for _, row := range rows {
			c, err := cert.Parse(row.DER)
			if err != nil {
				return err
			}
			list = append(list, Anchor{row.OrganizationID, c, row.AddedBy, row.Added})
		}
		return err
	})
	return list, err
}

// AddAnchors says that roots are trusted: by an organization for its own people's
// certificates, or by the operator for everybody's ("").
func (s *Service) AddAnchors(ctx context.Context, actor auth.Actor, organization string, file []byte) error {
	if !trusts(actor, organization) {
		return ErrForbidden
	}
	list, err := readCertificates(file)
	if err != nil {
		return err
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if organization != "" {
			if _, err := tx.Organization(organization); err != nil {
				return hidden(err)
			}
		}
		return s.trustRoots(ctx, tx, actor, organization, list)
	})
	if err != nil {
		return err
	}
	return s.JudgeChains(ctx, organization)
}

// rootsOf picks the roots of a list.
func rootsOf(list []*cert.Certificate) (roots []*cert.Certificate) {
	for _, c := range list {
		if c.BasicConstraints.CA && c.SelfIssued() {
			roots = append(roots, c)
		}
	}
	return roots
}

// trustRoots names the roots of a list; what nobody had reason to trust before is
// to be looked at again. Mail is encrypted by what leads to them: no program names
// any, and whoever is signed in shows that it is them.
func (s *Service) trustRoots(ctx context.Context, tx *store.Tx, actor auth.Actor, organization string, list []*cert.Certificate) error {
	if err := actor.InPerson(); err != nil {
		return err
	}
	there, err := tx.TrustAnchors(organization)
	if err != nil {
		return err
	}
	list = rootsOf(list)
	for _, c := range list {
		sum, err := hex.DecodeString(c.SHA256())
		if err != nil {
			return err
		}
		known := false
		for _, row := range there {
			known = known || bytes.Equal(row.SHA256, sum)
		}
		if known {
			continue
		}
		row := store.TrustAnchor{OrganizationID: organization, SHA256: sum, DER: c.Raw, AddedBy: whose(actor), Added: s.now()}
		if there = append(there, row); len(there) > maxAnchors {
			return wrong("certificate", "input.anchors", maxAnchors)
		}
		if err := tx.InsertTrustAnchor(row); err != nil {
			return err
		}
		if err := s.act(ctx, tx, actor, store.ActAnchor, c.SHA256(), map[string]string{"organization": organization, "subject": c.Subject.String()}); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return wrong("certificate", "input.anchors.none")
	}
	return tx.DoubtForeign(organization, false)
}

// RemoveAnchor says that a root, named by its SHA-256 in hexadecimal, is trusted no
// longer. From then on nothing counts that was found by it. What everybody has by an
// operator's root is taken away in person alone; an organization takes away its own.
func (s *Service) RemoveAnchor(ctx context.Context, actor auth.Actor, organization, sha256 string) error {
	if !trusts(actor, organization) {
		return ErrForbidden
	}
	if organization == "" {
		if err := actor.InPerson(); err != nil {
			return err
		}
	}
	sum, err := hex.DecodeString(sha256)
	if err != nil {
		return ErrForbidden
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteTrustAnchor(organization, sum); err != nil {
			return conflicting(err, ErrForbidden)
		}
		if err := s.act(ctx, tx, actor, store.ActAnchorRemoved, hex.EncodeToString(sum), map[string]string{"organization": organization}); err != nil {
			return err
		}
		return tx.DoubtForeign(organization, true)
	})
	if err != nil {
		return err
	}
	return s.JudgeChains(ctx, organization)
}
