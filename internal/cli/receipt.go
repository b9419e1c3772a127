package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/smime"
)

// ownAddress stands for the address of the signer's certificate, which no address can
// be mistaken for.
const ownAddress = "signer"

// receiptRequest is what --request-receipt asks for; nil for nothing.
func (p *program) receiptRequest(to string, signers []*cms.Signer) (*smime.ReceiptRequest, error) {
	if to == "" {
		return nil, nil
	}
	if to == ownAddress {
		named := certpath.Mailboxes(signers[0].Certificate)
		if len(named) == 0 {
			return nil, usage(errors.New("the certificate names no address that a receipt could go to"), "name one: --request-receipt=ADDR")
		}
		to = named[0].String()
	}
	r, err := smime.NewReceiptRequest(nil, p.env.Now(), to)
	if err != nil {
		return nil, usage(err, "--request-receipt takes one plain address")
	}
	return r, nil
}

func newReceiptCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "receipt COMMAND",
		Short: "signed receipts: proof that somebody has had a mail",
		Long: `Signed receipts (RFC 2634). sign --request-receipt asks for one. Who reads the mail may
make one, and is never made to. With the mail that was sent, the receipt proves that its
signer has had exactly that mail and has found its signature good.`,
		GroupID: groupMail,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("mailseal receipt needs a command"), "make or verify; see mailseal receipt --help")
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(newReceiptMakeCommand(p), newReceiptVerifyCommand(p))
	return cmd
}

// noReceipt is the answer where none is due.
func noReceipt(name string, err error) error {
	if errors.Is(err, smime.ErrNoReceipt) {
		return no(fmt.Errorf("%s: %w", name, err), "see what may be believed about it: mailseal open")
	}
	return err
}
