package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/smime"
)

type decryptOptions struct {
	as     []string
	pass   passphraseSource
	output string
	text   bool
	force  bool

	profile string
}

func newDecryptCommand(p *program) *cobra.Command {
	o := &decryptOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "decrypt --as ID [--as ID ...] [-o FILE] [FILE]",
		Short: "decrypt a mail, without asking who wrote it",
		Long: `Decrypt a mail and write its content. Exit status 0 means that it was decrypted, and
says nothing about who wrote it: for that, use open.

A mail with a signature inside that does not fit is not written; --force writes it.`,
		Example: `  mailseal decrypt --as bob.p12 -o letter.eml encrypted.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runDecrypt(cmd.Context(), first(args), o) },
	}
	cmd.Flags().StringArrayVar(&o.as, "as", nil, asHelp)
	o.pass.addFlag(cmd)
	cmd.Flags().BoolVar(&o.text, "text", false, textHelp)
	cmd.Flags().BoolVar(&o.force, "force", false, "write the content even if a signature inside does not fit")
	addProfileFlag(cmd, &o.profile, "which decide whether old algorithms are read")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runDecrypt(ctx context.Context, file string, o *decryptOptions) error {
	if len(o.as) == 0 {
		return usage(errors.New("nobody to decrypt as"), "name a PKCS#12 or PEM file, or an address in the key store, with --as")
	}
	chosen, err := profile(o.profile)
	if err != nil {
		return err
	}
	keys, err := p.decryptionKeys(o.as, &o.pass)
	if err != nil {
		return err
	}
	m, err := p.openMail(ctx, file, &smime.OpenOptions{
		Keys: keys, At: p.env.Now(), Profile: chosen,
		Spool: func() (smime.Spool, error) { return newSpool(), nil },
	})
	if err != nil {
		return err
	}
	defer m.Close()
	switch {
	case m.closed != nil:
		return m.answer()
	case !m.Verdict.Encrypted:
		return no(fmt.Errorf("%s: it is not encrypted", m.in.name), "open and verify take it as it is")
	case m.Verdict.Verdict == smime.Invalid && !o.force:
		return no(fmt.Errorf("%s: decrypted; %s", m.in.name, headline(m.Verdict)), "open says more; --force writes the content all the same")
	}
	return p.writeContent(o.output, m, o.text)
}
