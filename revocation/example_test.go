package revocation_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

var update = flag.Bool("update", false, "make the files of the examples anew")

// TestExampleFiles makes the files that the example reads, with -update.
func TestExampleFiles(t *testing.T) {
	if !*update {
		t.Skip("the files are made with -update only")
	}
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.com", testca.P256)
	list := ca.Issuing.CRL([]testca.Revoked{{SerialNumber: alice.Certificate.Serial, RevocationTime: testca.Now, ReasonCode: int(cert.KeyCompromise)}})
	for name, data := range map[string][]byte{
		"chain.pem":   bytes.Join([][]byte{alice.Certificate.PEM(), ca.Issuing.Certificate.PEM(), ca.Root.Certificate.PEM()}, nil),
		"issuing.crl": pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list}),
	} {
		if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(name string) []byte {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		panic(err)
	}
	return data
}

func ExampleCheck() {
	chain, err := cert.ParseAll(read("chain.pem")) // of certpath.Verify
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := cert.ParseCRL(read("issuing.crl"))
	if err != nil {
		fmt.Println(err)
		return
	}
	status, err := revocation.Check(chain, &revocation.Options{
		Evidence: revocation.Evidence{CRLs: []*cert.CRL{list}},
		At:       time.Date(2026, time.June, 3, 0, 0, 0, 0, time.UTC),
	})
	fmt.Println(status)
	var e *revocation.Error
	if errors.As(err, &e) {
		fmt.Println(err)
	}
	// Output:
	// revoked
	// certificate CN=alice@example.com was revoked at 2026-06-01T12:00:00Z (keyCompromise)
}
