package ber

// DER returns element, which must be exactly one BER element, with every
// length definite and minimal and every universal string in one piece
// (X.690 §10.1, §10.2). Everything else stays as it is: the order of sets,
// the values of booleans and times, and constructed elements under
// context-specific tags, whose type only a schema tells ([Octets] joins those).
// Input that is in this form already is returned itself, not a copy.
func DER(element []byte) ([]byte, error) {
	if n := plain(element, 0); n > 0 && n == len(element) {
		return element, nil
	}
	n, same, err := scan(element, 0, 0)
	if err != nil {
		return nil, err
	}
	if n != len(element) {
		return nil, &SyntaxError{int64(n), "data after the end of the element"}
	}
	if same {
		return element, nil
	}
	out, _ := transcode(make([]byte, 0, len(element)), element)
	return out, nil
}

// Octets returns the content octets of an octet string that DER has
// normalized, under whatever tag, joining the pieces of a constructed one
// (X.690 §8.7.3).
func Octets(element []byte) ([]byte, error) {
	h, err := headerAt(element, 0)
	if err != nil {
		return nil, err
	}
	if h.Length == Indefinite || int64(len(element)-h.size) != h.Length {
		return nil, &SyntaxError{0, "not one element of definite length"}
	}
	content := element[h.size:]
	if !h.Constructed {
		return content, nil
	}
	var out []byte
	for pos := 0; pos < len(content); {
		piece, err := headerAt(content[pos:], int64(h.size+pos))
		if err != nil {
			return nil, err
		}
		if !piece.Is(Universal, TagOctetString) || piece.Constructed || piece.Length > int64(len(content)-pos-piece.size) {
			return nil, &SyntaxError{int64(h.size + pos), "piece of an octet string is " + piece.String()}
		}
		end := pos + piece.size + int(piece.Length)
		out = append(out, content[pos+piece.size:end]...)
		pos = end
	}
	return out, nil
}

func headerAt(b []byte, offset int64) (Header, error) {
	h, msg, err := parseHeader(b)
	if err != nil {
		msg = "input ends inside a header"
	}
	if msg != "" {
		return h, &SyntaxError{offset, msg}
	}
	return h, nil
}

// scan checks the structure of the element at b[pos:] and returns its end and
// whether it is in DER form as far as DER changes it.
func scan(b []byte, pos, depth int) (end int, same bool, err error) {
	if depth > MaxDepth {
		return 0, false, &SyntaxError{int64(pos), "elements nested too deeply"}
	}
	h, err := headerAt(b[pos:], int64(pos))
	if err != nil {
		return 0, false, err
	}
	if h.endOfContents() {
		return 0, false, &SyntaxError{int64(pos), "end-of-contents without a beginning"}
	}
	body := pos + h.size
	if h.Length != Indefinite && h.Length > int64(len(b)-body) {
		return 0, false, &SyntaxError{int64(pos), "element is longer than the input"}
	}
	same = h.Length != Indefinite && int64(h.size) == tagSize(h)+HeaderSize(h.Length)-1 && !joined(h)
	if !h.Constructed {
		return body + int(h.Length), same, nil
	}
	limit := len(b)
	if h.Length != Indefinite {
		limit = body + int(h.Length)
	}
	pieces := joined(h)
	for pos = body; h.Length == Indefinite || pos < limit; {
		if h.Length == Indefinite && limit-pos >= 2 && b[pos] == 0 && b[pos+1] == 0 {
			return pos + 2, false, nil
		}
		if n := short(b[pos:limit]); n > 0 && !pieces && depth < MaxDepth {
			pos += n
			continue
		}
		next, ok, err := scan(b[:limit], pos, depth+1)
		if err != nil {
			return 0, false, err
		}
		if pieces {
			if piece, _ := headerAt(b[pos:], 0); !piece.Is(Universal, h.Number) {
				return 0, false, &SyntaxError{int64(pos), "piece of a string is " + piece.String()}
			}
		}
		pos, same = next, same && ok
	}
	return limit, same, nil
}

// Bits of a header's octets (X.690 §8.1.2, §8.1.3).
const (
	classBits   = 0xc0
	constructed = 0x20
	highTag     = 0x1f
	longLength  = 0x80
)

// short is the size of the element that b begins with, when it is primitive and
// its tag and length take one octet each, as most do; 0 otherwise.
func short(b []byte) int {
	if len(b) < 2 || b[0] == TagEndOfContents || b[0]&constructed != 0 || b[0]&highTag == highTag || b[1] >= longLength {
		return 0
	}
	if n := 2 + int(b[1]); n <= len(b) {
		return n
	}
	return 0
}

// plain is the size of the element that b begins with when all of it is as DER has
// it and no header in it takes more than four octets, as of most that are met; 0 for
// all else, which the slow way has a closer look at.
func plain(b []byte, depth int) int {
	if depth > MaxDepth {
		return 0
	}
	if n := short(b); n > 0 {
		return n
	}
	if len(b) < 2 || b[0] == TagEndOfContents || b[0]&highTag == highTag {
		return 0
	}
	if b[0]&classBits == 0 && b[0]&constructed != 0 && b[0] != constructed|TagSequence && b[0] != constructed|TagSet {
		return 0 // perhaps a string in pieces
	}
	at, size := 2, int(b[1])
	switch {
	case b[1] < longLength:
	case b[1] == longLength|1 && len(b) >= 3 && b[2] >= longLength:
		at, size = 3, int(b[2])
	case b[1] == longLength|2 && len(b) >= 4 && b[2] != 0:
		at, size = 4, int(b[2])<<8|int(b[3])
	default:
		return 0
	}
	end := at + size
	if end > len(b) {
		return 0
	}
	for b[0]&constructed != 0 && at < end {
		n := plain(b[at:end], depth+1)
		if n == 0 {
			return 0
		}
		at += n
	}
	return end
}

// joined reports whether the element is a universal string in pieces. Pieces
// of a BIT STRING carry unused-bit octets and are not joined: nothing that is
// read here writes them.
func joined(h Header) bool {
	if h.Class != Universal || !h.Constructed {
		return false
	}
	switch h.Number {
	case TagOctetString, 12, 18, 19, 20, 21, 22, 25, 26, 27, 28, 29, 30:
		return true
	}
	return false
}

func tagSize(h Header) int64 {
	if h.Number < 0x1f {
		return 1
	}
	return int64(len(appendTag(nil, h.Class, h.Constructed, h.Number)))
}

// transcode appends the DER form of the element at the start of b, whose
// structure scan has checked, and returns how many octets it took.
func transcode(out, b []byte) ([]byte, int) {
	h, _, _ := parseHeader(b)
	if !h.Constructed {
		end := h.size + int(h.Length)
		out = AppendHeader(out, h.Class, false, h.Number, h.Length)
		return append(out, b[h.size:end]...), end
	}
	var content []byte
	pos := h.size
	for h.Length == Indefinite || pos < h.size+int(h.Length) {
		if h.Length == Indefinite && b[pos] == 0 && b[pos+1] == 0 {
			pos += 2
			break
		}
		var n int
		if joined(h) {
			var piece []byte
			piece, n = transcode(nil, b[pos:])
			ph, _, _ := parseHeader(piece)
			content = append(content, piece[ph.size:]...)
		} else {
			content, n = transcode(content, b[pos:])
		}
		pos += n
	}
	out = AppendHeader(out, h.Class, !joined(h), h.Number, int64(len(content)))
	return append(out, content...), pos
}
