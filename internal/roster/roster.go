// Package roster reads lists of people: what a spreadsheet, a directory or an
// identity provider gives to whoever has to equip an organization.
//
// [ReadCSV] takes RFC 4180 as spreadsheets really write it, [ReadLDIF] entries
// of RFC 2849, [ReadSCIM] users of RFC 7643. Each gives a [List]: the people
// whose lines are good, and every [Problem] of the others by line and cell, in
// both languages, with what to do about it. No line is read half, and a list
// with problems is a list, not an error.
//
// [NewSheet] writes CSV again, in which no cell is a formula (SECURITY.md).
//
// The package is pure: it asks nobody. What the organization knows of its
// domains and people comes in as functions of [Options].
package roster

import (
	"fmt"
	"io"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// Limits of a list.
const (
	MaxBytes    = 64 << 20 // of the file
	MaxPeople   = 100_000  // good lines
	MaxCells    = 200      // of one line
	MaxCell     = 4_000    // bytes of one cell
	MaxName     = 64       // characters of a name: RFC 5280 §A.1, ub-common-name
	MaxProblems = 100_000  // that are listed; of more only the number is told
)

// Person is one good line of a list.
type Person struct {
	Line       int
	Address    mailbox.Mailbox
	GivenName  string
	Surname    string
	LocalName  string // as the person writes it, in any script
	Number     string // of the employee
	Department string
	Language   string // "en", "ja", or "" where the list says nothing
	Known      bool   // Options.Known knows the mailbox
}

// List is what became of a file.
type List struct {
	People   []Person
	Problems []Problem // of lines that are in People not
	Notices  []Problem // what was passed over without harm
	Unlisted int       // problems and notices beyond MaxProblems

	Encoding  string // "UTF-8", "Windows-31J", "UTF-16"; of CSV alone
	Separator string // of CSV alone
	Columns   []Column
}

// Column is one column of a CSV list as it was understood.
type Column struct {
	Header string // as the file has it
	Field  Field  // empty: the column is not read
}

// Good tells whether every line can be used.
func (l *List) Good() bool { return len(l.Problems) == 0 }

// Standing is what an organization knows of a mailbox.
type Standing int

// The standings of a mailbox.
const (
	New      Standing = iota // nothing
	Known                    // one of its people has it
	Equipped                 // and a certificate for it that is good for a while
)

// Options are what a list is judged by; the zero value takes any mailbox.
type Options struct {
	Encoding  string // "UTF-8", "Windows-31J"; empty: by its bytes
	Separator string // "," ";" or TAB; empty: by its first line
	Names     bool   // a line without a surname is a problem
	UTF8      bool   // local parts may have other letters than ASCII

	Covers   func(domain string) bool       // whether the organization has shown that a domain is its own; nil: all
	Standing func(mailbox.Mailbox) Standing // nil: nobody is known
}

// ErrSize: a list has more than [MaxBytes].
var ErrSize = fmt.Errorf("the list is longer than %d MiB: split it", MaxBytes>>20)

func readAll(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("roster: read: %w", err)
	case len(raw) > MaxBytes:
		return nil, fmt.Errorf("roster: %w", ErrSize)
	}
	return raw, nil
}
