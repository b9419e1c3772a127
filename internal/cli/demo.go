package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/server"
)

func newDemoCommand(p *program) *cobra.Command {
	var dir string
	var people int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo [--dir DIR] [--enterprise N [--json]]",
		Short: "the whole story in a temporary folder, explained as it goes",
		Long: `Play the whole story on this machine, with the real server, the real API and real
mails: Alice, Bob and Carol each get a certificate by proving that they read their
mail; Alice seals a letter to the others, who open it; a copy with one letter changed
is refused, and so is a mail that Bob signed in Alice's name.

With --enterprise it is an administrator's story instead: an organization, its domain, a
list of N people with broken lines in it, and for each of them a key, a certificate, a
PKCS #12 file and a mail, all through the REST API. --json prints one object:
{"people", "issued", "seconds", "peak_rss_mib"}, the seconds from the first request until
the last mail is queued.

The files stay for a look, and the last line says where; those of --enterprise stay only
with --dir, among them the PKCS #12 file that one of the people picked up, or when
something went wrong. Exit status 0 means that
every step came out right, the refusals included.`,
		GroupID: groupServer,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cmd.Flags().Changed("enterprise"):
				return p.runEnterprise(cmd.Context(), dir, people, asJSON)
			case asJSON:
				return usage(errors.New("--json needs --enterprise"), "run: mailseal demo --help")
			}
			return p.runDemo(cmd.Context(), dir)
		},
	}
	cmd.Flags().IntVar(&people, "enterprise", 0, "equip `N` people of an organization")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with --enterprise")
	cmd.Flags().StringVar(&dir, "dir", "", "new or empty `DIR` for the files (default a new one in the system's temporary folder)")
	return cmd
}

// story is one run of the demo.
type story struct {
	p      *program
	dir    string
	server string // base URL
	pass   string
	step   int
}

func (p *program) runDemo(ctx context.Context, dir string) error {
	dir, err := demoFolder(dir)
	if err != nil {
		return err
	}
	begin := p.env.Now()
	s := &story{p: p, dir: dir, pass: rand.Text()}
	if err := s.tell(ctx); err != nil {
		fmt.Fprintf(p.stdout, "\nThe files are in %s\n", dir)
		return fmt.Errorf("demo, step %d: %w", s.step, err)
	}
	fmt.Fprintf(p.stdout, "\nEverything came out right, in %.1f s. The files are in %s\n", p.env.Now().Sub(begin).Seconds(), dir)
	fmt.Fprintf(p.stdout, "(the keys in alice/, bob/ and carol/ have the passphrase in passphrase.txt).\n")
	return nil
}

// demoFolder makes the folder; an old story in it would spoil the new one.
func demoFolder(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "mailseal-demo-")
	}
	if err := makePrivate(dir); err != nil {
		return "", err
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(old) > 0 {
		return "", usage(fmt.Errorf("%s is not empty", dir), "--dir takes a new or an empty folder")
	}
	return filepath.Abs(dir)
}

// tell plays all steps, each through the command that a person would type.
func (s *story) tell(ctx context.Context) error {
	stop, err := s.startServer(ctx)
	if err != nil {
		return err
	}
	err = s.play(ctx)
	return errors.Join(err, stop())
}

func (s *story) play(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.getCertificates, s.sealLetter, s.openLetter, s.changeLetter, s.changeSigned, s.forgeSender,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// explain begins a step.
func (s *story) explain(format string, args ...any) {
	s.step++
	fmt.Fprintf(s.p.stdout, "\n%d. %s\n", s.step, fmt.Sprintf(format, args...))
}

// startServer runs the real server on two free ports of this machine, and returns
// the function that stops it and waits for its end.
func (s *story) startServer(ctx context.Context) (stop func() error, err error) {
	s.explain("A server starts on this machine. It makes a certificate authority of its own,\n   and catches the mails that it sends.")
	if err := os.WriteFile(s.path("passphrase.txt"), []byte(s.pass+"\n"), modeSecret); err != nil {
		return nil, err
	}
	logs, err := os.Create(s.path("server.log"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Config{
			Data: s.path("server"), Listen: "127.0.0.1:0", SMTPListen: "127.0.0.1:0", Dev: true,
			Clock: s.p.env.Now, Rand: rand.Reader, GenerateKey: s.p.env.GenerateKey,
			Log: slog.New(slog.NewTextHandler(logs, nil)), Out: logs,
			Ready: func(url string) { ready <- url },
		})
	}()
	select {
	case s.server = <-ready:
	case err := <-done:
		cancel()
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), logs.Close())
	}
	fmt.Fprintf(s.p.stdout, "   Running at %s\n", s.server)
	return func() error {
		cancel()
		return errors.Join(<-done, logs.Close())
	}, nil
}

// person is one of the three; each has a key store of their own.
type person struct{ name, address string }

func people() []person {
	return []person{{"Alice", "alice@example.com"}, {"Bob", "bob@example.com"}, {"Carol", "carol@example.org"}}
}

func (a person) folder() string { return strings.ToLower(a.name) }

func (s *story) getCertificates(ctx context.Context) error {
	s.explain("Alice, Bob and Carol each ask for a certificate. Each makes a key, gets a mail with\n   a code, and pastes the code back: whoever reads the mail owns the address.")
	s.show("mailseal id request --server %s --email alice@example.com --name Alice --trust-root", s.server)
	var wait sync.WaitGroup
	failed := make([]error, len(people()))
	for i, who := range people() {
		wait.Go(func() { failed[i] = s.getCertificate(ctx, who) })
	}
	wait.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	s.explain("Each gives the others a certificate, which holds no secret.")
	for _, who := range people() {
		if err := s.expect(ctx, who, statusYes, nil, "id", "export", who.address, "--certificate", "-o", s.path(who.folder()+".pem")); err != nil {
			return err
		}
	}
	s.show("mailseal id export alice@example.com --certificate -o alice.pem")
	return nil
}

// getCertificate runs `id request` while, on the other side of its standard input, a
// reader of the person's mail waits for the code.
func (s *story) getCertificate(ctx context.Context, who person) error {
	stdin, paste := io.Pipe()
	go func() {
		code, err := s.mailedCode(ctx, who.address)
		if err == nil {
			_, err = io.WriteString(paste, code+"\n")
		}
		paste.CloseWithError(errors.Join(err, io.EOF))
	}()
	return s.expect(ctx, who, statusYes, stdin, "id", "request", "--server", s.server, "--email", who.address, "--name", who.name, "--trust-root")
}

// letter is a mail from Alice that asks for something.
func (s *story) letter(wish string) string {
	return "From: Alice <alice@example.com>\r\nTo: Bob <bob@example.com>, Carol <carol@example.org>\r\n" +
		"Subject: Lunch\r\nDate: " + s.p.env.Now().Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n\r\n" +
		"Dear Bob, dear Carol,\r\n\r\n" + wish + "\r\n\r\nAlice\r\n"
}

const wish = "let us meet at noon, at the fountain."

func (s *story) sealLetter(ctx context.Context) error {
	s.explain("Alice writes a letter, signs it, and encrypts it to Bob and Carol.")
	if err := s.write("letter.eml", s.letter(wish)); err != nil {
		return err
	}
	s.show("mailseal seal --as alice@example.com --to bob.pem --to carol.pem -o sealed.eml letter.eml")
	err := s.expect(ctx, people()[0], statusYes, nil, "seal", "--as", "alice@example.com",
		"--to", s.path("bob.pem"), "--to", s.path("carol.pem"), "-o", s.path("sealed.eml"), s.path("letter.eml"))
	if err != nil {
		return err
	}
	sealed, err := s.read("sealed.eml")
	if err != nil {
		return err
	}
	if strings.Contains(sealed, "fountain") {
		return errors.New("the sealed mail shows its text")
	}
	return nil
}

func (s *story) openLetter(ctx context.Context) error {
	s.explain("Bob and Carol open it, each with a key of their own. mailseal says who signed it.")
	s.show("mailseal open --as bob@example.com -o bob-reads.eml sealed.eml")
	for _, who := range people()[1:] {
		out := who.folder() + "-reads.eml"
		if err := s.expect(ctx, who, statusYes, nil, "open", "--as", who.address, "-o", s.path(out), s.path("sealed.eml")); err != nil {
			return err
		}
		text, err := s.read(out)
		if err != nil {
			return err
		}
		if !strings.Contains(text, wish) {
			return fmt.Errorf("%s does not read what Alice wrote", who.name)
		}
	}
	return nil
}

func (s *story) changeLetter(ctx context.Context) error {
	s.explain("On the way somebody changes one letter of the sealed mail. Bob's mailseal refuses it,\n   and shows him nothing of it.")
	sealed, err := s.read("sealed.eml")
	if err != nil {
		return err
	}
	// Three quarters on, all is encrypted content.
	at := len(sealed) * 3 / 4
	for !letterOrDigit(sealed[at]) {
		at++
	}
	other := byte('A')
	if sealed[at] == other {
		other = 'B'
	}
	if err := s.write("changed.eml", sealed[:at]+string(other)+sealed[at+1:]); err != nil {
		return err
	}
	s.show("mailseal open --as bob@example.com -o bob-is-warned.eml changed.eml")
	if err := s.expect(ctx, people()[1], statusNo, nil, "open", "--as", "bob@example.com", "-o", s.path("bob-is-warned.eml"), s.path("changed.eml")); err != nil {
		return err
	}
	if _, err := os.Stat(s.path("bob-is-warned.eml")); err == nil {
		return errors.New("content of a mail that was changed was written")
	}
	return nil
}

func letterOrDigit(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (s *story) changeSigned(ctx context.Context) error {
	s.explain("The same with a mail that is signed and not encrypted: everyone can read it, nobody\n   can change it. Here \"noon\" becomes \"moon\".")
	s.show("mailseal sign --as alice@example.com -o signed.eml letter.eml")
	if err := s.expect(ctx, people()[0], statusYes, nil, "sign", "--as", "alice@example.com", "-o", s.path("signed.eml"), s.path("letter.eml")); err != nil {
		return err
	}
	if err := s.expect(ctx, people()[2], statusYes, nil, "verify", s.path("signed.eml")); err != nil {
		return err
	}
	signed, err := s.read("signed.eml")
	if err != nil {
		return err
	}
	if err := s.write("signed-changed.eml", strings.Replace(signed, "noon", "moon", 1)); err != nil {
		return err
	}
	s.show("mailseal verify signed-changed.eml")
	return s.expect(ctx, people()[2], statusNo, nil, "verify", s.path("signed-changed.eml"))
}

func (s *story) forgeSender(ctx context.Context) error {
	s.explain("Bob writes a mail that says it is from Alice, and signs it with his own key. The\n   signature is right, and the mail is refused: Bob's certificate does not name Alice.")
	if err := s.write("forged-letter.eml", s.letter("please give Bob the keys to the treasury.")); err != nil {
		return err
	}
	s.show("mailseal sign --as bob@example.com -o forged.eml forged-letter.eml")
	if err := s.expect(ctx, people()[1], statusYes, nil, "sign", "--as", "bob@example.com", "-o", s.path("forged.eml"), s.path("forged-letter.eml")); err != nil {
		return err
	}
	s.show("mailseal verify forged.eml")
	return s.expect(ctx, people()[2], statusNo, nil, "verify", s.path("forged.eml"))
}

func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

func (s *story) write(name, text string) error {
	return os.WriteFile(s.path(name), []byte(text), modePublic)
}

func (s *story) read(name string) (string, error) {
	data, err := os.ReadFile(s.path(name))
	return string(data), err
}

// show prints the command that the next step is, as a person in the folder types it.
func (s *story) show(format string, args ...any) {
	fmt.Fprintf(s.p.stdout, "   $ %s\n", fmt.Sprintf(format, args...))
}

// expect runs one command line as a person whose key store is in their folder, and
// prints what it says. Any other exit status than the wanted one ends the story.
func (s *story) expect(ctx context.Context, who person, want int, stdin io.Reader, args ...string) error {
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	var stdout, stderr bytes.Buffer
	env := s.p.env
	env.LookupEnv = func(key string) (string, bool) {
		switch key {
		case "MAILSEAL_HOME":
			return s.path(who.folder()), true
		case "MAILSEAL_PASSPHRASE":
			return s.pass, true
		}
		return s.p.env.LookupEnv(key)
	}
	got := Run(ctx, args, stdin, &stdout, &stderr, env)
	if got != want {
		return fmt.Errorf("mailseal %s: exit status %d, expected %d\n%s%s", strings.Join(args, " "), got, want, stdout.String(), stderr.String())
	}
	if args[0] == "open" || args[0] == "verify" {
		for line := range strings.Lines(stdout.String() + stderr.String()) {
			fmt.Fprintf(s.p.stdout, "   | %s", line)
		}
	}
	return nil
}
