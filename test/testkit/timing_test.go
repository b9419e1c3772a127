package testkit

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
)

// timingVariable sets how often each class is measured; `make timing` does.
const (
	timingVariable = "MAILSEAL_TIMING"
	// enough is how many measurements bear a judgement.
	enough = 10_000
	// noise is a difference that no network shows.
	noise = time.Microsecond
)

// TestTiming decrypts messages that fail for causes which a sender must not learn (RFC 3218), interleaved at random. With few
// measurements it holds only that all fail with the same error; with many that they take the same time of the processor.
func TestTiming(t *testing.T) {
	n := 5
	if v := os.Getenv(timingVariable); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatalf("%s: %v", timingVariable, err)
		}
	}
	for name, classes := range map[string][]string{
		"RSA PKCS #1 v1.5": {"pkcs1-conforming-other-key", "pkcs1-kind-1", "pkcs1-no-separator", "pkcs1-short-key", "pkcs1-right-key-changed-content"},
		"RSAES-OAEP":       {"oaep-first-octet-zero", "oaep-first-octet-not-zero", "oaep-pkcs1-block", "oaep-zero"},
		"key agreement":    {"agreement-other-point", "agreement-key-flipped", "agreement-key-end", "agreement-key-of-zeroes"},
		"CBC padding":      {"padding-octet-0", "padding-octet-7", "padding-octet-15", "padding-almost-16"},
	} {
		t.Run(name, func(t *testing.T) { measureClasses(t, classes, n) })
	}
}

// measureClasses compares the other classes with the first, and the first with itself: what differs there is the machine's.
func measureClasses(t *testing.T, classes []string, n int) {
	classes = append(classes, classes[0])
	var messages [][]byte
	for _, class := range classes {
		messages = append(messages, readCase(t, "oracle/"+class+".cms").Message)
	}
	d := &decryption{t: t, keys: readCase(t, "oracle/"+classes[0]+".cms").options(t).Keys, message: make([]byte, 1<<16)}
	times := make([][]time.Duration, len(classes))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		if i%500 == 0 {
			runtime.GC()
		}
		for _, class := range r.Perm(len(classes)) {
			times[class] = append(times[class], d.attempt(messages[class]))
		}
	}
	for i, class := range classes[1:] {
		differences := make([]time.Duration, n)
		for j := range n {
			differences[j] = times[i+1][j] - times[0][j]
		}
		middle, low, high := median(differences)
		base, _, _ := median(slices.Clone(times[0]))
		t.Logf("%s against %s: median %v more than %v, 95 %% between %v and %v, of %d", class, classes[0], middle, base, low, high, n)
		if n >= enough && (low > 0 || high < 0) && middle.Abs() >= noise {
			t.Errorf("%s can be told from %s", class, classes[0])
		}
	}
}

// decryption has one place in memory for the keys and one for the message, since a place alone makes a difference.
type decryption struct {
	t       *testing.T
	keys    []*cms.RecipientKey
	message []byte
}

// attempt decrypts a message that does not decrypt, and takes the time.
func (d *decryption) attempt(message []byte) time.Duration {
	src := bytes.NewReader(d.message[:copy(d.message, message)])
	start, clockErr := spent()
	r, err := cms.NewReader(src, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	e, err := r.EnvelopedData(d.keys)
	if err == nil {
		_, err = io.Copy(io.Discard, e)
	}
	end, endErr := spent()
	if err := errors.Join(clockErr, endErr); err != nil {
		d.t.Fatal(err)
	}
	if !errors.Is(err, cms.ErrDecrypt) || err.Error() != cms.ErrDecrypt.Error() {
		d.t.Fatalf("%v, where all errors must be alike", err)
	}
	return end - start
}

// median and the bounds between which it lies with 95 percent, by the ranks of the binomial distribution.
func median(d []time.Duration) (middle, low, high time.Duration) {
	slices.Sort(d)
	n := len(d)
	spread := int(math.Ceil(0.98 * math.Sqrt(float64(n))))
	return d[n/2], d[max(0, n/2-spread)], d[min(n-1, n/2+spread)]
}
