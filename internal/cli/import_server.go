package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/inspect"
)

// theirRun is a bulk run as the API has it.
type theirRun struct {
	ID      string `json:"id"`
	Mode    string `json:"mode"`
	State   string `json:"state"`
	Total   int    `json:"total"`
	Waiting int    `json:"waiting"`
	Done    int    `json:"done"`
	Failed  int    `json:"failed"`
}

// listMedia are the media types of lists.
var listMedia = map[string]string{
	"": "text/csv", enrollment.FormatCSV: "text/csv", enrollment.FormatLDIF: "application/ldif", enrollment.FormatSCIM: "application/scim+json",
}

// importOnServer is person import on a running server: its problems first, then a
// run, which goes on there whether or not anybody looks.
func (p *program) importOnServer(ctx context.Context, o *listOptions, d *serverDesk, organization string, list []byte) error {
	media, known := listMedia[o.list.Format]
	if !known {
		return usage(fmt.Errorf("--format %s: not known", o.list.Format), "csv, ldif or scim")
	}
	q := url.Values{}
	set(q, "encoding", o.list.Encoding)
	set(q, "separator", map[string]string{",": "comma", ";": "semicolon", "\t": "tab"}[o.list.Separator])
	var preview struct {
		People   int           `json:"people"`
		Problems []listProblem `json:"problems"`
		Notices  []listProblem `json:"notices"`
		Unlisted int           `json:"unlisted"`
	}
	if err := d.ask(ctx, http.MethodPost, org(organization, "runs", "preview"), q, apiFile{media, list}, &preview); err != nil {
		return err
	}
	for _, problem := range preview.Problems {
		at := ""
		if problem.Line > 0 {
			at = fmt.Sprintf("%d:", problem.Line)
		}
		if problem.Column > 0 {
			at += fmt.Sprintf("%d:", problem.Column)
		}
		fmt.Fprintln(p.stderr, strings.TrimSpace(at+" "+inspect.Visible(problem.What+" "+problem.Advice)))
	}
	good := len(preview.Problems) == 0
	if o.dryRun {
		if o.asJSON {
			if err := p.printJSON(preview); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(p.stdout, "people       %d\nproblems     %d\n", preview.People, len(preview.Problems)+preview.Unlisted)
		}
		if !good {
			return errAnsweredNo
		}
		return nil
	}
	if !good && !o.start.LeaveOut {
		return no(errors.New("the list has problems"), "correct these lines, or go on without them: --leave-out")
	}
	set(q, "mode", o.start.Mode)
	set(q, "client", o.start.Client)
	if o.start.LeaveOut {
		q.Set("leave_out", "problems")
	}
	var run theirRun
	if err := d.ask(ctx, http.MethodPost, org(organization, "runs"), q, apiFile{media, list}, &run); err != nil {
		return err
	}
	return p.watchRun(ctx, o, d, organization, run)
}

// listProblem is one thing that is wrong with a list.
type listProblem struct {
	Line   int    `json:"line"`
	Column int    `json:"column,omitempty"`
	Code   string `json:"code"`
	What   string `json:"what"`
	Advice string `json:"advice"`
}

// watchRun shows how far a run is until it is done, or nothing has happened in it
// for a while because it waits for somebody.
func (p *program) watchRun(ctx context.Context, o *listOptions, d *serverDesk, organization string, run theirRun) error {
	watched := p.isTerminal(p.stderr)
	for resting := 0; run.State == enrollment.RunRunning && resting < 20; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: run %s goes on at the server", ctx.Err(), run.ID)
		case <-time.After(250 * time.Millisecond):
		}
		before := run
		if err := d.ask(ctx, http.MethodGet, org(organization, "runs", run.ID), nil, nil, &run); err != nil {
			return err
		}
		if watched {
			fmt.Fprintf(p.stderr, "\r%d of %d", run.Done+run.Failed, run.Total)
		}
		if resting++; run != before {
			resting = 0
		}
	}
	if watched {
		(&progress{w: p.stderr}).end()
	}
	if o.asJSON {
		return p.printJSON(run)
	}
	fmt.Fprintf(p.stdout, "run          %s\nmode         %s\nstate        %s\npeople       %d\ndone         %d\nwaiting      %d\nfailed       %d\n",
		run.ID, run.Mode, run.State, run.Total, run.Done, run.Waiting, run.Failed)
	return nil
}
