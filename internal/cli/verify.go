package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/charset"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/smime"
)

// judgeOptions are what verify and open have in common: whom to trust, and when.
type judgeOptions struct {
	trust         []string
	intermediates []string
	crls          []string
	timestamps    []string
	at            string
	online        onlineOptions
	from          string
	profile       string
	asJSON        bool
	noLearn       bool
}

func (o *judgeOptions) addFlags(cmd *cobra.Command) {
	o.addTrustFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "the `ADDR` that the mail must be from; stands in for a missing From")
	f.BoolVar(&o.asJSON, "json", false, "print the verdict as one JSON object")
	f.BoolVar(&o.noLearn, "no-learn", false, "keep nothing of a valid mail's signer in the address book")
	addProfileFlag(cmd, &o.profile, "which decide whether old algorithms are read")
}

// addTrustFlags adds those that concern certificates.
func (o *judgeOptions) addTrustFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.trust, "trust", nil, "`FILE` of trusted roots, instead of Mozilla's for mail and those in $MAILSEAL_HOME/trust (may be repeated)")
	f.StringArrayVar(&o.intermediates, "intermediates", nil, "`FILE` of further certificates for the path (may be repeated)")
	f.StringArrayVar(&o.crls, "crl", nil, "`FILE` of a certificate revocation list (may be repeated)")
	f.StringArrayVar(&o.timestamps, "trust-timestamps", nil, "`FILE` of roots that are trusted for timestamps and nothing else, beside those of --trust and in $MAILSEAL_HOME/trust/timestamps (may be repeated)")
	o.online.addFlags(cmd)
	f.StringVar(&o.at, "at", "", "judge as of this `TIME`, like 2026-11-23T14:00:00Z (default now)")
}

// resolve reads every file that the flags name.
func (o *judgeOptions) resolve(p *program) (*smime.OpenOptions, error) {
	asker, issuers, err := o.online.sources(p)
	if err != nil {
		return nil, err
	}
	at := p.env.Now()
	if o.at != "" {
		if at, err = time.Parse(time.RFC3339, o.at); err != nil {
			return nil, usage(fmt.Errorf("--at %q is not a time", o.at), "like 2026-11-23T14:00:00Z")
		}
	}
	if o.from != "" {
		if _, err := mailbox.ParseUnquoted(o.from); err != nil {
			return nil, usage(fmt.Errorf("--from: %w", err), "one plain address, like alice@example.com")
		}
	}
	chosen, err := profile(o.profile)
	if err != nil {
		return nil, err
	}
	options := &smime.OpenOptions{
		Revocation: asker, Issuers: issuers, At: at, Now: p.env.Now(), From: o.from, Profile: chosen, DecodeHeader: charset.DecodeHeader,
		Spool: func() (smime.Spool, error) { return newSpool(), nil },
	}
	options.Anchors, options.Store, err = p.trustAnchors(o.trust)
	if err != nil {
		return nil, fmt.Errorf("trusted roots: %w", err)
	}
	if options.TimestampAnchors, err = p.timestampAnchors(o.trust, o.timestamps); err != nil {
		return nil, fmt.Errorf("trusted roots: %w", err)
	}
	if options.Intermediates, err = readIntermediates(o.intermediates); err != nil {
		return nil, fmt.Errorf("intermediates: %w", err)
	}
	if options.CRLs, err = readCRLs(o.crls); err != nil {
		return nil, fmt.Errorf("revocation lists: %w", err)
	}
	return options, nil
}

type verifyOptions struct {
	judge        judgeOptions
	content      string
	certificates string
}

func newVerifyCommand(p *program) *cobra.Command {
	o := &verifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify [--trust ROOTS] [--from ADDR] [--at TIME] [--content FILE] [--json] [FILE]",
		Short: "say who signed a mail, and whether that is worth something",
		Long: `Say who signed a mail, and whether that is worth something. The verdict is "valid"
only if a signature by a trusted, unexpired, unrevoked certificate covers the whole
displayed message, and the certificate names the From address.

Trusted are the authorities that Mozilla trusts for mail and the roots in
$MAILSEAL_HOME/trust, or those of --trust instead.
--content writes what was signed to a file, and only for a valid mail.

What a valid mail tells about its signer goes into the address book, where --to finds it:
see mailseal book. --no-learn keeps it out.`,
		Example: `  mailseal verify letter.eml
  mailseal verify --trust root.pem --json letter.eml`,
		GroupID: groupMail,
		Args:    oneFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.runVerify(cmd.Context(), first(args), o) },
	}
	o.judge.addFlags(cmd)
	cmd.Flags().StringVar(&o.content, "content", "", "`FILE` for the signed content, written only if the verdict is valid")
	cmd.Flags().StringVar(&o.certificates, "certificates", "", "`FILE` for the certificates of the signers and of those above them, to encrypt to with --to; written only if the verdict is valid")
	return cmd
}

func (p *program) runVerify(ctx context.Context, file string, o *verifyOptions) error {
	verdict := p.stdout
	if o.content == "-" || o.certificates == "-" {
		if o.judge.asJSON || o.content == o.certificates {
			return usage(errors.New("only one thing can go to standard output"), "give the others a file each")
		}
		verdict = p.stderr
	}
	oo, err := o.judge.resolve(p)
	if err != nil {
		return err
	}
	m, err := p.openMail(ctx, file, oo)
	if err != nil {
		return err
	}
	defer m.Close()
	if o.content != "" && m.Verdict.Verdict == smime.Valid {
		if err := p.writeContent(o.content, m, false); err != nil {
			return err
		}
	}
	if o.certificates != "" && m.Learned != nil {
		if err := p.writeCertificates(o.certificates, m); err != nil {
			return err
		}
	}
	if err := p.printVerdict(verdict, m.Message, o.judge.asJSON); err != nil {
		return err
	}
	p.learn(m.Message, &o.judge)
	return m.answer()
}

// writeCertificates writes whose keys a valid mail was signed with, as PEM.
func (p *program) writeCertificates(path string, m *openedMail) error {
	out, err := p.createOutput(path, modePublic, m.in)
	if err != nil {
		return err
	}
	defer out.discard()
	for _, s := range m.Learned.Signers {
		certificates := s.Chain
		if s.Encryption != nil && !s.Encryption.Equal(s.Certificate) {
			certificates = append([]*cert.Certificate{s.Encryption}, certificates...)
		}
		for _, c := range certificates {
			if _, err := out.Write(c.PEM()); err != nil {
				return err
			}
		}
	}
	return out.commit()
}

// writeContent writes what a message says, without its layers: as a mail, or as text for a person.
func (p *program) writeContent(path string, m *openedMail, asText bool) error {
	out, err := p.createOutput(path, modeSecret, m.in)
	if err != nil {
		return err
	}
	defer out.discard()
	write := m.WriteContent
	if asText || (path == "" || path == "-") && p.isTerminal(p.stdout) {
		write = func(dst io.Writer) error { return writeText(dst, m.Message) }
	}
	if err := write(out); err != nil {
		return err
	}
	return out.commit()
}
