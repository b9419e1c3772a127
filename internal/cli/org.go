package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/anchors"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	proofs "github.com/mailseal/mailseal/internal/validation"
)

func newOrgCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "org COMMAND",
		Short: "organizations: agreement, domains, settings",
		Long: `Look after organizations, which vouch for their people under an agreement, in a data
folder that no server is using, or on a running server with --server and --token-file.
docs/organizations.md has the whole way; the portal does all of this, too.

ORG is the organization's id, or its name where only one has it.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newOrgCreateCommand(p), newOrgListCommand(p), newOrgShowCommand(p), newOrgAgreeCommand(p),
		newOrgSettingsCommand(p), newOrgDomainCommand(p), newOrgTrustCommand(p))
	return cmd
}

// orgOptions are the flags of all commands on organizations, people and orders.
type orgOptions struct {
	caOptions
	server serverFlags
	dns    string
	asJSON bool
}

// orgRoom is an opened data folder with its registration, or a server from
// outside; of that there is the desk alone.
type orgRoom struct {
	desk
	actor        auth.Actor
	registration *registration.Service
	ca           *caRoom
	jobs         *outbox.Outbox
	mails        *mailqueue.Queue
}

// add adds the flags that every one of them has; keys opens those of the
// authority, for what signs.
func (o *orgOptions) addFlags(cmd *cobra.Command, keys bool) {
	if keys {
		o.addKeys(cmd)
	} else {
		o.stateFlags.add(cmd)
	}
	o.server.add(cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object")
}

// inOrg runs what a command does: as who has the data in hand, or as who has the
// token, on a server.
func (p *program) inOrg(cmd *cobra.Command, o *orgOptions, signs bool, do func(ctx context.Context, r orgRoom) error) error {
	if o.server.url != "" || o.server.tokenFile != "" {
		d, err := o.server.desk(cmd)
		if err != nil {
			return err
		}
		return orgFault(do(cmd.Context(), orgRoom{desk: d}))
	}
	return p.inCA(cmd, &o.caOptions, func(ctx context.Context, room *caRoom) error {
		v := &proofs.Validator{Clock: p.env.Now, Resolver: proofs.DNS{Server: o.dns}}
		room.o.Validation = v
		if !signs {
			room.o.Keys = nil
		}
		a, err := authority.Open(ctx, room.o)
		if err != nil {
			return err
		}
		jobs, err := outbox.New(outbox.Options{Store: room.store, Clock: p.env.Now})
		if err != nil {
			return err
		}
		mails := mailqueue.New(mailqueue.Options{Store: room.store, Outbox: jobs, Mailer: noRelay{}, Clock: p.env.Now})
		keep := recovery.New(recovery.Options{Store: room.store, Mails: mails, Clock: p.env.Now})
		public, err := anchors.Email()
		if err != nil {
			return err
		}
		s := registration.New(registration.Options{Store: room.store, Validation: v, Issuer: a, Mails: mails, Escrow: keep, Anchors: public, Clock: p.env.Now})
		return orgFault(do(ctx, orgRoom{s, auth.Console(), s, room, jobs, mails}))
	})
}

// withOrg is inOrg for what is about one organization, by its id or name.
func (p *program) withOrg(cmd *cobra.Command, o *orgOptions, signs bool, name string, do func(ctx context.Context, r orgRoom, org registration.Organization) error) error {
	return p.inOrg(cmd, o, signs, func(ctx context.Context, r orgRoom) error {
		org, err := r.find(ctx, name)
		if err != nil {
			return err
		}
		return do(ctx, r, org)
	})
}

// noRelay leaves mails to the server.
type noRelay struct{}

func (noRelay) Send(context.Context, proofs.Mail) error {
	return &proofs.UnavailableError{Err: errors.New("mails leave when the server runs")}
}

// orgFault adds to an error what can be done about it.
func orgFault(err error) error {
	switch {
	case errors.Is(err, registration.ErrInput):
		return broken(err, "see --help")
	case errors.Is(err, registration.ErrState):
		return no(err, "mailseal org show ORG and mailseal order list ORG tell how things stand")
	case errors.Is(err, registration.ErrRootsChange):
		return no(err, "do it again when nobody names or removes roots")
	case errors.Is(err, registration.ErrForbidden):
		return broken(errors.New("there is no such thing in this organization"), "mailseal org list, mailseal person list ORG and mailseal order list ORG show what there is")
	}
	return err
}

// find reads the organization that a person named.
func (r orgRoom) find(ctx context.Context, name string) (registration.Organization, error) {
	o, err := r.Organization(ctx, r.actor, name)
	if !errors.Is(err, registration.ErrForbidden) {
		return o, err
	}
	var found []registration.Organization
	for page := (registration.Page{Limit: registration.MaxPage}); ; {
		list, next, err := r.Organizations(ctx, r.actor, "", page)
		if err != nil {
			return o, err
		}
		for _, one := range list {
			if one.Name == name || one.LocalName == name {
				found = append(found, one)
			}
		}
		if page.After = next; next == "" {
			break
		}
	}
	if len(found) != 1 {
		return o, broken(fmt.Errorf("%d organizations are called %q", len(found), name), "mailseal org list shows their ids")
	}
	return r.Organization(ctx, r.actor, found[0].ID)
}

// orgArguments wants an organization and so many arguments more.
func orgArguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 1+least || most >= 0 && len(args) > 1+most {
			return usage(fmt.Errorf("%s takes ORG%s", cmd.CommandPath(), what), "run: %s --help", cmd.CommandPath())
		}
		return nil
	}
}

// organizationFacts is an organization as the commands print it.
type organizationFacts struct {
	ID         string                `json:"id"`
	Name       string                `json:"name"`
	LocalName  string                `json:"local_name"`
	Country    string                `json:"country"`
	State      string                `json:"state"`
	Locality   string                `json:"locality"`
	Identifier string                `json:"identifier"`
	Standing   string                `json:"standing"`
	Agreement  string                `json:"agreement"` // the version accepted last, or empty
	Settings   registration.Settings `json:"settings"`
	Created    string                `json:"created"`
}

func factsOfOrganization(o registration.Organization) organizationFacts {
	return organizationFacts{
		o.ID, o.Name, o.LocalName, o.Country, o.State, o.Locality, o.Identifier, string(o.Standing), o.Agreed, o.Settings, o.Created.Format(time.RFC3339),
	}
}

func newOrgCreateCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var org registration.Organization
	var administrator string
	cmd := &cobra.Command{
		Use:   "create --name NAME --country CC [--identifier NTRJP-NUMBER] [--administrator EMAIL]",
		Short: "make an organization",
		Long: `Make an organization. Its legal name in Latin letters, its place and its identifier
stand in certificates of the kinds ov and iv-ov, once there is evidence of them. Of a
Japanese corporate number (NTRJP-, 13 digits) the check digit is looked at.

--administrator names an account of the portal that runs the organization there.`,
		Example: `  mailseal org create --name 'Example K.K.' --local-name 株式会社見本 --country JP --identifier NTRJP-7000012050002`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.inOrg(cmd, o, false, func(ctx context.Context, r orgRoom) error {
				made, err := r.CreateOrganization(ctx, r.actor, org, administrator)
				if err != nil {
					return err
				}
				if o.asJSON {
					return p.printJSON(factsOfOrganization(made))
				}
				fmt.Fprintf(p.stdout, "%s\n", made.ID)
				fmt.Fprintf(p.stderr, "%s is there. Next: mailseal org agree %s\n", made.Name, made.ID)
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	f := cmd.Flags()
	f.StringVar(&org.Name, "name", "", "legal `NAME` in Latin letters")
	f.StringVar(&org.LocalName, "local-name", "", "`NAME` in its own script")
	f.StringVar(&org.Country, "country", "", "`CC`, a code of ISO 3166-1")
	f.StringVar(&org.State, "state", "", "`STATE` or province")
	f.StringVar(&org.Locality, "locality", "", "`CITY`")
	f.StringVar(&org.Identifier, "identifier", "", "`ID` in a register, such as NTRJP-7000012050002")
	f.StringVar(&administrator, "administrator", "", "`EMAIL` of the account that runs it in the portal")
	return cmd
}

func newOrgListCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "list [--json]", Short: "list the organizations", Long: "List the organizations in the order of their making.", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.inOrg(cmd, o, false, func(ctx context.Context, r orgRoom) error {
				facts := []organizationFacts{}
				for page := (registration.Page{Limit: registration.MaxPage}); ; {
					list, next, err := r.Organizations(ctx, r.actor, "", page)
					if err != nil {
						return err
					}
					for _, one := range list {
						facts = append(facts, factsOfOrganization(one))
					}
					if page.After = next; next == "" {
						break
					}
				}
				if o.asJSON {
					return p.printJSON(facts)
				}
				for _, f := range facts {
					fmt.Fprintf(p.stdout, "%s  %-9s %s\n", f.ID, f.Standing, f.Name)
				}
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	return cmd
}

func newOrgShowCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	cmd := &cobra.Command{
		Use: "show ORG [--json]", Short: "show an organization", Args: orgArguments(0, 0, ""),
		Long: `Show an organization: its names, its settings, its domains, and what it cannot use
because too few people take part.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inOrg(cmd, o, false, func(ctx context.Context, r orgRoom) error { return p.showOrg(ctx, r, args[0], o.asJSON) })
		},
	}
	o.addFlags(cmd, false)
	return cmd
}

func (p *program) showOrg(ctx context.Context, r orgRoom, name string, asJSON bool) error {
	org, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	domains, err := r.Domains(ctx, r.actor, org.ID)
	if err != nil {
		return err
	}
	eyes, err := r.FourEyes(ctx, r.actor, org.ID)
	if err != nil {
		return err
	}
	facts := struct {
		organizationFacts
		Domains []domainFacts `json:"domains"`
		Off     []string      `json:"off"` // what takes more people than there are, and why
	}{factsOfOrganization(org), []domainFacts{}, []string{}}
	for _, d := range domains {
		facts.Domains = append(facts.Domains, factsOfDomain(d))
	}
	for _, feature := range []struct {
		name  string
		state registration.FourEyesState
	}{{"approval", eyes.Approval}, {"evidence", eyes.Evidence}} {
		if !feature.state.On {
			facts.Off = append(facts.Off, feature.name+": "+feature.state.Text("en"))
		}
	}
	if asJSON {
		return p.printJSON(facts)
	}
	settings, err := json.Marshal(org.Settings)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "id           %s\nname         %s\nlocal name   %s\nwhere        %s\nidentifier   %s\nstanding     %s\nagreement    %s\nsettings     %s\n",
		org.ID, org.Name, org.LocalName, strings.Trim(org.Locality+", "+org.State+", "+org.Country, ", "), org.Identifier, org.Standing, org.Agreed, settings)
	for _, d := range facts.Domains {
		fmt.Fprintf(p.stdout, "domain       %s\n", d.line())
	}
	for _, off := range facts.Off {
		fmt.Fprintf(p.stdout, "off          %s\n", off)
	}
	return nil
}

func newOrgAgreeCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var accept string
	cmd := &cobra.Command{
		Use:   "agree ORG [--accept VERSION]",
		Short: "read the agreement, and accept it for an organization",
		Long: `Print the agreement that an organization enters into before it vouches for anybody, in
the language of --language. --accept takes the version that was read: who runs this
command binds the organization, and is entered in the log.`,
		Args: orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				if accept == "" {
					a, err := r.Agreement(p.language)
					if err != nil {
						return err
					}
					fmt.Fprint(p.stdout, a.Text)
					fmt.Fprintf(p.stderr, "To accept it: mailseal org agree %s --accept %s\n", org.ID, a.Version)
					return nil
				}
				org, err := r.AcceptAgreement(ctx, r.actor, org.ID, accept)
				if err != nil {
					return err
				}
				if o.asJSON {
					return p.printJSON(factsOfOrganization(org))
				}
				fmt.Fprintf(p.stderr, "%s has accepted version %s and is %s.\n", org.Name, org.Agreed, org.Standing)
				return nil
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringVar(&accept, "accept", "", "`VERSION` that the organization accepts")
	return cmd
}

func newOrgSettingsCommand(p *program) *cobra.Command {
	o := &orgOptions{}
	var set []string
	cmd := &cobra.Command{
		Use:   "settings ORG [--set NAME=VALUE ...]",
		Short: "show or change what an organization has chosen",
		Long: `Show an organization's settings as JSON, or change some of them first.

  kind        basic, iv, ov, iv-ov    generation  multipurpose, strict
  keys        browser, server         algorithm   rsa-3072, rsa-2048, p256, p384
  split       true, false             escrow      true, false (needs split)
  issuer      local, external         names       latin, local
  language    en, ja                  approval    true, false
  renew       true, false             validity    days`,
		Example: `  mailseal org settings 'Example K.K.' --set kind=iv-ov --set split=true`,
		Args:    orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withOrg(cmd, o, false, args[0], func(ctx context.Context, r orgRoom, org registration.Organization) error {
				if len(set) > 0 {
					settings, err := changedSettings(org.Settings, set)
					if err != nil {
						return err
					}
					org, err = r.SetSettings(ctx, r.actor, org.ID, settings)
					if _, waits := errors.AsType[*auth.WaitsError](err); waits {
						fmt.Fprintln(p.stderr, "mailseal: warning: approval stays on until another administrator or approver confirms in the portal that it ends")
					} else if err != nil {
						return err
					}
					for _, key := range org.Settings.Warnings() {
						fmt.Fprintf(p.stderr, "mailseal: warning: %s\n", registration.Text("en", key))
					}
				}
				return p.printJSON(org.Settings)
			})
		},
	}
	o.addFlags(cmd, false)
	cmd.Flags().StringArrayVar(&set, "set", nil, "`NAME=VALUE` to change")
	return cmd
}

// changedSettings puts NAME=VALUE into settings, by their JSON.
func changedSettings(s registration.Settings, set []string) (registration.Settings, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return s, err
	}
	for _, one := range set {
		name, value, found := strings.Cut(one, "=")
		old, known := fields[name]
		if !found || !known {
			return s, usage(fmt.Errorf("--set %s: not NAME=VALUE with the name of a setting", one), "mailseal org settings --help lists them")
		}
		if _, text := old.(string); text {
			fields[name] = value
		} else {
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return s, usage(fmt.Errorf("--set %s: %s takes true, false or a number", one, name), "mailseal org settings --help lists them")
			}
			fields[name] = v
		}
	}
	if text, err = json.Marshal(fields); err != nil {
		return s, err
	}
	return registration.ParseSettings(text)
}
