package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

func newBookCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "book COMMAND",
		Short: "other people's certificates, learned from their mail",
		Long: `The certificates of others, each learned from a mail of theirs that verify or open
found valid. encrypt and seal find them by address.

Each address has one certificate that is encrypted to. When a mail comes that is signed
for another key, that key waits: it may be a new one of theirs, or somebody's who got a
certificate for their address. Ask them, then accept or remove it.`,
		GroupID: groupKeys,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("mailseal book needs a command"), "list, show, accept or remove; see mailseal book --help")
			}
			return unknownCommand(cmd, args)
		},
	}
	cmd.AddCommand(newBookListCommand(p), newBookShowCommand(p), newBookAcceptCommand(p), newBookRemoveCommand(p))
	return cmd
}

// contactFacts is a contact as list shows it, to people and programs.
type contactFacts struct {
	Address      string   `json:"address"`
	State        string   `json:"state"` // known, pending, damaged
	Subject      string   `json:"subject"`
	Issuer       string   `json:"issuer"`
	Serial       string   `json:"serial"`
	SHA256       string   `json:"sha256"`
	NotAfter     string   `json:"not_after,omitempty"` // RFC 3339
	Capabilities []string `json:"capabilities"`
	Signed       string   `json:"signed,omitempty"`
	Learned      string   `json:"learned,omitempty"`
	Accepted     string   `json:"accepted,omitempty"`
	TrustedBy    string   `json:"trusted_by"`
	Defect       string   `json:"defect,omitempty"`
}

func factsOfContact(c *identity.Contact) contactFacts {
	f := contactFacts{Address: c.Address.String(), State: stateOf(c), Capabilities: []string{}}
	if c.Defect != nil {
		f.Defect = c.Defect.Error()
		return f
	}
	f.Subject, f.Issuer = c.Certificate.Subject.String(), c.Certificate.Issuer.String()
	f.Serial, f.SHA256, f.NotAfter = c.Certificate.SerialHex(), c.Certificate.SHA256(), stamp(c.Certificate.NotAfter)
	f.Signed, f.Learned, f.Accepted = stamp(c.Signed), stamp(c.Learned), stamp(c.Accepted)
	said := c.Capabilities
	if len(said) == 0 {
		said = c.Certificate.Capabilities()
	}
	f.Capabilities = append(f.Capabilities, capabilityNames(said)...)
	if n := len(c.Chain); n > 0 {
		f.TrustedBy = c.Chain[n-1].Subject.String()
	}
	return f
}

func stateOf(c *identity.Contact) string {
	switch {
	case c.Defect != nil:
		return "damaged"
	case c.Pending:
		return "pending"
	}
	return "known"
}

func capabilityNames(list []cms.Capability) (names []string) {
	for _, c := range list {
		names = append(names, c.Algorithm.Name())
	}
	return names
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// findContacts returns what the book has of an address; it is an error that it has nothing.
func (p *program) findContacts(text string) (*identity.Book, []*identity.Contact, error) {
	address, err := mailbox.Parse(text)
	if err != nil {
		return nil, nil, usage(fmt.Errorf("%s: %w", text, err), "one plain address, like alice@example.com")
	}
	book, err := p.book()
	if err != nil {
		return nil, nil, err
	}
	found, err := book.Find(address)
	if errors.Is(err, identity.ErrNotFound) {
		return nil, nil, broken(fmt.Errorf("%s: not in the address book", address), "see what is there: mailseal book list")
	}
	return book, found, err
}

// chosenContact keeps the contact whose certificate's digest begins as --sha256 says.
func chosenContact(found []*identity.Contact, prefix string) []*identity.Contact {
	var out []*identity.Contact
	for _, c := range found {
		if prefix == "" || c.Certificate != nil && strings.HasPrefix(c.Certificate.SHA256(), strings.ToLower(prefix)) {
			out = append(out, c)
		}
	}
	return out
}

const sha256Help = "the first `DIGITS` of the certificate's SHA-256, where an address has several"
