// Package cli is the command line of mailseal: one file for each command, each
// with newXCommand (flags and help), xOptions and runX. The manners that all of
// them share are in run.go's neighbours: status.go (what the process's exit status
// says), output.go (no output exists unless all is well), spool.go, passphrase.go,
// identities.go, recipients.go and verdict.go.
//
// It keeps no state between runs and reads no globals: streams, environment and
// clock come from Run's caller, so that a test calls it as main does.
package cli

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Environment is what a run may know of the process around it.
type Environment struct {
	// LookupEnv reads MAILSEAL_HOME, MAILSEAL_PASSPHRASE, MAILSEAL_DB, NO_COLOR and the language
	// of the person (MAILSEAL_LANG, LC_ALL, LC_MESSAGES, LANG), as os.LookupEnv does.
	LookupEnv func(key string) (value string, found bool)
	// Environ is the whole of it, for the program that loads modules of tokens.
	Environ func() []string
	// ConfigDir is the platform's folder for a person's settings, in which
	// mailseal/ holds the key store when MAILSEAL_HOME names no other.
	ConfigDir func() (string, error)
	// Now is the time at which certificates are judged unless --at says otherwise.
	Now func() time.Time
	// Version is what `mailseal version` prints.
	Version string
	// Loopback lets --revocation online reach this machine itself, which a mail of
	// a stranger must not do: it is for tests, and main never sets it.
	Loopback bool
	// GenerateKey makes the keys of the demo's authority; nil: RSA-4096. It is for
	// tests, which cannot wait, and main never sets it.
	GenerateKey func() (crypto.Signer, error)
	// Hangup asks for SIGHUP from now on, until ctx ends; nil: there is none.
	Hangup func(ctx context.Context) <-chan struct{}
}

// program is one run: what every command needs of its surroundings.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	env    Environment
	ctx    context.Context // of the run
	// interrupted is closed when the run is to end early (Ctrl-C).
	interrupted <-chan struct{}
	language    string                // --lang
	tongue      *tongue               // see words
	tokens      map[string]*openToken // by URI; see token.go
	warned      map[string]bool       // by SHA-256; see renewal.go
}

// Run executes one command line (without the program's name) and returns the exit
// status: 0 yes, 1 the answer is no, 2 wrong usage, 3 input or environment broken.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env Environment) (exit int) {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, env: env, ctx: ctx, interrupted: ctx.Done()}
	// A bug must not look like an answer: without this, Go's own exit status for a
	// panic, 2, would say "wrong usage".
	defer func() {
		if r := recover(); r != nil {
			p.complain(fmt.Errorf("internal fault: %v\n%s", r, debug.Stack()), "this is a bug in mailseal; please report it with the lines above")
			exit = statusBroken
		}
	}()

	defer p.closeTokens()

	root := newRootCommand(p, args)
	if completing(args) {
		p.addCompletions(root)
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return p.report(root.ExecuteContext(ctx))
}

// newRootCommand makes the commands that args may mean.
func newRootCommand(p *program, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "mailseal COMMAND",
		Short: "sign, encrypt, open and judge S/MIME mail; run the authority behind it",
		Long: `mailseal signs, encrypts, opens and judges S/MIME mail, and runs the authority
and the portal that give people their certificates.

Messages are RFC 5322 files (.eml). Commands read standard input or a file and
write standard output or -o FILE; an output exists only if all is well.`,
		Version:       p.env.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		// Cobra's own complaint about an unknown command is not a usage error to
		// its caller, so the root takes any argument and complains itself.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	p.addLanguageFlag(root)
	root.SetCompletionCommandGroupID(groupServer)
	root.SuggestionsMinimumDistance = 2 // letters: seel is seal
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err, "run: %s --help", cmd.CommandPath())
	})
	root.SetHelpCommand(newHelpCommand(p))
	root.SetHelpTemplate(helpTemplate)
	// The usage line says COMMAND already.
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "\n  {{.CommandPath}} [command]", "", 1))

	root.AddGroup(
		&cobra.Group{ID: groupMail, Title: "Mail:"},
		&cobra.Group{ID: groupKeys, Title: "Keys and certificates:"},
		&cobra.Group{ID: groupServer, Title: "Server, and mailseal itself:"},
	)
	if c := named(args); c != nil {
		root.AddCommand(c.make(p))
		root.CompletionOptions.DisableDefaultCmd = true
	} else {
		for _, c := range commands() {
			root.AddCommand(c.make(p))
		}
		describeCompletion(root)
	}
	plainUsage(root)
	return root
}

// commands are all of them, each by the word that calls it.
func commands() []command {
	return []command{
		{"sign", newSignCommand}, {"encrypt", newEncryptCommand}, {"seal", newSealCommand},
		{"verify", newVerifyCommand}, {"decrypt", newDecryptCommand}, {"open", newOpenCommand}, {"receipt", newReceiptCommand},
		{"cms", newCMSCommand}, {"evidence", newEvidenceCommand}, {"inspect", newInspectCommand}, {"cert", newCertCommand}, {"git", newGitCommand},
		{"id", newIDCommand}, {"book", newBookCommand}, {"recovery", newRecoveryCommand},
		{"serve", newServeCommand}, {"config", newConfigCommand}, {"doctor", newDoctorCommand}, {"ca", newCACommand}, {"org", newOrgCommand}, {"person", newPersonCommand}, {"order", newOrderCommand}, {"signer", newSignerCommand},
		{"account", newAccountCommand}, {"audit", newAuditCommand}, {"jobs", newJobsCommand}, {"backup", newBackupCommand}, {"restore", newRestoreCommand}, {"demo", newDemoCommand}, {"version", newVersionCommand},
	}
}

type command struct {
	name string
	make func(*program) *cobra.Command
}

// named is the command that the line begins with; nil where it begins with
// something else, and all commands are needed to say what. Making one alone saves
// a tenth of the time of a small task.
func named(args []string) *command {
	if len(args) == 0 {
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return &c
		}
	}
	return nil
}

func describeCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short = "write the script with which a shell completes commands"
		}
	}
}

const (
	groupMail   = "mail"
	groupKeys   = "keys"
	groupServer = "server"
)

// unknownCommand answers a command group that was called without one of its own.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	err := fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usage(err, "did you mean: %s %s", cmd.CommandPath(), strings.Join(near, ", "))
	}
	return usage(err, "run: %s --help", cmd.CommandPath())
}

// oneFile allows a command's single FILE argument.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(fmt.Errorf("%s takes one file, not %d", cmd.CommandPath(), len(args)), "run: %s --help", cmd.CommandPath())
	}
	return nil
}

// noArguments is for commands that take flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no argument, got %q", cmd.CommandPath(), args[0]), "run: %s --help", cmd.CommandPath())
	}
	return nil
}

// first returns the command's FILE argument, or "" for standard input.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
