package server

import (
	"context"
	"crypto/sha1" // a number to compare by eye, as Windows shows it; nothing rests on it
	"fmt"
	"math/big"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/portal"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// recent is how many orders and certificates the administrator's page shows.
const recent = 50

// overview is the portal.Authority of the rooms below.
type overview struct {
	db        *store.DB
	authority *authority.Authority
	orders    *registration.Service
}

func (o overview) Root(context.Context) (portal.AuthorityCertificate, error) {
	for _, m := range o.authority.Members() {
		if m.Root() && m.Active() {
			return shown(m), nil
		}
	}
	return portal.AuthorityCertificate{}, authority.ErrNone
}

func (o overview) Overview(ctx context.Context) (portal.Overview, error) {
	root, err := o.Root(ctx)
	if err != nil {
		return portal.Overview{}, err
	}
	orders, err := o.orders.Recent(ctx, recent)
	if err != nil {
		return portal.Overview{}, fmt.Errorf("read recent orders: %w", err)
	}
	issued, err := o.issued(ctx)
	if err != nil {
		return portal.Overview{}, fmt.Errorf("read recent certificates: %w", err)
	}
	return portal.Overview{
		Root: root, Issuing: o.issuing(), Orders: orders, Certificates: issued,
	}, nil
}

// Revoke implements portal.Authority: for an operator who is there. What is not a
// serial number is nobody's.
func (o overview) Revoke(ctx context.Context, actor auth.Actor, serial string, reason cert.Reason) error {
	if !actor.Has(auth.Operator, "") {
		return auth.ErrForbidden
	}
	if err := actor.Again(); err != nil {
		return err
	}
	n, ok := new(big.Int).SetString(strings.NewReplacer(":", "", " ", "").Replace(serial), 16)
	if !ok || n.Sign() <= 0 || n.BitLen() > maxSerialBits {
		return authority.ErrUnknown
	}
	return o.authority.Revoke(ctx, n, reason)
}

// maxSerialBits is RFC 5280 §4.1.2.2's 20 octets.
const maxSerialBits = 160

func (o overview) issuing() (list []portal.AuthorityCertificate) {
	for _, m := range o.authority.Members() {
		if !m.Root() && m.Active() {
			list = append(list, shown(m))
		}
	}
	return list
}

func shown(m *authority.Member) portal.AuthorityCertificate {
	c := m.Certificate()
	name := c.Subject.String()
	if names := c.Subject.Get(oid.CommonName); len(names) > 0 {
		name = names[0]
	}
	return portal.AuthorityCertificate{
		Name: name, SHA256: c.SHA256(), SHA1: fmt.Sprintf("%x", sha1.Sum(c.Raw)), NotAfter: c.NotAfter, Download: "/ca/" + m.Name() + ".cer",
	}
}

func (o overview) issued(ctx context.Context) ([]portal.IssuedCertificate, error) {
	var rows []store.Certificate
	err := o.db.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.RecentCertificates(recent)
		return err
	})
	if err != nil {
		return nil, err
	}
	var list []portal.IssuedCertificate
	for _, row := range rows {
		c, err := cert.Parse(row.DER)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", row.ID, err)
		}
		for _, email := range c.Emails() {
			list = append(list, portal.IssuedCertificate{
				Serial: c.Serial.Text(16), Email: email, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Revoked: !row.Revoked.IsZero(),
			})
		}
	}
	return list, nil
}
