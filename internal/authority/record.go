package authority

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// record writes what changes among the authorities, each with its entry in the
// audit log.
type record struct {
	ctx context.Context
	tx  *store.Tx
	k   maker
}

func (r record) append(act, object string, details map[string]string) error {
	return audit.Append(r.ctx, r.tx, audit.Entry{At: r.k.now, Act: act, Object: object, Details: details})
}

func (r record) operator(o store.Operator) error {
	if err := r.tx.InsertOperator(o); err != nil {
		return err
	}
	return r.append(audit.ActOperator, "", map[string]string{"arc": o.PolicyArc, "base": o.BaseURL})
}

// install stores a key that is active from now on in place of the one before it.
func (r record) install(row store.Authority) error {
	if row.Generation > 1 {
		if err := r.tx.RetireAuthority(row.Line); err != nil {
			return err
		}
		if err := r.append(store.ActAuthorityRetired, row.Line, nil); err != nil {
			return err
		}
	}
	if err := r.tx.InsertAuthority(row); err != nil {
		return err
	}
	sum := sha256.Sum256(row.Certificate)
	return r.append(store.ActAuthority, row.ID, map[string]string{
		"name": row.Name, "line": row.Line, "kind": row.Kind, "parent": row.ParentID, "sha256": hex.EncodeToString(sum[:]),
	})
}

// certified stores certificates of authorities by authorities.
func (r record) certified(rows ...store.AuthorityCertificate) error {
	for _, row := range rows {
		if err := r.tx.InsertAuthorityCertificate(row); err != nil {
			return err
		}
		if err := r.append(store.ActAuthorityCertified, row.ID, map[string]string{
			"issuer": row.IssuerID, "kind": row.Kind, "serial": hex.EncodeToString(row.Serial), "sha256": hex.EncodeToString(row.SHA256),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r record) requested(row store.AuthorityRequest) error {
	if err := r.tx.InsertAuthorityRequest(row); err != nil {
		return err
	}
	return r.append(store.ActAuthorityRequested, row.ID, map[string]string{"name": row.Name, "line": row.Line})
}
