package audit

import (
	"context"
	"encoding/hex"
	"strconv"

	"github.com/mailseal/mailseal/internal/store"
)

// Issued is the entry of a certificate that was issued; order may be empty.
func Issued(c store.Certificate, sha256 []byte) Entry {
	return Entry{Act: store.ActIssued, Object: c.ID, Details: map[string]string{
		"authority": c.AuthorityID, "order": c.OrderID, "serial": hex.EncodeToString(c.Serial), "sha256": hex.EncodeToString(sha256),
	}}
}

// Refused is the entry of a certificate that will not be issued.
func Refused(c store.Certificate) Entry {
	return Entry{Act: store.ActRefused, Object: c.ID, Details: map[string]string{
		"authority": c.AuthorityID, "order": c.OrderID, "serial": hex.EncodeToString(c.Serial),
	}}
}

// Revoked is the entry of a certificate that was revoked for a reason.
func Revoked(id string, serial []byte, reason int) Entry {
	return Entry{Act: store.ActRevoked, Object: id, Details: map[string]string{
		"serial": hex.EncodeToString(serial), "reason": strconv.Itoa(reason),
	}}
}

// adopt enters what the store held before it had a log, so that from then on
// every state has its entry.
func (l *Log) adopt(ctx context.Context, tx *store.Tx) error {
	var entries []Entry
	missing := func(act, found, object string) {
		if found == "" {
			entries = append(entries, Entry{Act: act, Object: object})
		}
	}
	err := tx.RecordedAuthorities(func(id, act string) error {
		missing(store.ActAuthority, act, id)
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.RecordedOrders(func(id, state, act string) error {
		missing(store.ActApplied, act, id)
		switch state {
		case "proven", "issued":
			missing(store.ActProven, act, id)
		case "refused":
			missing(store.ActDenied, act, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.RecordedCertificates(func(r store.Recorded, err error) error {
		if err != nil || r.Act != "" {
			return err
		}
		c := store.Certificate{ID: r.ID, Serial: r.Serial}
		switch r.State {
		case "issued":
			entries = append(entries, Issued(c, r.SHA256))
		case "refused":
			entries = append(entries, Refused(c))
		}
		if r.Revoked {
			entries = append(entries, Revoked(r.ID, r.Serial, int(r.RevokedFor)))
		}
		return nil
	})
	for _, e := range entries {
		if err != nil {
			break
		}
		e.At, e.Actor = l.o.Clock(), "adopted"
		err = Append(ctx, tx, e)
	}
	return err
}
