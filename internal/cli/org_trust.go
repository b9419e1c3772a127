package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/registration"
)

// anchorFacts is a trusted root as the command prints it.
type anchorFacts struct {
	SHA256   string `json:"sha256"`
	Subject  string `json:"subject"`
	NotAfter string `json:"not_after"`
	By       string `json:"added_by"`
}

func newOrgTrustCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var add, remove string
	cmd := &cobra.Command{
		Use:   "trust [ORG] [--add FILE | --remove SHA256]",
		Short: "roots that certificates by others may lead to",
		Long: `List, add or remove the roots that certificates by other authorities may lead to. Those
of ORG count in its own look-ups and exports. Without ORG they are the operator's: they
count for every organization, and for who a key may be recovered for. Trusted beside
them are the authorities of this installation and the public ones that Mozilla has for
mail. Certificates that lead nowhere are listed with the reason, and given to nobody.

What is trusted is a person's to say: with --server, --add is refused, and so is --remove
without ORG. In the portal it is at Settings, Trusted roots, for everybody at Authorities,
Trusted roots; on the server's own data, here.`,
		Example: `  mailseal org trust 'Example K.K.' --add partner-root.pem
  mailseal org trust`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if add != "" && remove != "" {
				return usage(errors.New("--add and --remove exclude each other"), "one after the other")
			}
			var file []byte
			if add != "" {
				var err error
				if file, err = readSmall(add); err != nil {
					return err
				}
			}
			return p.inOrg(cmd, o, false, func(ctx context.Context, r orgRoom) error {
				var organization string
				if len(args) > 0 {
					org, err := r.find(ctx, args[0])
					if err != nil {
						return err
					}
					organization = org.ID
				}
				switch {
				case add != "":
					if err := r.AddAnchors(ctx, r.actor, organization, file); err != nil {
						return err
					}
				case remove != "":
					return r.RemoveAnchor(ctx, r.actor, organization, remove)
				}
				list, err := r.Anchors(ctx, r.actor, organization)
				if err != nil {
					return err
				}
				return p.printAnchors(list, o.asJSON)
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVar(&add, "add", "", "`FILE` with roots to trust (not with --server)")
	cmd.Flags().StringVar(&remove, "remove", "", "`SHA256` of the root to trust no longer (with --server, of ORG alone)")
	return cmd
}

func (p *program) printAnchors(list []registration.Anchor, asJSON bool) error {
	facts := []anchorFacts{}
	for _, a := range list {
		f := anchorFacts{a.Certificate.SHA256(), a.Certificate.Subject.String(), moment(a.Certificate.NotAfter), a.By}
		if facts = append(facts, f); !asJSON {
			fmt.Fprintf(p.stdout, "%s  until %s  %s\n", f.SHA256, f.NotAfter[:len(time.DateOnly)], f.Subject)
		}
	}
	if asJSON {
		return p.printJSON(facts)
	}
	return nil
}
