//go:build unix

package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// Server is a PostgreSQL server that one test has for itself, to stop it.
type Server struct {
	t      testing.TB
	bin    string
	c      *cluster
	Source string // of its only database
}

// Own starts a server for a test that runs on PostgreSQL. Its data are synced as
// anywhere else.
func Own(t testing.TB) *Server {
	t.Helper()
	bin, err := findPostgres()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "mailseal-own-") // see startCluster
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: bin, c: &cluster{dir: dir}}
	t.Cleanup(func() {
		_ = s.control("stop", "-m", "immediate") // it may be stopped
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	who, err := owner()
	if err == nil && who != nil {
		err = os.Chown(dir, int(who.Uid), int(who.Gid))
	}
	data := filepath.Join(dir, "data")
	if err == nil {
		err = run(bin+"/initdb", "-D", data, "-U", "mailseal", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync")
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "postgresql.auto.conf"), []byte("listen_addresses = ''\nshared_buffers = 16MB\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	s.Source = s.c.url("postgres")
	db, err := store.Open(context.Background(), s.Source)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) control(args ...string) error {
	return run(s.bin+"/pg_ctl", append([]string{"-D", filepath.Join(s.c.dir, "data"), "-s", "-w"}, args...)...)
}

// Start starts it and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.c.start(s.bin, filepath.Join(s.c.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// Crash stops it as a loss of power of its machine would: nothing is written any
// more, and the next start repairs what there is.
func (s *Server) Crash() {
	s.t.Helper()
	if err := s.control("stop", "-m", "immediate"); err != nil {
		s.t.Fatal(errors.New("PostgreSQL does not stop"), err)
	}
}
