package signer

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/signature"
)

// Scheme begins the URI of a key in such a process: signer:SOCKET#NAME.
const Scheme = "signer:"

// SplitURI returns the socket and the name of the key.
func SplitURI(uri string) (socket, name string, err error) {
	rest, ok := strings.CutPrefix(uri, Scheme)
	socket, name, cut := strings.Cut(rest, "#")
	if !ok || !cut || socket == "" || name == "" || len(name) > MaxName {
		return "", "", fmt.Errorf("signer: %q is not %sSOCKET#NAME", uri, Scheme)
	}
	return socket, name, nil
}

// remote is a key in the process. It is a crypto.Signer and a
// crypto.MessageSigner, and signs nothing but messages. It is safe for concurrent
// use.
type remote struct {
	socket string
	name   string
	public crypto.PublicKey
	scheme signature.Scheme

	mutex sync.Mutex
	conn  net.Conn // nil: to be dialled
}

// Open asks the process at a socket for the public key of a name, and returns the
// key. It reconnects when the process was started anew.
func Open(socket, name string) (crypto.Signer, error) {
	k := &remote{socket: socket, name: name}
	a, err := k.ask(question{Op: opPublic, Key: name}, nil)
	if err != nil {
		return nil, err
	}
	if k.public, err = cert.ParsePublicKey(a.Public); err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrProtocol, err)
	}
	if k.scheme, err = signature.For(k.public, nil); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *remote) Public() crypto.PublicKey { return k.public }

// Sign takes a whole message where opts name no digest. A digest cannot be read by
// the process: then the error is signature.ErrWholeMessage, and SignMessage works.
func (k *remote) Sign(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != 0 {
		return nil, fmt.Errorf("signer: %w", signature.ErrWholeMessage)
	}
	return k.SignMessage(random, message, opts)
}

// SignMessage has the process sign the message with the one scheme of the key.
func (k *remote) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss || opts.HashFunc() != k.scheme.Hash() {
		return nil, fmt.Errorf("signer: %w: the key signs with %s alone", signature.ErrUnsupported, k.scheme)
	}
	if len(message) > MaxMessage {
		return nil, fmt.Errorf("signer: a message of %d octets; at most %d", len(message), MaxMessage)
	}
	a, err := k.ask(question{Op: opSign, Key: k.name, Size: len(message)}, message)
	if err != nil {
		return nil, err
	}
	if err := k.scheme.Verify(k.public, message, a.Signature); err != nil {
		return nil, fmt.Errorf("%w: wrong signature", ErrProtocol)
	}
	return a.Signature, nil
}

const (
	dialTimeout = 5 * time.Second
	askTimeout  = 2 * time.Minute // a token may be slow
)

// ask puts a question. Where the connection was there before, and ended, the
// process may have been started anew: it is asked once more. To sign the same
// twice does no harm.
func (k *remote) ask(q question, message []byte) (*answer, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	old := k.conn != nil
	a, err := k.try(q, message)
	if err != nil && old {
		a, err = k.try(q, message)
	}
	if err != nil {
		return nil, fmt.Errorf("signer at %s: %w", k.socket, err)
	}
	if a.Code != "" {
		class, known := codes[a.Code]
		if !known {
			class = ErrProtocol
		}
		text := strings.TrimPrefix(a.Text, class.Error())
		return nil, fmt.Errorf("%w%.*s", class, maxText, text)
	}
	return a, nil
}

func (k *remote) try(q question, message []byte) (*answer, error) {
	if k.conn == nil {
		c, err := net.DialTimeout("unix", k.socket, dialTimeout)
		if err != nil {
			return nil, err
		}
		k.conn = c
	}
	a := &answer{}
	err := k.conn.SetDeadline(time.Now().Add(askTimeout))
	if err == nil {
		err = writeFrame(k.conn, q)
	}
	if err == nil {
		_, err = k.conn.Write(message)
	}
	if err == nil {
		err = readFrame(k.conn, a)
	}
	if err != nil {
		err = errors.Join(err, k.conn.Close())
		k.conn = nil
		return nil, err
	}
	return a, nil
}
