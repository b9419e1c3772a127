package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/registration"
)

func newPersonAdoptCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var trustRoots bool
	cmd := &cobra.Command{
		Use: "adopt ORG FILE", Short: "take in certificates that people have already", Args: orgArguments(1, 1, " and a file"),
		Long: `Take in certificates that people of an organization have from another authority, to be
watched: PEM, DER or PKCS #7, one or thousands. Each goes to whoever has its mailboxes.
What cannot be taken is told, and keeps out nothing else; the exit status is 1 then.

One whose chain leads to no trusted root is taken in and watched, but given to nobody:
the file should hold the authorities above, and where their root is neither public nor
known here, --trust-roots says that the organization trusts it, on the server's own data:
with --server it is refused, and somebody names the root in the portal (Settings, Trusted
roots). mailseal org trust lists and removes such roots.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := readSmall(args[1])
			if err != nil {
				return err
			}
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				list, err := r.ImportCertificates(ctx, r.actor, org.ID, file, trustRoots)
				if err != nil {
					return err
				}
				failed := false
				for _, one := range list {
					if one.Err != nil {
						failed = true
						fmt.Fprintf(p.stderr, "mailseal: %s: %v\n", one.Subject, one.Err)
						continue
					}
					if !one.Certificate.Trusted() {
						fmt.Fprintf(p.stderr, "mailseal: %s: chain not trusted: %s\n", one.Subject, distrust(one.Certificate))
					}
					fmt.Fprintln(p.stdout, one.Certificate.ID)
				}
				if failed {
					return errAnsweredNo
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().BoolVar(&trustRoots, "trust-roots", false, "the organization trusts the roots in the file from now on (not with --server)")
	return cmd
}
