package webauthn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits of what is read.
const (
	maxDepth = 8
	maxItems = 64 // of one array or map; a COSE key has five, an attestation three
)

var errCBOR = errors.New("webauthn: not CBOR as authenticators write it")

// decoder reads CBOR (RFC 8949) in the canonical form that CTAP2 asks for: no
// indefinite lengths, no tags, no floating point. Integers become int64, strings
// []byte or string, arrays []any, maps map[any]any with integer or text keys.
type decoder struct{ rest []byte }

// head reads the initial octet of an item and its argument (RFC 8949 §3).
func (d *decoder) head() (major byte, argument uint64, err error) {
	if len(d.rest) == 0 {
		return 0, 0, errCBOR
	}
	major, low := d.rest[0]>>5, d.rest[0]&0x1f
	d.rest = d.rest[1:]
	if low < 24 {
		return major, uint64(low), nil
	}
	if low > 27 { // reserved, or of indefinite length
		return 0, 0, errCBOR
	}
	n := 1 << (low - 24)
	if len(d.rest) < n {
		return 0, 0, errCBOR
	}
	var wide [8]byte
	copy(wide[8-n:], d.rest[:n])
	d.rest = d.rest[n:]
	return major, binary.BigEndian.Uint64(wide[:]), nil
}

func (d *decoder) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.rest)) {
		return nil, errCBOR
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken, nil
}

// The major types (RFC 8949 §3.1).
const (
	unsigned = iota
	negative
	octets
	text
	array
	mapping
	tagged
	simple
)

func (d *decoder) item(depth int) (any, error) {
	major, n, err := d.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case unsigned, negative:
		if n > 1<<62 {
			return nil, errCBOR
		}
		if major == negative {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case octets:
		return d.take(n)
	case text:
		s, err := d.take(n)
		if err != nil || !utf8.Valid(s) {
			return nil, errCBOR
		}
		return string(s), nil
	case array, mapping:
		if depth >= maxDepth || n > maxItems {
			return nil, fmt.Errorf("%w: nested more than %d deep, or more than %d items", errCBOR, maxDepth, maxItems)
		}
		if major == array {
			return d.list(n, depth)
		}
		return d.mapping(n, depth)
	case simple:
		switch n {
		case 20, 21:
			return n == 21, nil
		case 22:
			return nil, nil
		}
	}
	return nil, errCBOR
}

func (d *decoder) list(n uint64, depth int) (any, error) {
	list := make([]any, 0, n)
	for range n {
		v, err := d.item(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (d *decoder) mapping(n uint64, depth int) (any, error) {
	m := make(map[any]any, n)
	for range n {
		key, err := d.item(depth + 1)
		if err != nil {
			return nil, err
		}
		switch key.(type) {
		case int64, string:
		default:
			return nil, errCBOR
		}
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("%w: a key stands twice", errCBOR)
		}
		if m[key], err = d.item(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// decodeMap reads one map and returns what follows it.
func decodeMap(data []byte) (m map[any]any, rest []byte, err error) {
	d := &decoder{data}
	v, err := d.item(0)
	if err != nil {
		return nil, nil, err
	}
	m, ok := v.(map[any]any)
	if !ok {
		return nil, nil, errCBOR
	}
	return m, d.rest, nil
}
