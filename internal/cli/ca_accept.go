package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
)

func newCAAcceptCommand(p *program) *cobra.Command {
	o := &caOptions{}
	cmd := &cobra.Command{
		Use:   "accept FILE [FILE ...]",
		Short: "take in what was made where the root's key is",
		Long: `Take in certificates and revocation lists that were made where the root's key is. A
certificate of an issuing authority must be for a key that waits here, as it was asked
for, and signed by a root that is known here; a new root comes with the cross
certificate of the one before it. Either all files are taken, or none.`,
		Example: `  mailseal ca accept --data /var/lib/mailseal carry/issuing.pem carry/root.crl`,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runCAAccept(cmd, o, args) },
	}
	o.stateFlags.add(cmd)
	cmd.Flags().StringVar(&o.record, "record", "", "`FILE` for the record of the step (default standard output)")
	return cmd
}

func (p *program) runCAAccept(cmd *cobra.Command, o *caOptions, paths []string) error {
	if len(paths) == 0 {
		return usage(errors.New("mailseal ca accept needs the files that were carried over"), "run: mailseal ca accept --help")
	}
	var certificates []*cert.Certificate
	var lists []*cert.CRL
	for _, path := range paths {
		data, err := readSmall(path)
		if err != nil {
			return broken(err, "the files that were carried over")
		}
		c, l, err := certificatesOrList(data)
		if err != nil {
			return broken(fmt.Errorf("%s: %w", path, err), "certificates or a revocation list are wanted, PEM or DER")
		}
		certificates, lists = append(certificates, c...), append(lists, l...)
	}
	return p.inCA(cmd, o, func(ctx context.Context, room *caRoom) error {
		r := p.newRecord(o, "Files taken in")
		accepted, err := authority.Accept(ctx, room.o, certificates, lists)
		if err != nil {
			return broken(err, "nothing was taken")
		}
		for _, a := range accepted {
			if a.CRL != nil {
				r.list(a.CRL)
				continue
			}
			what := "Certificate"
			if a.Kind == "cross" {
				what = "Cross certificate"
			}
			r.certificate(what, a.Certificate)
		}
		return r.finish(ctx, room)
	})
}

// certificatesOrList reads a file of either.
func certificatesOrList(data []byte) ([]*cert.Certificate, []*cert.CRL, error) {
	list, err := cert.ParseCRL(data)
	if err == nil {
		return nil, []*cert.CRL{list}, nil
	}
	if bytes.Contains(data, []byte("BEGIN X509 CRL")) {
		return nil, nil, err
	}
	certificates, err2 := cert.ParseAll(data)
	if err2 != nil {
		return nil, nil, errors.Join(err, err2)
	}
	return certificates, nil, nil
}
