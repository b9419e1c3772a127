package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/mailseal/mailseal/internal/token"
	"github.com/mailseal/mailseal/internal/token/cryptoki"
)

// tokenProgram is mailseal-pkcs11 for the stories.
func tokenProgram() {
	if err := token.Serve(os.Stdin, os.Stdout, cryptoki.Open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

// peer is the condition [peer:PROGRAM] of a story: whether another's program is
// here. With CI=true it must be. [root] is whether the superuser runs it.
func peer(condition string) (bool, error) {
	if condition == "root" {
		return os.Geteuid() == 0, nil
	}
	name, ok := strings.CutPrefix(condition, "peer:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", condition)
	}
	_, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("%s is not here: scripts/test-deps installs it", name)
	}
	return err == nil, nil
}
