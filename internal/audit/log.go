package audit

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// KeyStore makes and opens private keys, as *keys.Keys does.
type KeyStore interface {
	Create(name string, key crypto.Signer) (uri string, err error)
	Signer(uri string) (crypto.Signer, error)
}

// Options are what a [Log] needs.
type Options struct {
	Store *store.DB
	Keys  KeyStore
	Clock func() time.Time
	Log   *slog.Logger
	Keep  []Keeper // who gets each checkpoint, beside the store

	// A checkpoint is signed after so many entries, or when the first entry
	// that no checkpoint covers is so old; zero: 1,000 and a minute.
	Every int64
	After time.Duration
}

const (
	defaultEvery = 1000
	defaultAfter = time.Minute
	lookEvery    = 2 * time.Second // how often Maintain looks whether one is due
)

// Log signs checkpoints of a store's log.
type Log struct {
	o      Options
	key    crypto.Signer
	public ed25519.PublicKey
}

// Open opens the log of a store, and begins it where there is none: it makes
// the key, and enters what the store holds already.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = defaultEvery
	}
	if o.After == 0 {
		o.After = defaultAfter
	}
	l := &Log{o: o}
	err := l.open(ctx)
	if errors.Is(err, store.ErrNotFound) {
		if err = l.begin(ctx); err == nil {
			err = l.open(ctx) // another node may have been faster
		}
	}
	if err != nil {
		return nil, fmt.Errorf("audit: open: %w", err)
	}
	return l, nil
}

func (l *Log) open(ctx context.Context) error {
	var uri string
	var row store.AuditEntry
	err := l.o.Store.View(ctx, func(tx *store.Tx) error {
		seq, at, err := tx.AuditKey()
		if err != nil {
			return err
		}
		uri = at
		row, err = tx.AuditEntry(seq)
		return err
	})
	if err != nil {
		return err
	}
	if l.key, err = l.o.Keys.Signer(uri); err != nil {
		return err
	}
	if l.public, err = keyOf(row); err != nil {
		return err
	}
	if !l.public.Equal(l.key.Public()) {
		return fmt.Errorf("the key at %s is not the one that entry %d names", uri, row.Seq)
	}
	return nil
}

// begin makes a key and the entry that brings it in, unless another did.
func (l *Log) begin(ctx context.Context) error {
	return l.newKey(ctx, func(tx *store.Tx) (bool, error) {
		_, _, err := tx.AuditKey()
		if !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		return true, l.adopt(ctx, tx)
	})
}

// Rekey brings in a new key, because the one before is lost: the copy that was
// restored did not have it.
func Rekey(ctx context.Context, o Options) (*Log, error) {
	l := &Log{o: o}
	if err := l.newKey(ctx, func(*store.Tx) (bool, error) { return true, nil }); err != nil {
		return nil, fmt.Errorf("audit: new key: %w", err)
	}
	return Open(ctx, o)
}

func (l *Log) newKey(ctx context.Context, wanted func(*store.Tx) (bool, error)) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	var random [4]byte
	rand.Read(random[:])
	uri, err := l.o.Keys.Create("audit-"+hex.EncodeToString(random[:]), private)
	if err != nil {
		return err
	}
	return l.o.Store.Update(ctx, func(tx *store.Tx) error {
		if ok, err := wanted(tx); !ok || err != nil {
			return err
		}
		row, err := add(ctx, tx, Entry{At: l.o.Clock(), Act: ActKey, Object: KeyName(public),
			Details: map[string]string{"ed25519": base64.StdEncoding.EncodeToString(public)}})
		if err != nil {
			return err
		}
		return tx.InsertAuditKey(row.Seq, uri)
	})
}

// keyOf reads the public key that an entry brings in.
func keyOf(e store.AuditEntry) (ed25519.PublicKey, error) {
	var details map[string]string
	if err := json.Unmarshal([]byte(e.Details), &details); err != nil || e.Act != ActKey {
		return nil, fmt.Errorf("entry %d brings in no key", e.Seq)
	}
	key, err := base64.StdEncoding.DecodeString(details["ed25519"])
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the key that entry %d brings in cannot be read", e.Seq)
	}
	return key, nil
}

// Key returns the public key that checkpoints are verified with.
func (l *Log) Key() ed25519.PublicKey { return l.public }

// Checkpoint signs the newest entry, unless that is done already, and returns
// the newest checkpoint. The store has it before anybody else gets it.
func (l *Log) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	var c *Checkpoint
	made := false
	err := l.o.Store.Update(ctx, func(tx *store.Tx) error {
		head, err := tx.LastAuditEntry()
		if err != nil {
			return err
		}
		last, err := tx.LastAuditCheckpoint()
		if err == nil && last.Seq == head.Seq {
			c, err = ParseCheckpoint(last.Note)
			return err
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		first, err := tx.AuditEntry(1)
		if err != nil {
			return err
		}
		c = &Checkpoint{
			Log: hex.EncodeToString(first.Hash), Entries: head.Seq, Head: hex.EncodeToString(head.Hash),
			At: l.o.Clock().UTC().Truncate(time.Second), Key: KeyName(l.public),
		}
		if err := c.sign(l.key); err != nil {
			return err
		}
		made = true
		return tx.InsertAuditCheckpoint(store.AuditCheckpoint{Seq: c.Entries, Note: c.String()})
	})
	if err != nil {
		return nil, fmt.Errorf("audit: checkpoint: %w", err)
	}
	if made {
		err = l.keep(ctx, c)
	}
	return c, err
}

func (l *Log) keep(ctx context.Context, c *Checkpoint) error {
	var all error
	for _, k := range l.o.Keep {
		if err := k.Keep(ctx, c); err != nil {
			all = errors.Join(all, fmt.Errorf("audit: checkpoint not kept: %w", err))
		}
	}
	return all
}

// due tells whether enough entries, or old enough ones, wait for a checkpoint.
func (l *Log) due(ctx context.Context) (due bool, err error) {
	err = l.o.Store.View(ctx, func(tx *store.Tx) error {
		head, err := tx.LastAuditEntry()
		if err != nil {
			return err
		}
		last, err := tx.LastAuditCheckpoint()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if waiting := head.Seq - last.Seq; waiting == 0 || waiting >= l.o.Every {
			due = waiting > 0
			return nil
		}
		first, err := tx.AuditEntry(last.Seq + 1)
		// A clock that was set back must not put the checkpoint off.
		due = err == nil && l.o.Clock().Sub(first.At).Abs() >= l.o.After
		return err
	})
	return due, err
}

// Maintain signs checkpoints when they are due until ctx ends, and then the
// last one. The server runs it in a goroutine of its own.
func (l *Log) Maintain(ctx context.Context) {
	for ctx.Err() == nil {
		if due, err := l.due(ctx); err != nil {
			l.complain(ctx, err)
		} else if due {
			if _, err := l.Checkpoint(ctx); err != nil {
				l.complain(ctx, err)
			}
			l.forget(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
	defer cancel()
	if _, err := l.Checkpoint(last); err != nil {
		l.o.Log.Error("no checkpoint of the audit log at the end", "error", err)
	}
}

// lastTimeout bounds the checkpoint of a server that stops.
const lastTimeout = 5 * time.Second

// forget drops the salts of digests that are too old to be compared.
func (l *Log) forget(ctx context.Context) {
	oldest := l.o.Clock().UTC().AddDate(0, -saltMonths, 0).Format(monthFormat)
	if err := l.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.ForgetAuditSalts(oldest) }); err != nil {
		l.complain(ctx, err)
	}
}

func (l *Log) complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		l.o.Log.Error("no checkpoint of the audit log", "error", err)
	}
}
