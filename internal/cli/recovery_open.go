package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/recovery"
)

type recoveryOpenOptions struct {
	as       []string
	output   string
	pass     passphraseSource // of --as
	client   string
	together bool
}

func newRecoveryOpenCommand(p *program) *cobra.Command {
	o := &recoveryOpenOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "open --as ID [--for CLIENT] -o FILE.p12 BUNDLE",
		Short: "put released keys together",
		Long: `Put together keys that recovery officers have released to you: BUNDLE is the file that
the portal gave you, and --as the key of the certificate that you asked with. The keys
come out with their certificates as a PKCS#12 file under a new passphrase, which is shown
once; mailseal and mail programs import it. --for is that of mailseal id export. With
--together the keys of --as are in the file, too: one file for all mail.`,
		Example: `  mailseal recovery open --as me.p12 -o old-keys.p12 recovered.json
  mailseal id import old-keys.p12`,
		Args: oneName("bundle"),
		RunE: func(_ *cobra.Command, args []string) error { return p.runRecoveryOpen(args[0], o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.as, "as", nil, asHelp)
	f.StringVar(&o.client, "for", "any", "`CLIENT` that is to import it, see mailseal id export --help")
	f.BoolVar(&o.together, "together", false, "put the keys of --as into the file as well")
	addOutputFlag(cmd, &o.output)
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runRecoveryOpen(path string, o *recoveryOpenOptions) error {
	if len(o.as) == 0 {
		return usage(errors.New("nobody to open as"), "name the key of the certificate that you asked with, with --as")
	}
	if o.output == "" || o.output == "-" {
		return usage(errors.New("-o FILE is missing"), "-o old-keys.p12")
	}
	form, err := exportFormFor(o.client)
	if err != nil {
		return err
	}
	data, err := readRecoveryFile(path)
	if err != nil {
		return err
	}
	bundle, err := recovery.ParseBundle(data)
	if err != nil {
		return broken(fmt.Errorf("%s: %w", path, err), "fetch it from the portal again")
	}
	keys, err := p.decryptionKeys(o.as, &o.pass)
	if err != nil {
		return err
	}
	ids, err := bundle.Open(keys)
	if err != nil {
		return no(err, "is --as the key of the certificate that you asked with?")
	}
	if o.together {
		for _, k := range keys {
			ids = append(ids, &identity.Identity{Key: k.Key, Certificate: k.Certificate, Label: bundle.Owner})
		}
	}
	secret := newPassphrase()
	options := form.Options
	options.Iterations = identity.GeneratedIterations
	p12, err := identity.EncodePKCS12(ids, secret, &options)
	if err != nil {
		return err
	}
	if err := p.writeResult(o.output, modeSecret, p12); err != nil {
		return err
	}
	p.say("%d keys of %s are in %s.", len(bundle.Keys), inspect.Visible(bundle.Owner), o.output)
	p.say("Its passphrase, which is shown only now: %s", secret)
	return nil
}
