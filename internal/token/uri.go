package token

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scheme begins every PKCS #11 URI.
const Scheme = "pkcs11:"

// MaxURI is the longest URI in bytes that is read.
const MaxURI = 4096

// ErrURI means something that is no PKCS #11 URI, or one that asks for more than
// is known here.
var ErrURI = errors.New("PKCS #11 URI")

// URI is a PKCS #11 URI (RFC 7512): which tokens and which keys in them. What is
// empty matches everything.
type URI struct {
	Token, Manufacturer, Serial, Model      string
	Object                                  string // CKA_LABEL
	ID                                      []byte // CKA_ID
	SlotManufacturer, SlotDescription       string
	SlotID                                  *uint64 `json:",omitempty"`
	LibraryManufacturer, LibraryDescription string
	LibraryVersion                          string // "1" or "1.2"
	// ModulePath is the file of the PKCS #11 module; ModuleName its name
	// without path, "lib" and ending.
	ModulePath, ModuleName string
}

// ParseURI reads a PKCS #11 URI. A PIN in it is refused: arguments are visible to
// every user of the machine (RFC 7512, Section 4). So is every attribute that is
// not known, because what it would rule out is not known either.
func ParseURI(text string) (*URI, error) {
	u, err := parseURI(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURI, err)
	}
	return u, nil
}

func parseURI(text string) (*URI, error) {
	if len(text) > MaxURI {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), MaxURI)
	}
	if len(text) < len(Scheme) || !strings.EqualFold(text[:len(Scheme)], Scheme) {
		return nil, fmt.Errorf("does not begin with %s", Scheme)
	}
	path, query, _ := strings.Cut(text[len(Scheme):], "?")
	u := &URI{}
	seen := map[string]bool{}
	for _, part := range []struct {
		text, separator string
		set             func(name string, value []byte) error
	}{{path, ";", u.setPath}, {query, "&", u.setQuery}} {
		if part.text == "" {
			continue
		}
		for attribute := range strings.SplitSeq(part.text, part.separator) {
			name, value, err := parseAttribute(attribute)
			if err == nil && seen[name] { // RFC 7512, Section 2.3
				err = errors.New("is repeated")
			}
			if err == nil {
				err = part.set(name, value)
			}
			if err != nil {
				return nil, fmt.Errorf("attribute %q: %w", name, err)
			}
			seen[name] = true
		}
	}
	return u, nil
}

func parseAttribute(text string) (name string, value []byte, err error) {
	name, encoded, found := strings.Cut(text, "=")
	if !found {
		return name, nil, errors.New("has no value")
	}
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; {
		case c == '%' && i+2 < len(encoded):
			b, err := strconv.ParseUint(encoded[i+1:i+3], 16, 8)
			if err != nil {
				return name, nil, fmt.Errorf("bad escape %q", encoded[i:i+3])
			}
			value = append(value, byte(b))
			i += 2
		case c == '%':
			return name, nil, errors.New("incomplete escape")
		case c <= ' ' || c > '~':
			return name, nil, fmt.Errorf("octet %02x must be written %%%02X", c, c)
		default:
			value = append(value, c)
		}
	}
	return name, value, nil
}

func (u *URI) setPath(name string, value []byte) error {
	switch name {
	case "id":
		u.ID = value // the one that is not text
		return nil
	case "type": // of the key and its certificate, both are wanted
		switch string(value) {
		case "private", "cert", "public":
			return nil
		}
		return fmt.Errorf("%q is not a key with its certificate", value)
	case "slot-id":
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return errors.New("is not a number")
		}
		u.SlotID = &n
		return nil
	}
	fields := map[string]*string{
		"token": &u.Token, "manufacturer": &u.Manufacturer, "serial": &u.Serial, "model": &u.Model, "object": &u.Object,
		"slot-manufacturer": &u.SlotManufacturer, "slot-description": &u.SlotDescription,
		"library-manufacturer": &u.LibraryManufacturer, "library-description": &u.LibraryDescription,
		"library-version": &u.LibraryVersion,
	}
	return setText(fields[name], value)
}

func (u *URI) setQuery(name string, value []byte) error {
	switch name {
	case "pin-value", "pin-source":
		return errors.New("a PIN is never taken from an argument")
	case "module-path":
		if err := setText(&u.ModulePath, value); err != nil {
			return err
		}
		if !filepath.IsAbs(u.ModulePath) {
			return errors.New("is not an absolute path")
		}
		return nil
	case "module-name":
		if err := setText(&u.ModuleName, value); err != nil {
			return err
		}
		if u.ModuleName == "" || strings.ContainsAny(u.ModuleName, `/\`) {
			return errors.New("is not a name without path")
		}
		return nil
	}
	return setText(nil, value)
}

func setText(field *string, value []byte) error {
	switch {
	case field == nil:
		return errors.New("is not known here")
	case !utf8.Valid(value):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(string(value), unicode.IsControl):
		return errors.New("has control characters")
	}
	*field = string(value)
	return nil
}

// Module names the file to load: the module that the URI names, else fallback,
// else p11-kit's library, which is a module that speaks for all of the system.
func (u *URI) Module(fallback string) string {
	switch {
	case u.ModulePath != "":
		return u.ModulePath
	case u.ModuleName != "":
		return "lib" + u.ModuleName + ".so"
	case fallback != "":
		return fallback
	}
	if runtime.GOOS == "linux" {
		return "libp11-kit.so.0"
	}
	return "p11-kit-proxy.so"
}
