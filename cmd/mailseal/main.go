// Command mailseal signs, encrypts, opens and judges S/MIME mail, and runs the
// authority and the portal that give people their certificates. Everything it does
// is in internal/cli; here the process's streams, environment and clock are handed over.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mailseal/mailseal/internal/cli"
)

// version is set by the Makefile.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to finish, the second ends the process at once.
	context.AfterFunc(ctx, stop)

	return cli.Run(ctx, cli.Arguments(os.Args), os.Stdin, os.Stdout, os.Stderr, cli.Environment{
		LookupEnv: os.LookupEnv,
		Environ:   os.Environ,
		ConfigDir: os.UserConfigDir,
		Now:       time.Now,
		Version:   version,
		Hangup:    hangup,
	})
}

// hangup takes SIGHUP, which ends a process that does not, until ctx ends.
func hangup(ctx context.Context) <-chan struct{} {
	signals, asked := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				select {
				case asked <- struct{}{}:
				default: // it was asked for already
				}
			}
		}
	}()
	return asked
}
