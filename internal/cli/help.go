package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// exitStatusHelp ends every help text, because scripts are written from it.
const exitStatusHelp = `
EXIT STATUS
  0  yes: done, or the signature is valid
  1  the answer is no: not valid, or nothing here can decrypt it
  2  wrong usage
  3  input or environment broken: unreadable, malformed, no such file
`

// Usage lines name their flags already.
func plainUsage(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	for _, c := range cmd.Commands() {
		plainUsage(c)
	}
}

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}` + exitStatusHelp

// newHelpCommand replaces cobra's own, which prints an unknown topic to standard
// output and exits 0.
func newHelpCommand(p *program) *cobra.Command {
	var manual string
	cmd := &cobra.Command{
		Use:     "help [COMMAND] | help --man DIR",
		Short:   "explain a command",
		GroupID: groupServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if manual != "" {
				return p.writeManual(cmd.Root(), manual)
			}
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage(fmt.Errorf("no help for %q", args), "run: mailseal --help")
			}
			return target.Help()
		},
	}
	cmd.Flags().StringVar(&manual, "man", "", "write the manual pages of all commands into the folder `DIR`")
	return cmd
}
