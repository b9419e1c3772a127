package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/smime"
)

// Limits on one run of the program over one case.
const (
	maxCPU    = 2 // seconds
	maxMemory = 256 << 20
)

// program is mailseal as it is installed.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mailseal-testkit")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mailseal")
	build := exec.Command("go", "build", "-o", path, "github.com/mailseal/mailseal/cmd/mailseal")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// answerOfProgram is what one run left behind.
type answerOfProgram struct {
	stdout, stderr []byte
	exit           int
	output         []byte // of the file; nil where there is none
}

// TestProgram runs every case through the program: whatever the file, the exit status is one of four, no fault of the program shows,
// nothing is written that may not be, and neither time nor memory runs out.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and shares no memory")
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	groups := &groups{answers: map[string]groupAnswer{}}
	t.Run("cases", func(t *testing.T) {
		for _, c := range readCases(t) {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				(&run{t: t, path: path, c: c, found: runLibrary(t, c), groups: groups}).all()
			})
		}
	})
	groups.check(t)
}

// run is one case on its way through the program.
type run struct {
	t      *testing.T
	path   string
	c      *Case
	found  finding // by the library
	groups *groups
	dir    string
}

func (r *run) all() {
	r.dir = r.t.TempDir()
	message := filepath.Join(r.dir, "message")
	if err := os.WriteFile(message, r.c.Message, 0o600); err != nil {
		r.t.Fatal(err)
	}
	switch r.c.Form {
	case Raw:
		r.raw()
		return
	case Key:
		r.key()
		return
	}
	r.open()
	if !r.twice() {
		return
	}
	if len(r.c.Keys) == 0 {
		r.verify()
	} else if len(r.c.CRLs) == 0 {
		r.decrypt()
	}
}

// twice tells whether the case is worth a second command, which takes its time: those that are valid, those that must be answered
// alike, the slow ones, and of the others one in four. The library has seen them all.
func (r *run) twice() bool {
	group, _, _ := strings.Cut(r.c.Name, "/")
	return r.c.Expect == Valid || r.c.Alike != "" || group == "bomb" || group == "path" || crc32.ChecksumIEEE([]byte(r.c.Name))%4 == 0
}

// start runs the program in the folder of the message, under the limits.
func (r *run) start(args ...string) answerOfProgram {
	r.t.Helper()
	output := filepath.Join(r.dir, "output")
	cmd := exec.Command(r.path, args...)
	cmd.Dir = r.dir
	cmd.Env = []string{"MAILSEAL_HOME=" + filepath.Join(r.dir, "home"), "TMPDIR=" + r.dir, "MAILSEAL_PASSPHRASE=" + r.c.Passphrase}
	var a answerOfProgram
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	if err := limit(cmd.Process.Pid); err != nil {
		r.t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	a.stdout, a.stderr, a.exit = stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode()
	a.output, err = os.ReadFile(output)
	if err != nil {
		a.output = nil
	}
	_ = os.Remove(output)
	r.sane(args, a)
	r.groups.note(r.t, r.c, args[0], a)
	return a
}

// sane holds for every file that there is.
func (r *run) sane(args []string, a answerOfProgram) {
	r.t.Helper()
	if a.exit != 0 && a.exit != 1 && a.exit != 3 {
		r.t.Errorf("%v: exit status %d\n%s", args, a.exit, a.stderr)
	}
	for _, fault := range []string{"panic", "goroutine", "internal fault", "runtime error", "SIG"} {
		if strings.Contains(string(a.stderr)+string(a.stdout), fault) {
			r.t.Errorf("%v: %q in\n%s", args, fault, a.stderr)
		}
	}
	if a.exit != 0 && len(a.stderr)+len(a.stdout) == 0 {
		r.t.Errorf("%v: exit status %d without a word", args, a.exit)
	}
	left, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range left {
		if name := f.Name(); name != "message" && name != "home" {
			r.t.Errorf("%v: %s is left", args, name)
		}
	}
}

func (r *run) judgeFlags() (flags []string) {
	flags = append(flags, "--at", r.c.At.Format(time.RFC3339))
	for flag, names := range map[string][]string{"--trust": r.c.Anchors, "--intermediates": r.c.Intermediates, "--crl": r.c.CRLs} {
		for _, name := range names {
			flags = append(flags, flag, absolute(r.t, name))
		}
	}
	return flags
}

func absolute(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(pkiFile(name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (r *run) keyFlags() (flags []string) {
	for _, name := range r.c.Keys {
		flags = append(flags, "--as", absolute(r.t, name))
	}
	return flags
}

func (r *run) mailFlags(command string, more ...string) []string {
	args := append([]string{command, "--json"}, r.judgeFlags()...)
	if r.c.From != "" {
		args = append(args, "--from", r.c.From)
	}
	return append(args, more...)
}

// open writes the content unless it is closed or the verdict is "invalid", and says yes to a valid mail alone.
func (r *run) open() {
	a := r.start(append(r.mailFlags("open", "-o", "output"), append(r.keyFlags(), "message")...)...)
	r.verdict(a)
	r.status(a, r.c.Expect == Valid)
	if !bytes.Equal(a.output, r.found.written) || (a.output == nil) != (r.found.written == nil) {
		r.t.Errorf("open wrote %q, the library %q", clip(a.output), clip(r.found.written))
	}
	if a.output != nil {
		r.headerIsTheMails(a.output)
	}
}

// verify writes the content of a valid mail alone.
func (r *run) verify() {
	a := r.start(r.mailFlags("verify", "--content", "output", "message")...)
	r.verdict(a)
	r.status(a, r.c.Expect == Valid)
	if (a.output != nil) != (r.c.Expect == Valid) {
		r.t.Errorf("verify wrote %q", clip(a.output))
	}
}

// decrypt asks for no signer, and does not give out what has a wrong signature inside.
func (r *run) decrypt() {
	a := r.start(append([]string{"decrypt"}, append(r.keyFlags(), "message")...)...)
	if wrong := r.found.verdict == nil || !r.found.verdict.Encrypted || r.found.written == nil; wrong {
		r.status(a, false)
		if len(a.stdout) > 0 {
			r.t.Errorf("decrypt gave %q", clip(a.stdout))
		}
		return
	}
	r.status(a, true)
	if !bytes.Equal(a.stdout, r.found.written) {
		r.t.Errorf("decrypt gave %q, the library %q", clip(a.stdout), clip(r.found.written))
	}
}

// key signs with the key in the file, which takes no more than reading it.
func (r *run) key() {
	a := r.start("cms", "sign", "--as", "message", "-o", "output", "message")
	yes := r.c.Expect == Decrypted
	r.status(a, yes)
	if yes != (a.output != nil) {
		r.t.Errorf("wrote %q", clip(a.output))
	}
}

// raw is for what is no mail. Nothing but the right answer comes out, on standard output as in a file.
func (r *run) raw() {
	yes := r.c.Expect == Valid || r.c.Expect == Decrypted
	var a answerOfProgram
	switch {
	case r.c.Passphrase != "":
		a = r.start("cms", "decrypt", "--password-file", r.passphraseFile(), "-o", "output", "message")
	case len(r.c.Keys) > 0:
		a = r.start(append([]string{"cms", "decrypt"}, append(r.keyFlags(), "message")...)...)
		if len(a.stdout) > 0 {
			a.output = a.stdout
		}
	case strings.HasPrefix(r.c.Name, "bomb/zlib"):
		a = r.start("cms", "uncompress", "-o", "output", "message")
	default:
		a = r.start(append(append([]string{"cms", "verify", "--json"}, r.judgeFlags()...), "-o", "output", "message")...)
		r.verdict(a)
	}
	r.status(a, yes)
	if got := a.output; yes != (got != nil) || yes && Sum(got) != r.c.Plaintext {
		r.t.Errorf("wrote %q", clip(got))
	}
}

// passphraseFile is in the program's own folder, where nobody looks for what it leaves.
func (r *run) passphraseFile() string {
	r.t.Helper()
	path := filepath.Join(r.dir, "home", "passphrase")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(r.c.Passphrase+"\n"), 0o600)); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// status holds the exit status to the answer.
func (r *run) status(a answerOfProgram, yes bool) {
	r.t.Helper()
	if (a.exit == 0) != yes {
		r.t.Errorf("exit status %d\n%s", a.exit, a.stderr)
	}
}

// verdict holds the printed verdict to the library's.
func (r *run) verdict(a answerOfProgram) {
	r.t.Helper()
	if a.exit == 3 {
		if len(a.stdout) > 0 {
			r.t.Errorf("exit status 3, and %q", clip(a.stdout))
		}
		return
	}
	if r.found.verdict == nil {
		if len(a.stdout) > 0 {
			r.t.Errorf("a verdict where the library has none: %q", clip(a.stdout))
		}
		return
	}
	want, err := json.Marshal(r.found.verdict)
	if err != nil {
		r.t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, a.stdout); err != nil || !sameJSON(got.Bytes(), want) {
		r.t.Errorf("verdict %s, the library's %s (%v)", got.Bytes(), want, err)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return x["verdict"] == y["verdict"] && x["coverage"] == y["coverage"] && fmt.Sprint(x["signers"]) == fmt.Sprint(y["signers"])
}

// headerIsTheMails: no field from inside became one of the message, but those that describe the content, and a protected Subject. And
// where the header is protected no answer goes to eve.
func (r *run) headerIsTheMails(output []byte) {
	r.t.Helper()
	original := headerLines(r.c.Message)
	protected := r.found.verdict.HeaderProtection == smime.HeaderSigned || r.found.verdict.HeaderProtection == smime.HeaderEncrypted
	for _, line := range headerLines(output) {
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if protected && strings.Contains(line, "eve@example.com") {
			r.t.Errorf("%q leads answers to eve", line)
		}
		if strings.HasPrefix(name, "content-") || name == "mime-version" || protected && name == "subject" || slices.Contains(original, line) {
			continue
		}
		r.t.Errorf("%q was not in the message's own header", line)
	}
}

// headerLines are the fields up to the first empty line, as they are.
func headerLines(message []byte) []string {
	head, _, _ := strings.Cut(strings.ReplaceAll(string(message), "\r\n", "\n"), "\n\n")
	return strings.Split(strings.NewReplacer("\n ", " ", "\n\t", " ").Replace(head), "\n")
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }

// groups are the cases that an attacker must not be able to tell apart.
type groups struct {
	sync.Mutex
	answers map[string]groupAnswer
}

type groupAnswer struct {
	name           string
	stdout, stderr []byte
	exit, members  int
}

// note compares an answer with those of the group so far.
func (g *groups) note(t *testing.T, c *Case, command string, a answerOfProgram) {
	t.Helper()
	if c.Alike == "" {
		return
	}
	g.Lock()
	defer g.Unlock()
	key := c.Alike + " " + command + " " + string(c.Form)
	first, there := g.answers[key]
	if !there {
		first = groupAnswer{c.Name, a.stdout, a.stderr, a.exit, 0}
	}
	first.members++
	g.answers[key] = first
	if a.exit != first.exit || !bytes.Equal(a.stdout, first.stdout) || !bytes.Equal(a.stderr, first.stderr) {
		t.Errorf("%s is not answered like %s: %d, %q, %q; %d, %q, %q", c.Name, first.name, a.exit, a.stdout, a.stderr, first.exit, first.stdout, first.stderr)
	}
}

// check: a group of one would show nothing.
func (g *groups) check(t *testing.T) {
	if len(g.answers) == 0 {
		return // -run chose none of them
	}
	for name, a := range g.answers {
		if a.members < 5 {
			t.Errorf("group %s has %d answers", name, a.members)
		}
	}
	if len(g.answers) < 8 {
		t.Errorf("%d groups", len(g.answers))
	}
}
