// Package validation says what a certificate may be issued on: proofs of control
// of mailboxes and domains, evidence of who organizations and people are, and
// the [Warrant] that follows from them, without which internal/authority issues
// nothing.
//
// A mailbox is proven the way the S/MIME Baseline Requirements §3.2.2.2 describe:
// a random value is mailed to the mailbox and comes back from the session that
// asked, by hand; or by §3.2.2.1, as one of a domain that shows a random value in
// the DNS ([Validator.LookAtDomain]). A proof may be relied on once more for a
// while, [Validator.Rely].
//
// A code is worth nothing outside its order, its address and its session; only
// the last one sent counts; it works once, for at most [CodeLife], and
// [MaxWrong] wrong ones void it. Opening a link proves nothing: scanners open
// links, run scripts and press buttons, but they do not hold the session.
//
// [Validator.Admit] limits how many mails are asked for, [Validator.Challenge] makes a code and the mail that carries it,
// [Validator.Answer] takes one. The package sends no mail
// itself; what it needs for that is one method, [Mailer].
package validation

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Limits of S/MIME BR §3.2.2.2 and §4.2.1, and our own on top.
const (
	CodeLife    = 24 * time.Hour      // BR: a random value is valid for at most 24 hours
	ProofLife   = 30 * 24 * time.Hour // BR: a mailbox validated this way may be relied on for 30 days
	MaxWrong    = 5                   // wrong codes until a challenge is void
	MailsPerRun = 3                   // mails to one address, or for one order, in Run
	// MailsPerClient bounds what one network address may cause in Run. It is
	// larger: an office may stand behind one.
	MailsPerClient = 60
	Run            = time.Hour
)

// method is what a proof is filed under.
const method = "3.2.2.2"

// requirements is the version of the S/MIME BR that the method follows.
const requirements = "S/MIME BR 1.0.16"

// Mail is one mail to one mailbox.
type Mail struct {
	To       string // the mailbox, byte for byte as it will stand in the certificate
	Subject  string
	Text     string // plain text, lines end in LF
	Language string // "en" or "ja"
	Signed   bool   // is to carry the installation's signature, where it has one

	// ID names the mail, for whoever gets it back.
	ID string
}

// Mailer hands one mail over for delivery. When it returns nil, the mail is
// somebody else's responsibility. An *UndeliverableError is final; after any
// other error the mail may be handed over again later. A *DeferredError is about
// this mail alone, an *UnavailableError about all.
type Mailer interface {
	Send(ctx context.Context, m Mail) error
}

// UndeliverableError tells that a mail will never reach its mailbox.
type UndeliverableError struct {
	Reason string // of the mail server, for the person whose address it is
}

// Error implements error. The reason often names the address and stays out of
// logs.
func (e *UndeliverableError) Error() string { return "validation: the mail cannot be delivered" }

// DeferredError tells that a mail server does not take a mail now.
type DeferredError struct {
	Reason string // of the mail server, for people
}

// Error implements error, without the reason, as that of UndeliverableError.
func (e *DeferredError) Error() string { return "validation: the mail is not taken now" }

// UnavailableError tells that no mail at all can be handed over now.
type UnavailableError struct{ Err error }

// Error implements error.
func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *UnavailableError) Unwrap() error { return e.Err }

// LimitError tells that too many mails were asked for.
type LimitError struct {
	Retry time.Duration // when the next one is allowed
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("validation: too many mails in %v", Run)
}

// ErrUnproven tells that an order has a mailbox without a valid proof.
var ErrUnproven = errors.New("validation: a mailbox of the order is not proven")

// Validator makes and judges challenges.
type Validator struct {
	Clock func() time.Time
	Rand  io.Reader // nil: crypto/rand
	Site  string    // the address of the portal, named in the mails; may be empty

	Resolver Resolver // nil: no domain is proven, and no CAA record asked for
	// CAANames are the names by which issuemail properties let us in (RFC 9495
	// §3), in lower case; none: they are not asked for.
	CAANames []string

	memory
}

func (v *Validator) random() io.Reader {
	if v.Rand != nil {
		return v.Rand
	}
	return rand.Reader
}

// Admit counts a mail that is asked for to one mailbox of an order. Client is
// whatever is known of who asks, or empty. The error is a *LimitError when there
// were too many to the address, for the order, or for the client.
func (v *Validator) Admit(tx *store.Tx, o store.Order, address mailbox.Mailbox, client string) error {
	now := v.Clock()
	if err := tx.ForgetEvents(now.Add(-Run)); err != nil {
		return err
	}
	limits := map[string]int{"mails to " + address.Key(): MailsPerRun, "mails for order " + o.ID: MailsPerRun}
	if client != "" {
		limits["mails for client "+client] = MailsPerClient
	}
	for key, limit := range limits {
		if err := v.count(tx, key, limit, now); err != nil {
			return err
		}
	}
	return nil
}

// Challenge opens a challenge for one mailbox of an order and returns the mail
// that carries its code. An earlier open one becomes void.
func (v *Validator) Challenge(tx *store.Tx, o store.Order, address mailbox.Mailbox) (Mail, error) {
	now := v.Clock()
	code, err := NewCode(v.random())
	if err != nil {
		return Mail{}, err
	}
	letters, err := CanonicalCode(code)
	if err != nil {
		return Mail{}, err
	}
	id, err := newID(v.random())
	if err != nil {
		return Mail{}, err
	}
	to := address.String()
	err = tx.InsertChallenge(store.Challenge{
		ID: id, OrderID: o.ID, Address: to, CodeHash: hashCode(o.ID, to, o.SecretHash, letters),
		Created: now, Expires: now.Add(CodeLife),
	})
	if err != nil {
		return Mail{}, err
	}
	return compose(letter{Address: to, Name: o.Name, Code: code, Site: v.Site}, o.Language)
}

// count adds one event under key, unless there were limit in the last [Run]
// already.
func (v *Validator) count(tx *store.Tx, key string, limit int, now time.Time) error {
	hash := sha256.Sum256([]byte(key))
	n, first, err := tx.CountEvents(hash[:], now.Add(-Run))
	if err != nil {
		return err
	}
	if n >= limit {
		return &LimitError{Retry: max(first.Add(Run).Sub(now), time.Second)}
	}
	id, err := newID(v.random())
	if err != nil {
		return err
	}
	return tx.AddEvent(id, hash[:], now)
}

// Outcome is what an entered code meant.
type Outcome int

// The outcomes of [Validator.Answer].
const (
	Wrong  Outcome = iota // not the code of this order; it was counted
	Void                  // wrong once too often: the challenge is over
	Closed                // no open challenge: expired, used, or replaced by none
	Right                 // the mailbox is proven, the code used up
)

// Answer judges a code that the session of the order entered, and writes down
// what follows from it. The caller has made sure that the session is the one
// that asked, and commits the transaction whatever the outcome, because wrong
// tries count. [ErrNotACode]: it cannot have been a code, nothing was counted.
func (v *Validator) Answer(tx *store.Tx, o store.Order, entered string) (Outcome, error) {
	letters, err := CanonicalCode(entered)
	if err != nil {
		return Wrong, err
	}
	now := v.Clock()
	open, err := tx.OpenChallenges(o.ID)
	if err != nil {
		return Wrong, err
	}
	outcome := Closed
	for _, c := range open {
		if !now.Before(c.Expires) {
			if err := tx.CloseChallenge(c.ID, "void"); err != nil {
				return Wrong, err
			}
			continue
		}
		hash := hashCode(o.ID, c.Address, o.SecretHash, letters)
		if subtle.ConstantTimeCompare(hash, c.CodeHash) == 1 {
			return Right, v.prove(tx, c, now)
		}
		if outcome, err = miss(tx, c); err != nil {
			return Wrong, err
		}
	}
	return outcome, nil
}

// TriesLeft is how many wrong codes the open challenge of an order still
// bears; 0 when none is open.
func (v *Validator) TriesLeft(tx *store.Tx, o store.Order) (int, error) {
	open, err := tx.OpenChallenges(o.ID)
	if err != nil {
		return 0, err
	}
	left := 0
	for _, c := range open {
		if v.Clock().Before(c.Expires) {
			left = max(left, MaxWrong-c.Wrong)
		}
	}
	return left, nil
}

func miss(tx *store.Tx, c store.Challenge) (Outcome, error) {
	n, err := tx.ChallengeWrong(c.ID)
	if err != nil || n < MaxWrong {
		return Wrong, err
	}
	return Void, tx.CloseChallenge(c.ID, "void")
}

// prove uses the code up and writes the proof, in that order: closing fails
// when somebody else used it first.
func (v *Validator) prove(tx *store.Tx, c store.Challenge, now time.Time) error {
	if err := tx.CloseChallenge(c.ID, "used"); err != nil {
		return err
	}
	return tx.InsertProof(store.Proof{
		OrderID: c.OrderID, Address: c.Address, Method: method,
		Evidence: "challenge " + c.ID + ", " + requirements,
		Proven:   now, Expires: now.Add(ProofLife),
	})
}

// newID draws a name for a row: 128 random bits.
func newID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("validation: randomness: %w", err)
	}
	return fmt.Sprintf("%x", b), nil
}
