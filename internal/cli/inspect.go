package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
)

type inspectOptions struct {
	asJSON bool
	pass   passphraseSource
}

func newInspectCommand(p *program) *cobra.Command {
	o := &inspectOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "inspect [--json] [FILE]",
		Short: "explain a file: mail, CMS, certificate, request, CRL, key, PKCS#12",
		Long: `Explain what a file holds. Nothing is judged: what is shown is what the file claims;
for a mail whose signature you want to believe, use verify.

A PKCS#12 file is opened when its passphrase is given with --passphrase-file or in
MAILSEAL_PASSPHRASE; nobody is asked for it.`,
		GroupID: groupKeys,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runInspect(cmd.Context(), first(args), o) },
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runInspect(ctx context.Context, file string, o *inspectOptions) error {
	secret, given, err := o.pass.given()
	if err != nil {
		return err
	}
	in, err := p.openInput(ctx, file)
	if err != nil {
		return err
	}
	defer in.Close()
	with := &inspect.Options{}
	if given {
		with.Passphrase = copyOf(secret)
	}
	report, err := inspect.File(in, in.size, with)
	if errors.Is(err, identity.ErrPassphrase) {
		// The rest can be explained all the same.
		report, err = inspect.File(in, in.size, nil)
		p.say("mailseal: the passphrase does not open %s", in.name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	if o.asJSON {
		return p.printJSON(report)
	}
	return report.WriteText(p.stdout)
}
