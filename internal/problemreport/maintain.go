package problemreport

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

const (
	maintainEvery = time.Minute
	readAtOnce    = 50
)

// Maintain ends what a crash interrupted between a proof and its revocation, and
// tells administrators of what came when there were none, until ctx ends.
func (s *Service) Maintain(ctx context.Context) {
	for {
		if err := s.catchUp(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("problem reports not seen to", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(maintainEvery):
		}
	}
}

func (s *Service) catchUp(ctx context.Context) error {
	return errors.Join(
		s.each(ctx, (*store.Tx).ProvenOpenReports, s.finish),
		s.each(ctx, (*store.Tx).UnmailedReports, s.tellLate),
	)
}

// each does something about all reports of a list, however many there are, and
// whatever becomes of one of them.
func (s *Service) each(ctx context.Context, list func(tx *store.Tx, after string, limit int) ([]store.ProblemReport, error), do func(context.Context, store.ProblemReport) error) error {
	var failed error
	for after := ""; ; {
		var rows []store.ProblemReport
		err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			rows, err = list(tx, after, readAtOnce)
			return err
		})
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, r := range rows {
			after = r.ID
			// The report that is being taken at the moment sees to itself.
			if s.now().Sub(r.Received) < maintainEvery {
				continue
			}
			if err := do(ctx, r); err != nil {
				failed = errors.Join(failed, fmt.Errorf("report %s: %w", r.ID, err))
			}
		}
		if len(rows) < readAtOnce {
			return failed
		}
	}
}

// finish revokes what a proven report was to revoke.
func (s *Service) finish(ctx context.Context, r store.ProblemReport) error {
	serials, unlisted := s.sameKey(ctx, r.Serial)
	if unlisted != nil {
		// At least the one that it names; the report stays open.
		_, err := s.revoke(audit.WithActor(ctx, "report:"+r.ID), [][]byte{r.Serial})
		return errors.Join(unlisted, err)
	}
	if _, err := s.revokeAll(ctx, r.ID, serials); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

// sameKey lists the certificate, and all others with its key.
func (s *Service) sameKey(ctx context.Context, serial []byte) ([][]byte, error) {
	serials := [][]byte{serial}
	standing, err := s.o.Authority.Standing(ctx, new(big.Int).SetBytes(serial))
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", number(serial), err)
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		key, err := tx.KeyHashOf(standing.AuthorityID, serial)
		if err != nil {
			return err
		}
		others, err := tx.CertificatesOfKey(key, s.now())
		serials = append(serials, others...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("other certificates with the key of %s: %w", number(serial), err)
	}
	return serials, nil
}

// tellLate tells of a report that nobody was told of yet. A proven one whose
// revocation fails is told of as it stands.
func (s *Service) tellLate(ctx context.Context, r store.ProblemReport) error {
	return s.o.Store.Update(ctx, func(tx *store.Tx) error { return s.tell(tx, r.ID) })
}
