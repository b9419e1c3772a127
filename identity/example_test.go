package identity_test

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

func askPassphrase() ([]byte, error) { return os.ReadFile("passphrase.txt") }

// A file from a browser, a mail program or another tool, whatever its form.
func ExampleRead() {
	data, err := os.ReadFile("alice.p12")
	if err != nil {
		log.Fatal(err)
	}
	ids, err := identity.Read(data, askPassphrase)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range ids {
		if id.Certificate != nil {
			fmt.Println(id.Certificate.Emails(), id.Certificate.NotAfter.Format(time.DateOnly))
		}
	}
}

// A file for a mail program to import, under a passphrase that was generated
// for it with at least 128 random bits.
func ExampleEncodePKCS12() {
	var id *identity.Identity // from Read or from a Store
	data, err := identity.EncodePKCS12([]*identity.Identity{id}, []byte("generated passphrase"),
		&identity.PKCS12Options{Iterations: identity.GeneratedIterations})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("alice.p12", data, 0o600); err != nil {
		log.Fatal(err)
	}
}

// Every identity of an address: the first one signs, all of them decrypt.
func ExampleStore_Get() {
	store, err := identity.OpenStore("/home/alice/.config/mailseal/identities")
	if err != nil {
		log.Fatal(err)
	}
	address, err := mailbox.Parse("alice@example.com")
	if err != nil {
		log.Fatal(err)
	}
	ids, err := store.Get(address, askPassphrase)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(ids), "keys")
}
