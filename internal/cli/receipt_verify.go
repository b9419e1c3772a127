package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/smime"
)

type receiptVerifyOptions struct {
	judge    judgeOptions
	as       []string
	pass     passphraseSource
	original string
}

func newReceiptVerifyCommand(p *program) *cobra.Command {
	o := &receiptVerifyOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "verify --original FILE [--as ID] [--trust ROOTS] [--json] [FILE]",
		Short: "say whether a receipt is one for a mail that you sent",
		Long: `Say whether a receipt, a mail or a file in DER or PEM, is for the mail that was sent:
whether it names that mail's signature, digest and content identifier, and whether its
signer is trusted and was asked. --as opens an original, or a receipt, that is encrypted.`,
		Example: `  mailseal receipt verify --original sent.eml receipt.eml`,
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runReceiptVerify(cmd.Context(), first(args), o)
		},
	}
	cmd.Flags().StringVar(&o.original, "original", "", "`FILE` of the mail that asked for the receipt, as it was sent")
	cmd.Flags().StringArrayVar(&o.as, "as", nil, asHelp)
	o.judge.addFlags(cmd)
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runReceiptVerify(ctx context.Context, file string, o *receiptVerifyOptions) error {
	if o.original == "" {
		return usage(errors.New("a receipt proves nothing without the mail that it is for"), "name that mail with --original FILE")
	}
	oo, err := o.judge.resolve(p)
	if err != nil {
		return err
	}
	if oo.Keys, err = p.decryptionKeys(o.as, &o.pass); err != nil {
		return err
	}
	originally := *oo
	originally.From = "" // --from is about the receipt
	original, err := p.openMail(ctx, o.original, &originally)
	if err != nil {
		return err
	}
	defer original.Close()
	if original.closed != nil {
		return original.answer()
	}
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	v, err := smime.VerifyReceipt(in, in.size, original.Message, oo)
	switch {
	case errors.Is(err, smime.ErrNoKey), errors.Is(err, smime.ErrDecrypt):
		return no(fmt.Errorf("%s: %w", in.name, err), "open it with the identity that it was encrypted to: --as ID")
	case err != nil:
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if err := p.printReceipt(v, o.judge.asJSON); err != nil {
		return err
	}
	if v.Verdict != smime.Valid {
		return errAnsweredNo
	}
	return nil
}

func (p *program) printReceipt(v *smime.Verdict, asJSON bool) error {
	if asJSON {
		return p.printJSON(v)
	}
	says := "this is no receipt for the mail"
	switch v.Verdict {
	case smime.Valid:
		says = "the signer has had the mail, with this signature"
	case smime.Untrusted:
		says = "a receipt for the mail, but nobody whom you trust says whose"
	case smime.Unknown:
		says = "it cannot be told here whose receipt this is"
	}
	s := p.newSheet(p.stdout)
	s.headline(v.Verdict, string(v.Verdict), says)
	for i := range v.Signers {
		s.signer(&v.Signers[i], nil, v.Verdict)
	}
	for _, warning := range v.Warnings {
		s.note("Note", warning)
	}
	return s.print()
}
