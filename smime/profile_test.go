package smime

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// cmsOf is the CMS object that a message consists of.
func cmsOf(t testing.TB, message string) []byte {
	t.Helper()
	_, body, _ := strings.Cut(message, "\r\n\r\n")
	der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestProfileSigns: what each profile writes into a signature, and that those who may not sign with it are refused.
func TestProfileSigns(t *testing.T) {
	w := newWorld(t)
	withRSA, elliptic := w.ca.Leaf("alice@example.com", testca.RSA2048), w.ca.Leaf("alice@example.com", testca.P256)
	for _, c := range []struct {
		profile   string
		leaf      *testca.Leaf
		algorithm string // "" if refused
		first     oid.OID
		gcm, oaep bool
	}{
		{"", withRSA, "RSA with SHA-256", oid.AES256CBC, false, false},
		{"compat", withRSA, "RSA with SHA-256", oid.AES256CBC, false, false},
		{"compat", elliptic, "ECDSA with SHA-256", oid.AES256CBC, false, false},
		{"modern", withRSA, "RSA with SHA-256", oid.AES256GCM, true, true},
		{"bdew", withRSA, "RSA-PSS with SHA-256", oid.AES256CBC, false, true},
		{"bdew", elliptic, "", "", false, false},
		{"pq", elliptic, "ECDSA with SHA-256", oid.MLKEM1024, true, true},
		{"legacy-decrypt", withRSA, "", "", false, false},
	} {
		o := &SignOptions{Signers: []*cms.Signer{signerOf(c.leaf)}, Profile: profile(t, c.profile), Opaque: true}
		if c.algorithm == "" {
			if err := Sign(io.Discard, strings.NewReader(plain), int64(len(plain)), o); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %v", c.profile, err)
			}
			continue
		}
		m := open(t, signMessage(t, plain, o), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		said := capabilities(m.Learned.Signers[0].Capabilities)
		if m.Verdict.Signers[0].Algorithm != c.algorithm || said[0].Algorithm != c.first || said.has(oid.AES256GCM) != c.gcm || (said.oaep() == crypto.SHA256) != c.oaep {
			t.Errorf("%s: %s, %v", c.profile, m.Verdict.Signers[0].Algorithm, said)
		}
		if !said.has(oid.AES128CBC) || said.has(oid.DES3CBC) || said.has(oid.RC2CBC) {
			t.Errorf("%s says %v", c.profile, said)
		}
	}
	if _, err := ParseProfile("paranoid"); err == nil || !strings.Contains(err.Error(), "legacy-decrypt") {
		t.Errorf("%v", err)
	}
}

// TestProfileWrites: what stands in the ciphertext, for a group of one of each kind.
func TestProfileWrites(t *testing.T) {
	w := newWorld(t)
	withRSA, elliptic, kem := w.ca.Leaf("r@example.com", testca.RSA2048), w.ca.Leaf("e@example.com", testca.P256), w.ca.Leaf("k@example.com", testca.MLKEM768)
	group := []Addressee{addressee("r@example.com", nil, withRSA), addressee("e@example.com", nil, elliptic), addressee("k@example.com", nil, kem)}
	for _, c := range []struct {
		profile string
		to      []Addressee
		cipher  oid.OID
		kinds   []string
	}{
		{"compat", group, oid.AES256CBC, []string{"kari ecdh-std-sha256-kdf", "kemri ML-KEM-768", "ktri rsaEncryption"}},
		{"modern", group, oid.AES256GCM, []string{"kari ecdh-std-sha256-kdf", "kemri ML-KEM-768", "ktri rsaEncryption"}},
		{"bdew", group[:1], oid.AES256CBC, []string{"ktri RSAES-OAEP"}},
		{"pq", group, oid.AES256CBC, []string{"kari ecdh-std-sha256-kdf", "kemri ML-KEM-768", "ktri rsaEncryption"}},
		{"pq", group[2:], oid.AES256GCM, []string{"kemri ML-KEM-768"}},
	} {
		options, err := PlanFor(c.to, w.policy(c.profile)).Options()
		if err != nil {
			t.Fatalf("%s: %v", c.profile, err)
		}
		var b bytes.Buffer
		if err := Encrypt(&b, strings.NewReader(plain), int64(len(plain)), options[0]); err != nil {
			t.Fatal(err)
		}
		if got := recipientsOf(t, b.String()); got.cipher != c.cipher || !slices.Equal(got.kinds, c.kinds) {
			t.Errorf("%s: %+v", c.profile, got)
		}
		for _, l := range []*testca.Leaf{withRSA, elliptic, kem}[3-len(c.to):] {
			if c.profile == "bdew" {
				l = withRSA
			}
			if m := open(t, b.String(), w.options(l)); !strings.Contains(content(t, m), "noon") {
				t.Errorf("%s: %s cannot read it", c.profile, l.Certificate.Subject)
			}
		}
	}
}

// TestProfileReads: Triple-DES is read with a warning unless the profile leaves it closed.
func TestProfileReads(t *testing.T) {
	w := newWorld(t)
	bob := w.ca.Leaf("bob@example.org", testca.RSA2048)
	message := tripleDES(t, bob, "Content-Type: text/plain\r\n\r\nsee you at noon.\r\n")
	for _, p := range Profiles() {
		o := w.options(bob)
		o.Profile = p
		m, err := Open(strings.NewReader(message), int64(len(message)), o)
		if p.refusesOld {
			if !errors.Is(err, ErrOldCipher) || m.Content() != nil || !strings.Contains(err.Error(), "des-ede3-cbc") {
				t.Errorf("%s: %v", p.Name, err)
			}
			continue
		}
		if err != nil || !strings.Contains(content(t, m), "noon") {
			t.Fatalf("%s: %v", p.Name, err)
		}
		wantWarning(t, m, "des-ede3-cbc is broken")
	}
	if err := Encrypt(io.Discard, strings.NewReader(plain), int64(len(plain)), &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob)}, Cipher: cms.Cipher(oid.DES3CBC)}); err == nil {
		t.Error("Triple-DES is written")
	}
}

// TestProfileBare: signatures without attributes are taken by legacy-decrypt alone.
func TestProfileBare(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.RSA2048)
	message := bareSignature(t, alice, crypto.SHA256, "Content-Type: text/plain\r\n\r\nHello\r\n")
	for _, p := range Profiles() {
		o := w.options()
		o.Profile = p
		want := Invalid
		if p.Name == "legacy-decrypt" {
			want = Valid
		}
		wantVerdict(t, open(t, message, o), want, CoverageWhole)
	}
}

// bareSignature is what programs of the time before signed attributes made: PKCS #1 v1.5 over the content itself.
func bareSignature(t testing.TB, l *testca.Leaf, hash crypto.Hash, content string) string {
	t.Helper()
	h := hash.New()
	h.Write([]byte(content))
	signature, err := l.Signer().Sign(nil, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	in := func(b *cryptobyte.Builder, tag asn1.Tag, f func(b *cryptobyte.Builder)) { b.AddASN1(tag, f) }
	name := map[crypto.Hash]oid.OID{crypto.MD5: oid.MD5, crypto.SHA1: oid.SHA1, crypto.SHA256: oid.SHA256}[hash]
	digest, encryption := cms.AlgorithmIdentifier{Algorithm: name, Parameters: oid.Null}, cms.AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}
	explicit := asn1.Tag(0).ContextSpecific().Constructed()
	in(&b, asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		in(b, explicit, func(b *cryptobyte.Builder) {
			in(b, asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				in(b, asn1.SET, digest.Add)
				in(b, asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					in(b, explicit, func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte(content)) })
				})
				in(b, explicit, func(b *cryptobyte.Builder) {
					b.AddBytes(l.Certificate.Raw)
					b.AddBytes(l.Chain[0].Raw)
				})
				in(b, asn1.SET, func(b *cryptobyte.Builder) {
					in(b, asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						in(b, asn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(l.Certificate.RawIssuer)
							b.AddASN1BigInt(l.Certificate.Serial)
						})
						digest.Add(b)
						encryption.Add(b)
						b.AddASN1OctetString(signature)
					})
				})
			})
		})
	})
	return armour("From: alice@example.com\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n", b.BytesOrPanic())
}

// tripleDES encrypts an entity as programs of the nineties did.
func tripleDES(t testing.TB, l *testca.Leaf, content string) string {
	t.Helper()
	key, iv := bytes.Repeat([]byte{1, 2, 4}, 8), make([]byte, des.BlockSize)
	block, err := des.NewTripleDESCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	pad := des.BlockSize - len(content)%des.BlockSize
	text := append([]byte(content), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, l.Certificate.PublicKey.(*rsa.PublicKey), key)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	tag0 := asn1.Tag(0).ContextSpecific()
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.EnvelopedData)
		b.AddASN1(tag0.Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(0)
						b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(l.Certificate.RawIssuer)
							b.AddASN1BigInt(l.Certificate.Serial)
						})
						cms.AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}.Add(b)
						b.AddASN1OctetString(sealed)
					})
				})
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						oid.Add(b, oid.DES3CBC)
						b.AddASN1OctetString(iv)
					})
					b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(text) })
				})
			})
		})
	})
	return armour("From: alice@example.com\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\n", b.BytesOrPanic())
}

// TestProfilesAreData: nobody can change a profile for others.
func TestProfilesAreData(t *testing.T) {
	before := profile(t, "").Capabilities()
	profile(t, "").Capabilities()[0].Algorithm = oid.DES3CBC
	Profiles()[0] = nil
	if !reflect.DeepEqual(profile(t, "").Capabilities(), before) {
		t.Error("changed")
	}
}
