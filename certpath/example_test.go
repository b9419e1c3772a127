package certpath_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/testca"
)

var update = flag.Bool("update", false, "make the files of the examples anew")

// TestExampleFiles makes the files that the examples read, with -update.
func TestExampleFiles(t *testing.T) {
	if !*update {
		t.Skip("the files are made with -update only")
	}
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.com", testca.P256)
	for name, data := range map[string][]byte{
		"roots.pem": ca.Root.Certificate.PEM(),
		"alice.pem": bytes.Join([][]byte{alice.Certificate.PEM(), ca.Issuing.Certificate.PEM()}, nil),
	} {
		if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(name string) []*cert.Certificate {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		panic(err)
	}
	list, err := cert.ParseAll(data)
	if err != nil {
		panic(err)
	}
	return list
}

func ExampleVerify() {
	roots, received := read("roots.pem"), read("alice.pem")
	chain, err := certpath.Verify(received[0], &certpath.Options{
		Anchors:       roots,
		Intermediates: received[1:],
		At:            time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:      cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment,
	})
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	for _, c := range chain {
		fmt.Println(c.Subject)
	}
	// Output:
	// CN=alice@example.com
	// CN=Test Issuing,O=Example
	// CN=Test Root,O=Example
}

func ExampleError() {
	received := read("alice.pem")
	_, err := certpath.Verify(received[0], &certpath.Options{
		Anchors:       read("roots.pem"),
		Intermediates: received[1:],
		At:            time.Date(2030, time.June, 1, 0, 0, 0, 0, time.UTC),
	})
	var e *certpath.Error
	if errors.As(err, &e) && e.Reason == certpath.Expired {
		fmt.Println("once it was good:", err)
	}
	// Output:
	// once it was good: expired: certificate CN=alice@example.com: ended 2027-06-01T12:00:00Z
}

func ExampleNames() {
	alice := read("alice.pem")[0]
	for _, from := range []string{"Alice@EXAMPLE.com", "alice@example.org"} {
		address, err := mailbox.Parse(from)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(address, certpath.Names(alice, address))
	}
	// Output:
	// Alice@example.com true
	// alice@example.org false
}
