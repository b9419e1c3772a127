package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
)

func newCMSCompressCommand(p *program) *cobra.Command {
	o := &cmsOutput{}
	cmd := &cobra.Command{
		Use:     "compress [-o FILE] [FILE]",
		Short:   "compress a file",
		Long:    `Compress a file with zlib (RFC 3274).`,
		Example: `  mailseal cms compress -o report.p7z report.txt`,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runCMSCompress(cmd.Context(), first(args), o) },
	}
	o.addFlags(cmd)
	return cmd
}

func (p *program) runCMSCompress(ctx context.Context, file string, o *cmsOutput) error {
	return p.makeCMS(ctx, file, o, func(dst io.Writer, _ int64) (io.WriteCloser, error) {
		return cms.Compress(dst, &cms.CompressOptions{Indefinite: o.indefinite, Spool: o.spool})
	})
}
