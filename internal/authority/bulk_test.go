package authority_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// These tell TestBulk, as the child of another test, where and how to issue.
const (
	bulkFolder   = "MAILSEAL_TEST_BULK_FOLDER"
	bulkStore    = "MAILSEAL_TEST_BULK_STORE"
	bulkKillAt   = "MAILSEAL_TEST_BULK_KILL_AT"   // a step, at which the child kills itself
	bulkKillTurn = "MAILSEAL_TEST_BULK_KILL_TURN" // when it is reached for that time
	bulkOrders   = "MAILSEAL_TEST_BULK_ORDERS"    // how many; without it, until it is killed
	bulkErrors   = "MAILSEAL_TEST_BULK_ERRORS"    // errors are told and are no end
)

// clients is how many a child issues for at once.
const clients = 8

// bulkTime is what the clock of a child says.
var bulkTime = time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)

// Lines that a child writes.
const (
	lineReady = "ready"
	lineGot   = "got"   // order and SHA-256: a client has the certificate
	lineError = "error" // and its text
)

// bulk is a child process that issues.
type bulk struct {
	t      *testing.T
	cmd    *exec.Cmd
	got    []string      // lines
	lines  chan struct{} // one for each that is no error
	done   chan struct{} // its output has ended
	stderr bytes.Buffer
}

// bulk closes the store and starts a child that issues from it. Wrapper is a
// program that runs it, if any.
func (w *world) bulk(env []string, wrapper ...string) *bulk {
	w.t.Helper()
	if err := w.db.Close(); err != nil {
		w.t.Fatal(err)
	}
	args := append(wrapper, os.Args[0], "-test.run=^TestBulk$")
	c := &bulk{t: w.t.(*testing.T), lines: make(chan struct{}, 1<<16), done: make(chan struct{})}
	c.cmd = exec.CommandContext(w.t.Context(), args[0], args[1:]...)
	c.cmd.Env = append(append(os.Environ(), bulkFolder+"="+w.dir, bulkStore+"="+w.source), env...)
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go c.read(out)
	return c
}

func (c *bulk) read(out io.Reader) {
	defer close(c.done)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		c.got = append(c.got, lines.Text())
		if !strings.HasPrefix(lines.Text(), lineError) {
			c.lines <- struct{}{}
		}
	}
}

// await waits until the child is ready and has given out so many certificates
// less one.
func (c *bulk) await(n int) {
	c.t.Helper()
	for range n {
		select {
		case <-c.lines:
		case <-c.done:
			_ = c.cmd.Wait()
			c.t.Fatalf("the child ended: %s %q", c.stderr.String(), c.got)
		}
	}
}

func (c *bulk) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	c.wait()
}

// wait returns the exit status, -1 for a child that was killed.
func (c *bulk) wait() int {
	<-c.done
	_ = c.cmd.Wait() // the status says it
	return c.cmd.ProcessState.ExitCode()
}

// settle starts again what a child left behind and looks at everything: what
// was given out is there, what was begun ends, the log is whole.
func (w *world) settle(lines []string) {
	w.t.Helper()
	w.now = bulkTime
	w.openStore()
	a, err := authority.Open(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.Authority = a
	if err := w.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	key := w.oneKey()
	for _, o := range w.orders() {
		if _, err := w.issue(o, key); err != nil {
			w.t.Errorf("order %s does not end: %v", o.ID, err)
		}
	}
	w.check(w.orders()...)
	for _, line := range lines {
		what, rest, _ := strings.Cut(line, " ")
		id, sum, _ := strings.Cut(rest, " ")
		if what != lineGot {
			continue
		}
		if _, row, has := w.state(store.Order{ID: id}); !has || hex.EncodeToString(row.SHA256) != sum {
			w.t.Errorf("order %s: a client got %s, and the store has %x", id, sum, row.SHA256)
		}
	}
	w.checkpoint()
	r, err := audit.Verify(w.t.Context(), w.db, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if !r.Good() {
		w.t.Errorf("the audit log is not whole: %v", r.Findings)
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

// oneKey is the key of everybody: whoever finishes what a child began has it.
func (w *world) oneKey() crypto.Signer {
	w.t.Helper()
	path := filepath.Join(w.dir, "everybody")
	der, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key := newKey(w.t)
		if der, err = x509.MarshalPKCS8PrivateKey(key); err == nil {
			err = os.WriteFile(path, der, 0o600)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// TestBulk is the child: it issues for eight clients at once, as the server does.
func TestBulk(t *testing.T) {
	dir := os.Getenv(bulkFolder)
	if dir == "" {
		return
	}
	w := &world{t: t, dir: dir, source: os.Getenv(bulkStore), now: bulkTime}
	w.v = &validation.Validator{Clock: w.clock}
	w.openStore()
	w.stop = killer()
	a, err := authority.Open(t.Context(), w.options())
	if err != nil {
		t.Fatal(err)
	}
	w.Authority = a
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := w.oneKey()
	hash, err := issuance.KeyHash(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	most := times(t, bulkOrders, 1<<30)
	var next atomic.Int64
	next.Store(int64(len(w.orders())))
	last := next.Load() + int64(most)
	say(lineReady)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for n := next.Add(1); n <= last; n = next.Add(1) {
				if err := w.serve(int(n), key, hash); err != nil {
					say(lineError, strings.ReplaceAll(err.Error(), "\n", " "))
					if os.Getenv(bulkErrors) == "" {
						t.Error(err)
						return
					}
					time.Sleep(10 * time.Millisecond) // as a client would, and longer
				}
			}
		})
	}
	wg.Wait()
	if err := w.db.Close(); err != nil {
		say(lineError, err.Error())
	}
}

// serve gives one client a certificate.
func (w *world) serve(n int, key crypto.Signer, hash []byte) error {
	o, err := w.numbered(n, hash)
	if err != nil {
		return err
	}
	var warrant validation.Warrant
	err = w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		warrant, err = w.v.Warrant(tx, o)
		return err
	})
	if err != nil {
		return err
	}
	c, err := w.Issue(w.t.Context(), warrant, key.Public())
	if err != nil {
		return err
	}
	say(lineGot, o.ID, c.SHA256())
	return nil
}

// say writes a line in one piece.
func say(words ...string) { fmt.Println(strings.Join(words, " ")) }

// killer returns a function that ends the process at the step that the
// environment names, as kill -9 does.
func killer() func(string) error {
	at := os.Getenv(bulkKillAt)
	if at == "" {
		return nil
	}
	turn, err := strconv.Atoi(os.Getenv(bulkKillTurn))
	if err != nil {
		panic(err)
	}
	var reached atomic.Int64
	return func(step string) error {
		if step == at && reached.Add(1) == int64(turn) {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				panic(err)
			}
			time.Sleep(time.Minute) // not a step further
		}
		return nil
	}
}

// checkpoint signs the log's end, as a server does while it runs: thousands of
// entries without are a finding.
func (w *world) checkpoint() {
	w.t.Helper()
	log, err := audit.Open(w.t.Context(), audit.Options{Store: w.db, Clock: w.clock, Keys: &keys.Keys{Dir: w.dir, Plaintext: true}})
	if err == nil {
		_, err = log.Checkpoint(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
