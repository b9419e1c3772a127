package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"filippo.io/age"

	"github.com/mailseal/mailseal/internal/store"
)

// Errors that a caller may want to tell apart.
var (
	// ErrNotABackup: what was read is no copy, or a damaged one.
	ErrNotABackup = errors.New("backup: not a whole copy")
	// ErrKey: it is encrypted to somebody else.
	ErrKey = errors.New("backup: encrypted to another key or passphrase")
)

// visitor takes what a copy holds, in its order.
type visitor struct {
	header func(Header) error
	table  func(store.Table) error
	row    func([]any) error
	file   func(name string, data []byte) error
}

// Inspect reads a copy to its end and says what it holds: nothing in it was
// changed or is missing.
func Inspect(r io.Reader, keys ...age.Identity) (*Summary, error) {
	return read(r, visitor{}, keys...)
}

func read(r io.Reader, v visitor, keys ...age.Identity) (*Summary, error) {
	opened, err := age.Decrypt(r, keys...)
	if none, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, fmt.Errorf("%w: %w", ErrKey, none)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotABackup, err)
	}
	unpacked, err := gzip.NewReader(opened)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotABackup, err)
	}
	return readLines(unpacked, v)
}

// readLines reads what was encrypted.
func readLines(r io.Reader, v visitor) (*Summary, error) {
	c := &reader{v: v, seen: Manifest{Rows: map[string]int64{}, Files: map[string]int64{}}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	sum := sha256.New()
	for lines.Scan() {
		line := lines.Bytes()
		before := hex.EncodeToString(sum.Sum(nil))
		sum.Write(line)
		sum.Write([]byte("\n"))
		if err := c.line(line, before); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: line %d: %w", ErrNotABackup, c.n+1, err)
	}
	if c.end == nil {
		return nil, fmt.Errorf("%w: it has no end", ErrNotABackup)
	}
	return &Summary{*c.header, *c.end}, nil
}

// reader reads the lines of a copy.
type reader struct {
	v       visitor
	n       int
	header  *Header
	columns int // of the table whose rows come; 0: none
	table   string
	seen    Manifest
	end     *Manifest
}

// anyLine is a line that is no row.
type anyLine struct {
	Table   *string           `json:"table"`
	Columns []string          `json:"columns"`
	File    *string           `json:"file"`
	Data    []byte            `json:"data"`
	Rows    *map[string]int64 `json:"rows"`
	Files   map[string]int64  `json:"files"`
	SHA256  string            `json:"sha256"`
}

func (c *reader) line(line []byte, before string) error {
	c.n++
	bad := func(err error) error { return fmt.Errorf("%w: line %d: %w", ErrNotABackup, c.n, err) }
	if c.end != nil {
		return bad(errors.New("it goes on after its end"))
	}
	if c.header == nil {
		return c.first(line, bad)
	}
	if len(line) > 0 && line[0] == '[' {
		return c.row(line, bad)
	}
	var l anyLine
	if err := json.Unmarshal(line, &l); err != nil {
		return bad(err)
	}
	switch {
	case l.Table != nil:
		if _, twice := c.seen.Rows[*l.Table]; twice || len(l.Columns) == 0 {
			return bad(fmt.Errorf("table %q comes twice or has no columns", *l.Table))
		}
		c.table, c.columns = *l.Table, len(l.Columns)
		c.seen.Rows[c.table] = 0
		if c.v.table != nil {
			return c.v.table(store.Table{Name: c.table, Columns: l.Columns})
		}
	case l.File != nil:
		if !plainFile(*l.File) || len(l.Data) > maxFile {
			return bad(fmt.Errorf("%q is no key file", *l.File))
		}
		c.seen.Files[*l.File] = int64(len(l.Data))
		if c.v.file != nil {
			return c.v.file(*l.File, l.Data)
		}
	case l.Rows != nil:
		c.end = &Manifest{*l.Rows, l.Files, l.SHA256}
		if l.SHA256 != before || !maps.Equal(*l.Rows, c.seen.Rows) || !maps.Equal(l.Files, c.seen.Files) {
			return bad(errors.New("what came before is not what its end says"))
		}
	default:
		return bad(errors.New("it is of no known kind"))
	}
	return nil
}

func (c *reader) first(line []byte, bad func(error) error) error {
	var h Header
	if err := json.Unmarshal(line, &h); err != nil {
		return bad(err)
	}
	if h.Format != format {
		return bad(fmt.Errorf("format %d, and this program reads format %d", h.Format, format))
	}
	c.header = &h
	if c.v.header != nil {
		return c.v.header(h)
	}
	return nil
}

func (c *reader) row(line []byte, bad func(error) error) error {
	var values []value
	if err := json.Unmarshal(line, &values); err != nil {
		return bad(err)
	}
	if c.table == "" || len(values) != c.columns {
		return bad(errors.New("a row that does not fit its table"))
	}
	c.seen.Rows[c.table]++
	if c.v.row == nil {
		return nil
	}
	row := make([]any, len(values))
	for i, v := range values {
		row[i] = v.v
	}
	return c.v.row(row)
}

// plainFile tells names of key files from what would lead out of their folder.
func plainFile(name string) bool {
	rest := name[min(len(name), len(keyFolder)):]
	if len(rest) < 2 || name[:len(keyFolder)] != keyFolder || rest[0] != '/' || rest[1] == '.' {
		return false
	}
	for _, r := range rest[1:] {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' {
			return false
		}
	}
	return true
}
