package cli

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/registration"
)

func newOrderCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "order COMMAND",
		Short: "an organization's orders: make, approve, issue, revoke",
		Long: `Look after an organization's orders, in a data folder that no server is using,
or on a running server with --server and --token-file.

ORG is the organization's id, or its name where only one has it; PERSON an id, or one of
the person's addresses; ORDER and CERTIFICATE are ids, as list and mailseal person show
print them.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newOrderAddCommand(p), newOrderListCommand(p), newOrderApproveCommand(p), newOrderRefuseCommand(p),
		newOrderEnrollCommand(p), newOrderRequestCommand(p), newOrderAcceptCommand(p), newOrderRevokeCommand(p))
	return cmd
}

// orderFacts is an order as the commands print it.
type orderFacts struct {
	ID          string   `json:"id"`
	Person      string   `json:"person"`
	Addresses   []string `json:"addresses"`
	Kind        string   `json:"kind"`
	Profile     string   `json:"profile"`
	Use         string   `json:"use"`
	State       string   `json:"state"`       // applied, proven, issued, refused, expired
	WaitingFor  string   `json:"waiting_for"` // mailbox, approval, person, issuer, or empty
	RequestedBy string   `json:"requested_by"`
	ApprovedBy  string   `json:"approved_by"`
	Reason      string   `json:"reason"`
	Created     string   `json:"created"`
	Expires     string   `json:"expires"`
}

func factsOfOrder(o registration.Order) orderFacts {
	return orderFacts{
		o.ID, o.Person, append([]string{}, o.Addresses...), string(o.Kind), o.Profile, o.Use, string(o.State), string(o.WaitingFor),
		o.RequestedBy, o.ApprovedBy, o.Reason, moment(o.Created), moment(o.Expires),
	}
}

func (f orderFacts) line() string {
	state := f.State
	if f.WaitingFor != "" {
		state += ", waits for " + f.WaitingFor
	}
	return fmt.Sprintf("%s  %-28s %-20s %s", f.ID, state, f.Profile, strings.Join(f.Addresses, ", "))
}

// printOutcomes prints what became of several orders; one that failed makes the
// answer no.
func (p *program) printOutcomes(list []registration.Outcome, asJSON bool) error {
	facts, failed := []orderFacts{}, false
	for _, one := range list {
		if one.Err != nil {
			failed = true
			name := one.Order.ID
			if name == "" {
				name = one.Person
			}
			fmt.Fprintf(p.stderr, "mailseal: %s: %v\n", name, one.Err)
			continue
		}
		facts = append(facts, factsOfOrder(one.Order))
	}
	if asJSON {
		if err := p.printJSON(facts); err != nil {
			return err
		}
	} else {
		for _, f := range facts {
			fmt.Fprintln(p.stdout, f.line())
		}
	}
	if failed {
		return errAnsweredNo
	}
	return nil
}

func newOrderAddCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var req registration.OrderRequest
	var use string
	cmd := &cobra.Command{
		Use:   "add ORG PERSON... [--kind KIND] [--use USE]",
		Short: "order certificates for people",
		Long: `Order certificates for people, of the kind that the organization has chosen unless
--kind says another: a pair of two where the settings ask for one.`,
		Args: orgArguments(1, -1, " and PERSON..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Use = issuance.KeyUse(use)
			return p.withOrg(cmd, o, true, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				ids, err := r.people(ctx, org.ID, args[1:])
				if err != nil {
					return err
				}
				list, err := r.OrdersFor(ctx, r.actor, org.ID, ids, req)
				if err != nil {
					return err
				}
				return p.printOutcomes(list, o.asJSON)
			})
		},
	}
	o.addFlags(cmd, true)
	cmd.Flags().StringVar(&req.Kind, "kind", "", "`KIND`: basic, iv, ov, iv-ov")
	cmd.Flags().StringVar(&use, "use", "", "`USE` of the key: dual, signing, encryption")
	cmd.Flags().StringVar(&req.Replaces, "replaces", "", "`CERTIFICATE` that is to be renewed")
	return cmd
}

func newOrderListCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var state, waiting string
	cmd := &cobra.Command{
		Use: "list ORG [--state STATE] [--waiting-for WHOM] [--json]", Short: "list an organization's orders", Args: orgArguments(0, 0, ""),
		Long: "List an organization's orders, the newest first, and whom each waits for.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q := registration.OrderQuery{State: registration.State(state), WaitingFor: registration.WaitingFor(waiting)}
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				facts := []orderFacts{}
				for page := (registration.Page{Limit: registration.MaxPage}); ; {
					list, next, err := r.Orders(ctx, r.actor, org.ID, q, page)
					if err != nil {
						return err
					}
					for _, one := range list {
						facts = append(facts, factsOfOrder(one))
					}
					if page.After = next; next == "" {
						break
					}
				}
				if o.asJSON {
					return p.printJSON(facts)
				}
				for _, f := range facts {
					fmt.Fprintln(p.stdout, f.line())
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVar(&state, "state", "", "`STATE`: applied, proven, issued, refused, expired")
	cmd.Flags().StringVar(&waiting, "waiting-for", "", "`WHOM`: mailbox, approval, person, issuer")
	return cmd
}

func newOrderApproveCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "approve ORG ORDER...", Short: "approve orders that somebody else asked for", Args: orgArguments(1, -1, " and ORDER..."),
		Long: `Approve orders that wait for it. Who asked for one cannot approve it: the command line
is one such person, whoever runs it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				list, err := r.ApproveOrders(ctx, r.actor, org.ID, args[1:])
				if err != nil {
					return err
				}
				return p.printOutcomes(list, o.asJSON)
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}

func newOrderRefuseCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var reason string
	cmd := &cobra.Command{
		Use: "refuse ORG ORDER... --reason TEXT", Short: "end orders without a certificate", Args: orgArguments(1, -1, " and ORDER..."),
		Long: "End open orders without a certificate, for a reason that everybody who sees the order reads.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				list, err := r.RefuseOrders(ctx, r.actor, org.ID, args[1:], reason)
				if err != nil {
					return err
				}
				return p.printOutcomes(list, o.asJSON)
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that says why")
	return cmd
}

func newOrderEnrollCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var out string
	cmd := &cobra.Command{
		Use:   "enroll ORG ORDER REQUEST [-o FILE]",
		Short: "issue an order's certificate for a certification request",
		Long: `Issue the certificate of an order that is proven, and approved where that is asked for,
for the key of a certification request (PKCS #10): the chain in PEM, the person's
certificate first. Where the organization has an authority outside, the request is kept,
and mailseal order request prints it.`,
		Args: orgArguments(2, 2, ", ORDER and a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := readSmall(args[2])
			if err != nil {
				return err
			}
			return p.withOrg(cmd, o, true, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				issued, err := r.EnrollFor(ctx, r.actor, registration.Request{
					Kind: registration.RequestOrganization, Organization: org.ID, Order: args[1], Certification: request,
				})
				if errors.Is(err, registration.ErrOutside) {
					fmt.Fprintf(p.stderr, "The request is kept for the authority outside: mailseal order request %s %s\n", args[0], args[1])
					return nil
				}
				if errors.Is(err, registration.ErrRequest) || errors.Is(err, registration.ErrOtherKey) {
					return broken(err, "make another one with mailseal id new --csr")
				}
				if err != nil {
					return err
				}
				text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Certificate.Raw})
				for _, c := range issued.Chain {
					text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
				}
				return p.writeResult(out, modePublic, text)
			})
		},
	}
	o.addFlags(cmd, true)
	cmd.Flags().StringVarP(&out, "output", "o", "", "`FILE` for the chain (default standard output)")
	return cmd
}

func newOrderRequestCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var out string
	cmd := &cobra.Command{
		Use: "request ORG ORDER [-o FILE]", Short: "print the request that goes to an authority outside", Args: orgArguments(1, 1, " and ORDER"),
		Long: `Print the certification request of an order in PEM, to be handed in at the authority
outside that the organization has chosen (issuer=external in its settings).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				der, err := r.ExternalRequest(ctx, r.actor, org.ID, args[1])
				if err != nil {
					return err
				}
				return p.writeResult(out, modePublic, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVarP(&out, "output", "o", "", "`FILE` for the request (default standard output)")
	return cmd
}

func newOrderAcceptCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var trustRoots bool
	cmd := &cobra.Command{
		Use: "accept ORG ORDER FILE", Short: "take in the certificate that an authority outside made", Args: orgArguments(2, 2, ", ORDER and a file"),
		Long: `Take in the certificate that an authority outside made for an order, PEM or DER, with
those above it if the file has them. It must be for the key of the order's request and
for its mailboxes, all of them and no others. --trust-roots works on the server's own
data; with --server it is refused, and somebody names the root in the portal (Settings,
Trusted roots).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := readSmall(args[2])
			if err != nil {
				return err
			}
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				held, err := r.CertificateIn(ctx, r.actor, org.ID, args[1], file, trustRoots)
				if err != nil {
					return err
				}
				if !held.Trusted() {
					fmt.Fprintf(p.stderr, "mailseal: chain not trusted: %s\n", distrust(held))
				}
				if o.asJSON {
					return p.printJSON(factsOfHeld(held))
				}
				fmt.Fprintln(p.stdout, held.ID)
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().BoolVar(&trustRoots, "trust-roots", false, "the organization trusts the roots in the file from now on (not with --server)")
	return cmd
}

func newOrderRevokeCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var reason string
	cmd := &cobra.Command{
		Use: "revoke ORG CERTIFICATE... --reason REASON", Short: "revoke certificates of an organization", Args: orgArguments(1, -1, " and CERTIFICATE..."),
		Long: `Revoke certificates of an organization, at once and for good. The lists that name them
are signed before the command ends. One by an authority outside is entered as revoked,
and its authority is to be told.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			why, ok := revocationReasons[reason]
			if !ok {
				return usage(fmt.Errorf("%q is not a reason", reason), "--reason takes one of %s", strings.Join(reasonNames(), ", "))
			}
			return p.withOrg(cmd, o, true, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				done, err := r.Revoke(ctx, r.actor, org.ID, args[1:], why)
				if err != nil {
					return err
				}
				if o.asJSON {
					return p.printJSON(map[string][]string{
						"revoked": append([]string{}, done.Revoked...), "before": append([]string{}, done.Before...), "outside": append([]string{}, done.Outside...),
					})
				}
				fmt.Fprintf(p.stdout, "revoked %d, revoked before %d, by authorities outside that are to be told %d\n", len(done.Revoked), len(done.Before), len(done.Outside))
				return nil
			})
		},
	}
	o.addFlags(cmd, true)
	cmd.Flags().StringVar(&reason, "reason", "", "`REASON` that the list gives: "+strings.Join(reasonNames(), ", "))
	return cmd
}
