//go:build gc && !purego

package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestFIPS: in FIPS 140 mode the validated module encrypts, whatever the processor has.
func TestFIPS(t *testing.T) {
	_, is := ours(t, make([]byte, 16), make([]byte, aes.BlockSize)).(*encrypter)
	if want := cpu.X86.HasAES && cpu.X86.HasAVX && !fips140.Enabled(); is != want {
		t.Errorf("%v, not %v", is, want)
	}
	if fips140.Enabled() {
		return
	}
	again := exec.Command(os.Args[0], "-test.run=^TestFIPS$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=fips140=on")
	if out, err := again.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestFIPS")) {
		t.Errorf("%v\n%s", err, out)
	}
}
