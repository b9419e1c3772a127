package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/roster"
)

// listOptions are the flags of person import.
type listOptions struct {
	orgOptions
	org    string
	dryRun bool
	list   enrollment.ListOptions
	start  enrollment.StartOptions
}

func newPersonImportCommand(p *program) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:   "import FILE --org ORG [--dry-run] [--mode invite|server-keys]",
		Short: "equip the people of a list",
		Long: `Equip the people of a list with certificates: CSV as spreadsheets save it (UTF-8 or
Windows-31J; comma, semicolon or tab; the first line names the columns, in English or
Japanese), LDIF, or SCIM users as JSON. Every problem is told by its line before anything
happens; with --dry-run nothing else happens, and the exit status is 1 if there is one.

With --mode invite each person gets a mail, and makes a key in the browser. With
server-keys the key is made here and waits as a PKCS #12 file, to be picked up once. The
mails leave when the server runs. What is interrupted goes on when the server starts.

Columns: email (the only one that is needed), given name, surname, local name, employee
number, department, language (en or ja).`,
		Example: `  mailseal person import people.csv --org 'Example K.K.' --dry-run
  mailseal person import people.csv --org 'Example K.K.' --mode server-keys`,
		Args: oneName("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runPersonImport(cmd, o, args[0]) },
	}
	o.addFlags(cmd, true)
	f := cmd.Flags()
	f.StringVar(&o.org, "org", "", "`ORG`: the organization's id or name")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "only say what is wrong with the list")
	f.StringVar(&o.start.Mode, "mode", "", "`MODE`: invite or server-keys (default: as the organization's settings say)")
	f.StringVar(&o.start.Client, "for", "", "`CLIENT` that imports the files, as mailseal id export --for has it")
	f.BoolVar(&o.start.LeaveOut, "leave-out", false, "go on without the lines that have problems")
	f.StringVar(&o.list.Format, "format", "", "`FORMAT`: csv, ldif or scim (default: by the file's name)")
	f.StringVar(&o.list.Encoding, "encoding", "", "`NAME`: UTF-8 or Windows-31J (default: by its bytes)")
	f.StringVar(&o.list.Separator, "separator", "", "`SIGN`: comma, semicolon or tab (default: by the first line)")
	return cmd
}

// check completes the flags.
func (o *listOptions) check(path string) error {
	if o.org == "" {
		return usage(errors.New("person import needs --org"), "mailseal org list shows what there is")
	}
	signs := map[string]string{"": "", "comma": ",", "semicolon": ";", "tab": "\t", ",": ",", ";": ";"}
	sign, known := signs[o.list.Separator]
	if !known {
		return usage(fmt.Errorf("--separator %s: not known", o.list.Separator), "comma, semicolon or tab")
	}
	o.list.Separator = sign
	if o.list.Format == "" {
		o.list.Format = map[string]string{".ldif": enrollment.FormatLDIF, ".json": enrollment.FormatSCIM}[strings.ToLower(filepath.Ext(path))]
	}
	return nil
}

func (p *program) runPersonImport(cmd *cobra.Command, o *listOptions, path string) error {
	if err := o.check(path); err != nil {
		return err
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return broken(err, "name a file with the list")
	}
	return p.inOrg(cmd, &o.orgOptions, !o.dryRun, func(ctx context.Context, r orgRoom) error {
		org, err := r.find(ctx, o.org)
		if err != nil {
			return err
		}
		if r.registration == nil {
			return p.importOnServer(ctx, o, r.desk.(*serverDesk), org.ID, file)
		}
		options := enrollment.Options{Store: r.ca.store, Outbox: r.jobs, Mails: r.mails, Registration: r.registration, Clock: p.env.Now}
		if !o.dryRun {
			options.Keys = r.ca.keys
		}
		s, err := enrollment.New(ctx, options)
		if err != nil {
			return err
		}
		preview, err := s.Preview(ctx, r.actor, org.ID, bytes.NewReader(file), o.list)
		if err != nil {
			return importFault(err)
		}
		language := p.chosenLanguage()
		for _, problem := range preview.List.Problems {
			p.problemOfList(problem, language)
		}
		if o.dryRun {
			return p.dryRun(o, preview)
		}
		run, err := s.Start(ctx, r.actor, preview, o.start)
		if err != nil {
			return importFault(err)
		}
		return p.equip(ctx, o, r, s, run)
	})
}

// importFault adds to an error what can be done about it.
func importFault(err error) error {
	switch {
	case errors.Is(err, enrollment.ErrOptions):
		return usage(err, "run: mailseal person import --help")
	case errors.Is(err, enrollment.ErrProblems):
		return no(err, "correct these lines, or go on without them: --leave-out")
	case errors.Is(err, enrollment.ErrNoKeys):
		return no(err, "--mode invite, or mailseal org settings ORG --set keys=server")
	case errors.Is(err, enrollment.ErrNobody), errors.Is(err, enrollment.ErrUnderWay), errors.Is(err, enrollment.ErrNoOfficers):
		return no(err, "mailseal person list ORG tells who has what")
	case errors.Is(err, roster.ErrSize):
		return broken(err, "split the list")
	}
	return err
}

func (p *program) problemOfList(problem roster.Problem, language string) {
	at := ""
	if problem.Line > 0 {
		at = fmt.Sprintf("%d:", problem.Line)
	}
	if problem.Column > 0 {
		at += fmt.Sprintf("%d:", problem.Column)
	}
	fmt.Fprintln(p.stderr, strings.TrimSpace(at+" "+inspect.Visible(problem.What(language)+" "+problem.Advice(language))))
}

// dryRun says what a run would be.
func (p *program) dryRun(o *listOptions, preview *enrollment.Preview) error {
	l := preview.List
	if o.asJSON {
		if err := p.printJSON(map[string]any{"people": len(l.People), "problems": append([]roster.Problem{}, l.Problems...), "notices": append([]roster.Problem{}, l.Notices...)}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.stdout, "people       %d\nproblems     %d\n", len(l.People), len(l.Problems)+l.Unlisted)
	}
	if !l.Good() {
		return errAnsweredNo
	}
	return nil
}

// equip does the run's jobs here, until nobody is left or whoever waits does so
// for somebody else.
func (p *program) equip(ctx context.Context, o *listOptions, r orgRoom, s *enrollment.Service, run enrollment.Run) (err error) {
	working, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); r.jobs.Run(working) }()
	defer func() { stop(); <-ended }()
	watched := p.isTerminal(p.stderr)
	for resting := 0; run.State == enrollment.RunRunning && resting < 20; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: run %s goes on when the server starts", ctx.Err(), run.ID)
		case <-time.After(100 * time.Millisecond):
		}
		before := run
		if run, err = s.Run(ctx, r.actor, run.ID); err != nil {
			return err
		}
		if watched {
			fmt.Fprintf(p.stderr, "\r%d of %d", run.Done+run.Failed, run.Total)
		}
		// Somebody is to approve, and nobody can while this has the folder.
		if resting++; run != before || !s.Resting(ctx, run.ID) {
			resting = 0
		}
	}
	if watched {
		(&progress{w: p.stderr}).end()
	}
	if o.asJSON {
		return p.printJSON(map[string]any{
			"id": run.ID, "mode": run.Mode, "state": run.State, "total": run.Total, "waiting": run.Waiting, "done": run.Done, "failed": run.Failed,
		})
	}
	fmt.Fprintf(p.stdout, "run          %s\nmode         %s\nstate        %s\npeople       %d\ndone         %d\nwaiting      %d\nfailed       %d\n",
		run.ID, run.Mode, run.State, run.Total, run.Done, run.Waiting, run.Failed)
	return nil
}
