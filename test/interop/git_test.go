package interop

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/testca"
)

// gitRepository is a repository whose owner signs with an S/MIME program.
type gitRepository struct {
	git, dir string
	env      []string
}

// newGitRepository makes one; program is what git calls, and home is mailseal's.
func newGitRepository(t testing.TB, program, signingKey, home string) *gitRepository {
	t.Helper()
	r := &gitRepository{git: tool(t, "git", "git"), dir: t.TempDir()}
	r.env = []string{
		"HOME=" + r.dir, "GIT_CONFIG_NOSYSTEM=1", "MAILSEAL_HOME=" + home, "MAILSEAL_PASSPHRASE=passphrase", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
	}
	r.must(t, "init", "-q")
	r.set(t, "gpg.format", "x509")
	r.set(t, "gpg.x509.program", program)
	if signingKey != "" {
		r.set(t, "user.signingkey", signingKey)
	}
	return r
}

// with is the same repository with more in its environment.
func (r *gitRepository) with(env ...string) *gitRepository {
	return &gitRepository{git: r.git, dir: r.dir, env: append(slices.Clone(r.env), env...)}
}

func (r *gitRepository) set(t testing.TB, name, value string) {
	t.Helper()
	r.must(t, "config", name, value)
}

// run returns what git wrote to either stream: it shows what the S/MIME program
// said on its standard error.
func (r *gitRepository) run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	script := `exec "$@" 2>&1`
	out, err := call(t, r.dir, nil, r.env, "/bin/sh", append([]string{"-c", script, "sh", r.git}, args...)...)
	return string(out), err
}

func (r *gitRepository) must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := r.run(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// state is git's letter for the signature of a commit: G good, B bad, U good by
// somebody who is not trusted, X and Y expired, R revoked, E cannot be checked.
func (r *gitRepository) state(t testing.TB, commit string) string {
	t.Helper()
	return strings.TrimSpace(r.must(t, "log", "-1", "--format=%G?", commit))
}

// gpgsmProgram is a script that calls gpgsm as git would, with the passphrase of
// the keys.
func gpgsmProgram(t testing.TB, g *gpgsm) string {
	t.Helper()
	secret := put(t, g.dir, "passphrase", []byte("passphrase\n"))
	script := fmt.Sprintf("#!/bin/sh\nexec %s --homedir %s --batch --disable-crl-checks --disable-dirmngr --pinentry-mode loopback --passphrase-fd 9 \"$@\" 9<%s\n", g.path, g.dir, secret)
	path := put(t, t.TempDir(), "gpgsm-for-git", []byte(script))
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// forge changes a commit or tag, keeps its signature, and returns the name of what
// came out.
func (r *gitRepository) forge(t testing.TB, commit, from, to string) string {
	t.Helper()
	kind := strings.TrimSpace(r.must(t, "cat-file", "-t", commit))
	object := r.must(t, "cat-file", kind, commit)
	changed := strings.Replace(object, from, to, 1)
	if changed == object {
		t.Fatalf("no %q in\n%s", from, object)
	}
	out, err := call(t, r.dir, []byte(changed), r.env, r.git, "hash-object", "-t", kind, "-w", "--stdin")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// gpgsmFingerprint is how gpgsm names a certificate.
func gpgsmFingerprint(p *party) string {
	sum := sha1.Sum(p.leaf.Certificate.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// TestGit: git signs commits and tags through mailseal-git and verifies them; gpgsm
// verifies the same commits and mailseal those that gpgsm signed; a changed commit
// and a stranger's are refused.
func TestGit(t *testing.T) {
	t.Parallel()
	program := program(t, "mailseal-git")
	ca := testca.New(t, validNow())
	alice := newParty(ca, "alice", testca.RSA2048)
	g := newGPGSM(t, ca, []*party{alice})
	home := mailsealHome(t, t.TempDir(), alice, ca.Root.Certificate.PEM())
	r := newGitRepository(t, program, "", home) // no signing key: the committer's address

	r.must(t, "commit", "-q", "-S", "--allow-empty", "-m", "lunch at noon")
	if out := r.must(t, "verify-commit", "HEAD"); !strings.Contains(out, "VALID") || !strings.Contains(out, "alice@example.com") {
		t.Errorf("verify-commit wrote\n%s", out)
	}
	if state := r.state(t, "HEAD"); state != "G" {
		t.Errorf("state %q", state)
	}
	raw := r.must(t, "verify-commit", "--raw", "HEAD")
	for _, line := range []string{"[GNUPG:] GOODSIG ", "[GNUPG:] VALIDSIG ", "[GNUPG:] TRUST_FULLY "} {
		if !strings.Contains(raw, line) {
			t.Errorf("no %q in\n%s", line, raw)
		}
	}

	for name, key := range map[string]string{
		"address": "alice@example.com", "mailbox": "Alice <alice@example.com>", "file": identityFile(t, r.dir, alice),
		"SHA-256": alice.leaf.Certificate.SHA256(), "gpgsm's": gpgsmFingerprint(alice),
	} {
		t.Run(name, func(t *testing.T) {
			r.set(t, "user.signingkey", key)
			r.must(t, "tag", "-s", "-m", "a meal", strings.ReplaceAll(name, "'", ""))
			r.must(t, "verify-tag", strings.ReplaceAll(name, "'", ""))
		})
	}

	t.Run("changed", func(t *testing.T) {
		commit := r.forge(t, "HEAD", "at noon", "at nine")
		if out, err := r.run(t, "verify-commit", commit); err == nil || r.state(t, commit) != "B" {
			t.Errorf("%v, state %s\n%s", err, r.state(t, commit), out)
		}
		r.must(t, "tag", "-s", "-m", "a meal", "meal")
		tag := r.forge(t, "meal", "a meal", "a deal")
		r.must(t, "update-ref", "refs/tags/deal", tag)
		if out, err := r.run(t, "verify-tag", "deal"); err == nil {
			t.Errorf("a changed tag is taken:\n%s", out)
		}
	})

	t.Run("stranger", func(t *testing.T) {
		other := testca.NewRoot(t, "Other Root", validNow())
		r := r.with("MAILSEAL_HOME=" + mailsealHome(t, t.TempDir(), alice, other.Certificate.PEM()))
		out, err := r.run(t, "verify-commit", "HEAD")
		if state := r.state(t, "HEAD"); err == nil || state != "U" || !strings.Contains(out, "UNTRUSTED") {
			t.Errorf("%v, state %q\n%s", err, state, out)
		}
	})

	t.Run("gpgsm", func(t *testing.T) {
		r.set(t, "gpg.x509.program", gpgsmProgram(t, g))
		r.must(t, "verify-commit", "HEAD")
		if state := r.state(t, "HEAD"); state != "G" {
			t.Errorf("gpgsm on mailseal's: state %q", state)
		}
		if _, err := r.run(t, "verify-commit", r.forge(t, "HEAD", "at noon", "at nine")); err == nil {
			t.Error("gpgsm takes a changed commit")
		}
		r.set(t, "user.signingkey", alice.email)
		r.must(t, "commit", "-q", "-S", "--allow-empty", "-m", "supper at six")
		r.set(t, "gpg.x509.program", program)
		r.must(t, "verify-commit", "HEAD")
		if state := r.state(t, "HEAD"); state != "G" {
			t.Errorf("mailseal on gpgsm's: state %q", state)
		}
		if _, err := r.run(t, "verify-commit", r.forge(t, "HEAD", "at six", "at ten")); err == nil {
			t.Error("mailseal takes a changed commit of gpgsm's")
		}
	})
}
