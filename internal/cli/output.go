package cli

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mailseal/mailseal/internal/ahead"
)

// output is where a command's result goes. Nothing of it exists before commit: a
// file is written under another name and renamed, standard output is held back in
// a spool. A caller that gives up calls discard (and may always defer it).
type output struct {
	p     *program
	path  string   // the final name; "" for standard output
	temp  *os.File // the file under its other name
	spool *spool   // what is held back, when there is no temp
	buf   *ahead.Writer
}

// secret and public are the modes of new files.
const (
	modeSecret os.FileMode = 0o600 // what was decrypted, keys
	modePublic os.FileMode = 0o666 // what goes out anyway; less what the umask takes
)

// createOutput prepares path, or standard output when path is "" or "-". It refuses
// to write over the input: a command that fails half way must leave it as it was,
// and one that succeeds twice must not sign its own output.
func (p *program) createOutput(path string, mode os.FileMode, in *input) (*output, error) {
	if path == "" || path == "-" {
		s := newSpool()
		return &output{p: p, spool: s, buf: ahead.NewWriter(s)}, nil
	}
	// A link is followed, so that what it points to is replaced and not the link.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil {
		if in != nil && in.path != "" {
			if of, err := os.Stat(in.path); err == nil && os.SameFile(info, of) {
				return nil, usage(fmt.Errorf("%s is both input and output", path), "choose another name for -o")
			}
		}
		if info.IsDir() {
			return nil, usage(fmt.Errorf("%s is a folder", path), "-o takes the name of a file")
		}
		if !info.Mode().IsRegular() { // a device or pipe must not be renamed over
			s := newSpool()
			return &output{p: p, path: path, spool: s, buf: ahead.NewWriter(s)}, nil
		}
	}
	temp, err := createTemp(path, mode)
	if err != nil {
		var where *fs.PathError
		if errors.As(err, &where) {
			where.Path = path // the name that the person gave, not ours beside it
		}
		return nil, broken(err, "is the folder there, and may you write to it?")
	}
	return &output{p: p, path: path, temp: temp, buf: ahead.NewWriter(temp)}, nil
}

// createTemp makes a new file beside path, on the same disk, so that the rename is
// one step. os.CreateTemp has no say in the mode.
func createTemp(path string, mode os.FileMode) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()+".tmp")
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
}

func (o *output) Write(b []byte) (int, error) { return o.buf.Write(b) }

// commit makes the result exist.
func (o *output) commit() error {
	if err := o.buf.Close(); err != nil {
		return err
	}
	if o.temp != nil {
		return o.rename()
	}
	defer func() { _ = o.spool.Close() }()
	if o.path != "" {
		f, err := os.OpenFile(o.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, o.spool.reader())
		return errors.Join(err, f.Close())
	}
	if o.p.isTerminal(o.p.stdout) && !printable(o.spool.reader()) {
		return usage(errors.New("the output is not plain text and standard output is a terminal"),
			"write it to a file with -o FILE")
	}
	_, err := io.Copy(o.p.stdout, o.spool.reader())
	return err
}

func (o *output) rename() error {
	name := o.temp.Name()
	err := o.temp.Sync()
	err = errors.Join(err, o.temp.Close())
	if err == nil {
		err = os.Rename(name, o.path)
	}
	if err != nil {
		_ = os.Remove(name)
	}
	o.temp = nil
	return err
}

// discard removes what was written so far; after commit it does nothing.
func (o *output) discard() {
	_ = o.buf.Close()
	if o.temp != nil {
		_ = o.temp.Close()
		_ = os.Remove(o.temp.Name())
		o.temp = nil
	}
	if o.spool != nil {
		_ = o.spool.Close()
	}
}

// printable says whether bytes can be shown on a terminal: control characters in a
// mail could repaint the screen that the verdict is on.
func printable(r io.Reader) bool {
	in := bufio.NewReader(r)
	for {
		c, size, err := in.ReadRune()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		switch {
		case c == '\n' || c == '\r' || c == '\t':
		case c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0: // C0, DEL, C1
			return false
		case c == 0xFFFD && size == 1: // not UTF-8
			return false
		}
	}
}
