// Package audit keeps the log of what was done: who did what to which object,
// when, each entry chained to the one before it by its hash.
//
// # Entries
//
// [Append] writes an entry in the transaction of the act itself: an act whose
// entry cannot be written does not take place. An entry holds ids and, where
// something about a person must be comparable, a digest under a salt that is
// thrown away ([Digest]): what the log says stays, who it was about can be
// erased elsewhere.
//
// # Checkpoints
//
// Whoever can write the database can also rewrite a chain of hashes from some
// entry on. [Log.Checkpoint] signs the newest entry with a key that is not in
// the database, and hands the note to whoever keeps it elsewhere.
//
// # Verification
//
// [Verify] reads the log once and says everything that is wrong with it.
// docs/audit.md has the formats, for those who check with programs of their own.
package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/internal/store"
)

// Acts that only the log knows of; those that tables know of, too, are in
// internal/store.
const (
	ActKey              = "audit.key"              // a key that signs checkpoints begins to
	ActOperator         = "operator.named"         // what is fixed for good was written
	ActAdministrator    = "administrator.made"     // a new account
	ActPassword         = "administrator.password" // of an account was set anew
	ActSignedIn         = "administrator.entered"
	ActProven           = "administrator.proved"      // the strongest that the account has was shown again
	ActCertificateAdded = "administrator.certificate" // may sign the account in
	ActSignInFailed     = "administrator.failed"
	ActFactorAdded      = "account.factor"      // a way to sign in was added, or made anew
	ActFactorRemoved    = "account.factor-gone" // one was taken away
	ActUninvited        = "account.uninvited"   // an invitation was taken back
	ActPersonSignedIn   = "person.entered"
	ActConfiguration    = "server.started" // with these settings
	ActStopped          = "server.stopped"
	ActCeremony         = "ceremony.step"
	ActSigner           = "signer.changed" // a key that signs OCSP responses or timestamps
	ActBackup           = "backup.made"
	ActRestored         = "backup.restored"
)

// Limits of an entry.
const (
	maxField   = 256      // octets of actor, act and object
	maxDetails = 16 << 10 // octets
)

const (
	actorServer    = "server"
	entryPrefix    = "mailseal audit entry 1\n"
	clockTolerance = 10 * time.Minute
)

// Salts last a month, and are kept for two more.
const (
	saltSize    = 32
	monthFormat = "2006-01"
	saltMonths  = 2
)

// Entry is an act. Time and what it is about are the caller's; place and hash
// are given by the log.
type Entry struct {
	At      time.Time
	Actor   string // empty: the one of the context, see [WithActor]
	Act     string
	Object  string            // the id of what it was done to
	Details map[string]string // ids, numbers, digests; never what a person typed
}

// ErrClock: the clock is behind the log, so that nothing can be issued.
var ErrClock = errors.New("audit: the clock went back")

type actorKey struct{}

// WithActor says who acts: "account:ID", "order:ID" for the session that
// asked for it, "operator" for the command line. Without it, it is the server.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Append writes an entry in the transaction of its act. Its error must end the
// transaction.
func Append(ctx context.Context, tx *store.Tx, e Entry) error {
	_, err := add(ctx, tx, e)
	return err
}

func add(ctx context.Context, tx *store.Tx, e Entry) (store.AuditEntry, error) {
	row, err := e.row(ctx)
	if err != nil {
		return row, fmt.Errorf("audit: %s: %w", e.Act, err)
	}
	last, err := tx.LastAuditEntry()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return row, fmt.Errorf("audit: %w", err)
	}
	// A certificate's dates come from the clock: one that runs behind what the
	// log has seen is wrong now, or was wrong then. Starting the server anew
	// writes an entry with the present time, and so says that it is right.
	if row.Act == store.ActIssued && row.At.Before(last.At.Add(-clockTolerance)) {
		return row, fmt.Errorf("%w: it says %s and entry %d of the log was written at %s: set it right, or if it is right now, restart the server",
			ErrClock, row.At.Format(time.RFC3339), last.Seq, last.At.Format(time.RFC3339))
	}
	row.Seq = last.Seq + 1
	row.Hash = hashOf(row, last.Hash)
	if err := tx.InsertAuditEntry(row); err != nil {
		return row, fmt.Errorf("audit: %w", err)
	}
	return row, nil
}

// row checks an entry and writes its details in their one form.
func (e *Entry) row(ctx context.Context) (store.AuditEntry, error) {
	row := store.AuditEntry{At: e.At.UTC().Truncate(time.Second), Actor: e.Actor, Act: e.Act, Object: e.Object}
	if row.Actor == "" {
		row.Actor, _ = ctx.Value(actorKey{}).(string)
	}
	if row.Actor == "" {
		row.Actor = actorServer
	}
	details := e.Details
	if details == nil {
		details = map[string]string{}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b) // sorts the names
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(details); err != nil {
		return row, err
	}
	row.Details = string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	for _, field := range []string{row.Actor, row.Act, row.Object} {
		if len(field) > maxField || !utf8.ValidString(field) || bytes.ContainsRune([]byte(field), 0) {
			return row, fmt.Errorf("actor, act and object have at most %d octets of text", maxField)
		}
	}
	if row.Act == "" || e.At.IsZero() {
		return row, errors.New("an entry needs an act and a time")
	}
	if len(row.Details) > maxDetails {
		return row, fmt.Errorf("more than %d octets of details", maxDetails)
	}
	return row, nil
}

// hashOf chains an entry to the one before it; previous is empty for the first.
func hashOf(e store.AuditEntry, previous []byte) []byte {
	b := make([]byte, 0, 512)
	b = append(b, entryPrefix...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Seq))
	b = appendField(b, string(previous))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.Unix()))
	for _, field := range []string{e.Actor, e.Act, e.Object, e.Details} {
		b = appendField(b, field)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func appendField(b []byte, field string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

// Digest makes a value of a person comparable within a month, and unreadable:
// HMAC-SHA-256 under the month's salt, which is forgotten two months later.
func Digest(tx *store.Tx, at time.Time, value string) (string, error) {
	month := at.UTC().Format(monthFormat)
	salt, err := tx.AuditSalt(month)
	if errors.Is(err, store.ErrNotFound) {
		salt = make([]byte, saltSize)
		rand.Read(salt)
		err = tx.InsertAuditSalt(month, salt)
	}
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil)), nil
}
