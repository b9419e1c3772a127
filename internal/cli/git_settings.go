package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
)

// gitSettings are what git itself has no flag for: from a script around this program,
// or from git's configuration.
type gitSettings struct {
	timestamp string
	crls      []string
	online    onlineOptions
}

func (s *gitSettings) addFlags(cmd *cobra.Command) {
	addTimestampFlag(cmd, &s.timestamp)
	cmd.Flags().StringArrayVar(&s.crls, "crl", nil, "`FILE` of a certificate revocation list (may be repeated)")
	s.online.addFlags(cmd)
}

// configure takes what no flag says from git's configuration. Who can change that
// can have git run any program.
func (s *gitSettings) configure(ctx context.Context, p *program, said func(flag string) bool) error {
	values, err := p.gitConfig(ctx)
	if err != nil {
		return err
	}
	last := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return list[len(list)-1]
	}
	if !said("timestamp") {
		s.timestamp = last(values["mailseal.timestamp"])
	}
	if !said("revocation") {
		s.online.revocation = last(values["mailseal.revocation"])
	}
	if !said("crl") {
		s.crls = values["mailseal.crl"]
	}
	return nil
}

// gitConfig asks git for what its configuration has for mailseal; nothing where there
// is no git.
func (p *program) gitConfig(ctx context.Context) (map[string][]string, error) {
	if p.env.Environ == nil {
		return nil, nil
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, nil //nolint:nilerr // somebody else calls
	}
	c := exec.CommandContext(ctx, git, "config", "-z", "--type=path", "--get-regexp", `^mailseal\.`)
	c.Env = p.env.Environ()
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 1: // nothing there
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("git config: %w: %s", err, strings.TrimSpace(said.String()))
	}
	values := map[string][]string{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		values[key] = append(values[key], value)
	}
	return values, nil
}
