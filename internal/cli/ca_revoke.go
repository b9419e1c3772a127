package cli

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
)

// revocationReasons are the words of RFC 5280 §5.3.1 for what the operator may
// say.
var revocationReasons = map[string]cert.Reason{
	"unspecified": cert.Unspecified, "keyCompromise": cert.KeyCompromise, "affiliationChanged": cert.AffiliationChanged,
	"superseded": cert.Superseded, "cessationOfOperation": cert.CessationOfOperation, "privilegeWithdrawn": cert.PrivilegeWithdrawn,
}

func reasonNames() []string {
	var names []string
	for name := range revocationReasons {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func newCARevokeCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke SERIAL --reason REASON",
		Short: "revoke a person's certificate",
		Long: `Revoke a person's certificate, at once and for good, by its serial number: hexadecimal,
with or without colons. The list that names it is signed before the command ends.

A server that runs on the folder has a page for this: /admin/revoke.`,
		Example: `  mailseal ca revoke 39:cf:3d:39:3d:bd:8e:1c --reason keyCompromise --data /var/lib/mailseal`,
		Args:    oneName("serial number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			serial, err := parseSerial(args[0])
			if err != nil {
				return err
			}
			why, ok := revocationReasons[reason]
			if !ok {
				return usage(fmt.Errorf("%q is not a reason", reason), "--reason takes one of %s", strings.Join(reasonNames(), ", "))
			}
			return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
				a, err := authority.Open(ctx, room.o)
				if err != nil {
					return err
				}
				err = a.Revoke(ctx, serial, why)
				if errors.Is(err, authority.ErrUnknown) {
					return no(fmt.Errorf("no valid certificate has the serial number %x", serial), "it was not issued here, or is revoked already")
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "revoked %x, %s\n", serial, reason)
				return nil
			})
		},
	}
	o.addKeys(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`REASON` that the list gives: "+strings.Join(reasonNames(), ", "))
	return cmd
}

// parseSerial reads a serial number as programs show it.
func parseSerial(text string) (*big.Int, error) {
	plain := strings.NewReplacer(":", "", " ", "").Replace(strings.TrimPrefix(text, "0x"))
	n, ok := new(big.Int).SetString(plain, 16)
	if !ok || n.Sign() <= 0 || n.BitLen() > 160 {
		return nil, usage(fmt.Errorf("%q is not a serial number", text), "hexadecimal, as `mailseal inspect` and mail programs show it")
	}
	return n, nil
}
