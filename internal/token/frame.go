package token

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits on what one process takes from the other.
const (
	// MaxFrame is the largest frame in bytes: it holds MaxKeys keys with their
	// certificates.
	MaxFrame = 1 << 20
	// MaxKeys is the largest number of keys that one token may show.
	MaxKeys = 64
	// MaxCertificates likewise.
	MaxCertificates = 128
	// MaxInput is the longest input of an operation: no key takes more.
	MaxInput = 4096
	// MaxText is the longest label or message.
	MaxText = 1024
)

// Operations.
const (
	opOpen    = "open"
	opSign    = "sign"
	opDecrypt = "decrypt"
	opDerive  = "derive"
)

// question is what mailseal asks.
type question struct {
	Op string `json:"op"`
	// of open
	URI    *URI   `json:"uri,omitempty"`
	Module string `json:"module,omitempty"`
	PIN    []byte `json:"pin,omitempty"` // null: none was given
	// of the others
	Key       int       `json:"key"`
	Mechanism Mechanism `json:"mechanism"`
	Input     []byte    `json:"input,omitempty"`
}

// answer is what mailseal-pkcs11 says.
type answer struct {
	Code    string   `json:"code,omitempty"` // of an error
	Text    string   `json:"text,omitempty"`
	Content *Content `json:"content,omitempty"`
	Output  []byte   `json:"output,omitempty"`
}

// Mechanism says how a key is to be used.
type Mechanism struct {
	// Name is "rsa-pkcs1", "rsa-pss" or "ecdsa" to sign a digest, "rsa-pkcs1",
	// "rsa-oaep" or "rsa-raw" to decrypt, "ecdh" to derive.
	Name string `json:"name"`
	Hash string `json:"hash,omitempty"` // "SHA-256"
	MGF  string `json:"mgf,omitempty"`  // the hash of MGF1
	Salt int    `json:"salt,omitempty"` // of PSS
	// Label is that of OAEP.
	Label []byte `json:"label,omitempty"`
}

// Content is what a token shows.
type Content struct {
	Keys         []Key    `json:"keys"`
	Certificates [][]byte `json:"certificates"`
	// Notice is for the person: "the PIN was wrong before; one try is left".
	Notice string `json:"notice,omitempty"`
}

// Key is one private key. Its place in the list names it from then on.
type Key struct {
	Label string `json:"label"`
	// Public is the SubjectPublicKeyInfo, empty when the token does not show it
	// and the certificate with the same ID tells.
	Public []byte `json:"public,omitempty"`
	ID     []byte `json:"id,omitempty"`
}

func writeFrame(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > MaxFrame {
		return fmt.Errorf("%w: frame of %d bytes", ErrProtocol, len(body))
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	frame = append(frame, body...)
	_, err = w.Write(frame)
	clear(frame)
	clear(body) // a PIN may be in it
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
		return fmt.Errorf("%w: frame of %d bytes, at most %d", ErrProtocol, n, MaxFrame)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	defer clear(body)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: data after the message", ErrProtocol)
	}
	return nil
}
