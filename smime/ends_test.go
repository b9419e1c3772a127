package smime

import (
	"bytes"
	"encoding/base64"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestDelimiterInTheMiddle: of a long message the signature is verified over what lies between the delimiters at both ends,
// while others are searched. Whoever signs what has a delimiter inside, far from both ends, gets what a short message gets:
// the parts that MIME sees, and no signature over them.
func TestDelimiterInTheMiddle(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	filler := strings.Repeat(strings.Repeat("lorem ipsum ", 6)+"\r\n", 5000) // 370 kB
	for name, c := range map[string]struct {
		middle string
		want   Conclusion
		reason string // or a warning
	}{
		"none":            {"", Valid, ""},
		"delimiter":       {"--b\r\n", Invalid, "3 parts"},
		"close delimiter": {"--b--\r\n", Invalid, "1 parts"},
		"lookalike":       {"--bb\r\n", Valid, "look like a boundary"},
		"inside a line":   {"x--b\r\n", Valid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signed := "Content-Type: text/plain\r\n\r\n" + filler + c.middle + filler + "end"
			message := aroundSignature(t, alice, signed)
			m := open(t, message, w.options())
			if m.Verdict.Verdict != c.want {
				t.Fatalf("%s", show(m.Verdict))
			}
			if c.want == Invalid {
				if got := show(m.Verdict); !strings.Contains(got, c.reason) {
					t.Errorf("no word of %q: %s", c.reason, got)
				}
				return
			}
			if c.reason != "" {
				wantWarning(t, m, c.reason)
			}
			if got := content(t, m); got != signed {
				t.Errorf("%d octets of content, not %d", len(got), len(signed))
			}
			// One octet in the middle, which no end has.
			at := strings.Index(message, filler) + len(filler) + len(c.middle) + 100
			changed := open(t, message[:at]+"X"+message[at+1:], w.options())
			wantVerdict(t, changed, Invalid, CoverageWhole)
		})
	}
}

// TestCloseInTheMiddle: the ends show two parts, of which the second seems to reach to the end of the message.
func TestCloseInTheMiddle(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	const searched = 128 << 10 // at each end
	signed := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("x\r\n", (searched-300)/3)
	message := aroundSignature(t, alice, signed) + strings.Repeat("not signed\r\n", searched/4)
	_, body, _ := strings.Cut(message, "\r\n\r\n")
	if second, end := strings.LastIndex(body, "--b\r\n"), strings.Index(body, "--b--"); second > searched || end < searched || end > len(body)-searched {
		t.Fatalf("delimiters at %d and %d of %d", second, end, len(body))
	}
	m := open(t, message, w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "text behind the signed part")
}

// TestBothAtOnce: the middle of a long message is searched and hashed at the same time.
func TestBothAtOnce(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	message := aroundSignature(t, alice, "Content-Type: text/plain\r\n\r\n"+strings.Repeat("lorem ipsum\r\n", 100_000))
	src := &meeting{ReaderAt: strings.NewReader(message), at: int64(len(message) / 2), both: make(chan struct{})}
	m, err := Open(src, int64(len(message)), w.options())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	wantVerdict(t, m, Valid, CoverageWhole)
	if src.alone.Load() {
		t.Error("one of them had the middle to itself")
	}
}

// meeting has those who read a place wait there for each other.
type meeting struct {
	io.ReaderAt
	at    int64
	came  atomic.Int32
	both  chan struct{}
	alone atomic.Bool
}

func (m *meeting) ReadAt(p []byte, off int64) (int, error) {
	if off <= m.at && m.at < off+int64(len(p)) {
		if m.came.Add(1) == 2 {
			close(m.both)
		}
		select {
		case <-m.both:
		case <-time.After(10 * time.Second):
			m.alone.Store(true)
		}
	}
	return m.ReaderAt.ReadAt(p, off)
}

// TestAbandoned: a message whose middle has a delimiter is not hashed to its end.
func TestAbandoned(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	filler := strings.Repeat("lorem ipsum\r\n", 1_000_000)
	message := aroundSignature(t, alice, "Content-Type: text/plain\r\n\r\n"+filler+"--b\r\n"+filler)
	src := &counted{ReaderAt: strings.NewReader(message), size: int64(len(message)), searched: make(chan struct{})}
	m, err := Open(src, int64(len(message)), w.options())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	wantVerdict(t, m, Invalid, CoveragePart)
	// The delimiters are searched once for the parts and once for what is shown; hashing would be the third time.
	if read := src.octets.Load(); read > int64(len(message))*8/3 {
		t.Errorf("%d octets were read of %d", read, len(message))
	}
}

// counted counts what is read. It lets the search come first, and whoever hashes have
// time to learn of it.
type counted struct {
	io.ReaderAt
	size     int64
	octets   atomic.Int64
	middle   atomic.Bool
	searched chan struct{}
	once     sync.Once
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	var callers [64]uintptr
	frames, hashes := runtime.CallersFrames(callers[:runtime.Callers(1, callers[:])]), false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		hashes = hashes || strings.Contains(f.Function, "ahead.(*Reader).start")
	}
	switch {
	case hashes && off > c.size/4:
		<-c.searched
		time.Sleep(5 * time.Millisecond)
	case !hashes && off <= c.size/2 && c.size/2 < off+int64(len(p)):
		c.middle.Store(true) // which who looks at the ends does not read
	case !hashes && off+int64(len(p)) >= c.size && c.middle.Load():
		c.once.Do(func() { close(c.searched) })
	}
	n, err := c.ReaderAt.ReadAt(p, off)
	c.octets.Add(int64(n))
	return n, err
}

// TestLongBareLF: the line ends that were signed are found in a long message as in a short one, with the warning.
func TestLongBareLF(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	content := "Content-Type: text/plain\n\n" + strings.Repeat("lorem ipsum\n", 50_000)
	m := open(t, aroundSignature(t, alice, content), w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "other line ends")
}

// aroundSignature makes a multipart/signed around content as it is, whatever it holds.
func aroundSignature(t *testing.T, by *testca.Leaf, content string) string {
	t.Helper()
	var der bytes.Buffer
	s, err := cms.Sign(&der, []*cms.Signer{signerOf(by)}, &cms.SignOptions{Detached: true, Time: testca.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return "From: alice@example.com\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n" +
		"--b\r\n" + content + "\r\n--b\r\n" +
		"Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(der.Bytes()) + "\r\n--b--\r\n"
}
