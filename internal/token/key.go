package token

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"github.com/mailseal/mailseal/cms"
)

// remote is a key by its number in the other process.
type remote struct {
	client *Client
	number int
}

func (r remote) do(op string, m Mechanism, input []byte) ([]byte, error) {
	a, err := r.client.ask(&question{Op: op, Key: r.number, Mechanism: m, Input: input})
	if errors.Is(err, ErrUnsupported) { // so that package cms says so, too
		return nil, fmt.Errorf("%w: %w", cms.ErrUnsupported, err)
	}
	if err != nil {
		return nil, err
	}
	return a.Output, nil
}

// rsaKey is a crypto.Signer and crypto.Decrypter.
type rsaKey struct {
	remote
	public *rsa.PublicKey
}

func (k *rsaKey) Public() crypto.PublicKey { return k.public }

func (k *rsaKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	h := opts.HashFunc()
	if !h.Available() || len(digest) != h.Size() {
		return nil, fmt.Errorf("%w: digest of %d octets for %v", ErrUnsupported, len(digest), h)
	}
	m := Mechanism{Name: "rsa-pkcs1", Hash: h.String()}
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		m = Mechanism{Name: "rsa-pss", Hash: h.String(), MGF: h.String(), Salt: pss.SaltLength}
		if pss.SaltLength <= 0 { // rsa.PSSSaltLengthAuto, rsa.PSSSaltLengthEqualsHash
			m.Salt = h.Size()
		}
	}
	sig, err := k.do(opSign, m, digest)
	if err != nil {
		return nil, err
	}
	return sig, k.verify(h, digest, sig, opts)
}

// verify checks what the token made: a faulty signature of RSA gives the key away.
func (k *rsaKey) verify(h crypto.Hash, digest, sig []byte, opts crypto.SignerOpts) (err error) {
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		err = rsa.VerifyPSS(k.public, h, digest, sig, pss)
	} else {
		err = rsa.VerifyPKCS1v15(k.public, h, digest, sig)
	}
	if err != nil {
		return fmt.Errorf("%w: it made a wrong signature", ErrToken)
	}
	return nil
}

func (k *rsaKey) Decrypt(rand io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	switch o := opts.(type) {
	case *rsa.OAEPOptions:
		mgf := o.MGFHash
		if mgf == 0 {
			mgf = o.Hash
		}
		out, err := k.do(opDecrypt, Mechanism{Name: "rsa-oaep", Hash: o.Hash.String(), MGF: mgf.String(), Label: o.Label}, ciphertext)
		if errors.Is(err, ErrUnsupported) {
			return k.decryptOAEP(ciphertext, o.Hash, mgf, o.Label)
		}
		return out, err
	case *rsa.PKCS1v15DecryptOptions: //nolint:staticcheck // RFC 8551 §2.3: what deployed clients send
		return k.decryptPKCS1v15(rand, ciphertext, o.SessionKeyLen)
	case nil:
		return k.decryptPKCS1v15(rand, ciphertext, 0)
	}
	return nil, fmt.Errorf("%w: decryption with %T", ErrUnsupported, opts)
}

// decryptPKCS1v15 gives back a random key where the padding, or the length inside
// it, is wrong, as crypto/rsa does (RFC 3218 §2.3): a sender must not learn which
// of the two it was.
func (k *rsaKey) decryptPKCS1v15(rand io.Reader, ciphertext []byte, size int) ([]byte, error) {
	out, err := k.do(opDecrypt, Mechanism{Name: "rsa-pkcs1"}, ciphertext)
	if size <= 0 || err != nil && !errors.Is(err, ErrToken) {
		return out, err
	}
	random := make([]byte, size)
	if _, err := io.ReadFull(rand, random); err != nil {
		return nil, err
	}
	if err == nil && len(out) == size {
		return out, nil
	}
	if k.client.ended() {
		return nil, err
	}
	return random, nil
}

// ecKey is a crypto.Signer and a cms.ECDHKey.
type ecKey struct {
	remote
	public *ecdsa.PublicKey
}

func (k *ecKey) Public() crypto.PublicKey { return k.public }

// Sign returns Ecdsa-Sig-Value (RFC 3279 §2.2.3), which the other process makes of
// the token's raw form.
func (k *ecKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	sig, err := k.do(opSign, Mechanism{Name: "ecdsa"}, digest)
	if err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(k.public, digest, sig) {
		return nil, fmt.Errorf("%w: it made a wrong signature", ErrToken)
	}
	return sig, nil
}

// ECDH is the shared secret (SEC 1, Section 3.3.1): the x-coordinate.
func (k *ecKey) ECDH(partner *ecdh.PublicKey) ([]byte, error) {
	own, err := k.public.ECDH()
	if err != nil {
		return nil, err
	}
	if partner.Curve() != own.Curve() {
		return nil, fmt.Errorf("%w: another curve", ErrUnsupported)
	}
	secret, err := k.do(opDerive, Mechanism{Name: "ecdh"}, partner.Bytes())
	if err != nil {
		return nil, err
	}
	if want := (k.public.Curve.Params().BitSize + 7) / 8; len(secret) != want {
		return nil, fmt.Errorf("%w: shared secret of %d octets, want %d", ErrToken, len(secret), want)
	}
	return secret, nil
}

func (c *Client) ended() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.fault != nil
}
