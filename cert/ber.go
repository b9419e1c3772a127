package cert

import "errors"

// firstElement returns the first element inside the SEQUENCE raw, in BER: the
// octets that were signed, when they are not DER. Its own length must be
// definite: no signer is known to hash an indefinite one.
func firstElement(raw []byte) ([]byte, error) {
	header, _, ok := berLength(raw)
	if !ok {
		return nil, malformed("BER length")
	}
	rest := raw[header:]
	header, length, ok := berLength(rest)
	if !ok || length < 0 || length > len(rest)-header {
		return nil, errors.New("the signed part has no definite length")
	}
	return rest[:header+length], nil
}

// berLength returns the size of the header (tag below 31) and the length of
// the content, -1 when it is indefinite.
func berLength(b []byte) (header, length int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	n := int(b[1])
	if n < 0x80 {
		return 2, n, true
	}
	if n == 0x80 {
		return 2, -1, true
	}
	n &= 0x7f
	if n > 8 || len(b) < 2+n {
		return 0, 0, false
	}
	for _, c := range b[2 : 2+n] {
		if length > MaxCRLSize {
			return 0, 0, false
		}
		length = length<<8 | int(c)
	}
	return 2 + n, length, true
}
