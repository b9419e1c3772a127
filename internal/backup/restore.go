package backup

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"filippo.io/age"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// crlGap is by how much CRL numbers jump at a restore: more lists than anybody
// has signed between a copy and its restoring. RFC 5280 §5.2.3: relying parties
// take a list with a lower number for an older one.
const crlGap = 1 << 20

// endOfSessions is after every session.
var endOfSessions = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Place is where a copy is restored to.
type Place struct {
	Data   string // data folder, which must not be there, or be empty
	Source string // of the store; empty: the file in the data folder
}

// ErrOccupied: something is there already.
var ErrOccupied = errors.New("backup: nothing is restored over what is there")

// Restored is what was restored.
type Restored struct {
	Summary
	Audit *audit.Report // of the copy, before anything was added
	CRLs  int64         // by how much CRL numbers jumped
}

// Restore reads a copy to its end, so that nothing is begun with a damaged one,
// and then makes the data folder and the store of it. What is made has another
// name until all of it is verified. It jumps ahead with CRL numbers, ends all
// sessions and enters that it took place.
func Restore(ctx context.Context, from io.ReadSeeker, to Place, clock func() time.Time, keys ...age.Identity) (*Restored, error) {
	if err := to.free(); err != nil {
		return nil, err
	}
	summary, err := Inspect(from, keys...)
	if err != nil {
		return nil, err
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to.Data), 0o700); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	// On the same file system, so that it gets its name in one step.
	temp, err := os.MkdirTemp(filepath.Dir(to.Data), ".mailseal-restore-")
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	defer os.RemoveAll(temp)
	r := &Restored{Summary: *summary, CRLs: crlGap}
	if err := r.fill(ctx, from, temp, to.Source, clock, keys); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if err := os.Remove(to.Data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(temp, to.Data); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return r, syncFolder(filepath.Dir(to.Data))
}

// free refuses a folder with something in it. A database that is not empty is
// refused when it is opened.
func (to *Place) free() error {
	entries, err := os.ReadDir(to.Data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty", ErrOccupied, to.Data)
	}
	return nil
}

func (r *Restored) fill(ctx context.Context, from io.Reader, dir, source string, clock func() time.Time, keys []age.Identity) error {
	if source == "" {
		source = filepath.Join(dir, "mailseal.db")
	}
	if err := os.Mkdir(filepath.Join(dir, keyFolder), 0o700); err != nil {
		return err
	}
	db, err := store.Load(ctx, source, r.Version, func(l *store.Loader) error {
		_, err := read(from, visitor{
			table: l.Table, row: l.Row,
			file: func(name string, data []byte) error {
				return writeKey(filepath.Join(dir, filepath.FromSlash(name)), data)
			},
		}, keys...)
		return err
	})
	if errors.Is(err, store.ErrNotEmpty) {
		return fmt.Errorf("%w: %w", ErrOccupied, err)
	}
	if err != nil {
		return err
	}
	err = r.finish(ctx, db, clock)
	return errors.Join(err, db.Close(), syncFolder(filepath.Join(dir, keyFolder)), syncFolder(dir))
}

// finish verifies what was loaded and makes sure that it goes ahead from here.
func (r *Restored) finish(ctx context.Context, db *store.DB, clock func() time.Time) (err error) {
	if r.Audit, err = audit.Verify(ctx, db, nil); err != nil {
		return err
	}
	if r.Audit.Entries != r.Entries || r.Audit.Head != r.Head && r.Entries > 0 {
		return fmt.Errorf("%w: its audit log ends with entry %d, and it says %d", ErrNotABackup, r.Audit.Entries, r.Entries)
	}
	return db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.RaiseCRLNumbers(crlGap); err != nil {
			return err
		}
		if err := tx.ForgetAdministratorSessions(endOfSessions, endOfSessions); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{At: clock(), Actor: "operator", Act: audit.ActRestored, Details: map[string]string{
			"made": r.Made.Format(time.RFC3339), "entries": strconv.FormatInt(r.Entries, 10), "head": r.Head,
			"crl-gap": strconv.Itoa(crlGap),
		}})
	})
}

func writeKey(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lost is what was done after a copy was made, as an export of the audit log
// says that goes on from there.
type Lost struct {
	Entries int64
	Issued  []LostCertificate // nobody at the restored store knows of them
	Revoked []LostCertificate // of those that it knows
}

// LostCertificate is a certificate that the restored store is wrong about.
type LostCertificate struct {
	Serial string
	SHA256 string // of one that was issued
	Reason string // of one that was revoked
	At     time.Time
}

// Compare reads an export of the audit log (`mailseal audit export`) and says
// what of it came after the copy. The export must contain the copy's last entry.
func Compare(export io.Reader, s *Summary) (*Lost, error) {
	lines := json.NewDecoder(io.LimitReader(export, maxExport))
	lost := &Lost{}
	joined := s.Entries == 0
	var previous []byte
	for {
		var x audit.ExportedEntry
		err := lines.Decode(&x)
		if errors.Is(err, io.EOF) {
			break
		}
		var e store.AuditEntry
		if err == nil {
			e, err = x.Entry()
		}
		if err != nil {
			return nil, fmt.Errorf("export of the audit log: %w", err)
		}
		if e.Seq <= s.Entries {
			joined = joined || e.Seq == s.Entries && hex.EncodeToString(e.Hash) == s.Head
			previous = e.Hash
			continue
		}
		if !audit.Follows(e, previous) {
			return nil, fmt.Errorf("export of the audit log: entry %d does not follow the one before it", e.Seq)
		}
		previous = e.Hash
		if err := lost.add(e); err != nil {
			return nil, fmt.Errorf("export of the audit log: entry %d: %w", e.Seq, err)
		}
	}
	if !joined {
		return nil, fmt.Errorf("export of the audit log: it does not have entry %d of the copy", s.Entries)
	}
	return lost, nil
}

// maxExport bounds an export that is compared: 10 million entries of 1 KiB.
const maxExport = 10 << 30

func (l *Lost) add(e store.AuditEntry) error {
	l.Entries++
	if e.Act != store.ActIssued && e.Act != store.ActRevoked {
		return nil
	}
	details, err := audit.DetailsOf(e)
	if err != nil {
		return err
	}
	c := LostCertificate{details["serial"], details["sha256"], details["reason"], e.At}
	if e.Act == store.ActIssued {
		l.Issued = append(l.Issued, c)
	} else {
		l.Revoked = append(l.Revoked, c)
	}
	return nil
}
