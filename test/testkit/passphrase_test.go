package testkit

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/pem"
	"math/big"

	"golang.org/x/crypto/scrypt"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/oid"
)

// secret opens what is under a passphrase here.
const secret = "testkit"

func passphrase(text string) outcome { return func(c *Case) { c.Passphrase = text } }

// passphraseCases ask for work and memory before anything is known of them: who sends such a file chooses the numbers.
func (k *kit) passphraseCases() {
	k.protectedKeys()
	k.protectedFiles()
	k.protectedMessages()
}

// underPassphrase is an EncryptedPrivateKeyInfo of alice with her certificate, in PEM.
func (k *kit) underPassphrase(kdf *node, key []byte) []byte {
	k.t.Helper()
	plain, err := identity.MarshalPrivateKey(k.world.alice.Key)
	k.check(err)
	n := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(n)}, n)...)
	block, err := aes.NewCipher(key)
	k.check(err)
	iv := bytes.Repeat([]byte{7}, aes.BlockSize)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	der := seq(algorithm(oid.PBES2, seq(kdf, algorithm(oid.AES256CBC, octets(iv)))), octets(plain)).der()
	return append(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), k.world.alice.Certificate.PEM()...)
}

func (k *kit) key(name, comment string, file []byte, outcomes ...outcome) {
	k.t.Helper()
	k.add(Key, name, comment, file, append(outcomes, passphrase(secret))...)
}

// readsKey is the outcome of a file that has alice's key.
func (k *kit) readsKey() outcome { return decrypted(string(k.world.alice.Certificate.RawSPKI)) }

var salt = []byte("sixteen octets!!")

func pbkdf2With(salt []byte, rest ...*node) *node {
	return algorithm(oid.PBKDF2, seq(append(append([]*node{octets(salt)}, rest...), algorithm(oid.HMACSHA256, null()))...))
}

func (k *kit) protectedKeys() {
	right, err := pbkdf2.Key(sha256.New, secret, salt, 2048, 32)
	k.check(err)
	k.key("honest/key-pbkdf2", "a private key under a passphrase, PBKDF2", k.underPassphrase(pbkdf2With(salt, integer(2048)), right), k.readsKey())
	huge := new(big.Int).Lsh(big.NewInt(1), 80)
	for name, kdf := range each(k, map[string]*node{
		"iterations":          pbkdf2With(salt, integer(1<<31-1)),
		"iterations-63-bits":  pbkdf2With(salt, integer(1<<63-1)),
		"iterations-80-bits":  pbkdf2With(salt, bigInteger(huge)),
		"iterations-negative": pbkdf2With(salt, integer(-2048)),
		"iterations-none":     pbkdf2With(salt, integer(0)),
		"salt":                pbkdf2With(make([]byte, 1<<20), integer(2048)),
		"key-length":          pbkdf2With(salt, integer(2048), integer(1<<31-1)),
		"key-length-63-bits":  pbkdf2With(salt, integer(2048), integer(1<<63-1)),
	}) {
		k.key("bomb/pbkdf2-"+name, "a private key whose PBKDF2 is out of all proportion: "+name, k.underPassphrase(kdf, right), refused(Decrypt), twin("honest/key-pbkdf2"))
	}
	right, err = scrypt.Key([]byte(secret), salt, 1<<14, 8, 1, 32)
	k.check(err)
	scryptWith := func(n, r, p int64) *node {
		return algorithm(oid.Scrypt, seq(octets(salt), integer(n), integer(r), integer(p)))
	}
	k.key("honest/key-scrypt", "a private key under a passphrase, scrypt with 16 MiB", k.underPassphrase(scryptWith(1<<14, 8, 1), right), k.readsKey())
	for name, kdf := range each(k, map[string]*node{
		"memory":           scryptWith(1<<30, 8, 1),
		"memory-by-blocks": scryptWith(1<<14, 1<<20, 1),
		"memory-overflow":  scryptWith(1<<62, 1<<30, 1),
		"work":             scryptWith(1<<14, 8, 1<<30),
		"cost-no-power":    scryptWith(1<<14+1, 8, 1),
		"nothing":          scryptWith(0, 0, 0),
		"negative":         scryptWith(-1<<14, -8, -1),
	}) {
		k.key("bomb/scrypt-"+name, "a private key whose scrypt is out of all proportion: "+name, k.underPassphrase(kdf, right), refused(Decrypt), twin("honest/key-scrypt"))
	}
}

// protectedFiles are PKCS #12: its own derivation and the code over the whole file are asked for before anything is opened.
func (k *kit) protectedFiles() {
	id, err := identity.Join(k.world.alice.Key, certificatesOf(k.world.alice))
	k.check(err)
	write := func(o identity.PKCS12Options) *node {
		o.Iterations = 2048
		der, err := identity.EncodePKCS12([]*identity.Identity{id}, []byte(secret), &o)
		k.check(err)
		return tree(der)
	}
	k.key("honest/pkcs12", "a PKCS #12 file", write(identity.PKCS12Options{}).der(), k.readsKey())
	huge := new(big.Int).Lsh(big.NewInt(1), 80)
	for name, n := range each(k, map[string]*node{"iterations": integer(1<<31 - 1), "iterations-80-bits": bigInteger(huge), "iterations-negative": integer(-1)}) {
		file := write(identity.PKCS12Options{})
		file.at(2, 2).become(n)
		k.key("bomb/pkcs12-mac-"+name, "a PKCS #12 file whose MAC is out of all proportion: "+name, file.der(), refused(Decrypt), twin("honest/pkcs12"))
		file = write(identity.PKCS12Options{PBMAC1: true})
		file.at(2, 0, 0, 1, 0, 1, 1).become(n)
		k.key("bomb/pbmac1-"+name, "a PKCS #12 file whose PBMAC1 is out of all proportion: "+name, file.der(), refused(Decrypt), twin("honest/pkcs12"))
	}
	old := seq(algorithm(oid.PBEWithSHA1DES3, seq(octets(salt[:8]), integer(1<<31-1))), octets(make([]byte, 64))).der()
	k.key("bomb/pkcs12-pbe", "a private key under the derivation of PKCS #12, with two thousand million iterations",
		append(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: old}), k.world.alice.Certificate.PEM()...), refused(Decrypt), twin("honest/pkcs12"))
}

// pwri is a recipient of those who know a passphrase (RFC 5652 section 6.2.4).
func pwri(iterations *node, sealed []byte) *node {
	return tagged(3, integer(0), tagged(0, pbkdf2With(salt, iterations).kids...), algorithm(oid.PWRIKEK, algorithm(oid.AES256CBC, octets(salt))), octets(sealed))
}

func (k *kit) protectedMessages() {
	r, err := cms.NewPasswordRecipient([]byte(secret))
	k.check(err)
	var b bytes.Buffer
	w, err := cms.Encrypt(&b, []*cms.Recipient{r}, &cms.EncryptOptions{Length: int64(len(letter)), HasLength: true})
	k.check(err)
	_, err = w.Write([]byte(letter))
	k.check(err)
	k.check(w.Close())
	k.add(Raw, "honest/passphrase.cms", "encrypted under a passphrase", b.Bytes(), decrypted(letter), passphrase(secret))
	key := bytes.Repeat([]byte{1}, 32)
	sealed := make([]byte, 48)
	for name, n := range each(k, map[string]*node{
		"iterations": integer(1<<31 - 1), "iterations-80-bits": bigInteger(new(big.Int).Lsh(big.NewInt(1), 80)), "iterations-negative": integer(-1),
	}) {
		e := k.cbc(key, bytes.Repeat([]byte{2}, 16), []byte(letter))
		e.infos = []*node{pwri(n, sealed)}
		k.add(Raw, "bomb/passphrase-"+name+".cms", "a passphrase whose PBKDF2 is out of all proportion: "+name, e.der(), refused(CMS), passphrase(secret), twin("honest/passphrase.cms"))
		e.infos = []*node{pwri(n, sealed), k.ktri(k.world.bob, key)}
		k.mail("bomb/passphrase-"+name, "beside bob a passphrase whose PBKDF2 is out of all proportion: "+name, fromAlice(pkcs7("enveloped-data", e.der())), shown(Unsigned, MIME, letter), keys("bob"))
	}
	// Authenticated: CBC would decrypt under the key that hides a failure once in 256.
	e, _ := k.gcm(key, bytes.Repeat([]byte{2}, 12), []byte(letter))
	e.infos = nil
	for range 1000 {
		e.infos = append(e.infos, pwri(integer(600_000), sealed))
	}
	k.add(Raw, "bomb/passphrase-many.cms", "a thousand entries for a passphrase, of which each takes its time", e.der(), refused(Decrypt), passphrase(secret), twin("honest/passphrase.cms"))
}
