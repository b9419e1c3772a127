package enrollment_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// These tell TestChild, as the child of another test, where to work.
const (
	childFolder = "MAILSEAL_TEST_RUN_FOLDER"
	childStore  = "MAILSEAL_TEST_RUN_STORE"
	childKillAt = "MAILSEAL_TEST_RUN_KILL_AT" // a step, at which the child kills itself
	childTurn   = "MAILSEAL_TEST_RUN_TURN"    // when it is reached for that time
)

// TestChild is the child: it works on the one run until that is done or until it
// is killed.
func TestChild(t *testing.T) {
	dir := os.Getenv(childFolder)
	if dir == "" {
		return
	}
	h := &house{t: t, dir: dir, source: os.Getenv(childStore), quiet: true}
	h.open(false)
	h.stop = killer(t)
	stop := h.work()
	defer stop()
	for {
		var running []store.Run
		err := h.db.View(t.Context(), func(tx *store.Tx) (err error) {
			running, err = tx.RunningRuns()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(running) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// killer ends the process at the step that the environment names, as kill -9
// does.
func killer(t *testing.T) func(string) error {
	at := os.Getenv(childKillAt)
	if at == "" {
		return nil
	}
	turn, err := strconv.ParseInt(os.Getenv(childTurn), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int64
	return func(step string) error {
		if step == at && reached.Add(1) == turn {
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

// child runs one, and kills it after a while unless it kills itself or ends.
// Killed tells whether it ended so.
func (h *house) child(after time.Duration, env ...string) (killed bool) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(append(os.Environ(), childFolder+"="+h.dir, childStore+"="+h.source), env...)
	out := &limitedText{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	if after > 0 {
		defer time.AfterFunc(after, func() { _ = cmd.Process.Kill() }).Stop()
	}
	if err := cmd.Wait(); err != nil {
		if cmd.ProcessState.ExitCode() != -1 {
			h.t.Fatalf("the child failed: %s", out.text)
		}
		return true
	}
	return false
}

type limitedText struct{ text []byte }

func (l *limitedText) Write(p []byte) (int, error) {
	l.text = append(l.text, p[:min(len(p), max(0, 1<<16-len(l.text)))]...)
	return len(p), nil
}

// A process that is killed in the middle of a run, at any step and at any time,
// loses nothing and doubles nothing: everybody has one certificate for each
// order, one file that opens with the sheet's passphrase, and one mail.
func TestKill(t *testing.T) {
	n, kills := 40, 3
	if text := os.Getenv("MAILSEAL_RUN_KILLS"); text != "" { // make run-kills
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		n = 10 * kills
	}
	h := newHouse(t, func(s *registration.Settings) { s.Split, s.Escrow = true, true })
	r := h.start(list(n), enrollment.StartOptions{})
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, step := range enrollment.Steps() {
		if h.child(0, childKillAt+"="+step, childTurn+"=1") {
			killed++
		}
	}
	if killed < len(enrollment.Steps())-1 { // the last ones may find nothing to do
		t.Errorf("only %d children were killed at a step", killed)
	}
	for range kills {
		after := 200*time.Millisecond + rand.N(1500*time.Millisecond)
		if h.child(after) {
			killed++
		} else {
			break
		}
	}
	h.child(0)
	h.open(false)
	if r = h.run(r.ID); r.State != enrollment.RunDone || r.Done != n {
		t.Fatalf("%+v", r)
	}
	h.check(r.ID)
	passphrases := h.sheet(r.ID)
	err := h.db.View(t.Context(), func(tx *store.Tx) error {
		people, err := tx.RunPeople(r.ID, "done", -1, n)
		if err != nil {
			return err
		}
		for _, p := range people {
			valid, err := tx.ValidCertificatesOf(h.org, p.PersonID, h.clock())
			if err != nil {
				return err
			}
			if len(valid) != 2 || len(p.Orders) != 2 {
				t.Errorf("%s has %d certificates for %d orders", p.Address, len(valid), len(p.Orders))
			}
			pickup, err := tx.Pickup(p.PickupID)
			if err != nil {
				return err
			}
			if ids := openFile(t, pickup.File, passphrases[p.Address]).Identities; len(ids) != 2 || ids[0].Certificate == nil || ids[1].Certificate == nil {
				t.Errorf("the file of %s has %v", p.Address, ids)
			}
			if _, err := tx.LastMail("pickup", p.PickupID); err != nil {
				t.Errorf("no mail to %s: %v", p.Address, err)
			}
		}
		jobs, err := tx.JobsOf("open", 1<<20)
		mails := 0
		for _, j := range jobs {
			if j.Kind == "mail pickup" {
				mails++
			}
		}
		if mails != n {
			t.Errorf("%d mails wait, for %d people", mails, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d people, killed %d times", n, killed)
}
