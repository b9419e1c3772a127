package testkit

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// enveloped is an EnvelopedData or AuthEnvelopedData of which every field can be set.
type enveloped struct {
	typ         oid.OID
	infos       []*node
	contentType oid.OID
	cipher      *node // AlgorithmIdentifier
	ciphertext  []byte
	tail        []*node // what stands behind EncryptedContentInfo
}

func (e *enveloped) der() []byte {
	info := seq(identifier(e.contentType), e.cipher)
	if e.ciphertext != nil {
		info.kids = append(info.kids, primitive(0x80, e.ciphertext))
	}
	return contentInfo(e.typ, seq(append([]*node{integer(0), set(e.infos...), info}, e.tail...)...)).der()
}

// ktri encrypts a content key to l by PKCS #1 v1.5.
func (k *kit) ktri(l *testca.Leaf, key []byte) *node {
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, l.Certificate.PublicKey.(*rsa.PublicKey), key)
	k.check(err)
	return ktriOf(l, sealed)
}

func ktriOf(l *testca.Leaf, sealed []byte) *node {
	return seq(integer(0), seq(raw(l.Certificate.RawIssuer), bigInteger(l.Certificate.Serial)), algorithm(oid.RSAEncryption, null()), octets(sealed))
}

// cbc encrypts to bob under a key and a vector of the caller's.
func (k *kit) cbc(key, iv, plain []byte) *enveloped {
	n := aes.BlockSize - len(plain)%aes.BlockSize
	padded := append(slices.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	return k.cbcUnpadded(key, iv, padded)
}

func (k *kit) cbcUnpadded(key, iv, padded []byte) *enveloped {
	block, err := aes.NewCipher(key)
	k.check(err)
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, padded)
	return &enveloped{oid.EnvelopedData, []*node{k.ktri(k.world.bob, key)}, oid.Data, algorithm(oid.AES256CBC, octets(iv)), out, nil}
}

// gcmParameters are RFC 5084 §3.2.
func gcmParameters(nonce []byte, tag int64) *node { return seq(octets(nonce), integer(tag)) }

// gcm encrypts to bob. The tag is the whole of 16 octets.
func (k *kit) gcm(key, nonce, plain []byte) (e *enveloped, tag []byte) {
	sealed := k.sealGCM(key, nonce, plain)
	tag = sealed[len(plain):]
	return &enveloped{oid.AuthEnvelopedData, []*node{k.ktri(k.world.bob, key)}, oid.Data, algorithm(oid.AES256GCM, gcmParameters(nonce, 16)), sealed[:len(plain)], []*node{octets(tag)}}, tag
}

func (k *kit) sealGCM(key, nonce, plain []byte) []byte {
	block, err := aes.NewCipher(key)
	k.check(err)
	aead, err := cipher.NewGCMWithNonceSize(block, len(nonce))
	k.check(err)
	return aead.Seal(nil, nonce, plain, nil)
}

// both adds a case as raw CMS and as a mail, for bob.
func (k *kit) opens(name, comment string, der []byte, plain string, more ...outcome) {
	k.add(Raw, "envelope/"+name+".cms", comment, der, append([]outcome{decrypted(plain), keys("bob")}, more...)...)
	k.mail("envelope/"+name, comment, fromAlice(pkcs7("enveloped-data", der)), append([]outcome{shown(Unsigned, MIME, plain), keys("bob")}, more...)...)
}

func (k *kit) stays(name, comment string, l Layer, der []byte, more ...outcome) {
	more = append([]outcome{refused(l), keys("bob")}, more...)
	k.add(Raw, "envelope/"+name+".cms", comment, der, more...)
	k.mail("envelope/"+name, comment, fromAlice(pkcs7("enveloped-data", der)), more...)
}

// envelopeCases are row by row what was found in other programs in 2026: short tags, ciphers moved between content types.
func (k *kit) envelopeCases() {
	w := k.world
	for name, c := range each(k, map[string]cms.Cipher{"aes128-cbc": cms.AES128CBC, "aes256-cbc": cms.AES256CBC, "aes128-gcm": cms.AES128GCM, "aes256-gcm": cms.AES256GCM, "aes256-ccm": cms.AES256CCM, "chacha20": cms.ChaCha20Poly1305}) {
		k.opens("honest-"+name, "encrypted with "+name, k.encrypt(letter, &cms.EncryptOptions{Cipher: c}, w.bob), letter)
	}
	k.opens("honest-three-recipients", "encrypted to three", k.encrypt(letter, nil, w.carol, w.bob, w.bobEC), letter)
	k.opens("honest-derived-key", "the content key is bound to its cipher (RFC 9709)", k.encrypt(letter, &cms.EncryptOptions{Cipher: cms.AES256GCM, DeriveKey: true}, w.bob), letter)
	key, nonce := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 12)
	k.tagLengths(key, nonce)
	k.changedAEAD(key, nonce)
	k.downgrades(key, nonce)
	k.brokenCBC()
	k.recipientInfos()
}

func (k *kit) tagLengths(key, nonce []byte) {
	honest := twin("envelope/honest-aes256-gcm")
	e, tag := k.gcm(key, nonce, []byte(letter))
	with := func(declared int64, mac []byte) *enveloped {
		c := *e
		c.cipher = algorithm(oid.AES256GCM, gcmParameters(nonce, declared))
		c.tail = []*node{octets(mac)}
		return &c
	}
	for n := range 16 {
		name, comment := fmt.Sprintf("tag-%d", n), fmt.Sprintf("a right GCM tag of %d octets, declared as such (CVE-2026-34182)", n)
		if n >= 12 {
			k.opens(name, comment, with(int64(n), tag[:n]).der(), letter, policy("RFC 5084 permits 12 to 16 octets; a reader may ask for 16"))
			continue
		}
		k.stays(name, comment, CMS, with(int64(n), tag[:n]).der(), honest)
	}
	for _, n := range []int64{-1, 17, 32, 128, 1 << 40} {
		k.stays(fmt.Sprintf("tag-declared-%d", n), fmt.Sprintf("a tag declared with %d octets", n), CMS, with(n, tag).der(), honest)
	}
	k.stays("tag-4-declared-16", "four octets of tag where sixteen are declared", Decrypt, with(16, tag[:4]).der(), honest)
	k.stays("tag-16-declared-12", "sixteen octets of tag where twelve are declared", Decrypt, with(12, tag).der(), honest)
	k.stays("tag-12-declared-16", "twelve octets of tag where sixteen are declared", Decrypt, with(16, tag[:12]).der(), honest)
	k.stays("tag-empty", "an empty tag", Decrypt, with(16, nil).der(), honest)
	undeclared := *e
	undeclared.cipher = algorithm(oid.AES256GCM, seq(octets(nonce)))
	k.stays("tag-16-undeclared", "sixteen octets of tag where the DEFAULT is twelve", Decrypt, undeclared.der(), honest)
	undeclared.tail = []*node{octets(tag[:12])}
	k.opens("tag-12-undeclared", "the DEFAULT of twelve octets (RFC 5084, erratum 4774)", undeclared.der(), letter, policy("a reader may ask for 16"))
	// One octet is guessed after 256 attempts: here is the one that fits.
	forged := slices.Clone(e.ciphertext)
	forged[len(forged)-10] ^= 1
	block, err := aes.NewCipher(key)
	k.check(err)
	plain := make([]byte, len(forged))
	gcmStream(block, nonce).XORKeyStream(plain, forged)
	right := k.sealGCM(key, nonce, plain)[len(plain):]
	for _, n := range []int{1, 4, 8, 12} {
		c := with(int64(n), right[:n])
		c.ciphertext = forged
		if n < 12 {
			k.stays(fmt.Sprintf("forged-tag-%d", n), fmt.Sprintf("changed ciphertext with the tag of %d octets that fits", n), CMS, c.der(), honest)
		}
	}
}

// gcmStream is the counter mode inside GCM, for a nonce of 12 octets.
func gcmStream(block cipher.Block, nonce []byte) cipher.Stream {
	return cipher.NewCTR(block, binary.BigEndian.AppendUint32(slices.Clone(nonce), 2))
}

func (k *kit) changedAEAD(key, nonce []byte) {
	honest := twin("envelope/honest-aes256-gcm")
	e, tag := k.gcm(key, nonce, []byte(letter))
	change := func(f func(c *enveloped)) []byte {
		c := *e
		c.ciphertext, c.tail = slices.Clone(e.ciphertext), slices.Clone(e.tail)
		f(&c)
		return c.der()
	}
	flipped := func(i int) []byte {
		t := slices.Clone(tag)
		t[i] ^= 0x80
		return t
	}
	attrs := tagged(1, attribute(oid.AttrContentType, identifier(oid.Data)))
	for name, c := range each(k, map[string]struct {
		layer Layer
		f     func(c *enveloped)
	}{
		"first-octet":          {Decrypt, func(c *enveloped) { c.ciphertext[0] ^= 1 }},
		"last-octet":           {Decrypt, func(c *enveloped) { c.ciphertext[len(c.ciphertext)-1] ^= 1 }},
		"cut":                  {Decrypt, func(c *enveloped) { c.ciphertext = c.ciphertext[:20] }},
		"longer":               {Decrypt, func(c *enveloped) { c.ciphertext = append(c.ciphertext, 0) }},
		"ciphertext-empty":     {Decrypt, func(c *enveloped) { c.ciphertext = []byte{} }},
		"ciphertext-absent":    {CMS, func(c *enveloped) { c.ciphertext = nil }},
		"tag-first-bit":        {Decrypt, func(c *enveloped) { c.tail = []*node{octets(flipped(0))} }},
		"tag-last-octet":       {Decrypt, func(c *enveloped) { c.tail = []*node{octets(flipped(15))} }},
		"tag-zero":             {Decrypt, func(c *enveloped) { c.tail = []*node{octets(make([]byte, 16))} }},
		"tag-absent":           {CMS, func(c *enveloped) { c.tail = nil }},
		"tag-twice":            {CMS, func(c *enveloped) { c.tail = append(c.tail, c.tail...) }},
		"tag-null":             {CMS, func(c *enveloped) { c.tail = []*node{null()} }},
		"tag-constructed-null": {CMS, func(c *enveloped) { c.tail = []*node{seq(octets(tag))} }},
		"attributes-added":     {Decrypt, func(c *enveloped) { c.tail = []*node{attrs, octets(tag)} }},
		"attributes-empty":     {Decrypt, func(c *enveloped) { c.tail = []*node{tagged(1), octets(tag)} }},
		"attributes-of-other-type": {CMS, func(c *enveloped) {
			c.tail = []*node{tagged(1, attribute(oid.AttrContentType, identifier(oid.SignedData))), octets(tag)}
		}},
		"content-type-changed": {CMS, func(c *enveloped) { c.contentType = oid.SignedData }},
		"nonce-changed": {Decrypt, func(c *enveloped) {
			c.cipher = algorithm(oid.AES256GCM, gcmParameters(bytes.Repeat([]byte{3}, 12), 16))
		}},
		"nonce-empty":          {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, gcmParameters(nil, 16)) }},
		"nonce-short":          {Decrypt, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, gcmParameters(nonce[:8], 16)) }},
		"nonce-long":           {Decrypt, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, gcmParameters(make([]byte, 16), 16)) }},
		"nonce-of-60000":       {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, gcmParameters(make([]byte, 60_000), 16)) }},
		"parameters-absent":    {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM) }},
		"parameters-null":      {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, null()) }},
		"parameters-octets":    {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, octets(nonce)) }},
		"parameters-with-more": {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256GCM, seq(octets(nonce), integer(16), integer(1))) }},
		"other-key-size":       {Decrypt, func(c *enveloped) { c.cipher = algorithm(oid.AES128GCM, gcmParameters(nonce, 16)) }},
		"other-mode-ccm":       {Decrypt, func(c *enveloped) { c.cipher = algorithm(oid.AES256CCM, gcmParameters(nonce, 16)) }},
		"other-cipher-chacha":  {Decrypt, func(c *enveloped) { c.cipher = algorithm(oid.ChaCha20Poly1305, octets(nonce)) }},
		"as-enveloped":         {CMS, func(c *enveloped) { c.typ, c.tail = oid.EnvelopedData, nil }},
	}) {
		k.stays("gcm-"+name, "GCM: "+name, c.layer, change(c.f), honest)
	}
	k.opens("gcm-unauthenticated-attributes", "unauthenticated attributes change nothing", change(func(c *enveloped) {
		c.tail = append(c.tail, tagged(2, attribute("1.3.6.1.4.1.55555.2", null())))
	}), letter)
}

// downgrades decrypt a GCM ciphertext as another mode under its genuine key: who answers is a decryption oracle.
func (k *kit) downgrades(key, nonce []byte) {
	honest := twin("envelope/honest-aes256-gcm")
	plain := []byte(letter)
	plain = append(plain, bytes.Repeat([]byte("\r\n"), (aes.BlockSize-len(plain)%aes.BlockSize)/2+aes.BlockSize)...)
	plain = plain[:len(plain)/aes.BlockSize*aes.BlockSize]
	e, tag := k.gcm(key, nonce, plain)
	counter := binary.BigEndian.AppendUint32(slices.Clone(nonce), 2)
	const base = "2.16.840.1.101.3.4.1."
	for name, mode := range each(k, map[string]struct {
		o      oid.OID
		params *node
	}{
		"cbc": {oid.AES256CBC, octets(counter)}, "ecb": {base + "41", nil}, "ofb": {base + "43", octets(counter)}, "cfb": {base + "44", octets(counter)},
		"ctr-unregistered": {base + "49", octets(counter)}, "3des": {oid.DES3CBC, octets(nonce[:8])}, "rc2": {oid.RC2CBC, seq(integer(58), octets(nonce[:8]))}, "des": {oid.DESCBC, octets(nonce[:8])},
		"rc4": {oid.RC4, null()}, "null-cipher": {"1.2.840.113549.1.9.16.3.99", nil},
	}) {
		c := *e
		c.cipher = algorithm(mode.o)
		if mode.params != nil {
			c.cipher = algorithm(mode.o, mode.params)
		}
		c.tail = []*node{octets(tag)}
		k.stays("downgrade-"+name+"-in-authenveloped", "GCM ciphertext called "+name+", still in AuthEnvelopedData", CMS, c.der(), honest)
		for _, n := range []int{1, 4} {
			c.tail = []*node{octets(tag[:n])}
			k.stays(fmt.Sprintf("downgrade-%s-in-authenveloped-tag-%d", name, n), fmt.Sprintf("GCM ciphertext called %s, with a tag of %d octets", name, n), CMS, c.der(), honest)
		}
		c.typ, c.tail = oid.EnvelopedData, nil
		layer := Layer(CMS)
		if name == "cbc" || name == "3des" || name == "rc2" {
			layer = Decrypt // wrong padding; of 3des and rc2 the size of the key
		}
		if name == "3des" || name == "rc2" {
			continue // a key of another size is replaced by a random one, which fits in one of 256 times
		}
		k.stays("downgrade-"+name+"-in-enveloped", "GCM ciphertext called "+name+" in EnvelopedData (Strenzke and Roth; RFC 9709)", layer, c.der(), honest)
	}
	k.derivedKeyDowngrade(nonce)
}

// derivedKeyDowngrade: where the key is bound to the cipher, even a padding that fits gives nothing away.
func (k *kit) derivedKeyDowngrade(nonce []byte) {
	honest := twin("envelope/honest-derived-key")
	secret := bytes.Repeat([]byte{5}, 32)
	inner := algorithm(oid.AES256GCM, gcmParameters(nonce, 16))
	key, err := hkdf.Key(sha256.New, secret, []byte("The Cryptographic Message Syntax"), string(inner.der()), 32)
	k.check(err)
	e, _ := k.gcm(key, nonce, []byte(letter))
	e.infos = []*node{k.ktri(k.world.bob, secret)}
	e.cipher = algorithm(oid.CEKHKDFSHA256, inner)
	k.opens("derived-key", "a content key that is bound to its cipher", e.der(), letter)
	e.cipher = inner
	k.stays("derived-key-stripped", "the binding taken away", Decrypt, e.der(), honest)
	e.cipher = algorithm(oid.CEKHKDFSHA256, algorithm(oid.AES256GCM, gcmParameters(nonce, 12)))
	k.stays("derived-key-other-parameters", "bound to other parameters", Decrypt, e.der(), honest)
	e.cipher = algorithm(oid.CEKHKDFSHA256, algorithm(oid.CEKHKDFSHA256, inner))
	k.stays("derived-key-twice", "bound twice", CMS, e.der(), honest)
	e.cipher = algorithm(oid.CEKHKDFSHA256)
	k.stays("derived-key-of-nothing", "bound to nothing", CMS, e.der(), honest)
}

func (k *kit) brokenCBC() {
	honest := twin("envelope/cbc")
	key, iv := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)
	k.opens("cbc", "CBC under a known key", k.cbc(key, iv, []byte(letter)).der(), letter)
	long := bytes.Repeat([]byte("0123456789abcdef"), 4)
	with := func(end ...byte) []byte { return append(slices.Clone(long[:len(long)-len(end)]), end...) }
	for name, padded := range each(k, map[string][]byte{
		"padding-0": with(0), "padding-17": with(17), "padding-255": with(255), "padding-uneven": with(1, 3, 3), "padding-2-1": with(2, 1, 2), "padding-first-wrong": with(append([]byte{9}, bytes.Repeat([]byte{16}, 15)...)...),
	}) {
		k.stays("cbc-"+name, "CBC: "+name, Decrypt, k.cbcUnpadded(key, iv, padded).der(), honest, alike("cbc-padding-"))
	}
	good := k.cbc(key, iv, []byte(letter))
	change := func(f func(c *enveloped)) []byte {
		c := *good
		f(&c)
		return c.der()
	}
	for name, c := range each(k, map[string]struct {
		layer Layer
		f     func(c *enveloped)
	}{
		"uneven":             {Decrypt, func(c *enveloped) { c.ciphertext = c.ciphertext[:len(c.ciphertext)-1] }},
		"one-octet":          {Decrypt, func(c *enveloped) { c.ciphertext = c.ciphertext[:1] }},
		"empty":              {Decrypt, func(c *enveloped) { c.ciphertext = []byte{} }},
		"absent":             {CMS, func(c *enveloped) { c.ciphertext = nil }},
		"vector-short":       {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256CBC, octets(iv[:15])) }},
		"vector-long":        {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256CBC, octets(append(slices.Clone(iv), 0))) }},
		"vector-empty":       {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256CBC, octets(nil)) }},
		"vector-absent":      {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256CBC) }},
		"vector-null":        {CMS, func(c *enveloped) { c.cipher = algorithm(oid.AES256CBC, null()) }},
		"in-authenveloped":   {CMS, func(c *enveloped) { c.typ, c.tail = oid.AuthEnvelopedData, []*node{octets(make([]byte, 16))} }},
		"tag-behind":         {CMS, func(c *enveloped) { c.tail = []*node{octets(make([]byte, 16))} }},
		"content-type-other": {CMS, func(c *enveloped) { c.contentType = oid.SignedData }},
	}) {
		if name == "content-type-other" {
			k.mail("envelope/cbc-"+name, "CBC: "+name, fromAlice(pkcs7("enveloped-data", change(c.f))), refused(CMS), keys("bob"))
			continue
		}
		k.stays("cbc-"+name, "CBC: "+name, c.layer, change(c.f), honest)
	}
	k.opens("cbc-unprotected-attributes", "unprotected attributes change nothing", change(func(c *enveloped) { c.tail = []*node{tagged(1, attribute("1.3.6.1.4.1.55555.2", null()))} }), letter)
}

func (k *kit) recipientInfos() {
	w := k.world
	key, iv := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)
	good := k.cbc(key, iv, []byte(letter))
	with := func(infos ...*node) []byte {
		c := *good
		c.infos = infos
		return c.der()
	}
	mine, other := k.ktri(w.bob, key), k.ktri(w.carol, key)
	k.opens("recipient-second", "the second recipient is bob", with(other, mine), letter)
	k.opens("recipient-twice", "bob twice", with(mine, mine), letter)
	change := func(f func(i *node)) *node {
		i := mine.clone()
		f(i)
		return i
	}
	for name, c := range each(k, map[string]struct {
		layer Layer
		infos []*node
	}{
		"none":               {Decrypt, nil},
		"other":              {Decrypt, []*node{other}},
		"serial-other":       {Decrypt, []*node{change(func(i *node) { i.at(1, 1).become(integer(4711)) })}},
		"issuer-other":       {Decrypt, []*node{change(func(i *node) { i.at(1, 0).become(raw(w.root.Certificate.RawSubject)) })}},
		"kind-unknown":       {CMS, []*node{tagged(9, integer(0))}},
		"ori-unknown":        {Decrypt, []*node{tagged(4, identifier("1.3.6.1.4.1.55555.5"), null())}},
		"empty":              {CMS, []*node{seq()}},
		"without-key":        {CMS, []*node{change(func(i *node) { i.drop(3) })}},
		"without-algorithm":  {CMS, []*node{change(func(i *node) { i.drop(2) })}},
		"without-name":       {CMS, []*node{change(func(i *node) { i.drop(1) })}},
		"with-more":          {CMS, []*node{change(func(i *node) { i.kids = append(i.kids, null()) })}},
		"algorithm-unknown":  {CMS, []*node{change(func(i *node) { i.at(2).become(algorithm("1.3.6.1.4.1.55555.6")) })}},
		"oaep-no-parameters": {CMS, []*node{change(func(i *node) { i.at(2).become(algorithm(oid.RSAESOAEP)) })}},
		"oaep-null":          {CMS, []*node{change(func(i *node) { i.at(2).become(algorithm(oid.RSAESOAEP, null())) })}},
		"oaep-source-absent": {CMS, []*node{change(func(i *node) { i.at(2).become(algorithm(oid.RSAESOAEP, seq(tagged(2, algorithm(oid.PSpecified))))) })}},
		"kari-empty":         {CMS, []*node{tagged(1)}},
		"kari-no-keys":       {CMS, []*node{tagged(1, integer(3), tagged(0, tagged(1, algorithm(oid.ECPublicKey), primitive(3, []byte{0, 4}))), algorithm(oid.ECDHStdSHA256KDF), seq())}},
		"pwri-no-kdf":        {Decrypt, []*node{tagged(3, integer(0), algorithm(oid.PWRIKEK, algorithm(oid.AES256CBC, octets(iv))), octets(make([]byte, 48)))}},
		"pwri-stream-cipher": {Decrypt, []*node{tagged(3, integer(0), algorithm(oid.PWRIKEK, algorithm(oid.RC4, null())), octets(make([]byte, 48)))}},
		"negative-serial":    {Decrypt, []*node{change(func(i *node) { i.at(1, 1).become(bigInteger(new(big.Int).Neg(w.bob.Certificate.Serial))) })}},
	}) {
		k.stays("recipients-"+name, "recipientInfos: "+name, c.layer, with(c.infos...), twin("envelope/recipient-second"))
	}
}
