package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/smime"
)

type encryptOptions struct {
	to     []string
	cipher string
	output string
}

func (o *encryptOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.to, "to", nil, "recipient: a certificate file or bundle, or an address in the key store (may be repeated)")
	cmd.Flags().StringVar(&o.cipher, "cipher", cms.AES256CBC.String(), "content cipher: aes-256-cbc, aes-256-gcm, or with 128 or 192 bits")
}

func newEncryptCommand(p *program) *cobra.Command {
	o := &encryptOptions{}
	cmd := &cobra.Command{
		Use:   "encrypt --to CERT [--to CERT ...] [--cipher NAME] [-o FILE] [FILE]",
		Short: "encrypt a mail",
		Long: `Encrypt a mail (RFC 8551) to everyone whom --to names. Only they can read it: add
yourself if you want to. Everyone sees how many recipients there are and who they
are; send a hidden recipient a message of their own.

Encryption alone says nothing about who wrote a mail; to sign as well, use seal.

aes-256-cbc is read by every mail program. aes-256-gcm also protects against
alteration and is a blank page in many programs of today.`,
		Example: `  mailseal encrypt --to bob.pem --to carol.pem -o encrypted.eml letter.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runEncrypt(cmd.Context(), first(args), o) },
	}
	o.addFlags(cmd)
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runEncrypt(ctx context.Context, file string, o *encryptOptions) error {
	eo, err := o.resolve(p)
	if err != nil {
		return err
	}
	return p.transform(ctx, file, o.output, func(dst io.Writer, in *input) error {
		return smime.Encrypt(dst, in, in.size, eo)
	})
}

// resolve turns names into certificates and ciphers.
func (o *encryptOptions) resolve(p *program) (*smime.EncryptOptions, error) {
	cipher, err := cms.ParseCipher(strings.ToLower(o.cipher))
	if err != nil {
		return nil, usage(err, "aes-256-cbc is read by every mail program")
	}
	recipients, err := p.recipients(o.to)
	if err != nil {
		return nil, err
	}
	return &smime.EncryptOptions{Recipients: recipients, Cipher: cipher}, nil
}
