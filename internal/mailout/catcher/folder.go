package catcher

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// An id sorts by time of arrival; its random tail keeps two mails of the same
// microsecond apart.
const (
	idTime      = "20060102T150405.000000"
	idTailBytes = 4
	suffix      = ".eml"
	temporary   = ".partial-"
)

var idPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{8}T[0-9]{6}\.[0-9]{6}-[0-9a-f]{8}$`) })

// ErrNotFound says that no mail has the asked id.
var ErrNotFound = errors.New("catcher: no such mail")

func (c *Catcher) keep(fields func(id string, at time.Time) []byte, message []byte) (id string, err error) {
	var tail [idTailBytes]byte
	if _, err := io.ReadFull(c.options.Random, tail[:]); err != nil {
		return "", fmt.Errorf("make mail id: %w", err)
	}
	at := c.options.Now()
	id = at.UTC().Format(idTime) + "-" + hex.EncodeToString(tail[:])
	return id, writeFile(c.options.Dir, id+suffix, fields(id, at), message)
}

// writeFile makes dir/name hold the parts, whole or not at all: temporary
// file, sync, rename, sync of the folder.
func writeFile(dir, name string, parts ...[]byte) (err error) {
	f, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	for _, part := range parts {
		if _, err = f.Write(part); err != nil {
			return err
		}
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeTemporary(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, temporary+"*"))
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// List reads the newest mails first, at most limit of them. A file that cannot
// be understood is listed with its raw bytes alone.
func (c *Catcher) List(limit int) ([]Mail, error) {
	entries, err := os.ReadDir(c.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("list caught mails: %w", err)
	}
	mails := []Mail{}
	for _, entry := range slices.Backward(entries) {
		id, isMail := strings.CutSuffix(entry.Name(), suffix)
		if !isMail || !idPattern().MatchString(id) {
			continue
		}
		if len(mails) == limit {
			break
		}
		m, err := c.Get(id)
		if errors.Is(err, ErrNotFound) {
			continue // removed by hand since ReadDir
		}
		if err != nil {
			return nil, err
		}
		mails = append(mails, m)
	}
	return mails, nil
}

// Get reads one mail. The error is ErrNotFound when there is none with id.
func (c *Catcher) Get(id string) (Mail, error) {
	if !idPattern().MatchString(id) { // id comes from a URL: it must stay inside the folder
		return Mail{}, ErrNotFound
	}
	raw, err := os.ReadFile(filepath.Join(c.options.Dir, id+suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return Mail{}, ErrNotFound
	}
	if err != nil {
		return Mail{}, fmt.Errorf("read caught mail: %w", err)
	}
	m := parse(raw)
	m.ID = id
	return m, nil
}
