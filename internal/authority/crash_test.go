//go:build linux

package authority_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/validation"
)

// event is one thing that a process did to the disk, or told a client.
type event struct {
	what string // write, truncate, create, unlink, sync, line
	path string
	at   int64  // offset or size
	data []byte // or the line
	from int    // sync: how many events came before it began
}

// A line of strace: the process, the call, and "unfinished" or the result.
var (
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)\((.*?)(?:\) += (-?\d+).*| <unfinished \.\.\.>)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>.*\) += (-?\d+)`)
	descriptor  = regexp.MustCompile(`^(\d+)<([^>]*)>`)
)

// trace reads what strace recorded. A write counts from the moment it began, a
// sync from its end and for what began before it did.
type trace struct {
	t      *testing.T
	events []event
	open   map[string]event // calls of a process that have begun
}

func readTrace(t *testing.T, path string) []event {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &trace{t: t, open: map[string]event{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		r.line(lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return r.events
}

func (r *trace) line(line string) {
	if m := resumedLine.FindStringSubmatch(line); m != nil {
		e, known := r.open[m[1]]
		delete(r.open, m[1])
		if known && e.what == "sync" && m[3] == "0" {
			r.events = append(r.events, e)
		}
		return
	}
	m := callLine.FindStringSubmatch(line)
	if m == nil {
		return // signals, exits
	}
	e, ok := r.event(m[2], m[3])
	switch {
	case !ok || strings.HasPrefix(m[4], "-"):
	case e.what == "sync" && m[4] == "": // goes on
		r.open[m[1]] = e
	default:
		r.events = append(r.events, e)
	}
}

func (r *trace) event(call, args string) (e event, ok bool) {
	if call == "openat" || call == "unlink" || call == "unlinkat" {
		quoted := regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`).FindStringSubmatch(args)
		if quoted == nil {
			return e, false
		}
		e = event{what: "unlink", path: string(r.octets(quoted[1]))}
		if call == "openat" {
			e.what = "create"
			return e, strings.Contains(args, "O_CREAT")
		}
		return e, true
	}
	fd := descriptor.FindStringSubmatch(args)
	if fd == nil {
		return e, false
	}
	e.path = fd[2]
	if strings.Contains(e.path, `\x`) {
		e.path = string(r.octets(e.path))
	}
	rest := strings.TrimPrefix(args[len(fd[0]):], ", ")
	switch call {
	case "fsync", "fdatasync":
		e.what, e.from = "sync", len(r.events)
	case "ftruncate":
		e.what, e.at = "truncate", r.number(rest)
	case "pwrite64", "write":
		text, numbers, _ := strings.Cut(strings.TrimPrefix(rest, `"`), `"`)
		e.what, e.data = "write", r.octets(text)
		fields := strings.Split(strings.TrimPrefix(numbers, ", "), ", ")
		if int64(len(e.data)) != r.number(fields[0]) {
			r.t.Fatalf("strace left something out: %.200s", args)
		}
		if call == "pwrite64" {
			e.at = r.number(fields[1])
		} else if fd[1] == "1" {
			e.what = "line"
		} else {
			return e, false // to pipes; files are written with pwrite
		}
	}
	return e, e.what != ""
}

func (r *trace) octets(escaped string) []byte {
	out := make([]byte, len(escaped)/4)
	for i := range out {
		v, err := strconv.ParseUint(escaped[4*i+2:4*i+4], 16, 8)
		if err != nil {
			r.t.Fatal(err)
		}
		out[i] = byte(v)
	}
	return out
}

func (r *trace) number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

const sector = 512

// disk is what a disk is sure to have of some files, and what it may have.
type disk struct {
	sure    map[string][]byte
	pending []event
	paths   map[string]bool
}

// take brings the disk to the state after an event.
func (d *disk) take(events []event, i int) {
	e := events[i]
	if e.what != "sync" {
		if d.paths[e.path] {
			e.from = i
			d.pending = append(d.pending, e)
		}
		return
	}
	// A file's sync makes its content sure, a folder's what is in it.
	d.pending = slices.DeleteFunc(d.pending, func(p event) bool {
		named := p.what == "create" || p.what == "unlink"
		if p.from >= e.from || named && filepath.Dir(p.path) != e.path || !named && p.path != e.path {
			return false
		}
		apply(d.sure, p, nil)
		return true
	})
}

// apply does one thing to the files; of a write only the sectors that lucky says.
func apply(files map[string][]byte, e event, lucky func() bool) {
	content, there := files[e.path]
	grow := func(size int64) {
		if int64(len(content)) < size {
			content = append(content, make([]byte, size-int64(len(content)))...)
		}
	}
	switch e.what {
	case "create":
		if !there {
			files[e.path] = []byte{}
		}
		return
	case "unlink":
		delete(files, e.path)
		return
	case "truncate":
		grow(e.at)
		content = content[:e.at]
	case "write":
		for start := int64(0); start < int64(len(e.data)); {
			end := min((e.at+start)/sector*sector+sector-e.at, int64(len(e.data)))
			if lucky == nil || lucky() {
				grow(e.at + end)
				copy(content[e.at+start:], e.data[start:end])
			}
			start = end
		}
	}
	files[e.path] = content
}

// image draws what the disk may have after a crash: of all that was not synced
// nothing, everything, the first of it, or any sectors of any writes.
func (d *disk) image(r *rand.Rand) map[string][]byte {
	files := map[string][]byte{}
	for path, content := range d.sure {
		files[path] = bytes.Clone(content)
	}
	keep := []float64{0, 1, 0.5, 0.1, 0.9}[r.IntN(5)]
	pending := d.pending
	if r.IntN(4) == 0 {
		pending = pending[:r.IntN(len(pending)+1)]
	}
	whole := r.IntN(3) == 0 // writes as a whole, or each sector for itself
	for _, e := range pending {
		lucky := r.Float64() < keep
		if e.what != "write" {
			if lucky {
				apply(files, e, nil)
			}
			continue
		}
		apply(files, e, func() bool {
			if whole {
				return lucky
			}
			return r.Float64() < keep
		})
	}
	return files
}

// TestCrashImages records what a process that issues writes and syncs, and makes
// of it what a disk may have after a loss of power at any moment: what was not
// synced is there or not, in pieces of 512 octets. Each such disk opens with
// everything that a client got.
func TestCrashImages(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a server for each image")
	}
	images := times(t, "MAILSEAL_IMAGES", 60)
	w := foundAt(t, filepath.Join(t.TempDir(), "mailseal.db"), authority.Founding{BaseURL: "http://ca.example.org", Dev: true})
	w.oneKey()
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	d := &disk{sure: map[string][]byte{}, paths: map[string]bool{w.source: true, w.source + "-wal": true, w.source + "-journal": true}}
	start, err := os.ReadFile(w.source)
	if err != nil {
		t.Fatal(err)
	}
	d.sure[w.source] = start
	w.openStore()
	record := filepath.Join(t.TempDir(), "trace")
	c := w.bulk([]string{bulkOrders + "=" + strconv.Itoa(max(50, images/50))}, strace(t, "-y", "-xx", "-s", "1048576", "-o", record,
		"-e", "trace=openat,write,pwrite64,ftruncate,fsync,fdatasync,unlink,unlinkat")...)
	if code := c.wait(); code != 0 {
		t.Fatalf("the child ended with %d: %s", code, c.stderr.String())
	}
	events := readTrace(t, record)
	moments := make([]int, images)
	r := rand.New(rand.NewPCG(uint64(len(events)), 1))
	for i := range moments {
		moments[i] = 1 + r.IntN(len(events))
	}
	slices.Sort(moments)
	// The end of the trace is what the folder has now: nothing was overlooked.
	last := &disk{sure: map[string][]byte{w.source: bytes.Clone(start)}, paths: d.paths}
	var lines []string
	done := 0
	for i := range events {
		last.take(events, i)
		d.take(events, i)
		if events[i].what == "line" {
			lines = append(lines, strings.TrimSuffix(string(events[i].data), "\n"))
		}
		for ; done < len(moments) && moments[done] == i+1; done++ {
			w.settleImage(t, d.image(r), lines)
			if (done+1)%500 == 0 {
				t.Logf("%d images", done+1)
			}
			if t.Failed() {
				t.Fatalf("after event %d of %d (%s %s)", i, len(events), events[i].what, events[i].path)
			}
		}
	}
	for _, e := range last.pending {
		apply(last.sure, e, nil)
	}
	if end, err := os.ReadFile(w.source); err != nil || !bytes.Equal(end, last.sure[w.source]) {
		t.Errorf("the trace does not explain the file that there is: %v", err)
	}
	count := map[string]int{}
	for _, e := range events {
		count[e.what]++
	}
	t.Logf("%d images of %v, %d certificates", images, count, len(lines)-1)
}

// settleImage opens a disk's files in a place of their own.
func (w *world) settleImage(t *testing.T, files map[string][]byte, lines []string) {
	t.Helper()
	place := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		place = "/dev/shm" // nobody waits for a disk
	}
	dir, err := os.MkdirTemp(place, "mailseal-image-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for path, content := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := &world{t: t, dir: w.dir, source: filepath.Join(dir, filepath.Base(w.source))}
	image.v = &validation.Validator{Clock: image.clock}
	image.settle(lines)
	if err := image.db.Close(); err != nil {
		t.Error(err)
	}
}

// strace returns the command that runs another one under it.
func strace(t *testing.T, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no strace: run scripts/test-deps")
	}
	return append([]string{path, "-f", "-qq", "-e", "signal=none"}, args...)
}

// TestFaults lets the Nth write, sync or truncation of the database fail,
// for every N in the long form, once or from then on: an error says so, and
// after a restart everything is as it must be.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a process for each fault")
	}
	long := times(t, "MAILSEAL_FAULTS", 0)
	for _, fault := range []struct {
		calls, errno, says string
		few                []int
	}{
		{"pwrite64", "ENOSPC", "full", []int{1, 30}},
		{"pwrite64", "EIO", "I/O", []int{9}},
		{"fsync,fdatasync", "EIO", "I/O", []int{2}},
		{"ftruncate", "EIO", "", []int{1}},
	} {
		for _, on := range []string{"", "+"} {
			list := fault.few
			if long > 0 {
				list = nil
				for n := range long {
					list = append(list, n+1)
				}
			}
			for _, n := range list {
				when := strconv.Itoa(n) + on
				t.Run(fmt.Sprintf("%s %s %s", fault.calls, fault.errno, when), func(t *testing.T) {
					failed := failAt(t, fault.calls, fault.errno, when, fault.says)
					if !failed && long == 0 && on == "+" && fault.calls != "ftruncate" {
						t.Error("nothing failed")
					}
				})
			}
		}
	}
}

// failAt tells whether the fault came up.
func failAt(t *testing.T, calls, errno, when, says string) (failed bool) {
	w := foundAt(t, filepath.Join(t.TempDir(), "mailseal.db"), authority.Founding{BaseURL: "http://ca.example.org", Dev: true})
	w.oneKey()
	c := w.bulk([]string{bulkOrders + "=12", bulkErrors + "=1"}, strace(t, "-o", os.DevNull,
		"-P", w.source, "-P", w.source+"-wal", "-e", "trace="+calls, "-e", "inject="+calls+":error="+errno+":when="+when)...)
	if code := c.wait(); code != 0 && len(c.got) > 0 && c.got[0] == lineReady {
		t.Errorf("the child ended with %d: %s", code, c.stderr.String())
	} else if code != 0 {
		// It failed while it opened the store, and says why.
		failed = true
		if !strings.Contains(c.stderr.String()+strings.Join(c.got, "\n"), says) {
			t.Errorf("the child does not say %q: %s %q", says, c.stderr.String(), c.got)
		}
	}
	for _, line := range c.got {
		if text, isError := strings.CutPrefix(line, lineError+" "); isError {
			failed = true
			if !strings.Contains(text, "unavailable") || !strings.Contains(text, says) {
				t.Errorf("not a clear error: %s", text)
			}
		}
	}
	w.settle(c.got)
	return failed
}
