package server

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mailseal/mailseal/internal/store/storetest"
)

// TestDiskFull fills the disk that the data folder is on: orders are refused with
// a word when to come back, readiness says why, and when there is room again
// everything that was promised is still there.
func TestDiskFull(t *testing.T) {
	i := install(t, "")
	if storetest.Postgres() {
		return // its disk is another machine's
	}
	data := filepath.Join(i.dir, "data")
	small := smallDisk(t, data)
	i.run(func() {
		i.becomeReadyBut("disk") // 64 MiB are not there from the beginning
		status, _, before := i.order("alice@example.net")
		if status != http.StatusCreated {
			t.Fatalf("order: %d", status)
		}
		filler := fill(t, small)
		i.unavailable("disk full")
		if now := i.orderNow(before["id"], before["token"]); now["state"] != "applied" || now["mail"] != "sent" {
			t.Errorf("what was promised: %v", now)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		i.waitForOrder("carol@example.net")
		if now := i.orderNow(before["id"], before["token"]); now["state"] != "applied" {
			t.Errorf("afterwards: %v", now)
		}
	})
}

// smallDisk moves a folder to a file system of its own that is soon full.
func smallDisk(t *testing.T, dir string) string {
	t.Helper()
	mount := t.TempDir()
	err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=6m,mode=0700")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("only root mounts a small disk")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	if err := os.CopyFS(filepath.Join(mount, "data"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(mount, "data"), dir); err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(mount, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			err = os.Chmod(path, 0o600) // CopyFS asks for more
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mount
}

func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.WriteString(strings.Repeat("x", size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return path
}
