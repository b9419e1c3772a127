package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/recovery"
)

func newRecoveryCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recovery COMMAND",
		Short: "give out keys that an organization keeps for emergencies",
		Long: `An organization may keep copies of its people's encryption keys, so that their mail can
still be read when a key is lost. No one opens a copy alone: each needs the shares of
several recovery officers, two of three unless the organization says otherwise.

Administrators look after officers and requests on a running server (--server and
--token-file), or in the portal. Officers answer their tasks with share, on a machine of
their own; whoever asked for a key puts it together with open. The server only passes on
what it cannot read.`,
		GroupID: groupKeys,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("mailseal recovery needs a command"), "officers, propose, keys, request, list, release, share or open; see mailseal recovery --help")
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(newRecoveryOfficersCommand(p), newRecoveryProposeCommand(p), newRecoveryKeysCommand(p), newRecoveryRequestCommand(p),
		newRecoveryListCommand(p), newRecoveryReleaseCommand(p), newRecoveryShareCommand(p), newRecoveryOpenCommand(p))
	return cmd
}

// readRecoveryFile reads a file that the server made.
func readRecoveryFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, recovery.MaxFile+1))
	if err == nil && len(data) > recovery.MaxFile {
		err = fmt.Errorf("%s is larger than %d MiB", path, recovery.MaxFile>>20)
	}
	return data, err
}
