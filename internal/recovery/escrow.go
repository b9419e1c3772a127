package recovery

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// ErrSigns: a key that signs is never escrowed, and an escrowed one gets no
// certificate that signs.
var ErrSigns = errors.New("recovery: the key has a certificate that signs: only encryption keys are escrowed")

// Escrow keeps a sealed key of a person, in the transaction of the caller, which
// is the one that lets the key into use: a key that must be escrowed and is not
// gets no certificate. The certificate itself comes later, or is there already.
func (s *Service) Escrow(ctx context.Context, tx *store.Tx, organization, person string, sealed *Sealed) error {
	return s.escrow(ctx, tx, organization, person, "", sealed)
}

func (s *Service) escrow(ctx context.Context, tx *store.Tx, organization, person, order string, sealed *Sealed) error {
	q, err := quorumOf(tx, organization, Active)
	if err != nil {
		return err
	}
	if q == nil {
		return ErrOfficersChanged
	}
	if err := sealed.check(q); err != nil {
		if errors.Is(err, ErrState) {
			return err
		}
		return input("escrow", "input.recovery.sealed", err)
	}
	hash := sha256.Sum256(sealed.SPKI)
	if _, err := encryptsOnly(tx, hash[:]); err != nil {
		return err
	}
	id, err := s.newID()
	if err != nil {
		return err
	}
	err = tx.InsertRecoveryEscrow(store.RecoveryEscrow{
		ID: id, OrganizationID: organization, PersonID: person, KeyHash: hash[:], QuorumID: q.ID, OrderID: order, Sealed: sealed.Key, Created: s.now(),
	})
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w: the key is escrowed already", ErrState)
	}
	if err != nil {
		return err
	}
	for _, o := range q.Officers {
		err := tx.InsertRecoveryShare(store.RecoveryShare{EscrowID: id, QuorumID: q.ID, Position: o.Position, Envelope: sealed.Shares[o.Position]})
		if err != nil {
			return err
		}
	}
	details := map[string]string{"organization": organization, "person": person, "key": keyName(hash[:]), "officers": q.ID}
	if order != "" {
		details["order"] = order
	}
	return audit.Append(ctx, tx, audit.Entry{At: s.now(), Act: store.ActEscrowed, Object: id, Details: details})
}

// Prepare seals a key that was made here; keep is [Service.Escrow] of it.
func (s *Service) Prepare(ctx context.Context, organization, person string, key crypto.PrivateKey) (keep func(tx *store.Tx) error, err error) {
	q, err := s.Quorum(ctx, organization)
	if err != nil {
		return nil, err
	}
	if q == nil {
		return nil, ErrOfficersChanged
	}
	sealed, err := q.Seal(s.o.Rand, key)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) error { return s.Escrow(ctx, tx, organization, person, sealed) }, nil
}

// Escrowed tells whether a person's key, by the SHA-256 of its
// SubjectPublicKeyInfo, is kept for an organization.
func (s *Service) Escrowed(tx *store.Tx, organization, person string, keyHash []byte) (bool, error) {
	rows, err := tx.RecoveryEscrowsOf(organization, person)
	return slices.ContainsFunc(rows, func(e store.RecoveryEscrow) bool { return bytes.Equal(e.KeyHash, keyHash) }), err
}

// encryptsOnly returns the certificates of a key, and refuses one that signs
// with it. Of a certificate on its way the key usage stands in the bytes that
// are to be signed, and these bytes are no certificate yet: they wait.
func encryptsOnly(tx *store.Tx, hash []byte) ([]*cert.Certificate, error) {
	rows, err := tx.CertificatesWithKey(hash)
	if err != nil {
		return nil, err
	}
	var list []*cert.Certificate
	for _, r := range rows {
		if !r.Issued {
			return nil, fmt.Errorf("%w: a certificate of the key is on its way", ErrState)
		}
		c, err := cert.Parse(r.DER)
		if err != nil {
			return nil, err
		}
		if c.CanSign() {
			return nil, ErrSigns
		}
		list = append(list, c)
	}
	return list, nil
}

// Key is an escrowed key, as far as it can be seen.
type Key struct {
	ID           string
	Key          string // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Quorum       string // who holds its shares
	Certificates []*cert.Certificate
	Former       bool // the shares are still with officers before
}

// Keys lists the escrowed keys of a person, for those who may ask for them.
func (s *Service) Keys(ctx context.Context, actor auth.Actor, organization, person string) (list []Key, err error) {
	own := actor.Kind == auth.KindPerson && actor.ID == person && person != ""
	if !own && !mayLook(actor, organization) {
		return nil, auth.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = keysOf(tx, organization, person)
		return err
	})
	return list, err
}

func keysOf(tx *store.Tx, organization, person string) (list []Key, err error) {
	rows, err := tx.RecoveryEscrowsOf(organization, person)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		q, err := tx.RecoveryQuorum(r.QuorumID)
		if err != nil {
			return nil, err
		}
		k := Key{ID: r.ID, Key: keyName(r.KeyHash), Quorum: r.QuorumID, Former: q.State == string(Former)}
		k.Certificates, err = encryptsOnly(tx, r.KeyHash)
		if err != nil && !errors.Is(err, ErrState) && !errors.Is(err, ErrSigns) {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}
