package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// The formats of what goes between the server and whoever seals their own key.
const (
	keepersFormat = "mailseal recovery officers 1"
	sealedFormat  = "mailseal sealed key 1"
)

// MaxEnrolment bounds a certification request together with a sealed key: the
// largest of each, and an envelope for as many officers as there can be, as
// base64.
const MaxEnrolment = 512 << 10

// Keepers are the active officers, for whoever seals a key to them.
type Keepers struct {
	Format    string      `json:"format"`
	Quorum    string      `json:"quorum"`
	Threshold int         `json:"threshold"`
	Officers  []Recipient `json:"officers"`
}

// Keepers tells who the keys of an organization are sealed for.
// [ErrOfficersChanged]: there is nobody, and no key can be kept.
func (s *Service) Keepers(ctx context.Context, organization string) (*Keepers, error) {
	var k *Keepers
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		q, err := quorumOf(tx, organization, Active)
		if err != nil {
			return err
		}
		if q == nil {
			return ErrOfficersChanged
		}
		k = &Keepers{Format: keepersFormat, Quorum: q.ID, Threshold: q.Threshold}
		for _, o := range q.Officers {
			a, err := tx.Administrator(o.Account)
			if err != nil {
				return err
			}
			k.Officers = append(k.Officers, Recipient{o.Position, called(a), o.Certificate.Raw})
		}
		return nil
	})
	return k, err
}

// Enrolment is a certification request with the private key of it, which whoever
// made both has sealed.
type Enrolment struct {
	Request []byte          `json:"request"` // PKCS #10, DER
	Sealed  json.RawMessage `json:"escrow"`  // as [ParseSealed] reads it
}

// ParseEnrolment reads a request that brings a key to keep.
func ParseEnrolment(data []byte) (*Enrolment, error) {
	if len(data) > MaxEnrolment {
		return nil, fmt.Errorf("recovery: more than %d octets", MaxEnrolment)
	}
	e := &Enrolment{}
	if err := strictly(data, e); err != nil {
		return nil, fmt.Errorf("recovery: read request: %w", err)
	}
	if len(e.Request) == 0 || len(e.Sealed) == 0 {
		return nil, errors.New("recovery: read request: it has to have request and escrow")
	}
	return e, nil
}

// sealedFile is a [Sealed] as JSON.
type sealedFile struct {
	Format string        `json:"format"`
	Quorum string        `json:"quorum"`
	Key    string        `json:"key"`    // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Sealed []byte        `json:"sealed"` // CMS
	Shares []BundleShare `json:"shares"`
}

// ParseSealed reads a key that somebody else has sealed, of this
// SubjectPublicKeyInfo.
func ParseSealed(data, spki []byte) (*Sealed, error) {
	if len(data) > MaxEnrolment {
		return nil, fmt.Errorf("recovery: more than %d octets", MaxEnrolment)
	}
	var f sealedFile
	if err := strictly(data, &f); err != nil {
		return nil, fmt.Errorf("recovery: read sealed key: %w", err)
	}
	hash := sha256.Sum256(spki)
	switch {
	case f.Format != sealedFormat:
		return nil, fmt.Errorf("recovery: not a sealed key (format %.40q)", f.Format)
	case f.Key != keyName(hash[:]):
		return nil, fmt.Errorf("recovery: the sealed key is %.16q, and the certification request is for %.16s", f.Key, keyName(hash[:]))
	case len(f.Shares) > MaxOfficers:
		return nil, fmt.Errorf("recovery: more than %d shares", MaxOfficers)
	}
	s := &Sealed{Quorum: f.Quorum, SPKI: spki, Key: f.Sealed, Shares: map[int][]byte{}}
	for _, share := range f.Shares {
		if s.Shares[share.Position] != nil {
			return nil, fmt.Errorf("recovery: two shares of officer %d", share.Position)
		}
		s.Shares[share.Position] = share.Envelope
	}
	return s, nil
}

// Encode writes a sealed key as [ParseSealed] reads it.
func (s *Sealed) Encode() ([]byte, error) {
	hash := sha256.Sum256(s.SPKI)
	f := sealedFile{Format: sealedFormat, Quorum: s.Quorum, Key: keyName(hash[:]), Sealed: s.Key}
	for position := 1; position <= MaxOfficers; position++ {
		if e, is := s.Shares[position]; is {
			f.Shares = append(f.Shares, BundleShare{position, e})
		}
	}
	return json.Marshal(f)
}

// Keep implements [registration.Escrow]: it is Escrow of a key that comes with
// the certification request for it. What the same order brought before, and got
// no certificate for, gives way: one order has one key.
func (s *Service) Keep(ctx context.Context, tx *store.Tx, k registration.Keeping) error {
	spki, err := cert.MarshalPublicKey(k.Key)
	if err != nil {
		return err
	}
	sealed, err := ParseSealed(k.Sealed, spki)
	if err != nil {
		return input("escrow", "input.recovery.sealed", err)
	}
	if err := tx.DropUnfinishedEscrows(k.Order); err != nil {
		return err
	}
	return s.escrow(ctx, tx, k.Organization, k.Person, k.Order, sealed)
}
