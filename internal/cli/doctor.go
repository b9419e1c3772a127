package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/doctor"
)

type doctorOptions struct {
	config string
	json   bool
}

func newDoctorCommand(p *program) *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "doctor --config FILE [--json]",
		Short: "examine an installation and say what to do",
		Long: `Examine an installation, while its server runs or when it does not start: modes and
owners of files, disk space, clock, database, keys, revocation lists, what expires
within 60, 30 and 7 days, whether portal and repository answer under their public
addresses, the relay, and the audit log. Nothing is changed.

Exit status 0: all is well, or odd at most. 1: there is trouble. 2: wrong usage.
3: the file of settings cannot be read.`,
		Example: `  mailseal doctor --config /etc/mailseal/mailseal.yaml`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runDoctor(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.config, "config", "", "`FILE` of settings")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON array")
	return cmd
}

func (p *program) runDoctor(ctx context.Context, o *doctorOptions) error {
	if o.config == "" {
		return usage(errors.New("doctor needs --config FILE"), "the file that mailseal serve is given")
	}
	f, findings, err := p.examinedConfig(o.config)
	if err != nil {
		return err
	}
	if f != nil {
		credentials, _ := p.env.LookupEnv(credentialsVariable)
		keys, err := p.operatorsKeys(&f.Settings, credentials)
		if err != nil {
			return broken(err, "see keys in the file")
		}
		defer func() { _ = keys.Close() }()
		findings = append(findings, doctor.Examine(ctx, doctor.Options{
			File: f, Warnings: p.configWarnings(f), Credentials: credentials, Keys: keys, Now: p.env.Now, Random: rand.Reader,
		})...)
	}
	return p.printFindings(findings, o.json)
}

// examinedConfig reads the file. What the server would refuse of its values are
// findings, and f is nil where the file itself cannot be understood.
func (p *program) examinedConfig(path string) (f *config.File, findings []doctor.Finding, err error) {
	text, err := readSmall(path)
	if err != nil {
		return nil, nil, broken(err, "give the file with --config")
	}
	note := func(err error) {
		if refused, ok := errors.AsType[*config.Error](err); ok {
			for _, problem := range refused.Problems {
				findings = append(findings, doctor.Finding{
					Check: "settings", Level: doctor.Trouble, What: problem.String(), Remedy: "mailseal config check " + path,
				})
			}
		}
	}
	if f, err = config.Parse(text); err != nil {
		note(err)
		return nil, findings, nil
	}
	_, err = f.Check()
	note(err)
	credentials, _ := p.env.LookupEnv(credentialsVariable)
	_, err = f.CheckFiles(credentials, p.env.Now())
	note(err)
	return f, findings, nil
}

func (p *program) configWarnings(f *config.File) []config.Problem {
	warnings, _ := f.Check()
	credentials, _ := p.env.LookupEnv(credentialsVariable)
	more, _ := f.CheckFiles(credentials, p.env.Now())
	return append(warnings, more...)
}

func (p *program) printFindings(findings []doctor.Finding, asJSON bool) error {
	trouble := false
	for _, f := range findings {
		trouble = trouble || f.Level == doctor.Trouble
	}
	if asJSON {
		text, err := json.MarshalIndent(findings, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s\n", text)
	} else {
		for _, f := range findings {
			fmt.Fprintf(p.stdout, "%-8s %s: %s\n", f.Level, f.Check, f.What)
			if f.Remedy != "" {
				fmt.Fprintf(p.stdout, "         -> %s\n", f.Remedy)
			}
		}
	}
	if trouble {
		return errAnsweredNo
	}
	return nil
}
