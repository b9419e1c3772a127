package registration

import (
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Where a page ends is told as text that means nothing to whoever gets it: a
// moment and a name, or the octets of a place in a list and a name.

const maxPlaceText = 1024

// writePlace writes a moment and a name.
func writePlace(at time.Time, id string) string {
	return writeOctets(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), id)
}

func readPlace(text string) (at time.Time, id string, err error) {
	if text == "" {
		return time.Time{}, "", nil
	}
	place, id, err := readOctets(text)
	if err != nil || len(place) != 8 {
		return time.Time{}, "", wrong("after", "input.page")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(place)), 0).UTC(), id, nil
}

func writeOctets(place []byte, id string) string {
	head := binary.BigEndian.AppendUint16(nil, uint16(len(place)))
	return base64.RawURLEncoding.EncodeToString(append(append(head, place...), id...))
}

func readOctets(text string) (place []byte, id string, err error) {
	if text == "" {
		return nil, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > maxPlaceText || len(raw) < 2 {
		return nil, "", wrong("after", "input.page")
	}
	n := int(binary.BigEndian.Uint16(raw))
	if n > len(raw)-2 || base64.RawURLEncoding.EncodeToString(raw) != text {
		return nil, "", wrong("after", "input.page")
	}
	return raw[2 : 2+n], string(raw[2+n:]), nil
}
