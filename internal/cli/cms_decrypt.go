package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

type cmsDecryptOptions struct {
	keys         cmsKeys
	passwordFile string
	output       string
}

func newCMSDecryptCommand(p *program) *cobra.Command {
	o := &cmsDecryptOptions{keys: cmsKeys{pass: passphraseSource{p: p}}}
	cmd := &cobra.Command{
		Use:   "decrypt (--as ID ... | --key FILE --cert FILE | --password-file FILE) [-o FILE] [FILE]",
		Short: "decrypt a file, without asking who made it",
		Long: `Decrypt a file. Exit status 0 means that it was decrypted, and says nothing about who
made it; with a cbc cipher not even that it is unaltered.`,
		Example: `  mailseal cms decrypt --as bob.p12 -o report.pdf report.p7m`,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runCMSDecrypt(cmd.Context(), first(args), o) },
	}
	o.keys.addFlags(cmd)
	cmd.Flags().StringVar(&o.passwordFile, "password-file", "", "`FILE` whose first line is the passphrase of the message")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runCMSDecrypt(ctx context.Context, file string, o *cmsDecryptOptions) error {
	keys, err := o.keys.keys(p)
	if err != nil {
		return err
	}
	if o.passwordFile != "" {
		passphrase, err := (&passphraseSource{p: p, file: o.passwordFile}).read(o.passwordFile)
		if err != nil {
			return err
		}
		keys = append(keys, &cms.RecipientKey{Passphrase: passphrase})
	}
	if len(keys) == 0 {
		return usage(errors.New("nobody to decrypt as"), "name a PKCS#12 or PEM file, or an address in the key store, with --as; or --key and --cert; or a --password-file")
	}
	return p.readCMS(ctx, file, o.output, func(r *cms.Reader, _ *input, dst io.Writer) error {
		switch r.ContentType() {
		case oid.EnvelopedData, oid.AuthEnvelopedData:
			e, err := r.EnvelopedData(keys)
			if err != nil {
				return err
			}
			_, err = io.Copy(dst, e)
			return err
		case oid.AuthenticatedData: // in the clear, with a code that the key opens
			a, err := r.AuthenticatedData(keys)
			if err != nil {
				return err
			}
			_, err = io.Copy(dst, a)
			return err
		}
		return wrongType(r, "decrypt is for enveloped data")
	})
}
