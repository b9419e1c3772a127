package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/test/vectors"
)

func TestWycheproof(t *testing.T) {
	longTest(t)
	s := vectors.NewSuite(t, nil)
	for _, file := range vectors.WycheproofOf("cms") {
		vectors.RunWycheproof(t, s, file, func(g *vectors.Group, c *vectors.Test) error {
			switch g.Type {
			case "RsaesPkcs1Decrypt":
				return wycheproofPKCS1(g, c)
			case "RsaesOaepDecrypt":
				return wycheproofOAEP(g, c)
			case "KeywrapTest":
				return wycheproofWrap(c, file == "aes_kwp_test.json")
			case "IndCpaTest":
				return wycheproofCipher(map[int]OID{128: oid.AES128CBC, 192: oid.AES192CBC, 256: oid.AES256CBC}[g.KeySize], c)
			case "AeadTest":
				return wycheproofCipher(oid.ChaCha20Poly1305, c)
			}
			return fmt.Errorf("tests of type %s", g.Type)
		})
	}
}

func rsaKey(g *vectors.Group) (crypto.PrivateKey, error) {
	return x509.ParsePKCS8PrivateKey(g.PrivateKeyPkcs8)
}

// wycheproofPKCS1: there is no error for wrong padding. A random key comes out,
// of the length that is asked for, and another one each time.
func wycheproofPKCS1(g *vectors.Group, c *vectors.Test) error {
	key, err := rsaKey(g)
	if err != nil {
		return err
	}
	ri := RecipientInfo{sealed: &ktri{AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}, c.Ct}}
	size := max(len(c.Msg), 16)
	k := &RecipientKey{Key: key}
	first, err := k.open(rand.Reader, &ri, size)
	if err != nil || len(first) != size {
		return fmt.Errorf("a key of %d octets where %d are wanted, %w", len(first), size, err)
	}
	again, err := k.open(rand.Reader, &ri, size)
	if err != nil {
		return err
	}
	if c.Result == "valid" && len(c.Msg) == size {
		return c.Judge(first, c.Msg, nil)
	}
	if bytes.Equal(first, again) {
		return errors.New("the key for a message that does not decrypt is not random")
	}
	return nil
}

func wycheproofOAEP(g *vectors.Group, c *vectors.Test) error {
	key, err := rsaKey(g)
	if err != nil {
		return err
	}
	params, err := oaepParams(g, c.Label)
	if err != nil {
		return err
	}
	i := &ktri{AlgorithmIdentifier{Algorithm: oid.RSAESOAEP, Parameters: params}, c.Ct}
	got, err := i.open(rand.Reader, &RecipientKey{Key: key}, 0)
	if errors.Is(err, ErrUnsupported) {
		return fmt.Errorf("the parameters: %w", err)
	}
	return c.Judge(got, c.Msg, err)
}

// oaepParams writes RSAES-OAEP-params with all three fields.
func oaepParams(g *vectors.Group, label []byte) ([]byte, error) {
	digests := map[string]OID{"SHA-1": oid.SHA1, "SHA-224": oid.SHA224, "SHA-256": oid.SHA256, "SHA-384": oid.SHA384, "SHA-512": oid.SHA512}
	hash := AlgorithmIdentifier{Algorithm: digests[g.Sha], Parameters: oid.Null}
	mask := AlgorithmIdentifier{Algorithm: digests[g.MgfSha], Parameters: oid.Null}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context0.Constructed(), hash.Add)
		b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) { addNested(b, oid.MGF1, mask.Add) })
		b.AddASN1(context2.Constructed(), func(b *cryptobyte.Builder) {
			addNested(b, oid.PSpecified, func(b *cryptobyte.Builder) { b.AddASN1OctetString(label) })
		})
	})
	return b.Bytes()
}

func wycheproofWrap(c *vectors.Test, padded bool) error {
	unwrap := unwrapKey
	if padded {
		unwrap = unwrapPaddedKey
	}
	got, err := unwrap(c.Key, c.Ct)
	if err := c.Judge(got, c.Msg, err); err != nil || c.Result != "valid" || padded {
		return err
	}
	wrapped, err := wrapKey(c.Key, c.Msg)
	return c.Judge(wrapped, c.Ct, err)
}

// wycheproofCipher decrypts and encrypts as messages are.
func wycheproofCipher(o OID, c *vectors.Test) error {
	var b cryptobyte.Builder
	b.AddASN1OctetString(c.Iv)
	params, err := b.Bytes()
	if err != nil {
		return err
	}
	known, err := readCipher(AlgorithmIdentifier{Algorithm: o, Parameters: params})
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	p, err := known.decrypter(c.Key)
	if err != nil {
		return err
	}
	head, err := p.next(c.Ct)
	got := slices.Clone(head)
	if err == nil {
		var tail []byte
		tail, err = p.last(c.Aad, c.Tag)
		got = append(got, tail...)
	}
	return c.Judge(got, c.Msg, err)
}
