package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// passphraseSource is where a command gets passphrases from: a file, the
// environment, or the person at the terminal. Never an argument: arguments are
// visible to every user of the machine.
type passphraseSource struct {
	p    *program
	file string
}

func (s *passphraseSource) addFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "passphrase-file", "", "`FILE` whose first line is the passphrase (else MAILSEAL_PASSPHRASE, else a prompt)")
}

// errNoPassphrase is returned where nobody can be asked.
var errNoPassphrase = errors.New("a passphrase is needed and there is no terminal to ask at")

const passphraseHint = "give it with --passphrase-file FILE or in MAILSEAL_PASSPHRASE"

// read returns the passphrase for what; it is the function that identity.Read calls
// when it meets something encrypted.
func (s *passphraseSource) read(what string) ([]byte, error) {
	if secret, given, err := s.given(); given || err != nil {
		return secret, err
	}
	return s.ask("Passphrase for " + what)
}

// choose returns the passphrase that will protect what from now on; a person types
// it twice, because nothing else can find the slip.
func (s *passphraseSource) choose(what string) ([]byte, error) {
	if secret, given, err := s.given(); given || err != nil {
		return secret, err
	}
	secret, err := s.ask("New passphrase for " + what)
	if err != nil {
		return nil, err
	}
	again, err := s.ask("The same once more")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(secret, again) {
		return nil, broken(errors.New("the two passphrases differ"), "start again")
	}
	return secret, nil
}

// given looks where programs put passphrases.
func (s *passphraseSource) given() (secret []byte, given bool, err error) {
	if s.file != "" {
		data, err := readSmall(s.file)
		if err != nil {
			return nil, false, fmt.Errorf("passphrase file: %w", err)
		}
		line, _, _ := bytes.Cut(data, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), true, nil
	}
	if value, found := s.p.env.LookupEnv("MAILSEAL_PASSPHRASE"); found {
		return []byte(value), true, nil
	}
	return nil, false, nil
}

// ask prompts at the terminal itself, so that it works while a message comes in
// through standard input and the result leaves through standard output.
func (s *passphraseSource) ask(prompt string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		if !s.p.isTerminal(s.p.stdin) {
			return nil, broken(errNoPassphrase, passphraseHint)
		}
		tty = s.p.stdin.(*os.File)
	} else {
		defer tty.Close()
	}
	fmt.Fprintf(tty, "%s: ", prompt)
	secret, err := s.p.readSecret(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return nil, broken(fmt.Errorf("read passphrase: %w", err), passphraseHint)
	}
	return secret, nil
}

// readSecret reads a line without echo. When the person gives up, the terminal gets
// its echo back; the read itself cannot be cancelled and ends with the process.
func (p *program) readSecret(tty int) ([]byte, error) {
	state, err := term.GetState(tty)
	if err != nil {
		return nil, err
	}
	type result struct {
		secret []byte
		err    error
	}
	done := make(chan result, 1)
	go func() {
		secret, err := term.ReadPassword(tty)
		done <- result{secret, err}
	}()
	select {
	case r := <-done:
		return r.secret, r.err
	case <-p.interrupted:
		return nil, errors.Join(context.Canceled, term.Restore(tty, state))
	}
}
