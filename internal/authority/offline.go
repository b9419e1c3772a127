package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// ErrCertified: the key has a certificate already.
var ErrCertified = errors.New("authority: this key has a certificate already")

// Certify signs the request of an issuing authority with the active root, whose
// key is in this place while the authority is in another. The serial number is
// kept here, for this root's lists.
func Certify(ctx context.Context, o Options, request []byte) (*cert.Certificate, error) {
	a, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := issuance.ReadAuthorityRequest(request)
	if err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	root := a.active(kindRoot)
	if root == nil {
		return nil, fmt.Errorf("certify: %w", ErrNone)
	}
	above, err := root.Issuer()
	if err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	k := a.maker()
	c, err := k.issuing(above, r)
	if err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	row, err := k.certified(root.id, certifiedAuthority, c)
	if err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	err = a.change(ctx, k, func(w record) error {
		if err := uncertified(w.tx, c); err != nil {
			return err
		}
		return w.certified(row)
	})
	if err != nil {
		return nil, fmt.Errorf("certify %s: %w", r.Subject.CommonName, err)
	}
	return c, nil
}

// uncertified refuses to certify a key twice: a file that was carried over twice
// is a mistake, and a second certificate would have to be revoked by itself.
func uncertified(tx *store.Tx, c *cert.Certificate) error {
	rows, err := tx.AuthorityCertificates()
	if err != nil {
		return err
	}
	for _, row := range rows {
		old, err := cert.Parse(row.Certificate)
		if err != nil {
			return err
		}
		if bytes.Equal(old.RawSPKI, c.RawSPKI) && row.Revoked.IsZero() {
			return fmt.Errorf("%w: serial number %s", ErrCertified, old.SerialHex())
		}
	}
	return nil
}

// RevokeAuthority revokes the certificate of an authority. The next list of its
// issuer names it; see [NewLists]. S/MIME BR §7.2.2: with a reason.
func RevokeAuthority(ctx context.Context, o Options, serial *big.Int, reason cert.Reason) error {
	if !issuance.ReasonAllowed(reason) || reason == cert.Unspecified || reason == cert.CertificateHold {
		return fmt.Errorf("revoke: %d is not a reason for an authority's certificate", reason)
	}
	o.Keys = nil
	a, err := Open(ctx, o)
	if err != nil {
		return err
	}
	err = a.change(ctx, a.maker(), func(r record) error {
		for _, m := range a.all() {
			err := r.tx.RevokeAuthorityCertificate(m.id, serial.Bytes(), r.k.now, int(reason))
			if errors.Is(err, store.ErrConflict) {
				continue
			}
			return errors.Join(err, r.append(store.ActAuthorityRevoked, m.id, map[string]string{
				"serial": serial.Text(16), "reason": strconv.Itoa(int(reason)),
			}))
		}
		return ErrUnknown
	})
	if err != nil {
		return fmt.Errorf("revoke certificate %x of an authority: %w", serial, err)
	}
	return nil
}

// List is a signed list of a root.
type List struct {
	Name string
	CRL
}

// NewLists signs the next list of every root whose key is here, retired ones too,
// to be carried to where they are served.
func NewLists(ctx context.Context, o Options) (lists []List, err error) {
	a, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, m := range a.all() {
		if !m.Root() || m.Offline() {
			continue
		}
		row, err := a.publish(ctx, m, 0, func(store.CRL) bool { return false })
		if err != nil {
			return nil, fmt.Errorf("list of %s: %w", m.name, err)
		}
		lists = append(lists, List{m.name, CRL{row.DER, row.Number, row.ThisUpdate, row.NextUpdate}})
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("lists: %w", ErrOffline)
	}
	return lists, nil
}

// A root whose key is elsewhere needs people for its next list.
const (
	remindBefore = 30 * 24 * time.Hour
	remindEvery  = 24 * time.Hour
)

// remind says, once a day, that a list which is made elsewhere ends soon.
func (a *Authority) remind(m *Member, list CRL) {
	now := a.now()
	if list.NextUpdate.Sub(now) > remindBefore || now.Sub(m.reminded) < remindEvery {
		return
	}
	m.reminded = now
	a.o.Log.Warn("the CRL of a root whose key is elsewhere ends soon", "authority", m.name, "next_update", list.NextUpdate,
		"hint", "mailseal ca ceremony crl where its key is, then mailseal ca accept")
}
