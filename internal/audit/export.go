package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// ExportedEntry is an entry as it is exported: its details are kept as the text
// that the hash is over.
type ExportedEntry struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Act     string    `json:"act"`
	Object  string    `json:"object"`
	Details string    `json:"details"`
	Hash    string    `json:"hash"`
}

// Line is the line of an export.
func Line(e store.AuditEntry) ExportedEntry {
	return ExportedEntry{e.Seq, e.At, e.Actor, e.Act, e.Object, e.Details, hex.EncodeToString(e.Hash)}
}

// Entry reads a line of an export.
func (x *ExportedEntry) Entry() (store.AuditEntry, error) {
	hash, err := hex.DecodeString(x.Hash)
	return store.AuditEntry{Seq: x.Seq, At: x.At, Actor: x.Actor, Act: x.Act, Object: x.Object, Details: x.Details, Hash: hash}, err
}

// DetailsOf reads the details of an entry.
func DetailsOf(e store.AuditEntry) (details map[string]string, err error) {
	err = json.Unmarshal([]byte(e.Details), &details)
	return details, err
}

// PublicKey reads the key that signs checkpoints now out of the log.
func PublicKey(ctx context.Context, db *store.DB) (key ed25519.PublicKey, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		seq, _, err := tx.AuditKey()
		if err != nil {
			return err
		}
		row, err := tx.AuditEntry(seq)
		if err != nil {
			return err
		}
		key, err = keyOf(row)
		return err
	})
	return key, err
}

// Follows tells whether an entry is what was written after the one that has the
// hash previous, nil for the first.
func Follows(e store.AuditEntry, previous []byte) bool {
	return bytes.Equal(hashOf(e, previous), e.Hash)
}
