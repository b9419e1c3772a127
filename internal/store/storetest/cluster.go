//go:build unix

package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// cluster is a PostgreSQL server that the test processes of a machine share: the
// first one starts it, the last one stops it, and its folder stays for the next
// time, because initdb costs more than most tests. Who uses it holds a shared
// lock, so that a process that is killed is out of it too.
//
// It does not sync (fsync=off): a test kills processes, never the machine, and
// what a process wrote survives that in the kernel's memory.
type cluster struct {
	dir      string
	users    *os.File // locked shared by everyone who uses the server
	admin    *sql.DB
	template string
}

var errNoPostgres = errors.New("PostgreSQL is not installed: scripts/test-deps installs it")

// settings of the throw-away server. It listens on a socket in its folder alone.
const settings = `
listen_addresses = ''
fsync = off
full_page_writes = off
max_connections = 300
shared_buffers = 64MB
autovacuum = off
max_wal_senders = 0
wal_level = minimal
log_min_messages = fatal
`

// startCluster joins the server that is running, or starts it.
func startCluster() (*cluster, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	// Not os.TempDir: the path of a socket has at most 107 characters.
	dir := fmt.Sprintf("/tmp/mailseal-postgres-%d", os.Getuid())
	c := &cluster{dir: dir}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	door, err := lock(dir+"/door", syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer door.Close()
	if c.users, err = lock(dir+"/users", syscall.LOCK_SH); err != nil {
		return nil, err
	}
	if err := c.serve(bin); err != nil {
		return nil, errors.Join(err, c.users.Close())
	}
	if err := c.makeTemplate(); err != nil {
		return nil, errors.Join(err, c.leaveLocked(), c.users.Close())
	}
	return c, nil
}

// findPostgres looks where Debian installs the servers, the newest first, and
// then on the path.
func findPostgres() (string, error) {
	if dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(dirs) > 0 {
		return filepath.Dir(dirs[len(dirs)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNoPostgres
	}
	return filepath.Dir(path), nil
}

// owner is who runs the server: initdb refuses root, whose place Debian's user
// postgres takes.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (c *cluster) makeDir() error {
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(c.dir)
	if err != nil {
		return err
	}
	who, err := owner()
	if err != nil {
		return err
	}
	// A name in /tmp can be taken by anybody: only a folder of ours will do.
	at, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(at.Uid) != os.Getuid() && (who == nil || at.Uid != who.Uid) {
		return fmt.Errorf("%s belongs to somebody else", c.dir)
	}
	if who != nil {
		return os.Chown(c.dir, int(who.Uid), int(who.Gid))
	}
	return nil
}

func lock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// serve starts the server unless it answers, and makes its folder anew when it
// does not start: after a crash of the machine it is not worth a repair.
func (c *cluster) serve(bin string) error {
	var err error
	if c.admin, err = sql.Open("pgx", c.url("postgres")); err != nil {
		return err
	}
	if c.admin.Ping() == nil {
		return nil
	}
	data := filepath.Join(c.dir, "data")
	if err := c.start(bin, data); err == nil {
		return c.dropLeftovers()
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := run(bin+"/initdb", "-D", data, "-U", "mailseal", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "postgresql.auto.conf"), []byte(settings), 0o600); err != nil {
		return err
	}
	return c.start(bin, data)
}

func (c *cluster) start(bin, data string) error {
	return run(bin+"/pg_ctl", "-D", data, "-s", "-w", "-l", filepath.Join(c.dir, "log"), "-o", "-k "+c.dir, "start")
}

// run runs a program of the server's as the server's user.
func run(name string, args ...string) error {
	who, err := owner()
	if err != nil {
		return err
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	// Of its own session: Ctrl-C is meant for the tests.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true}
	var out bytes.Buffer
	if filepath.Base(name) == "initdb" { // a server keeps the pipe open
		cmd.Stdout, cmd.Stderr = &out, &out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, &out)
	}
	return nil
}

func (c *cluster) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("mailseal"), Path: "/" + database, RawQuery: url.Values{"host": {c.dir}}.Encode()}
	return u.String()
}

// dropLeftovers drops what killed tests left; nobody else uses the server yet.
func (c *cluster) dropLeftovers() error {
	rows, err := c.admin.Query(`SELECT datname FROM pg_database WHERE datname LIKE 'test_%' OR datname LIKE 'half_%'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := c.admin.Exec(`DROP DATABASE ` + name); err != nil {
			return err
		}
	}
	return nil
}

// makeTemplate makes a database with all tables, which tests get copies of. It
// gets its name when it is complete.
func (c *cluster) makeTemplate() error {
	hash, err := schema()
	if err != nil {
		return err
	}
	c.template = "template_" + hash
	var exists bool
	err = c.admin.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, c.template).Scan(&exists)
	if err != nil || exists {
		return err
	}
	half := "half_" + hash
	if _, err := c.admin.Exec(`DROP DATABASE IF EXISTS ` + half); err != nil {
		return err
	}
	if _, err := c.admin.Exec(`CREATE DATABASE ` + half + ` TEMPLATE template0`); err != nil {
		return err
	}
	db, err := store.Open(context.Background(), c.url(half))
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	_, err = c.admin.Exec(`ALTER DATABASE ` + half + ` RENAME TO ` + c.template)
	return err
}

// database makes a copy of a template.
func (c *cluster) database(template string) (source string, drop func() error, err error) {
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := c.admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + template); err != nil {
		return "", nil, err
	}
	return c.url(name), func() error {
		_, err := c.admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`)
		return err
	}, nil
}

// leave stops the server when nobody else uses it.
func (c *cluster) leave() {
	door, err := lock(c.dir+"/door", syscall.LOCK_EX)
	if err == nil {
		err = errors.Join(c.leaveLocked(), door.Close())
	}
	if err = errors.Join(err, c.users.Close()); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
	}
}

// leaveLocked is leave for who holds the door.
func (c *cluster) leaveLocked() error {
	if err := c.admin.Close(); err != nil {
		return err
	}
	if syscall.Flock(int(c.users.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // the others stop it
	}
	return c.stop()
}

// stop sends the signal that ends all sessions and leaves the files whole.
func (c *cluster) stop() error {
	// The server removes the file when it ends.
	file := filepath.Join(c.dir, "data", "postmaster.pid")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		return err
	}
	for range 500 {
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("PostgreSQL (process %d) does not stop", pid)
}
