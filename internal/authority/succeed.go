package authority

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/store"
)

// NewIssuing describes an issuing authority that is to be made below the active
// root.
type NewIssuing struct {
	Line       string          // its name in addresses: a-z, 0-9, hyphens, not ending in a number of a key
	CommonName string          // in its certificate
	Domains    []string        // of mail that it may certify; none: any that the root may
	Types      []issuance.Type // of certificates that it issues; none: any
	KeyURI     string          // of a key that exists; empty: a new one is made
}

// Made is what a step made.
type Made struct {
	Name         string // of the authority's key, in addresses
	KeyURI       string
	Certificates []*cert.Certificate // its own first, then cross certificates
}

// AddIssuing makes an issuing authority. The caller holds no [Authority] of the
// store open: they do not change.
func AddIssuing(ctx context.Context, o Options, n NewIssuing) (*Made, error) {
	a, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("make issuing authority: %w", err)
	}
	made, err := a.succeed(ctx, generation{n.Line, 1}, n)
	if errors.Is(err, store.ErrConflict) {
		err = fmt.Errorf("the name %q is taken", n.Line)
	}
	if err != nil {
		return nil, fmt.Errorf("make issuing authority: %w", err)
	}
	return made, nil
}

// lineName keeps names usable in addresses, and different from those of later keys.
var lineName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

var keyNumber = regexp.MustCompile(`-[0-9]+$`)

func (n *NewIssuing) check() (err error) {
	if !lineName.MatchString(n.Line) || keyNumber.MatchString(n.Line) {
		return fmt.Errorf("%q is not a name: use a-z, 0-9 and hyphens, at most 40, and no number at the end", n.Line)
	}
	for _, t := range n.Types {
		if !t.Known() {
			return fmt.Errorf("%q is not a type of certificates", t)
		}
	}
	n.Domains, err = issuance.ParseDomains(n.Domains)
	return err
}

// Rollover gives an authority a new key, which issues from now on, and retires
// the old one. keyURI is that of a key that exists; empty: a new one is made.
func Rollover(ctx context.Context, o Options, line, keyURI string) (*Made, error) {
	a, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	old, err := a.find(func(m *Member) bool { return m.row.Line == line && m.Active() })
	if err != nil {
		return nil, fmt.Errorf("rollover: %w: %q", err, line)
	}
	if old.Root() {
		return nil, errors.New("rollover: a root gets its successor in a ceremony")
	}
	made, err := a.succeed(ctx, generation{line, old.row.Generation + 1}, NewIssuing{
		Line: line, CommonName: nextCommonName(old.certificate, old.row.Generation+1),
		Domains: old.row.Domains, Types: old.Types(), KeyURI: keyURI,
	})
	if err != nil {
		return nil, fmt.Errorf("rollover of %s: %w", line, err)
	}
	return made, nil
}

// nextCommonName tells the keys of an authority apart by name: G2, G3. With one
// name for two keys nobody could tell whose CRL is whose (RFC 5280 §5.1.2.3, §5.2.1).
func nextCommonName(c *cert.Certificate, number int64) string {
	name := strings.Join(c.Subject.Get(oid.CommonName), " ")
	return fmt.Sprintf("%s G%d", strings.TrimSuffix(name, fmt.Sprintf(" G%d", number-1)), number)
}

// succeed makes a key of an issuing authority, has the active root certify it,
// and stores it as the one that issues.
func (a *Authority) succeed(ctx context.Context, g generation, n NewIssuing) (*Made, error) {
	root := a.active(kindRoot)
	if root == nil {
		return nil, errors.New("there is no root")
	}
	above, err := root.Issuer()
	if err != nil {
		return nil, err
	}
	key, err := a.newKey(n.KeyURI)
	if err != nil {
		return nil, err
	}
	k := maker{a.o, a.base, a.o.Clock().UTC().Truncate(time.Second)}
	c, err := k.issuing(above, key.Public(), a.subject(root, n.CommonName), n.Domains)
	if err != nil {
		return nil, err
	}
	row, err := k.row(g, kindIssuing, root.id, c)
	if err != nil {
		return nil, err
	}
	certified, err := k.certified(root.id, certifiedAuthority, c)
	if err != nil {
		return nil, err
	}
	row.Domains = slices.Clone(n.Domains)
	for _, t := range n.Types {
		row.Types = append(row.Types, string(t))
	}
	if row.KeyURI = n.KeyURI; row.KeyURI == "" {
		if row.KeyURI, err = k.keep(row, key); err != nil {
			return nil, err
		}
	}
	err = a.o.Store.Update(ctx, func(tx *store.Tx) error {
		if g.number > 1 {
			if err := tx.RetireAuthority(g.line); err != nil {
				return err
			}
		}
		if err := tx.InsertAuthority(row); err != nil {
			return err
		}
		if err := tx.InsertAuthorityCertificate(certified); err != nil {
			return err
		}
		return audit.Append(ctx, tx, authorityMade(row))
	})
	if err != nil {
		return nil, err
	}
	return &Made{row.Name, row.KeyURI, []*cert.Certificate{c}}, nil
}

// newKey opens the key of a URI, or makes one that is not stored yet.
func (a *Authority) newKey(uri string) (crypto.Signer, error) {
	if uri != "" {
		return a.o.Keys.Signer(uri)
	}
	return a.o.GenerateKey()
}

// subject has country and organization of the root: all is one operator's.
func (a *Authority) subject(root *Member, commonName string) issuance.Subject {
	s := issuance.Subject{CommonName: commonName}
	if list := root.certificate.Subject.Get(oid.Country); len(list) > 0 {
		s.Country = list[0]
	}
	if list := root.certificate.Subject.Get(oid.Organization); len(list) > 0 {
		s.Organization = list[0]
	}
	return s
}
