package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// File names of the store: ADDRESS~ID.p12 for an identity, ADDRESS~ID.key for a
// key that waits for its certificate; of the address book: ADDRESS~ID.json. ID
// tells several of one address apart.
const (
	identityExt = ".p12"
	pendingExt  = ".key"
	contactExt  = ".json"
	maxName     = 200 // of the encoded address; file systems take 255 in all
)

var errLongAddress = errors.New("address is too long for the name of a file")

// fileName returns the name under which something of the address is kept.
// Letters that file systems fold, separators, and names that mean something to
// them cannot occur: lower case ASCII letters, digits and ".@_+-" stand for
// themselves, everything else is %XX.
func fileName(address mailbox.Mailbox, id, ext string) (string, error) {
	name := encodeAddress(address)
	if len(name) > maxName {
		return "", fmt.Errorf("%w: %s", errLongAddress, address)
	}
	return name + "~" + id + ext, nil
}

func encodeAddress(address mailbox.Mailbox) string {
	var b strings.Builder
	for _, c := range []byte(address.String()) {
		if c >= 'A' && c <= 'Z' { // RFC 8550 §3: the same mailbox
			c += 'a' - 'A'
		}
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte(".@_+-", c) >= 0 && b.Len() > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// parseFileName takes apart what fileName made with one of the extensions, and
// reports false for any other file.
func parseFileName(name string, exts ...string) (address mailbox.Mailbox, id, ext string, ok bool) {
	stem, ext := name, ""
	for _, e := range exts {
		if s, found := strings.CutSuffix(name, e); found {
			stem, ext = s, e
		}
	}
	encoded, id, found := strings.Cut(stem, "~")
	if ext == "" || !found {
		return address, "", "", false
	}
	if _, err := hex.DecodeString(id); err != nil || len(id) != idLength {
		return address, "", "", false
	}
	address, err := decodeAddress(encoded)
	return address, id, ext, err == nil && encodeAddress(address) == encoded
}

func decodeAddress(encoded string) (mailbox.Mailbox, error) {
	var out []byte
	for len(encoded) > 0 {
		c := encoded[0]
		encoded = encoded[1:]
		if c == '%' {
			if len(encoded) < 2 {
				return mailbox.Mailbox{}, errors.New("incomplete escape")
			}
			b, err := hex.DecodeString(encoded[:2])
			if err != nil {
				return mailbox.Mailbox{}, err
			}
			c, encoded = b[0], encoded[2:]
		}
		out = append(out, c)
	}
	return mailbox.Parse(string(out))
}
