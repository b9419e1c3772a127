package cert

import (
	"bytes"
	"crypto"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// published reads a file of the published sets.
func published(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("MAILSEAL_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
	}
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	pycaOCSP = "pyca-vectors/vectors/cryptography_vectors/x509/ocsp/"
	rustOCSP = "rustcrypto/x509-ocsp/tests/examples/"
)

func TestOCSPResponses(t *testing.T) {
	for name, want := range map[string]string{
		pycaOCSP + "resp-sha256.der":                      "successful good 2018-08-30T11:00:00Z-2018-09-06T11:00:00Z",
		pycaOCSP + "resp-revoked.der":                     "successful revoked unspecified 2016-09-02T21:28:48Z 2018-08-31T17:49:19Z-2018-09-07T17:04:19Z",
		pycaOCSP + "resp-revoked-reason.der":              "successful revoked superseded 2018-06-27T12:30:01Z 2018-09-01T19:48:17Z-2018-09-03T19:48:17Z",
		pycaOCSP + "resp-revoked-no-next-update.der":      "successful revoked",
		pycaOCSP + "resp-unauthorized.der":                "unauthorized",
		pycaOCSP + "resp-delegate-unknown-cert.der":       "successful unknown",
		rustOCSP + "ocsp-try-later.der":                   "tryLater",
		rustOCSP + "rsa-2048-sha256-revoked-ocsp-res.der": "successful revoked",
	} {
		r, err := ParseOCSPResponse(published(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(r); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
}

func describe(r *OCSPResponse) string {
	s := r.Status.String()
	if r.Basic == nil {
		return s
	}
	a := r.Basic.Answers[0]
	s += " " + a.Status.String()
	if a.Status == OCSPRevoked {
		s += fmt.Sprintf(" %s %s", a.Reason, a.RevokedAt.Format(time.RFC3339))
	}
	return s + fmt.Sprintf(" %s-%s", a.ThisUpdate.Format(time.RFC3339), a.NextUpdate.Format(time.RFC3339))
}

// TestOCSPSignature checks a published response with the certificate of its
// responder, and one bit less of it.
func TestOCSPSignature(t *testing.T) {
	data := published(t, rustOCSP+"rsa-2048-sha256-revoked-ocsp-res.der")
	responder, err := Parse(published(t, rustOCSP+"rsa-2048-sha256-ocsp-crt.der"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseOCSPResponse(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Basic.CheckSignatureFrom(responder); err != nil {
		t.Error(err)
	}
	if !r.Basic.NamesResponder(responder) {
		t.Error("does not name its responder")
	}
	r.Basic.RawTBS = append([]byte{}, r.Basic.RawTBS...)
	r.Basic.RawTBS[len(r.Basic.RawTBS)-1] ^= 1
	if r.Basic.CheckSignatureFrom(responder) == nil {
		t.Error("a changed response fits its signature")
	}
}

// TestCertID makes the CertIDs of published requests anew.
func TestCertID(t *testing.T) {
	read := func(name string) *Certificate {
		c, err := Parse(published(t, rustOCSP+name))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c, issuer := read("rsa-2048-sha256-crt.der"), read("rsa-2048-sha256-ca.der")
	c.Serial = big.NewInt(0x10001) // what the requests ask about
	for name, h := range map[string]crypto.Hash{
		"sha1-certid-ocsp-req.der": crypto.SHA1, "sha256-certid-ocsp-req.der": crypto.SHA256, "sha384-certid-ocsp-req.der": crypto.SHA384, "sha512-certid-ocsp-req.der": crypto.SHA512,
	} {
		q, err := ParseOCSPRequest(published(t, rustOCSP+name))
		if err != nil {
			t.Fatal(err)
		}
		id, err := NewCertID(c, issuer, h)
		if err != nil {
			t.Fatal(err)
		}
		got := q.CertIDs[0]
		if got.HashAlgorithm.Algorithm != id.HashAlgorithm.Algorithm || !bytes.Equal(got.HashAlgorithm.Parameters, id.HashAlgorithm.Parameters) || !bytes.Equal(got.IssuerNameHash, id.IssuerNameHash) ||
			!bytes.Equal(got.IssuerKeyHash, id.IssuerKeyHash) || got.Serial.Cmp(id.Serial) != 0 || !got.Matches(c, issuer) {
			t.Errorf("%s: %+v, we make %+v", name, got, id)
		}
		if got.Matches(issuer, issuer) || got.Matches(c, c) {
			t.Errorf("%s: fits another certificate", name)
		}
		other := got
		other.Serial = new(big.Int).Add(got.Serial, big.NewInt(1))
		if other.Matches(c, issuer) {
			t.Errorf("%s: fits another serial number", name)
		}
	}
	if _, err := NewCertID(c, issuer, crypto.MD5); err == nil {
		t.Error("MD5")
	}
}

func TestOCSPRequest(t *testing.T) {
	id := CertID{oid.AlgorithmIdentifier{Algorithm: oid.SHA1, Parameters: oid.Null}, []byte("name"), []byte("key"), big.NewInt(0x8001)}
	for _, tt := range []struct {
		name string
		q    OCSPRequest
		ok   bool
	}{
		{"plain", OCSPRequest{CertIDs: []CertID{id}}, true},
		{"two", OCSPRequest{CertIDs: []CertID{id, id}}, true},
		{"nonce", OCSPRequest{CertIDs: []CertID{id}, Nonce: bytes.Repeat([]byte{7}, 32)}, true},
		{"longest nonce", OCSPRequest{CertIDs: []CertID{id}, Nonce: make([]byte, MaxNonce)}, true},
		{"too long a nonce", OCSPRequest{CertIDs: []CertID{id}, Nonce: make([]byte, MaxNonce+1)}, false},
		{"empty nonce", OCSPRequest{CertIDs: []CertID{id}, Nonce: []byte{}}, false},
		{"nothing", OCSPRequest{}, false},
		{"too many", OCSPRequest{CertIDs: make([]CertID, MaxOCSPRequests+1)}, false},
	} {
		der, err := tt.q.DER()
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil {
			continue
		}
		q, err := ParseOCSPRequest(der)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		again, err := q.DER()
		if err != nil || !bytes.Equal(again, der) || !bytes.Equal(q.Nonce, tt.q.Nonce) || len(q.CertIDs) != len(tt.q.CertIDs) {
			t.Errorf("%s: %+v, %v", tt.name, q, err)
		}
	}
}

// TestPublishedRequests: nonces before RFC 9654 had any length.
func TestPublishedRequests(t *testing.T) {
	for name, want := range map[string]int{
		pycaOCSP + "req-multi-sha1.der": 2, pycaOCSP + "req-sha1.der": 1, pycaOCSP + "req-ext-nonce.der": 1,
		rustOCSP + "ocsp-signed-req.der": 1, rustOCSP + "ocsp-multiple-requests-req.der": 8,
	} {
		q, err := ParseOCSPRequest(published(t, name))
		if err != nil || len(q.CertIDs) != want {
			t.Errorf("%s: %v, %v", name, q, err)
		} else if q.Signed != strings.Contains(name, "signed") {
			t.Errorf("%s: signed is %v", name, q.Signed)
		}
	}
}

// answers is an OCSPResponse with n times the same answer, unsigned, and m
// certificates.
func answers(n, m int, certificate []byte) []byte {
	id := CertID{oid.AlgorithmIdentifier{Algorithm: oid.SHA1}, []byte{1}, []byte{2}, big.NewInt(3)}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	var basic cryptobyte.Builder
	basic.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(constructedTag(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte{9}) })
			b.AddASN1GeneralizedTime(at)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for range n {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						id.add(b)
						b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {})
						b.AddASN1GeneralizedTime(at)
					})
				}
			})
		})
		oid.AlgorithmIdentifier{Algorithm: oid.Ed25519}.Add(b)
		b.AddASN1BitString([]byte{0})
		if m > 0 {
			b.AddASN1(constructedTag(0), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Repeat(certificate, m)) })
			})
		}
	})
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(constructedTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, oid.BasicOCSPResponse)
				b.AddASN1OctetString(basic.BytesOrPanic())
			})
		})
	})
	return b.BytesOrPanic()
}

func TestOCSPLimits(t *testing.T) {
	alice, err := os.ReadFile(filepath.Join("testdata", "alice.pem"))
	if err != nil {
		t.Fatal(err)
	}
	certificate := blocks(alice)[0]
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"most answers", answers(MaxOCSPAnswers, 0, nil), ""},
		{"too many answers", answers(MaxOCSPAnswers+1, 0, nil), "more than 1000 answers"},
		{"most certificates", answers(1, MaxOCSPCertificates, certificate), ""},
		{"too many certificates", answers(1, MaxOCSPCertificates+1, certificate), "more than 20 certificates"},
		{"too long", make([]byte, MaxOCSPResponseSize+1), "octets, more than"},
		{"no answer", []byte{0x30, 3, 0x0a, 1, 0}, "no answer"},
		{"more behind", append(answers(1, 0, nil), 0), "data after"},
	} {
		_, err := ParseOCSPResponse(tt.data)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := ParseOCSPRequest(make([]byte, MaxOCSPRequestSize+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("long request: %v", err)
	}
}

// FuzzParseOCSPResponse reads anything as a response.
func FuzzParseOCSPResponse(f *testing.F) {
	ocspSeeds(f)
	f.Add(answers(2, 0, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseOCSPResponse(data)
		if err != nil {
			return
		}
		if (r.Basic != nil) != (r.Type == oid.BasicOCSPResponse) {
			t.Fatal("an answer of another type")
		}
		if r.Basic == nil {
			return
		}
		for _, a := range r.Basic.Answers {
			if a.CertID.Serial == nil || a.ThisUpdate.IsZero() && !bytes.Contains(data, []byte("00010101000000Z")) {
				t.Fatalf("%+v", a)
			}
		}
	})
}

// FuzzParseOCSPRequest reads anything as a request and writes it again.
func FuzzParseOCSPRequest(f *testing.F) {
	ocspSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := ParseOCSPRequest(data)
		if err != nil {
			return
		}
		der, err := q.DER()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseOCSPRequest(der); err != nil || len(again.CertIDs) != len(q.CertIDs) || !bytes.Equal(again.Nonce, q.Nonce) {
			t.Fatalf("%+v, %v", again, err)
		}
	})
}

func ocspSeeds(f *testing.F) {
	f.Add([]byte{0x30, 3, 0x0a, 1, 6})
	for _, dir := range []string{pycaOCSP, rustOCSP} {
		base := os.Getenv("MAILSEAL_TESTDATA")
		if base == "" {
			base = filepath.Join("..", "..", "shared", "testdata")
		}
		files, err := filepath.Glob(filepath.Join(base, filepath.FromSlash(dir), "*.der"))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			if data, err := os.ReadFile(name); err == nil {
				f.Add(data)
			}
		}
	}
}
