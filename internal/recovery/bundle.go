package recovery

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"iter"
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
	// One who gave nonsense does not keep the others from opening it.
	var shares []share
	var fault error
	for _, s := range k.Shares {
		mine, err := k.disclose(s, request, keys)
		if err != nil {
			fault = cmp.Or(fault, fmt.Errorf("the share of officer %d: %w", s.Position, err))
			continue
		}
		defer clear(mine.value)
		if !slices.ContainsFunc(shares, func(o share) bool { return o.position == mine.position }) {
			shares = append(shares, mine)
		}
	}
	if len(shares) < k.Threshold {
		return nil, fmt.Errorf("fewer shares can be read than it takes: %w", cmp.Or(fault, errors.New("two are of one officer")))
	}
	for some := range choices(shares, k.Threshold) {
		key, err := k.join(some)
		if err == nil {
			return key, nil
		}
		fault = cmp.Or(fault, err)
	}
	return nil, fmt.Errorf("the shares that were given do not open it: too many of them are not what was escrowed; ask other officers: %w", fault)
}

func (k *BundleKey) disclose(s BundleShare, request string, keys []*cms.RecipientKey) (share, error) {
	if s.Position < 1 || s.Position > MaxOfficers {
		return share{}, errors.New("no such officer")
	}
	return discloseShare(s.Envelope, keys, content{Key: k.Key, Position: s.Position, For: request})
}

func (k *BundleKey) join(shares []share) (crypto.PrivateKey, error) {
	secret, err := combine(shares)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return unseal(k.Sealed, unhex(k.Key), secret)
}

// choices are all ways to take n of the shares, the first ones first: of
// [MaxOfficers] there are 12,870 at most.
func choices(shares []share, n int) iter.Seq[[]share] {
	return func(yield func([]share) bool) {
		var more func(taken, left []share) bool
		more = func(taken, left []share) bool {
			if len(taken) == n {
				return yield(taken)
			}
			for i := 0; i+n-len(taken) <= len(left); i++ {
				if !more(append(taken, left[i]), left[i+1:]) {
					return false
				}
			}
			return true
		}
		more(make([]share, 0, n), shares)
	}
}
