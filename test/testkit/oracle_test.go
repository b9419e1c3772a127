package testkit

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"

	"github.com/mailseal/mailseal/cms"
)

// rawRSA is a block under bob's public key, whatever the block is.
func rawRSA(pub *rsa.PublicKey, block []byte) []byte {
	m := new(big.Int).SetBytes(block)
	return m.Exp(m, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
}

// pkcs1Block is 00 kind PS 00 key (RFC 8017 §7.2.1).
func pkcs1Block(size int, kind byte, key []byte) []byte {
	block := append([]byte{0, kind}, bytes.Repeat([]byte{0xa5}, size-3-len(key))...)
	return append(append(block, 0), key...)
}

// oracleCases: a message that does not decrypt is answered in one way, whatever the cause (RFC 3218, CVE-2026-42768). The cases of a
// group differ in what an attacker varies and in nothing that the message says openly. All are AES-256-GCM, where a wrong key never
// decrypts by chance.
func (k *kit) oracleCases() {
	k.pkcs1Oracle()
	k.multiRecipientOracle()
	k.oaepOracle()
	k.agreementOracle()
	k.contentOracle()
}

// oracle adds a case of a group of answers that must be alike.
func (k *kit) oracle(group, name, comment string, der []byte, more ...outcome) {
	more = append([]outcome{refused(Decrypt), keys("bob"), alike("oracle-" + group)}, more...)
	k.mail("oracle/"+group+"-"+name, comment, fromAlice(pkcs7("authEnveloped-data", der)), more...)
	more = append(more, alike("oracle-"+group+"-cms"))
	k.add(Raw, "oracle/"+group+"-"+name+".cms", comment, der, more...)
}

// pkcs1Faults are the blocks that Bleichenbacher's attack and its descendants tell apart.
func (k *kit) pkcs1Faults() map[string][]byte {
	pub := k.world.bob.Certificate.PublicKey.(*rsa.PublicKey)
	size := pub.Size()
	key := bytes.Repeat([]byte{3}, 32)
	edit := func(f func(b []byte)) []byte {
		b := pkcs1Block(size, 2, key)
		f(b)
		return rawRSA(pub, b)
	}
	n := pub.N.FillBytes(make([]byte, size))
	return map[string][]byte{
		"conforming-other-key": rawRSA(pub, pkcs1Block(size, 2, key)),
		"kind-1":               rawRSA(pub, pkcs1Block(size, 1, key)),
		"kind-0":               rawRSA(pub, pkcs1Block(size, 0, key)),
		"first-octet":          edit(func(b []byte) { b[0] = 1 }),
		"no-separator":         edit(func(b []byte) { b[size-33] = 1 }),
		"zero-in-padding":      edit(func(b []byte) { b[5] = 0 }),
		"zero-behind-padding":  edit(func(b []byte) { b[10] = 0 }),
		"short-key":            rawRSA(pub, pkcs1Block(size, 2, key[:16])),
		"long-key":             rawRSA(pub, pkcs1Block(size, 2, append(slices.Clone(key), 1))),
		"no-key":               rawRSA(pub, pkcs1Block(size, 2, nil)),
		"zero":                 make([]byte, size),
		"one":                  rawRSA(pub, append(make([]byte, size-1), 1)),
		"minus-one":            new(big.Int).Sub(pub.N, big.NewInt(1)).FillBytes(make([]byte, size)),
		"modulus":              n,
		"above-modulus":        bytes.Repeat([]byte{0xff}, size),
		"too-short":            rawRSA(pub, pkcs1Block(size, 2, key))[:size-1],
		"too-long":             append([]byte{0}, rawRSA(pub, pkcs1Block(size, 2, key))...),
		"empty":                {},
	}
}

func (k *kit) pkcs1Oracle() {
	e, _ := k.gcm(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 12), []byte(letter))
	for name, sealed := range each(k, k.pkcs1Faults()) {
		c := *e
		c.infos = []*node{ktriOf(k.world.bob, sealed)}
		k.oracle("pkcs1", name, "RSA PKCS #1 v1.5: "+name, c.der(), twin("envelope/honest-aes256-gcm"))
	}
	c := *e
	c.ciphertext = slices.Clone(e.ciphertext)
	c.ciphertext[3] ^= 1
	k.oracle("pkcs1", "right-key-changed-content", "the key is right, the content was changed", c.der())
}

// multiRecipientOracle puts a probe beside a recipient entry that is right.
func (k *kit) multiRecipientOracle() {
	w := k.world
	key := bytes.Repeat([]byte{1}, 32)
	e, _ := k.gcm(key, bytes.Repeat([]byte{2}, 12), []byte(letter))
	good := k.ktri(w.bob, key)
	for name, sealed := range each(k, k.pkcs1Faults()) {
		probe := ktriOf(w.bob, sealed)
		c := *e
		c.infos = []*node{good, probe}
		comment := "the right entry, then a probe: " + name + " (CVE-2026-42768)"
		k.mail("oracle/probe-behind-"+name, comment, fromAlice(pkcs7("authEnveloped-data", c.der())), shown(Unsigned, MIME, letter), keys("bob"), alike("oracle-probe-behind"))
		c.infos = []*node{probe, good}
		k.oracle("probe-first", name, "a probe, then the right entry: "+name, c.der(), policy("a reader that tries every entry of its own gives the content, and then for every probe"))
	}
}

// oaepOracle is Manger's: the first octet of the block, or what is behind it.
func (k *kit) oaepOracle() {
	w := k.world
	pub := w.bob.Certificate.PublicKey.(*rsa.PublicKey)
	size := pub.Size()
	r, err := cms.NewRecipient(w.bob.Certificate, &cms.RecipientOptions{OAEP: crypto.SHA256})
	k.check(err)
	var b bytes.Buffer
	out, err := cms.Encrypt(&b, []*cms.Recipient{r}, &cms.EncryptOptions{Cipher: cms.AES256GCM})
	k.check(err)
	_, err = out.Write([]byte(letter))
	k.check(err)
	k.check(out.Close())
	k.opens("honest-oaep", "RSAES-OAEP with SHA-256", b.Bytes(), letter)
	high := append([]byte{1}, bytes.Repeat([]byte{0x5a}, size-1)...)
	low := append([]byte{0}, bytes.Repeat([]byte{0x5a}, size-1)...)
	for name, sealed := range each(k, map[string][]byte{
		"first-octet-not-zero": rawRSA(pub, high), "first-octet-zero": rawRSA(pub, low), "pkcs1-block": rawRSA(pub, pkcs1Block(size, 2, make([]byte, 32))),
		"zero": make([]byte, size), "above-modulus": bytes.Repeat([]byte{0xff}, size), "too-short": rawRSA(pub, low)[1:], "empty": {},
	}) {
		t := tree(b.Bytes())
		t.at(1, 0, 1, 0, 3).become(octets(sealed))
		k.oracle("oaep", name, "RSAES-OAEP: "+name, t.der(), twin("envelope/honest-oaep"))
	}
}

// agreementOracle varies the sender's point and the wrapped key.
func (k *kit) agreementOracle() {
	w := k.world
	der := k.encrypt(letter, &cms.EncryptOptions{Cipher: cms.AES256GCM}, w.bobEC)
	k.add(Raw, "envelope/honest-agreement.cms", "key agreement on P-256", der, decrypted(letter), keys("bob-ec"))
	originator, wrapped := []int{1, 0, 1, 0, 1, 0, 1}, []int{1, 0, 1, 0, -1, 0, 1}
	point := tree(der).at(originator...).body[1:]
	edit := func(p []byte, i int, with byte) []byte {
		c := slices.Clone(p)
		c[i] ^= with
		return c
	}
	other := w.eve.Certificate.PublicKey.(interface{ Bytes() ([]byte, error) })
	otherPoint, err := other.Bytes()
	k.check(err)
	key := tree(der).at(wrapped...).body
	for name, c := range each(k, map[string]struct{ point, key []byte }{
		"off-the-curve":   {edit(point, 64, 1), key},
		"other-point":     {otherPoint, key},
		"infinity":        {[]byte{0}, key},
		"zero":            {append([]byte{4}, make([]byte, 64)...), key},
		"above-prime":     {append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...), key},
		"cut":             {point[:40], key},
		"empty":           {nil, key},
		"form-unknown":    {edit(point, 0, 4^9), key},
		"key-flipped":     {point, edit(key, 0, 1)},
		"key-end":         {point, edit(key, len(key)-1, 1)},
		"key-cut":         {point, key[:len(key)-8]},
		"key-uneven":      {point, key[:len(key)-1]},
		"key-empty":       {point, nil},
		"key-of-zeroes":   {point, make([]byte, len(key))},
		"key-much-longer": {point, bytes.Repeat(key, 3)},
	}) {
		t := tree(der)
		t.at(originator...).become(primitive(3, append([]byte{0}, c.point...)))
		t.at(wrapped...).become(octets(c.key))
		k.oracle("agreement", name, "key agreement: "+name, t.der(), keys("bob-ec"), twin("envelope/honest-agreement.cms"))
	}
}

// contentOracle is Vaudenay's: padding, and what is behind it.
func (k *kit) contentOracle() {
	key, iv := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, aes.BlockSize)
	for i := range 16 {
		block := bytes.Repeat([]byte{0xee}, 2*aes.BlockSize)
		block[len(block)-1-i] ^= byte(i + 1)
		e := k.cbcUnpadded(key, iv, block)
		e.infos = []*node{k.ktri(k.world.bob, key)}
		k.oracle("padding", fmt.Sprintf("octet-%d", i), fmt.Sprintf("CBC without padding, octet %d from the end changed", i), e.der())
	}
	for _, n := range []int{2, 3, 5, 9, 16} {
		block := bytes.Repeat([]byte{0xee}, 2*aes.BlockSize)
		for i := range n {
			block[len(block)-1-i] = byte(n)
		}
		block[len(block)-n] ^= 1
		k.oracle("padding", fmt.Sprintf("almost-%d", n), fmt.Sprintf("CBC with a padding of %d of which one octet is wrong", n), k.cbcUnpadded(key, iv, block).der())
	}
}
