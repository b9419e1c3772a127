package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/inspect"
)

func newAccountCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account COMMAND",
		Short: "the accounts that administer: list, reset",
		Long: `The accounts that sign in to the portal's administration, on the server's own data.
Everything else is done at the portal, under Accounts and roles.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newAccountListCommand(p), newAccountResetCommand(p))
	return cmd
}

// inAccounts opens the accounts of the data folder for one command.
func (p *program) inAccounts(ctx context.Context, o *caOptions, do func(*auth.Service) error) error {
	room, err := p.openCA(ctx, o)
	if err != nil {
		return err
	}
	service := auth.New(auth.Options{Store: room.store, Clock: p.env.Now})
	return errors.Join(do(service), room.close())
}

func newAccountListCommand(p *program) *cobra.Command {
	o := &caOptions{}
	cmd := &cobra.Command{
		Use:     "list [--data DIR | --db URL]",
		Short:   "who administers, in which roles, and how they sign in",
		Example: `  mailseal account list --data /var/lib/mailseal`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.inAccounts(cmd.Context(), o, func(s *auth.Service) error {
				list, err := s.Accounts(cmd.Context(), auth.Console(), "")
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				for _, a := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\n", inspect.Visible(a.Email), words(a.Grants), waysIn(a))
				}
				return w.Flush()
			})
		},
	}
	o.stateFlags.add(cmd)
	return cmd
}

func words(grants []auth.Grant) string {
	if len(grants) == 0 {
		return "no role"
	}
	list := make([]string, len(grants))
	for i, g := range grants {
		list[i] = g.String()
	}
	return strings.Join(list, " ")
}

func waysIn(a auth.AccountInfo) string {
	var list []string
	for _, way := range []struct {
		is   bool
		name string
	}{{a.Password, "password"}, {a.TOTP, "app"}, {a.Passkeys > 0, "passkey"}, {a.Certificates > 0, "certificate"}} {
		if way.is {
			list = append(list, way.name)
		}
	}
	if len(list) == 0 {
		return "nothing signs it in"
	}
	return strings.Join(list, " ")
}
