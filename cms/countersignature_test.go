package cms

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// notary countersigns in the tests.
func notary(ca *testca.CA) *Signer { return signerOf(ca.Leaf("notary@example.com", testca.P384), ca) }

func amend(t testing.TB, message []byte, a *Amendment) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Amend(&out, bytes.NewReader(message), int64(len(message)), a); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func countersigned(t testing.TB, message []byte, s *Signer) []byte {
	t.Helper()
	return amend(t, message, &Amendment{
		Certificates: s.Certificates(),
		Unsigned: func(_ int, si *SignerInfo) (Attributes, error) {
			a, err := Countersign(si, s, &CountersignOptions{Time: testca.Now})
			return Attributes{a}, err
		},
	})
}

// Countersignatures are added to messages of every form, which keep it, and
// say by whom and when; the signatures stay what they were.
func TestCountersign(t *testing.T) {
	ca := testca.New(t)
	alice, bob := signerOf(ca.Leaf("alice@example.com", testca.RSA2048), ca), signerOf(ca.Leaf("bob@example.com", testca.P256), ca)
	n := notary(ca)
	for _, size := range []int{0, 10, 200, 70_000, holdSize + 1} {
		content := text(size)
		for name, o := range map[string]*SignOptions{"held": {}, "indefinite": {Indefinite: true}, "detached": {Detached: true}} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				message := signed(t, content, []*Signer{alice, bob}, o)
				again := countersigned(t, countersigned(t, message, n), alice)
				if o.Detached {
					o := &SignedOptions{Content: bytes.NewReader(content)}
					checkCountersigned(t, again, o, content, n, alice)
				} else {
					checkCountersigned(t, again, nil, content, n, alice)
				}
				if wasDER, isDER := bytes.Equal(message, mustDER(t, message)), bytes.Equal(again, mustDER(t, again)); wasDER != isDER {
					t.Errorf("DER before %v, after %v", wasDER, isDER)
				}
			})
		}
	}
}

func checkCountersigned(t *testing.T, message []byte, o *SignedOptions, content []byte, by ...*Signer) {
	t.Helper()
	got, s, err := verify(message, o)
	if err != nil || !bytes.Equal(got, content) || len(s.Signers()) != 2 || len(s.Certificates()) != 4 {
		t.Fatalf("%v, %d signers, %d certificates", err, len(s.Signers()), len(s.Certificates()))
	}
	for _, r := range s.Signers() {
		if len(r.Countersignatures) != len(by) {
			t.Fatalf("%d countersignatures", len(r.Countersignatures))
		}
		seen := map[string]bool{}
		for _, c := range r.Countersignatures {
			if c.Err != nil || !c.SigningTime.Equal(testca.Now) {
				t.Errorf("%v, %v", c.Err, c.SigningTime)
			}
			seen[c.Certificate.SHA256()] = true
		}
		for _, b := range by {
			if !seen[b.Certificate.SHA256()] {
				t.Errorf("%s did not countersign", b.Certificate.Subject)
			}
		}
	}
}

// What is added later leaves every octet of the signers' own in its place.
func TestAmendKeepsSigned(t *testing.T) {
	ca := testca.New(t)
	for name, seed := range readSeeds(t) {
		before := withoutUnsigned(t, seed)
		after := withoutUnsigned(t, countersigned(t, countersigned(t, seed, notary(ca)), notary(ca)))
		if !bytes.Equal(before, after) {
			t.Errorf("%s: a SignerInfo changed", name)
		}
		same := amend(t, seed, &Amendment{})
		if !bytes.Equal(same, seed) {
			t.Errorf("%s: adding nothing changes it", name)
		}
	}
}

// withoutUnsigned returns the octets of the signer infos up to their signatures.
func withoutUnsigned(t testing.TB, message []byte) (out []byte) {
	t.Helper()
	m := &amended{src: bytes.NewReader(message), size: int64(len(message)), limit: MaxMetadata}
	if err := m.walk(); err != nil {
		t.Fatal(err)
	}
	set, err := split(m.tail[len(m.tail)-1], MaxMetadata)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range set.children {
		info, err := split(raw, MaxMetadata)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range info.children {
			if e[0] != 0xa1 {
				out = append(out, e...)
			}
		}
	}
	return out
}

// unsignedValue adds values as countersignatures to the first signer.
func unsignedValue(t testing.TB, message []byte, certs []*cert.Certificate, values ...[]byte) SignerResult {
	t.Helper()
	message = amend(t, message, &Amendment{Certificates: certs, Unsigned: func(int, *SignerInfo) (Attributes, error) {
		return Attributes{{Type: oid.AttrCountersignature, Values: values}}, nil
	}})
	_, s, err := verify(message, nil)
	if err != nil || len(s.Signers()) != 1 || s.Signers()[0].Err != nil {
		t.Fatalf("a countersignature changed what the signer proves: %v", err)
	}
	return s.Signers()[0]
}

// rawSigner returns the SignerInfo of a message with one.
func rawSigner(t testing.TB, message []byte) []byte {
	t.Helper()
	m := &amended{src: bytes.NewReader(message), size: int64(len(message)), limit: MaxMetadata}
	if err := m.walk(); err != nil {
		t.Fatal(err)
	}
	set, err := split(m.tail[len(m.tail)-1], MaxMetadata)
	if err != nil || len(set.children) != 1 {
		t.Fatal(err)
	}
	return set.children[0]
}

func TestHostileCountersignatures(t *testing.T) {
	ca := testca.New(t)
	alice, n := signerOf(ca.Leaf("alice@example.com", testca.P256), ca), notary(ca)
	message := signed(t, []byte("text"), []*Signer{alice}, nil)
	_, s, _ := verify(message, nil)
	other := signed(t, []byte("another text"), []*Signer{alice}, nil)
	_, o, _ := verify(other, nil)
	ofAnother, err := Countersign(o.Signers()[0].SignerInfo, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	good, err := Countersign(s.Signers()[0].SignerInfo, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A content that is the signature's octets makes an ordinary signature with
	// the digest of a countersignature.
	overContent := rawSigner(t, signed(t, s.Signers()[0].Signature, []*Signer{n}, nil))
	altered := bytes.Clone(good.Values[0])
	altered[len(altered)-10] ^= 1
	for name, c := range map[string]struct {
		value []byte
		want  error
	}{
		"of another signature":         {ofAnother.Values[0], ErrSignature},
		"with a content type":          {overContent, ErrSignature},
		"altered":                      {altered, ErrSignature},
		"not a SignerInfo":             {[]byte{0x30, 0}, ErrMalformed},
		"without signed attributes":    {bareInfo(t, n, s.Signers()[0].Signature), ErrSignature},
		"by one who is not to be seen": {rawCountersignature(t, s.Signers()[0].SignerInfo, signerOf(ca.Leaf("eve@example.com", testca.P256), ca)), ErrNoCertificate},
	} {
		r := unsignedValue(t, message, []*cert.Certificate{n.Certificate}, c.value)
		if len(r.Countersignatures) != 1 || !errors.Is(r.Countersignatures[0].Err, c.want) {
			t.Errorf("%s: %+v", name, r.Countersignatures)
		}
	}
	// A wrong one does not hide a right one, nor the other way round.
	r := unsignedValue(t, message, []*cert.Certificate{n.Certificate}, good.Values[0], altered)
	if len(r.Countersignatures) != 2 || (r.Countersignatures[0].Err == nil) == (r.Countersignatures[1].Err == nil) {
		t.Errorf("%+v", r.Countersignatures)
	}
	// A countersignature is no signature of content.
	if _, _, err := verify(replaceSigner(t, message, good.Values[0], n), nil); !errors.Is(err, ErrSignature) {
		t.Errorf("countersignature as a signer: %v", err)
	}
	for name, build := range map[string]func() ([]byte, error){
		"no signedData": func() ([]byte, error) { return compressed(t, []byte("text"), nil), nil },
		"cut":           func() ([]byte, error) { return message[:len(message)-3], nil },
		"longer":        func() ([]byte, error) { return append(bytes.Clone(message), 0), nil },
	} {
		in, _ := build()
		if err := Amend(io.Discard, bytes.NewReader(in), int64(len(in)), &Amendment{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("amended a message that is %s: %v", name, err)
		}
	}
}

func rawCountersignature(t testing.TB, si *SignerInfo, s *Signer) []byte {
	t.Helper()
	a, err := Countersign(si, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.Values[0]
}

// bareInfo is a SignerInfo over octets alone, as RFC 5652 §11.4 permits and an
// attacker would have it, who chooses the octets.
func bareInfo(t testing.TB, s *Signer, octets []byte) []byte {
	t.Helper()
	scheme, err := s.scheme()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := scheme.Sign(random(nil), s.Key, octets)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(0x30, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addIssuerAndSerial(b, 0x30, s.Certificate)
		scheme.Digest.Add(b)
		scheme.Algorithm.Add(b)
		b.AddASN1OctetString(sig)
	})
	return b.BytesOrPanic()
}

// replaceSigner puts another SignerInfo in the place of the message's own.
func replaceSigner(t testing.TB, message, info []byte, s *Signer) []byte {
	t.Helper()
	message = amend(t, message, &Amendment{Certificates: []*cert.Certificate{s.Certificate}})
	m := &amended{src: bytes.NewReader(message), size: int64(len(message)), limit: MaxMetadata}
	if err := m.walk(); err != nil {
		t.Fatal(err)
	}
	set := element{}
	set.header.Number = 17
	m.tail[len(m.tail)-1] = set.with([][]byte{info})
	var out bytes.Buffer
	m.behind.replace(bytes.Join(m.tail, nil))
	if err := m.write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Countersignatures of countersignatures are followed down to the limit.
func TestCountersignatureDepth(t *testing.T) {
	ca := testca.New(t)
	alice, n := signerOf(ca.Leaf("alice@example.com", testca.P256), ca), notary(ca)
	message := signed(t, []byte("text"), []*Signer{alice}, nil)
	_, s, _ := verify(message, nil)
	value := nest(t, s.Signers()[0].SignerInfo, n, MaxCountersignatureDepth+2)
	r := unsignedValue(t, message, []*cert.Certificate{n.Certificate}, value)
	for depth := 1; ; depth++ {
		if len(r.Countersignatures) != 1 {
			t.Fatalf("depth %d: %d countersignatures", depth, len(r.Countersignatures))
		}
		r = r.Countersignatures[0]
		if depth > MaxCountersignatureDepth {
			if !errors.Is(r.Err, ErrUnsupported) || len(r.Countersignatures) != 0 {
				t.Errorf("depth %d: %v", depth, r.Err)
			}
			return
		}
		if r.Err != nil {
			t.Errorf("depth %d: %v", depth, r.Err)
		}
	}
}

// nest is a countersignature of si that is itself countersigned, and so on.
func nest(t testing.TB, si *SignerInfo, s *Signer, depth int) []byte {
	t.Helper()
	value := rawCountersignature(t, si, s)
	if depth == 1 {
		return value
	}
	own, err := parseSignerInfo(value)
	if err != nil {
		t.Fatal(err)
	}
	a := &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) {
		return Attributes{{Type: oid.AttrCountersignature, Values: [][]byte{nest(t, own, s, depth-1)}}}, nil
	}}
	if value, err = a.signer(0, value, MaxMetadata); err != nil {
		t.Fatal(err)
	}
	return value
}

// A message can hold any number of countersignatures; only so many are checked.
func TestTooManyCountersignatures(t *testing.T) {
	ca := testca.New(t)
	alice, n := signerOf(ca.Leaf("alice@example.com", testca.P256), ca), notary(ca)
	message := signed(t, []byte("text"), []*Signer{alice}, nil)
	_, s, _ := verify(message, nil)
	values := make([][]byte, MaxUnsignedSignatures+5)
	for i := range values {
		values[i] = rawCountersignature(t, s.Signers()[0].SignerInfo, n)
	}
	good := 0
	for _, c := range unsignedValue(t, message, []*cert.Certificate{n.Certificate}, values...).Countersignatures {
		if c.Err == nil {
			good++
		} else if !errors.Is(c.Err, ErrUnsupported) || !strings.Contains(c.Err.Error(), "more than 32") {
			t.Error(c.Err)
		}
	}
	if good != MaxUnsignedSignatures {
		t.Errorf("%d checked", good)
	}
}

// A countersignature over octets alone is taken where the caller takes such
// signatures, but never when the octets are attributes.
func TestBareCountersignature(t *testing.T) {
	ca := testca.New(t)
	n := notary(ca)
	u := unsigned{certificates: []*cert.Certificate{n.Certificate}, bare: true, left: 10}
	sum := sha256.Sum256([]byte("text"))
	over := &SignerResult{SignerInfo: &SignerInfo{Signature: sum[:]}}
	if r := u.countersignature(over, bareInfo(t, n, sum[:]), 1); r.Err != nil {
		t.Error(r.Err)
	}
	message := signed(t, []byte("text"), []*Signer{n}, nil)
	_, s, _ := verify(message, nil)
	// The signer's own attributes as the octets that it seems to countersign.
	over.Signature = s.Signers()[0].signedAttrs
	info := bareInfo(t, n, over.Signature)
	if r := u.countersignature(over, info, 1); !errors.Is(r.Err, ErrSignature) {
		t.Errorf("attributes passed off as a signature: %v", r.Err)
	}
}

// FuzzAmend: whatever comes in, what comes out has the same signers' octets.
func FuzzAmend(f *testing.F) {
	ca := testca.New(f)
	n := notary(ca)
	for _, seed := range readSeeds(f) {
		f.Add(seed)
		f.Add(countersigned(f, seed, n))
	}
	attr := Attribute{Type: oid.AttrCountersignature, Values: [][]byte{{5, 0}}}
	f.Fuzz(func(t *testing.T, message []byte) {
		var out bytes.Buffer
		a := &Amendment{Certificates: []*cert.Certificate{n.Certificate}, Unsigned: func(int, *SignerInfo) (Attributes, error) { return Attributes{attr}, nil }}
		if Amend(&out, bytes.NewReader(message), int64(len(message)), a) != nil {
			return
		}
		before, s, err := verify(message, nil)
		if err != nil {
			return
		}
		after, again, err := verify(out.Bytes(), nil)
		if err != nil || !bytes.Equal(before, after) || len(again.Signers()) != len(s.Signers()) {
			t.Fatalf("valid before, after: %v", err)
		}
		for _, r := range again.Signers() {
			if len(r.UnsignedAttrs.Values(oid.AttrCountersignature)) == 0 {
				t.Fatal("nothing was added")
			}
		}
	})
}
