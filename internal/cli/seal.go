package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/smime"
)

type sealOptions struct {
	sign    signOptions
	encrypt encryptOptions
	triple  bool
}

func newSealCommand(p *program) *cobra.Command {
	o := &sealOptions{sign: signOptions{pass: passphraseSource{p: p}}}
	cmd := &cobra.Command{
		Use:   "seal --as ID --to CERT [--to CERT ...] [--cipher NAME] [--protect-headers] [-o FILE] [FILE]",
		Short: "sign a mail, then encrypt it",
		Long: `Sign a mail, then encrypt it, in one pass. The signature is inside, where only the
recipients see it, and always opaque. The sender is always a recipient too, so that
a sent mail can be read again.

--protect-headers copies the headers inside, where a forger cannot change them;
--protect-headers=modern hides the Subject from everybody on the way too, and programs
that do not know RFC 9788 show "[...]" in its place.`,
		Example: `  mailseal seal --as alice.p12 --to bob.pem --to carol.pem -o sealed.eml letter.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runSeal(cmd.Context(), first(args), o) },
	}
	o.sign.addFlags(cmd)
	o.encrypt.addFlags(cmd)
	cmd.Flags().BoolVar(&o.triple, "triple-wrap", false, "sign the encrypted mail once more, for those who pass it on (RFC 2634)")
	addOutputFlag(cmd, &o.encrypt.output)
	return cmd
}

func (p *program) runSeal(ctx context.Context, file string, o *sealOptions) error {
	eo, err := o.encrypt.resolve(p)
	if err != nil {
		return err
	}
	signers, err := p.signers(o.sign.as, &o.sign.pass)
	if err != nil {
		return err
	}
	if eo.Recipients, err = withSenders(eo.Recipients, signers); err != nil {
		return err
	}
	// Opaque, asked for or not: inside encryption nobody is served by the other form.
	so := &smime.SignOptions{Signers: signers, Time: p.env.Now(), Redate: o.sign.redate}
	if so.Timestamp, err = timestampClient(ctx, o.sign.timestamp); err != nil {
		return err
	}
	return p.transform(ctx, file, o.encrypt.output, func(dst io.Writer, in *input) error {
		p.warnSender(in, signers)
		if o.triple {
			return dated(smime.TripleWrap(dst, in, in.size, so, eo, so))
		}
		return dated(smime.Seal(dst, in, in.size, so, eo))
	})
}

// withSenders adds the signers' own certificates where they can be encrypted to and
// are not there already.
func withSenders(recipients []*cms.Recipient, signers []*cms.Signer) ([]*cms.Recipient, error) {
next:
	for _, s := range signers {
		if !s.Certificate.CanEncrypt() {
			continue
		}
		for _, r := range recipients {
			if r.Certificate().Equal(s.Certificate) {
				continue next
			}
		}
		r, err := cms.NewRecipient(s.Certificate, nil)
		if err != nil {
			return nil, err
		}
		recipients = append(recipients, r)
	}
	return recipients, nil
}
