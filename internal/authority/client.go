package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/store"
)

// Authorities are the certificates of all authorities of this installation, also
// of those that no longer issue.
func (a *Authority) Authorities() (roots, issuing []*cert.Certificate) {
	for _, m := range a.all() {
		if m.Root() {
			roots = append(roots, m.certificate)
		} else {
			issuing = append(issuing, m.certificate)
		}
	}
	return roots, issuing
}

// AuthenticateClient judges a certificate that somebody has shown, and proven to
// hold the key of, in a TLS connection (RFC 8446 §4.4.2): it leads to a root of
// ours, may authenticate a client now, and is issued and not revoked as the store
// has it at this moment. The error says why not.
func (a *Authority) AuthenticateClient(ctx context.Context, c *cert.Certificate) error {
	o := &certpath.Options{
		At: a.now(), Purpose: certpath.ClientAuth,
		KeyUsage: cert.KeyUsageDigitalSignature | cert.KeyUsageKeyAgreement, // RFC 5280 §4.2.1.12
	}
	o.Anchors, o.Intermediates = a.Authorities()
	chain, err := certpath.Verify(c, o)
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	if len(chain) < 2 {
		return fmt.Errorf("client certificate: %w: a root is no subscriber", ErrNotAllowed)
	}
	issuer, err := a.find(func(m *Member) bool { return slices.Equal(m.certificate.Raw, chain[1].Raw) })
	if err != nil {
		return fmt.Errorf("client certificate: issuer: %w", err)
	}
	return a.o.Store.View(ctx, func(tx *store.Tx) error {
		standing, err := tx.Standing(issuer.id, c.Serial.Bytes())
		switch {
		case errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("client certificate: %w: nothing of that serial number was issued", ErrUnknown)
		case err != nil:
			return err
		case !standing.Revoked.IsZero():
			return fmt.Errorf("client certificate: %w: it was revoked", ErrNotAllowed)
		}
		return nil
	})
}
