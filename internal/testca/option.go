package testca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// Validity sets both ends of the life of a certificate.
func Validity(from, to time.Time) Option {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

// Expired makes a certificate that ended a day before Now.
func Expired() Option { return Validity(Now.AddDate(-1, 0, 0), Now.AddDate(0, 0, -1)) }

// NotYetValid makes a certificate that begins a day after Now.
func NotYetValid() Option { return Validity(Now.AddDate(0, 0, 1), Now.AddDate(1, 0, 0)) }

// KeyUsage replaces the key usage; 0 leaves the extension out.
func KeyUsage(u x509.KeyUsage) Option { return func(c *x509.Certificate) { c.KeyUsage = u } }

// ExtKeyUsage replaces the extended key usages; none leaves the extension out.
func ExtKeyUsage(usages ...x509.ExtKeyUsage) Option {
	return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
}

// NotCA sets basicConstraints to say that this is no authority.
func NotCA() Option {
	return func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = false, 0 }
}

// PathLen limits the number of authorities below.
func PathLen(n int) Option {
	return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
}

// PermitEmails and ExcludeEmails set critical name constraints: mailboxes,
// hosts, or domains with a leading dot.
func PermitEmails(subtrees ...string) Option {
	return func(c *x509.Certificate) {
		c.PermittedEmailAddresses, c.PermittedDNSDomainsCritical = subtrees, true
	}
}

// ExcludeEmails is described at PermitEmails.
func ExcludeEmails(subtrees ...string) Option {
	return func(c *x509.Certificate) {
		c.ExcludedEmailAddresses, c.PermittedDNSDomainsCritical = subtrees, true
	}
}

// Emails replaces the addresses in subjectAltName.
func Emails(emails ...string) Option {
	return func(c *x509.Certificate) { c.EmailAddresses = emails }
}

// Subject replaces the subject.
func Subject(n pkix.Name) Option { return func(c *x509.Certificate) { c.Subject = n } }

// SubjectEmail adds an emailAddress to the subject.
func SubjectEmail(email string) Option {
	return func(c *x509.Certificate) {
		c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{
			Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1},
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(email)},
		})
	}
}

// SHA1 signs with SHA-1, in the variant that fits the issuer's key.
func SHA1(a *Authority) Option {
	return func(c *x509.Certificate) {
		c.SignatureAlgorithm = x509.ECDSAWithSHA1
		if a.Certificate.SPKIAlgorithm.Algorithm == oid.RSAEncryption {
			c.SignatureAlgorithm = x509.SHA1WithRSA
		}
	}
}

// Extension adds any extension, in place of the one that the template would
// give.
func Extension(id oid.OID, critical bool, value []byte) Option {
	return func(c *x509.Certificate) {
		var b cryptobyte.Builder
		oid.Add(&b, id)
		var arcs asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(b.BytesOrPanic(), &arcs); err != nil {
			panic("testca: " + err.Error()) // a constant of the test is wrong
		}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: arcs, Critical: critical, Value: value})
	}
}

// AltNames sets subjectAltName to exactly these names, in DER: see Mailbox,
// UTF8Mailbox and others.
func AltNames(critical bool, names ...[]byte) Option {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, n := range names {
			b.AddBytes(n)
		}
	})
	return Extension(oid.ExtSubjectAltName, critical, b.BytesOrPanic())
}

// Mailbox is an rfc822Name for AltNames, with any octets in it.
func Mailbox(s string) []byte { return text(1, s) }

// DNS is a dNSName for AltNames.
func DNS(s string) []byte { return text(2, s) }

// URI is a uniformResourceIdentifier for AltNames.
func URI(s string) []byte { return text(6, s) }

func text(tag uint8, s string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.Tag(tag).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
	return b.BytesOrPanic()
}

// UTF8Mailbox is an SmtpUTF8Mailbox (RFC 9598) for AltNames.
func UTF8Mailbox(s string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SmtpUTF8Mailbox)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
		})
	})
	return b.BytesOrPanic()
}

// OCSPServers sets the OCSP responders that a certificate names.
func OCSPServers(urls ...string) Option { return func(c *x509.Certificate) { c.OCSPServer = urls } }
