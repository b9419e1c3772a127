package authority_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// These tell the child of TestKill where to issue.
const (
	killFolder = "MAILSEAL_TEST_KILL_FOLDER"
	killStore  = "MAILSEAL_TEST_KILL_STORE"
)

// The process is killed in the middle of issuing, again and again. After each
// restart every order has one certificate or can still get it.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killFolder); dir != "" {
		issueUntilKilled(t, dir, os.Getenv(killStore))
		return
	}
	w := found(t)
	issued := 0
	for round := range 8 {
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), killFolder+"="+w.dir, killStore+"="+w.source)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// The child says when the first certificate is out; then it lives for
		// a random moment more.
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("the child issued nothing: %v", err)
		}
		time.Sleep(rand.N(30 * time.Millisecond))
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // it was killed

		w.openStore()
		a, err := authority.Open(t.Context(), w.options())
		if err != nil {
			t.Fatal(err)
		}
		w.Authority = a
		if err := w.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		orders := w.orders()
		w.check(orders...)
		n := 0
		for _, o := range orders {
			if o.State == "issued" {
				n++
			}
		}
		if n <= issued {
			t.Errorf("round %d: %d certificates, %d before", round, n, issued)
		}
		issued = n
	}
}

// orders lists every order of the store.
func (w *world) orders() (orders []store.Order) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		orders, err = tx.RecentOrders(1 << 20)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return orders
}

// issueUntilKilled is the child: it opens orders and issues for them.
func issueUntilKilled(t *testing.T, dir, source string) {
	w := &world{t: t, dir: dir, source: source, now: time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)}
	w.v = &validation.Validator{Clock: w.clock}
	w.openStore()
	a, err := authority.Open(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	w.Authority = a
	w.count = len(w.orders())
	for {
		key := newKey(t)
		if _, err := w.issue(w.order(key), key); err != nil {
			t.Fatal(err)
		}
		fmt.Print(".")
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
