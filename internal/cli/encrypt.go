package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/smime"
)

type encryptOptions struct {
	plan    planOptions
	content contentOptions
	output  string
}

func newEncryptCommand(p *program) *cobra.Command {
	o := &encryptOptions{}
	cmd := &cobra.Command{
		Use:   "encrypt --to CERT [--to CERT ...] [--bcc CERT ...] [--protect-headers] [--plan [--json]] [-o FILE] [FILE]",
		Short: "encrypt a mail",
		Long: `Encrypt a mail (RFC 8551) to everyone whom --to names, and to its sender if From is
in the key store. Only they can read it. Everyone sees how many recipients there are
and who they are; each --bcc gets a message of their own.

It is encrypted to all of them or to nobody: --plan says for whom a key is missing, and
why. The cipher is the best that all of them are known to read. That is aes-256-cbc for
those of whom nothing is known; aes-256-gcm also protects against alteration and is a
blank page in many programs of today.

The header stays readable for everybody on the way; with --protect-headers=modern the
Subject does not.

Encryption alone says nothing about who wrote a mail; to sign as well, use seal.`,
		Example: `  mailseal encrypt --to bob.pem --to carol@example.org -o encrypted.eml letter.eml
  mailseal encrypt --to bob@example.org --plan letter.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runEncrypt(cmd.Context(), first(args), o) },
	}
	o.plan.addFlags(cmd)
	o.content.addFlags(cmd)
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runEncrypt(ctx context.Context, file string, o *encryptOptions) error {
	chosen, err := writingProfile(o.plan.profile)
	if err != nil {
		return err
	}
	resolved, err := o.plan.resolve(p)
	if err != nil {
		return err
	}
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := in.notEmpty(); err != nil {
		return err
	}
	senders, err := p.senderOf(in)
	if err != nil {
		return err
	}
	plan := resolved.with(senders)
	if o.plan.show {
		return o.plan.showPlan(p, plan)
	}
	all, err := p.carryOut(plan)
	if err != nil {
		return err
	}
	return p.writeAll(in, o.output, plan, all, func(dst io.Writer, eo *smime.EncryptOptions) error {
		if err := o.content.apply(eo, chosen); err != nil {
			return err
		}
		eo.Time = p.env.Now()
		return smime.Encrypt(dst, in, in.size, eo)
	})
}

// mailCiphers are those that a mail is written with. CCM authenticates the length of
// the content in front of it, which is not known before a mail is made safe for its
// way (RFC 8551 §3.1).
func mailCiphers() []cms.Cipher {
	return slices.DeleteFunc(cms.Ciphers(), func(c cms.Cipher) bool { return strings.HasSuffix(c.String(), "-ccm") })
}
