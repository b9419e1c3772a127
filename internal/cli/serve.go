package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/server"
)

type serveOptions struct {
	config string
	data   string
	db     string
	listen string
	smtp   string
	dev    bool
	dns    string

	checkpointFile    string
	checkpointProgram string
}

func newServeCommand(p *program) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve (--config FILE | --dev [--data DIR] [--db URL] [--listen ADDR] [--smtp ADDR])",
		Short: "run the authority and the portal",
		Long: `Run the authority and the portal.

With --config FILE it serves for real: the portal over TLS, revocation lists over
plain HTTP, mails through the operator's relay. "mailseal config example" prints a
file with every setting explained, "mailseal config check FILE" looks at one. SIGHUP
reads the TLS certificate again, SIGTERM lets requests under way finish.

With --dev everything is on loopback: a root that says "DEV, do not trust", made in
the data folder at the first start, and outgoing mail caught by a receiver of our own
and shown at /dev/mail instead of sent. State is kept in a file in the data folder, or
with --db, or MAILSEAL_DB in the environment, in a PostgreSQL database (version 13 or
newer, encoding UTF8), which several nodes may share; each needs the folder keys of the
first one in its own data folder. What stands in an option can be seen by everybody on
the machine, so an address with a password goes into MAILSEAL_DB, or the password into
~/.pgpass. Stop it with Ctrl-C.`,
		Example: `  mailseal serve --dev --data ./var
  mailseal serve --config /etc/mailseal/mailseal.yaml`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runServe(cmd, o) },
	}
	cmd.Flags().StringVar(&o.config, "config", "", "`FILE` of settings")
	cmd.Flags().StringVar(&o.data, "data", "./var", "`DIR` of the database, the authority's keys and the caught mails of --dev")
	cmd.Flags().StringVar(&o.db, "db", "", "`URL` of a PostgreSQL database for --dev, postgres://USER@HOST/NAME, in place of the file in DIR (or: MAILSEAL_DB)")
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDR` of portal and API of --dev")
	cmd.Flags().StringVar(&o.smtp, "smtp", "127.0.0.1:8025", "`ADDR` of the mail catcher of --dev")
	cmd.Flags().StringVar(&o.dns, "dns", "", "`ADDR` (host:port) of the DNS resolver of --dev, in place of the system's")
	cmd.Flags().StringVar(&o.checkpointFile, "audit-file", "", "`FILE`, best on another machine, that --dev appends checkpoints of the audit log to")
	cmd.Flags().StringVar(&o.checkpointProgram, "audit-program", "", "`PROGRAM` that gets each checkpoint of --dev as its input, to take it elsewhere")
	cmd.Flags().BoolVar(&o.dev, "dev", false, "the whole system on loopback, for a look and for tests")
	return cmd
}

func (p *program) runServe(cmd *cobra.Command, o *serveOptions) error {
	c := server.Config{
		Dev: o.dev, Version: p.env.Version, Clock: p.env.Now, Rand: rand.Reader,
		Log: slog.New(slog.NewTextHandler(p.stderr, nil)), Out: p.stdout,
	}
	switch {
	case o.dev == (o.config != ""):
		return usage(errors.New("serve needs --config FILE, or --dev"), "mailseal serve --dev, for a look on this machine alone")
	case o.dev:
		var err error
		if c.DB, err = p.database(o.db); err != nil {
			return err
		}
		c.Data, c.Listen, c.SMTPListen, c.DNS = o.data, o.listen, o.smtp, o.dns
		c.CheckpointFile, c.CheckpointProgram = o.checkpointFile, o.checkpointProgram
	default:
		for _, name := range []string{"data", "db", "listen", "smtp", "dns", "audit-file", "audit-program"} {
			if cmd.Flags().Changed(name) {
				return usage(fmt.Errorf("--%s is for --dev", name), "set it in the file")
			}
		}
		if err := p.configure(&c, o.config); err != nil {
			return err
		}
	}
	ctx := cmd.Context()
	if p.env.Hangup != nil {
		c.Reload = p.env.Hangup(ctx)
	}
	defer roomy()()
	err := server.Run(ctx, c)
	if errors.Is(err, context.Canceled) {
		return nil // Ctrl-C is how it is meant to end
	}
	return err
}

// configure reads the file, and takes what systemd handed over.
func (p *program) configure(c *server.Config, path string) error {
	f, warnings, err := p.checkedConfig(path)
	if err != nil {
		return err
	}
	c.Settings = &f.Settings
	c.Credentials, _ = p.env.LookupEnv(credentialsVariable)
	if c.Keys, err = p.operatorsKeys(&f.Settings, c.Credentials); err != nil {
		return err
	}
	c.Log = server.NewLog(p.stderr, f.Settings.Log.Format, f.Settings.Log.Level)
	for _, w := range warnings {
		c.Log.Warn("configuration", "file", path, "key", w.Key, "line", w.Line, "warning", w.Text, "hint", w.Hint)
	}
	if c.Sockets, err = p.handedSockets(); err != nil {
		return broken(err, "see sd_listen_fds(3)")
	}
	notify := p.supervisor()
	c.Ready = func(string) { notify("READY=1") }
	context.AfterFunc(p.ctx, func() { notify("STOPPING=1") })
	return nil
}

// operatorsKeys opens the keys of the data folder as the file says; nobody is
// asked.
func (p *program) operatorsKeys(s *config.Settings, credentials string) (*keys.Keys, error) {
	if err := keys.Harden(); err != nil {
		return nil, fmt.Errorf("keep the keys out of core files: %w", err)
	}
	secrets := &keys.Secrets{Credentials: credentials}
	for into, secret := range map[*string]config.Secret{&secrets.PassphraseFile: s.Keys.Passphrase, &secrets.PINFile: s.Keys.PIN} {
		if !secret.Given() {
			continue
		}
		var err error
		if *into, err = secret.Path(credentials); err != nil {
			return nil, err
		}
	}
	return &keys.Keys{
		Dir: s.Data, Secrets: secrets,
		Tokens: keys.Tokens{Module: s.Keys.Module, Environ: p.tokenEnviron(), Stderr: p.stderr},
	}, nil
}

// credentialsVariable names the folder of systemd's credentials.
const credentialsVariable = "CREDENTIALS_DIRECTORY"

// checkedConfig reads a file and refuses what the server would refuse.
func (p *program) checkedConfig(path string) (*config.File, []config.Problem, error) {
	text, err := readSmall(path)
	if err != nil {
		return nil, nil, broken(err, "give the file with --config")
	}
	f, err := config.Parse(text)
	if err != nil {
		return nil, nil, refusedConfig(path, err)
	}
	warnings, err := f.Check()
	credentials, _ := p.env.LookupEnv(credentialsVariable)
	more, err2 := f.CheckFiles(credentials, p.env.Now())
	warnings = append(warnings, more...)
	if err := errors.Join(err, err2); err != nil {
		return nil, warnings, refusedConfig(path, err)
	}
	return f, warnings, nil
}

func refusedConfig(path string, err error) error {
	return no(fmt.Errorf("%s:\n%w", path, err), "mend the file; `mailseal config example` explains every setting")
}

// database is the address that --db or the environment names; empty: neither.
func (p *program) database(flag string) (string, error) {
	source := flag
	if source == "" {
		source, _ = p.env.LookupEnv("MAILSEAL_DB")
	}
	if source == "" {
		return "", nil
	}
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// Not the cause: it would repeat the address, password and all.
		return "", usage(errors.New("the address of the database (--db or MAILSEAL_DB) is not one of PostgreSQL"),
			"mailseal serve --dev --db postgres://USER@HOST:PORT/NAME, with %%XX for special characters")
	}
	if _, secret := u.User.Password(); flag != "" && (secret || u.Query().Has("password") || u.Query().Has("sslpassword")) {
		return "", usage(errors.New("a password in --db can be seen by everybody on this machine"),
			"put the address into the environment variable MAILSEAL_DB, or the password into ~/.pgpass")
	}
	return source, nil
}

// The memory of a server that runs. What it holds for good is little, and what it
// throws away is much: at Go's own setting a tenth of issuing is the collector's.
const (
	collectAt = 400       // percent of what is held that may lie about
	leanAbove = 256 << 20 // bytes, from which on it collects more often
)

// roomy lets garbage lie longer, unless the environment (GOGC, GOMEMLIMIT) says
// how long; the returned function takes that back.
func roomy() (done func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	percent, limit := debug.SetGCPercent(collectAt), debug.SetMemoryLimit(leanAbove)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}
