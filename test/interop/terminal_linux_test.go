package interop

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program that believes that a person sits before it.
type terminal struct {
	keys io.Writer

	mu  sync.Mutex
	out bytes.Buffer // what it wrote since the last key
}

func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.Write(p)
}

// onTerminal starts a program on a terminal of its own, 100 columns wide.
func onTerminal(t *testing.T, env []string, name string, args ...string) *terminal {
	t.Helper()
	near, far := pseudoterminal(t)
	defer far.Close()
	cmd := exec.Command(name, args...)
	cmd.Env = append(env, "TERM=vt100", "LC_ALL=C.UTF-8")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far, far, far
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &terminal{keys: near}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(x, near) // ends with an error when the program does
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		near.Close()
		<-done
	})
	return x
}

// pseudoterminal returns the person's side and the program's (pty(7)).
func pseudoterminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(near.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	if far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// wait waits until the program has written text.
func (x *terminal) wait(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(peerTimeout); ; time.Sleep(20 * time.Millisecond) {
		x.mu.Lock()
		seen := x.out.String()
		x.mu.Unlock()
		if strings.Contains(seen, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in\n%q", text, seen)
		}
	}
}

// press waits for text and then presses keys.
func (x *terminal) press(t *testing.T, text, keys string) {
	t.Helper()
	x.wait(t, text)
	x.mu.Lock()
	x.out.Reset()
	x.mu.Unlock()
	if _, err := io.WriteString(x.keys, keys); err != nil {
		t.Fatal(err)
	}
}
