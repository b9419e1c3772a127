package pbe

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors that PKCS #12 implementations have shared since 1999.
func TestPKCS12Key(t *testing.T) {
	sha1, _ := digestByID(oid.SHA1)
	for _, tt := range []struct {
		passphrase, salt string
		iterations       int
		purpose          byte
		want             string
	}{
		{"smeg", "0a58cf64530d823f", 1, forKey, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"},
		{"smeg", "0a58cf64530d823f", 1, forIV, "79993dfe048d3b76"},
		{"smeg", "642b99ab44fb4b1f", 1, forKey, "f3a95fec48d7711e985cfe67908c5ab79fa3d7c5caa5d966"},
		{"smeg", "642b99ab44fb4b1f", 1, forIV, "c0a38d64a79bea1d"},
		{"smeg", "3d83c0e4546ac140", 1, forMAC, "8d967d88f6caa9d714800ab3d48051d63f73a312"},
		{"queeg", "05dec959acff72f7", 1000, forKey, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"},
		{"queeg", "05dec959acff72f7", 1000, forIV, "11dedad7758d4860"},
		{"queeg", "1682c0fc5b3f7ec5", 1000, forKey, "483dd6e919d7de2e8e648ba8f862f3fbfbdc2bcb2c02957f"},
		{"queeg", "1682c0fc5b3f7ec5", 1000, forIV, "9d461d1b00355c50"},
		{"queeg", "263216fcc2fab31c", 1000, forMAC, "5ec4c7a80df652294c3925b6489a7ab857c83476"},
	} {
		want := unhex(t, tt.want)
		got := pkcs12Key(sha1, tt.purpose, bmpUTF16([]byte(tt.passphrase)), unhex(t, tt.salt), tt.iterations, len(want))
		if !bytes.Equal(got, want) {
			t.Errorf("%s %s purpose %d: %x, want %x", tt.passphrase, tt.salt, tt.purpose, got, want)
		}
	}
}

func TestWycheproofPBES2(t *testing.T) {
	for _, tt := range []struct {
		file        string
		prf, cipher oid.OID
	}{
		{"pbes2_hmacsha1_aes_128_test.json", oid.HMACWithSHA1, oid.AES128CBC},
		{"pbes2_hmacsha256_aes_256_test.json", oid.HMACSHA256, oid.AES256CBC},
	} {
		raw, err := os.ReadFile(testdata(t, "wycheproof", "testvectors_v1", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		var set struct {
			NumberOfTests int
			TestGroups    []struct {
				Tests []struct {
					TcID                        int
					Password, Salt, IV, Msg, Ct string
					IterationCount              int
					Result                      string
				}
			}
		}
		if err := json.Unmarshal(raw, &set); err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, g := range set.TestGroups {
			for _, tc := range g.Tests {
				done++
				alg := pbes2(t, tt.prf, tt.cipher, unhex(t, tc.Salt), tc.IterationCount, unhex(t, tc.IV))
				s, err := parseScheme(alg)
				if err != nil {
					t.Fatalf("%s %d: %v", tt.file, tc.TcID, err)
				}
				p := NewPassphrase(nil)
				plain, err := p.decrypt(s, unhex(t, tc.Password), unhex(t, tc.Ct))
				if ok := err == nil && bytes.Equal(plain, unhex(t, tc.Msg)); ok != (tc.Result == "valid") {
					t.Errorf("%s %d: result %s, got %x, %v", tt.file, tc.TcID, tc.Result, plain, err)
				}
			}
		}
		if done == 0 || done != set.NumberOfTests {
			t.Errorf("%s: ran %d of %d tests", tt.file, done, set.NumberOfTests)
		}
	}
}

func pbes2(t testing.TB, prf, cipher oid.OID, salt []byte, iterations int, iv []byte) oid.AlgorithmIdentifier {
	t.Helper()
	params, err := sequence(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, oid.PBKDF2)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(salt)
				b.AddASN1Int64(int64(iterations))
				oid.AlgorithmIdentifier{Algorithm: prf, Parameters: oid.Null}.Add(b)
			})
		})
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, cipher)
			b.AddASN1OctetString(iv)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return oid.AlgorithmIdentifier{Algorithm: oid.PBES2, Parameters: params}
}

func TestEncryptDecrypt(t *testing.T) {
	plain := []byte{0x30, 0x03, 0x02, 0x01, 0x07}
	for name, e := range map[string]Encryption{"PBES2": PBES2, "TripleDES": TripleDES} {
		for _, pass := range []string{"", "secret", "Zürich €", "key 🔑"} {
			alg, ct, err := NewPassphrase([]byte(pass)).Encrypt(rand.Reader, e, 100, plain)
			if err != nil {
				t.Fatal(err)
			}
			got, err := NewPassphrase([]byte(pass)).Decrypt(alg, ct)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s %q: %x, %v", name, pass, got, err)
			}
			if _, err := NewPassphrase([]byte(pass+"x")).Decrypt(alg, ct); !errors.Is(err, ErrPassphrase) {
				t.Errorf("%s %q: a wrong passphrase gives %v", name, pass, err)
			}
			info, err := Describe(alg)
			if err != nil || info.Iterations != 100 || info.Salt != SaltSize {
				t.Errorf("%s: described as %v, %v", name, info, err)
			}
		}
	}
}

func TestMAC(t *testing.T) {
	message := []byte("authenticated safe")
	macs := map[string]func(p *Passphrase) (MAC, error){
		"SHA-1":   func(p *Passphrase) (MAC, error) { return p.SumPKCS12(rand.Reader, oid.SHA1, 100, message) },
		"SHA-256": func(p *Passphrase) (MAC, error) { return p.SumPKCS12(rand.Reader, oid.SHA256, 100, message) },
		"SHA-512": func(p *Passphrase) (MAC, error) { return p.SumPKCS12(rand.Reader, oid.SHA512, 100, message) },
		"PBMAC1":  func(p *Passphrase) (MAC, error) { return p.SumPBMAC1(rand.Reader, 100, message) },
	}
	for name, sum := range macs {
		m, err := sum(NewPassphrase([]byte("secret")))
		if err != nil {
			t.Fatal(err)
		}
		if err := NewPassphrase([]byte("secret")).Verify(m, message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := NewPassphrase([]byte("Secret")).Verify(m, message); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: a wrong passphrase gives %v", name, err)
		}
		if err := NewPassphrase([]byte("secret")).Verify(m, []byte("altered")); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: an altered message gives %v", name, err)
		}
	}
}

// Files written without a passphrase, and by software that encoded one wrongly.
func TestPassphraseEncodings(t *testing.T) {
	message := []byte("authenticated safe")
	for name, tt := range map[string]struct{ passphrase, secret []byte }{
		"empty BMPString":    {nil, []byte{0, 0}},
		"no bytes":           {nil, nil},
		"surrogate pair":     {[]byte("🔑"), []byte{0xd8, 0x3d, 0xdd, 0x11, 0, 0}},
		"UTF-8 as Latin-1":   {[]byte("é"), []byte{0, 0xc3, 0, 0xa9, 0, 0}},
		"Latin-1 passphrase": {[]byte{0xe9}, []byte{0, 0xe9, 0, 0}},
	} {
		writer := &Passphrase{bmp: [][]byte{tt.secret}}
		m, err := writer.SumPKCS12(rand.Reader, oid.SHA256, 1, message)
		if err != nil {
			t.Fatal(err)
		}
		if err := NewPassphrase(tt.passphrase).Verify(m, message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	iv := make([]byte, 16)
	block := make([]byte, 16)
	over := pbes2(t, oid.HMACSHA256, oid.AES256CBC, []byte("saltsalt"), MaxIterations+1, iv)
	if _, err := NewPassphrase(nil).Decrypt(over, block); !errors.Is(err, ErrLimit) {
		t.Errorf("too many iterations: %v", err)
	}
	long := pbes2(t, oid.HMACSHA256, oid.AES256CBC, make([]byte, MaxSalt+1), 1, iv)
	if _, err := NewPassphrase(nil).Decrypt(long, block); !errors.Is(err, ErrLimit) {
		t.Errorf("too long a salt: %v", err)
	}
	for _, iterations := range []int{0, -1} {
		if _, err := Describe(pbes2(t, oid.HMACSHA256, oid.AES256CBC, nil, iterations, iv)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d iterations: %v", iterations, err)
		}
	}

	// The budget is of the passphrase, not of one derivation.
	p := NewPassphrase(nil)
	p.Limit(10)
	if _, err := p.Decrypt(pbes2(t, oid.HMACSHA256, oid.AES256CBC, nil, 11, iv), block); !errors.Is(err, ErrLimit) {
		t.Errorf("budget used up: %v", err)
	}
}

func scryptPBES2(t testing.TB, n, r, p int64, keyLength int64) oid.AlgorithmIdentifier {
	t.Helper()
	params, err := sequence(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, oid.Scrypt)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString([]byte("NaCl"))
				b.AddASN1Int64(n)
				b.AddASN1Int64(r)
				b.AddASN1Int64(p)
				if keyLength > 0 {
					b.AddASN1Int64(keyLength)
				}
			})
		})
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, oid.AES256CBC)
			b.AddASN1OctetString(make([]byte, 16))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return oid.AlgorithmIdentifier{Algorithm: oid.PBES2, Parameters: params}
}

func TestScrypt(t *testing.T) {
	// RFC 7914, Section 12: P="password", S="NaCl", N=1024, r=8, p=16; the
	// first 32 of the 64 bytes, which PBKDF2 gives for any length.
	s, err := parseScheme(scryptPBES2(t, 1024, 8, 16, 32))
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := s.derive([]byte("password"))
	want := unhex(t, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
	if err != nil || !bytes.Equal(key, want) {
		t.Errorf("scrypt gives %x, %v", key, err)
	}
	for name, tt := range map[string]struct {
		n, r, p, keyLength int64
		want               error
	}{
		"N not a power of two": {1000, 8, 1, 0, ErrMalformed},
		"N = 1":                {1, 8, 1, 0, ErrMalformed},
		"r = 0":                {1024, 0, 1, 0, ErrMalformed},
		"wrong key length":     {1024, 8, 1, 16, ErrMalformed},
		"memory":               {1 << 22, 8, 1, 0, ErrLimit},
		"huge N":               {1 << 62, 8, 1, 0, ErrLimit},
		"huge r":               {2, 1 << 62, 1, 0, ErrLimit},
		"huge p":               {2, 1, 1 << 62, 0, ErrLimit},
	} {
		if _, err := Describe(scryptPBES2(t, tt.n, tt.r, tt.p, tt.keyLength)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestPBMAC1Key(t *testing.T) {
	for keyLength, want := range map[int]error{0: ErrMalformed, 1: ErrMalformed, 19: ErrMalformed, 20: nil, 32: nil, 1025: ErrMalformed} {
		params, err := sequence(func(b *cryptobyte.Builder) {
			addPBKDF2(b, []byte("saltsalt"), 1, keyLength)
			oid.AlgorithmIdentifier{Algorithm: oid.HMACSHA256, Parameters: oid.Null}.Add(b)
		})
		if err != nil {
			t.Fatal(err)
		}
		m := MAC{Algorithm: oid.AlgorithmIdentifier{Algorithm: oid.PBMAC1, Parameters: params}}
		if _, err := m.Describe(); !errors.Is(err, want) {
			t.Errorf("key of %d bytes: %v, want %v", keyLength, err, want)
		}
	}
}

// FuzzDecrypt feeds algorithm identifiers. The budget is small, so that a
// count which passes the limits does not slow the search.
func FuzzDecrypt(f *testing.F) {
	add := func(alg oid.AlgorithmIdentifier) {
		der, err := alg.DER()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der, make([]byte, 32))
	}
	add(pbes2(f, oid.HMACWithSHA1, oid.AES128CBC, []byte("salt"), 2, make([]byte, 16)))
	add(scryptPBES2(f, 16, 1, 1, 0))
	for _, id := range []oid.OID{oid.PBEWithMD5DES, oid.PBEWithSHA1RC240, oid.PBEWithSHA1DES2, oid.PBEWithSHA1RC4128} {
		params, err := sequence(func(b *cryptobyte.Builder) {
			b.AddASN1OctetString([]byte("saltsalt"))
			b.AddASN1Int64(2)
		})
		if err != nil {
			f.Fatal(err)
		}
		add(oid.AlgorithmIdentifier{Algorithm: id, Parameters: params})
	}
	f.Fuzz(func(t *testing.T, der, ciphertext []byte) {
		s := cryptobyte.String(der)
		var alg oid.AlgorithmIdentifier
		if !oid.ReadAlgorithm(&s, &alg) {
			return
		}
		p := NewPassphrase([]byte("é"))
		p.Limit(1000)
		plain, err := p.Decrypt(alg, ciphertext)
		if err == nil && plain[0] != 0x30 {
			t.Fatalf("decrypted to %x", plain)
		}
		m := MAC{Algorithm: alg, Value: ciphertext, Salt: ciphertext, Iterations: len(ciphertext)}
		_ = p.Verify(m, der)
	})
}
