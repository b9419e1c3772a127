package identity

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// indefinite rewrites DER as PKI.js and Java's Bouncy Castle write BER: every
// constructed element with an indefinite length, every octet string (and the
// [0] IMPLICIT one of EncryptedContentInfo) in two pieces.
func indefinite(t testing.TB, der []byte) []byte {
	t.Helper()
	var out []byte
	for s := cryptobyte.String(der); !s.Empty(); {
		var content cryptobyte.String
		var tag asn1.Tag
		if !s.ReadAnyASN1(&content, &tag) {
			t.Fatalf("not DER: %x", s)
		}
		first := byte(tag)
		switch {
		case first&0x20 != 0:
			out = append(append(out, first, 0x80), indefinite(t, content)...)
		case first == 0x04 || first == 0x80:
			half := len(content) / 2
			out = append(out, first|0x20, 0x80)
			out = append(out, octetString(t, content[:half])...)
			out = append(out, octetString(t, content[half:])...)
		default:
			out = append(out, element(t, tag, content)...)
			continue
		}
		out = append(out, 0, 0)
	}
	return out
}

func octetString(t testing.TB, content []byte) []byte { return element(t, asn1.OCTET_STRING, content) }

func element(t testing.TB, tag asn1.Tag, content ...[]byte) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(content, nil)) })
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}
