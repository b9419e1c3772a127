package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/smime"
)

type encryptOptions struct {
	to       []string
	cipher   string
	compress bool
	headers  headerOptions
	output   string
}

func (o *encryptOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.to, "to", nil, "`CERT` of a recipient: a certificate file or bundle, or an address in the key store (may be repeated)")
	cmd.Flags().StringVar(&o.cipher, "cipher", cms.AES256CBC.String(), fmt.Sprintf("`NAME` of the content cipher, one of %v", mailCiphers()))
	cmd.Flags().BoolVar(&o.compress, "compress", false, "compress what is encrypted; not every mail program reads that")
	o.headers.addFlag(cmd)
}

func newEncryptCommand(p *program) *cobra.Command {
	o := &encryptOptions{}
	cmd := &cobra.Command{
		Use:   "encrypt --to CERT [--to CERT ...] [--cipher NAME] [--protect-headers] [-o FILE] [FILE]",
		Short: "encrypt a mail",
		Long: `Encrypt a mail (RFC 8551) to everyone whom --to names. Only they can read it: add
yourself if you want to. Everyone sees how many recipients there are and who they
are; send a hidden recipient a message of their own.

Encryption alone says nothing about who wrote a mail; to sign as well, use seal.

The header stays readable for everybody on the way; with --protect-headers=modern the
Subject does not.

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
	i := slices.IndexFunc(mailCiphers(), func(c cms.Cipher) bool { return strings.EqualFold(c.String(), o.cipher) })
	if i < 0 {
		return nil, usage(fmt.Errorf("no cipher %q", o.cipher), "one of %v; every mail program reads aes-256-cbc", mailCiphers())
	}
	recipients, err := p.recipients(o.to)
	if err != nil {
		return nil, err
	}
	policy, err := o.headers.policy()
	if err != nil {
		return nil, err
	}
	return &smime.EncryptOptions{Recipients: recipients, Cipher: mailCiphers()[i], Headers: policy, Compress: o.compress, Time: p.env.Now()}, nil
}

// mailCiphers are those that a mail is written with. CCM authenticates the length of
// the content in front of it, which is not known before a mail is made safe for its
// way (RFC 8551 §3.1).
func mailCiphers() []cms.Cipher {
	return slices.DeleteFunc(cms.Ciphers(), func(c cms.Cipher) bool { return strings.HasSuffix(c.String(), "-ccm") })
}
