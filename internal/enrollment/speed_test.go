//go:build unix

package enrollment_test

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// rsaKeys makes n keys on all cores and says what that took.
func rsaKeys(t testing.TB, bits, n int) (took, cpu time.Duration) {
	t.Helper()
	before, _ := spent(t)
	begun := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				if _, err := rsa.GenerateKey(rand.Reader, bits); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	after, _ := spent(t)
	return time.Since(begun), after - before
}

// TestSpeed equips MAILSEAL_PEOPLE people with keys of MAILSEAL_ALGORITHM, and
// says what it took; `make enterprise` runs it for several numbers. Its limits
// are those that were promised, in CPU time, because the machine may have other
// work: 18 ms a person on two cores are three minutes for 10,000. RSA keys take
// so long to make that all else together may add 15 percent.
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
			if algorithm == "rsa-3072" {
				alone, keys := rsaKeys(t, 3072, n)
				t.Logf("%.2f times the CPU of making %d such keys, %.2f times as long", cpu.Seconds()/keys.Seconds(), n, took.Seconds()/alone.Seconds())
				if cpu.Seconds() > 1.15*keys.Seconds() {
					t.Errorf("%.1f s of CPU, %.1f for the keys alone", cpu.Seconds(), keys.Seconds())
				}
			}
			if peak > 512 {
				t.Errorf("%d MiB of memory", peak)
			}
			if each := cpu / time.Duration(n); algorithm == "p256" && each > 36*time.Millisecond {
				t.Errorf("%s of CPU for each person", each)
			}
		})
	}
}
