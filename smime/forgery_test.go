package smime

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestReusedSignature: a good signature over something else.
func TestReusedSignature(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	one := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	m := open(t, strings.Replace(one, "see you at noon", "pay Eve", 1), w.options())
	wantVerdict(t, m, Invalid, CoverageWhole)
	if m.Verdict.Signers[0].Status != StatusInvalid {
		t.Error(show(m.Verdict))
	}
}

// degenerate is a SignedData without signers (Johnny: class CMS; certs-only as success).
func degenerate(t testing.TB, content []byte, certificates ...*cert.Certificate) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					if content != nil {
						b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					for _, c := range certificates {
						b.AddBytes(c.Raw)
					}
				})
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func armour(header string, der []byte) string {
	var b bytes.Buffer
	b.WriteString(header)
	w := entity.NewBase64Writer(&b)
	w.Write(der)
	w.Close()
	return b.String()
}

const pkcs7Header = "From: alice@example.com\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"

func TestNoSigners(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	m := open(t, armour(pkcs7Header, degenerate(t, []byte("Content-Type: text/plain\r\n\r\nPay Eve.\r\n"), alice.Certificate)), w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "nobody signed it")
	m = open(t, armour(pkcs7Header, degenerate(t, nil, alice.Certificate)), w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "certificates and nothing that is signed")
	if strings.Contains(strings.Join(m.Verdict.Warnings, "\n"), "nobody signed it") {
		t.Error(show(m.Verdict))
	}
	// What is of another type and nobody signed is no wrong signature.
	other := bytes.Replace(degenerate(t, []byte("x"), alice.Certificate), []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"), []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"), 1)
	wantVerdict(t, open(t, armour(pkcs7Header, other), w.options()), Unsigned, CoverageNone)

	detached := "From: alice@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n\r\nPay Eve.\r\n--x\r\n" +
		armour("Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n", degenerate(t, nil, alice.Certificate)) + "\r\n--x--\r\n"
	m = open(t, detached, w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
}

// TestContentInsideDetached: two contents, of which one is signed and the other shown (CVE-2018-18509).
func TestContentInsideDetached(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	_, body, _ := strings.Cut(opaque, "\r\n\r\n")
	for _, shown := range []string{"\r\nPay Eve.\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\n\r\nsee you at noon.\r\n"} {
		m := open(t, "From: alice@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n"+shown+
			"\r\n--x\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"+body+"\r\n--x--\r\n", w.options())
		wantVerdict(t, m, Invalid, CoverageNone)
	}
	// And the other way round: a detached signature where a message with content belongs.
	signed := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	signature := signed[strings.LastIndex(signed, "\r\n\r\nMI")+4 : strings.LastIndex(signed, "\r\n--")]
	m := open(t, pkcs7Header+signature, w.options())
	wantVerdict(t, m, Invalid, CoverageNone)
}

// TestAttributesAsContent: the signed attributes of one message, shown as the content of another.
func TestAttributesAsContent(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	var der bytes.Buffer
	s, err := cms.Sign(&der, []*cms.Signer{signerOf(alice)}, &cms.SignOptions{Detached: true, Time: testca.Now})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "original")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	forged := attributesAsContent(t, der.Bytes())
	for _, bare := range []bool{false, true} {
		o := w.options()
		o.WithoutAttributes = bare
		m := open(t, armour(pkcs7Header, forged), o)
		if m.Verdict.Verdict != Invalid {
			t.Error(show(m.Verdict))
		}
	}
}

// attributesAsContent rewrites a SignedData so that what the signature covers is its content.
func attributesAsContent(t *testing.T, der []byte) []byte {
	t.Helper()
	context0 := asn1.Tag(0).ContextSpecific().Constructed()
	in := cryptobyte.String(der)
	var info, explicit, data, digests, encap, certificates, infos, si, sid, digest, attrs, algorithm, signature cryptobyte.String
	var version, siVersion int64
	ok := in.ReadASN1(&info, asn1.SEQUENCE) && info.SkipASN1(asn1.OBJECT_IDENTIFIER) && info.ReadASN1(&explicit, context0) &&
		explicit.ReadASN1(&data, asn1.SEQUENCE) && data.ReadASN1Integer(&version) && data.ReadASN1Element(&digests, asn1.SET) &&
		data.ReadASN1(&encap, asn1.SEQUENCE) && data.ReadASN1Element(&certificates, context0) && data.ReadASN1(&infos, asn1.SET) &&
		infos.ReadASN1(&si, asn1.SEQUENCE) && si.ReadASN1Integer(&siVersion) && si.ReadASN1Element(&sid, asn1.SEQUENCE) &&
		si.ReadASN1Element(&digest, asn1.SEQUENCE) && si.ReadASN1Element(&attrs, context0) && si.ReadASN1Element(&algorithm, asn1.SEQUENCE) &&
		si.ReadASN1Element(&signature, asn1.OCTET_STRING)
	if !ok {
		t.Fatal("no SignedData")
	}
	content := append([]byte(nil), attrs...)
	content[0] = byte(asn1.SET)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddBytes(digests)
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
				})
				b.AddBytes(certificates)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						for _, e := range []cryptobyte.String{sid, digest, algorithm, signature} {
							b.AddBytes(e)
						}
					})
				})
			})
		})
	})
	forged, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return forged
}
