package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

func newIDCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "id COMMAND",
		Short: "your keys and certificates",
		Long: `Your keys and certificates. They lie in $MAILSEAL_HOME (default: mailseal/ in the
platform's folder for settings), each under its address and protected by its
passphrase.`,
		GroupID: groupKeys,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("mailseal id needs a command"), "new, request, list, show, export, mail, import or remove; see mailseal id --help")
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(newIDNewCommand(p), newIDRequestCommand(p), newIDListCommand(p), newIDShowCommand(p),
		newIDExportCommand(p), newIDMailCommand(p), newIDImportCommand(p), newIDRemoveCommand(p))
	return cmd
}

// oneAddress allows a command's single ADDR argument.
func oneAddress(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(errOneAddress(cmd), "see which ones there are: mailseal id list")
	}
	return nil
}

func errOneAddress(cmd *cobra.Command) error {
	return fmt.Errorf("%s takes one address", cmd.CommandPath())
}

// find returns the entries of an address in the key store.
func (p *program) find(text string) (*identity.Store, []*identity.Entry, mailbox.Mailbox, error) {
	address, err := mailbox.ParseUnquoted(text)
	if err != nil {
		return nil, nil, address, usage(fmt.Errorf("%s: %w", text, err), "one plain address, like alice@example.com")
	}
	store, err := p.store()
	if err != nil {
		return nil, nil, address, err
	}
	entries, err := store.Find(address)
	if errors.Is(err, identity.ErrNotFound) {
		err = broken(err, "see which ones there are: mailseal id list")
	}
	return store, entries, address, err
}

// entryFacts is an entry as list shows it, to people and programs.
type entryFacts struct {
	Address  string   `json:"address"`
	Pending  bool     `json:"pending"` // the key waits for its certificate
	Emails   []string `json:"emails"`
	Subject  string   `json:"subject"`
	Issuer   string   `json:"issuer"`
	Serial   string   `json:"serial"`
	SHA256   string   `json:"sha256"`
	NotAfter string   `json:"not_after"` // RFC 3339
	EndsSoon bool     `json:"ends_soon"` // time to get a new one
}

func factsOf(e *identity.Entry) entryFacts {
	f := entryFacts{Address: e.Address.String(), Pending: e.Pending, Emails: []string{}}
	if c := e.Certificate; c != nil {
		f.Emails = append(f.Emails, c.Emails()...)
		f.Subject, f.Issuer, f.Serial, f.SHA256 = c.Subject.String(), c.Issuer.String(), c.SerialHex(), c.SHA256()
		f.NotAfter = c.NotAfter.UTC().Format(time.RFC3339)
	}
	return f
}
