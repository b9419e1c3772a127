package cert

import (
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// MaxRequestSize limits a certification request.
const MaxRequestSize = 1 << 18

// Request is a certification request (PKCS #10, RFC 2986) whose signature by
// its own key was checked.
type Request struct {
	Raw        []byte
	RawTBS     []byte // certificationRequestInfo
	RawSubject []byte
	RawSPKI    []byte

	Subject            Name
	PublicKey          crypto.PublicKey // as in Certificate, never nil
	SPKIAlgorithm      oid.AlgorithmIdentifier
	SignatureAlgorithm oid.AlgorithmIdentifier
	Signature          []byte

	Extensions []Extension // of the extensionRequest attribute
	AltNames   GeneralNames
	KeyUsage   KeyUsage // zero when none was asked for
	// NameConstraints is what an authority asks to be limited to; nil when absent.
	NameConstraints *NameConstraints
}

// ParseRequest reads a certification request, DER or PEM, and checks that its
// signature was made by the key in it: proof that the sender holds that key
// (RFC 2986 §3). What the request asks for is a wish and proves nothing.
func ParseRequest(data []byte) (*Request, error) {
	if block, _ := pem.Decode(data); block != nil {
		if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" { // RFC 7468 §7
			return nil, fmt.Errorf("parse request: PEM holds %q, not a certificate request", block.Type)
		}
		data = block.Bytes
	}
	r, err := parseRequest(data)
	return r, within("parse request", err)
}

func parseRequest(raw []byte) (*Request, error) {
	if len(raw) > MaxRequestSize {
		return nil, fmt.Errorf("%d octets, more than %d", len(raw), MaxRequestSize)
	}
	der, err := ber.DER(raw)
	if err != nil {
		return nil, err
	}
	signed, err := parseSigned(raw, der, "request")
	if err != nil {
		return nil, err
	}
	r := &Request{Raw: raw, RawTBS: signed.raw, SignatureAlgorithm: signed.algorithm, Signature: signed.signature}
	if err := r.parseInfo(signed.body); err != nil {
		return nil, err
	}
	if err := keyAllows(r.SPKIAlgorithm, r.SignatureAlgorithm); err != nil {
		return nil, err
	}
	if err := verify(r.PublicKey, r.SignatureAlgorithm, r.RawTBS, r.Signature); err != nil {
		return nil, err
	}
	return r, nil
}

// parseInfo reads the content of CertificationRequestInfo (RFC 2986 §4.1).
func (r *Request) parseInfo(info cryptobyte.String) error {
	if !info.SkipASN1(asn1.INTEGER) { // always 0 by RFC 2986, and 2 from some
		return malformed("version")
	}
	var err error
	if r.RawSubject, r.Subject, err = readName(&info); err != nil {
		return within("subject", err)
	}
	var spki, attributes cryptobyte.String
	if !info.ReadASN1Element(&spki, asn1.SEQUENCE) {
		return malformed("subjectPublicKeyInfo")
	}
	r.RawSPKI = spki
	if r.PublicKey, r.SPKIAlgorithm, err = parseSPKI(spki); err != nil {
		return err
	}
	var present bool
	if !info.ReadOptionalASN1(&attributes, &present, constructedTag(0)) || !info.Empty() {
		return malformed("attributes")
	}
	for !attributes.Empty() {
		if err := r.parseAttribute(&attributes); err != nil {
			return err
		}
	}
	return nil
}

// parseAttribute reads one attribute and keeps extensionRequest (RFC 2985
// §5.4.2).
func (r *Request) parseAttribute(s *cryptobyte.String) error {
	var attribute, values cryptobyte.String
	var id oid.OID
	if !s.ReadASN1(&attribute, asn1.SEQUENCE) || !oid.Read(&attribute, &id) ||
		!attribute.ReadASN1(&values, asn1.SET) || !attribute.Empty() {
		return malformed("attribute")
	}
	if id != oid.AttrExtensionRequest {
		return nil
	}
	if r.Extensions != nil {
		return errors.New("extensionRequest is repeated")
	}
	var err error
	if r.Extensions, err = readExtensions(values); err != nil {
		return within("extensionRequest", err)
	}
	return r.parseExtensions()
}

func (r *Request) parseExtensions() (err error) {
	seen := map[oid.OID]bool{}
	for _, e := range r.Extensions {
		if seen[e.ID] {
			return fmt.Errorf("extension %s is repeated", e.ID.Name())
		}
		seen[e.ID] = true
		switch e.ID {
		case oid.ExtSubjectAltName:
			r.AltNames, err = parseGeneralNames(e.Value)
		case oid.ExtKeyUsage:
			r.KeyUsage, err = parseKeyUsage(e.Value)
		case oid.ExtNameConstraints:
			r.NameConstraints, err = parseNameConstraints(e.Value)
		}
		if err != nil {
			return within("extension "+e.ID.Name(), err)
		}
	}
	return nil
}

// Emails returns the mail addresses that the request names, as
// [Certificate.Emails] does.
func (r *Request) Emails() []string { return emails(r.AltNames, r.Subject, false) }

// RequestTemplate is what a certification request is to ask for. An authority
// that proves names itself wants the addresses alone; public ones also read the
// subject, or ask that it be filled in.
type RequestTemplate struct {
	// Emails go into subjectAltName, ASCII ones as rfc822Name, others as
	// SmtpUTF8Mailbox (RFC 9598).
	Emails []string
	// CommonName, Organization and Country (two letters) make the subject, as
	// far as they are given.
	CommonName, Organization, Country string
	// EmailInSubject repeats the first address as emailAddress in the subject,
	// where it is ASCII. RFC 5280 §4.1.2.6 calls that deprecated; it is what
	// public authorities look for.
	EmailInSubject bool
}

// CreateRequest makes a certification request in DER for the public half of
// key. rand feeds the signature, crypto/rand.Reader for all but tests.
func CreateRequest(rand io.Reader, key crypto.Signer, t *RequestTemplate) ([]byte, error) {
	der, err := createRequest(rand, key, t)
	return der, within("create request", err)
}

func createRequest(rand io.Reader, key crypto.Signer, t *RequestTemplate) ([]byte, error) {
	scheme, err := signature.For(key.Public(), nil)
	if err != nil {
		return nil, err
	}
	spki, err := MarshalPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	subject, err := t.subject()
	if err != nil {
		return nil, err
	}
	var info cryptobyte.Builder
	info.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(subject)
		b.AddBytes(spki)
		b.AddASN1(constructedTag(0), func(b *cryptobyte.Builder) { t.addExtensionRequest(b, len(subject) == 2) })
	})
	tbs, err := info.Bytes()
	if err != nil {
		return nil, err
	}
	sig, err := scheme.Sign(rand, key, tbs)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		scheme.Algorithm.Add(b)
		b.AddASN1BitString(sig)
	})
	return b.Bytes()
}

// maxSubjectText is the longest text of a name, in characters: ub-common-name
// and ub-organization-name (RFC 5280, Appendix A.1).
const maxSubjectText = 64

// subject writes the Name, the broadest part first.
func (t *RequestTemplate) subject() ([]byte, error) {
	if c := t.Country; c != "" && (len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z') {
		return nil, fmt.Errorf("country %q: two capital letters of ISO 3166-1", c)
	}
	var email string
	if t.EmailInSubject && len(t.Emails) > 0 {
		m, err := mailbox.Parse(t.Emails[0])
		if err != nil {
			return nil, err
		}
		if m.ASCII() {
			email = m.String()
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addRDN(b, oid.Country, asn1.PrintableString, t.Country)
		addRDN(b, oid.Organization, asn1.UTF8String, t.Organization)
		addRDN(b, oid.CommonName, asn1.UTF8String, t.CommonName)
		addRDN(b, oid.EmailAddress, asn1.IA5String, email)
	})
	return b.Bytes()
}

func addRDN(b *cryptobyte.Builder, id oid.OID, tag asn1.Tag, text string) {
	if text == "" {
		return
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		b.SetError(fmt.Errorf("%s %q: not plain text", id.Name(), text))
		return
	}
	if n := utf8.RuneCountInString(text); tag == asn1.UTF8String && n > maxSubjectText {
		b.SetError(fmt.Errorf("%s of %d characters, at most %d are allowed", id.Name(), n, maxSubjectText))
		return
	}
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, id)
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
		})
	})
}

// addExtensionRequest adds the subjectAltName, critical where it alone names the
// subject (RFC 5280 §4.2.1.6), wrapped as an attribute.
func (t *RequestTemplate) addExtensionRequest(b *cryptobyte.Builder, critical bool) {
	if len(t.Emails) == 0 {
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.AttrExtensionRequest)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.ExtSubjectAltName)
					if critical { // DEFAULT FALSE
						b.AddASN1Boolean(true)
					}
					b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { addMailboxes(b, t.Emails) })
				})
			})
		})
	})
}

func addMailboxes(b *cryptobyte.Builder, emails []string) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range emails {
			m, err := mailbox.Parse(e)
			if err != nil {
				b.SetError(err)
				return
			}
			addMailbox(b, m)
		}
	})
}

func addMailbox(b *cryptobyte.Builder, m mailbox.Mailbox) {
	if m.ASCII() {
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.String())) })
		return
	}
	b.AddASN1(constructedTag(0), func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SmtpUTF8Mailbox)
		b.AddASN1(constructedTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.String())) })
		})
	})
}
