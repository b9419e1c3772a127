package recovery

import (
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
)

// Bundle is what is released: keys that only the holder of one certificate can
// put together.
type Bundle struct {
	Format    string      `json:"format"`
	Request   string      `json:"request"`
	Owner     string      `json:"owner"`
	Recipient []byte      `json:"recipient"` // the certificate whose key opens it, DER
	Keys      []BundleKey `json:"keys"`
}

// BundleKey is one encrypted key with the shares of what opens it.
type BundleKey struct {
	Key          string        `json:"key"`          // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Certificates [][]byte      `json:"certificates"` // of the key, DER
	Sealed       []byte        `json:"sealed"`       // CMS
	Threshold    int           `json:"threshold"`
	Shares       []BundleShare `json:"shares"`
}

// BundleShare is an officer's share.
type BundleShare struct {
	Position int    `json:"position"`
	Envelope []byte `json:"envelope"` // CMS
}

// ParseBundle reads a bundle.
func ParseBundle(data []byte) (*Bundle, error) {
	b := &Bundle{}
	if err := parse(data, b); err != nil {
		return nil, err
	}
	if b.Format != bundleFormat {
		return nil, fmt.Errorf("recovery: not a file of recovered keys (format %.40q)", b.Format)
	}
	if len(b.Keys) > MaxKeysPerRequest {
		return nil, fmt.Errorf("recovery: more than %d keys", MaxKeysPerRequest)
	}
	return b, nil
}

// Open puts the keys together, with their certificates.
func (b *Bundle) Open(keys []*cms.RecipientKey) ([]*identity.Identity, error) {
	var all []*identity.Identity
	for _, k := range b.Keys {
		key, err := k.open(b.Request, keys)
		if err != nil {
			return nil, fmt.Errorf("recovery: key %.16s: %w", k.Key, err)
		}
		var certificates []*cert.Certificate
		for _, der := range k.Certificates {
			c, err := cert.Parse(der)
			if err != nil {
				return nil, fmt.Errorf("recovery: key %.16s: a certificate of it: %w", k.Key, err)
			}
			certificates = append(certificates, c)
		}
		ids := identity.JoinAll(key, b.Owner, certificates)
		if slices.ContainsFunc(ids, func(i *identity.Identity) bool { return i.Certificate == nil }) {
			return nil, fmt.Errorf("recovery: key %.16s: none of its certificates is for it", k.Key)
		}
		all = append(all, ids...)
	}
	return all, nil
}

func (k *BundleKey) open(request string, keys []*cms.RecipientKey) (crypto.PrivateKey, error) {
	if k.Threshold < MinThreshold || k.Threshold > MaxOfficers || len(k.Shares) < k.Threshold || len(k.Shares) > MaxOfficers {
		return nil, errors.New("there are fewer shares than it takes")
	}
	var shares []share
	for _, s := range k.Shares[:k.Threshold] {
		if s.Position < 1 || s.Position > MaxOfficers {
			return nil, errors.New("no such officer")
		}
		mine, err := discloseShare(s.Envelope, keys, content{Key: k.Key, Position: s.Position, For: request})
		if err != nil {
			return nil, fmt.Errorf("the share of officer %d: %w", s.Position, err)
		}
		defer clear(mine.value)
		shares = append(shares, mine)
	}
	secret, err := combine(shares)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	key, err := unseal(k.Sealed, unhex(k.Key), secret)
	if err != nil {
		return nil, fmt.Errorf("the shares that were given do not open it: one of them is not what was escrowed; ask other officers: %w", err)
	}
	return key, nil
}
