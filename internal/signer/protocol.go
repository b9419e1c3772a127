// Package signer keeps authorities' keys in a process of their own, which signs
// over a Unix socket for the one user that it serves.
//
// It does not sign digests. A question brings the whole of what is to be signed,
// and the process signs it only if it can read it, and it is something that this
// key signs: a certificate or a CRL that names the key's authority as its issuer,
// an OCSP response of this responder, the attributes of a timestamp. Whoever takes
// over the process that issues can have certificates issued, then, until somebody
// notices; the key stays where it is, each signature is in a log of its own, and
// their number is limited.
//
// # The talk
//
// docs/signer.md has it, for programs of others that keep keys elsewhere. One
// question and its answer in turn: four octets of length and that many of JSON;
// after a question to sign come the octets to be signed.
//
// Start with [Serve] and, at the other end, [Open]. What the keys are is the
// caller's business.
package signer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits on what one end takes from the other.
const (
	// MaxMessage is the longest thing that is signed: a CRL of a million entries
	// has 40 MiB.
	MaxMessage = 64 << 20
	// MaxFrame is the longest question or answer without what is to be signed. A
	// signature by SLH-DSA has 49,856 octets.
	MaxFrame = 128 << 10
	// MaxName is the longest name of a key.
	MaxName = 64
	maxText = 1024
)

// Operations.
const (
	opPublic = "public" // what is the public key
	opSign   = "sign"
)

// question is what the client asks.
type question struct {
	Op   string `json:"op"`
	Key  string `json:"key"`
	Size int    `json:"size,omitempty"` // of what is to be signed, which follows
}

// answer is what the process says.
type answer struct {
	Code      string `json:"code,omitempty"` // of an error
	Text      string `json:"text,omitempty"`
	Public    []byte `json:"public,omitempty"` // SubjectPublicKeyInfo
	Signature []byte `json:"signature,omitempty"`
}

// Answers that a caller can act on.
var (
	// ErrUnknown: the process has no key of that name.
	ErrUnknown = errors.New("signer: no key of that name")
	// ErrRefused: this is nothing that the key signs.
	ErrRefused = errors.New("signer: refused")
	// ErrBusy: too many signatures at a time; try again later.
	ErrBusy = errors.New("signer: more signatures than its limit allows")
	// ErrFailed: the key could not be used.
	ErrFailed = errors.New("signer: the key failed")
	// ErrProtocol: the other end said something senseless.
	ErrProtocol = errors.New("signer: the other end spoke nonsense")
)

var codes = map[string]error{
	"unknown": ErrUnknown, "refused": ErrRefused, "busy": ErrBusy, "failed": ErrFailed, "protocol": ErrProtocol,
}

func codeOf(err error) string {
	for code, e := range codes {
		if errors.Is(err, e) {
			return code
		}
	}
	return "failed"
}

func writeFrame(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > MaxFrame {
		return fmt.Errorf("%w: frame of %d octets", ErrProtocol, len(body))
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// readFrame reads one frame into v. The error is io.EOF between two frames.
func readFrame(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n == 0 || n > MaxFrame {
		return fmt.Errorf("%w: frame of %d octets, at most %d", ErrProtocol, n, MaxFrame)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("%w: cut off", ErrProtocol)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: octets after the frame", ErrProtocol)
	}
	return nil
}

// readQuestion reads a question and what is to be signed.
func readQuestion(r io.Reader) (q question, message []byte, err error) {
	if err := readFrame(r, &q); err != nil {
		return q, nil, err
	}
	if len(q.Key) > MaxName || q.Size < 0 || q.Size > MaxMessage {
		return q, nil, fmt.Errorf("%w: a name of at most %d octets and a message of at most %d", ErrProtocol, MaxName, MaxMessage)
	}
	// Not all at once: who says that much will come has to send it.
	var b bytes.Buffer
	if n, err := io.CopyN(&b, r, int64(q.Size)); err != nil {
		return q, nil, fmt.Errorf("%w: %d octets of %d", ErrProtocol, n, q.Size)
	}
	return q, b.Bytes(), nil
}
