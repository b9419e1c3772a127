package inspect

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"net"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

func certificate(c *cert.Certificate) *Report {
	r := &Report{Kind: "certificate"}
	r.add("subject", c.Subject.String())
	r.add("emails", c.Emails())
	r.add("issuer", c.Issuer.String())
	r.add("not_before", stamp(c.NotBefore))
	r.add("not_after", stamp(c.NotAfter))
	r.add("key", KeyName(c.PublicKey, c.SPKIAlgorithm))
	r.add("signature", signature.Name(c.SignatureAlgorithm, oid.AlgorithmIdentifier{}))
	if c.HasKeyUsage {
		r.add("key_usage", c.KeyUsage.String())
	}
	r.add("extended_key_usage", names(c.ExtKeyUsage))
	if c.BasicConstraints.Present {
		r.add("ca", c.BasicConstraints.CA)
	}
	if c.BasicConstraints.CA && c.BasicConstraints.PathLen >= 0 {
		r.add("path_length", int64(c.BasicConstraints.PathLen))
	}
	r.add("policies", policies(c.Policies))
	if n := c.NameConstraints; n != nil {
		r.add("permitted_names", generalNames(n.Permitted))
		r.add("excluded_names", generalNames(n.Excluded))
	}
	r.add("other_names", generalNames(otherThanEmail(c.AltNames)))
	r.add("crl", c.CRLDistributionPoints)
	r.add("issuer_at", c.IssuingCertificateURL)
	r.add("ocsp", c.OCSPServer)
	r.add("critical", criticals(c.Extensions))
	r.add("serial", c.SerialHex())
	r.add("subject_key_id", hex.EncodeToString(c.SubjectKeyID))
	r.add("authority_key_id", hex.EncodeToString(c.AuthorityKeyID))
	r.add("sha256", c.SHA256())
	r.add("defects", texts(c.Defects))
	return r
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// KeyName says what kind of key it is, and of what size.
func KeyName(key crypto.PublicKey, algorithm oid.AlgorithmIdentifier) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case *ecdh.PublicKey:
		return fmt.Sprint(k.Curve())
	case nil:
		return algorithm.Algorithm.Name() + " (not understood)"
	}
	return algorithm.Algorithm.Name()
}

func names(ids []oid.OID) []string {
	var list []string
	for _, id := range ids {
		list = append(list, id.Name())
	}
	return list
}

func policies(list []cert.Policy) []string {
	var ids []oid.OID
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	return names(ids)
}

func criticals(list []cert.Extension) []string {
	var ids []oid.OID
	for _, e := range list {
		if e.Critical {
			ids = append(ids, e.ID)
		}
	}
	return names(ids)
}

func otherThanEmail(all cert.GeneralNames) cert.GeneralNames {
	var rest cert.GeneralNames
	for _, n := range all {
		if n.Kind != cert.RFC822Name && !n.IsSmtpUTF8Mailbox() {
			rest = append(rest, n)
		}
	}
	return rest
}

func generalNames(all cert.GeneralNames) []string {
	var list []string
	for _, n := range all {
		list = append(list, generalName(n))
	}
	return list
}

func generalName(n cert.GeneralName) string {
	switch n.Kind {
	case cert.RFC822Name:
		return "email " + n.Text
	case cert.DNSName:
		return "dns " + quoteEmpty(n.Text)
	case cert.URI:
		return "uri " + n.Text
	case cert.DirectoryName:
		return "directory " + n.Directory.String()
	case cert.IPAddress:
		return "ip " + address(n.Bytes)
	case cert.RegisteredID:
		return "registered id " + n.Type.Name()
	case cert.OtherName:
		if n.IsSmtpUTF8Mailbox() {
			return "email " + n.Text
		}
		return "other name " + n.Type.Name() + " " + hex.EncodeToString(n.Bytes)
	}
	return fmt.Sprintf("name of kind %d %s", n.Kind, hex.EncodeToString(n.Bytes))
}

// quoteEmpty makes the empty dNSName visible, which as a constraint means every
// name (RFC 5280 §4.2.1.10).
func quoteEmpty(s string) string {
	if s == "" {
		return "(every name)"
	}
	return s
}

// address writes an iPAddress: four or sixteen octets, in a constraint twice as
// many with the mask behind (RFC 5280 §4.2.1.10).
func address(b []byte) string {
	switch len(b) {
	case 4, 16:
		return net.IP(b).String()
	case 8, 32:
		return net.IP(b[:len(b)/2]).String() + "/" + net.IP(b[len(b)/2:]).String()
	}
	return hex.EncodeToString(b)
}

func texts(errs []error) []string {
	var list []string
	for _, err := range errs {
		list = append(list, err.Error())
	}
	return list
}

func request(q *cert.Request) *Report {
	r := &Report{Kind: "certification request"}
	r.add("subject", q.Subject.String())
	r.add("emails", q.Emails())
	r.add("key", KeyName(q.PublicKey, q.SPKIAlgorithm))
	r.add("signature", signature.Name(q.SignatureAlgorithm, oid.AlgorithmIdentifier{}))
	r.add("note", "its own signature is right: whoever made it has the key")
	return r
}

// maxRevoked is how many entries of a CRL are listed.
const maxRevoked = 100

func crl(l *cert.CRL) *Report {
	r := &Report{Kind: "crl"}
	r.add("issuer", l.Issuer.String())
	r.add("this_update", stamp(l.ThisUpdate))
	r.add("next_update", stamp(l.NextUpdate))
	if l.Number != nil {
		r.add("number", l.Number.String())
	}
	r.add("delta", l.BaseNumber != nil)
	r.add("signature", signature.Name(l.SignatureAlgorithm, oid.AlgorithmIdentifier{}))
	r.add("authority_key_id", hex.EncodeToString(l.AuthorityKeyID))
	r.add("revoked_count", int64(l.Len()))
	r.add("revoked", revoked(l))
	r.add("defects", texts(l.Defects))
	return r
}

func revoked(l *cert.CRL) []string {
	var list []string
	for e := range l.Entries() {
		if len(list) == maxRevoked {
			return append(list, fmt.Sprintf("and %d more", l.Len()-maxRevoked))
		}
		list = append(list, fmt.Sprintf("%s at %s, %s", e.Serial.Text(16), stamp(e.RevokedAt), e.Reason))
	}
	return list
}

// Certificate explains a certificate.
func Certificate(c *cert.Certificate) *Report { return certificate(c) }
