package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/config"
)

func newConfigCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config COMMAND",
		Short:   "look at the server's settings, or start a file of them",
		Long:    `Look at the file that "mailseal serve --config" reads, before the server does.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("mailseal config needs a command"), "check or example; see mailseal config --help")
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(newConfigCheckCommand(p), newConfigExampleCommand(p))
	return cmd
}

func newConfigCheckCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "say what the server would refuse of a file, and what is odd",
		Long: `Read a file of settings, and the certificates and secrets that it names, as the
server would, and say everything that it would refuse, with the line and a way out,
and what is allowed but odd. Nothing is opened or changed.

Exit status 0: the server takes it, perhaps with warnings. 1: it refuses it.
2: wrong usage. 3: the file cannot be read.`,
		Example: `  mailseal config check /etc/mailseal/mailseal.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("%s takes one file, not %d", cmd.CommandPath(), len(args)), "run: %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.runConfigCheck(args[0]) },
	}
}

func (p *program) runConfigCheck(path string) error {
	_, warnings, err := p.checkedConfig(path)
	for _, w := range warnings {
		p.say("warning: %s", w)
	}
	if err != nil {
		return err
	}
	p.say("%s: the server takes it", path)
	return nil
}

func newConfigExampleCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "print a file with every setting explained",
		Long:    `Print a file of settings for "mailseal serve --config", with every setting explained.`,
		Example: `  mailseal config example > mailseal.yaml`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(p.stdout, config.Example)
			return err
		},
	}
}
