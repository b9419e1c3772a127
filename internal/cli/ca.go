package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/store"
)

func newCACommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca COMMAND",
		Short: "make authorities, and look after their keys",
		Long: `Make authorities, and look after their keys, in a data folder that no server is
using. docs/ceremony.md has the whole way, with the root's key on a machine of its own.`,
		GroupID: groupServer,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
	}
	cmd.AddCommand(newCAInitCommand(p), newCACeremonyCommand(p), newCAAddCommand(p), newCARolloverCommand(p),
		newCAAcceptCommand(p), newCAListCommand(p), newCAShowCommand(p), newCAExportCommand(p), newCADistrustCommand(p),
		newCARevokeCommand(p), newCAPassphraseCommand(p))
	return cmd
}

// caOptions are the flags of all commands on authorities.
type caOptions struct {
	stateFlags
	keyFlags
	dev       bool
	algorithm string
	present   []string
	record    string
	yes       bool
	fresh     bool // the folder may be a new one
}

// addKeys adds those that open keys.
func (o *caOptions) addKeys(cmd *cobra.Command) {
	o.stateFlags.add(cmd)
	o.keyFlags.add(cmd)
	cmd.Flags().BoolVar(&o.dev, "dev", false, "for trying out: names say so, keys are not encrypted, nobody has to be present")
}

// addCeremony adds those of a step in front of people.
func (o *caOptions) addCeremony(cmd *cobra.Command) {
	o.addKeys(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.present, "present", nil, "`NAME` and role of somebody who is present; two or more where a root signs (else a prompt)")
	f.StringVar(&o.record, "record", "", "`FILE` for the record of the step, to be printed and signed (default standard output)")
	f.BoolVar(&o.yes, "yes", false, "do not ask whether to go on")
}

func (o *caOptions) addAlgorithm(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.algorithm, "algorithm", keys.Algorithms()[0], "`ALGORITHM` of new keys: "+strings.Join(keys.Algorithms(), ", ")+"; ml-dsa is for private hierarchies")
}

// caRoom is an opened data folder.
type caRoom struct {
	lock  io.Closer
	store *store.DB
	keys  *keys.Keys
	o     authority.Options
}

// openCA opens the folder for one command. Nothing is read from keys yet.
func (p *program) openCA(ctx context.Context, o *caOptions) (*caRoom, error) {
	if err := o.exists(); err != nil {
		return nil, err
	}
	if err := keys.Harden(); err != nil {
		return nil, fmt.Errorf("keep the keys out of core files: %w", err)
	}
	lock, err := server.LockFolder(o.data)
	if err != nil {
		return nil, broken(err, "is a server running on it? stop it first")
	}
	source, err := o.source(p)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db, err := store.Open(ctx, source)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	room := &caRoom{lock: lock, store: db, keys: p.authorityKeys(o.data, &o.keyFlags, o.dev)}
	room.o = authority.Options{
		Store: db, Keys: room.keys, Clock: p.env.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
	if o.algorithm != "" {
		if room.o.GenerateKey, err = keys.Generator(o.algorithm); err != nil {
			return nil, errors.Join(usage(err, "see --help for --algorithm"), room.close())
		}
	}
	return room, nil
}

// exists refuses a folder that is not there, unless the command makes it, and one
// of another user: what is written there as root the server could not read.
func (o *caOptions) exists() error {
	info, err := os.Stat(o.data)
	if err != nil && o.fresh {
		return nil
	}
	if err != nil {
		return broken(err, "--data names the folder; mailseal ca init makes one")
	}
	if owner, other := anothers(info); other {
		return broken(fmt.Errorf("%s belongs to user %s", o.data, owner), "run this as that user: sudo -u %s mailseal ca ...", owner)
	}
	return nil
}

// askSecret asks at the terminal. The environment is not looked at: others can
// read it, and an authority's key is worth the trouble.
func (p *program) askSecret(what string, fresh bool) ([]byte, error) {
	s := &passphraseSource{p: p}
	secret, err := s.ask(strings.ToUpper(what[:1]) + what[1:])
	if err != nil || !fresh {
		return secret, err
	}
	again, err := s.ask("The same once more")
	if err == nil && string(again) != string(secret) {
		err = broken(errors.New("the two passphrases differ"), "start again")
	}
	return secret, err
}

func (r *caRoom) close() error {
	return errors.Join(r.keys.Close(), r.store.Close(), r.lock.Close())
}

// inCA runs what a command does in the opened folder. What it changes is entered
// in the audit log as the operator's act.
func (p *program) inCA(cmd *cobra.Command, o *caOptions, do func(ctx context.Context, room *caRoom) error) error {
	ctx := audit.WithActor(cmd.Context(), "operator")
	room, err := p.openCA(ctx, o)
	if err != nil {
		return err
	}
	return caFault(errors.Join(do(ctx, room), room.close()))
}

// lookAtCA runs what only looks, also beside a running server.
func (p *program) lookAtCA(cmd *cobra.Command, o *caOptions, do func(ctx context.Context, room *caRoom) error) error {
	ctx := cmd.Context()
	db, err := o.look(ctx, p)
	if err != nil {
		return err
	}
	room := &caRoom{store: db, o: authority.Options{Store: db, Clock: p.env.Now}}
	return caFault(errors.Join(do(ctx, room), db.Close()))
}

// caFault adds to an error what can be done about it.
func caFault(err error) error {
	switch {
	case errors.Is(err, authority.ErrNone):
		return broken(err, "mailseal ca init makes one; --data names the folder")
	case errors.Is(err, authority.ErrFounded):
		return broken(err, "mailseal ca list shows what is there; another folder: --data DIR")
	case errors.Is(err, keys.ErrNoSecret), errors.Is(err, errNoPassphrase):
		return broken(err, "--passphrase-file FILE or --pin-file FILE, or a systemd credential")
	case errors.Is(err, keys.ErrPassphrase):
		return broken(err, "all keys of a folder have one passphrase")
	case errors.Is(err, authority.ErrOffline):
		return broken(err, "do this where the root's key is: mailseal ca ceremony")
	case errors.Is(err, authority.ErrUnknown):
		return broken(err, "mailseal ca list shows the names")
	}
	return tokenFault(err)
}

// oneName allows a command's single argument.
func oneName(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(fmt.Errorf("%s takes one %s, not %d", cmd.CommandPath(), what, len(args)), "run: %s --help", cmd.CommandPath())
		}
		return nil
	}
}

// witnesses are those who are present. Where a root signs there are two (S/MIME
// BR §5.2.2, §6.2.2), and nobody can be both of them.
func (p *program) witnesses(o *caOptions, least int) error {
	if o.dev {
		return nil
	}
	for len(o.present) < least && p.isTerminal(p.stdin) {
		name, err := p.askLine(fmt.Sprintf("Name and role of person %d who is present", len(o.present)+1))
		if err != nil {
			return err
		}
		o.present = append(o.present, name)
	}
	seen := map[string]bool{}
	for _, name := range o.present {
		who, _, _ := strings.Cut(strings.ToLower(strings.Join(strings.Fields(name), " ")), ",")
		if who == "" || len(name) > maxWitness {
			return usage(fmt.Errorf("--present %q is nobody's name", name), `--present "Name, role"`)
		}
		if seen[who] {
			return usage(fmt.Errorf("--present names %q twice", name), "two people are asked for, not one person twice")
		}
		seen[who] = true
	}
	if len(o.present) < least {
		return usage(fmt.Errorf("a root signs only in the presence of %d people; --present names %d", least, len(o.present)),
			`--present "Name, role" for each of them`)
	}
	return nil
}

const (
	maxWitness = 120 // octets of a name with its role
	rootPeople = 2
)

// confirm shows what is about to happen and asks.
func (p *program) confirm(o *caOptions, lines ...string) error {
	if o.yes || o.dev {
		return nil
	}
	if !p.isTerminal(p.stdin) {
		return usage(errors.New("there is no terminal to ask at whether to go on"), "--yes, when you are sure")
	}
	for _, line := range lines {
		p.say("%s", line)
	}
	answer, err := p.askLine("Type yes to go on")
	if err != nil {
		return err
	}
	if answer != "yes" {
		return broken(errors.New("not confirmed"), "nothing was done")
	}
	return nil
}

// askLine asks for a line that may be seen.
func (p *program) askLine(prompt string) (string, error) {
	fmt.Fprintf(p.stderr, "%s: ", prompt)
	var line []byte
	for one := make([]byte, 1); len(line) < maxSentences; {
		n, err := p.stdin.Read(one)
		if n == 1 && one[0] == '\n' {
			break
		}
		line = append(line, one[:n]...)
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				break
			}
			return "", broken(fmt.Errorf("read the answer: %w", err), "start again")
		}
	}
	return strings.TrimSpace(string(line)), nil
}
