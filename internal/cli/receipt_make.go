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
		Use:   "make --as ID [--bare] [--trust ROOTS] [-o FILE] [FILE]",
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
	o.judge.revocation = "off"
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
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	m, closed := smime.Open(in, in.size, oo)
	if m == nil {
		return fmt.Errorf("%s: %w", in.name, closed)
	}
	defer m.Close()
	if closed != nil {
		return answer(in, m, closed, oo)
	}
	out, err := p.createOutput(o.output, modePublic, in)
	if err != nil {
		return err
	}
	defer out.discard()
	so := &smime.SignOptions{Signers: signers, Time: p.env.Now()}
	if named := certpath.Mailboxes(signers[0].Certificate); o.bare || len(named) == 0 {
		err = smime.MakeReceipt(out, m, so)
	} else {
		err = smime.MailReceipt(out, m, named[0].String(), so)
	}
	if err != nil {
		return noReceipt(in.name, err)
	}
	return out.commit()
}
