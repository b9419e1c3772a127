package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/smime"
)

type cmsVerifyOptions struct {
	judge        judgeOptions
	noTrust      bool
	noAttributes bool
	content      string
	output       string
}

func newCMSVerifyCommand(p *program) *cobra.Command {
	o := &cmsVerifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify [--content FILE] [--trust ROOTS | --no-trust] [-o FILE] [--json] [FILE]",
		Short: "say who signed a file, and whether that is worth something",
		Long: `Say who signed a file, and whether that is worth something. The verdict is "valid" only
if every signature fits the content and its certificate is trusted, unexpired and
unrevoked. A file names no sender: look who the signers are.

Trusted are the authorities that Mozilla trusts for mail and the roots in
$MAILSEAL_HOME/trust, or those of --trust instead; with --no-trust nobody is asked, and
valid means that the signatures fit. A trusted timestamp proves that a certificate that
has ended since was used in time.

-o writes what was signed to a file, and only if the verdict is valid.`,
		Example: `  mailseal cms verify --trust root.pem -o report.pdf report.pdf.p7m
  mailseal cms verify --trust root.pem --content report.pdf report.pdf.p7s`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return p.runCMSVerify(cmd.Context(), first(args), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.content, "content", "", "`FILE` that a detached signature is over")
	o.judge.addTrustFlags(cmd)
	f.BoolVar(&o.noTrust, "no-trust", false, "do not ask whether the signers may be trusted")
	f.BoolVar(&o.noAttributes, "no-attributes", false, "take signatures without signed attributes, which some old programs make")
	f.BoolVar(&o.judge.asJSON, "json", false, "print the verdict as one JSON object")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runCMSVerify(ctx context.Context, file string, o *cmsVerifyOptions) error {
	verdict := p.stdout
	if o.output == "-" {
		if o.judge.asJSON {
			return usage(errors.New("--json and the content cannot both go to standard output"), "give the content a file with -o FILE")
		}
		verdict = p.stderr
	}
	if o.noTrust && len(o.judge.trust) > 0 {
		return usage(errors.New("--trust and --no-trust exclude each other"), "leave one out")
	}
	oo, err := o.judge.resolve(p)
	if err != nil {
		return err
	}
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	so := &cms.SignedOptions{Certificates: oo.Intermediates, WithoutAttributes: o.noAttributes}
	if o.content != "" {
		content, err := p.openInput(ctx, o.content)
		if err != nil {
			return err
		}
		defer content.Close()
		so.Content = io.NewSectionReader(content, 0, content.size)
	}
	if o.noTrust {
		oo = nil
	}
	v, err := p.verifyCMS(in, o.output, so, oo)
	if err != nil {
		return err
	}
	if err := p.printRawVerdict(verdict, v, o.judge.asJSON); err != nil {
		return err
	}
	if v.Verdict != smime.Valid {
		return errAnsweredNo
	}
	return nil
}

// verifyCMS reads a message to its end, judges it, and makes the content real
// when it is valid.
func (p *program) verifyCMS(in *input, path string, so *cms.SignedOptions, oo *smime.OpenOptions) (v smime.Verdict, err error) {
	dst, commit := io.Discard, func() error { return nil }
	if path != "" {
		out, err := p.createOutput(path, modeSecret, in)
		if err != nil {
			return v, err
		}
		defer out.discard()
		dst, commit = out, out.commit
	}
	s, err := in.signedData(dst, so)
	if err != nil {
		return v, err
	}
	if v = smime.JudgeRaw(s, oo); v.Verdict == smime.Valid {
		err = commit()
	}
	return v, err
}

// signedData reads a signed message to its end.
func (in *input) signedData(dst io.Writer, so *cms.SignedOptions) (*cms.SignedReader, error) {
	r, err := in.cms()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	if r.ContentType() != oid.SignedData {
		return nil, no(fmt.Errorf("%s: it is %s, not signed", in.name, r.ContentType().Name()), "see what it is: mailseal inspect %s", in.path)
	}
	s, err := r.SignedData(so)
	switch {
	case errors.Is(err, cms.ErrNoContent):
		return nil, usage(fmt.Errorf("%s: the signature is detached from its content", in.name), "name the file that it is over with --content")
	case err != nil:
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	if _, err := io.Copy(dst, s); err != nil && s.Signers() == nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	return s, nil
}

// printRawVerdict writes what may be believed about a file.
func (p *program) printRawVerdict(w io.Writer, v smime.Verdict, asJSON bool) error {
	if asJSON {
		return p.printJSON(v)
	}
	s := p.newSheet(w)
	s.headline(v.Verdict, string(v.Verdict), rawHeadline(v))
	for i := range v.Signers {
		s.signer(&v.Signers[i], nil, v.Verdict)
	}
	for _, warning := range v.Warnings {
		s.note("Note", warning)
	}
	return s.print()
}

func rawHeadline(v smime.Verdict) string {
	switch v.Verdict {
	case smime.Valid:
		return "signed, and unaltered since"
	case smime.Unsigned:
		return "nobody signed this"
	case smime.Unknown:
		return "it cannot be told here who signed this"
	case smime.Untrusted:
		return "unaltered, but the signature is worth nothing here"
	}
	return "do not believe this: it was altered, or its signature is broken or revoked"
}
