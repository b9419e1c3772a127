package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/server"
)

type serveOptions struct {
	data   string
	db     string
	listen string
	smtp   string
	dev    bool

	checkpointFile    string
	checkpointProgram string
}

func newServeCommand(p *program) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve --dev [--data DIR] [--db URL] [--listen ADDR] [--smtp ADDR]",
		Short: "run the authority and the portal",
		Long: `Run the authority and the portal on this machine.

This version runs with --dev only: everything on loopback, a root that says "DEV, do
not trust", and outgoing mail caught by a receiver of our own and shown at /dev/mail
instead of sent. The first start makes the authority in the data folder; a second
start finds everything as it was.

State is kept in a file in the data folder. With --db, or MAILSEAL_DB in the
environment, it is kept in a PostgreSQL database instead (version 13 or newer, encoding
UTF8), which several nodes may share; each needs the folder keys of the first one in
its own data folder. What stands in an option can be seen by everybody on the machine,
so an address with a password goes into MAILSEAL_DB, or the password into ~/.pgpass.

Stop it with Ctrl-C.`,
		Example: `  mailseal serve --dev --data ./var`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runServe(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.data, "data", "./var", "`DIR` of the database, the authority's keys and the caught mails")
	cmd.Flags().StringVar(&o.db, "db", "", "`URL` of a PostgreSQL database, postgres://USER@HOST/NAME, in place of the file in DIR (or: MAILSEAL_DB)")
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDR` of portal and API")
	cmd.Flags().StringVar(&o.smtp, "smtp", "127.0.0.1:8025", "`ADDR` of the mail catcher of --dev")
	cmd.Flags().StringVar(&o.checkpointFile, "audit-file", "", "`FILE`, best on another machine, that checkpoints of the audit log are appended to")
	cmd.Flags().StringVar(&o.checkpointProgram, "audit-program", "", "`PROGRAM` that gets each checkpoint as its input, to take it elsewhere")
	cmd.Flags().BoolVar(&o.dev, "dev", false, "the whole system on loopback, for a look and for tests")
	return cmd
}

func (p *program) runServe(ctx context.Context, o *serveOptions) error {
	if !o.dev {
		return usage(errors.New("this version serves with --dev only"), "mailseal serve --dev")
	}
	db, err := p.database(o.db)
	if err != nil {
		return err
	}
	err = server.Run(ctx, server.Config{
		Data:              o.data,
		DB:                db,
		Listen:            o.listen,
		SMTPListen:        o.smtp,
		Dev:               o.dev,
		CheckpointFile:    o.checkpointFile,
		CheckpointProgram: o.checkpointProgram,
		Clock:             p.env.Now,
		Rand:              rand.Reader,
		Log:               slog.New(slog.NewTextHandler(p.stderr, nil)),
		Out:               p.stdout,
	})
	if errors.Is(err, context.Canceled) {
		return nil // Ctrl-C is how it is meant to end
	}
	return err
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
