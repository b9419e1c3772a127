package cli_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
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

// issueIn writes a proven order for alice@example.org into an authority's folder
// and has it issued, as a server would; the passphrase is in FOLDER.pass:
// issue-in FOLDER FILE
func issueIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: issue-in FOLDER FILE")
	}
	now, err := time.Parse(time.RFC3339, ts.Getenv("CLOCK"))
	ts.Check(err)
	at := func() time.Time { return now }
	ctx, dir := context.Background(), ts.MkAbs(args[0])
	db, err := store.Open(ctx, filepath.Join(dir, "mailseal.db"))
	ts.Check(err)
	defer db.Close()
	v := &validation.Validator{Clock: at}
	a, err := authority.Open(ctx, authority.Options{
		Store: db, Keys: &keys.Keys{Dir: dir, Secrets: &keys.Secrets{PassphraseFile: dir + ".pass"}}, Validation: v, Clock: at,
	})
	ts.Check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	hash, err := issuance.KeyHash(key.Public())
	ts.Check(err)
	order := store.Order{
		ID: "order1", State: "proven", Language: "en", SecretHash: []byte{1}, ProfileHash: a.Profile().Hash(),
		Created: now, Expires: now.Add(time.Hour), Addresses: []string{"alice@example.org"},
	}
	var warrant validation.Warrant
	ts.Check(db.Update(ctx, func(tx *store.Tx) error {
		err := errors.Join(
			tx.InsertProfile(order.ProfileHash, string(a.Profile().Text()), now), tx.InsertOrder(order), tx.OrderKey(order.ID, hash),
			tx.InsertProof(store.Proof{OrderID: order.ID, Address: order.Addresses[0], Method: "3.2.2.2", Proven: now, Expires: now.Add(time.Hour)}))
		for _, act := range []string{store.ActApplied, store.ActProven} {
			err = errors.Join(err, audit.Append(ctx, tx, audit.Entry{At: now, Act: act, Object: order.ID}))
		}
		if err != nil {
			return err
		}
		warrant, err = v.Warrant(tx, order)
		return err
	}))
	c, err := a.Issue(ctx, warrant, key.Public())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), c.PEM(), 0o600))
}
