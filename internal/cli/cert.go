package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

func newCertCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cert COMMAND",
		Short:   "judge certificates: their path, and how they are made",
		Long:    `Judge certificates by themselves, without a mail. To see what one says, use inspect.`,
		GroupID: groupKeys,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("mailseal cert needs a command"), "verify or lint; see mailseal cert --help")
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(newCertVerifyCommand(p), newCertLintCommand(p))
	return cmd
}
