package cli_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailseal/mailseal/cert"
)

// digest holds the record of a ceremony to a file that it names: digest RECORD FILE
func digest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest RECORD FILE")
	}
	sum := sha256.Sum256([]byte(ts.ReadFile(args[1])))
	if want := hex.EncodeToString(sum[:]); !strings.Contains(ts.ReadFile(args[0]), want) {
		ts.Fatalf("%s does not have the digest of %s, %s", args[0], args[1], want)
	}
}

// serial puts the serial number of a certificate into a variable: serial FILE NAME
func serial(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serial FILE NAME")
	}
	list, err := cert.ParseAll([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Setenv(args[1], list[0].SerialHex())
}

// waitFor waits until a file is there: wait-for FILE
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-for FILE")
	}
	for range 600 {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s is not there after half a minute", args[0])
}
