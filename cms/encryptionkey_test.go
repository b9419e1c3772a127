package cms

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestEncryptionKeyPreference: each form of RFC 8551 §2.5.3, and Outlook's.
func TestEncryptionKeyPreference(t *testing.T) {
	ca := testca.New(t)
	l, other := ca.Leaf("alice@example.com", testca.P256), ca.Leaf("alice@example.com", testca.RSA2048)
	build := func(f func(b *cryptobyte.Builder)) []byte {
		var b cryptobyte.Builder
		f(&b)
		return b.BytesOrPanic()
	}
	c := l.Certificate
	c.SubjectKeyID = []byte("key")
	for name, test := range map[string]struct {
		attribute OID
		value     []byte
		want      bool
	}{
		"issuer and serial": {oid.AttrEncryptionKeyPreference, build(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, context0.Constructed(), c) }), true},
		"recipient key": {oid.AttrEncryptionKeyPreference, build(func(b *cryptobyte.Builder) {
			b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.SubjectKeyID) })
		}), true},
		"subject key": {oid.AttrEncryptionKeyPreference, build(func(b *cryptobyte.Builder) {
			b.AddASN1(context2, func(b *cryptobyte.Builder) { b.AddBytes(c.SubjectKeyID) })
		}), true},
		"Outlook":  {oid.AttrMSEncryptionKeyReference, build(func(b *cryptobyte.Builder) { addIssuerAndSerial(b, asn1.SEQUENCE, c) }), true},
		"empty":    {oid.AttrEncryptionKeyPreference, build(func(b *cryptobyte.Builder) { b.AddASN1(context2, func(*cryptobyte.Builder) {}) }), false},
		"nonsense": {oid.AttrEncryptionKeyPreference, []byte{5, 0}, false},
		"none":     {oid.AttrSigningTime, nil, false},
	} {
		si := &SignerInfo{SignedAttrs: Attributes{{Type: test.attribute, Values: [][]byte{test.value}}}}
		id, ok := si.EncryptionKeyPreference()
		if ok != test.want || ok && (!id.Matches(c) || id.Matches(other.Certificate)) {
			t.Errorf("%s: %v %v", name, id, ok)
		}
		twice := &SignerInfo{SignedAttrs: append(si.SignedAttrs, si.SignedAttrs...)}
		if _, ok := twice.EncryptionKeyPreference(); ok {
			t.Errorf("%s: there twice", name)
		}
	}
}

// TestSignerEncryption: the certificate to encrypt to is named and sent along.
func TestSignerEncryption(t *testing.T) {
	ca := testca.New(t)
	signs, reads := ca.Leaf("alice@example.com", testca.Ed25519), ca.Leaf("alice@example.com", testca.X25519)
	s := signerOf(signs, ca)
	s.Encryption = reads.Certificate
	r, err := NewReader(bytes.NewReader(signed(t, []byte("hello"), []*Signer{s}, nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	sr, err := r.SignedData(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(sr); err != nil {
		t.Fatal(err)
	}
	id, ok := sr.Signers()[0].EncryptionKeyPreference()
	sent := false
	for _, c := range sr.Certificates() {
		sent = sent || c.Equal(reads.Certificate)
	}
	if !ok || !id.Matches(reads.Certificate) || !sent {
		t.Errorf("%v %v, sent: %v", id, ok, sent)
	}
}
