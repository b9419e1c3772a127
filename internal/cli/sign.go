package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/smime"
)

type signOptions struct {
	as        []string
	opaque    bool
	redate    bool
	headers   headerOptions
	timestamp string
	receipt   string
	profile   string // of sign; seal has one for both
	output    string
	pass      passphraseSource
}

func (o *signOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.as, "as", nil, asHelp)
	cmd.Flags().BoolVar(&o.opaque, "opaque", false, "put the message inside the signature (application/pkcs7-mime) instead of beside it")
	cmd.Flags().BoolVar(&o.redate, "redate", true, redateHelp)
	addTimestampFlag(cmd, &o.timestamp)
	cmd.Flags().StringVar(&o.receipt, "request-receipt", "", "ask those who read the mail for a signed receipt (RFC 2634), to `ADDR` or, without a value, to the address of the first signer's certificate")
	cmd.Flags().Lookup("request-receipt").NoOptDefVal = ownAddress
	o.pass.addFlag(cmd)
}

func addOutputFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "output", "o", "", "`FILE` to write; it appears only if all is well (default standard output)")
}

func newSignCommand(p *program) *cobra.Command {
	o := &signOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "sign --as ID [--as ID ...] [--opaque] [--protect-headers] [--timestamp URL] [--request-receipt] [--profile NAME] [-o FILE] [FILE]",
		Short: "sign a mail",
		Long: `Sign a mail (RFC 8551). The signature lies beside the message, so that every mail
program shows it; with --opaque the message lies inside the signature, which no
relay can break and an old program cannot show.

The From address of the mail should be one that the certificate names: whoever
verifies it will ask for that. The Date should be the present one, and is added if
there is none.

A signature covers the text alone; with --protect-headers it covers Subject, From, To
and the other headers too.`,
		Example: `  mailseal sign --as alice.p12 -o signed.eml letter.eml
  mailseal sign --as alice@example.com < letter.eml > signed.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runSign(cmd.Context(), first(args), o) },
	}
	o.addFlags(cmd)
	o.headers.addFlag(cmd)
	addProfileFlag(cmd, &o.profile, "for algorithms, and for what the signature says that you can read")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runSign(ctx context.Context, file string, o *signOptions) error {
	chosen, err := writingProfile(o.profile)
	if err != nil {
		return err
	}
	signers, err := p.signers(o.as, &o.pass, chosen)
	if err != nil {
		return err
	}
	so := &smime.SignOptions{Signers: signers, Opaque: o.opaque, Time: p.env.Now(), Redate: o.redate, Redated: p.sayRedated, Profile: chosen}
	if so.Headers, err = o.headers.policy(chosen); err != nil {
		return err
	}
	if so.Timestamp, err = timestampClient(ctx, o.timestamp); err != nil {
		return err
	}
	if so.Receipt, err = p.receiptRequest(o.receipt, signers); err != nil {
		return err
	}
	return p.transform(ctx, file, o.output, func(dst io.Writer, in *input) error {
		if err := in.notEmpty(); err != nil {
			return err
		}
		p.warnSender(in, signers)
		return dated(smime.Sign(dst, in, in.size, so))
	})
}

// transform runs one message through f, from file or standard input to path or
// standard output.
func (p *program) transform(ctx context.Context, file, path string, f func(dst io.Writer, in *input) error) error {
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := p.createOutput(path, modePublic, in)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := f(out, in); err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	return out.commit()
}
