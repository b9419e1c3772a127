package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/lint"
)

type certLintOptions struct {
	profile string
	asJSON  bool
}

func newCertLintCommand(p *program) *cobra.Command {
	o := &certLintOptions{}
	cmd := &cobra.Command{
		Use:   "lint [--profile TYPE-GENERATION] [--json] FILE",
		Short: "hold certificates against the rules for mail certificates",
		Long: `Hold every certificate of a PEM or DER file against the CA/Browser Forum's S/MIME
Baseline Requirements and RFC 5280: mailseal's own rules, and those of zlint. Each
finding names the rule, the section where it stands, and what is wrong.

What the rules ask depends on what was validated (mailbox, organization, sponsor,
individual) and on the generation (strict, multipurpose, legacy). The certificate
says so by one of the Forum's policy identifiers. A private authority has identifiers
of its own; name the profile for it. Certificates of authorities need none.

Whether names are true and whether anybody trusts the certificate is not asked here;
see mailseal cert verify.`,
		Example: `  mailseal cert lint alice.pem
  mailseal cert lint --profile sponsor-multipurpose --json alice.der`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("mailseal cert lint takes one file, got %d arguments", len(args)), "run: mailseal cert lint --help")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.runCertLint(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "what the certificate is meant to be, as `TYPE-GENERATION`: mailbox-strict, sponsor-multipurpose and so on")
	f.BoolVar(&o.asJSON, "json", false, "print the findings as one JSON object")
	return cmd
}

// lintReport is what --json prints.
type lintReport struct {
	Certificates []lintedCertificate `json:"certificates"`
	Errors       int                 `json:"errors"`
	Warnings     int                 `json:"warnings"`

	unknown int // subscribers' certificates whose kind is not known
}

type lintedCertificate struct {
	Subject string `json:"subject"`
	Serial  string `json:"serial"`
	SHA256  string `json:"sha256"`
	// Profile is what it was held against; empty: only the rules for all
	// certificates.
	Profile  string        `json:"profile"`
	Findings []lintFinding `json:"findings"`
}

type lintFinding struct {
	Rule     string        `json:"rule"`
	Section  string        `json:"section"`
	Severity lint.Severity `json:"severity"`
	Text     string        `json:"text"`
	By       string        `json:"by"`
}

// maxLinted is how many certificates of one file are looked at.
const maxLinted = 1000

func (p *program) runCertLint(ctx context.Context, file string, o *certLintOptions) error {
	var as lint.Kind
	if o.profile != "" {
		var err error
		if as, err = lint.ParseKind(o.profile); err != nil {
			return usage(fmt.Errorf("--profile %w", err), "like sponsor-multipurpose")
		}
	}
	certs, err := p.readLeaf(ctx, file)
	if err != nil {
		return err
	}
	if len(certs) > maxLinted {
		return broken(fmt.Errorf("%s has %d certificates; %d are looked at", file, len(certs), maxLinted), "split the file")
	}
	report := &lintReport{Certificates: []lintedCertificate{}}
	for _, c := range certs {
		if err := ctx.Err(); err != nil {
			return err
		}
		report.add(c, lint.Examine(c, as))
	}
	if report.unknown > 0 {
		p.say("mailseal: hint: %s not say what was validated; name the profile of a private authority: --profile sponsor-multipurpose",
			count(report.unknown, "certificate")+" do"+map[bool]string{true: "es"}[report.unknown == 1])
	}
	if o.asJSON {
		err = p.printJSON(report)
	} else {
		err = p.printLint(report)
	}
	if err == nil && report.Errors > 0 {
		err = errAnsweredNo
	}
	return err
}

// add counts the findings, the heaviest first.
func (r *lintReport) add(c *cert.Certificate, e lint.Examined) {
	l := lintedCertificate{Subject: c.Subject.String(), Serial: c.SerialHex(), SHA256: c.SHA256(), Findings: []lintFinding{}}
	if e.Kind != (lint.Kind{}) {
		l.Profile = e.Kind.String()
	}
	for _, f := range e.Findings {
		if f.Rule == "policy-present" && l.Profile == "" {
			r.unknown++
		}
		switch f.Severity {
		case lint.Error:
			r.Errors++
		case lint.Warning:
			r.Warnings++
		}
		l.Findings = append(l.Findings, lintFinding(f))
	}
	weight := map[lint.Severity]int{lint.Error: 0, lint.Warning: 1, lint.Notice: 2}
	slices.SortStableFunc(l.Findings, func(a, b lintFinding) int { return cmp.Compare(weight[a.Severity], weight[b.Severity]) })
	r.Certificates = append(r.Certificates, l)
}

func (p *program) printLint(r *lintReport) error {
	for _, c := range r.Certificates {
		fmt.Fprintf(p.stdout, "%s\n", inspect.Visible(cmp.Or(c.Subject, "(no subject)")))
		fmt.Fprintf(p.stdout, "  serial %s, held against %s\n", c.Serial, cmp.Or(c.Profile, "the rules for all certificates"))
		for _, f := range c.Findings {
			fmt.Fprintf(p.stdout, "  %-7s  %s (%s; %s)\n           %s\n", f.Severity, f.Rule, f.By, f.Section, inspect.Visible(f.Text))
		}
	}
	_, err := fmt.Fprintf(p.stdout, "%s, %s\n", count(r.Errors, "error"), count(r.Warnings, "warning"))
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
