package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/backup"
)

type backupOptions struct {
	stateFlags
	output string
	to     []string
	keys   bool
	asJSON bool
	secret passphraseSource
}

func newBackupCommand(p *program) *cobra.Command {
	o := &backupOptions{secret: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "backup -o FILE [--data DIR] [--db URL] [--to RECIPIENT ...] [--keys] [--passphrase-file FILE]",
		Short: "copy the authority's state, encrypted, while it runs",
		Long: `Copy the whole state of an authority as it is at one moment, beside the running server.
The copy is encrypted with age: to the public keys given with --to, or under a passphrase.

Without --keys the files with the authority's private keys are not in it: keep these
elsewhere, once. Keys in a token are never in it.`,
		Example: `  mailseal backup -o state.backup --data /var/lib/mailseal --to age1...
  mailseal backup drill --data /var/lib/mailseal`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runBackup(cmd.Context(), o) },
	}
	o.add(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`FILE` to write")
	cmd.Flags().StringArrayVar(&o.to, "to", nil, "age `RECIPIENT` (age1...) that can restore it; may be given more than once")
	cmd.Flags().BoolVar(&o.keys, "keys", false, "copy the key files of the data folder, too")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
	o.secret.addFlag(cmd)
	cmd.AddCommand(newBackupDrillCommand(p))
	return cmd
}

// options are what both commands make a copy with.
func (o *backupOptions) options(p *program) backup.Options {
	b := backup.Options{Clock: p.env.Now, Program: "mailseal " + p.env.Version}
	if o.keys {
		b.Keys = o.data
	}
	return b
}

func (o *backupOptions) recipients() (list []age.Recipient, err error) {
	for _, text := range o.to {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, usage(fmt.Errorf("--to %q: %w", text, err), "it takes what age-keygen prints as the public key: age1...")
		}
		list = append(list, r)
	}
	if len(list) > 0 {
		return list, nil
	}
	secret, err := o.secret.choose("the copy")
	if err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(string(secret))
	if err != nil {
		return nil, usage(err, "an empty passphrase protects nothing")
	}
	return []age.Recipient{r}, nil
}

func (p *program) runBackup(ctx context.Context, o *backupOptions) error {
	if o.output == "" {
		return usage(errors.New("no file to write"), "name it with -o FILE")
	}
	db, err := o.open(ctx, p)
	if err != nil {
		return err
	}
	defer db.Close()
	b := o.options(p)
	if b.To, err = o.recipients(); err != nil {
		return err
	}
	out, err := p.createOutput(o.output, modeSecret, nil)
	if err != nil {
		return err
	}
	defer out.discard()
	s, err := backup.Write(ctx, db, out, b)
	if err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	if o.asJSON {
		return p.printJSON(s)
	}
	p.printCopy(s)
	return nil
}

func (p *program) printCopy(s *backup.Summary) {
	keys := "not in it: keep the key files elsewhere"
	if s.Keys {
		keys = fmt.Sprintf("%d files", len(s.Files))
	}
	fmt.Fprintf(p.stdout, `Copy of %s
  certificates  %d
  orders        %d
  audit log     %d entries, last hash %s
  keys          %s
`, s.Made.Format(time.RFC3339), s.Rows["certificates"], s.Rows["orders"], s.Entries, s.Head, keys)
}

func newBackupDrillCommand(p *program) *cobra.Command {
	o := &backupOptions{}
	var temp string
	cmd := &cobra.Command{
		Use:   "drill [--data DIR] [--db URL] [--keys] [--temp DIR]",
		Short: "make a copy, restore it to a temporary folder, verify it, throw it away",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.runBackupDrill(cmd.Context(), o, temp) },
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.keys, "keys", false, "with the key files of the data folder")
	cmd.Flags().StringVar(&temp, "temp", os.TempDir(), "`DIR` with room for the copy and the restored database")
	return cmd
}

func (p *program) runBackupDrill(ctx context.Context, o *backupOptions, temp string) error {
	db, err := o.open(ctx, p)
	if err != nil {
		return err
	}
	defer db.Close()
	d, err := backup.Drill(ctx, db, temp, o.options(p))
	if err != nil {
		return err
	}
	p.printCopy(&d.Summary)
	fmt.Fprintf(p.stdout, "  copy          %d octets, made in %v, restored and verified in %v\n", d.Octets, d.Wrote.Round(time.Millisecond), d.Read.Round(time.Millisecond))
	p.printAudit(d.Audit, false)
	if !d.Audit.Good() {
		return errAnsweredNo
	}
	return nil
}

type restoreOptions struct {
	data       string
	db         string
	identity   string
	checkpoint string
	export     string
	accept     bool
	asJSON     bool
	secret     passphraseSource
}

func newRestoreCommand(p *program) *cobra.Command {
	o := &restoreOptions{secret: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "restore --data DIR [--db URL] [--identity FILE | --passphrase-file FILE] [--checkpoint FILE] [--export FILE] [--accept-findings] COPY",
		Short: "make a data folder, or a database, of a copy",
		Long: `Make a new data folder of what mailseal backup wrote, after reading it to its end. Nothing
is restored over what is there: the folder must be empty or not exist, and so must the
database that --db names. A copy from one kind of database can be restored to the other.

Nothing goes back: the numbers of revocation lists jump ahead, sessions end, and the
audit log says what happened. What was done after the copy was made is lost with it. With
--checkpoint, checkpoints that were kept elsewhere, it is counted; with --export, an
export of the log that was kept or can still be made, the certificates are named that
the restored authority does not know of.

A copy whose audit log is not whole, or not the one that the checkpoints are of, is not
restored: take an older one, or give --accept-findings if there is none.

A restore to PostgreSQL that did not come to its end leaves a database that no server
opens; restore to it again.`,
		GroupID: groupServer,
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("no copy to restore"), "name the file that mailseal backup wrote")
			}
			return p.runRestore(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "`DIR` to make")
	f.StringVar(&o.db, "db", "", "postgres:// `URL` of an empty database to fill (or: MAILSEAL_DB)")
	f.StringVar(&o.identity, "identity", "", "`FILE` with the age identity (AGE-SECRET-KEY-1...) that the copy is encrypted to")
	f.StringVar(&o.checkpoint, "checkpoint", "", "`FILE` with checkpoints of the audit log that were kept elsewhere")
	f.StringVar(&o.export, "export", "", "`FILE` with an export of the audit log that is newer than the copy")
	f.BoolVar(&o.accept, "accept-findings", false, "restore a copy whose audit log is not as it should be, too")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object")
	o.secret.addFlag(cmd)
	return cmd
}

// keys opens what the copy is encrypted to.
func (o *restoreOptions) keys() ([]age.Identity, error) {
	if o.identity != "" {
		f, err := os.Open(o.identity)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		keys, err := age.ParseIdentities(io.LimitReader(f, maxSmallFile))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.identity, err)
		}
		return keys, nil
	}
	secret, err := o.secret.read("the copy")
	if err != nil {
		return nil, err
	}
	key, err := age.NewScryptIdentity(string(secret))
	if err != nil {
		return nil, usage(err, passphraseHint)
	}
	return []age.Identity{key}, nil
}

// restoreReport is what --json prints.
type restoreReport struct {
	*backup.Restored
	Lost     *backup.Lost `json:"lost,omitempty"`
	LostActs int64        `json:"lost_acts"` // as far as checkpoints tell
}

func (p *program) runRestore(ctx context.Context, file string, o *restoreOptions) error {
	if o.data == "" {
		return usage(errors.New("no folder to restore to"), "name a new one with --data DIR")
	}
	source, err := p.database(o.db)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	kept, err := (&auditVerifyOptions{checkpoint: o.checkpoint}).against()
	if err != nil {
		return err
	}
	keys, err := o.keys()
	if err != nil {
		return err
	}
	r := &restoreReport{}
	how := backup.Restoring{Clock: p.env.Now, Kept: kept.Kept, Accept: o.accept}
	if o.export != "" {
		how.Check = func(s *backup.Summary) (err error) {
			r.Lost, err = compareExport(o.export, s)
			return err
		}
	}
	r.Restored, err = backup.Restore(ctx, f, backup.Place{Data: o.data, Source: source}, how, keys...)
	if findings, ok := errors.AsType[*backup.FindingsError](err); ok {
		p.printAudit(findings.Report, o.checkpoint != "")
		return no(fmt.Errorf("%s: %w", file, err), "nothing was restored: take another copy, or give --accept-findings if there is none")
	}
	switch {
	case errors.Is(err, backup.ErrKey):
		return no(err, "try another --identity or passphrase")
	case errors.Is(err, backup.ErrOccupied):
		return usage(err, "name a new folder, and a new database")
	case err != nil:
		return fmt.Errorf("%s: %w", file, err)
	}
	r.LostActs = lostActs(kept.Kept, r.Entries)
	if o.asJSON {
		err = p.printJSON(r)
	} else {
		p.printRestored(r, o.checkpoint != "")
	}
	if err == nil && !r.Audit.Good() {
		return errAnsweredNo
	}
	return err
}

// lostActs says how many entries the newest checkpoint has beyond the copy.
func lostActs(kept []*audit.Checkpoint, entries int64) (n int64) {
	for _, c := range kept {
		n = max(n, c.Entries-entries)
	}
	return n
}

func compareExport(path string, s *backup.Summary) (*backup.Lost, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lost, err := backup.Compare(f, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lost, nil
}

func (p *program) printRestored(r *restoreReport, compared bool) {
	p.printCopy(&r.Summary)
	fmt.Fprintf(p.stdout, "  CRL numbers   jumped ahead by %d\n", r.CRLs)
	p.printAudit(r.Audit, compared)
	if !r.Keys {
		fmt.Fprintln(p.stdout, "Before it serves, put the key files back: they were not in the copy.")
	}
	if r.LostActs > 0 {
		fmt.Fprintf(p.stdout, "LOST: %d acts that were entered after the copy was made, say the checkpoints.\n", r.LostActs)
	}
	if r.Lost == nil {
		return
	}
	fmt.Fprintf(p.stdout, "LOST: %d acts, says the export of the log.\n", r.Lost.Entries)
	for _, c := range r.Lost.Issued {
		fmt.Fprintf(p.stdout, "  issued and not known here: serial number %s, SHA-256 %s, %s\n", c.Serial, c.SHA256, c.At.Format(time.RFC3339))
	}
	for _, c := range r.Lost.Revoked {
		fmt.Fprintf(p.stdout, "  revoked, and here it is not: serial number %s, reason %s, %s\n", c.Serial, c.Reason, c.At.Format(time.RFC3339))
	}
}
