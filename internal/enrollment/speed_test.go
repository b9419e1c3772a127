//go:build unix

package enrollment_test

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
)

// spent is the CPU time of this process so far, and the most memory that it had.
func spent(t testing.TB) (cpu time.Duration, peak int64) {
	t.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()), use.Maxrss >> 10
}

// TestSpeed equips MAILSEAL_PEOPLE people with keys of MAILSEAL_ALGORITHM, and
// says what it took; `make enterprise` runs it for several numbers. Its limits
// are those that were promised, in CPU time, because the machine may have other
// work: 18 ms a person on two cores are three minutes for 10,000.
func TestSpeed(t *testing.T) {
	people := strings.Fields(os.Getenv("MAILSEAL_PEOPLE"))
	if len(people) == 0 {
		t.Skip("MAILSEAL_PEOPLE names no number of people")
	}
	mode, algorithm := enrollment.ModeServerKeys, os.Getenv("MAILSEAL_ALGORITHM")
	if algorithm == "" {
		algorithm = "p256"
	}
	for _, text := range people {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(text, func(t *testing.T) {
			h := newHouse(t, func(s *registration.Settings) { s.Algorithm = algorithm })
			h.quiet = os.Getenv("MAILSEAL_MAILS") == "" // they are queued
			debug.FreeOSMemory()
			before, _ := spent(t)
			begun := time.Now()
			r := h.start(list(n), enrollment.StartOptions{Mode: mode})
			started := time.Since(begun)
			h.work()
			for h.run(r.ID).State == enrollment.RunRunning {
				time.Sleep(min(500*time.Millisecond, time.Duration(n)*100*time.Microsecond))
			}
			took := time.Since(begun)
			after, peak := spent(t)
			if r = h.run(r.ID); r.Done != n {
				t.Fatalf("%+v", r)
			}
			cpu := after - before
			t.Logf("%d people, %s: %.1f s (start %.1f s), %.1f s of CPU, %.2f ms of CPU each, at most %d MiB", n, algorithm, took.Seconds(), started.Seconds(), cpu.Seconds(), float64(cpu.Milliseconds())/float64(n), peak)
			if peak > 512 {
				t.Errorf("%d MiB of memory", peak)
			}
			if each := cpu / time.Duration(n); algorithm == "p256" && each > 36*time.Millisecond {
				t.Errorf("%s of CPU for each person", each)
			}
		})
	}
}
