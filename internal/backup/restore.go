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

// Restoring says how to restore.
type Restoring struct {
	Clock func() time.Time
	Kept  []*audit.Checkpoint // that were kept elsewhere: the copy must agree with those of its time

	// Check, if set, is asked when the copy was read to its end and nothing is
	// made yet; its error ends it.
	Check func(*Summary) error

	// Accept restores a copy whose audit log is not as it should be: better than
	// nothing, where there is no other one.
	Accept bool
}

// FindingsError tells that the audit log of a copy is not as it should be.
type FindingsError struct{ Report *audit.Report }

// Error implements error.
func (e *FindingsError) Error() string {
	return fmt.Sprintf("the audit log of the copy is not as it should be, in %d places: %s", e.Report.Wrong, e.Report.Findings[0].Text)
}

// Restored is what was restored.
type Restored struct {
	Summary
	Audit *audit.Report // of the copy, before anything was added
	CRLs  int64         // by how much CRL numbers jumped
}

// Restore reads a copy to its end, so that nothing is begun with a damaged one,
// and then makes the data folder and the store of it. What is made has another
// name until all of it is verified; a database on PostgreSQL is not opened by
// anybody before. It jumps ahead with CRL numbers, ends all sessions and enters
// that it took place.
func Restore(ctx context.Context, from io.ReadSeeker, to Place, o Restoring, keys ...age.Identity) (*Restored, error) {
	if err := to.free(); err != nil {
		return nil, err
	}
	summary, err := Inspect(from, keys...)
	if err != nil {
		return nil, err
	}
	if o.Check != nil {
		if err := o.Check(summary); err != nil {
			return nil, err
		}
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
	r := &restoring{Restoring: o, to: to, temp: temp, made: &Restored{Summary: *summary, CRLs: crlGap}}
	if err := r.fill(ctx, from, keys); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return r.made, nil
}

// restoring is a restore under way.
type restoring struct {
	Restoring
	to    Place
	temp  string // becomes the data folder
	made  *Restored
	named bool
}

// name gives the folder its name, once.
func (r *restoring) name() error {
	if r.named {
		return nil
	}
	if err := os.Remove(r.to.Data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(r.temp, r.to.Data); err != nil {
		return err
	}
	r.named = true
	return syncFolder(filepath.Dir(r.to.Data))
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

func (r *restoring) fill(ctx context.Context, from io.Reader, keys []age.Identity) error {
	source := r.to.Source
	if source == "" {
		source = filepath.Join(r.temp, "mailseal.db")
	}
	if err := os.Mkdir(filepath.Join(r.temp, keyFolder), 0o700); err != nil {
		return err
	}
	db, err := store.Load(ctx, source, r.made.Version, func(l *store.Loader) error {
		_, err := read(from, visitor{
			table: l.Table, row: l.Row,
			file: func(name string, data []byte) error {
				return writeKey(filepath.Join(r.temp, filepath.FromSlash(name)), data)
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
	if err := errors.Join(syncFolder(filepath.Join(r.temp, keyFolder)), r.finish(ctx, db), db.Close()); err != nil {
		return err
	}
	if r.named {
		return nil
	}
	// The database is in the folder, and closed: both get their name at once.
	return errors.Join(syncFolder(r.temp), r.name())
}

// finish verifies what was loaded and makes sure that it goes ahead from here.
func (r *restoring) finish(ctx context.Context, db *store.DB) error {
	report, err := audit.Verify(ctx, db, &audit.VerifyOptions{Kept: r.Kept, Copy: true})
	if err != nil {
		return err
	}
	m := r.made
	if m.Audit = report; report.Entries != m.Entries || report.Head != m.Head && m.Entries > 0 {
		return fmt.Errorf("%w: its audit log ends with entry %d, and it says %d", ErrNotABackup, report.Entries, m.Entries)
	}
	if !report.Good() && !r.Accept {
		return &FindingsError{report}
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.RaiseCRLNumbers(crlGap); err != nil {
			return err
		}
		if err := tx.ForgetAdministratorSessions(endOfSessions, endOfSessions); err != nil {
			return err
		}
		err := audit.Append(ctx, tx, audit.Entry{At: r.Clock(), Actor: "operator", Act: audit.ActRestored, Details: map[string]string{
			"made": m.Made.Format(time.RFC3339), "entries": strconv.FormatInt(m.Entries, 10), "head": m.Head,
			"crl-gap": strconv.Itoa(crlGap),
		}})
		if err != nil {
			return err
		}
		if err := tx.EndLoad(); err != nil {
			return err
		}
		if r.to.Source == "" {
			return nil
		}
		// In the transaction, and last: without the folder the database is not
		// whole either.
		return r.name()
	})
	if err != nil && r.named {
		return fmt.Errorf("%w; the folder %s is made, and whether the database is whole is not known: empty both and restore again", err, r.to.Data)
	}
	return err
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
