package cli

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/smime"
)

// Arguments returns the command line in argv for Run: called as mailseal-git, the
// program is the command git of itself.
func Arguments(argv []string) []string {
	name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	if name == "mailseal-git" {
		return append([]string{"git"}, argv[1:]...)
	}
	return argv[1:]
}

// gitOptions are gpgsm's, as git writes them.
type gitOptions struct {
	sign, detached, armor bool
	user                  string
	verify                bool
	statusFD              int
	gitSettings
}

func newGitCommand(p *program) *cobra.Command {
	o := &gitOptions{}
	cmd := &cobra.Command{
		Use:   "git --status-fd N (-bsau ID | --verify SIGNATURE -)",
		Short: "sign and verify commits and tags, called by git",
		Long: `Sign and verify commits and tags, called by git in place of gpgsm. The same program
under the name mailseal-git does this too, which is what git's settings take:

  git config gpg.format x509
  git config gpg.x509.program mailseal-git
  git config user.signingkey alice@example.com

The key is an address in the key store, a PKCS#12 or PEM file, or the fingerprint of
a certificate in the key store. The passphrase comes from MAILSEAL_PASSPHRASE or is
asked for at the terminal.

Trusted are the roots in $MAILSEAL_HOME/trust alone: a commit is held to no address,
and from the public authorities anybody can get a certificate.

What git does not say comes from its configuration, or from the flags in a script of
your own that stands in gpg.x509.program:

  git config mailseal.timestamp http://tsa.example.com/tsr   stamp what is signed
  git config mailseal.revocation online                      ask whether a certificate is revoked
  git config mailseal.crl ~/issuing.crl                      a revocation list; may be there several times

A commit is judged today: one by a certificate that has ended since counts as expired,
unless a timestamp proves that it was signed before. The roots of timestamp authorities
go into $MAILSEAL_HOME/trust/timestamps, where they are trusted for nothing else.`,
		Example: `  git commit -S -m 'a signed commit'
  git tag -s v1.0 -m 'a signed tag'
  git verify-commit HEAD`,
		GroupID: groupMail,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.gitSettings.configure(cmd.Context(), p, cmd.Flags().Changed); err != nil {
				return err
			}
			return p.runGit(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.statusFD, "status-fd", 2, "write status lines for git to standard output (`1`) or standard error (2)")
	f.BoolVarP(&o.sign, "sign", "s", false, "sign standard input")
	f.BoolVarP(&o.detached, "detach-sign", "b", false, "leave the content out of the signature")
	f.BoolVarP(&o.armor, "armor", "a", false, "write the signature as text")
	f.StringVarP(&o.user, "local-user", "u", "", "`ID` to sign as")
	f.BoolVar(&o.verify, "verify", false, "verify the signature in the first file over the content in the second")
	o.gitSettings.addFlags(cmd)
	return cmd
}

func (p *program) runGit(ctx context.Context, args []string, o *gitOptions) error {
	status := statusLines{p.stderr}
	switch o.statusFD {
	case 1:
		status.w = p.stdout
	case 2:
	default:
		return usage(fmt.Errorf("--status-fd %d", o.statusFD), "1 is standard output, 2 is standard error")
	}
	switch {
	case o.verify && !o.sign && !o.detached:
		return p.gitVerify(ctx, args, status, &o.gitSettings)
	case o.verify:
		return usage(errors.New("--verify and -bs exclude each other"), "leave one out")
	case !o.detached || !o.armor:
		return usage(errors.New("git signs with -bsau ID and nothing else"), "set git config gpg.x509.program mailseal-git and let git call it")
	case len(args) > 0:
		return usage(fmt.Errorf("what is signed comes from standard input, not from %q", args[0]), "run: mailseal git --help")
	}
	return p.gitSign(ctx, status, o.user, o.timestamp)
}

// armorLabel is what gpgsm writes and git looks for at the end of a tag.
const armorLabel = "SIGNED MESSAGE"

// gitSign signs standard input. The signature is read back before git gets it: what
// it stores in a commit stays there.
func (p *program) gitSign(ctx context.Context, status statusLines, user, authority string) error {
	so := &cms.SignOptions{Detached: true, Time: p.env.Now()}
	var err error
	if so.Timestamp, err = timestampClient(ctx, authority); err != nil {
		return err
	}
	signer, err := p.gitSigner(user)
	if err != nil {
		return err
	}
	in, err := p.openInput(ctx, "")
	if err != nil {
		return err
	}
	defer in.Close()
	var der bytes.Buffer
	err = fill(&der, io.NewSectionReader(in, 0, in.size), in.size, func(dst io.Writer, _ int64) (io.WriteCloser, error) {
		return cms.Sign(dst, []*cms.Signer{signer}, so)
	})
	if err != nil {
		return err
	}
	r, err := cms.NewReader(bytes.NewReader(der.Bytes()), nil)
	if err != nil {
		return err
	}
	s, err := r.SignedData(&cms.SignedOptions{Content: io.NewSectionReader(in, 0, in.size)})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		return fmt.Errorf("the signature that was made does not verify: %w", err)
	}
	if err := pem.Encode(p.stdout, &pem.Block{Type: armorLabel, Bytes: der.Bytes()}); err != nil {
		return err
	}
	return status.created(&s.Signers()[0])
}

// gitVerify verifies the signature in the first file over the content in the second,
// or standard input.
func (p *program) gitVerify(ctx context.Context, files []string, status statusLines, settings *gitSettings) error {
	if len(files) != 2 {
		return usage(errors.New("--verify takes the file of the signature, and that of the content or -"), "run: mailseal git --help")
	}
	judge := judgeOptions{crls: settings.crls, online: settings.online}
	oo, err := judge.resolve(p)
	if err != nil {
		return err
	}
	// A commit names no address that the certificate is held to, so that a mailbox certificate of a public authority, which anybody
	// gets, must not pass for one of the project's people: trusted are the roots that the person named.
	oo.Store = nil
	in, err := p.openInput(ctx, files[0])
	if err != nil {
		return err
	}
	defer in.Close()
	content, err := p.openInput(ctx, files[1])
	if err != nil {
		return err
	}
	defer content.Close()
	s, err := in.signedData(io.Discard, &cms.SignedOptions{Content: io.NewSectionReader(content, 0, content.size)})
	if err != nil {
		return errors.Join(err, status.write("NODATA", "4"))
	}
	v := smime.JudgeRaw(s, oo)
	for i := range v.Signers {
		if err := status.verified(&v.Signers[i], &s.Signers()[i]); err != nil {
			return err
		}
	}
	if err := p.printRawVerdict(p.stderr, v, false); err != nil {
		return err
	}
	if v.Verdict != smime.Valid {
		return errAnsweredNo
	}
	return nil
}
