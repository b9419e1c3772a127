package pbe

import (
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/test/vectors"
)

// TestWycheproof decrypts plaintexts of any kind, which Decrypt would take for
// those of a wrong passphrase.
func TestWycheproof(t *testing.T) {
	s := vectors.NewSuite(t, nil)
	for _, file := range vectors.WycheproofOf("internal/pbe") {
		vectors.RunWycheproof(t, s, file, func(_ *vectors.Group, c *vectors.Test) error { return decryptPBES2(file, c) })
	}
}

func decryptPBES2(file string, c *vectors.Test) error {
	prf, cipher := oid.HMACWithSHA1, oid.AES128CBC
	if file == "pbes2_hmacsha256_aes_256_test.json" {
		prf, cipher = oid.HMACSHA256, oid.AES256CBC
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // PBES2-params, RFC 8018 §A.4
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, oid.PBKDF2)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(c.Salt)
				b.AddASN1Int64(int64(c.IterationCount))
				oid.AlgorithmIdentifier{Algorithm: prf, Parameters: oid.Null}.Add(b)
			})
		})
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, cipher)
			b.AddASN1OctetString(c.Iv)
		})
	})
	params, err := b.Bytes()
	if err != nil {
		return err
	}
	scheme, err := parseScheme(oid.AlgorithmIdentifier{Algorithm: oid.PBES2, Parameters: params})
	if err != nil {
		return err
	}
	p := NewPassphrase(c.Password)
	got, err := p.decrypt(scheme, p.secrets(scheme.encoding)[0], c.Ct)
	return c.Judge(got, c.Msg, err)
}
