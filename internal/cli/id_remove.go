package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/identity"
)

type removeOptions struct {
	sha256  string
	pending bool
	yes     bool
}

func newIDRemoveCommand(p *program) *cobra.Command {
	o := &removeOptions{}
	cmd := &cobra.Command{
		Use:   "remove ADDR [--sha256 HEX | --pending] --yes",
		Short: "delete a key for good",
		Long: `Delete the keys of an address, or the one whose certificate has this SHA-256. Mail
that was encrypted to a deleted key can never be read again: export it first.`,
		Args: oneAddress,
		RunE: func(_ *cobra.Command, args []string) error { return p.runIDRemove(args[0], o) },
	}
	cmd.Flags().StringVar(&o.sha256, "sha256", "", "only the key whose certificate's SHA-256 begins with `HEX`")
	cmd.Flags().BoolVar(&o.pending, "pending", false, "only keys that wait for a certificate")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "yes, delete: mail encrypted to it cannot be read any more")
	return cmd
}

// wants tells whether the flags choose an entry.
func (o *removeOptions) wants(e *identity.Entry) bool {
	if o.pending && !e.Pending {
		return false
	}
	return o.sha256 == "" || e.Certificate != nil && strings.HasPrefix(e.Certificate.SHA256(), strings.ToLower(o.sha256))
}

func (p *program) runIDRemove(text string, o *removeOptions) error {
	store, entries, _, err := p.find(text)
	if err != nil {
		return err
	}
	var chosen []*identity.Entry
	for _, e := range entries {
		if o.wants(e) {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return broken(fmt.Errorf("%s: there is no such key", text), "see mailseal id show %s", text)
	}
	if !o.yes {
		return usage(errors.New("mail encrypted to a deleted key can never be read again"), "if you are sure, add --yes")
	}
	for _, e := range chosen {
		if err := store.Remove(e); err != nil {
			return err
		}
	}
	p.say("Deleted %d of %s.", len(chosen), text)
	return nil
}
