package cli_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testca"
)

// The commands on organizations do the same through a server as on its data: what
// one did, the other shows in the same words.
func TestServerDesk(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a whole server")
	}
	home := fixtureFolder(t)
	data := filepath.Join(home, "data")
	url, stop := startServerIn(t, data)
	operator := auth.Grant{Role: auth.Operator}
	writeToken(t, home, data, operator)
	remote := func(want int, args ...string) string {
		t.Helper()
		stdout, stderr, exit := mailseal(t, home, append(args, "--server", url, "--token-file", filepath.Join(home, "token"))...)
		if exit != want {
			t.Fatalf("%v: %d %s%s", args, exit, stdout, stderr)
		}
		return stdout + stderr
	}
	says := func(text string, words ...string) {
		t.Helper()
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("no %q in:\n%s", word, text)
			}
		}
	}
	org, _, _ := strings.Cut(remote(0, "org", "create", "--name", "Example K.K.", "--country", "JP", "--identifier", "NTRJP-7000012050002"), "\n")
	says(remote(3, "org", "agree", org, "--accept", registration.AgreementVersion), "no such thing") // the token has not the role
	writeToken(t, home, data, operator, auth.Grant{Role: auth.Administrator, Organization: org})
	says(remote(0, "org", "agree", "Example K.K."), "AGREEMENT", "--accept 1")
	says(remote(0, "org", "agree", org, "--accept", registration.AgreementVersion), "active")
	says(remote(0, "org", "settings", org, "--set", "algorithm=p256"), `"algorithm": "p256"`)
	says(remote(3, "org", "settings", org, "--set", "kind=ov"), "two others accept")
	says(remote(2, "org", "settings", org, "--set", "colour=red"), "colour")
	says(remote(0, "org", "domain", "add", org, "Example.JP"), "_mailseal-challenge.example.jp. IN TXT")
	says(remote(0, "person", "add", org, "--email", "taro@example.jp", "--given-name", "Taro", "--surname", "Tanaka", "--local-name", "田中 太郎"))
	says(remote(3, "person", "add", org, "--email", "TARO@example.jp", "--surname", "Other"), "somebody else")
	says(remote(3, "person", "add", org, "--email", "nonsense"), "addresses")
	says(remote(3, "person", "show", org, "nobody@example.jp"), "no such thing")
	says(remote(3, "org", "show", "Nobody Ltd"), "0 organizations are called")
	says(remote(0, "order", "add", org, "taro@example.jp"), "waits for mailbox")
	storetest.SQL(t, filepath.Join(data, "mailseal.db"), `UPDATE domains SET state = 'proven', proven_at = 1, expires_at = 9999999999`)
	list := filepath.Join(home, "people.csv")
	if err := os.WriteFile(list, []byte("email,surname,given name\nhana@example.jp,Hara,Hana\nnonsense,X,Y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(remote(1, "person", "import", "people.csv", "--org", org, "--dry-run"), "people       1", "problems     1", "3:1:")
	says(remote(1, "person", "import", "people.csv", "--org", org), "--leave-out")
	says(remote(1, "person", "import", "people.csv", "--org", org, "--dry-run", "--json"), `"people": 1`, `"line": 3`)
	says(remote(0, "person", "import", "people.csv", "--org", org, "--leave-out", "--json"), `"total": 1`, `"mode": "invite"`, `"failed": 0`)
	root := strings.Repeat("00", 32)
	for _, args := range [][]string{
		{"org", "trust", "--remove", root}, {"org", "trust", org, "--add", "alice.pem"}, {"person", "adopt", org, "alice.pem", "--trust-roots"},
		{"order", "accept", org, "nothing", "alice.pem", "--trust-roots"},
	} {
		says(remote(1, args...), "it takes a person", "Trusted roots")
		if help, _, exit := mailseal(t, home, args[0], args[1], "--help"); exit != 0 || !strings.Contains(strings.Join(strings.Fields(help), " "), "is refused") {
			t.Errorf("%v is refused, and the help says: %d %s", args, exit, help)
		}
	}
	says(remote(3, "org", "trust", org, "--remove", root), "no such thing")
	says(remote(2, "org", "list", "--data", data), "--data has no meaning with --server")
	says(remote(2, "org", "create", "--name", "X", "--country", "GB", "--administrator", "x@example.com"), "--administrator")
	if stdout, stderr, exit := mailseal(t, home, "org", "list", "--server", url); exit != 2 || !strings.Contains(stderr, "--token-file") {
		t.Errorf("without a token: %d %s%s", exit, stdout, stderr)
	}
	if err := os.WriteFile(filepath.Join(home, "other"), []byte(auth.TokenPrefix+"x.y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, exit := mailseal(t, home, "org", "list", "--server", url, "--token-file", "other"); exit != 3 || !strings.Contains(stderr, "portal") {
		t.Errorf("with another token: %d %s%s", exit, stdout, stderr)
	}

	says(remote(0, "recovery", "officers", org), "active       none", "keys         0")
	says(remote(3, "recovery", "request", org, "taro@example.jp", "--recipient", "alice.pem", "--reason", "the laptop was stolen"), "no such keys")
	says(remote(0, "recovery", "list", org, "--json"), "[]")
	says(remote(3, "recovery", "release", org, "nothing", "-o", "bundle.json"), "no such thing")
	says(remote(3, "recovery", "propose", org, "--officer", "admin="+filepath.Join(home, "alice.pem")), "officers: must be at least 3")
	says(remote(0, "recovery", "keys", org, "taro@example.jp"))
	propose := []string{"recovery", "propose", org}
	for _, name := range []string{"alice", "bob", "carol"} {
		storetest.SQL(t, filepath.Join(data, "mailseal.db"), `INSERT INTO administrators (id, email, email_key, name, password, created_at)
			VALUES ('`+name+`', '`+name+`@example.jp', '`+name+`@example.jp', '', '-', 1);
			INSERT INTO role_grants VALUES ('`+name+`', 'recovery-officer', '`+org+`', '', 1)`)
		propose = append(propose, "--officer", name+"="+filepath.Join(home, name+".pem"))
	}
	remote(0, propose...)
	says(remote(0, "recovery", "officers", org), "2 of 3 open a key", "has not confirmed  bob@example.jp\n")

	// Jobs that were given up.
	for i, id := range []string{"dead1", "dead2", "dead3"} {
		storetest.SQL(t, filepath.Join(data, "mailseal.db"), `INSERT INTO jobs (id, kind, unique_key, lane, payload, state, due_at, holder, attempts, max_attempts, last_error, created_at, finished_at)
			VALUES ('`+id+`', 'nobody''s', '`+id+`', 'x', x'', 'dead', 1, '', 20, 20, 'the relay is away', 1, `+fmt.Sprint(i+2)+`)`)
	}
	says(remote(0, "jobs", "list"), "dead1", "nobody's  the relay is away")
	says(remote(0, "jobs", "revive", "dead1"), "dead1")
	says(remote(3, "jobs", "revive", "dead1"), "no job of that id was given up")
	says(remote(0, "jobs", "discard", "dead2"), "dead2")
	says(remote(0, "jobs", "list", "--json"), `"id": "dead3"`, `"attempts": 20`)
	says(remote(2, "jobs", "discard"), "--all")

	// The same words, whoever looks.
	looks := [][]string{
		{"org", "list"}, {"org", "show", org}, {"org", "show", org, "--json"}, {"org", "domain", "list", org, "--json"}, {"org", "settings", org},
		{"person", "list", org}, {"person", "list", org, "--json"}, {"person", "show", org, "taro@example.jp", "--json"}, {"order", "list", org, "--json"},
		{"jobs", "list"}, {"jobs", "list", "--json"},
	}
	var seen []string
	for _, look := range looks {
		seen = append(seen, remote(0, look...))
	}
	stop()
	for i, look := range looks {
		stdout, stderr, exit := mailseal(t, home, append(look, "--data", data)...)
		if exit != 0 || stdout+stderr != seen[i] {
			t.Errorf("%v: %d\nat hand:\n%s%s\nby the server:\n%s", look, exit, stdout, stderr, seen[i])
		}
	}
	if stdout, stderr, exit := mailseal(t, home, "jobs", "discard", "--all", "--data", data); exit != 0 || stdout != "dead3\n" {
		t.Errorf("%d %s%s", exit, stdout, stderr)
	}
	stdout, stderr, exit := mailseal(t, home, "audit", "export", "--data", data)
	if exit != 0 {
		t.Fatal(stderr)
	}
	says(stdout, `"act":"job.revived","object":"dead1"`, `"act":"job.discarded","object":"dead2"`, `"act":"job.discarded","object":"dead3"`)
}

// writeToken makes a token of the account that operates a server, and makes the
// account before.
func writeToken(t *testing.T, home, data string, scopes ...auth.Grant) {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, filepath.Join(data, "mailseal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := func() time.Time { return testca.Now }
	err = db.Update(ctx, func(tx *store.Tx) error {
		err := tx.InsertAdministrator(store.Administrator{ID: "admin", Email: "admin@example.jp", EmailKey: "admin@example.jp", Name: "Admin", Password: "-", Created: now()})
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return errors.Join(err, auth.GiveRole(ctx, tx, auth.Console(), "admin", auth.Grant{Role: auth.Operator}, now()))
	})
	if err != nil {
		t.Fatal(err)
	}
	admin := auth.Actor{Kind: auth.KindAccount, ID: "admin", Strong: true, Fresh: true, Grants: scopes}
	_, secret, err := auth.New(auth.Options{Store: db, Clock: now}).NewToken(ctx, admin, "test", scopes, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "token"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
