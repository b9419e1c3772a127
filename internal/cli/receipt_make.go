package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/smime"
)

type receiptMakeOptions struct {
	judge  judgeOptions
	as     []string
	pass   passphraseSource
	bare   bool
	output string
}

func newReceiptMakeCommand(p *program) *cobra.Command {
	o := &receiptMakeOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "make --as ID [--bare] [--trust ROOTS] [--revocation online] [-o FILE] [FILE]",
		Short: "make the receipt that a mail asks for",
		Long: `Open a mail and, if it is valid and asks you for a signed receipt, write one: a mail to
those whom it names, signed by you. Nothing is sent.`,
		Example: `  mailseal receipt make --as bob@example.org -o receipt.eml mail.eml`,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runReceiptMake(cmd.Context(), first(args), o) },
	}
	cmd.Flags().StringArrayVar(&o.as, "as", nil, asHelp)
	cmd.Flags().BoolVar(&o.bare, "bare", false, "write the receipt alone, in DER, without a mail around it")
	o.judge.addTrustFlags(cmd)
	o.pass.addFlag(cmd)
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runReceiptMake(ctx context.Context, file string, o *receiptMakeOptions) error {
	oo, err := o.judge.resolve(p)
	if err != nil {
		return err
	}
	signers, err := p.signers(o.as, &o.pass, nil)
	if err != nil {
		return err
	}
	if oo.Keys, err = p.decryptionKeys(o.as, &o.pass); err != nil {
		return err
	}
	m, err := p.openMail(ctx, file, oo)
	if err != nil {
		return err
	}
	defer m.Close()
	switch {
	case m.closed != nil:
		return m.answer()
	case m.Verdict.Verdict != smime.Valid:
		return no(fmt.Errorf("%s: no receipt: %s", m.in.name, headline(m.Verdict)), "see what may be believed about it: mailseal open")
	}
	out, err := p.createOutput(o.output, modePublic, m.in)
	if err != nil {
		return err
	}
	defer out.discard()
	so := &smime.SignOptions{Signers: signers, Time: p.env.Now()}
	if named := certpath.Mailboxes(signers[0].Certificate); o.bare || len(named) == 0 {
		err = smime.MakeReceipt(out, m.Message, so)
	} else {
		err = smime.MailReceipt(out, m.Message, named[0].String(), so)
	}
	if err != nil {
		return noReceipt(m.in.name, err)
	}
	return out.commit()
}
