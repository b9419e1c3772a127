package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/smime"
)

type idMailOptions struct {
	to     []string
	output string
}

func newIDMailCommand(p *program) *cobra.Command {
	o := &idMailOptions{}
	cmd := &cobra.Command{
		Use:   "mail ADDR [--to ADDR ...] [-o FILE]",
		Short: "write a mail that brings your certificate to others",
		Long: `Write a mail that holds your certificate and its chain and nothing else (certs-only,
RFC 8551). With the certificate others can encrypt to you.

Nobody signs such a mail, so no program should learn a certificate from it unasked;
a signed mail brings the certificate too, and proves that it is yours.`,
		Example: `  mailseal id mail alice@example.com --to bob@example.org -o card.eml`,
		Args:    oneAddress,
		RunE:    func(_ *cobra.Command, args []string) error { return p.runIDMail(args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.to, "to", nil, "`ADDR` that the mail goes to (may be repeated)")
	addOutputFlag(cmd, &o.output)
	return cmd
}

func (p *program) runIDMail(text string, o *idMailOptions) error {
	_, entries, address, err := p.find(text)
	if err != nil {
		return err
	}
	var certificates []*cert.Certificate
	for _, e := range entries {
		if e.Certificate != nil {
			// The root is for whoever receives mail to trust or not.
			certificates = append([]*cert.Certificate{e.Certificate}, withoutRoots(e.Chain)...)
			break
		}
	}
	if certificates == nil {
		return broken(fmt.Errorf("%s: its key waits for a certificate", text), "go on with mailseal id request")
	}
	header := fmt.Sprintf("From: %s\r\n", address)
	var to []string
	for _, text := range o.to {
		m, err := mailbox.ParseUnquoted(text)
		if err != nil {
			return usage(fmt.Errorf("--to: %w", err), "one plain address, like bob@example.org")
		}
		to = append(to, m.String())
	}
	if len(to) > 0 {
		header += fmt.Sprintf("To: %s\r\n", strings.Join(to, ",\r\n "))
	}
	header += fmt.Sprintf("Subject: Certificate of %s\r\nDate: %s\r\n\r\n", address, p.env.Now().Format(time.RFC1123Z))
	out, err := p.createOutput(o.output, modePublic, nil)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := smime.WriteCertificates(out, strings.NewReader(header), int64(len(header)), certificates, nil); err != nil {
		return err
	}
	return out.commit()
}
