package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/store"
)

func newAuditCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit COMMAND",
		Short: "the authority's log of every act: verify, export, sign",
		Long: `The authority enters every act into a log: each entry has the hash of the one before
it, and the newest is signed every minute. What was changed, deleted, inserted or moved
is found by verify; that the end was cut off, or the whole database set back, by
verify with a checkpoint that was kept where whoever changed it could not go.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newAuditVerifyCommand(p), newAuditExportCommand(p), newAuditCheckpointCommand(p), newAuditKeyCommand(p))
	return cmd
}

type auditVerifyOptions struct {
	stateFlags
	checkpoint string
	key        string
	asJSON     bool
}

func newAuditVerifyCommand(p *program) *cobra.Command {
	o := &auditVerifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify [--data DIR | --db URL] [--checkpoint FILE] [--key FILE] [--json]",
		Short: "is the log whole, and does it agree with what the authority did?",
		Long: `Read the whole log, beside a running server or without one, and say everything that
is wrong with it: entries that were changed, are missing or in another order, and
certificates, orders and authorities without their entry, or other than it says.

--checkpoint takes what was kept elsewhere: a file with one checkpoint or with all that
the server appended to it. With it, an end that was cut off and a database that was set
back are found, too. --key takes the public key that mailseal audit key printed.`,
		Example: `  mailseal audit verify --data /var/lib/mailseal --checkpoint kept.txt --key audit.pem`,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runAuditVerify(cmd.Context(), o) },
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.checkpoint, "checkpoint", "", "`FILE` with checkpoints that were kept elsewhere")
	cmd.Flags().StringVar(&o.key, "key", "", "`FILE` with the public key that signed the first ones")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (o *auditVerifyOptions) against() (v audit.VerifyOptions, err error) {
	if o.checkpoint != "" {
		f, err := os.Open(o.checkpoint)
		if err != nil {
			return v, err
		}
		defer f.Close()
		if v.Kept, err = audit.ReadCheckpoints(f); err != nil {
			return v, fmt.Errorf("%s: %w", o.checkpoint, err)
		}
	}
	if o.key != "" {
		data, err := readSmall(o.key)
		if err != nil {
			return v, err
		}
		if v.Key, err = audit.ParseKey(data); err != nil {
			return v, fmt.Errorf("%s: %w", o.key, err)
		}
	}
	return v, nil
}

func (p *program) runAuditVerify(ctx context.Context, o *auditVerifyOptions) error {
	against, err := o.against()
	if err != nil {
		return err
	}
	db, err := o.look(ctx, p)
	if err != nil {
		return err
	}
	defer db.Close()
	if p.isTerminal(p.stderr) {
		var shown time.Time
		against.Progress = func(n int64) {
			if now := p.env.Now(); now.Sub(shown) >= 200*time.Millisecond {
				shown = now
				fmt.Fprintf(p.stderr, "\r%d", n)
			}
		}
		defer fmt.Fprint(p.stderr, "\r\x1b[K")
	}
	r, err := audit.Verify(ctx, db, &against)
	if err != nil {
		return err
	}
	if o.asJSON {
		if err := p.printJSON(r); err != nil {
			return err
		}
	} else {
		p.printAudit(r, o.checkpoint != "")
	}
	if !r.Good() {
		return errAnsweredNo
	}
	return nil
}

func (p *program) printAudit(r *audit.Report, kept bool) {
	line := func(format string, args ...any) {
		fmt.Fprintln(p.stdout, inspect.Visible(fmt.Sprintf(format, args...)))
	}
	if r.Good() {
		line("The log is whole: %d entries, %s to %s", r.Entries, r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	} else {
		line("THE LOG IS NOT WHOLE: %d findings in %d entries", r.Wrong, r.Entries)
	}
	line("  last hash     %s", r.Head)
	line("  key           %s", strings.Join(r.Keys, ", "))
	line("  signed up to  entry %d", r.Covered)
	line("  certificates  %d issued, %d revoked, %d refused, each with its entry", r.Issued, r.Revoked, r.Refused)
	switch {
	case kept:
		line("  kept          %d checkpoints from elsewhere", r.Kept)
	case r.Good():
		line("  kept          none: an end that was cut off shows only against a checkpoint (--checkpoint FILE)")
	}
	for _, f := range r.Findings {
		line("  %-12s  %s", f.Kind, f.Text)
	}
	if more := r.Wrong - int64(len(r.Findings)); more > 0 {
		line("  and %d more", more)
	}
	for _, n := range r.Notes {
		line("  note          %s", n)
	}
}

func newAuditExportCommand(p *program) *cobra.Command {
	var s stateFlags
	var output string
	cmd := &cobra.Command{
		Use:   "export [--data DIR | --db URL] [-o FILE]",
		Short: "every entry, one JSON object in each line",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.runAuditExport(cmd.Context(), &s, output) },
	}
	s.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write instead of standard output")
	return cmd
}

func (p *program) runAuditExport(ctx context.Context, s *stateFlags, output string) error {
	db, err := s.look(ctx, p)
	if err != nil {
		return err
	}
	defer db.Close()
	out, err := p.createOutput(output, modeSecret, nil)
	if err != nil {
		return err
	}
	defer out.discard()
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = db.View(ctx, func(tx *store.Tx) error {
		return tx.AuditEntries(func(e store.AuditEntry, err error) error {
			if err != nil {
				return broken(err, "run mailseal audit verify")
			}
			return lines.Encode(audit.Line(e))
		})
	})
	if err != nil {
		return err
	}
	return out.commit()
}

func newAuditCheckpointCommand(p *program) *cobra.Command {
	var s stateFlags
	var k keyFlags
	cmd := &cobra.Command{
		Use:   "checkpoint [--data DIR] [--db URL] [--passphrase-file FILE]",
		Short: "sign the newest entry and print the checkpoint, to be kept elsewhere",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.runAuditCheckpoint(cmd.Context(), &s, &k)
		},
	}
	s.add(cmd)
	k.add(cmd)
	return cmd
}

func (p *program) runAuditCheckpoint(ctx context.Context, s *stateFlags, k *keyFlags) error {
	db, err := s.open(ctx, p)
	if err != nil {
		return err
	}
	defer db.Close()
	// A folder of --dev has its keys in plain files.
	log, err := audit.Open(ctx, audit.Options{Store: db, Clock: p.env.Now, Keys: p.authorityKeys(s.data, k, true)})
	if err != nil {
		return err
	}
	c, err := log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(p.stdout, c)
	return err
}

func newAuditKeyCommand(p *program) *cobra.Command {
	var s stateFlags
	cmd := &cobra.Command{
		Use:   "key [--data DIR | --db URL]",
		Short: "the public key that signs checkpoints, to be kept elsewhere",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.runAuditKey(cmd.Context(), &s) },
	}
	s.add(cmd)
	return cmd
}

func (p *program) runAuditKey(ctx context.Context, s *stateFlags) error {
	db, err := s.look(ctx, p)
	if err != nil {
		return err
	}
	defer db.Close()
	key, err := audit.PublicKey(ctx, db)
	if err != nil {
		return err
	}
	text, err := audit.MarshalKey(key)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}
