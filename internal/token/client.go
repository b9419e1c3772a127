package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
)

// Program is the name of the other process's program.
const Program = "mailseal-pkcs11"

// ErrProgram means that the program is not there.
var ErrProgram = errors.New(Program + " is not installed")

// FindProgram looks for the program beside the running one, then on the path.
func FindProgram() (string, error) {
	if self, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(self); err == nil {
			self = resolved
		}
		path := filepath.Join(filepath.Dir(self), Program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrProgram, err)
	}
	return path, nil
}

// Client is the end of the talk in mailseal. It is safe for concurrent use.
type Client struct {
	mutex sync.Mutex
	in    io.WriteCloser // the program's standard input
	out   io.Reader
	wait  func() error
	fault error // what ended the talk

	closed bool
}

var errClosed = fmt.Errorf("%w: it is closed", ErrToken)

// Start starts the program at path. What the module prints goes to stderr. The
// program ends with ctx or with [Client.Close].
func Start(ctx context.Context, path string, environ []string, stderr io.Writer) (*Client, error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Stderr = environ, stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &Client{in: in, out: out, wait: cmd.Wait}, nil
}

// Close ends the program, which logs out of the token.
func (c *Client) Close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return nil
	}
	c.closed, c.fault = true, errClosed
	return errors.Join(c.in.Close(), c.wait())
}

func (c *Client) ask(q *question) (*answer, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.fault != nil {
		return nil, c.fault
	}
	a := &answer{}
	err := writeFrame(c.in, q)
	if err == nil {
		err = readFrame(c.out, a)
	}
	if err != nil { // where one message ends and the next begins is not known any more
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
			err = fmt.Errorf("%s ended: %w", Program, ErrToken)
		}
		c.fault = err
		return nil, err
	}
	if a.Code != "" {
		return nil, answerError(a)
	}
	return a, nil
}

// answerError makes an error again from what was made of it.
func answerError(a *answer) error {
	class, known := codes[a.Code]
	if !known {
		class = ErrProtocol
	}
	text := printable(cut(a.Text))
	if text == class.Error() || text == "" {
		return class
	}
	return &tokenError{class, text}
}

// tokenError is an error whose text, made in the other process, names its class.
type tokenError struct {
	class error
	text  string
}

func (e *tokenError) Error() string { return e.text }
func (e *tokenError) Unwrap() error { return e.class }

// printable replaces what could fool a terminal: a token's labels are its own.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Open opens the token that u names through a module, and returns its identities.
// pin is nil where none is at hand. notice is something that the person should
// know, or empty.
func (c *Client) Open(module string, u *URI, pin []byte) (ids []*identity.Identity, notice string, err error) {
	a, err := c.ask(&question{Op: opOpen, URI: u, Module: module, PIN: pin})
	if err != nil {
		return nil, "", err
	}
	if a.Content == nil {
		return nil, "", fmt.Errorf("%w: nothing about the token", ErrProtocol)
	}
	if err := a.Content.check(); err != nil {
		return nil, "", err
	}
	var certs []*cert.Certificate
	for _, der := range a.Content.Certificates {
		if parsed, err := cert.Parse(der); err == nil { // a token may hold what is not for mail
			certs = append(certs, parsed)
		}
	}
	for i := range a.Content.Keys {
		ids = append(ids, c.identities(i, &a.Content.Keys[i], certs)...)
	}
	if len(ids) == 0 {
		return nil, "", fmt.Errorf("%w: no key that could be used here", ErrNotFound)
	}
	return ids, printable(a.Content.Notice), nil
}

// identities joins a key with each of its certificates, as those of files are.
func (c *Client) identities(number int, k *Key, certs []*cert.Certificate) []*identity.Identity {
	public, err := cert.ParsePublicKey(k.Public)
	if err != nil {
		return nil
	}
	var key crypto.PrivateKey
	switch pub := public.(type) {
	case *rsa.PublicKey:
		key = &rsaKey{remote{c, number}, pub}
	case *ecdsa.PublicKey:
		key = &ecKey{remote{c, number}, pub}
	default:
		return nil
	}
	return identity.JoinAll(key, printable(k.Label), certs)
}
