package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// input is a message that can be read at any offset: a file, or standard input
// taken in first.
type input struct {
	io.ReaderAt
	size  int64
	name  string // for messages: the path, or "standard input"
	path  string // "" for standard input
	close func() error
}

func (in *input) Close() error { return in.close() }

// openInput opens path, or takes in standard input when path is "" or "-".
func (p *program) openInput(ctx context.Context, path string) (*input, error) {
	if path == "" || path == "-" {
		if p.isTerminal(p.stdin) {
			p.say("mailseal: reading the message from the terminal; end it with Ctrl-D")
		}
		return spoolInput(ctx, p.stdin, "standard input", "")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		_ = f.Close()
		return nil, err
	case info.IsDir():
		_ = f.Close()
		return nil, fmt.Errorf("%s is a folder, not a message", path)
	case !info.Mode().IsRegular():
		defer f.Close()
		return spoolInput(ctx, f, path, path)
	}
	return p.showProgress(&input{ReaderAt: interruptibleReaderAt{ctx, f}, size: info.Size(), name: path, path: path, close: f.Close}), nil
}

// notEmpty is for a message that goes out: nobody means to send nothing, and a program
// in front of the pipe that has failed leaves just that.
func (in *input) notEmpty() error {
	if in.size > 0 {
		return nil
	}
	return broken(errors.New("there is no message"), "did the program that should have written it fail?")
}

func spoolInput(ctx context.Context, r io.Reader, name, path string) (*input, error) {
	s, err := spoolAll(interruptibleReader{ctx, r})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &input{ReaderAt: s, size: s.Size(), name: name, path: path, close: s.Close}, nil
}

// interruptibleReader and interruptibleReaderAt let Ctrl-C end a long job between two
// reads, in the ordinary way, so that temporary files are removed.
type interruptibleReader struct {
	ctx context.Context
	src io.Reader
}

func (i interruptibleReader) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.src.Read(p)
}

type interruptibleReaderAt struct {
	ctx context.Context
	src io.ReaderAt
}

func (i interruptibleReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.src.ReadAt(p, off)
}

// readSmall reads a key, certificate, CRL or passphrase file whole. The limit keeps
// a wrong argument (a disk image, /dev/zero) from filling the memory.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSmallFile {
		return nil, fmt.Errorf("%s is larger than %d MiB; that is no key, certificate or CRL", path, maxSmallFile>>20)
	}
	return data, nil
}

// maxSmallFile holds the largest CRLs that public authorities publish.
const maxSmallFile = 64 << 20

// isTerminal says whether a person is at the other end of a stream.
func (p *program) isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
