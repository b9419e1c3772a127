package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/jobs"
)

// jobFacts is a job as the command prints it.
type jobFacts struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Attempts int    `json:"attempts"`
	Why      string `json:"why"`
	Created  string `json:"created"`
	GivenUp  string `json:"given_up"`
}

// jobDesk is jobs.Service, or the same on a server.
type jobDesk interface {
	Dead(ctx context.Context, actor auth.Actor) ([]jobs.Dead, bool, error)
	Revive(ctx context.Context, actor auth.Actor, id string) error
	Discard(ctx context.Context, actor auth.Actor, id string) error
}

// serverJobs are those of a running server.
type serverJobs struct{ *apiClient }

func (s serverJobs) Dead(ctx context.Context, _ auth.Actor) (list []jobs.Dead, more bool, err error) {
	var l struct {
		Items []struct {
			ID       string    `json:"id"`
			Kind     string    `json:"kind"`
			Attempts int       `json:"attempts"`
			Why      string    `json:"why"`
			Created  time.Time `json:"created"`
			GivenUp  time.Time `json:"given_up"`
		} `json:"items"`
		More bool `json:"more"`
	}
	err = s.ask(ctx, http.MethodGet, "jobs", nil, nil, &l)
	for _, j := range l.Items {
		list = append(list, jobs.Dead{ID: j.ID, Kind: j.Kind, Attempts: j.Attempts, Why: j.Why, Created: j.Created, GivenUp: j.GivenUp})
	}
	return list, l.More, err
}

func (s serverJobs) Revive(ctx context.Context, _ auth.Actor, id string) error {
	return s.ask(ctx, http.MethodPost, "jobs/"+url.PathEscape(id)+"/revive", nil, nil, nil)
}

func (s serverJobs) Discard(ctx context.Context, _ auth.Actor, id string) error {
	return s.ask(ctx, http.MethodDelete, "jobs/"+url.PathEscape(id), nil, nil, nil)
}

type jobOptions struct {
	caOptions
	server serverFlags
	asJSON bool
	all    bool
}

func (o *jobOptions) add(cmd *cobra.Command) {
	o.stateFlags.add(cmd)
	o.server.add(cmd)
}

func newJobsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs COMMAND",
		Short: "jobs that were given up: list, revive, discard",
		Long: `What the server does later, such as mails that leave and certificates of a run, it tries
again until it gives up; such a job stays until somebody decides. These commands work in a
data folder that no server is using, or on a running server with --server and --token-file.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newJobsListCommand(p), newJobsActCommand(p, "revive", "have jobs tried again from the beginning", jobDesk.Revive),
		newJobsActCommand(p, "discard", "remove jobs: what they were to do is not done", jobDesk.Discard))
	return cmd
}

func (p *program) inJobs(cmd *cobra.Command, o *jobOptions, do func(ctx context.Context, d jobDesk) error) error {
	if o.server.url != "" || o.server.tokenFile != "" {
		c, err := o.server.client(cmd)
		if err != nil {
			return err
		}
		return jobFault(do(cmd.Context(), serverJobs{c}))
	}
	return p.inCA(cmd, &o.caOptions, func(ctx context.Context, room *caRoom) error {
		return jobFault(do(ctx, jobs.New(jobs.Options{Store: room.store, Clock: p.env.Now})))
	})
}

func jobFault(err error) error {
	if errors.Is(err, jobs.ErrNotDead) {
		return broken(err, "mailseal jobs list shows those that were")
	}
	return err
}

func newJobsListCommand(p *program) *cobra.Command {
	o := &jobOptions{}
	cmd := &cobra.Command{
		Use: "list [--json]", Short: "the jobs that were given up, and why", Args: noArguments,
		Long: "List the jobs that were given up, the latest first, with what the last attempt ended with.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.inJobs(cmd, o, func(ctx context.Context, d jobDesk) error {
				list, more, err := d.Dead(ctx, auth.Console())
				if err != nil {
					return err
				}
				facts := []jobFacts{}
				for _, j := range list {
					f := jobFacts{j.ID, j.Kind, j.Attempts, j.Why, moment(j.Created), moment(j.GivenUp)}
					if facts = append(facts, f); !o.asJSON {
						fmt.Fprintf(p.stdout, "%s  %s  %s  %s\n", f.ID, f.GivenUp, f.Kind, inspect.Visible(f.Why))
					}
				}
				if more {
					fmt.Fprintf(p.stderr, "mailseal: there are more than these %d\n", len(list))
				}
				if o.asJSON {
					return p.printJSON(facts)
				}
				return nil
			})
		},
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON array")
	return cmd
}

func newJobsActCommand(p *program, name, short string, do func(jobDesk, context.Context, auth.Actor, string) error) *cobra.Command {
	o := &jobOptions{}
	cmd := &cobra.Command{
		Use: name + " ID... | --all", Short: short,
		Long:    "Do so for the jobs that are named, or with --all for every job that was given up. The log has an entry for each.",
		Example: "  mailseal jobs " + name + " --all --data /var/lib/mailseal",
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) == 0) == !o.all {
				return usage(errors.New("ids are wanted, or --all"), "mailseal jobs list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inJobs(cmd, o, func(ctx context.Context, d jobDesk) error {
				for more := o.all; more; {
					list, further, err := d.Dead(ctx, auth.Console())
					if err != nil {
						return err
					}
					for _, j := range list {
						if err := do(d, ctx, auth.Console(), j.ID); err != nil && !errors.Is(err, jobs.ErrNotDead) {
							return err
						}
						fmt.Fprintln(p.stdout, j.ID)
					}
					more = further
				}
				for _, id := range args {
					if err := do(d, ctx, auth.Console(), id); err != nil {
						return err
					}
					fmt.Fprintln(p.stdout, id)
				}
				return nil
			})
		},
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "every job that was given up")
	return cmd
}
