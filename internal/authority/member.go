package authority

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Member is one key of an authority with its certificate. An authority has
// several over time: the active one certifies, the retired ones sign what
// answers for their own certificates, until the last of these has expired. Each
// has its own addresses, /crl/NAME.crl and /ca/NAME.cer.
type Member struct {
	id          string
	name        string
	row         store.Authority
	certificate *cert.Certificate
	issuer      *issuance.Issuer // nil: the key is elsewhere
	key         crypto.Signer    // likewise
	life        time.Duration    // of a CRL
	fresh       time.Duration    // until a CRL is signed anew
	reminded    time.Time        // see remind; the one goroutine's that renews lists
	partitions  []*partition     // of the CRL
	ocsp        *ocspSigner
}

// ID returns the identifier in the store's rows.
func (m *Member) ID() string { return m.id }

// Name returns the name that stands in addresses.
func (m *Member) Name() string { return m.name }

// Line returns the name that all keys of the authority have in common.
func (m *Member) Line() string { return m.row.Line }

// Root tells whether it is a root and not an issuing authority.
func (m *Member) Root() bool { return m.row.Kind == kindRoot }

// Active tells whether it certifies. The others sign CRLs and OCSP responses
// about what they issued, and nothing else.
func (m *Member) Active() bool { return m.row.State == stateActive }

// Offline tells whether its key is elsewhere: lists come from there, through
// [Accept], and nothing can be signed here.
func (m *Member) Offline() bool { return m.issuer == nil }

// KeyURI says where its key is; empty: elsewhere.
func (m *Member) KeyURI() string { return m.row.KeyURI }

// LastCRL returns the number of its last list.
func (m *Member) LastCRL() int64 { return m.row.CRLNumber }

// Partitions returns in how many lists what it revokes is published.
func (m *Member) Partitions() int { return len(m.partitions) }

// ListPath returns the path at which the repository serves a partition of its
// CRL.
func (m *Member) ListPath(partition int) string {
	if len(m.partitions) == 1 {
		return crlURL("", m.name)
	}
	return fmt.Sprintf("/crl/%s/%d.crl", m.name, partition)
}

// Certificate returns its certificate.
func (m *Member) Certificate() *cert.Certificate { return m.certificate }

// Issuer returns what signs for it, or [ErrOffline].
func (m *Member) Issuer() (*issuance.Issuer, error) {
	if m.issuer == nil {
		return nil, fmt.Errorf("%w: %s", ErrOffline, m.name)
	}
	return m.issuer, nil
}

// Signer returns its private key, or [ErrOffline].
func (m *Member) Signer() (crypto.Signer, error) {
	if m.key == nil {
		return nil, fmt.Errorf("%w: %s", ErrOffline, m.name)
	}
	return m.key, nil
}

// Domains returns the mail domains that it is limited to; none: every one. One
// that begins with a dot stands for all domains below it (RFC 5280 §4.2.1.10).
func (m *Member) Domains() []string { return slices.Clone(m.row.Domains) }

// Types returns the types of certificates that it issues; none: every one.
func (m *Member) Types() []issuance.Type {
	var types []issuance.Type
	for _, t := range m.row.Types {
		types = append(types, issuance.Type(t))
	}
	return types
}

// serves tells whether it may issue a certificate of the type for the mailboxes.
func (m *Member) serves(t issuance.Type, mailboxes []mailbox.Mailbox) bool {
	if len(m.row.Types) > 0 && !slices.Contains(m.row.Types, string(t)) {
		return false
	}
	for _, address := range mailboxes {
		if len(m.row.Domains) > 0 && !issuance.DomainPermitted(m.row.Domains, address.Domain()) {
			return false
		}
	}
	return true
}

// closest orders members that serve the same: one of the organization's own
// first, then one that is for the type, then the general one.
func closest(a, b *Member) int {
	none := func(list []string) int {
		if len(list) == 0 {
			return 1
		}
		return 0
	}
	return cmp.Or(none(a.row.Domains)-none(b.row.Domains), none(a.row.Types)-none(b.row.Types), strings.Compare(a.name, b.name))
}

// Issuing returns the issuing authority that certifies the mailboxes under the
// profile: the active one that is closest to them. [ErrNotAllowed]: none is
// for them.
func (a *Authority) Issuing(p *issuance.Profile, mailboxes []mailbox.Mailbox) (*Member, error) {
	var fit []*Member
	for _, m := range a.all() {
		if !m.Root() && m.Active() && !m.Offline() && m.serves(p.Type(), mailboxes) {
			fit = append(fit, m)
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("%w: no issuing authority is for %s certificates of these mailboxes", ErrNotAllowed, p.Type())
	}
	return slices.MinFunc(fit, closest), nil
}

// Serves tells whether the mailboxes can be certified under the profile: nil, or
// [ErrNotAllowed].
func (a *Authority) Serves(p *issuance.Profile, mailboxes []mailbox.Mailbox) error {
	_, err := a.Issuing(p, mailboxes)
	return err
}

// Members returns all authorities with all their keys, roots first, the newest
// key of each before its older ones.
func (a *Authority) Members() []*Member { return slices.Clone(a.all()) }

// Member returns the one of that name, or [ErrUnknown].
func (a *Authority) Member(name string) (*Member, error) {
	return a.find(func(m *Member) bool { return m.name == name })
}

// MemberOf returns the one that a row of the store names by its identifier, or
// [ErrUnknown].
func (a *Authority) MemberOf(id string) (*Member, error) {
	return a.find(func(m *Member) bool { return m.id == id })
}

func (a *Authority) find(is func(*Member) bool) (*Member, error) { return a.state().find(is) }

func (h *hierarchy) find(is func(*Member) bool) (*Member, error) {
	if i := slices.IndexFunc(h.members, is); i >= 0 {
		return h.members[i], nil
	}
	return nil, ErrUnknown
}

// issuingOf returns the authority of a row if it still issues.
func (a *Authority) issuingOf(row store.Certificate) (*Member, error) {
	m, err := a.MemberOf(row.AuthorityID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: prepared for an authority that is not here", ErrNotAllowed)
	case !m.Active() || m.Offline():
		return nil, fmt.Errorf("%w: prepared for an authority that no longer issues", ErrNotAllowed)
	}
	return m, nil
}

// Above returns the authorities above a subscriber's certificate, the nearest
// first and without the root, and the root that the chain ends at.
func (a *Authority) Above(c *cert.Certificate) (chain []*cert.Certificate, root *cert.Certificate, err error) {
	for _, m := range a.all() {
		if !m.Root() && issued(m.certificate, c) {
			above, err := a.MemberOf(m.row.ParentID)
			if err != nil {
				return nil, nil, fmt.Errorf("authority above %s: %w", m.name, err)
			}
			return []*cert.Certificate{m.certificate}, above.certificate, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: issuer of %s", ErrUnknown, c.SerialHex())
}

// issued compares names and key identifiers, which are fresh for every key of
// ours; the signature was checked when it was made.
func issued(issuer, c *cert.Certificate) bool {
	return string(c.RawIssuer) == string(issuer.RawSubject) && string(c.AuthorityKeyID) == string(issuer.SubjectKeyID)
}

// add opens one authority, or takes it over from the state before, with its keys
// and what they have in memory. A certificate names where its issuer's CRL and
// certificate are, so each member has the addresses for what it issues.
func (h *hierarchy) add(a *Authority, row store.Authority, before *hierarchy) error {
	m, err := before.find(func(m *Member) bool { return m.id == row.ID })
	switch {
	case err != nil:
		m, err = a.open(row)
		if err != nil {
			return err
		}
	case m.row.State != row.State: // others may be using the old one
		m = &Member{
			id: m.id, name: m.name, row: row, certificate: m.certificate, issuer: m.issuer, key: m.key, life: m.life, fresh: m.fresh,
			partitions: m.partitions, ocsp: m.ocsp,
		}
	}
	h.members = append(h.members, m)
	return h.answersFor(m)
}

// open opens an authority with its key, if that is here.
func (a *Authority) open(row store.Authority) (*Member, error) {
	c, err := cert.Parse(row.Certificate)
	if err != nil {
		return nil, err
	}
	m := &Member{id: row.ID, name: row.Name, row: row, certificate: c, life: crlLife, fresh: crlFresh, ocsp: &ocspSigner{}}
	if m.Root() {
		m.life, m.fresh = rootCRLLife, rootCRLFresh
	}
	for range max(row.Partitions, 1) {
		m.partitions = append(m.partitions, &partition{})
	}
	if a.o.Keys == nil || row.KeyURI == "" {
		return m, nil
	}
	if m.key, err = a.o.Keys.Signer(row.KeyURI); err != nil {
		return nil, err
	}
	if m.issuer, err = (maker{base: a.base}).issuer(c, m.key, row.Name); err != nil {
		return nil, err
	}
	return m, m.issuer.Publish(a.ocspURL(m), len(m.partitions))
}

// certID names a certificate of m as most clients do.
func (m *Member) certID(serial []byte) (cert.CertID, error) {
	return cert.NewCertID(&cert.Certificate{RawIssuer: m.certificate.RawSubject, Serial: new(big.Int).SetBytes(serial)},
		m.certificate, certIDHashes[0])
}

// addCross keeps a certificate of one root of ours for another; those of issuing
// authorities are in their rows.
func (h *hierarchy) addCross(row store.AuthorityCertificate) error {
	if row.Kind != certifiedCross {
		return nil
	}
	c, err := cert.Parse(row.Certificate)
	if err != nil {
		return err
	}
	by, err := h.find(func(m *Member) bool { return m.id == row.IssuerID })
	if err != nil {
		return err
	}
	of, err := h.find(func(m *Member) bool { return m.Root() && crossOf(c, m.certificate) })
	if err != nil {
		return err
	}
	h.crosses = append(h.crosses, cross{crossName(of, by), c})
	return nil
}

// Crosses returns the certificates of roots for roots, by their names in
// addresses: "root-2-by-root".
func (a *Authority) Crosses() map[string]*cert.Certificate {
	all := map[string]*cert.Certificate{}
	for _, c := range a.state().crosses {
		all[c.name] = c.certificate
	}
	return all
}

// Kinds and states of rows.
const (
	kindRoot    = "root"
	kindIssuing = "issuing"
	stateActive = "active"
)

// active returns the first active member of a kind.
func (a *Authority) active(kind string) *Member {
	m, err := a.find(func(m *Member) bool { return m.row.Kind == kind && m.Active() })
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	return m
}
