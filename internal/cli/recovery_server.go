package cli

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/recovery"
)

// recoveryOptions are the flags of the commands that ask a server.
type recoveryOptions struct {
	server serverFlags
	asJSON bool
}

func (o *recoveryOptions) addFlags(cmd *cobra.Command) {
	o.server.add(cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print what the server answered")
}

// onServer runs a command about an organization on a server.
func (o *recoveryOptions) onServer(cmd *cobra.Command, name string, do func(ctx context.Context, d *serverDesk, organization string) error) error {
	if o.server.url == "" {
		return usage(errors.New("--server is missing"), "name a running server with --server, and a file with your token with --token-file")
	}
	d, err := o.server.desk(cmd)
	if err != nil {
		return err
	}
	found, err := orgRoom{desk: d}.find(cmd.Context(), name)
	if err == nil {
		err = do(cmd.Context(), d, found.ID)
	}
	return orgFault(err)
}

// theirQuorum is a set of officers as the API has it.
type theirQuorum struct {
	ID        string `json:"id"`
	Threshold int    `json:"threshold"`
	Officers  []struct {
		Account   string `json:"account"`
		Email     string `json:"email"`
		SHA256    string `json:"sha256"`
		Confirmed string `json:"confirmed"`
	} `json:"officers"`
}

func newRecoveryOfficersCommand(p *program) *cobra.Command {
	o := &recoveryOptions{}
	cmd := &cobra.Command{
		Use:   "officers ORG --server URL --token-file FILE",
		Short: "show who holds the shares",
		Long: `Show who holds the shares of an organization's keys, who is proposed, and how many keys
officers before have not handed over.`,
		Args: orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onServer(cmd, args[0], func(ctx context.Context, d *serverDesk, organization string) error {
				return p.showOfficers(ctx, o, d, organization)
			})
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (p *program) showOfficers(ctx context.Context, o *recoveryOptions, d *serverDesk, organization string) error {
	var raw []byte
	if err := d.ask(ctx, http.MethodGet, org(organization, "recovery", "officers"), nil, nil, &raw); err != nil {
		return err
	}
	if o.asJSON {
		_, err := p.stdout.Write(raw)
		return err
	}
	var st struct {
		Active   *theirQuorum `json:"active"`
		Proposed *theirQuorum `json:"proposed"`
		Keys     int          `json:"keys"`
		Former   int          `json:"former"`
	}
	if err := json.Unmarshal(raw, &st); err != nil {
		return broken(err, "is this a mailseal server?")
	}
	for _, q := range []struct {
		name string
		*theirQuorum
	}{{"active", st.Active}, {"proposed", st.Proposed}} {
		if q.theirQuorum == nil {
			fmt.Fprintf(p.stdout, "%-12s none\n", q.name)
			continue
		}
		fmt.Fprintf(p.stdout, "%-12s %s: %d of %d open a key\n", q.name, q.ID, q.Threshold, len(q.Officers))
		for _, one := range q.Officers {
			state := "has not confirmed"
			if one.Confirmed != "" {
				state = "confirmed " + one.Confirmed
			}
			fmt.Fprintf(p.stdout, "officer      %s  certificate %.16s  %s  %s\n", one.Account, one.SHA256, state, one.Email)
		}
	}
	fmt.Fprintf(p.stdout, "keys         %d, and %d that officers before have not handed over\n", st.Keys, st.Former)
	return nil
}

func newRecoveryProposeCommand(p *program) *cobra.Command {
	o := &recoveryOptions{}
	var threshold int
	var officers []string
	cmd := &cobra.Command{
		Use:   "propose ORG --officer ACCOUNT=CERT --officer ... [--threshold M]",
		Short: "propose who holds the shares",
		Long: `Propose the officers of an organization: accounts that have the role recovery-officer
there, each with a certificate whose key the officer has. They hold shares when each of
them has confirmed, in the portal, and enough of the officers before them have approved.`,
		Example: `  mailseal recovery propose 'Example K.K.' --officer ACCOUNT1=ana.pem --officer ACCOUNT2=ben.pem \
    --officer ACCOUNT3=chie.pem --server https://ca.example.com --token-file token`,
		Args: orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := map[string]any{"threshold": threshold}
			var list []map[string]string
			for _, one := range officers {
				account, path, found := strings.Cut(one, "=")
				if !found {
					return usage(fmt.Errorf("--officer %s: not ACCOUNT=CERT", one), "an account's id and a file with its certificate")
				}
				text, err := certificateText(path)
				if err != nil {
					return err
				}
				list = append(list, map[string]string{"account": account, "certificate": text})
			}
			in["officers"] = list
			return o.onServer(cmd, args[0], func(ctx context.Context, d *serverDesk, organization string) error {
				if err := d.ask(ctx, http.MethodPost, org(organization, "recovery", "officers"), nil, in, nil); err != nil {
					return err
				}
				return p.showOfficers(ctx, o, d, organization)
			})
		},
	}
	o.addFlags(cmd)
	cmd.Flags().IntVar(&threshold, "threshold", recovery.DefaultThreshold, "how many officers open a key (`M`)")
	cmd.Flags().StringArrayVar(&officers, "officer", nil, "`ACCOUNT=CERT`: an account's id and a file with its certificate; three or more")
	return cmd
}

// certificateText reads a certificate, PEM or DER, and writes it as PEM.
func certificateText(path string) (string, error) {
	data, err := readSmall(path)
	if err != nil {
		return "", err
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	c, err := cert.Parse(data)
	if err != nil {
		return "", broken(fmt.Errorf("%s: not a certificate: %w", path, err), "name a file with one certificate, PEM or DER")
	}
	return string(c.PEM()), nil
}

func newRecoveryKeysCommand(p *program) *cobra.Command {
	o := &recoveryOptions{}
	cmd := &cobra.Command{
		Use: "keys ORG PERSON", Short: "show the keys of a person that are kept", Long: "Show the encryption keys of a person that are kept, and who has their shares.",
		Args: orgArguments(1, 1, " and PERSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onServer(cmd, args[0], func(ctx context.Context, d *serverDesk, organization string) error {
				person, err := orgRoom{desk: d}.person(ctx, organization, args[1])
				if err != nil {
					return err
				}
				var raw []byte
				if err := d.ask(ctx, http.MethodGet, org(organization, "recovery", "keys"), url.Values{"person": {person.ID}}, nil, &raw); err != nil || o.asJSON {
					_, writeErr := p.stdout.Write(raw)
					return errors.Join(err, writeErr)
				}
				var l listed[struct {
					ID       string `json:"id"`
					Key      string `json:"key"`
					Officers string `json:"officers"`
					Former   bool   `json:"former"`
				}]
				if err := json.Unmarshal(raw, &l); err != nil {
					return broken(err, "is this a mailseal server?")
				}
				for _, k := range l.Items {
					whose := "officers " + k.Officers
					if k.Former {
						whose += ", who have not handed it over"
					}
					fmt.Fprintf(p.stdout, "%s  key %.16s  %s\n", k.ID, k.Key, whose)
				}
				return nil
			})
		},
	}
	o.addFlags(cmd)
	return cmd
}

// theirRequest is a request as the API has it.
type theirRequest struct {
	ID        string   `json:"id"`
	Person    string   `json:"person"`
	Requester string   `json:"requester"`
	Reason    string   `json:"reason"`
	State     string   `json:"state"`
	Keys      []string `json:"keys"`
	Threshold int      `json:"threshold"`
	Decisions []struct {
		Given bool `json:"given"`
	} `json:"decisions"`
	Expires string `json:"expires"`
}

func (r theirRequest) line() string {
	given := 0
	for _, d := range r.Decisions {
		if d.Given {
			given++
		}
	}
	return fmt.Sprintf("%s  %-9s %d of %d officers  person %s  %d keys  until %s  %s",
		r.ID, r.State, given, r.Threshold, r.Person, len(r.Keys), r.Expires, inspect.Visible(r.Reason))
}

func newRecoveryRequestCommand(p *program) *cobra.Command {
	o := &recoveryOptions{}
	var recipient, reason, former string
	var keys []string
	cmd := &cobra.Command{
		Use:   "request ORG PERSON --recipient CERT --reason TEXT",
		Short: "ask the officers for the keys of a person",
		Long: `Ask the recovery officers for the keys of a person. They come encrypted to --recipient:
your own certificate, or a new one of the person's. Officers read the reason, and so does
the person when the keys are released.`,
		Example: `  mailseal recovery request 'Example K.K.' taro@example.jp --recipient me.pem --reason 'new laptop' \
    --server https://ca.example.com --token-file token`,
		Args: orgArguments(1, 1, " and PERSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if recipient == "" {
				return usage(errors.New("--recipient is missing"), "name the certificate that the keys are encrypted to")
			}
			text, err := certificateText(recipient)
			if err != nil {
				return err
			}
			return o.onServer(cmd, args[0], func(ctx context.Context, d *serverDesk, organization string) error {
				person, err := orgRoom{desk: d}.person(ctx, organization, args[1])
				if err != nil {
					return err
				}
				in := map[string]any{"person": person.ID, "recipient": text, "reason": reason}
				if len(keys) > 0 {
					in["keys"] = keys
				}
				if former != "" {
					in["former"] = former
				}
				var r theirRequest
				if err := d.ask(ctx, http.MethodPost, org(organization, "recovery", "requests"), nil, in, &r); err != nil {
					return err
				}
				if o.asJSON {
					return p.printJSON(r)
				}
				fmt.Fprintln(p.stdout, r.line())
				return nil
			})
		},
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&recipient, "recipient", "", "`CERT`: a file with the certificate that the keys are encrypted to")
	f.StringVar(&reason, "reason", "", "`TEXT` that officers and the person read")
	f.StringArrayVar(&keys, "key", nil, "`KEY`: only this one, as mailseal recovery keys shows it (may be repeated)")
	f.StringVar(&former, "former", "", "`OFFICERS`: ask this set of officers before, for keys that were handed over and do not open")
	return cmd
}

func newRecoveryListCommand(p *program) *cobra.Command {
	o := &recoveryOptions{}
	cmd := &cobra.Command{
		Use: "list ORG", Short: "list requests for keys", Long: "List an organization's requests for keys, the newest first.", Args: orgArguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onServer(cmd, args[0], func(ctx context.Context, d *serverDesk, organization string) error {
				all := []theirRequest{}
				for cursor := ""; ; {
					var l listed[theirRequest]
					q := url.Values{"limit": {"500"}}
					set(q, "cursor", cursor)
					if err := d.ask(ctx, http.MethodGet, org(organization, "recovery", "requests"), q, nil, &l); err != nil {
						return err
					}
					all = append(all, l.Items...)
					if cursor = l.Next; cursor == "" {
						break
					}
				}
				if o.asJSON {
					return p.printJSON(all)
				}
				for _, r := range all {
					fmt.Fprintln(p.stdout, r.line())
				}
				return nil
			})
		},
	}
	o.addFlags(cmd)
	return cmd
}

func newRecoveryReleaseCommand(p *program) *cobra.Command {
	o := &recoveryOptions{}
	var output string
	cmd := &cobra.Command{
		Use:   "release ORG REQUEST -o BUNDLE",
		Short: "fetch the keys that officers released to you",
		Long: `Fetch the keys of a request of yours that enough officers have released. The log has it,
and a mail to the person is on its way, before anything comes. mailseal recovery open
puts them together.`,
		Args: orgArguments(1, 1, " and REQUEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.onServer(cmd, args[0], func(ctx context.Context, d *serverDesk, organization string) error {
				var bundle []byte
				if err := d.ask(ctx, http.MethodPost, org(organization, "recovery", "requests", args[1], "release"), nil, nil, &bundle); err != nil {
					return err
				}
				if _, err := recovery.ParseBundle(bundle); err != nil {
					return broken(err, "is this a mailseal server?")
				}
				return p.writeResult(output, modeSecret, bundle)
			})
		},
	}
	o.addFlags(cmd)
	addOutputFlag(cmd, &output)
	return cmd
}
