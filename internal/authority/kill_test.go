package authority_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/store"
)

// times reads how often the long form of a proof (a make target) does something.
func times(t *testing.T, name string, short int) int {
	t.Helper()
	text, long := os.LookupEnv(name)
	if !long {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// killsPerStore is after how many kills a store is made anew, so that what is
// looked at after each does not grow for ever.
const killsPerStore = 25

// stepKillsPerStore is the same for kills at a step; from one to the next of a
// store they come later, so that these stores grow faster.
const stepKillsPerStore = 10

// TestKill kills a process that issues for eight clients at once, at random
// moments: after each restart no certificate that a client got is lost or
// another one, no serial number is there twice, the audit log is whole, and
// every order ends with its certificate.
func TestKill(t *testing.T) {
	kills := times(t, "MAILSEAL_KILLS", 6)
	var w *world
	got := 0
	for round := range kills {
		if round%killsPerStore == 0 {
			w = found(t)
		}
		c := w.bulk(nil)
		// Of a child's life, the beginning and the thick of it.
		if round%2 == 0 {
			c.await(1)
			time.Sleep(rand.N(20 * time.Millisecond))
		} else {
			c.await(1 + rand.IntN(30))
			time.Sleep(rand.N(5 * time.Millisecond))
		}
		c.kill()
		got += len(c.got) - 1
		w.settle(c.got)
		if (round+1)%100 == 0 {
			t.Logf("%d kills", round+1)
		}
	}
	t.Logf("%d kills, %d certificates given out by those that were killed", kills, got)
	if got < kills {
		t.Errorf("%d kills and only %d certificates given out before", kills, got)
	}
}

// TestKillAtSteps does so at every named point of issuing, early and late.
func TestKillAtSteps(t *testing.T) {
	turns := times(t, "MAILSEAL_STEP_KILLS", 2)
	for _, step := range authority.Steps() {
		t.Run(step, func(t *testing.T) {
			var w *world
			for turn := range turns {
				if turn%stepKillsPerStore == 0 {
					w = found(t)
				}
				c := w.bulk([]string{bulkKillAt + "=" + step, bulkKillTurn + "=" + strconv.Itoa(1+turn%stepKillsPerStore*7)})
				if code := c.wait(); code != -1 {
					t.Fatalf("the child was not killed but ended with %d: %s", code, c.stderr.String())
				}
				w.settle(c.got)
				if (turn+1)%stepKillsPerStore == 0 {
					t.Logf("%d kills", turn+1)
				}
			}
		})
	}
}

// The lists are made without anybody asking for them.
func TestMaintain(t *testing.T) {
	w := found(t)
	done := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { defer close(done); w.Maintain(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var ids []string
		err := w.db.View(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Authorities()
			for _, row := range rows {
				_, missing := tx.LastCRL(row.ID, 0)
				if missing == nil {
					ids = append(ids, row.ID)
				} else if !errors.Is(missing, store.ErrNotFound) {
					return missing
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("lists of %d authorities after half a minute", len(ids))
		}
	}
	stop()
	<-done
}
