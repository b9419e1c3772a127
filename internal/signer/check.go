package signer

import (
	"bytes"
	"crypto/sha1" // of the responder's key, as RFC 6960 names it; nothing rests on it
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// Kinds of what is signed.
const (
	kindCertificate = "certificate"
	kindCRL         = "crl"
	kindOCSP        = "ocsp response"
	kindTimestamp   = "timestamp"
	kindRequest     = "request"
)

// signed is what a message turned out to be.
type signed struct {
	kind        string
	detail      string            // for the log: a serial number
	certificate *cert.Certificate // with an empty signature
}

// admit reads a message and holds it against the key. What is none of the five
// things, or is not this key's, is refused.
func (k *key) admit(message []byte) (signed, error) {
	if c, err := cert.Parse(k.wrap(message)); err == nil && bytes.Equal(c.RawTBS, message) {
		return signed{kindCertificate, c.SerialHex(), c}, k.admitCertificate(c)
	}
	if l, err := cert.ParseCRL(k.wrap(message)); err == nil && bytes.Equal(l.RawTBS, message) {
		number := ""
		if l.Number != nil {
			number = l.Number.String()
		}
		return signed{kind: kindCRL, detail: number}, k.admitCRL(l)
	}
	if r, err := cert.ParseOCSPResponse(k.wrapOCSP(message)); err == nil && r.Basic != nil && bytes.Equal(r.Basic.RawTBS, message) {
		return signed{kind: kindOCSP, detail: fmt.Sprint(len(r.Basic.Answers), " answers")}, k.admitOCSP(r.Basic)
	}
	if isTimestampAttributes(message) {
		return signed{kind: kindTimestamp}, k.admitPurpose(oid.TimeStamping)
	}
	if spki, ok := requestedKey(message); ok {
		return signed{kind: kindRequest}, k.admitRequest(spki)
	}
	return signed{}, errors.New("neither a certificate nor a CRL, OCSP response, timestamp or certification request")
}

// wrap makes SEQUENCE { tbs, algorithm, signature } with an empty signature, which
// the parsers read.
func (k *key) wrap(tbs []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		k.scheme.Algorithm.Add(b)
		b.AddASN1BitString(nil)
	})
	return b.BytesOrPanic() // no part of it can fail
}

// wrapOCSP makes an OCSPResponse around that (RFC 6960 §4.2.1).
func (k *key) wrapOCSP(tbs []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(0)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, oid.BasicOCSPResponse)
				b.AddASN1OctetString(k.wrap(tbs))
			})
		})
	})
	return b.BytesOrPanic()
}

// admitCertificate: issued by this key's authority, within its validity, and an
// authority's only where its certificate lets there be one below it. A key without
// a certificate may sign one for itself, and no other.
func (k *key) admitCertificate(c *cert.Certificate) error {
	own := k.certificate()
	switch {
	case len(c.Defects) > 0:
		return errors.Join(c.Defects...)
	case own == nil && (!bytes.Equal(c.RawIssuer, c.RawSubject) || !bytes.Equal(c.RawSPKI, k.public) || !c.BasicConstraints.CA):
		return errors.New("the key has no certificate yet: it signs its own root certificate or its request first")
	case own == nil:
		return nil
	case !own.BasicConstraints.CA || !own.Allows(cert.KeyUsageCertSign):
		return errors.New("the key's certificate is no authority's")
	case !issuedBy(own, c.RawIssuer, c.AuthorityKeyID):
		return errors.New("the certificate names another issuer")
	case c.NotBefore.Before(own.NotBefore) || c.NotAfter.After(own.NotAfter):
		return errors.New("the certificate is valid outside the validity of its issuer")
	case c.BasicConstraints.CA && own.BasicConstraints.PathLen == 0:
		return errors.New("there can be no authority below this one")
	}
	return nil
}

func (k *key) admitCRL(l *cert.CRL) error {
	own := k.certificate()
	switch {
	case len(l.Defects) > 0:
		return errors.Join(l.Defects...)
	case own == nil || !own.Allows(cert.KeyUsageCRLSign):
		return errors.New("the key's certificate does not allow CRLs, or there is none yet")
	case !issuedBy(own, l.RawIssuer, l.AuthorityKeyID):
		return errors.New("the CRL names another issuer")
	}
	return nil
}

func issuedBy(own *cert.Certificate, issuer, keyID []byte) bool {
	return bytes.Equal(issuer, own.RawSubject) && len(keyID) > 0 && bytes.Equal(keyID, own.SubjectKeyID)
}

// admitOCSP: a response in the name of this key. Authorities may sign their own,
// others need the purpose (RFC 6960 §4.2.2.2).
func (k *key) admitOCSP(r *cert.BasicOCSPResponse) error {
	own := k.certificate()
	switch {
	case len(r.Defects) > 0:
		return errors.Join(r.Defects...)
	case own == nil:
		return errors.New("the key has no certificate yet")
	case r.ResponderKeyHash != nil && !bytes.Equal(r.ResponderKeyHash, keyHash(own.RawSPKI)),
		r.ResponderKeyHash == nil && !r.ResponderName.Equal(own.Subject):
		return errors.New("the response names another responder")
	case own.BasicConstraints.CA:
		return nil
	}
	return k.admitPurpose(oid.OCSPSigning)
}

// keyHash is the SHA-1 of the public key's octets.
func keyHash(spki []byte) []byte {
	input := cryptobyte.String(spki)
	var seq cryptobyte.String
	var bits []byte
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipASN1(asn1.SEQUENCE) || !seq.ReadASN1BitStringAsBytes(&bits) {
		return nil
	}
	sum := sha1.Sum(bits)
	return sum[:]
}

// admitPurpose: the key's certificate is for this alone.
func (k *key) admitPurpose(purpose oid.OID) error {
	own := k.certificate()
	if own == nil || own.BasicConstraints.CA || len(own.ExtKeyUsage) != 1 || own.ExtKeyUsage[0] != purpose {
		return fmt.Errorf("the key's certificate is not for %s", purpose.Name())
	}
	return nil
}

// admitRequest: for this key, which has no certificate yet.
func (k *key) admitRequest(spki []byte) error {
	switch {
	case k.certificate() != nil:
		return errors.New("the key has its certificate")
	case !bytes.Equal(spki, k.public):
		return errors.New("the request is for another key")
	}
	return nil
}

// requestedKey reads CertificationRequestInfo (RFC 2986 §4.1) and returns its
// SubjectPublicKeyInfo.
func requestedKey(message []byte) (spki []byte, ok bool) {
	input := cryptobyte.String(message)
	var info, public cryptobyte.String
	var version int
	ok = input.ReadASN1(&info, asn1.SEQUENCE) && input.Empty() && info.ReadASN1Integer(&version) && version == 0 &&
		info.SkipASN1(asn1.SEQUENCE) && info.ReadASN1Element(&public, asn1.SEQUENCE) &&
		info.SkipASN1(asn1.Tag(0).ContextSpecific().Constructed()) && info.Empty()
	return public, ok
}

// isTimestampAttributes reads the signed attributes (RFC 5652 §5.4) of a
// timestamp: contentType is id-ct-TSTInfo (RFC 3161 §2.4.2).
func isTimestampAttributes(message []byte) bool {
	input := cryptobyte.String(message)
	var set cryptobyte.String
	if !input.ReadASN1(&set, asn1.SET) || !input.Empty() {
		return false
	}
	found := 0
	for !set.Empty() {
		var attribute, values cryptobyte.String
		var id, content oid.OID
		if !set.ReadASN1(&attribute, asn1.SEQUENCE) || !oid.Read(&attribute, &id) ||
			!attribute.ReadASN1(&values, asn1.SET) || !attribute.Empty() {
			return false
		}
		if id != oid.AttrContentType {
			continue
		}
		if !oid.Read(&values, &content) || !values.Empty() || content != oid.TSTInfo {
			return false
		}
		found++
	}
	return found == 1
}
