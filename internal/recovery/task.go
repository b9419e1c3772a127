package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
)

// The formats of files that go between the server and an officer.
const (
	taskFormat   = "mailseal recovery task 1"
	answerFormat = "mailseal recovery answer 1"
	bundleFormat = "mailseal recovered keys 1"
)

// Limits of these files.
const (
	MaxFile           = 32 << 20
	MaxKeysPerTask    = 500
	MaxKeysPerRequest = 64
)

// Kind is what an officer is asked for.
type Kind string

// The kinds of tasks.
const (
	Confirm Kind = "confirm" // that they have the private key of the certificate they are named with
	Approve Kind = "approve" // of the officers who follow them
	Reshare Kind = "reshare" // their shares among the officers who follow them
	Release Kind = "release" // their shares to who asked for them
)

// Task is what an officer is asked for, with all that it takes to answer.
type Task struct {
	Format       string      `json:"format"`
	Kind         Kind        `json:"kind"`
	Object       string      `json:"object"` // the id of the request or quorum
	Organization string      `json:"organization"`
	Challenge    []byte      `json:"challenge"`            // CMS for the officer's certificate: what it holds proves that the officer answered
	Owner        string      `json:"owner,omitempty"`      // whose keys, of a release
	Requester    string      `json:"requester,omitempty"`  // who asks for them
	Reason       string      `json:"reason,omitempty"`     // why
	Threshold    int         `json:"threshold,omitempty"`  // of the officers who follow
	Recipients   []Recipient `json:"recipients,omitempty"` // who gets the shares: one for a release, the officers who follow otherwise
	Keys         []TaskKey   `json:"keys,omitempty"`
	More         bool        `json:"more,omitempty"` // there are more keys than one task holds
}

// Recipient is who gets a share.
type Recipient struct {
	Position    int    `json:"position,omitempty"` // of an officer
	Account     string `json:"account,omitempty"`  // the officer's address
	Certificate []byte `json:"certificate"`        // DER
}

// TaskKey is one key and the officer's share of it.
type TaskKey struct {
	Escrow   string `json:"escrow"`
	Key      string `json:"key"`      // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Position int    `json:"position"` // of the officer
	Parts    []Part `json:"parts"`
}

// Part is a share, or what one of the officers before gave towards it.
type Part struct {
	Origin   int    `json:"origin,omitempty"` // 0: the whole share
	For      string `json:"for,omitempty"`    // the quorum that it was given for
	Envelope []byte `json:"envelope"`         // CMS
}

// Answer is what an officer returns.
type Answer struct {
	Format string      `json:"format"`
	Kind   Kind        `json:"kind"`
	Object string      `json:"object"`
	Proof  []byte      `json:"proof"`
	Keys   []AnswerKey `json:"keys,omitempty"`
}

// AnswerKey is a share, encrypted to each of the recipients in their order.
type AnswerKey struct {
	Escrow    string   `json:"escrow"`
	Envelopes [][]byte `json:"envelopes"`
}

// ParseTask reads a task.
func ParseTask(data []byte) (*Task, error) {
	t := &Task{}
	if err := parse(data, t); err != nil {
		return nil, err
	}
	switch {
	case t.Format != taskFormat:
		return nil, fmt.Errorf("recovery: not a task of an officer (format %.40q)", t.Format)
	case t.Kind != Confirm && t.Kind != Approve && t.Kind != Reshare && t.Kind != Release:
		return nil, fmt.Errorf("recovery: no such task: %.40q", t.Kind)
	case len(t.Keys) > MaxKeysPerTask || len(t.Recipients) > MaxOfficers:
		return nil, fmt.Errorf("recovery: a task of more than %d keys or %d recipients", MaxKeysPerTask, MaxOfficers)
	}
	return t, nil
}

// ParseAnswer reads an answer.
func ParseAnswer(data []byte) (*Answer, error) {
	a := &Answer{}
	if err := parse(data, a); err != nil {
		return nil, err
	}
	if a.Format != answerFormat {
		return nil, fmt.Errorf("recovery: not an officer's answer (format %.40q)", a.Format)
	}
	if len(a.Keys) > MaxKeysPerTask {
		return nil, fmt.Errorf("recovery: an answer of more than %d keys", MaxKeysPerTask)
	}
	return a, nil
}

func parse(data []byte, into any) error {
	if len(data) > MaxFile {
		return fmt.Errorf("recovery: a file of more than %d MiB", MaxFile>>20)
	}
	if err := strictly(data, into); err != nil {
		return fmt.Errorf("recovery: read file: %w", err)
	}
	return nil
}

// Encode writes the file of a [Task], [Answer] or [Bundle].
func Encode(file any) ([]byte, error) {
	data, err := json.MarshalIndent(file, "", "  ")
	return append(data, '\n'), err
}

// Readers returns the certificates of those who would get the shares.
func (t *Task) Readers() ([]*cert.Certificate, error) {
	var list []*cert.Certificate
	for _, r := range t.Recipients {
		c, err := cert.Parse(r.Certificate)
		if err != nil {
			return nil, fmt.Errorf("recovery: the certificate of a recipient: %w", err)
		}
		list = append(list, c)
	}
	return list, nil
}

// Answer opens the officer's shares with one of the keys, and encrypts them to
// the recipients. Whoever calls it has shown the officer what is asked, and by
// whom: Answer does what the task says.
func (t *Task) Answer(rand io.Reader, keys []*cms.RecipientKey) (*Answer, error) {
	a := &Answer{Format: answerFormat, Kind: t.Kind, Object: t.Object}
	var err error
	if a.Proof, err = t.prove(keys); err != nil {
		return nil, fmt.Errorf("recovery: the task is for another officer, or changed: %w", err)
	}
	certificates, err := t.Readers()
	if err != nil {
		return nil, err
	}
	if want := map[Kind]bool{Release: len(certificates) == 1, Reshare: len(certificates) > 1}; len(t.Keys) > 0 && !want[t.Kind] {
		return nil, fmt.Errorf("recovery: a task %q with %d recipients", t.Kind, len(certificates))
	}
	to := make([]*cms.Recipient, len(certificates))
	for i, c := range certificates {
		if to[i], err = reader(c); err != nil {
			return nil, fmt.Errorf("recovery: %w", err)
		}
	}
	for _, k := range t.Keys {
		mine, err := k.open(keys)
		if err != nil {
			return nil, fmt.Errorf("recovery: the share of key %.16s: %w", k.Key, err)
		}
		envelopes, err := t.pass(rand, k, mine, to)
		clear(mine.value)
		if err != nil {
			return nil, fmt.Errorf("recovery: the share of key %.16s: %w", k.Key, err)
		}
		a.Keys = append(a.Keys, AnswerKey{Escrow: k.Escrow, Envelopes: envelopes})
	}
	return a, nil
}

// challenge is what the envelope of a challenge holds, as JSON. The nonce leaves
// in clear, so nothing but a challenge of this very task may pass for one: else a
// task would have an officer decrypt whatever was put into it.
type challenge struct {
	Challenge Kind   `json:"challenge"`
	Object    string `json:"object"`
	Nonce     []byte `json:"nonce"`
}

// prove opens the challenge.
func (t *Task) prove(keys []*cms.RecipientKey) ([]byte, error) {
	plain, err := disclose(t.Challenge, MaxEnvelope, keys)
	if err != nil {
		return nil, err
	}
	var c challenge
	if err := strictly(plain, &c); err != nil || c.Challenge != t.Kind || c.Object != t.Object || len(c.Nonce) != secretSize {
		return nil, errors.New("what stands in the place of its challenge is none of this task")
	}
	return c.Nonce, nil
}

// open decrypts the officer's share, or joins it of its parts: a share of shares
// that others hold is what those shares' parts for it combine to.
func (k *TaskKey) open(keys []*cms.RecipientKey) (share, error) {
	if k.Position < 1 || k.Position > MaxOfficers || len(k.Parts) == 0 || len(k.Parts) > MaxOfficers {
		return share{}, errors.New("no such share")
	}
	var parts []share
	for _, p := range k.Parts {
		s, err := discloseShare(p.Envelope, keys, content{Key: k.Key, Position: k.Position, Origin: p.Origin, For: p.For})
		if err != nil {
			return share{}, err
		}
		if p.Origin == 0 && len(k.Parts) == 1 {
			return s, nil
		}
		defer clear(s.value)
		parts = append(parts, share{byte(p.Origin), s.value})
	}
	value, err := combine(parts)
	return share{byte(k.Position), value}, err
}

// pass encrypts a share to who asked for it, or splits it among the officers who
// follow.
func (t *Task) pass(rand io.Reader, k TaskKey, mine share, to []*cms.Recipient) ([][]byte, error) {
	if t.Kind == Release {
		e, err := envelopShare(rand, to[0], content{Key: k.Key, Position: k.Position, For: t.Object, Share: mine.value})
		return [][]byte{e}, err
	}
	positions := make([]byte, len(t.Recipients))
	for i, r := range t.Recipients {
		if r.Position < 1 || r.Position > MaxOfficers {
			return nil, errors.New("no such officer")
		}
		positions[i] = byte(r.Position)
	}
	parts, err := split(rand, mine.value, t.Threshold, positions)
	if err != nil {
		return nil, err
	}
	var envelopes [][]byte
	for i, p := range parts {
		e, err := envelopShare(rand, to[i], content{
			Key: k.Key, Position: int(p.position), Origin: k.Position, For: t.Object, Share: p.value,
		})
		clear(p.value)
		if err != nil {
			return nil, err
		}
		envelopes = append(envelopes, e)
	}
	return envelopes, nil
}

func proofHash(proof []byte) []byte {
	sum := sha256.Sum256(append([]byte("recovery proof "), proof...))
	return sum[:]
}

func unhex(name string) []byte {
	b, _ := hex.DecodeString(name)
	return b
}
