package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// postgres is a server of our own with Debian's settings: every commit is on the
// disk before it is acknowledged.
type postgres struct {
	cmd  *exec.Cmd
	bin  string
	port string
}

// startPostgres makes a cluster below dir. It must not run as root, so it runs as
// the user that Debian's package made.
func startPostgres(ctx context.Context, bin, dir string) (*postgres, error) {
	at, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p := &postgres{bin: bin, port: at[strings.LastIndexByte(at, ':')+1:]}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if out, err := exec.CommandContext(ctx, "chown", "postgres", dir).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("chown: %w: %s", err, out)
		}
	}
	data := filepath.Join(dir, "data")
	if out, err := p.command(ctx, "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--no-locale", "-U", "postgres").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	p.cmd = p.command(ctx, "postgres", "-D", data, "-p", p.port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		if p.command(ctx, "psql", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", "-c", "SELECT 1").Run() == nil {
			return p, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, fmt.Errorf("PostgreSQL does not answer")
}

func (p *postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := filepath.Join(p.bin, name)
	if os.Getuid() == 0 {
		return exec.CommandContext(ctx, "setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", path}, args...)...)
	}
	return exec.CommandContext(ctx, path, args...)
}

// create makes a database and returns its URL.
func (p *postgres) create(ctx context.Context, name string) (string, error) {
	name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
	if out, err := p.command(ctx, "createdb", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("createdb: %w: %s", err, out)
	}
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%s/%s", p.port, name), nil
}

func (p *postgres) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return p.cmd.Wait()
}
