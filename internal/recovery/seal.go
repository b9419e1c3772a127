package recovery

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
)

// Limits of a quorum. One officer may be ill: there is always one more than is
// needed.
const (
	MinThreshold     = 2
	DefaultThreshold = 2
	DefaultOfficers  = 3
	MaxOfficers      = 16
)

// State is how far a quorum came.
type State string

// The states of a quorum.
const (
	Proposed State = "proposed" // not everybody has confirmed
	Active   State = "active"   // keys are escrowed with it
	Former   State = "former"   // there are others now
	Dropped  State = "dropped"  // others were proposed before it was active
)

// Quorum is who holds the shares of an organization's keys.
type Quorum struct {
	ID           string
	Organization string
	Threshold    int // how many officers open a key
	State        State
	Officers     []Officer
	Proposed     time.Time
	Active       time.Time
	Approvals    []string // accounts of officers before who agree to a proposed one
	Seconded     bool     // a second member of the organization has confirmed the proposal
}

// Officer is one of a quorum.
type Officer struct {
	Position    int // from 1
	Account     string
	Email       string // of the account; as [Service.Officers] tells it, and nothing else does
	Certificate *cert.Certificate
	Confirmed   time.Time // when the officer showed the private key; zero: not yet
}

// officer finds an account's place.
func (q *Quorum) officer(account string) (Officer, bool) {
	for _, o := range q.Officers {
		if o.Account == account && account != "" {
			return o, true
		}
	}
	return Officer{}, false
}

func (q *Quorum) positions() []byte {
	list := make([]byte, len(q.Officers))
	for i, o := range q.Officers {
		list[i] = byte(o.Position)
	}
	return list
}

// Sealed is an encrypted key and the shares of what opens it.
type Sealed struct {
	Quorum string         // whose officers the shares are for
	SPKI   []byte         // SubjectPublicKeyInfo of the key, DER
	Key    []byte         // CMS; its recipient is the split key
	Shares map[int][]byte // CMS, by the position of the officer
}

// Seal encrypts a private key so that only enough of the officers together open
// it.
func (q *Quorum) Seal(rand io.Reader, key crypto.PrivateKey) (*Sealed, error) {
	plain, err := identity.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("recovery: seal: %w", err)
	}
	defer clear(plain)
	spki, err := cert.MarshalPublicKey(identity.Public(key))
	if err != nil {
		return nil, fmt.Errorf("recovery: seal: %w", err)
	}
	sealed, err := q.seal(rand, plain, spki)
	if err != nil {
		return nil, fmt.Errorf("recovery: seal: %w", err)
	}
	return sealed, nil
}

func (q *Quorum) seal(rand io.Reader, plain, spki []byte) (*Sealed, error) {
	hash := sha256.Sum256(spki)
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(rand, secret); err != nil {
		return nil, err
	}
	defer clear(secret)
	to, err := cms.NewKEKRecipient(secret, hash[:])
	if err != nil {
		return nil, err
	}
	s := &Sealed{Quorum: q.ID, SPKI: spki, Shares: map[int][]byte{}}
	if s.Key, err = envelop(rand, to, plain); err != nil {
		return nil, err
	}
	shares, err := split(rand, secret, q.Threshold, q.positions())
	if err != nil {
		return nil, err
	}
	for i, o := range q.Officers {
		to, err := reader(o.Certificate)
		if err != nil {
			return nil, err
		}
		s.Shares[o.Position], err = envelopShare(rand, to, content{Key: keyName(hash[:]), Position: o.Position, Share: shares[i].value})
		clear(shares[i].value)
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// check holds a sealed key against the quorum: what can be seen without opening
// it. Whoever sealed it on another machine can still have sealed nonsense; that
// is theirs to lose.
func (s *Sealed) check(q *Quorum) error {
	if s.Quorum != q.ID {
		return ErrOfficersChanged
	}
	if _, err := cert.ParsePublicKey(s.SPKI); err != nil {
		return fmt.Errorf("the public key: %w", err)
	}
	to, err := recipient(s.Key, MaxSealed)
	if err == nil {
		err = whole(s.Key)
	}
	if err != nil {
		return fmt.Errorf("the encrypted key: %w", err)
	}
	if to.Kind != "kekri" {
		return fmt.Errorf("the encrypted key: %w: its recipient is %s, not a shared key", errEnvelope, to.Kind)
	}
	if hash := sha256.Sum256(s.SPKI); !bytes.Equal(to.KEKID, hash[:]) {
		return fmt.Errorf("the encrypted key: %w: it is named as another key", errEnvelope)
	}
	if len(s.Shares) != len(q.Officers) {
		return fmt.Errorf("%d shares for %d officers", len(s.Shares), len(q.Officers))
	}
	for _, o := range q.Officers {
		if err := addressed(s.Shares[o.Position], o.Certificate); err != nil {
			return fmt.Errorf("the share of officer %d: %w", o.Position, err)
		}
	}
	return nil
}

// unseal decrypts a key with what its shares gave.
func unseal(sealed, hash, secret []byte) (crypto.PrivateKey, error) {
	plain, err := disclose(sealed, MaxSealed, []*cms.RecipientKey{{KEK: secret, KEKID: hash}})
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	key, err := identity.ParsePrivateKey(plain)
	if err != nil {
		return nil, err
	}
	spki, err := cert.MarshalPublicKey(identity.Public(key))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(spki); !bytes.Equal(sum[:], hash) {
		return nil, errors.New("recovery: it is another key than it was escrowed as")
	}
	return key, nil
}
