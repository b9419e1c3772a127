package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost is the work of one Argon2id hash (RFC 9106 §3.1).
type Cost struct {
	Time   uint32 // passes
	Memory uint32 // KiB
}

// DefaultCost takes about a third of a second here; LeastCost is the floor
// that a stored hash is accepted with.
var (
	DefaultCost = Cost{Time: 2, Memory: 64 << 10}
	LeastCost   = Cost{Time: 2, Memory: 19 << 10}
)

const (
	saltSize  = 16
	hashSize  = 32
	maxMemory = 1 << 20 // KiB; a stored hash may not ask for more
	maxTime   = 16
)

var errHash = errors.New("auth: stored password is not an Argon2id hash within limits")

// hash writes the PHC string $argon2id$v=19$m=..,t=..,p=1$salt$hash.
func (c Cost) hash(password string, salt []byte) string {
	sum := argon2.IDKey([]byte(password), salt, c.Time, c.Memory, 1, hashSize)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s",
		argon2.Version, c.Memory, c.Time, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// matches compares a password with a stored PHC string in constant time.
func matches(stored, password string) (bool, Cost, error) {
	c, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, Cost{}, err
	}
	got := argon2.IDKey([]byte(password), salt, c.Time, c.Memory, 1, hashSize)
	return subtle.ConstantTimeCompare(got, want) == 1, c, nil
}

func parsePHC(stored string) (c Cost, salt, sum []byte, err error) {
	f := strings.Split(stored, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=1", &c.Memory, &c.Time); err != nil {
		return c, nil, nil, errHash
	}
	if c.Memory < LeastCost.Memory || c.Memory > maxMemory || c.Time < LeastCost.Time || c.Time > maxTime {
		return c, nil, nil, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(f[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(salt) != saltSize || len(sum) != hashSize {
		return c, nil, nil, errHash
	}
	return c, salt, sum, nil
}

// checkPassword asks for length alone: rules about kinds of characters make
// passwords worse (NIST SP 800-63B §3.1.1.2).
func checkPassword(password string) error {
	switch {
	case !utf8.ValidString(password):
		return fmt.Errorf("%w: not UTF-8", ErrPassword)
	case utf8.RuneCountInString(password) < MinPassword:
		return fmt.Errorf("%w: at least %d characters", ErrPassword, MinPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("%w: at most %d bytes", ErrPassword, MaxPassword)
	}
	return nil
}
