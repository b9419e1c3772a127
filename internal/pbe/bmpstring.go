package pbe

import (
	"unicode/utf16"
	"unicode/utf8"
)

// bmpEncodings returns the encodings under which text may have entered the
// PKCS #12 key derivation (RFC 7292, Appendix B.1): a BMPString with a
// terminating NUL. Only the first one is right; files with the others exist.
func bmpEncodings(text []byte) [][]byte {
	if len(text) == 0 {
		// QUIRK: "no passphrase" is written as the empty BMPString (two zero
		// bytes: Windows, macOS) and as no bytes at all (Java, OpenSSL's NULL).
		return [][]byte{{0, 0}, {}}
	}
	all := [][]byte{bmpUTF16(text)}
	if utf8.Valid(text) && !isASCII(text) {
		// QUIRK: OpenSSL before 1.1.0 took each byte of the UTF-8 text for a
		// character of its own.
		all = append(all, bmpLatin1(text))
	}
	return all
}

// bmpUTF16 encodes text as UTF-16 with surrogate pairs, as Windows and OpenSSL
// do for characters that a BMPString proper cannot hold. Bytes that are not
// UTF-8 are taken for Latin-1.
func bmpUTF16(text []byte) []byte {
	if !utf8.Valid(text) {
		return bmpLatin1(text)
	}
	out := make([]byte, 0, 2*len(text)+2)
	for _, unit := range utf16.Encode([]rune(string(text))) {
		out = append(out, byte(unit>>8), byte(unit))
	}
	return append(out, 0, 0)
}

func bmpLatin1(text []byte) []byte {
	out := make([]byte, 0, 2*len(text)+2)
	for _, c := range text {
		out = append(out, 0, c)
	}
	return append(out, 0, 0)
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
