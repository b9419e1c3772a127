package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/registration"
)

func newPersonCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "person COMMAND",
		Short: "people of an organization, and what they have",
		Long: `Look after the people of an organization, in a data folder that no server is using,
or on a running server with --server and --token-file.

ORG is the organization's id, or its name where only one has it; PERSON an id, or one of
the person's addresses.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newPersonAddCommand(p), newPersonListCommand(p), newPersonShowCommand(p), newPersonLeaveCommand(p),
		newPersonImportCommand(p), newPersonAdoptCommand(p))
	return cmd
}

// personFacts is a person as the commands print it.
type personFacts struct {
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	GivenName    string      `json:"given_name"`
	Surname      string      `json:"surname"`
	LocalName    string      `json:"local_name"`
	Addresses    []string    `json:"addresses"`
	Number       string      `json:"number"`
	Department   string      `json:"department"`
	Language     string      `json:"language"`
	State        string      `json:"state"` // without, waiting, valid, expiring, expired, revoked, left
	Left         string      `json:"left"`  // RFC 3339, or empty
	Certificates []heldFacts `json:"certificates"`
	Orders       []string    `json:"orders"` // ids of those that are open
}

// heldFacts is a certificate of a person.
type heldFacts struct {
	ID       string `json:"id"`
	Use      string `json:"use"`    // dual, signing, encryption
	Issuer   string `json:"issuer"` // empty: this authority
	Profile  string `json:"profile"`
	Serial   string `json:"serial"`
	SHA256   string `json:"sha256"`
	NotAfter string `json:"not_after"`
	Revoked  string `json:"revoked"` // RFC 3339, or empty
	Trust    string `json:"trust"`   // server, organization, none: where its chain leads
	Distrust string `json:"distrust,omitempty"`
}

func factsOfHeld(h registration.Held) heldFacts {
	f := heldFacts{h.ID, h.Use, h.Issuer, h.Profile, h.Serial, h.SHA256, moment(h.NotAfter), moment(h.Revoked), string(h.Trust), ""}
	if !h.Trusted() {
		f.Trust, f.Distrust = "none", distrust(h)
	}
	return f
}

// distrust is why the chain of a certificate is not trusted.
func distrust(h registration.Held) string {
	text := h.Distrust("en")
	if h.TrustDetail != "" {
		text += " (" + inspect.Visible(h.TrustDetail) + ")"
	}
	return text
}

func factsOfPerson(p registration.Person) personFacts {
	f := personFacts{
		ID: p.ID, Name: p.Name, GivenName: p.GivenName, Surname: p.Surname, LocalName: p.LocalName, Addresses: append([]string{}, p.Addresses...),
		Number: p.Number, Department: p.Department, Language: p.Language, State: string(p.State), Left: moment(p.Left),
		Certificates: []heldFacts{}, Orders: []string{},
	}
	for _, h := range p.Certificates {
		f.Certificates = append(f.Certificates, factsOfHeld(h))
	}
	for _, o := range p.Orders {
		f.Orders = append(f.Orders, o.ID)
	}
	return f
}

// person finds one by id or address.
func (r orgRoom) person(ctx context.Context, organization, name string) (registration.Person, error) {
	found, err := r.Person(ctx, r.actor, organization, name)
	if !errors.Is(err, registration.ErrForbidden) {
		return found, err
	}
	for page := (registration.Page{Limit: registration.MaxPage}); ; {
		list, next, err := r.People(ctx, r.actor, organization, registration.PersonQuery{Text: name}, page)
		if err != nil {
			return found, err
		}
		for _, one := range list {
			if slices.ContainsFunc(one.Addresses, func(address string) bool { return strings.EqualFold(address, name) }) {
				return one, nil
			}
		}
		if page.After = next; next == "" {
			return found, registration.ErrForbidden
		}
	}
}

// people finds them, and gives their ids.
func (r orgRoom) people(ctx context.Context, organization string, names []string) (ids []string, err error) {
	for _, name := range names {
		person, err := r.person(ctx, organization, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, person.ID)
	}
	return ids, nil
}

func newPersonAddCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var in registration.PersonInput
	cmd := &cobra.Command{
		Use:   "add ORG --email ADDRESS [--given-name NAME --surname NAME] [--local-name NAME]",
		Short: "say that somebody belongs to an organization",
		Long: `Say that somebody belongs to an organization, which vouches for the names. Several
--email are aliases of the one person, and stand in one certificate.`,
		Example: `  mailseal person add 'Example K.K.' --email taro.tanaka@example.jp --given-name Taro --surname Tanaka --local-name '田中 太郎'`,
		Args:    orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				person, err := r.AddPerson(ctx, r.actor, org.ID, in)
				if err != nil {
					return err
				}
				if o.asJSON {
					return p.printJSON(factsOfPerson(person))
				}
				fmt.Fprintln(p.stdout, person.ID)
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	f := cmd.Flags()
	f.StringArrayVar(&in.Addresses, "email", nil, "`ADDRESS` of the person; several for aliases")
	f.StringVar(&in.GivenName, "given-name", "", "`NAME` in Latin letters")
	f.StringVar(&in.Surname, "surname", "", "`NAME` in Latin letters; the only one of who has one")
	f.StringVar(&in.LocalName, "local-name", "", "`NAME` as the person writes it")
	f.StringVar(&in.Number, "number", "", "`NUMBER` of the employee")
	f.StringVar(&in.Department, "department", "", "`NAME` of the department")
	f.StringVar(&in.Language, "mail-language", "", "`en` or ja, of mails to the person (default: the organization's)")
	return cmd
}

func newPersonListCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var q registration.PersonQuery
	var state string
	cmd := &cobra.Command{
		Use:   "list ORG [--text WORDS] [--state STATE] [--json]",
		Short: "list an organization's people with their certificates",
		Long: `List an organization's people by name, with their certificates. --text takes the
beginnings of names, addresses, number or department, all of which must be found.`,
		Args: orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.State = registration.PersonState(state)
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				facts := []personFacts{}
				for page := (registration.Page{Limit: registration.MaxPage}); ; {
					list, next, err := r.People(ctx, r.actor, org.ID, q, page)
					if err != nil {
						return err
					}
					for _, one := range list {
						if f := factsOfPerson(one); o.asJSON {
							facts = append(facts, f)
						} else {
							fmt.Fprintf(p.stdout, "%s  %-8s %-24s %s\n", f.ID, f.State, f.Name, strings.Join(f.Addresses, ", "))
						}
					}
					if page.After = next; next == "" {
						break
					}
				}
				if o.asJSON {
					return p.printJSON(facts)
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVar(&q.Text, "text", "", "`WORDS` to look for")
	cmd.Flags().StringVar(&state, "state", "", "`STATE`: without, waiting, valid, expiring, expired, revoked, left")
	return cmd
}

func newPersonShowCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "show ORG PERSON [--json]", Short: "show a person and their certificates", Long: "Show a person, their certificates and their open orders.", Args: orgArguments(1, 1, " and PERSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				person, err := r.person(ctx, org.ID, args[1])
				if err != nil {
					return err
				}
				f := factsOfPerson(person)
				if o.asJSON {
					return p.printJSON(f)
				}
				fmt.Fprintf(p.stdout, "id           %s\nname         %s\nlatin        %s\naddresses    %s\nnumber       %s\ndepartment   %s\nstate        %s\n",
					f.ID, f.Name, strings.TrimSpace(f.GivenName+" "+f.Surname), strings.Join(f.Addresses, ", "), f.Number, f.Department, f.State)
				for _, h := range f.Certificates {
					became := "until " + h.NotAfter
					if h.Revoked != "" {
						became = "revoked " + h.Revoked
					}
					fmt.Fprintf(p.stdout, "certificate  %s  %s %s  %s\n", h.ID, h.Profile, h.Serial, became)
					if h.Distrust != "" {
						fmt.Fprintf(p.stdout, "             chain not trusted: %s\n", h.Distrust)
					}
				}
				for _, order := range f.Orders {
					fmt.Fprintf(p.stdout, "order        %s\n", order)
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}

func newPersonLeaveCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "leave ORG PERSON...", Short: "say that people have left an organization", Args: orgArguments(1, -1, " and PERSON..."),
		Long: `Say that people have left an organization: their open orders end, and their addresses in
its domains are free for others. Their certificates are revoked by mailseal order revoke.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				ids, err := r.people(ctx, org.ID, args[1:])
				if err != nil {
					return err
				}
				return r.PeopleLeave(ctx, r.actor, org.ID, ids)
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}
