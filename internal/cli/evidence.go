package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/evidence"
	"github.com/mailseal/mailseal/smime"
)

type evidenceOptions struct {
	judge     judgeOptions
	level     string
	timestamp string
	origin    string
	content   string
	output    string
}

func newEvidenceCommand(p *program) *cobra.Command {
	o := &evidenceOptions{}
	cmd := &cobra.Command{
		Use:   "evidence [--level LEVEL] [--timestamp URL] [--crl FILE ...] [--revocation online] [--trust ROOTS] [--as-of TIME] [-o RECORD] [--json] [FILE]",
		Short: "make or check a record of a signature for a third party",
		Long: `Make a record of a signed mail or file that a third party can check years later,
without a network and without mailseal, or check such a record.

A record is a ZIP file: what was signed, the signature with timestamps, certificates
and revocation information, and a README in English and Japanese with the commands of
OpenSSL that check it. A manifest lists the digests of all its files, and --timestamp
has it stamped, so that none can be exchanged unnoticed. The signature in it is as good
as what goes into it (ETSI EN 319 122-1):

  B-B    the signature alone
  B-T    and a timestamp: it proves when the signature existed, after the signer's
         certificate has ended, as long as the timestamp's authority is good
  B-LT   and what tells that no certificate was revoked; the lists must be made
         after the signature, so wait for the next ones, and name them with --crl
         or have them fetched with --revocation online
  B-LTA  and an archive timestamp over all of that; renew it before its authority
         ends, with --timestamp and -o on the record

Without --level it goes as far as what is at hand allows. The record claims to be
technical evidence, not a qualified signature.`,
		Example: `  mailseal evidence --timestamp http://tsa.example.com/tsr -o letter.zip letter.eml
  mailseal evidence --crl issuing.crl --crl root.crl -o letter-lt.zip letter.zip
  mailseal evidence --trust root.pem letter.zip
  mailseal evidence --as-of 2040-01-01T00:00:00Z letter.zip`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runEvidence(cmd.Context(), first(args), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.level, "level", "", "`LEVEL` that must be reached, and not gone beyond: B-B, B-T, B-LT or B-LTA")
	addTimestampFlag(cmd, &o.timestamp)
	o.judge.addTrustFlags(cmd)
	cmd.Flags().Lookup("at").Hidden = true
	f.StringVar(&o.judge.at, "as-of", "", "judge as of this `TIME`, like 2040-01-01T00:00:00Z (default now)")
	f.StringVar(&o.judge.from, "from", "", "the `ADDR` that the mail must be from; stands in for a missing From")
	f.BoolVar(&o.judge.asJSON, "json", false, "print what was found as one JSON object")
	f.StringVar(&o.origin, "key-origin", "", "`TEXT` for the record that says where the signer's key was made")
	f.StringVar(&o.content, "content", "", "`FILE` that a detached signature is over")
	f.StringVarP(&o.output, "output", "o", "", "`RECORD` to write; without it, a record is checked and one that is made goes to standard output")
	return cmd
}

// levels are the names that --level takes.
var levels = map[string]cades.Level{"b-b": cades.BB, "b-t": cades.BT, "b-lt": cades.BLT, "b-lta": cades.BLTA}

func (o *evidenceOptions) parseLevel() (cades.Level, error) {
	if o.level == "" {
		return cades.BLTA, nil
	}
	level, known := levels[strings.TrimPrefix(strings.ToLower(o.level), "cades-")]
	if !known {
		return 0, usage(fmt.Errorf("no level %q", o.level), "--level takes B-B, B-T, B-LT or B-LTA")
	}
	return level, nil
}

func (p *program) runEvidence(ctx context.Context, file string, o *evidenceOptions) error {
	level, err := o.parseLevel()
	if err != nil {
		return err
	}
	oo, err := o.judge.resolve(p)
	if err != nil {
		return err
	}
	options := evidence.Options{
		Anchors: oo.Anchors, TimestampAnchors: oo.TimestampAnchors, Intermediates: oo.Intermediates, Store: oo.Store,
		CRLs: oo.CRLs, Revocation: oo.Revocation, Issuers: oo.Issuers, At: oo.At, Now: oo.Now,
		From: oo.From, DecodeHeader: oo.DecodeHeader, Spool: oo.Spool, KeyOrigin: p.keyOrigin(o.origin),
	}
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	head := make([]byte, 16)
	n, err := in.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	mo := &evidence.MakeOptions{Options: options, Level: level, Insist: o.level != "", Program: "mailseal " + p.env.Version}
	if mo.Timestamp, err = timestampClient(ctx, o.timestamp); err != nil {
		return err
	}
	if !evidence.IsRecord(head[:n]) {
		return p.makeEvidence(ctx, in, head[:n], o, mo)
	}
	r, err := evidence.Read(in, in.size, oo.Spool)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	defer r.Close()
	if o.output != "" {
		mo.Renew = mo.Timestamp != nil
		if o.origin == "" {
			mo.KeyOrigin = r.KeyOrigin
		}
		return p.writeEvidence(in, o, mo, r.Renew)
	}
	if o.timestamp != "" {
		return usage(errors.New("a record is renewed into another file"), "name it with -o FILE")
	}
	return p.checkEvidence(in, r, o, mo)
}

// keyOrigin says what is known of where a signer's key was made: what the person
// says, or that it lies in the person's own key store.
func (p *program) keyOrigin(said string) func(*cert.Certificate) string {
	return func(c *cert.Certificate) string {
		if said != "" {
			return said
		}
		store, err := p.store()
		if err != nil {
			return ""
		}
		entries, err := store.List()
		if err != nil {
			return ""
		}
		for _, e := range entries {
			if e.Certificate != nil && e.Certificate.Equal(c) {
				return "in the key store of whoever made this record, as a file under a passphrase; where it was made before that is not recorded"
			}
		}
		return ""
	}
}

// checkEvidence judges a record and says what it proves.
func (p *program) checkEvidence(in *input, r *evidence.Record, o *evidenceOptions, mo *evidence.MakeOptions) error {
	report, err := r.Check(&mo.Options)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if err := p.printEvidence(p.stdout, report, o.judge.asJSON); err != nil {
		return err
	}
	if !report.Good() || mo.Insist && !reaches(report, mo.Level) {
		return errAnsweredNo
	}
	return nil
}

func reaches(r *evidence.Report, level cades.Level) bool {
	for l := level; l <= cades.BLTA; l++ {
		if r.Level == l.String() {
			return true
		}
	}
	return false
}

// makeEvidence takes a mail or file apart and makes a record of it.
func (p *program) makeEvidence(ctx context.Context, in *input, head []byte, o *evidenceOptions, mo *evidence.MakeOptions) error {
	content, signature := newSpool(), newSpool()
	defer content.Close()
	defer signature.Close()
	src := &evidence.Source{}
	var err error
	if o.content != "" || isCMS(head) {
		err = p.detachFile(ctx, content, signature, in, o.content)
	} else {
		src.Message = io.NewSectionReader(in, 0, in.size)
		err = smime.Detach(content, signature, in, in.size, mo.Spool)
	}
	switch {
	case errors.Is(err, smime.ErrNotSigned):
		return no(fmt.Errorf("%s: %w", in.name, err), "if it is encrypted, take that off first: mailseal decrypt --as ID -o signed.eml %s", in.path)
	case errors.Is(err, cms.ErrNoContent):
		return usage(fmt.Errorf("%s: the signature is detached from its content", in.name), "name the file that it is over with --content")
	case errors.Is(err, cms.ErrSignature), errors.Is(err, cms.ErrNoCertificate), errors.Is(err, cms.ErrUnsupported):
		return no(fmt.Errorf("%s: %w", in.name, err), "there is no evidence of what cannot be verified now: mailseal verify %s", in.path)
	case err != nil:
		return fmt.Errorf("%s: %w", in.name, err)
	}
	src.Content = io.NewSectionReader(content, 0, content.Size())
	if src.Signature, err = io.ReadAll(signature.reader()); err != nil {
		return err
	}
	return p.writeEvidence(in, o, mo, func(dst io.Writer, mo *evidence.MakeOptions) (*evidence.Report, error) {
		return evidence.Make(dst, src, mo)
	})
}

// isCMS tells CMS in DER, BER or PEM from a mail, which begins with text.
func isCMS(head []byte) bool {
	return len(head) > 1 && head[0] == 0x30 && head[1] >= 0x80 || strings.HasPrefix(string(head), "-----BEGIN")
}

// detachFile takes a CMS file apart.
func (p *program) detachFile(ctx context.Context, content, signature io.Writer, in *input, beside string) error {
	src, err := unarmored(io.NewSectionReader(in, 0, in.size))
	if err != nil {
		return err
	}
	der, err := spoolAll(src)
	if err != nil {
		return err
	}
	defer der.Close()
	if beside == "" {
		return smime.DetachCMS(content, signature, der, der.Size(), nil)
	}
	b, err := p.openInput(ctx, beside)
	if err != nil {
		return err
	}
	defer b.Close()
	return smime.DetachCMS(content, signature, der, der.Size(), io.NewSectionReader(b, 0, b.size))
}

// writeEvidence makes a record, or renews one, and says what is in it.
func (p *program) writeEvidence(in *input, o *evidenceOptions, mo *evidence.MakeOptions, make func(io.Writer, *evidence.MakeOptions) (*evidence.Report, error)) error {
	out, err := p.createOutput(o.output, modeSecret, in)
	if err != nil {
		return err
	}
	defer out.discard()
	report, err := make(out, mo)
	var level *evidence.LevelError
	var verdict *evidence.VerdictError
	var altered *evidence.AlteredError
	switch {
	case errors.As(err, &altered):
		return no(fmt.Errorf("%s: %w", in.name, err), "see what is left of it: mailseal evidence %s", in.path)
	case errors.As(err, &level):
		return no(fmt.Errorf("%s: %w", in.name, err), "%s", levelHint(level.Reached))
	case errors.As(err, &verdict):
		return no(fmt.Errorf("%s: %w", in.name, err), "there is no evidence of what cannot be believed; see why: mailseal verify %s", in.path)
	case errors.Is(err, cms.ErrSignature):
		return no(fmt.Errorf("%s: %w", in.name, err), "it was altered or damaged on its way")
	case err != nil:
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if err := out.commit(); err != nil {
		return err
	}
	to := p.stdout
	if o.output == "" || o.output == "-" {
		if o.judge.asJSON {
			return nil
		}
		to = p.stderr
	}
	return p.printEvidence(to, report, o.judge.asJSON)
}

// levelHint says how the next level is reached.
func levelHint(reached cades.Level) string {
	switch reached {
	case cades.None:
		return "the signer's program left out what only the signer can add; ask for the mail to be signed anew"
	case cades.BB:
		return "have it stamped while the signer's certificate is good: --timestamp URL"
	case cades.BT:
		return "give the lists that the authorities made after the signature with --crl, or --revocation online"
	}
	return "have it archived: --timestamp URL"
}

// printEvidence says what a record proves.
func (p *program) printEvidence(w io.Writer, r *evidence.Report, asJSON bool) error {
	if asJSON {
		return p.printJSON(r)
	}
	c := r.Verdict.Verdict
	if len(r.Altered) > 0 {
		c = smime.Invalid
	}
	s := p.newSheet(w)
	s.headline(c, string(c), evidenceHeadline(r))
	s.row("Level", r.Level)
	s.row("As of", clock(r.AsOf))
	s.row("From", strings.Join(r.Verdict.From, ", "))
	for i := range r.Verdict.Signers {
		s.signer(&r.Verdict.Signers[i], nil, c)
	}
	for _, signer := range r.Signers {
		s.note("Key made", keyMade(signer.KeyOrigin))
		for _, stamp := range signer.Timestamps {
			s.note("Timestamp", stampLine(stamp))
		}
		for _, stamp := range signer.ArchiveTimestamps {
			s.note("Archived", stampLine(stamp))
		}
		for _, m := range signer.Missing {
			s.note("For more", m)
		}
	}
	for _, a := range r.Anchors {
		s.row("Trusted", a.Subject)
	}
	for _, seal := range r.Seals {
		s.note("Sealed", sealLine(seal))
	}
	for _, a := range r.Altered {
		s.note("Altered", a)
	}
	if r.Unsealed != "" {
		s.note("Note", "the statements in the record, and what nobody signed of a mail's header, may be from anybody who had it: "+r.Unsealed)
	}
	for _, warning := range r.Verdict.Warnings {
		s.note("Note", warning)
	}
	if untrustedClock(r) {
		s.note("What to do", "if you know the timestamp authority above, compare its root's fingerprint with its owner and name the root with --trust-timestamps")
	}
	s.note("Claim", r.Claim)
	return s.print()
}

// untrustedClock tells whether the authority of a timestamp leads to no root that is
// trusted for it.
func untrustedClock(r *evidence.Report) bool {
	var stamps []evidence.StampReport
	for _, s := range r.Signers {
		stamps = append(append(stamps, s.Timestamps...), s.ArchiveTimestamps...)
	}
	for _, s := range r.Seals {
		stamps = append(stamps, s.StampReport)
	}
	return slices.ContainsFunc(stamps, func(s evidence.StampReport) bool {
		return strings.HasPrefix(s.Reason, certpath.NoPath.String()+": ")
	})
}

// keyMade marks what nothing proves.
func keyMade(origin string) string {
	if origin == evidence.OriginUnknown {
		return origin
	}
	return fmt.Sprintf("according to the record: %s", origin)
}

func evidenceHeadline(r *evidence.Report) string {
	switch {
	case len(r.Altered) > 0:
		return "do not believe this record: it was altered"
	case len(r.Verdict.From) > 0:
		return headline(r.Verdict)
	}
	return rawHeadline(r.Verdict)
}

// sealLine says since when the files of the record are what they are.
func sealLine(s evidence.SealReport) string {
	line := stampLine(s.StampReport)
	if s.Manifest != evidence.Manifest {
		line += joint + "for the mail, over " + s.Manifest
	}
	return line
}

func stampLine(s evidence.StampReport) string {
	line := fmt.Sprintf("%s by %s, whose certificate ends %s", clock(s.Time), s.Authority.Subject, s.Authority.Ends.Format(time.DateOnly))
	if !s.Believed {
		line += joint + "not believed: " + s.Reason
	}
	return line
}
