package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/smime"
)

type sealOptions struct {
	sign    signOptions
	plan    planOptions
	content contentOptions
	triple  bool
	output  string
}

func newSealCommand(p *program) *cobra.Command {
	o := &sealOptions{sign: signOptions{pass: passphraseSource{p: p}}}
	cmd := &cobra.Command{
		Use:   "seal --as ID --to CERT [--to CERT ...] [--bcc CERT ...] [--protect-headers] [--plan [--json]] [-o FILE] [FILE]",
		Short: "sign a mail, then encrypt it",
		Long: `Sign a mail, then encrypt it, in one pass. The signature is inside, where only the
recipients see it, and always opaque. The sender is always a recipient too, so that
a sent mail can be read again. For whom, how, and what --plan says: see encrypt.

--protect-headers copies the headers inside, where a forger cannot change them;
--protect-headers=modern hides the Subject from everybody on the way too, and programs
that do not know RFC 9788 show "[...]" in its place.`,
		Example: `  mailseal seal --as alice.p12 --to bob.pem --to carol@example.org -o sealed.eml letter.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runSeal(cmd.Context(), first(args), o) },
	}
	o.sign.addFlags(cmd)
	o.plan.addFlags(cmd)
	o.content.addFlags(cmd)
	cmd.Flags().BoolVar(&o.triple, "triple-wrap", false, "sign the encrypted mail once more, for those who pass it on (RFC 2634)")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runSeal(ctx context.Context, file string, o *sealOptions) error {
	chosen, err := writingProfile(o.plan.profile)
	if err != nil {
		return err
	}
	resolved, err := o.plan.resolve(p)
	if err != nil {
		return err
	}
	signers, err := p.signers(o.sign.as, &o.sign.pass, chosen)
	if err != nil {
		return err
	}
	plan := resolved.with(sendersOf(signers))
	if o.plan.show {
		return o.plan.showPlan(p, plan)
	}
	all, err := p.carryOut(plan)
	if err != nil {
		return err
	}
	// Opaque, asked for or not: inside encryption nobody is served by the other form.
	so := &smime.SignOptions{Signers: signers, Time: p.env.Now(), Redate: o.sign.redate, Redated: p.sayRedated, Profile: chosen}
	if so.Timestamp, err = timestampClient(ctx, o.sign.timestamp); err != nil {
		return err
	}
	if so.Receipt, err = p.receiptRequest(o.sign.receipt, signers); err != nil {
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
	p.warnSender(in, signers)
	return p.writeAll(in, o.output, plan, all, func(dst io.Writer, eo *smime.EncryptOptions) error {
		if err := o.content.apply(eo, chosen); err != nil {
			return err
		}
		if o.triple {
			return dated(smime.TripleWrap(dst, in, in.size, so, eo, so))
		}
		return dated(smime.Seal(dst, in, in.size, so, eo))
	})
}
