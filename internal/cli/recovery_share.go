package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/recovery"
)

type recoveryShareOptions struct {
	as     []string
	output string
	yes    bool
	pass   passphraseSource
}

func newRecoveryShareCommand(p *program) *cobra.Command {
	o := &recoveryShareOptions{pass: passphraseSource{p: p}}
	cmd := &cobra.Command{
		Use:   "share --as ID [-o ANSWER] TASK",
		Short: "answer a task of a recovery officer",
		Long: `Answer a task of a recovery officer: a file from the portal, which says what is asked
of you, by whom, and why. It is shown before anything is done; look at the certificate
that your shares would be encrypted to, and ask whoever it names, by another way than
mail, whether they asked.

--as names your own key, the one whose certificate the organization has. Give the answer
back to the portal. Nobody but the holder of the certificate that was shown can read your
shares in it, the server included.

There are four tasks: confirm that you have the key you are named as an officer with;
approve officers who follow; hand your shares over to them; release them to somebody who
asks for a person's keys.`,
		Example: `  mailseal recovery share --as officer.p12 -o answer.json task.json`,
		Args:    oneName("task"),
		RunE:    func(_ *cobra.Command, args []string) error { return p.runRecoveryShare(args[0], o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.as, "as", nil, asHelp)
	f.BoolVar(&o.yes, "yes", false, "do not ask: you have seen what the task is")
	addOutputFlag(cmd, &o.output)
	o.pass.addFlag(cmd)
	return cmd
}

func (p *program) runRecoveryShare(path string, o *recoveryShareOptions) error {
	if len(o.as) == 0 {
		return usage(errors.New("nobody to answer as"), "name your PKCS#12 or PEM file, or your address in the key store, with --as")
	}
	data, err := readRecoveryFile(path)
	if err != nil {
		return err
	}
	task, err := recovery.ParseTask(data)
	if err != nil {
		return broken(fmt.Errorf("%s: %w", path, err), "fetch the task from the portal again")
	}
	lines, err := p.taskLines(task)
	if err != nil {
		return broken(fmt.Errorf("%s: %w", path, err), "fetch the task from the portal again")
	}
	if err := p.confirm(&caOptions{yes: o.yes}, lines...); err != nil {
		return err
	}
	keys, err := p.decryptionKeys(o.as, &o.pass)
	if err != nil {
		return err
	}
	answer, err := task.Answer(rand.Reader, keys)
	if err != nil {
		return no(err, "is --as the key whose certificate the organization has of you? Fetch the task from the portal again, and tell others when it happens twice")
	}
	file, err := recovery.Encode(answer)
	if err != nil {
		return err
	}
	if err := p.writeResult(o.output, modeSecret, file); err != nil {
		return err
	}
	if task.More {
		p.say("There are more keys than one task holds: give this answer back, then fetch the next task.")
	}
	return nil
}

// taskLines say what an officer is about to do.
func (p *program) taskLines(t *recovery.Task) ([]string, error) {
	readers, err := t.Readers()
	if err != nil {
		return nil, err
	}
	var lines []string
	switch t.Kind {
	case recovery.Release:
		lines = []string{
			fmt.Sprintf("You are asked for your share of %d of the keys of %s.", len(t.Keys), inspect.Visible(t.Owner)),
			"  asked for by  " + inspect.Visible(t.Requester),
			"  reason        " + inspect.Visible(t.Reason),
			"With the shares of enough officers, the holder of this certificate gets them, and can read mail to that person:",
		}
	case recovery.Reshare:
		lines = []string{fmt.Sprintf("You are asked to hand your shares of %d keys over to these officers, any %d of whom open a key:", len(t.Keys), t.Threshold)}
	case recovery.Approve:
		lines = []string{fmt.Sprintf("You are asked to approve of these officers, any %d of whom would open a key:", t.Threshold)}
	case recovery.Confirm:
		lines = []string{fmt.Sprintf("You are asked to be one of these officers, any %d of whom open a key:", t.Threshold)}
	}
	for i, c := range readers {
		lines = append(lines, readerLines(t.Recipients[i], c)...)
	}
	return lines, nil
}

func readerLines(r recovery.Recipient, c *cert.Certificate) []string {
	who := inspect.Visible(strings.Join(c.Emails(), ", "))
	if r.Account != "" {
		who = inspect.Visible(r.Account)
	}
	return []string{
		"  " + who,
		"    certificate of  " + inspect.Visible(c.Subject.String()),
		"    issued by       " + inspect.Visible(c.Issuer.String()),
		"    SHA-256         " + fingerprint(c),
	}
}
