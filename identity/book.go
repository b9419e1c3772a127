package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// MaxPending is how many changes of one address's key wait to be accepted. A
// person changes keys once a year; more at a time are an attempt to hide one.
const MaxPending = 8

// Book is a person's address book: a folder with the certificates that valid
// mail brought (RFC 8551 §2.7.1), under the address in From. Each address has one
// contact that is encrypted to. Another key for the same address waits as a
// pending change until a person accepts it; it replaces nothing by itself, and
// is never a second recipient.
//
// There is one file for each address and key, which appears complete or not at
// all, so that several programs may learn at a time.
type Book struct{ dir string }

// Contact is one key of one address.
type Contact struct {
	Address mailbox.Mailbox
	// Certificate is what mail to the address is encrypted with, and Chain
	// leads from it towards its anchor, both as they were when they were learned.
	Certificate *cert.Certificate
	Chain       []*cert.Certificate
	// Anchor, if not nil, was named by hand for the mail that brought the
	// certificate, instead of the anchors that are always trusted.
	Anchor *cert.Certificate
	// Capabilities are what the signature said; nil if it said nothing.
	Capabilities []oid.AlgorithmIdentifier
	// Signed is when the mail was signed that told all this, by its signer's
	// clock; zero if it did not say. What is older changes nothing.
	Signed time.Time
	// Learned is when it came into the book, Accepted when a person preferred
	// it to another key; zero if nobody had to.
	Learned, Accepted time.Time
	// Pending: the address has another key, and nobody has accepted this one.
	Pending bool
	// Defect says why the file cannot be read, and is nil for a sound one. One
	// damaged file does not hide the others.
	Defect error

	path string
}

// Change is what learning a contact did to the book.
type Change int

// The changes.
const (
	Unchanged Change = iota // known, or older than what is known
	Confirmed               // known, and said again later
	Added                   // the first key of the address
	Renewed                 // a new certificate for the same key, or other capabilities
	Deferred                // another key: it waits as a pending change
	Crowded                 // another key, and MaxPending of them wait already
)

// OpenBook opens the address book in dir and makes the folder when it is not there.
func OpenBook(dir string) (*Book, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	return &Book{dir}, nil
}

// Learn takes in what a valid mail told. Address, Certificate, Chain, Anchor,
// Capabilities, Signed and Learned of c count.
func (b *Book) Learn(c *Contact) (Change, error) {
	all, err := b.Find(c.Address)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Unchanged, err
	}
	n := *c
	n.Pending, n.Accepted = false, time.Time{}
	change, known := Added, false
	for _, old := range all {
		if old.Defect != nil {
			continue
		}
		if old.sameKey(c) {
			if !c.Signed.After(old.Signed) {
				return Unchanged, nil
			}
			n.Pending, n.Accepted, n.Learned = old.Pending, old.Accepted, old.Learned
			if n.Certificate.NotAfter.Before(old.Certificate.NotAfter) {
				n.Certificate, n.Chain, n.Anchor = old.Certificate, old.Chain, old.Anchor
			}
			same := n.Certificate.Equal(old.Certificate) && slices.EqualFunc(n.Capabilities, old.Capabilities, oid.AlgorithmIdentifier.Same)
			if same || n.Pending {
				return Confirmed, b.put(&n)
			}
			return Renewed, b.put(&n)
		}
		if !old.Pending {
			// A mail from before the address had its key, read again.
			if known = true; !c.Signed.After(old.Signed) {
				return Unchanged, nil
			}
		}
	}
	if known {
		n.Pending, change = true, Deferred
		if len(all) > MaxPending {
			return Crowded, nil
		}
	}
	return change, b.put(&n)
}

// Find returns the contacts of an address: the one that is encrypted to first,
// pending changes behind it, files that cannot be read last. [ErrNotFound] when
// there is none.
func (b *Book) Find(address mailbox.Mailbox) ([]*Contact, error) {
	all, err := b.List()
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(c *Contact) bool { return !c.Address.Equal(address) })
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", address, errNotInBook)
	}
	return found, nil
}

var errNotInBook = fmt.Errorf("%w: not in the address book either", ErrNotFound)

// List returns all contacts, by address, in the order of [Book.Find].
func (b *Book) List() ([]*Contact, error) {
	files, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	var all []*Contact
	for _, f := range files {
		address, id, _, ok := parseFileName(f.Name(), contactExt)
		if !ok {
			continue
		}
		c, err := readContact(filepath.Join(b.dir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err == nil && (!c.Address.Equal(address) || c.keyID() != id) {
			err = errors.New("the file is named after another address or key")
		}
		if err != nil {
			c = &Contact{Address: address, Pending: true, Defect: fmt.Errorf("address book: %s: %w", f.Name(), err)}
		}
		c.path = filepath.Join(b.dir, f.Name())
		all = append(all, c)
	}
	slices.SortStableFunc(all, compareContacts)
	for i, c := range all[min(1, len(all)):] {
		// After a crash while a change was accepted, or two programs that learned
		// at once, two keys of an address claim to be the one: the first in order is.
		if c.Address.Equal(all[i].Address) {
			c.Pending = true
		}
	}
	return all, nil
}

// compareContacts orders those of one address: the key that was accepted last,
// then the one that was learned first.
func compareContacts(a, b *Contact) int {
	if n := strings.Compare(a.Address.Key(), b.Address.Key()); n != 0 {
		return n
	}
	for _, last := range []func(*Contact) bool{
		func(c *Contact) bool { return c.Defect != nil },
		func(c *Contact) bool { return c.Pending },
	} {
		if la, lb := last(a), last(b); la != lb {
			return map[bool]int{false: -1, true: 1}[la]
		}
	}
	if n := b.Accepted.Compare(a.Accepted); n != 0 {
		return n
	}
	return a.Learned.Compare(b.Learned)
}

// Accept makes a pending contact the one that is encrypted to, and forgets the
// one before.
func (b *Book) Accept(c *Contact, now time.Time) error {
	if c.Defect != nil {
		return c.Defect
	}
	all, err := b.Find(c.Address)
	if err != nil {
		return err
	}
	n := *c
	n.Pending, n.Accepted = false, now
	if err := b.put(&n); err != nil {
		return err
	}
	for _, old := range all {
		if old.Defect == nil && !old.Pending && !old.sameKey(c) {
			if err := b.Remove(old); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove forgets a contact.
func (b *Book) Remove(c *Contact) error {
	if err := errors.Join(os.Remove(c.path), syncDir(b.dir)); err != nil {
		return fmt.Errorf("address book: %w", err)
	}
	return nil
}

func (b *Book) put(c *Contact) error {
	data, err := c.encode()
	if err != nil {
		return fmt.Errorf("address book: %w", err)
	}
	name, err := fileName(c.Address, c.keyID(), contactExt)
	if err != nil {
		return fmt.Errorf("address book: %w", err)
	}
	if err := writeWhole(b.dir, name, data); err != nil {
		return fmt.Errorf("address book: %w", err)
	}
	return nil
}

func (c *Contact) sameKey(o *Contact) bool { return c.keyID() == o.keyID() }

// keyID names the key, whatever kind it is of.
func (c *Contact) keyID() string {
	sum := sha256.Sum256(c.Certificate.RawSPKI)
	return hex.EncodeToString(sum[:])[:idLength]
}
