package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

type cmsDigestOptions struct {
	digest  string
	check   bool
	content string
	output  cmsOutput
}

func newCMSDigestCommand(p *program) *cobra.Command {
	o := &cmsDigestOptions{}
	cmd := &cobra.Command{
		Use:   "digest [--digest NAME | --check [--content FILE]] [-o FILE] [FILE]",
		Short: "put a file together with its digest, or check one",
		Long: `Put a file together with its digest (RFC 5652 §7), or take it out again with --check.
A digest shows accidental change and no other: whoever alters the file makes it anew.`,
		Example: `  mailseal cms digest -o report.p7d report.pdf
  mailseal cms digest --check -o report.pdf report.p7d`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return p.runCMSDigest(cmd.Context(), first(args), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.digest, "digest", "", "`NAME` of the digest, one of "+digestNames()+" (default sha-256)")
	f.BoolVar(&o.check, "check", false, "read a message, and write its content if the digest fits")
	f.StringVar(&o.content, "content", "", "`FILE` that a detached digest is over; with --check")
	o.output.addFlags(cmd)
	return cmd
}

func (p *program) runCMSDigest(ctx context.Context, file string, o *cmsDigestOptions) error {
	if o.check && (o.digest != "" || o.output.indefinite) {
		return usage(errors.New("--check reads a message; --digest and --indefinite are for making one"), "leave --check out, or the others")
	}
	if o.check {
		return p.checkCMSDigest(ctx, file, o)
	}
	if o.content != "" {
		return usage(errors.New("--content goes with --check"), "the file to put together with its digest is the argument")
	}
	h, err := parseDigest(o.digest)
	if err != nil {
		return err
	}
	do := &cms.DigestOptions{Hash: h, Indefinite: o.output.indefinite, Spool: o.output.spool}
	return p.makeCMS(ctx, file, &o.output, func(dst io.Writer, length int64) (io.WriteCloser, error) {
		do.Length, do.HasLength = length, length >= 0
		return cms.Digest(dst, do)
	})
}

func (p *program) checkCMSDigest(ctx context.Context, file string, o *cmsDigestOptions) error {
	var detached io.Reader
	if o.content != "" {
		content, err := p.openInput(ctx, o.content)
		if err != nil {
			return err
		}
		defer content.Close()
		detached = io.NewSectionReader(content, 0, content.size)
	}
	return p.readCMS(ctx, file, o.output.path, func(r *cms.Reader, _ *input, dst io.Writer) error {
		if r.ContentType() != oid.DigestedData {
			return wrongType(r, "digest is for digested data")
		}
		d, err := r.DigestedData(detached)
		if errors.Is(err, cms.ErrNoContent) {
			return usage(errors.New("the digest is detached from its content"), "name the file that it is over with --content")
		}
		if err != nil {
			return err
		}
		_, err = io.Copy(dst, d)
		return err
	})
}
