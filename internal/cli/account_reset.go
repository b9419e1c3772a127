package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/auth"
)

func newAccountResetCommand(p *program) *cobra.Command {
	o := &caOptions{}
	cmd := &cobra.Command{
		Use:   "reset [--data DIR | --db URL] ADDRESS",
		Short: "a new way in for who lost the last one",
		Long: `Take away all that signs an account in, its password, authenticator app, passkeys and
certificates, and print a code with which a password or a passkey is set anew at
/admin/invitation of the portal. The roles stay. This is for the only operator who lost
the second factor; where there is another one, the portal does it by mail.

No server may run on a data folder meanwhile. The log has an entry of it.`,
		Example: `  mailseal account reset --data /var/lib/mailseal carol@example.org`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("one address is wanted"), "mailseal account list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inAccounts(cmd.Context(), o, func(s *auth.Service) error {
				code, err := s.ResetHere(cmd.Context(), args[0])
				switch {
				case errors.Is(err, auth.ErrForbidden):
					return broken(fmt.Errorf("no account has the address %s", args[0]), "mailseal account list shows them")
				case errors.Is(err, auth.ErrState):
					return broken(fmt.Errorf("%s has no role to come back to", args[0]), "an operator removes the account at the portal")
				case errors.Is(err, auth.ErrEmail):
					return usage(err, "mailseal account list shows the addresses")
				case err != nil:
					return err
				}
				_, err = fmt.Fprintln(p.stdout, code)
				return err
			})
		},
	}
	o.stateFlags.add(cmd)
	return cmd
}
