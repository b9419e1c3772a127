package cli

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
)

type cmsSignOptions struct {
	keys      cmsKeys
	detached  bool
	digest    string
	pss       bool
	timestamp string
	crls      []string
	output    cmsOutput
}

func newCMSSignCommand(p *program) *cobra.Command {
	o := &cmsSignOptions{keys: cmsKeys{pass: passphraseSource{p: p}}}
	cmd := &cobra.Command{
		Use:   "sign (--as ID ... | --key FILE --cert FILE) [--detached] [--timestamp URL] [-o FILE] [FILE]",
		Short: "sign a file",
		Long: `Sign a file. It lies inside the signature; with --detached it stays outside, and who
verifies needs both.`,
		Example: `  mailseal cms sign --as alice.p12 -o report.pdf.p7m report.pdf
  mailseal cms sign --key key.pem --cert cert.pem --detached -o report.pdf.p7s report.pdf`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error { return p.runCMSSign(cmd.Context(), first(args), o) },
	}
	o.keys.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.detached, "detached", false, "leave the content out of the message")
	f.StringVar(&o.digest, "digest", "", "`NAME` of the digest, one of "+digestNames()+" (default what suits the key)")
	f.BoolVar(&o.pss, "pss", false, "sign with RSASSA-PSS where the key is RSA")
	addTimestampFlag(cmd, &o.timestamp)
	f.StringArrayVar(&o.crls, "crl", nil, "`FILE` of a revocation list to send along, for those who verify later (may be repeated)")
	o.output.addFlags(cmd)
	o.output.addTextFlag(cmd)
	return cmd
}

func (p *program) runCMSSign(ctx context.Context, file string, o *cmsSignOptions) error {
	digest, err := parseDigest(o.digest)
	if err != nil {
		return err
	}
	signers, err := o.keys.signers(p)
	if err != nil {
		return err
	}
	for _, s := range signers {
		s.Digest, s.PSS = digest, o.pss
	}
	so := &cms.SignOptions{Detached: o.detached, Time: p.env.Now(), Indefinite: o.output.indefinite, Spool: o.output.spool}
	crls, err := readCRLs(o.crls)
	if err != nil {
		return fmt.Errorf("revocation lists: %w", err)
	}
	for _, crl := range crls {
		so.CRLs = append(so.CRLs, crl.Raw)
	}
	if so.Timestamp, err = timestampClient(ctx, o.timestamp); err != nil {
		return err
	}
	return p.makeCMS(ctx, file, &o.output, func(dst io.Writer, _ int64) (io.WriteCloser, error) { return cms.Sign(dst, signers, so) })
}

// digests are those that messages are written with.
var digests = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA224, crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512, crypto.SHA3_224}

func digestName(h crypto.Hash) string { return strings.ToLower(h.String()) }

func digestNames() string {
	var names []string
	for _, h := range digests {
		names = append(names, digestName(h))
	}
	return strings.Join(names, ", ")
}

// parseDigest reads the name of a digest, with or without its hyphens; "" is 0.
func parseDigest(name string) (crypto.Hash, error) {
	if name == "" {
		return 0, nil
	}
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "") }
	for _, h := range digests {
		if plain(name) == plain(h.String()) {
			return h, nil
		}
	}
	return 0, usage(fmt.Errorf("no digest %q", name), "one of %s", digestNames())
}
