package smime

import (
	"errors"
	"fmt"
)

var (
	// ErrNoKey: the message is encrypted and none of the keys given is one of its recipients'.
	ErrNoKey = errors.New("smime: no key here can decrypt the message")
	// ErrDecrypt: the message did not decrypt. There is one error for every cause: what a cause tells helps who sent it (RFC 3218).
	ErrDecrypt = errors.New("smime: the message could not be decrypted")
	// ErrUnsupported: a layer is of a kind or needs an algorithm that is not known here.
	ErrUnsupported = errors.New("smime: not supported")
	// ErrOldCipher: a layer is under a cipher that is broken and that the profile leaves closed.
	ErrOldCipher = errors.New("smime: broken cipher")
	// ErrTooLarge: decrypted or opaque content is larger than what is kept in memory, and no Spool was given.
	ErrTooLarge = errors.New("smime: content too large for memory")
)

// MalformedError: the message, or one of its layers, is not what it says it is.
type MalformedError struct {
	// Where is the place: "message header", "layer 2: signature".
	Where string
	Err   error
}

func (e *MalformedError) Error() string { return fmt.Sprintf("smime: %s: %v", e.Where, e.Err) }

// Unwrap returns the cause.
func (e *MalformedError) Unwrap() error { return e.Err }
