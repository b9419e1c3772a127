package pbe

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"fmt"
	"hash"
	"math"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"

	"github.com/mailseal/mailseal/internal/oid"
)

// encoding says how a passphrase becomes bytes.
type encoding int

const (
	utf8Text  encoding = iota // PKCS #5: the text's bytes
	bmpString                 // PKCS #12: UTF-16 with a terminating NUL
)

// scheme is a parsed AlgorithmIdentifier: from secret to key, iv and cipher.
type scheme struct {
	info     Info
	encoding encoding
	work     int // iterations that derive takes
	derive   func(secret []byte) (key, iv []byte, err error)
	cipher   blockCipher

	same string // two schemes of PBES2 with the same one derive the same key
	iv   []byte // of PBES2
}

func parseScheme(alg oid.AlgorithmIdentifier) (*scheme, error) {
	switch alg.Algorithm {
	case oid.PBES2:
		return parsePBES2(alg.Parameters)
	case oid.PBEWithMD5DES:
		return parsePBES1(alg.Parameters, "MD5", newMD5, singleDES())
	case pbeWithMD5RC2:
		return parsePBES1(alg.Parameters, "MD5", newMD5, rc2CBC(64))
	case pbeWithSHA1DES:
		return parsePBES1(alg.Parameters, "SHA-1", sha1.New, singleDES())
	case pbeWithSHA1RC2:
		return parsePBES1(alg.Parameters, "SHA-1", sha1.New, rc2CBC(64))
	}
	if c, ok := pkcs12Cipher(alg.Algorithm); ok {
		return parsePKCS12(alg.Parameters, c)
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsupported, alg.Algorithm.Name())
}

// PBES1 of RFC 8018, Appendix A.3, beside oid.PBEWithMD5DES.
const (
	pbeWithMD5RC2  oid.OID = "1.2.840.113549.1.5.6"
	pbeWithSHA1DES oid.OID = "1.2.840.113549.1.5.10"
	pbeWithSHA1RC2 oid.OID = "1.2.840.113549.1.5.11"
)

// pkcs12Cipher is the table of RFC 7292, Appendix C.
func pkcs12Cipher(id oid.OID) (blockCipher, bool) {
	switch id {
	case oid.PBEWithSHA1RC4128:
		return rc4Stream(128), true
	case oid.PBEWithSHA1RC440:
		return rc4Stream(40), true
	case oid.PBEWithSHA1DES3:
		return tripleDES(), true
	case oid.PBEWithSHA1DES2:
		return twoKeyTripleDES(), true
	case oid.PBEWithSHA1RC2128:
		return rc2CBC(128), true
	case oid.PBEWithSHA1RC240:
		return rc2CBC(40), true
	}
	return blockCipher{}, false
}

// parsePKCS12 reads pkcs-12PbeParams (RFC 7292, Appendix C).
func parsePKCS12(params []byte, c blockCipher) (*scheme, error) {
	salt, iterations, err := readSaltAndIterations(params)
	if err != nil {
		return nil, err
	}
	d, _ := digestByID(oid.SHA1)
	return &scheme{
		info:     Info{"PKCS #12", "PKCS #12 with SHA-1", c.name, iterations, len(salt)},
		encoding: bmpString,
		work:     iterations * (d.blocks(c.keySize) + d.blocks(c.ivSize)),
		derive: func(secret []byte) (key, iv []byte, err error) {
			key = pkcs12Key(d, forKey, secret, salt, iterations, c.keySize)
			return key, pkcs12Key(d, forIV, secret, salt, iterations, c.ivSize), nil
		},
		cipher: c,
	}, nil
}

// parsePBES1 reads PBEParameter (RFC 8018, Appendix A.3).
func parsePBES1(params []byte, hashName string, newHash func() hash.Hash, c blockCipher) (*scheme, error) {
	salt, iterations, err := readSaltAndIterations(params)
	if err != nil {
		return nil, err
	}
	return &scheme{
		info: Info{"PBES1", "PBKDF1 with " + hashName, c.name, iterations, len(salt)},
		work: iterations,
		derive: func(secret []byte) (key, iv []byte, err error) {
			dk := pbkdf1(newHash(), secret, salt, iterations, 16)
			return dk[:8], dk[8:], nil
		},
		cipher: c,
	}, nil
}

func readSaltAndIterations(params []byte) (salt []byte, iterations int, err error) {
	s := cryptobyte.String(params)
	var seq, octets cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1(&octets, asn1.OCTET_STRING) ||
		!seq.ReadASN1Integer(&iterations) || !seq.Empty() {
		return nil, 0, fmt.Errorf("%w: salt and iteration count", ErrMalformed)
	}
	return octets, iterations, checkCost(octets, iterations)
}

func checkCost(salt []byte, iterations int) error {
	switch {
	case iterations < 1:
		return fmt.Errorf("%w: %d iterations", ErrMalformed, iterations)
	case iterations > MaxIterations:
		return fmt.Errorf("%w: %d iterations, at most %d are allowed", ErrLimit, iterations, MaxIterations)
	case len(salt) > MaxSalt:
		return fmt.Errorf("%w: salt of %d bytes, at most %d are allowed", ErrLimit, len(salt), MaxSalt)
	}
	return nil
}

// parsePBES2 reads PBES2-params (RFC 8018, Appendix A.4).
func parsePBES2(params []byte) (*scheme, error) {
	s := cryptobyte.String(params)
	var seq cryptobyte.String
	var kdfID, cipherID oid.AlgorithmIdentifier
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!oid.ReadAlgorithm(&seq, &kdfID) || !oid.ReadAlgorithm(&seq, &cipherID) || !seq.Empty() {
		return nil, fmt.Errorf("%w: PBES2", ErrMalformed)
	}
	c, iv, err := parseCipher(cipherID)
	if err != nil {
		return nil, err
	}
	k, err := parseKDF(kdfID, c.keySize)
	if err != nil {
		return nil, err
	}
	return &scheme{
		info: Info{"PBES2", k.name, c.name, k.iterations, len(k.salt)},
		work: k.work,
		derive: func(secret []byte) (key, _ []byte, err error) {
			key, err = k.key(secret)
			return key, iv, err
		},
		cipher: c,
		same:   string(kdfID.Algorithm) + " " + strconv.Itoa(c.keySize) + " " + string(kdfID.Parameters),
		iv:     iv,
	}, nil
}

// parseCipher reads an encryption scheme of RFC 8018, Appendix B.2.
func parseCipher(alg oid.AlgorithmIdentifier) (c blockCipher, iv []byte, err error) {
	switch alg.Algorithm {
	case oid.AES128CBC:
		c = aesCBC(128)
	case oid.AES192CBC:
		c = aesCBC(192)
	case oid.AES256CBC:
		c = aesCBC(256)
	case oid.DES3CBC:
		c = tripleDES()
	case oid.DESCBC:
		c = singleDES()
	case oid.RC2CBC:
		return parseRC2(alg.Parameters)
	default:
		return c, nil, fmt.Errorf("%w: cipher %s in PBES2", ErrUnsupported, alg.Algorithm.Name())
	}
	s := cryptobyte.String(alg.Parameters)
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, asn1.OCTET_STRING) || !s.Empty() || len(octets) != c.ivSize {
		return c, nil, fmt.Errorf("%w: initialization vector of %s", ErrMalformed, c.name)
	}
	return c, octets, nil
}

// parseRC2 reads RC2-CBC-Parameter (RFC 8018, Appendix B.2.3).
func parseRC2(params []byte) (c blockCipher, iv []byte, err error) {
	s := cryptobyte.String(params)
	var seq, octets cryptobyte.String
	version := 0
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1Integer(&version) ||
		!seq.ReadASN1(&octets, asn1.OCTET_STRING) || !seq.Empty() || len(octets) != 8 {
		return c, nil, fmt.Errorf("%w: RC2-CBC", ErrMalformed)
	}
	switch version {
	case 160:
		c = rc2CBC(40)
	case 120:
		c = rc2CBC(64)
	case 58:
		c = rc2CBC(128)
	default:
		return c, nil, fmt.Errorf("%w: RC2 version %d", ErrUnsupported, version)
	}
	return c, octets, nil
}

// kdf is a parsed key derivation function.
type kdf struct {
	name       string
	salt       []byte
	iterations int // scrypt: N
	keyLength  int // as stated; 0 when it is not
	work       int
	key        func(secret []byte) ([]byte, error)
}

// parseKDF reads a key derivation function for a key of keySize bytes, or, when
// keySize is 0, of the length that the parameters state.
func parseKDF(alg oid.AlgorithmIdentifier, keySize int) (*kdf, error) {
	switch alg.Algorithm {
	case oid.PBKDF2:
		return parsePBKDF2(alg.Parameters, keySize)
	case oid.Scrypt:
		return parseScrypt(alg.Parameters, keySize)
	}
	return nil, fmt.Errorf("%w: key derivation %s", ErrUnsupported, alg.Algorithm.Name())
}

// parsePBKDF2 reads PBKDF2-params (RFC 8018, Appendix A.2).
func parsePBKDF2(params []byte, keySize int) (*kdf, error) {
	s := cryptobyte.String(params)
	var seq, salt cryptobyte.String
	k := &kdf{}
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1(&salt, asn1.OCTET_STRING) || !seq.ReadASN1Integer(&k.iterations) ||
		!readKeyLength(&seq, &k.keyLength) {
		return nil, fmt.Errorf("%w: PBKDF2", ErrMalformed)
	}
	prf := oid.AlgorithmIdentifier{Algorithm: oid.HMACWithSHA1} // the DEFAULT
	if !seq.Empty() && (!oid.ReadAlgorithm(&seq, &prf) || !seq.Empty()) {
		return nil, fmt.Errorf("%w: PBKDF2 pseudorandom function", ErrMalformed)
	}
	d, ok := digestByHMAC(prf.Algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: PBKDF2 with %s", ErrUnsupported, prf.Algorithm.Name())
	}
	n, err := chooseKeySize(k.keyLength, keySize)
	if err != nil {
		return nil, err
	}
	k.name, k.salt, k.work = "PBKDF2 with HMAC-"+d.name, salt, k.iterations*d.blocks(n)
	k.key = func(secret []byte) ([]byte, error) {
		return pbkdf2.Key(d.new, string(secret), k.salt, k.iterations, n)
	}
	return k, checkCost(k.salt, k.iterations)
}

// readKeyLength reads the OPTIONAL keyLength that PBKDF2 and scrypt share.
func readKeyLength(seq *cryptobyte.String, n *int) bool {
	if !seq.PeekASN1Tag(asn1.INTEGER) {
		return true
	}
	return seq.ReadASN1Integer(n) && *n > 0
}

// maxMACKey bounds a stated key length: no HMAC gains from more.
const maxMACKey = 1024

func chooseKeySize(stated, needed int) (int, error) {
	switch {
	case needed == 0 && stated > 0 && stated <= maxMACKey:
		return stated, nil
	case needed > 0 && (stated == 0 || stated == needed):
		return needed, nil
	}
	return 0, fmt.Errorf("%w: derived key of %d bytes", ErrMalformed, stated)
}

// parseScrypt reads scrypt-params (RFC 7914, Section 7.1).
func parseScrypt(params []byte, keySize int) (*kdf, error) {
	s := cryptobyte.String(params)
	var seq, salt cryptobyte.String
	var n, r, p int
	k := &kdf{name: "scrypt"}
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadASN1(&salt, asn1.OCTET_STRING) ||
		!seq.ReadASN1Integer(&n) || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&p) ||
		!readKeyLength(&seq, &k.keyLength) || !seq.Empty() {
		return nil, fmt.Errorf("%w: scrypt", ErrMalformed)
	}
	size, err := chooseKeySize(k.keyLength, keySize)
	if err != nil {
		return nil, err
	}
	if n < 2 || n&(n-1) != 0 || r < 1 || p < 1 {
		return nil, fmt.Errorf("%w: scrypt with N=%d r=%d p=%d", ErrMalformed, n, r, p)
	}
	if len(salt) > MaxSalt || n > math.MaxInt32 || r > MaxScryptMemory/128/n || p > MaxScryptWork/n/r {
		return nil, fmt.Errorf("%w: scrypt with N=%d r=%d p=%d", ErrLimit, n, r, p)
	}
	// One unit of N*r hashes 128 bytes twice over with Salsa20/8: about as
	// long as one iteration of PBKDF2.
	k.salt, k.iterations, k.work = salt, n, n*r*p
	k.key = func(secret []byte) ([]byte, error) { return scrypt.Key(secret, k.salt, n, r, p, size) }
	return k, nil
}
