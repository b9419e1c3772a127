package audit

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Checkpoint says which entry was the newest at a time: a signed statement that
// whoever keeps it elsewhere can hold the log against.
type Checkpoint struct {
	Log     string // hash of the log's first entry, in hexadecimal
	Entries int64  // how many there were: seq of the newest
	Head    string // hash of the newest, in hexadecimal
	At      time.Time
	Key     string // which key signed it, see [KeyName]

	signature []byte
}

// Limits of a file of checkpoints.
const (
	maxNote        = 1 << 10   // octets of one
	maxCheckpoints = 4_000_000 // one for each minute of seven years
)

const checkpointTitle = "mailseal audit checkpoint 1"

// signed is what the signature is over: every line before it, as it is.
func (c *Checkpoint) signed() []byte {
	return fmt.Appendf(nil, "%s\nlog %s\nentries %d\nhead %s\ntime %s\nkey %s\n",
		checkpointTitle, c.Log, c.Entries, c.Head, c.At.UTC().Format(time.RFC3339), c.Key)
}

// String writes the note: seven lines, the last of them the signature.
func (c *Checkpoint) String() string {
	return string(c.signed()) + "signature " + base64.StdEncoding.EncodeToString(c.signature) + "\n"
}

func (c *Checkpoint) sign(key crypto.Signer) (err error) {
	c.signature, err = key.Sign(nil, c.signed(), crypto.Hash(0))
	return err
}

// SignedBy tells whether the key signed it.
func (c *Checkpoint) SignedBy(key ed25519.PublicKey) bool {
	return ed25519.Verify(key, c.signed(), c.signature)
}

// ErrCheckpoint: what was read is not a checkpoint.
var ErrCheckpoint = errors.New("audit: not a checkpoint")

// ParseCheckpoint reads one note, which has exactly the form that
// [Checkpoint.String] writes.
func ParseCheckpoint(note string) (*Checkpoint, error) {
	if len(note) > maxNote {
		return nil, fmt.Errorf("%w: more than %d octets", ErrCheckpoint, maxNote)
	}
	values, found := strings.CutPrefix(note, checkpointTitle+"\n")
	if !found {
		return nil, fmt.Errorf("%w: the first line is not %q", ErrCheckpoint, checkpointTitle)
	}
	c := &Checkpoint{}
	for _, line := range []struct {
		name string
		read func(string) error
	}{
		{"log", text(&c.Log)},
		{"entries", func(s string) (err error) { c.Entries, err = strconv.ParseInt(s, 10, 64); return err }},
		{"head", text(&c.Head)},
		{"time", func(s string) (err error) { c.At, err = time.Parse(time.RFC3339, s); return err }},
		{"key", text(&c.Key)},
		{"signature", func(s string) (err error) { c.signature, err = base64.StdEncoding.DecodeString(s); return err }},
	} {
		var value string
		value, values, _ = strings.Cut(values, "\n")
		value, named := strings.CutPrefix(value, line.name+" ")
		if !named {
			return nil, fmt.Errorf("%w: no line %q where it belongs", ErrCheckpoint, line.name)
		}
		if err := line.read(value); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCheckpoint, line.name, err)
		}
	}
	if c.String() != note {
		return nil, fmt.Errorf("%w: written in another form than ours", ErrCheckpoint)
	}
	return c, nil
}

func text(v *string) func(string) error { return func(s string) error { *v = s; return nil } }

// ReadCheckpoints reads notes that follow each other, with empty lines between
// them or not, as [AppendTo] leaves them.
func ReadCheckpoints(r io.Reader) ([]*Checkpoint, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxNote)
	var list []*Checkpoint
	var note strings.Builder
	for lines.Scan() {
		if note.Len() == 0 && len(lines.Bytes()) == 0 {
			continue
		}
		note.Write(lines.Bytes())
		note.WriteByte('\n')
		if note.Len() <= maxNote && !bytes.HasPrefix(lines.Bytes(), []byte("signature ")) {
			continue
		}
		c, err := ParseCheckpoint(note.String())
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", len(list)+1, err)
		}
		if list = append(list, c); len(list) > maxCheckpoints {
			return nil, fmt.Errorf("%w: more than %d in one file", ErrCheckpoint, maxCheckpoints)
		}
		note.Reset()
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if note.Len() > 0 || len(list) == 0 {
		return nil, fmt.Errorf("%w: the file ends in the middle of one, or has none", ErrCheckpoint)
	}
	return list, nil
}

// KeyName is what a checkpoint calls its key: the first 16 octets of the
// SHA-256 of its 32, in hexadecimal.
func KeyName(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:16])
}

const publicKeyType = "PUBLIC KEY"

// MarshalKey writes a public key as RFC 8410 and RFC 7468 §13 say.
func MarshalKey(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicKeyType, Bytes: der}), nil
}

// ParseKey reads what [MarshalKey] wrote.
func ParseKey(data []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != publicKeyType {
		return nil, fmt.Errorf("audit: no PEM block %q", publicKeyType)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("audit: public key: %w", err)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("audit: a checkpoint is signed with Ed25519, and this is a %T", key)
	}
	return public, nil
}
