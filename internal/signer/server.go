package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/signature"
)

// Key is a key that the process keeps.
type Key struct {
	Name        string
	Signer      crypto.Signer
	Certificate *cert.Certificate // what the key may sign follows from it; nil: it has none yet

	// Learned keeps the certificate of a key that had none, when a key of this
	// process signed it. nil: it is known until the process ends.
	Learned func(*cert.Certificate) error
}

// Options say whom the process serves, and how much.
type Options struct {
	Keys  []Key
	Allow func(uid int) bool // who may ask, by the kernel's word
	Rate  int                // signatures per second of each key, twice that many at once
	Clock func() time.Time
	Log   *slog.Logger // one line for each signature and each refusal
}

const (
	maxConnections = 64
	messageTimeout = time.Minute // to send what is to be signed, and to take the answer
	acceptPause    = 100 * time.Millisecond
)

// key is a Key in use.
type key struct {
	Key
	scheme signature.Scheme
	public []byte // SubjectPublicKeyInfo
	own    atomic.Pointer[cert.Certificate]
	limit  bucket
}

func (k *key) certificate() *cert.Certificate { return k.own.Load() }

func newKey(k Key, o *Options) (*key, error) {
	if k.Name == "" || len(k.Name) > MaxName {
		return nil, fmt.Errorf("signer: a key's name has 1 to %d octets, %q does not", MaxName, k.Name)
	}
	scheme, err := signature.For(k.Signer.Public(), nil)
	if err != nil {
		return nil, fmt.Errorf("signer: key %s: %w", k.Name, err)
	}
	public, err := cert.MarshalPublicKey(k.Signer.Public())
	if err != nil {
		return nil, fmt.Errorf("signer: key %s: %w", k.Name, err)
	}
	if k.Certificate != nil && !bytes.Equal(k.Certificate.RawSPKI, public) {
		return nil, fmt.Errorf("signer: key %s: the certificate %s is for another key", k.Name, k.Certificate.Subject)
	}
	out := &key{Key: k, scheme: scheme, public: public, limit: bucket{rate: float64(o.Rate)}}
	out.own.Store(k.Certificate)
	return out, nil
}

// server is a running Serve.
type server struct {
	Options
	keys map[string]*key
}

// Serve answers at l until ctx ends.
func Serve(ctx context.Context, l *net.UnixListener, o Options) error {
	s := &server{Options: o, keys: map[string]*key{}}
	for _, k := range o.Keys {
		ready, err := newKey(k, &o)
		if err != nil {
			return err
		}
		if s.keys[k.Name] != nil {
			return fmt.Errorf("signer: two keys are called %s", k.Name)
		}
		s.keys[k.Name] = ready
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	room := make(chan struct{}, maxConnections)
	for {
		c, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("signer: %w", err)
		}
		if err != nil {
			// Of the one who called, or of a machine that has no more descriptors for
			// now: neither is a reason to leave all others without signatures.
			o.Log.Error("connection not accepted", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			s.talk(ctx, c)
		})
	}
}

// talk is one connection.
func (s *server) talk(ctx context.Context, c *net.UnixConn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	uid, err := peer(c)
	if err == nil && !s.Allow(uid) {
		err = fmt.Errorf("user %d is not served", uid)
	}
	if err != nil {
		s.Log.Warn("connection refused", "error", err)
		return
	}
	for {
		q, message, err := s.hear(c)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return
		}
		var a *answer
		if err == nil {
			a, err = s.answer(q, message, uid)
		}
		if err != nil {
			text := err.Error()
			a = &answer{Code: codeOf(err), Text: text[:min(len(text), maxText)]}
		}
		if writeFrame(c, a) != nil || errors.Is(err, ErrProtocol) {
			return
		}
	}
}

// hear waits as long as it takes for a question, but not for the rest of one.
func (s *server) hear(c *net.UnixConn) (question, []byte, error) {
	var first [1]byte
	if err := c.SetDeadline(time.Time{}); err != nil {
		return question{}, nil, err
	}
	if _, err := io.ReadFull(c, first[:]); err != nil {
		return question{}, nil, io.EOF
	}
	if err := c.SetDeadline(time.Now().Add(messageTimeout)); err != nil {
		return question{}, nil, err
	}
	return readQuestion(io.MultiReader(bytes.NewReader(first[:]), c))
}

func (s *server) answer(q question, message []byte, uid int) (*answer, error) {
	k := s.keys[q.Key]
	switch {
	case k == nil:
		return nil, fmt.Errorf("%w: %q", ErrUnknown, q.Key)
	case q.Op == opPublic:
		return &answer{Public: k.public}, nil
	case q.Op != opSign:
		return nil, fmt.Errorf("%w: operation %q", ErrProtocol, q.Op)
	}
	sum := sha256.Sum256(message)
	log := s.Log.With("key", q.Key, "user", uid, "sha256", hex.EncodeToString(sum[:]))
	sig, what, err := s.sign(k, message)
	if err != nil {
		log.Warn("not signed", "error", err)
		return nil, err
	}
	log.Info("signed", "kind", what.kind, "detail", what.detail)
	return &answer{Signature: sig}, nil
}

// sign looks before it signs, and checks what it made: a faulty signature of RSA
// gives the key away.
func (s *server) sign(k *key, message []byte) ([]byte, signed, error) {
	if !k.limit.take(s.Clock()) {
		return nil, signed{}, ErrBusy
	}
	what, err := k.admit(message)
	if err != nil {
		return nil, what, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	sig, err := k.scheme.Sign(rand.Reader, k.Signer, message)
	if err == nil {
		err = k.scheme.Verify(k.Signer.Public(), message, sig)
	}
	if err == nil && what.certificate != nil {
		err = s.learn(k, what.certificate, sig)
	}
	if err != nil {
		return nil, what, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return sig, what, nil
}

// learn gives a key of this process that has no certificate the one that was just
// signed for it.
func (s *server) learn(by *key, unsigned *cert.Certificate, sig []byte) error {
	if !unsigned.BasicConstraints.CA {
		return nil
	}
	for _, k := range s.keys {
		if !bytes.Equal(k.public, unsigned.RawSPKI) || k.certificate() != nil {
			continue
		}
		c, err := by.complete(unsigned.RawTBS, sig)
		if err != nil {
			return err
		}
		if k.Learned != nil {
			if err := k.Learned(c); err != nil {
				return fmt.Errorf("keep the certificate of %s: %w", k.Name, err)
			}
		}
		k.own.Store(c)
		s.Log.Info("certificate learned", "key", k.Name, "sha256", c.SHA256())
	}
	return nil
}

func (k *key) complete(tbs, sig []byte) (*cert.Certificate, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		k.scheme.Algorithm.Add(b)
		b.AddASN1BitString(sig)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return cert.Parse(der)
}

// bucket lets rate through each second, and twice that many at once.
type bucket struct {
	rate  float64
	mutex sync.Mutex
	left  float64
	last  time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.last.IsZero() {
		b.left = 2 * b.rate
	} else if passed := now.Sub(b.last).Seconds(); passed > 0 {
		b.left = min(2*b.rate, b.left+passed*b.rate)
	}
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
