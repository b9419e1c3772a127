package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
)

func newCACeremonyCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ceremony STEP",
		Short: "the steps on the machine that keeps a root's key",
		Long: `The steps on a machine without network that keeps a root's key, and no more than that.
Files are carried to it and back. Each step asks for two people, and prints a record
of what was made, with digests, for them to sign.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newCeremonyRootCommand(p), newCeremonySignCommand(p), newCeremonyCRLCommand(p), newCeremonyRevokeCommand(p))
	return cmd
}

func newCeremonyRootCommand(p *program) *cobra.Command {
	o := &foundingOptions{}
	cmd := &cobra.Command{
		Use:   "root --operator NAME --base-url URL -o FILE",
		Short: "make a root's key and certificate",
		Long: `Make a root's key and certificate in a data folder of their own. The folder stays with
the key: it also knows what the root signed, and the numbers of its lists. -o FILE gets
the certificate, to be carried to where certificates are issued.`,
		Example: `  mailseal ca ceremony root --data /media/root --operator "Example Ltd" --country GB \
    --base-url http://pki.example.com --present "Alice, director" --present "Bob, auditor" -o root.pem`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output == "" {
				return usage(errors.New("-o FILE is missing"), "-o root.pem")
			}
			f, err := p.founding(o)
			if err != nil {
				return err
			}
			f.RootOnly = true
			return p.found(cmd, o, f, rootPeople, "Root made")
		},
	}
	o.addFlags(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "`FILE` for the root's certificate")
	return cmd
}

func newCeremonySignCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var output string
	cmd := &cobra.Command{
		Use:   "sign REQUEST -o FILE",
		Short: "certify an issuing authority",
		Long: `Certify an issuing authority below the active root. REQUEST is what "mailseal ca init",
"add" or "rollover" wrote where certificates are issued. Compare the SHA-256 of the key
with the record that was made there before you go on.`,
		Example: `  mailseal ca ceremony sign --data /media/root --present "Alice, director" --present "Bob, auditor" issuing.csr -o issuing.pem`,
		Args:    oneName("request"),
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runCeremonySign(cmd, o, args[0], output) },
	}
	o.addCeremony(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` for the certificate")
	return cmd
}

func (p *program) runCeremonySign(cmd *cobra.Command, o *caOptions, path, output string) error {
	if output == "" {
		return usage(errors.New("-o FILE is missing"), "-o issuing.pem")
	}
	data, err := readSmall(path)
	if err != nil {
		return broken(err, "the file that was carried over")
	}
	request, err := issuance.ReadAuthorityRequest(data)
	if err != nil {
		return broken(fmt.Errorf("%s: %w", path, err), "it is written by mailseal ca init, add or rollover")
	}
	if err := p.witnesses(o, rootPeople); err != nil {
		return err
	}
	r := p.newRecord(o, "Issuing authority certified")
	if err := r.request(path, data); err != nil {
		return err
	}
	if err := p.confirm(o, "An issuing authority is about to be certified:", "  name     "+request.Subject.CommonName,
		"  domains  "+cmp.Or(strings.Join(request.Domains, " "), "those of the root"), "  SHA-256 of its key  "+r.entries[0].rows[3][1]); err != nil {
		return err
	}
	return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
		c, err := authority.Certify(ctx, room.o, data)
		if err != nil {
			return err
		}
		r.certificate("Certificate", c)
		if err := r.file(output, c.PEM()); err != nil {
			return err
		}
		return r.finish(ctx, room)
	})
}

func newCeremonyCRLCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var output string
	cmd := &cobra.Command{
		Use:   "crl -o DIR",
		Short: "sign the root's next revocation list",
		Long: `Sign the next revocation list of every root in the folder. It is valid for half a year:
do this again before it ends, and at once when an authority was revoked.`,
		Example: `  mailseal ca ceremony crl --data /media/root --present "Alice, director" --present "Bob, auditor" -o carry`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.runCeremonyLists(cmd, o, output, "Revocation lists signed", nil)
		},
	}
	o.addCeremony(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "`DIR` for the lists, NAME.crl")
	return cmd
}

func newCeremonyRevokeCommand(p *program) *cobra.Command {
	o := &caOptions{}
	var output, reason string
	cmd := &cobra.Command{
		Use:     "revoke SERIAL --reason REASON -o DIR",
		Short:   "revoke an authority's certificate, and sign the list that says so",
		Example: `  mailseal ca ceremony revoke --data /media/root 4f1c --reason cACompromise -o carry --present "Alice, director" --present "Bob, auditor"`,
		Args:    oneName("serial number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			serial, ok := new(big.Int).SetString(args[0], 16)
			if !ok || serial.Sign() <= 0 {
				return usage(fmt.Errorf("%q is not a serial number", args[0]), "in hexadecimal, as the record of the certificate has it")
			}
			why, err := authorityReason(reason)
			if err != nil {
				return err
			}
			return p.runCeremonyLists(cmd, o, output, "Authority revoked", func(ctx context.Context, room *caRoom, r *record) error {
				r.add("Revoked", [2]string{"Serial number", args[0]}, [2]string{"Reason", reason})
				return authority.RevokeAuthority(ctx, room.o, serial, why)
			})
		},
	}
	o.addCeremony(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "`DIR` for the lists, NAME.crl")
	cmd.Flags().StringVar(&reason, "reason", "", "`REASON`: cACompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn")
	return cmd
}

// authorityReason reads a reason by the standard's name (RFC 5280 §5.3.1).
func authorityReason(name string) (cert.Reason, error) {
	for _, r := range []cert.Reason{cert.CACompromise, cert.AffiliationChanged, cert.Superseded, cert.CessationOfOperation, cert.PrivilegeWithdrawn} {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, usage(fmt.Errorf("--reason %q is none that an authority is revoked for", name), "see --help")
}

func (p *program) runCeremonyLists(cmd *cobra.Command, o *caOptions, output, step string, first func(context.Context, *caRoom, *record) error) error {
	if err := p.witnesses(o, rootPeople); err != nil {
		return err
	}
	if err := folderFor(output); err != nil {
		return err
	}
	if err := p.confirm(o, "The root is about to sign its next revocation list."); err != nil {
		return err
	}
	return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
		r := p.newRecord(o, step)
		if first != nil {
			if err := first(ctx, room, r); err != nil {
				return err
			}
		}
		lists, err := authority.NewLists(ctx, room.o)
		if err != nil {
			return err
		}
		for _, l := range lists {
			parsed, err := cert.ParseCRL(l.DER)
			if err != nil {
				return err
			}
			r.list(parsed)
			if err := r.file(filepath.Join(output, l.Name+".crl"), l.DER); err != nil {
				return err
			}
		}
		return r.finish(ctx, room)
	})
}
