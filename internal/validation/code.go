package validation

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A code is six groups of five from 27 letters and digits: no letter that
// looks like another one or like a digit, and no vowel, so that no word
// appears. 30 of them hold 142 random bits; the S/MIME BR (§1.6.1, Random
// Value) asks for 112.
const (
	alphabet   = "23456789BCDFGHJKMNPQRSTVWXZ"
	codeGroups = 6
	groupSize  = 5
	codeSize   = codeGroups * groupSize
)

// ErrNotACode tells that what was entered does not have the form of a code.
var ErrNotACode = errors.New("validation: not a code")

// NewCode draws a code, XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-XXXXX, with 142 random bits.
func NewCode(random io.Reader) (string, error) {
	// Bytes from the last incomplete run of 27 are thrown away, so that each
	// letter is equally likely.
	const limit = 256 - 256%len(alphabet)
	var code strings.Builder
	var b [1]byte
	for n := 0; n < codeSize; {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("validation: randomness: %w", err)
		}
		if int(b[0]) >= limit {
			continue
		}
		if n > 0 && n%groupSize == 0 {
			code.WriteByte('-')
		}
		code.WriteByte(alphabet[int(b[0])%len(alphabet)])
		n++
	}
	return code.String(), nil
}

// CanonicalCode strips what pasting adds (spaces, line ends, hyphens, case). The
// error is [ErrNotACode].
func CanonicalCode(entered string) (string, error) {
	if len(entered) > 4*codeSize {
		return "", ErrNotACode
	}
	var letters strings.Builder
	for _, c := range strings.ToUpper(entered) {
		switch {
		case strings.ContainsRune(" \t\r\n-\u00a0\u3000\u2010\u2011", c):
		case strings.ContainsRune(alphabet, c):
			letters.WriteRune(c)
		default:
			return "", ErrNotACode
		}
	}
	if letters.Len() != codeSize {
		return "", ErrNotACode
	}
	return letters.String(), nil
}

// hashCode is what the store keeps. The order, the address and the session are
// part of it, so that a code proves nothing anywhere else even if rows were
// mixed up.
func hashCode(orderID, address string, secretHash []byte, letters string) []byte {
	h := sha256.New()
	for _, field := range []string{"mailseal mailbox challenge 1", orderID, address, string(secretHash), letters} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(field)))
		h.Write(size[:])
		h.Write([]byte(field))
	}
	return h.Sum(nil)
}
