package pbe

import (
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// The salts are those of two files that gpgsm 2.2.40 refused and OpenSSL
// opened: of each, the one that gpgsm stumbled over and the other one.
func TestGnuPGStumbles(t *testing.T) {
	for salt, want := range map[string]bool{
		"\x68\x38\x76\x77\xc8\x7c\x61\x97": true,
		"\xf2\xe6\x7a\x65\xc6\x35\xbc\xa1": true,
		"\x78\x1f\x34\x5d\x2f\x87\xff\xc8": false,
		"\x3c\x0c\x18\x43\x6b\x32\x13\xfe": false,
	} {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString([]byte(salt))
			b.AddASN1Int64(600_000)
		})
		alg := oid.AlgorithmIdentifier{Algorithm: oid.PBEWithSHA1DES3, Parameters: b.BytesOrPanic()}
		if got := gnupgStumbles(alg, NewPassphrase([]byte("passphrase")).bmp[0]); got != want {
			t.Errorf("salt %x: %v", salt, got)
		}
	}
}
