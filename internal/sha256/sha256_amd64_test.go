//go:build gc && !purego

package sha256

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"os"
	"os/exec"
	"reflect"
	"testing"
)

// TestFIPS: in FIPS 140 mode the validated module hashes, whatever the processor has.
func TestFIPS(t *testing.T) {
	if fips140.Enabled() {
		if h := New(); reflect.TypeOf(h) != reflect.TypeOf(sha256.New()) {
			t.Errorf("%T", h)
		}
		return
	}
	again := exec.Command(os.Args[0], "-test.run=^TestFIPS$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=fips140=on")
	if out, err := again.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestFIPS")) {
		t.Errorf("%v\n%s", err, out)
	}
}
