package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
)

type cmsEncryptOptions struct {
	to           []string
	passwordFile string
	oaep         string
	cipher       string
	derive       bool
	online       onlineOptions
	output       cmsOutput
}

func newCMSEncryptCommand(p *program) *cobra.Command {
	o := &cmsEncryptOptions{}
	cmd := &cobra.Command{
		Use:   "encrypt (--to CERT ... | --password-file FILE) [--cipher NAME] [-o FILE] [FILE]",
		Short: "encrypt a file",
		Long: `Encrypt a file to everyone whom --to names, and to everyone who knows the passphrase in
--password-file. Encryption alone says nothing about who made the file: sign it first.

The cbc ciphers hide the content and do not protect it from change; the others do both.`,
		Example: `  mailseal cms encrypt --to bob.pem --cipher aes-256-gcm -o report.p7m report.pdf`,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runCMSEncrypt(cmd.Context(), first(args), o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.to, "to", nil, "`CERT` of a recipient: a certificate file or bundle, or an address in the key store or the address book (may be repeated)")
	o.online.addFlags(cmd)
	f.StringVar(&o.passwordFile, "password-file", "", "`FILE` whose first line is a passphrase that opens the message")
	f.StringVar(&o.oaep, "oaep", "", "`DIGEST` for RSAES-OAEP where a recipient's key is RSA (default PKCS #1 v1.5, which everybody reads)")
	f.StringVar(&o.cipher, "cipher", cms.AES256CBC.String(), fmt.Sprintf("`NAME` of the content cipher, one of %v", cms.Ciphers()))
	f.BoolVar(&o.derive, "derive-key", false, "bind the content key to the cipher (RFC 9709); few programs read that yet")
	o.output.addFlags(cmd)
	o.output.addTextFlag(cmd)
	return cmd
}

func (p *program) runCMSEncrypt(ctx context.Context, file string, o *cmsEncryptOptions) error {
	cipher, err := cms.ParseCipher(o.cipher)
	if err != nil {
		return usage(fmt.Errorf("no cipher %q", o.cipher), "one of %v", cms.Ciphers())
	}
	recipients, err := o.recipients(p)
	if err != nil {
		return err
	}
	eo := &cms.EncryptOptions{Cipher: cipher, DeriveKey: o.derive, Indefinite: o.output.indefinite, Spool: o.output.spool}
	return p.makeCMS(ctx, file, &o.output, func(dst io.Writer, length int64) (io.WriteCloser, error) {
		eo.Length, eo.HasLength = length, length >= 0
		return cms.Encrypt(dst, recipients, eo)
	})
}

func (o *cmsEncryptOptions) recipients(p *program) ([]*cms.Recipient, error) {
	ro := &cms.RecipientOptions{}
	var err error
	if ro.OAEP, err = parseDigest(o.oaep); err != nil {
		return nil, err
	}
	var all []*cms.Recipient
	if len(o.to) > 0 {
		if all, err = p.recipientsWith(o.to, ro, &o.online); err != nil {
			return nil, err
		}
	}
	if o.passwordFile != "" {
		passphrase, err := (&passphraseSource{p: p, file: o.passwordFile}).read(o.passwordFile)
		if err != nil {
			return nil, err
		}
		r, err := cms.NewPasswordRecipient(passphrase)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", o.passwordFile, err), "its first line is the passphrase")
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, usage(errors.New("nobody to encrypt to"), "name a certificate file, or an address in the key store, with --to; or a --password-file")
	}
	return all, nil
}
