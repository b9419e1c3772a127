//go:build unix

package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFiles bounds the look into the data folder.
const maxFiles = 10000

// files looks at modes and owners below the data folder: what is there is for the
// server's user alone.
func (e *examination) files() {
	dir := e.File.Settings.Data
	root, err := os.Stat(dir)
	if err != nil {
		e.add("files", Trouble, err.Error(), "mailseal ca init makes the data folder")
		return
	}
	owner, wrong, seen := ownerOf(root), 0, 0
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > maxFiles {
			return filepath.SkipAll
		}
		info, err := entry.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		switch mode := info.Mode().Perm(); {
		case mode&0o022 != 0:
			wrong++
			e.add("files", Trouble, fmt.Sprintf("%s has mode %04o: others can replace it", path, mode), "chmod go-rwx "+path)
		case mode&0o044 != 0:
			wrong++
			e.add("files", Odd, fmt.Sprintf("%s has mode %04o: others can read it", path, mode), "chmod go-rwx "+path)
		case ownerOf(info) != owner:
			wrong++
			e.add("files", Trouble, fmt.Sprintf("%s belongs to user %d, the folder to user %d", path, ownerOf(info), owner), fmt.Sprintf("chown %d %s", owner, path))
		}
		if wrong >= maxWrong {
			return filepath.SkipAll
		}
		return nil
	})
	switch {
	case err != nil:
		e.add("files", Trouble, err.Error(), "run it as root, or as the server's user")
	case wrong == 0:
		e.well("files", "modes and owners are right")
	}
}

// maxWrong files are named; whoever mends these asks again.
const maxWrong = 10

func ownerOf(info fs.FileInfo) uint32 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid
	}
	return 0
}
