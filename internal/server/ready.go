package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/store"
)

// What /readyz asks for.
const (
	leastDisk    = 64 << 20 // bytes free in the data folder, for a database that must not run full
	clockSlack   = 5 * time.Minute
	readyTimeout = 5 * time.Second
)

// check is one of the checks of /readyz; err nil means that it passes.
type check struct {
	name string
	err  error
}

// state is what one look at the rooms finds.
type state struct {
	checks       []check
	authorities  []authorityState
	mailsWaiting int
	mailsKnown   bool
	jobs         []store.JobCount
}

type authorityState struct {
	name          string
	ends, crlEnds time.Time
	lastUpdate    time.Time
}

// state looks at everything that must be well before anybody is sent here.
func (s *system) state(ctx context.Context) state {
	var found state
	err := s.store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Authorities()
		if err != nil {
			return err
		}
		for _, row := range rows {
			a, err := look(tx, row)
			if err != nil {
				return err
			}
			found.authorities = append(found.authorities, a)
		}
		found.mailsWaiting, err = tx.CountWaitingMails()
		if found.mailsKnown = err == nil; err != nil {
			return err
		}
		found.jobs, err = tx.JobCounts()
		return err
	})
	found.checks = []check{
		{"database", err},
		{"authority", s.authorityWell()},
		{"revocation", freshLists(found.authorities, s.Clock())},
		{"disk", DiskFree(s.Data, leastDisk)},
		{"clock", clockRight(found.authorities, s.Clock())},
	}
	return found
}

func look(tx *store.Tx, row store.Authority) (authorityState, error) {
	c, err := cert.Parse(row.Certificate)
	if err != nil {
		return authorityState{}, fmt.Errorf("certificate of authority %s: %w", row.Name, err)
	}
	a := authorityState{name: row.Name, ends: c.NotAfter}
	for n := range max(row.Partitions, 1) {
		last, err := tx.LastCRL(row.ID, n)
		if errors.Is(err, store.ErrNotFound) {
			a.crlEnds = time.Time{}
			return a, nil
		}
		if err != nil {
			return a, err
		}
		if n == 0 || last.NextUpdate.Before(a.crlEnds) {
			a.crlEnds = last.NextUpdate // the list that ends first counts
		}
		if last.ThisUpdate.After(a.lastUpdate) {
			a.lastUpdate = last.ThisUpdate
		}
	}
	return a, nil
}

// RevocationLists looks at the lists of all authorities in a store: how many
// there are, and the first that is missing, has ended, or lies in the future.
func RevocationLists(ctx context.Context, db *store.DB, now time.Time) (n int, err error) {
	var found []authorityState
	err = db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Authorities()
		if err != nil {
			return err
		}
		for _, row := range rows {
			a, err := look(tx, row)
			if err != nil {
				return err
			}
			if !a.crlEnds.IsZero() {
				n++
			}
			found = append(found, a)
		}
		return nil
	})
	if err != nil || n == 0 {
		return n, err
	}
	return n, errors.Join(freshLists(found, now), clockRight(found, now))
}

// authorityWell tells whether certificates can be issued: the issuing authority
// is open, with its key, and has not ended.
func (s *system) authorityWell() error {
	if err := s.authority.Behind(); err != nil {
		return err
	}
	for _, c := range s.authority.Chain() {
		if !s.Clock().Before(c.NotAfter) {
			return errors.New("the issuing authority has expired: make a new one")
		}
	}
	return nil
}

func freshLists(authorities []authorityState, now time.Time) error {
	for _, a := range authorities {
		if now.Before(a.ends) && !now.Before(a.crlEnds) {
			return fmt.Errorf("the revocation list of %s is missing or has ended: see the log for why it was not renewed", a.name)
		}
	}
	return nil
}

// clockRight finds a clock that was set back: nothing that was signed lies in
// the future.
func clockRight(authorities []authorityState, now time.Time) error {
	for _, a := range authorities {
		if a.lastUpdate.After(now.Add(clockSlack)) {
			return fmt.Errorf("the clock is behind the last revocation list of %s, %s: set it right", a.name, a.lastUpdate.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

func (s *system) readyForAnybody(w http.ResponseWriter, r *http.Request) { s.answerReady(w, r, false) }

// readyForOperator says what is wrong; the public door says only that something is.
func (s *system) readyForOperator(w http.ResponseWriter, r *http.Request) { s.answerReady(w, r, true) }

func (s *system) answerReady(w http.ResponseWriter, r *http.Request, details bool) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	var text strings.Builder
	status := http.StatusOK
	for _, c := range s.state(ctx).checks {
		answer := "ok"
		if c.err != nil {
			status, answer = http.StatusServiceUnavailable, "no"
			if details {
				answer = c.err.Error()
			}
		}
		fmt.Fprintf(&text, "%s: %s\n", c.name, answer)
	}
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "30")
	}
	say(w, status, text.String())
}
