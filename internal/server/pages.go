package server

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/export"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/portal"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// pages gives the portal what it shows of the rooms below and none of them has
// by itself.
type pages struct{ *system }

// plotted is how many months the dashboard looks ahead.
const plotted = 13

// Figures implements portal.Figures.
func (p pages) Figures(ctx context.Context, actor auth.Actor, organization string) (f portal.OrganizationFigures, err error) {
	if organization == "" || !actor.MayRead(organization) {
		return f, registration.ErrForbidden
	}
	now := p.Clock().UTC()
	err = p.store.View(ctx, func(tx *store.Tx) error {
		counts, err := tx.CountOrganization(organization, now)
		if err != nil {
			return err
		}
		without, err := tx.CountMembers(store.MemberQuery{OrganizationID: organization, State: store.MemberWithout, Now: now})
		if err != nil {
			return err
		}
		f = portal.OrganizationFigures{
			People: int(counts.People), Without: int(without), Valid: int(counts.Valid), Revoked: int(counts.Revoked), Waiting: map[string]int{},
		}
		for i, n := range counts.Ending {
			f.Ending[i] = int(n)
		}
		for whom, n := range counts.Waiting {
			f.Waiting[whom] = int(n)
		}
		from := now
		for month := range plotted {
			to := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, month+1, 0)
			n, err := tx.CountEnding(organization, from, to)
			if err != nil {
				return err
			}
			f.Months, from = append(f.Months, int(n)), to
		}
		return nil
	})
	return f, err
}

// Chain implements portal.Certificates.
func (p pages) Chain(context.Context) (root *cert.Certificate, issuing []*cert.Certificate, err error) {
	for _, m := range p.authority.Members() {
		switch {
		case !m.Active():
		case m.Root() && root == nil:
			root = m.Certificate()
		case !m.Root():
			issuing = append(issuing, m.Certificate())
		}
	}
	if root == nil {
		return nil, nil, authority.ErrNone
	}
	return root, issuing, nil
}

// Encryption implements portal.Certificates.
func (p pages) Encryption(ctx context.Context, actor auth.Actor, person registration.Person) (list []*cert.Certificate, err error) {
	for _, held := range person.Certificates {
		if !held.Valid(p.Clock()) || !held.Trusted() || held.Use == "signing" {
			continue
		}
		c, _, err := p.orders.Certificate(ctx, actor, held.Organization, held.ID)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Sign implements portal.Certificates. Profiles are signed with the certificate
// that devices know the portal by; where it has none, behind a proxy or with
// --dev, they are as they are, and devices say so.
func (p pages) Sign(_ context.Context, profile export.AppleProfile) ([]byte, error) {
	if p.certificates == nil {
		return profile.XML(), nil
	}
	u, err := url.Parse(p.url)
	if err != nil {
		return nil, err
	}
	pair, err := p.certificates.settings().GetCertificate(&tls.ClientHelloInfo{ServerName: u.Hostname()})
	if err != nil {
		return nil, fmt.Errorf("sign profile: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("sign profile: the key of the portal's certificate does not sign")
	}
	var certificates []*cert.Certificate
	for _, der := range pair.Certificate {
		c, err := cert.Parse(der)
		if err != nil {
			return nil, fmt.Errorf("sign profile: %w", err)
		}
		certificates = append(certificates, c)
	}
	return profile.Signed(&cms.Signer{Key: key, Certificate: certificates[0], Chain: certificates[1:]})
}

// Authorities implements portal.Hierarchy.
func (p pages) Authorities(ctx context.Context) (list []portal.AuthorityStatus, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		list = nil
		for _, m := range p.authority.Members() {
			c := m.Certificate()
			status := portal.AuthorityStatus{
				AuthorityCertificate: shown(m), Label: m.Name(), Root: m.Root(), Active: m.Active(),
				Algorithm: inspect.KeyName(c.PublicKey, c.SPKIAlgorithm),
			}
			for n := range m.Partitions() {
				crl, err := tx.LastCRL(m.ID(), n)
				switch {
				case err == nil:
					status.CRLs = append(status.CRLs, portal.CRLStatus{
						Number: strconv.FormatInt(crl.Number, 10), This: crl.ThisUpdate, Next: crl.NextUpdate, Download: m.ListPath(n),
					})
				case !errors.Is(err, store.ErrNotFound):
					return err
				}
			}
			list = append(list, status)
		}
		return nil
	})
	return list, err
}

// Own implements portal.Mine.
func (p pages) Own(ctx context.Context, actor auth.Actor) (list []portal.OwnCertificate, open []registration.Order, err error) {
	held, err := p.orders.OwnCertificates(ctx, actor)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range held {
		one := portal.OwnCertificate{Held: h}
		if h.Order != "" {
			o, err := p.orders.OrderOf(ctx, actor, h.Order)
			if err != nil {
				return nil, nil, err
			}
			one.Email = o.Email
		}
		list = append(list, one)
	}
	open, err = p.orders.OwnOrders(ctx, actor)
	return list, open, err
}

// RevokeOwn implements portal.Mine.
func (p pages) RevokeOwn(ctx context.Context, actor auth.Actor, ids []string, reason cert.Reason) (registration.Revocations, error) {
	return p.orders.RevokeOwn(ctx, actor, ids, reason)
}

// OpenOwn implements portal.Mine.
func (p pages) OpenOwn(ctx context.Context, actor auth.Actor, order string) ([]enrollment.Opened, error) {
	o, secret, err := p.orders.OpenOrder(ctx, actor, order)
	if err != nil {
		return nil, err
	}
	return []enrollment.Opened{{Order: o, Secret: secret}}, nil
}

// RenewOwn implements portal.Mine.
func (p pages) RenewOwn(ctx context.Context, actor auth.Actor, certificate string) (opened []enrollment.Opened, err error) {
	orders, err := p.orders.RenewOwn(ctx, actor, certificate)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		if o.WaitingFor != registration.WaitingPerson {
			return nil, nil
		}
		one, err := p.OpenOwn(ctx, actor, o.ID)
		if err != nil {
			return nil, err
		}
		opened = append(opened, one...)
	}
	return opened, nil
}
