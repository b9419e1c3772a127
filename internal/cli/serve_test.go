package cli_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/cli"
)

// The address of the database is refused where others could read its password,
// and never repeated.
func TestDatabaseAddress(t *testing.T) {
	const secret = "hunter2"
	for _, test := range []struct{ flag, env, want string }{
		{flag: "postgres://u:" + secret + "@127.0.0.1/db", want: "MAILSEAL_DB"},
		{flag: "postgres://127.0.0.1/db?password=" + secret, want: "MAILSEAL_DB"},
		{flag: "mysql://u:" + secret + "@127.0.0.1/db", want: "not one of PostgreSQL"},
		{flag: "/var/lib/" + secret, want: "not one of PostgreSQL"},
		{env: "postgres://u:" + secret + "%zz@127.0.0.1/db", want: "not one of PostgreSQL"},
		{env: "postgres://u:" + secret + "@127.0.0.1:1/db?connect_timeout=5", want: "unavailable"},
	} {
		args := []string{"serve", "--dev", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--smtp", "127.0.0.1:0"}
		if test.flag != "" {
			args = append(args, "--db", test.flag)
		}
		var stdout, stderr bytes.Buffer
		exit := cli.Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, cli.Environment{
			Now:       time.Now,
			LookupEnv: func(key string) (string, bool) { return test.env, key == "MAILSEAL_DB" && test.env != "" },
		})
		said := stdout.String() + stderr.String()
		if exit == 0 || !strings.Contains(said, test.want) {
			t.Errorf("%q, %q: exit %d, want one that says %q:\n%s", test.flag, test.env, exit, test.want, said)
		}
		if strings.Contains(said, secret) {
			t.Errorf("%q, %q: the password is told:\n%s", test.flag, test.env, said)
		}
	}
}
