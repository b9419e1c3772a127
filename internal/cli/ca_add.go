package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
)

// addPartitions adds the flag of commands that make an issuing authority.
func addPartitions(f *pflag.FlagSet, n *int) {
	f.IntVar(n, "crl-partitions", 1, "`NUMBER` of lists that its revocations are divided into, for good; above some 100,000 certificates a few keep each list short")
}

func newCAAddCommand(p *program) *cobra.Command {
	o := &caOptions{}
	n := authority.NewIssuing{}
	var types []string
	var output string
	cmd := &cobra.Command{
		Use:   "add NAME --common-name NAME [--mail-domain DOMAIN ...] [--type TYPE ...] [--crl-partitions N]",
		Short: "make another issuing authority",
		Long: `Make another issuing authority below the active root: for the mail domains of one
organization, for some types of certificates, or both; or with the type timestamp-signer
for what signs timestamps (RFC 3161). An order goes to the authority
that is closest to it. NAME stands in addresses: /crl/NAME.crl.

Where the root's key is elsewhere, -o FILE gets the certification request.`,
		Example: `  mailseal ca add acme --common-name "Acme Mail CA" --mail-domain acme.example -o acme.csr`,
		Args:    oneName("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n.CommonName == "" {
				return usage(errors.New("--common-name is missing"), `--common-name "Acme Mail CA"`)
			}
			n.Line = args[0]
			for _, t := range types {
				n.Types = append(n.Types, issuance.Type(t))
			}
			return p.runCASucceed(cmd, o, output, "Issuing authority made", func(ctx context.Context, room *caRoom) (*authority.Made, error) {
				return authority.AddIssuing(ctx, room.o, n)
			})
		},
	}
	o.addCeremony(cmd)
	o.addAlgorithm(cmd)
	f := cmd.Flags()
	f.StringVar(&n.CommonName, "common-name", "", "`NAME` in its certificate")
	f.StringArrayVar(&n.Domains, "mail-domain", nil, "mail `DOMAIN` that it is limited to; .DOMAIN for all below it; repeat for more")
	f.StringArrayVar(&types, "type", nil, "`TYPE` of certificates that it issues, such as mailbox-validated; repeat for more")
	addPartitions(f, &n.Partitions)
	f.StringVar(&n.KeyURI, "key", "", "pkcs11: or signer: `URI` of a key that is made already")
	f.StringVarP(&output, "output", "o", "", "`DIR` for the files to be carried")
	return cmd
}
