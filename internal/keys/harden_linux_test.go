package keys

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// In a process of its own: what is given up cannot be taken back.
func TestHarden(t *testing.T) {
	if os.Getenv("MAILSEAL_TEST_HARDEN") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHarden$", "-test.v")
		cmd.Env = append(os.Environ(), "MAILSEAL_TEST_HARDEN=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for range 2 {
		if err := Harden(); err != nil {
			t.Fatal(err)
		}
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core != (unix.Rlimit{}) {
		t.Errorf("core files of up to %+v, %v", core, err)
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || n != 0 {
		t.Errorf("dumpable: %d, %v", n, err)
	}
}
