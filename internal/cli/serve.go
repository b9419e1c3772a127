package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/server"
)

type serveOptions struct {
	data   string
	listen string
	smtp   string
	dev    bool

	checkpointFile    string
	checkpointProgram string
}

func newServeCommand(p *program) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve --dev [--data DIR] [--listen ADDR] [--smtp ADDR]",
		Short: "run the authority and the portal",
		Long: `Run the authority and the portal on this machine.

This version runs with --dev only: everything on loopback, a root that says "DEV, do
not trust", and outgoing mail caught by a receiver of our own and shown at /dev/mail
instead of sent. The first start makes the authority in the data folder; a second
start finds everything as it was.

Stop it with Ctrl-C.`,
		Example: `  mailseal serve --dev --data ./var`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runServe(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.data, "data", "./var", "`DIR` of the database, the authority's keys and the caught mails")
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
	err := server.Run(ctx, server.Config{
		Data:              o.data,
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
