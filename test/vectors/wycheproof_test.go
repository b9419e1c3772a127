package vectors_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/mldsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/ccm"
	"github.com/mailseal/mailseal/internal/gcm"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
	"github.com/mailseal/mailseal/test/vectors"
)

// TestWycheproof runs the files that no other package does.
func TestWycheproof(t *testing.T) {
	dir := vectors.Dir(t, "wycheproof/testvectors_v1")
	s := vectors.NewSuite(t, nil)
	elsewhere := slices.Concat(vectors.WycheproofOf("cms"), vectors.WycheproofOf("internal/pbe"))
	for _, file := range vectors.Files(t, dir) {
		if slices.Contains(elsewhere, file) {
			continue
		}
		vectors.RunWycheproof(t, s, file, func(g *vectors.Group, c *vectors.Test) error { return wycheproof(file, g, c) })
	}
	for _, file := range elsewhere {
		vectors.Read(t, dir, file) // must be there
	}
}

func wycheproof(file string, g *vectors.Group, c *vectors.Test) error {
	switch g.Type {
	case "EcdsaVerify":
		o := map[string]oid.OID{"SHA-256": oid.ECDSAWithSHA256, "SHA-384": oid.ECDSAWithSHA384, "SHA-512": oid.ECDSAWithSHA512}[g.Sha]
		return verify(g, c, oid.AlgorithmIdentifier{Algorithm: o})
	case "RsassaPkcs1Verify":
		o := map[string]oid.OID{"SHA-256": oid.SHA256WithRSA, "SHA-384": oid.SHA384WithRSA, "SHA-512": oid.SHA512WithRSA}[g.Sha]
		return verify(g, c, oid.AlgorithmIdentifier{Algorithm: o, Parameters: oid.Null})
	case "RsassaPssVerify", "RsassaPssWithParametersVerify":
		return verifyPSS(g, c)
	case "EddsaVerify", "MlDsaVerify":
		return verifyPure(g, c)
	case "EcdhTest":
		return agreeEC(g, c)
	case "XdhAsnComp":
		return agreeX(c)
	case "AeadTest":
		if file == "aes_ccm_test.json" {
			return openCCM(g, c)
		}
		return openGCM(c)
	case "HkdfTest":
		return deriveHKDF(file, c)
	case "MLKEMTest":
		return decapsulate(oid.MLKEM768, asn1.Tag(0).ContextSpecific(), c.Seed, c)
	case "MLKEMDecapsValidationTest":
		return decapsulate(oid.MLKEM768, asn1.OCTET_STRING, c.Dk, c)
	}
	return fmt.Errorf("tests of type %s", g.Type)
}

func verify(g *vectors.Group, c *vectors.Test, alg oid.AlgorithmIdentifier) error {
	key, err := cert.ParsePublicKey(g.PublicKeyDer)
	if err == nil {
		err = signature.Verify(key, alg, oid.AlgorithmIdentifier{}, c.Msg, c.Sig)
	}
	return c.Judge(nil, nil, err)
}

// verifyPSS takes the parameters of the group, and those of the key where it
// has some: both must say the same.
func verifyPSS(g *vectors.Group, c *vectors.Test) error {
	digests := map[string]oid.OID{"SHA-1": oid.SHA1, "SHA-224": oid.SHA224, "SHA-256": oid.SHA256, "SHA-384": oid.SHA384, "SHA-512": oid.SHA512}
	hash := oid.AlgorithmIdentifier{Algorithm: digests[g.Sha], Parameters: oid.Null}
	mask, err := oid.AlgorithmIdentifier{Algorithm: digests[g.MgfSha], Parameters: oid.Null}.DER()
	if err != nil {
		return err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), hash.Add)
		b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), oid.AlgorithmIdentifier{Algorithm: oid.MGF1, Parameters: mask}.Add)
		b.AddASN1(asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(g.SLen)) })
	})
	params, err := b.Bytes()
	if err != nil {
		return err
	}
	alg := oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS, Parameters: params}
	if g.Type == "RsassaPssWithParametersVerify" {
		of, err := keyAlgorithm(g.PublicKeyDer)
		if err != nil {
			return err
		}
		bound, err := signature.Read(of, oid.AlgorithmIdentifier{})
		if err != nil {
			return err
		}
		used, err := signature.Read(alg, oid.AlgorithmIdentifier{})
		if err != nil || used.Hash() != bound.Hash() || used.MaskHash() != bound.MaskHash() || used.SaltLength() != bound.SaltLength() {
			return fmt.Errorf("the key's parameters are read as %v %v, %w", bound, bound.SaltLength(), err)
		}
		alg = of
	}
	return verify(g, c, alg)
}

// keyAlgorithm returns the algorithm of a SubjectPublicKeyInfo.
func keyAlgorithm(spki []byte) (a oid.AlgorithmIdentifier, err error) {
	in := cryptobyte.String(spki)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !oid.ReadAlgorithm(&seq, &a) {
		err = errors.New("no SubjectPublicKeyInfo")
	}
	return a, err
}

// verifyPure: a context is none of CMS' (RFC 9882 §3): what is right with one
// must be wrong for us, and right for the algorithm beneath.
func verifyPure(g *vectors.Group, c *vectors.Test) error {
	if len(c.Ctx) == 0 {
		alg, err := keyAlgorithm(g.PublicKeyDer)
		if err != nil {
			return c.Judge(nil, nil, err)
		}
		return verify(g, c, alg)
	}
	key, err := cert.ParsePublicKey(g.PublicKeyDer)
	if err != nil {
		return err
	}
	alg, err := keyAlgorithm(g.PublicKeyDer)
	if err != nil {
		return err
	}
	if signature.Verify(key, alg, oid.AlgorithmIdentifier{}, c.Msg, c.Sig) == nil {
		return errors.New("a signature with a context was taken for one without")
	}
	return c.Judge(nil, nil, mldsa.Verify(key.(*mldsa.PublicKey), c.Msg, c.Sig, &mldsa.Options{Context: string(c.Ctx)}))
}

func agreeEC(g *vectors.Group, c *vectors.Test) error {
	curves := map[string]elliptic.Curve{"secp256r1": elliptic.P256(), "secp384r1": elliptic.P384(), "secp521r1": elliptic.P521()}
	curve := curves[g.Curve]
	d := new(big.Int).SetBytes(c.Private)
	private, err := ecdsa.ParseRawPrivateKey(curve, d.FillBytes(make([]byte, (curve.Params().BitSize+7)/8)))
	if err != nil {
		return err
	}
	own, err := private.ECDH()
	if err != nil {
		return err
	}
	public, err := cert.ParsePublicKey(c.Public)
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	theirs, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return c.Judge(nil, nil, fmt.Errorf("key of type %T", public))
	}
	remote, err := theirs.ECDH()
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	shared, err := own.ECDH(remote)
	return c.Judge(shared, c.Shared, err)
}

func agreeX(c *vectors.Test) error {
	private, err := identity.ParsePrivateKey(c.Private)
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	public, err := cert.ParsePublicKey(c.Public)
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	var shared []byte
	switch k := private.(type) {
	case *ecdh.PrivateKey:
		remote, ok := public.(*ecdh.PublicKey)
		if !ok {
			return c.Judge(nil, nil, fmt.Errorf("key of type %T", public))
		}
		shared, err = k.ECDH(remote)
	case *cert.X448PrivateKey:
		remote, ok := public.(*cert.X448PublicKey)
		if !ok {
			return c.Judge(nil, nil, fmt.Errorf("key of type %T", public))
		}
		shared, err = k.ECDH(remote)
	default:
		return fmt.Errorf("private key of type %T", private)
	}
	return c.Judge(shared, c.Shared, err)
}

// openCCM: tags are judged by whoever reads the message; the algorithm has all
// sizes of SP 800-38C.
func openCCM(g *vectors.Group, c *vectors.Test) error {
	block, err := aes.NewCipher(c.Key)
	if err != nil {
		return err
	}
	s, err := ccm.New(block, c.Iv, g.TagSize/8, uint64(len(c.Ct)), c.Aad)
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	plain := make([]byte, len(c.Ct))
	if err := s.Decrypt(plain, c.Ct); err != nil {
		return err
	}
	if !s.Check(c.Tag) {
		err = errors.New("wrong tag")
	}
	return c.Judge(plain, c.Msg, err)
}

// openGCM decrypts in pieces, as a stream does.
func openGCM(c *vectors.Test) error {
	block, err := aes.NewCipher(c.Key)
	if err != nil {
		return err
	}
	s, err := gcm.New(block, c.Iv)
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	plain := bytes.Clone(c.Ct)
	for rest := plain; len(rest) > 0; {
		n := min(7, len(rest))
		if err := s.Decrypt(rest[:n], rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if !s.Check(c.Aad, c.Tag) {
		err = errors.New("wrong tag")
	}
	return c.Judge(plain, c.Msg, err)
}

func deriveHKDF(file string, c *vectors.Test) error {
	h := sha256.New
	if file == "hkdf_sha512_test.json" {
		h = sha512.New
	}
	got, err := hkdf.Key(h, c.Ikm, c.Salt, string(c.Info), c.Size)
	return c.Judge(got, c.Okm, err)
}

// decapsulate opens with a private key in PKCS #8 (RFC 9935 §6), as it comes
// from a file.
func decapsulate(id oid.OID, form asn1.Tag, private []byte, c *vectors.Test) error {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		oid.AlgorithmIdentifier{Algorithm: id}.Add(b)
		b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			b.AddASN1(form, func(b *cryptobyte.Builder) { b.AddBytes(private) })
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return err
	}
	key, err := identity.ParsePrivateKey(der)
	if err != nil {
		return c.Judge(nil, nil, err)
	}
	d, ok := key.(crypto.Decapsulator)
	if !ok {
		return fmt.Errorf("private key of type %T", key)
	}
	if c.Result == "valid" && !bytes.Equal(d.Encapsulator().Bytes(), c.Ek) {
		return errors.New("another public key")
	}
	shared, err := d.Decapsulate(c.C)
	return c.Judge(shared, c.K, err)
}
