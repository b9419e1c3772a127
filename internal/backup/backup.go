// Package backup makes encrypted copies of an authority's state while it runs,
// and restores them so that nothing goes back.
//
// A copy is one consistent state of the store, whichever engine keeps it, and
// the key files of the data folder if they were asked for: lines of JSON,
// compressed with gzip and encrypted with age (age-encryption.org/v1), which
// also notices every change and every cut. docs/backup.md has the format.
//
// Start at [Write], [Inspect] and [Restore].
package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"filippo.io/age"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// Header is the first line of a copy.
type Header struct {
	Format  int       `json:"mailseal-backup"`
	Program string    `json:"program"`
	Made    time.Time `json:"made"`
	Version int64     `json:"version"` // of the tables
	Entries int64     `json:"entries"` // of the audit log
	Head    string    `json:"head"`    // hash of the last of them, in hexadecimal
	Keys    bool      `json:"keys"`    // key files are in it
}

// Manifest is its last line.
type Manifest struct {
	Rows   map[string]int64 `json:"rows"`   // by table
	Files  map[string]int64 `json:"files"`  // octets, by name
	SHA256 string           `json:"sha256"` // of all lines before
}

const format = 1

// Limits of a copy, for whoever reads one.
const (
	maxLine = 16 << 20 // octets; a piece of a CRL has 1 MiB
	maxFile = 1 << 20  // octets of a key file
)

// keyFolder is the folder of key files in a data folder.
const keyFolder = "keys"

// Options are what a copy needs.
type Options struct {
	To      []age.Recipient
	Keys    string // the data folder whose key files are copied; empty: none
	Clock   func() time.Time
	Program string
}

// Summary is what a copy holds.
type Summary struct {
	Header
	Manifest
}

// Write makes a copy of the store as it is at one moment, while others go on
// writing, and then enters into the audit log that it was made.
func Write(ctx context.Context, db *store.DB, w io.Writer, o Options) (*Summary, error) {
	sealed, err := age.Encrypt(w, o.To...)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	packed, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	c := &writer{w: bufio.NewWriterSize(packed, 1<<16), hash: sha256.New()}
	s := &Summary{Manifest: Manifest{Rows: map[string]int64{}, Files: map[string]int64{}}}
	err = db.View(ctx, func(tx *store.Tx) error { return c.state(tx, s, &o) })
	if err == nil && o.Keys != "" {
		err = c.files(o.Keys, s)
	}
	if err == nil {
		s.SHA256 = hex.EncodeToString(c.hash.Sum(nil))
		err = c.line(s.Manifest)
	}
	err = errors.Join(err, c.w.Flush(), packed.Close(), sealed.Close())
	if err == nil {
		err = db.Update(ctx, func(tx *store.Tx) error {
			return audit.Append(ctx, tx, audit.Entry{At: o.Clock(), Actor: "operator", Act: audit.ActBackup, Details: map[string]string{
				"entries": strconv.FormatInt(s.Entries, 10), "head": s.Head, "keys": strconv.FormatBool(s.Keys),
			}})
		})
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return s, nil
}

// writer writes lines and remembers their hash.
type writer struct {
	w    *bufio.Writer
	hash hash.Hash
}

func (c *writer) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if len(b) > maxLine {
		return fmt.Errorf("a row of %d octets", len(b))
	}
	c.hash.Write(b)
	_, err = c.w.Write(b)
	return err
}

func (c *writer) state(tx *store.Tx, s *Summary, o *Options) error {
	head, err := tx.LastAuditEntry()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	version, err := tx.Version()
	if err != nil {
		return err
	}
	s.Header = Header{
		Format: format, Program: o.Program, Made: o.Clock().UTC().Truncate(time.Second), Version: version,
		Entries: head.Seq, Head: hex.EncodeToString(head.Hash), Keys: o.Keys != "",
	}
	if err := c.line(s.Header); err != nil {
		return err
	}
	tables, err := tx.Tables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := c.line(tableLine{t.Name, t.Columns}); err != nil {
			return err
		}
		s.Rows[t.Name] = 0
		err := tx.EachRow(t, func(row []any) error {
			s.Rows[t.Name]++
			line := make([]value, len(row))
			for i, v := range row {
				line[i] = value{v}
			}
			return c.line(line)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tableLine begins a table; the lines after it are its rows.
type tableLine struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// fileLine is a file of the data folder.
type fileLine struct {
	File string `json:"file"`
	Data []byte `json:"data"`
}

func (c *writer) files(dir string, s *Summary) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	names, err := fs.ReadDir(root.FS(), keyFolder)
	if err != nil {
		return err
	}
	for _, entry := range names {
		name := path.Join(keyFolder, entry.Name())
		if !plainFile(name) {
			continue // what an interrupted writer left
		}
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		err = errors.Join(err, f.Close())
		switch {
		case err != nil:
			return err
		case len(data) > maxFile:
			return fmt.Errorf("%s has more than %d octets: that is no key", name, maxFile)
		}
		s.Files[name] = int64(len(data))
		if err := c.line(fileLine{name, data}); err != nil {
			return err
		}
	}
	return nil
}

// value is a column of a row: null, a number, a text, true or false as JSON has
// them; octets as {"b": base64}, a time as {"t": RFC 3339}, a number that is no
// integer as {"f": text}.
type value struct{ v any }

// MarshalJSON implements json.Marshaler.
func (x value) MarshalJSON() ([]byte, error) {
	switch v := x.v.(type) {
	case nil, bool, int64, string:
		return json.Marshal(v)
	case int32:
		return json.Marshal(v)
	case []byte:
		return json.Marshal(struct {
			B []byte `json:"b"`
		}{append([]byte{}, v...)}) // a driver may give no octets as nil, which JSON takes for null
	case time.Time:
		return json.Marshal(struct {
			T time.Time `json:"t"`
		}{v})
	case float64:
		return json.Marshal(struct {
			F string `json:"f"`
		}{strconv.FormatFloat(v, 'g', -1, 64)})
	}
	return nil, fmt.Errorf("a %T in a row", x.v)
}

// UnmarshalJSON implements json.Unmarshaler.
func (x *value) UnmarshalJSON(data []byte) (err error) {
	if len(data) == 0 || data[0] != '{' {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&x.v); err != nil {
			return err
		}
		switch v := x.v.(type) {
		case nil, bool, string:
		case json.Number:
			x.v, err = v.Int64()
		default:
			return fmt.Errorf("a %T in a row", v)
		}
		return err
	}
	var o struct {
		B *[]byte    `json:"b"`
		T *time.Time `json:"t"`
		F *string    `json:"f"`
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	switch {
	case o.B != nil:
		x.v = *o.B
	case o.T != nil:
		x.v = *o.T
	case o.F != nil:
		x.v, err = strconv.ParseFloat(*o.F, 64)
	default:
		return errors.New("a value of no known kind")
	}
	return err
}
