package token

import (
	"crypto"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// decryptOAEP is RSAES-OAEP with a token that knows other digests than the sender
// chose (SHA-1 alone, very often): the token does RSA, and what is left is here.
func (k *rsaKey) decryptOAEP(ciphertext []byte, h, mgf crypto.Hash, label []byte) ([]byte, error) {
	if !h.Available() || !mgf.Available() || len(ciphertext) != k.public.Size() {
		return nil, fmt.Errorf("%w: decrypt", ErrToken)
	}
	block, err := k.do(opDecrypt, Mechanism{Name: "rsa-raw"}, ciphertext)
	if err != nil {
		return nil, err
	}
	if len(block) > k.public.Size() {
		return nil, fmt.Errorf("%w: decrypt", ErrToken)
	}
	// Some tokens leave leading zeros away.
	full := make([]byte, k.public.Size())
	copy(full[len(full)-len(block):], block)
	return decodeOAEP(full, h, mgf, label)
}

// decodeOAEP is EME-OAEP decoding (RFC 8017 §7.1.2, step 3). Whatever is wrong
// takes the same time and gives the same error: more would be Manger's oracle.
func decodeOAEP(block []byte, h, mgf crypto.Hash, label []byte) ([]byte, error) {
	size := h.Size()
	if len(block) < 2*size+2 {
		return nil, fmt.Errorf("%w: decrypt", ErrToken)
	}
	first, seed, data := block[0], block[1:1+size], block[1+size:]
	maskMGF1(seed, mgf, data)
	maskMGF1(data, mgf, seed)
	digest := h.New()
	digest.Write(label)
	good := subtle.ConstantTimeByteEq(first, 0) & subtle.ConstantTimeCompare(digest.Sum(nil), data[:size])

	// After lHash: zeros, a one, the message.
	looking, at := 1, 0
	for i := size; i < len(data); i++ {
		isZero := subtle.ConstantTimeByteEq(data[i], 0)
		isOne := subtle.ConstantTimeByteEq(data[i], 1)
		at = subtle.ConstantTimeSelect(looking&isOne, i, at)
		good &= subtle.ConstantTimeSelect(looking&(1^isOne)&(1^isZero), 0, 1)
		looking &= 1 ^ isOne
	}
	if good&(1^looking) != 1 {
		return nil, fmt.Errorf("%w: decrypt", ErrToken)
	}
	return data[at+1:], nil
}

// maskMGF1 combines out with MGF1 of seed (RFC 8017, Appendix B.2.1).
func maskMGF1(out []byte, h crypto.Hash, seed []byte) {
	for counter := uint32(0); len(out) > 0; counter++ {
		d := h.New()
		d.Write(seed)
		d.Write(binary.BigEndian.AppendUint32(nil, counter))
		n := subtle.XORBytes(out, out, d.Sum(nil))
		out = out[n:]
	}
}
