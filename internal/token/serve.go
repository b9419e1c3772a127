package token

import (
	"errors"
	"fmt"
	"io"
)

// Module is a token that was opened, as package cryptoki does it.
type Module interface {
	// Sign signs a digest.
	Sign(key int, m *Mechanism, digest []byte) ([]byte, error)
	// Decrypt decrypts what RSA encrypted.
	Decrypt(key int, m *Mechanism, ciphertext []byte) ([]byte, error)
	// Derive is the shared secret with a point on the key's curve.
	Derive(key int, point []byte) ([]byte, error)
	Close() error
}

// Opener loads a module, finds the one token that the URI means, logs in where
// that is needed and says what is there.
type Opener func(module string, u *URI, pin []byte) (Module, *Content, error)

// Serve answers questions until r ends.
func Serve(r io.Reader, w io.Writer, open Opener) error {
	s := &session{open: open}
	defer s.close()
	for {
		var q question
		err := readFrame(r, &q)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a := s.answer(&q)
		clear(q.PIN)
		if err := writeFrame(w, a); err != nil {
			return err
		}
		clear(a.Output)
	}
}

// session is one token, once it is open.
type session struct {
	open   Opener
	module Module
	keys   int
}

func (s *session) close() {
	if s.module != nil {
		_ = s.module.Close() // the process ends with it
	}
}

func (s *session) answer(q *question) *answer {
	a, err := s.do(q)
	if err != nil {
		return &answer{Code: codeOf(err), Text: cut(err.Error())}
	}
	return a
}

func (s *session) do(q *question) (*answer, error) {
	if q.Op == opOpen {
		return s.doOpen(q)
	}
	switch {
	case s.module == nil:
		return nil, fmt.Errorf("%w: %s before open", ErrProtocol, q.Op)
	case q.Key < 0 || q.Key >= s.keys:
		return nil, fmt.Errorf("%w: key %d of %d", ErrProtocol, q.Key, s.keys)
	case len(q.Input) > MaxInput || len(q.Mechanism.Label) > MaxInput:
		return nil, fmt.Errorf("%w: input of %d bytes, at most %d", ErrProtocol, len(q.Input), MaxInput)
	}
	var out []byte
	var err error
	switch q.Op {
	case opSign:
		out, err = s.module.Sign(q.Key, &q.Mechanism, q.Input)
	case opDecrypt:
		out, err = s.module.Decrypt(q.Key, &q.Mechanism, q.Input)
	case opDerive:
		out, err = s.module.Derive(q.Key, q.Input)
	default:
		err = fmt.Errorf("%w: operation %q", ErrProtocol, q.Op)
	}
	return &answer{Output: out}, err
}

func (s *session) doOpen(q *question) (*answer, error) {
	if s.module != nil || q.URI == nil || q.Module == "" {
		return nil, fmt.Errorf("%w: open twice, or of nothing", ErrProtocol)
	}
	m, content, err := s.open(q.Module, q.URI, q.PIN)
	if err != nil {
		return nil, err
	}
	if err := content.check(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	s.module, s.keys = m, len(content.Keys)
	return &answer{Content: content}, nil
}

// check holds what a token shows to the limits.
func (c *Content) check() error {
	size := 0
	if len(c.Keys) > MaxKeys || len(c.Certificates) > MaxCertificates || len(c.Notice) > MaxText {
		return fmt.Errorf("%w: %d keys and %d certificates, at most %d and %d; name the one with object= or id=",
			ErrUnsupported, len(c.Keys), len(c.Certificates), MaxKeys, MaxCertificates)
	}
	for _, k := range c.Keys {
		size += len(k.Label) + len(k.ID) + len(k.Public)
	}
	for _, der := range c.Certificates {
		size += len(der)
	}
	if size > MaxFrame/2 { // base64 and JSON take a third more
		return fmt.Errorf("%w: the token shows %d bytes, at most %d; name the key with object= or id=", ErrUnsupported, size, MaxFrame/2)
	}
	return nil
}

func cut(text string) string {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	return text
}
