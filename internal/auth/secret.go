package auth

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// newToken draws 256 bits, for machines.
func (s *Service) newToken() (string, error) {
	var secret [32]byte
	if _, err := io.ReadFull(s.rand, secret[:]); err != nil {
		return "", fmt.Errorf("auth: randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(secret[:]), nil
}

// newCode draws groups of five letters that people copy; each letter is 5 bits.
func (s *Service) newCode(groups int) (string, error) {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 32 letters, no 0, 1, I, O
	b := make([]byte, groups*5)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return "", fmt.Errorf("auth: randomness: %w", err)
	}
	var code strings.Builder
	for i, c := range b {
		if i > 0 && i%5 == 0 {
			code.WriteByte('-')
		}
		code.WriteByte(letters[c%32])
	}
	return code.String(), nil
}

// codeGroups of a code that is mailed or printed: 150 bits.
const codeGroups = 6

func (s *Service) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.rand, b[:]); err != nil {
		return "", fmt.Errorf("auth: randomness: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])), nil
}

// hashSecret is what the store keeps of a code of a kind. It forgives what
// copying adds: spaces, case, hyphens.
func hashSecret(kind, code string) []byte {
	code = strings.ToUpper(strings.NewReplacer("-", "", " ", "", "\n", "", "\r", "", "\t", "").Replace(code))
	sum := sha256.Sum256([]byte(kind + " " + code))
	return sum[:]
}

func hashCode(code string) []byte { return hashSecret("first administrator", code) }

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte("administrator session " + token))
	return sum[:]
}
