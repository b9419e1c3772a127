package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/smime"
)

type openOptions struct {
	judge  judgeOptions
	as     []string
	pass   passphraseSource
	output string
	text   bool
	force  bool
}

func newOpenCommand(p *program) *cobra.Command {
	o := &openOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "open [--as ID ...] [--trust ROOTS] [--json] [-o FILE] [FILE]",
		Short: "decrypt a mail, verify it, and write what it says",
		Long: `Take off every layer of a mail, say who signed it and whether that is worth
something, and write its content. The verdict goes to standard error; with --json it
takes standard output, and the content is written only to -o FILE.

The content is a mail file, which any mail program shows. On a terminal, and with
--text, it is the text as a person reads it.

The content is written unless it did not decrypt or the verdict is "invalid";
--force writes it even then. Exit status 0 means "valid" and nothing less.`,
		Example: `  mailseal open --as bob@example.com -o letter.eml sealed.eml
  mailseal open --as bob.p12 --trust root.pem --json sealed.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runOpen(cmd.Context(), first(args), o) },
	}
	cmd.Flags().StringArrayVar(&o.as, "as", nil, asHelp)
	o.judge.addFlags(cmd)
	o.pass.addFlag(cmd)
	cmd.Flags().BoolVar(&o.text, "text", false, textHelp)
	cmd.Flags().BoolVar(&o.force, "force", false, "write the content even if the verdict is invalid")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runOpen(ctx context.Context, file string, o *openOptions) error {
	if o.judge.asJSON && o.output == "-" {
		return usage(errors.New("--json and the content cannot both go to standard output"), "give the content a file with -o FILE")
	}
	oo, err := o.judge.resolve(p)
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
	refused := m.Verdict.Verdict == smime.Invalid && !o.force
	// With --json standard output is the verdict's.
	if m.closed == nil && !refused && (!o.judge.asJSON || o.output != "") {
		if err := p.writeContent(o.output, m, o.text); err != nil {
			return err
		}
	}
	to := p.stderr
	if o.judge.asJSON {
		to = p.stdout
	}
	if err := p.printVerdict(to, m.Message, o.judge.asJSON); err != nil {
		return err
	}
	p.learn(m.Message, &o.judge)
	if m.closed == nil && refused {
		p.say("mailseal: the content was not written; --force writes it all the same")
	}
	return m.answer()
}
