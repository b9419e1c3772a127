package authority

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// NewIssuing describes an issuing authority that is to be made below the active
// root.
type NewIssuing struct {
	Line       string          // its name in addresses: a-z, 0-9, hyphens, not ending in a number of a key
	CommonName string          // in its certificate
	Domains    []string        // of mail that it may certify; none: any that the root may
	Types      []issuance.Type // of certificates that it issues; none: any
	Partitions int             // of its CRL, fixed for the life of the key; 0: one
	KeyURI     string          // of a key that exists; empty: a new one is made
}

// types are those of a row.
func (n NewIssuing) types() (types []string) {
	for _, t := range n.Types {
		types = append(types, string(t))
	}
	return types
}

// timestamps tells whether the authority certifies what signs timestamps, and
// nobody else.
func (n NewIssuing) timestamps() bool { return slices.Contains(n.Types, issuance.TimestampSigner) }

// Made is what a step made.
type Made struct {
	Name         string              // of the authority's key, in addresses
	Certificates []*cert.Certificate // its own first, then cross certificates
	Request      []byte              // instead: to be signed where the root's key is
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
var lineName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`) })

var keyNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`-[0-9]+$`) })

func (n *NewIssuing) check() (err error) {
	if !lineName().MatchString(n.Line) || keyNumber().MatchString(n.Line) {
		return fmt.Errorf("%q is not a name: use a-z, 0-9 and hyphens, at most 40, and no number at the end", n.Line)
	}
	if n.timestamps() && len(n.Types) > 1 {
		return fmt.Errorf("an authority of type %q is for nothing else", issuance.TimestampSigner)
	}
	for _, t := range n.Types {
		if !t.Known() && !n.timestamps() {
			return fmt.Errorf("%q is not a type of certificates", t)
		}
	}
	if n.Partitions, err = partitions(n.Partitions); err != nil {
		return err
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
	g := generation{line, old.row.Generation + 1}
	var made *Made
	if old.Root() {
		made, err = a.succeedRoot(ctx, old, g, keyURI)
	} else {
		made, err = a.succeed(ctx, g, NewIssuing{
			Line: line, CommonName: nextCommonName(old.certificate, g.number),
			Domains: old.row.Domains, Types: old.Types(), Partitions: old.row.Partitions, KeyURI: keyURI,
		})
	}
	if errors.Is(err, store.ErrConflict) {
		err = errors.New("somebody else made its next key meanwhile: see `mailseal ca show`")
	}
	if err != nil {
		return nil, fmt.Errorf("rollover of %s: %w", line, err)
	}
	return made, nil
}

// nextCommonName tells the keys of an authority apart by name: G2, G3. With one
// name for two keys nobody could tell whose CRL is whose (RFC 5280 §5.1.2.3, §5.2.1).
func nextCommonName(c *cert.Certificate, number int64) string {
	return fmt.Sprintf("%s G%d", strings.TrimSuffix(nameOf(c).CommonName, fmt.Sprintf(" G%d", number-1)), number)
}

// succeed makes a key of an issuing authority, has the active root certify it,
// and stores it as the one that issues. Where the root is elsewhere, a request
// for the certificate is stored instead.
func (a *Authority) succeed(ctx context.Context, g generation, n NewIssuing) (*Made, error) {
	root := a.active(kindRoot)
	if root == nil {
		return nil, errors.New("there is no root")
	}
	if len(n.Domains) == 0 {
		n.Domains = root.row.Domains
	}
	key, err := a.o.newKey(n.KeyURI)
	if err != nil {
		return nil, err
	}
	s := nameOf(root.certificate) // all is one operator's
	s.CommonName = n.CommonName
	if root.Offline() {
		return a.ask(ctx, g, key, s, n)
	}
	k := a.maker()
	c, err := k.issuing(root.issuer, issuance.AuthorityRequest{Subject: s, Key: key.Public(), Domains: n.Domains, Timestamps: n.timestamps()})
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
	row.Domains, row.Types, row.Partitions = n.Domains, n.types(), n.Partitions
	if row.KeyURI, err = k.keep(row.Name, row.ID, key, n.KeyURI); err != nil {
		return nil, err
	}
	err = a.change(ctx, k, func(r record) error { return errors.Join(r.install(row), r.certified(certified)) })
	if err != nil {
		return nil, err
	}
	return &Made{Name: row.Name, Certificates: []*cert.Certificate{c}}, nil
}

func (a *Authority) maker() maker {
	return maker{a.o, a.base, a.o.Clock().UTC().Truncate(time.Second)}
}

// change writes in one transaction.
func (a *Authority) change(ctx context.Context, k maker, write func(record) error) error {
	return a.o.Store.Update(ctx, func(tx *store.Tx) error { return write(record{ctx, tx, k}) })
}

// ask stores a request for the root that is elsewhere.
func (a *Authority) ask(ctx context.Context, g generation, key crypto.Signer, s issuance.Subject, n NewIssuing) (*Made, error) {
	_, err := a.find(func(m *Member) bool { return m.name == g.name() })
	if err == nil { // a key that no certificate could ever be accepted for
		return nil, store.ErrConflict
	}
	k := a.maker()
	request, err := k.request(g, key, s, n)
	if err != nil {
		return nil, err
	}
	if err := a.change(ctx, k, func(r record) error { return r.requested(request) }); err != nil {
		return nil, err
	}
	return &Made{Name: request.Name, Request: request.Request}, nil
}

// succeedRoot makes the next root. Each of the two certifies the other, so that
// those who trust one of them alone find a way from what is below the other.
func (a *Authority) succeedRoot(ctx context.Context, old *Member, g generation, keyURI string) (*Made, error) {
	before, err := old.Issuer()
	if err != nil {
		return nil, err
	}
	key, err := a.o.newKey(keyURI)
	if err != nil {
		return nil, err
	}
	k := a.maker()
	s := nameOf(old.certificate)
	s.CommonName = nextCommonName(old.certificate, g.number)
	root, err := k.root(key, s, old.row.Domains)
	if err != nil {
		return nil, err
	}
	row, err := k.row(g, kindRoot, "", root)
	if err != nil {
		return nil, err
	}
	after, err := k.issuer(root, key, row.Name)
	if err != nil {
		return nil, err
	}
	newByOld, first, err := k.cross(old.id, before, root)
	if err != nil {
		return nil, err
	}
	oldByNew, second, err := k.cross(row.ID, after, old.certificate)
	if err != nil {
		return nil, err
	}
	row.Domains = old.row.Domains
	if row.KeyURI, err = k.keep(row.Name, row.ID, key, keyURI); err != nil {
		return nil, err
	}
	err = a.change(ctx, k, func(r record) error { return errors.Join(r.install(row), r.certified(first, second)) })
	if err != nil {
		return nil, err
	}
	return &Made{Name: row.Name, Certificates: []*cert.Certificate{root, newByOld, oldByNew}}, nil
}

func (k maker) cross(issuerID string, is *issuance.Issuer, other *cert.Certificate) (*cert.Certificate, store.AuthorityCertificate, error) {
	serial, err := newSerial(k.o.Rand)
	if err != nil {
		return nil, store.AuthorityCertificate{}, err
	}
	c, err := is.CrossCertify(other, serial, k.now.Add(-backdate))
	if err != nil {
		return nil, store.AuthorityCertificate{}, err
	}
	row, err := k.certified(issuerID, certifiedCross, c)
	return c, row, err
}
