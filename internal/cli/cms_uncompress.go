package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

func newCMSUncompressCommand(p *program) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "uncompress [-o FILE] [FILE]",
		Short:   "uncompress a file",
		Long:    `Uncompress a file (RFC 3274). One that grows beyond all that is sensible is refused.`,
		Example: `  mailseal cms uncompress -o report.txt report.p7z`,
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runCMSUncompress(cmd.Context(), first(args), output)
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}

func (p *program) runCMSUncompress(ctx context.Context, file, output string) error {
	return p.readCMS(ctx, file, output, func(r *cms.Reader, _ *input, dst io.Writer) error {
		if r.ContentType() != oid.CompressedData {
			return wrongType(r, "uncompress is for compressed data")
		}
		c, err := r.CompressedData()
		if err != nil {
			return err
		}
		_, err = io.Copy(dst, c)
		return err
	})
}
