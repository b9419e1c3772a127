package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

const testPolicy OID = "1.3.6.1.4.1.99999.1"

// timeStamping makes a certificate's only extended key usage critical
// timeStamping (RFC 3161 §2.3).
var timeStamping = testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08"))

func authority(ca *testca.CA, kind testca.Kind) *TimestampAuthority {
	leaf := ca.Leaf("", kind, timeStamping, testca.KeyUsage(x509.KeyUsageDigitalSignature))
	return &TimestampAuthority{Signer: signerOf(leaf, ca), Policy: testPolicy, Accuracy: 1500 * time.Millisecond}
}

func (a *TimestampAuthority) stamp(request []byte) ([]byte, error) {
	return a.Respond(request, big.NewInt(77), testca.Now)
}

func TestTimestampedSignature(t *testing.T) {
	ca := testca.New(t)
	alice, bob := signerOf(ca.Leaf("alice@example.com", testca.P256), ca), signerOf(ca.Leaf("bob@example.com", testca.RSA2048), ca)
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256, testca.P384, testca.Ed25519, testca.MLDSA65} {
		a := authority(ca, kind)
		message := signed(t, []byte("text"), []*Signer{alice, bob}, &SignOptions{Timestamp: a.stamp})
		if !bytes.Equal(message, mustDER(t, message)) {
			t.Error("not DER")
		}
		_, s, err := verify(message, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Signers() {
			if len(r.Timestamps) != 1 {
				t.Fatalf("%v: %d timestamps", kind, len(r.Timestamps))
			}
			ts := r.Timestamps[0]
			if ts.Err != nil || !ts.Time.Equal(testca.Now) || ts.Accuracy != 1500*time.Millisecond || ts.Policy != testPolicy ||
				ts.Serial.Int64() != 77 || ts.Nonce == nil || ts.Ordering || ts.Weak || !ts.Signer.Certificate.Equal(a.Signer.Certificate) {
				t.Errorf("%v: %+v", kind, ts)
			}
			_, err := certpath.Verify(ts.Signer.Certificate, &certpath.Options{
				Anchors: []*cert.Certificate{ca.Root.Certificate}, Intermediates: ts.Certificates, At: ts.Time, Purpose: certpath.TimeStamping,
			})
			if err != nil {
				t.Errorf("%v: %v", kind, err)
			}
		}
	}
}

// A timestamp can come later, and over a signature that has others.
func TestTimestampLater(t *testing.T) {
	ca := testca.New(t)
	a := authority(ca, testca.P256)
	message := signed(t, []byte("text"), []*Signer{signerOf(ca.Leaf("alice@example.com", testca.P256), ca)}, &SignOptions{Timestamp: a.stamp, Indefinite: true})
	message = countersigned(t, message, notary(ca))
	message = amend(t, message, &Amendment{Unsigned: func(_ int, si *SignerInfo) (Attributes, error) {
		q, err := NewTimestampRequest(si.Signature, crypto.SHA512, nil)
		if err != nil {
			return nil, err
		}
		q.Certificates = false // the message has it by now, or the verifier
		der, err := q.DER()
		if err != nil {
			return nil, err
		}
		response, err := a.stamp(der)
		if err != nil {
			return nil, err
		}
		token, err := TimestampToken(response)
		return Attributes{TimestampAttribute(token)}, err
	}})
	for _, certs := range [][]*cert.Certificate{nil, {a.Signer.Certificate}} {
		_, s, err := verify(message, &SignedOptions{Certificates: certs})
		if err != nil || len(s.Signers()[0].Timestamps) != 2 || len(s.Signers()[0].Countersignatures) != 1 {
			t.Fatal(err, s.Signers())
		}
		missing := 0
		for _, ts := range s.Signers()[0].Timestamps {
			if errors.Is(ts.Err, ErrNoCertificate) {
				missing++
			} else if ts.Err != nil {
				t.Error(ts.Err)
			}
		}
		if want := 1 - len(certs); missing != want {
			t.Errorf("%d timestamps without certificate, want %d", missing, want)
		}
	}
}

func request(t testing.TB, message string) (*TimestampRequest, []byte) {
	t.Helper()
	q, err := NewTimestampRequest([]byte(message), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := q.DER()
	if err != nil {
		t.Fatal(err)
	}
	return q, der
}

func TestTimestampRequest(t *testing.T) {
	q, _ := request(t, "text")
	q.Policy = testPolicy
	der, err := q.DER()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTimestampRequest(der)
	if err != nil || got.Policy != q.Policy || got.Nonce.Cmp(q.Nonce) != 0 || !got.Certificates || !bytes.Equal(got.Imprint, q.Imprint) || !got.Digest.Same(q.Digest) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range der {
		if _, err := ParseTimestampRequest(der[:n]); err == nil {
			t.Fatalf("cut at %d: accepted", n)
		}
	}
	if _, err := NewTimestampRequest(nil, crypto.SHA1, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("SHA-1: %v", err)
	}
}

func TestTimestampResponseMustAnswer(t *testing.T) {
	ca := testca.New(t)
	a := authority(ca, testca.P256)
	q, der := request(t, "text")
	response, err := a.stamp(der)
	if err != nil {
		t.Fatal(err)
	}
	token, ts, err := q.Open(response)
	if err != nil || !ts.Time.Equal(testca.Now) {
		t.Fatal(err)
	}
	if ts := VerifyTimestamp(token, []byte("text"), nil); ts.Err != nil {
		t.Error(ts.Err)
	}
	if ts := VerifyTimestamp(token, []byte("texT"), nil); !errors.Is(ts.Err, ErrSignature) {
		t.Errorf("another message: %v", ts.Err)
	}
	for name, change := range map[string]func(q *TimestampRequest){
		"another imprint": func(q *TimestampRequest) { q.Imprint = make([]byte, 32) },
		"another digest":  func(q *TimestampRequest) { q.Digest.Algorithm = oid.SHA3_256 },
		"another nonce":   func(q *TimestampRequest) { q.Nonce = big.NewInt(1) },
		"another policy":  func(q *TimestampRequest) { q.Policy = "1.2.3" },
	} {
		other := *q
		change(&other)
		if _, _, err := other.Open(response); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := q.Open(make([]byte, MaxTimestampResponse+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too large: %v", err)
	}
	for i := range response {
		altered := bytes.Clone(response)
		altered[i] ^= 1
		if _, got, err := q.Open(altered); err == nil && (!got.Time.Equal(ts.Time) || got.Serial.Cmp(ts.Serial) != 0) {
			t.Errorf("octet %d altered: other facts accepted", i)
		}
	}
}

func TestTimestampRefusals(t *testing.T) {
	ca := testca.New(t)
	a := authority(ca, testca.P256)
	good, _ := request(t, "text")
	for name, c := range map[string]struct {
		change func(q *TimestampRequest)
		want   string
	}{
		"policy":            {func(q *TimestampRequest) { q.Policy = "1.2.3" }, "unacceptedPolicy"},
		"SHA-1":             {func(q *TimestampRequest) { q.Digest.Algorithm, q.Imprint = oid.SHA1, make([]byte, 20) }, "badAlg"},
		"unknown digest":    {func(q *TimestampRequest) { q.Digest.Algorithm = "1.2.3" }, "badAlg"},
		"imprint too short": {func(q *TimestampRequest) { q.Imprint = q.Imprint[1:] }, "badRequest"},
	} {
		q := *good
		c.change(&q)
		der, err := q.DER()
		if err != nil {
			t.Fatal(err)
		}
		response, err := a.stamp(der)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = q.Open(response)
		var refused *TimestampRefused
		if !errors.As(err, &refused) || refused.Status != 2 || len(refused.Failure) != 1 || refused.Failure[0] != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	response, err := a.stamp([]byte("no request"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := good.Open(response); err == nil || err.Error() != "cms: no timestamp: rejection: badRequest" {
		t.Error(err)
	}
	// What an authority says is shown to people, so it must not act on a terminal.
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte("come back\x1b[2J later")) })
			})
			b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes([]byte{6, 0, 2, 0, 0x40}) })
		})
	})
	_, _, err = good.Open(b.BytesOrPanic())
	if err == nil || err.Error() != `cms: no timestamp: waiting: timeNotAvailable, systemFailure "come back\x1b[2J later"` {
		t.Error(err)
	}
}

// Tokens that are wrong in one way each.
func TestWrongTokens(t *testing.T) {
	ca := testca.New(t)
	a := authority(ca, testca.P256)
	q, _ := request(t, "text")
	info, err := a.info(q, big.NewInt(1), testca.Now)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(o *SignOptions, content []byte, signers ...*Signer) []byte {
		return signed(t, content, signers, o)
	}
	tst := &SignOptions{ContentType: oid.TSTInfo}
	good := sign(tst, info, a.Signer)
	if ts := VerifyTimestamp(good, []byte("text"), nil); ts.Err != nil {
		t.Fatal(ts.Err)
	}
	replaced := func(old, new string) []byte {
		changed := bytes.Replace(info, []byte(old), []byte(new), 1)
		if bytes.Equal(changed, info) {
			t.Fatalf("%q is not there", old)
		}
		return sign(tst, changed, a.Signer)
	}
	extended := func(critical bool) []byte {
		in := cryptobyte.String(info)
		var s cryptobyte.String
		in.ReadASN1(&s, asn1.SEQUENCE)
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(s)
			b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, "1.2.3")
					if critical {
						b.AddASN1Boolean(true)
					}
					b.AddASN1OctetString(nil)
				})
			})
		})
		return sign(tst, b.BytesOrPanic(), a.Signer)
	}
	if ts := VerifyTimestamp(extended(false), []byte("text"), nil); ts.Err != nil {
		t.Errorf("an extension that need not be known: %v", ts.Err)
	}
	bob := signerOf(ca.Leaf("bob@example.com", testca.P256), ca)
	for name, c := range map[string]struct {
		token []byte
		want  error
	}{
		"content type data":       {sign(nil, info, a.Signer), ErrMalformed},
		"no content":              {sign(&SignOptions{ContentType: oid.TSTInfo, Detached: true}, info, a.Signer), ErrMalformed},
		"two signers":             {sign(tst, info, a.Signer, bob), ErrMalformed},
		"no TSTInfo":              {sign(tst, []byte("text"), a.Signer), ErrMalformed},
		"content behind TSTInfo":  {sign(tst, append(bytes.Clone(info), 5, 0), a.Signer), ErrMalformed},
		"version 2":               {sign(tst, bytes.Replace(info, []byte{2, 1, 1, 6}, []byte{2, 1, 2, 6}, 1), a.Signer), ErrUnsupported},
		"local time":              {replaced("20260601120000Z", "202606011200+01"), ErrMalformed},
		"month 13":                {replaced("20260601120000Z", "20261301120000Z"), ErrMalformed},
		"millis 0":                {replaced("\x80\x02\x01\xf4", "\x80\x02\x00\x00"), ErrMalformed},
		"critical extension":      {extended(true), ErrUnsupported},
		"no ESSCertID":            {withoutESS(t, a.Signer, info), ErrSignature},
		"enormous":                {sign(tst, make([]byte, maxTSTInfo+1), a.Signer), ErrMalformed},
		"another type of message": {compressed(t, info, nil), ErrMalformed},
	} {
		if ts := VerifyTimestamp(c.token, []byte("text"), nil); !errors.Is(ts.Err, c.want) {
			t.Errorf("%s: %v", name, ts.Err)
		}
	}
}

// withoutESS makes a token whose signed attributes have no
// signing-certificate.
func withoutESS(t testing.TB, s *Signer, info []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := newSignedWriter([]*Signer{s}, &SignOptions{ContentType: oid.TSTInfo})
	if err == nil {
		err = w.begin(&out)
	}
	if err != nil {
		t.Fatal(err)
	}
	writeParts(t, w, info)
	c := w.constants[0]
	attrs, err := w.attributes(c)
	if err != nil {
		t.Fatal(err)
	}
	ess, err := oid.AttrSigningCertificateV2.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.attributes = slices.DeleteFunc(c.attributes, func(a []byte) bool { return bytes.Contains(a, ess) })
	s.constants.Store(nil)
	signer, err := c.sign(attrs, random(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	addSetOf(&b, context0.Constructed(), w.certificates())
	addSetOf(&b, asn1.SET, [][]byte{signer})
	if err := w.framing.finish(b.BytesOrPanic()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTimestampFails(t *testing.T) {
	ca := testca.New(t)
	alice := signerOf(ca.Leaf("alice@example.com", testca.P256), ca)
	a := authority(ca, testca.P256)
	down := errors.New("authority is down")
	_, other := request(t, "text")
	for name, f := range map[string]func([]byte) ([]byte, error){
		"is down":                func([]byte) ([]byte, error) { return nil, down },
		"answers something else": func([]byte) ([]byte, error) { return a.stamp(other) },
		"answers nonsense":       func([]byte) ([]byte, error) { return []byte("<html>"), nil },
		"refuses":                func([]byte) ([]byte, error) { return refusal(failBadAlgorithm) },
	} {
		w, err := Sign(io.Discard, []*Signer{alice}, &SignOptions{Timestamp: f})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err == nil || strings.Contains(name, "down") && !errors.Is(err, down) {
			t.Errorf("an authority that %s: %v", name, err)
		}
	}
	if _, err := (&TimestampAuthority{}).Respond(other, big.NewInt(1), testca.Now); err == nil {
		t.Error("nobody stamps")
	}
}

func FuzzTimestamp(f *testing.F) {
	ca := testca.New(f)
	a := authority(ca, testca.P256)
	q, der := request(f, "text")
	response, err := a.stamp(der)
	if err != nil {
		f.Fatal(err)
	}
	refused, _ := refusal(failUnacceptedPolicy)
	for _, seed := range [][]byte{der, response, refused} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, ts, err := q.Open(in); err == nil && !ts.Signer.Certificate.Equal(a.Signer.Certificate) {
			t.Fatal("valid with another signer")
		}
		if q, err := ParseTimestampRequest(in); err == nil {
			if _, err := q.DER(); err != nil {
				t.Fatalf("a request that was read cannot be written: %v", err)
			}
		}
	})
}
