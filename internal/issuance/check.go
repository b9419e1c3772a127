package issuance

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// Serial numbers: S/MIME BR §7.1 asks for 64 random bits, a positive number
// below 2^159. Ours have 127 random bits.
const (
	minSerialBits = 64
	maxSerialBits = 159
)

// check holds a certificate, read back from its bytes, against the profile.
// Every rule that it breaks is named.
func (p *Profile) check(is *Issuer, c *cert.Certificate, names Names) error {
	rules := []func(*Profile, *Issuer, *cert.Certificate) error{
		checkFrame, checkSerial, checkValidity, checkPublicKey, checkUsages,
		checkIdentifiers, checkPolicies, checkAddresses, checkCapabilities, checkExtensionList,
	}
	var wrong []error
	for _, rule := range rules {
		wrong = append(wrong, rule(p, is, c))
	}
	return errors.Join(append(wrong, p.checkSubject(c, names))...)
}

// checkFrame: version 3, the issuer's name byte for byte (RFC 5280 §4.1.2.4),
// its algorithm inside as outside (§4.1.1.2), and nothing that breaks DER.
func checkFrame(_ *Profile, is *Issuer, c *cert.Certificate) error {
	switch {
	case c.Version != 3:
		return fmt.Errorf("version %d, not 3", c.Version)
	case !bytes.Equal(c.RawIssuer, is.certificate.RawSubject):
		return errors.New("issuer is not the authority's subject")
	case len(c.Defects) > 0:
		return errors.Join(c.Defects...)
	}
	return nil
}

func checkSerial(_ *Profile, _ *Issuer, c *cert.Certificate) error {
	if bits := c.Serial.BitLen(); c.Serial.Sign() <= 0 || bits < minSerialBits || bits > maxSerialBits {
		return fmt.Errorf("serial number of %d bits, not a positive one of %d to %d (S/MIME BR §7.1)",
			bits, minSerialBits, maxSerialBits)
	}
	return nil
}

// checkValidity: S/MIME BR §6.3.2 counts both ends, and nothing outlives the
// authority.
func checkValidity(p *Profile, is *Issuer, c *cert.Certificate) error {
	length := c.NotAfter.Sub(c.NotBefore) + time.Second
	switch {
	case length != time.Duration(p.config.ValidityDays)*24*time.Hour:
		return fmt.Errorf("valid for %v, not for the %d days of the profile", length, p.config.ValidityDays)
	case c.NotBefore.Before(is.certificate.NotBefore) || c.NotAfter.After(is.certificate.NotAfter):
		return errors.New("valid outside the validity of the authority")
	}
	return nil
}

func checkPublicKey(p *Profile, _ *Issuer, c *cert.Certificate) error {
	if err := p.CheckKey(c.PublicKey); err != nil {
		return err
	}
	canonical, err := encodeKey(c.PublicKey)
	if err != nil {
		return err
	}
	if !bytes.Equal(canonical, c.RawSPKI) {
		return errors.New("public key is not in its canonical form (S/MIME BR §7.1.3.1)")
	}
	return nil
}

// checkUsages: S/MIME BR §7.1.2.3 (e) and (f); basicConstraints stays out, a
// subscriber is no authority.
func checkUsages(p *Profile, _ *Issuer, c *cert.Certificate) error {
	want, err := p.keyUsage(c.PublicKey)
	if err != nil {
		return err
	}
	switch {
	case c.KeyUsage != want:
		return fmt.Errorf("keyUsage %v, not %v", c.KeyUsage, want)
	case !slices.Equal(c.ExtKeyUsage, p.extKeyUsage(c.PublicKey)):
		return fmt.Errorf("extKeyUsage %v, not %v", c.ExtKeyUsage, p.extKeyUsage(c.PublicKey))
	case c.BasicConstraints.Present:
		return errors.New("basicConstraints in a subscriber's certificate")
	}
	return nil
}

func checkIdentifiers(_ *Profile, is *Issuer, c *cert.Certificate) error {
	id, err := keyID(c.RawSPKI)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(c.SubjectKeyID, id):
		return errors.New("subjectKeyIdentifier is not that of the key")
	case !bytes.Equal(c.AuthorityKeyID, is.certificate.SubjectKeyID):
		return errors.New("authorityKeyIdentifier is not the authority's")
	}
	return nil
}

// checkPolicies: exactly one, the profile's (S/MIME BR §7.1.2.3 (a)).
func checkPolicies(p *Profile, _ *Issuer, c *cert.Certificate) error {
	if p.config.service() {
		if len(c.Policies) > 0 {
			return errors.New("certificatePolicies in the certificate of a service")
		}
		return nil
	}
	if len(c.Policies) != 1 || c.Policies[0].ID != p.config.Policy || c.Policies[0].Qualifiers != nil {
		return fmt.Errorf("certificatePolicies is not %s alone", p.config.Policy)
	}
	return nil
}

// checkAddresses: one plain http address each for the CRL, the authority's
// certificate and OCSP where it is answered (S/MIME BR §7.1.2.3 (b) and (c)). A
// responder's certificate is not asked about (RFC 6960 §4.2.2.2.1) and names
// neither CRL nor OCSP.
func checkAddresses(p *Profile, is *Issuer, c *cert.Certificate) error {
	points, crl := c.DistributionPoints, is.PartitionURL(is.Partition(c.Serial))
	switch {
	case p.config.Type == OCSPSigner:
		if points != nil {
			return errors.New("cRLDistributionPoints in the certificate of a responder")
		}
	case len(points) != 1 || len(points[0].FullName) != 1 || points[0].Reasons != 0 || points[0].CRLIssuer != nil ||
		!slices.Equal(c.CRLDistributionPoints, []string{crl}):
		return errors.New("cRLDistributionPoints is not the authority's one address")
	}
	var ocsp []string
	if address := p.ocspURL(is); address != "" {
		ocsp = []string{address}
	}
	if !slices.Equal(c.IssuingCertificateURL, []string{is.certificateURL}) || !slices.Equal(c.OCSPServer, ocsp) {
		return errors.New("authorityInfoAccess is not the authority's one address of each kind")
	}
	return errors.Join(checkHTTP(crl), checkHTTP(is.certificateURL))
}

func checkHTTP(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is not a plain http address", address)
	}
	return nil
}

// checkCapabilities: the SEQUENCE of the profile's algorithms, each without
// parameters (RFC 8551 §2.5.2, RFC 3565 §4.1).
func checkCapabilities(p *Profile, _ *Issuer, c *cert.Certificate) error {
	e, present := c.Extension(oid.ExtSMIMECapabilities)
	if !present {
		if len(p.config.Capabilities) > 0 {
			return errors.New("smimeCapabilities is missing")
		}
		return nil
	}
	var found []oid.OID
	s := cryptobyte.String(e.Value)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return errors.New("smimeCapabilities is malformed")
	}
	for !seq.Empty() {
		var a oid.AlgorithmIdentifier
		if !oid.ReadAlgorithm(&seq, &a) || a.Parameters != nil {
			return errors.New("smimeCapabilities is malformed")
		}
		found = append(found, a.Algorithm)
	}
	if !slices.Equal(found, p.config.Capabilities) {
		return fmt.Errorf("smimeCapabilities %v, not %v", found, p.config.Capabilities)
	}
	return nil
}

// checkExtensionList: nothing but what a profile of S/MIME BR §7.1.2.3 has,
// critical where it must be.
func checkExtensionList(p *Profile, _ *Issuer, c *cert.Certificate) error {
	critical := map[oid.OID]bool{
		oid.ExtKeyUsage: true, oid.ExtExtKeyUsage: p.config.Type == TimestampSigner, oid.ExtSubjectAltName: c.Subject.Empty(),
		oid.ExtSubjectKeyID: false, oid.ExtAuthorityKeyID: false, oid.ExtCertificatePolicies: false,
		oid.ExtCRLDistributionPoints: false, oid.ExtAuthorityInfoAccess: false, oid.ExtSMIMECapabilities: false,
	}
	if p.config.Type == OCSPSigner {
		critical[oid.ExtOCSPNoCheck] = false
		if _, present := c.Extension(oid.ExtOCSPNoCheck); !present {
			return errors.New("ocsp-nocheck is missing")
		}
	}
	var wrong []error
	for _, e := range c.Extensions {
		want, known := critical[e.ID]
		if !known {
			wrong = append(wrong, fmt.Errorf("extension %s has no place in the profile", e.ID.Name()))
		} else if e.Critical != want {
			wrong = append(wrong, fmt.Errorf("extension %s: critical is %v", e.ID.Name(), e.Critical))
		}
	}
	return errors.Join(wrong...)
}

// checkSubject: the proven mailboxes and nothing else, byte for byte, in the
// form that each needs; the subject is what was validated (S/MIME BR
// §7.1.4.2).
func (p *Profile) checkSubject(c *cert.Certificate, names Names) error {
	if err := p.checkNames(names, c.NotBefore); err != nil {
		return err
	}
	if len(c.AltNames) != len(names.Mailboxes) {
		return fmt.Errorf("subjectAltName has %d names for %d mailboxes", len(c.AltNames), len(names.Mailboxes))
	}
	for i, m := range names.Mailboxes {
		n := c.AltNames[i]
		form := n.Kind == cert.RFC822Name && m.ASCII() || n.IsSmtpUTF8Mailbox() && !m.ASCII()
		if again, err := mailbox.Parse(n.Text); !form || err != nil || again != m || n.Text != m.String() {
			return errors.New("subjectAltName has a name that is not the proven mailbox")
		}
	}
	subject, _, err := p.subject(names)
	if err != nil {
		return err
	}
	if !bytes.Equal(c.RawSubject, subject) {
		return errors.New("subject is not what was validated")
	}
	return nil
}

// lint holds the certificate against the requirements as anybody would who
// knows nothing of the profile: our own rules, then zlint's. Those know the
// CA/Browser Forum's policy identifiers alone, so they see a twin. A warning is
// as bad as an error: what we issue gives no reason for one.
func (p *Profile) lint(c *cert.Certificate) error {
	kind := p.config.kind()
	found := lint.Check(&lint.Subject{Certificate: c, Kind: kind, Private: !lint.IsReserved(p.config.Policy)})
	twin, err := lint.Twin(c.RawTBS, kind.ReservedPolicy())
	if err != nil {
		return err
	}
	others, err := lint.ZLint(twin)
	if err != nil {
		return err
	}
	if !lint.IsReserved(p.config.Policy) {
		others = slices.DeleteFunc(others, func(f lint.Finding) bool { return f.Rule == internalNames })
	}
	return findings(append(found, others...))
}

// internalNames is zlint's rule about addresses that only some networks reach.
// A private authority may serve such a network.
const internalNames = "w_smime_aia_contains_internal_names"

// findings makes one error of those that count.
func findings(list []lint.Finding) error {
	var wrong []error
	for _, f := range list {
		if f.Severity != lint.Notice {
			wrong = append(wrong, fmt.Errorf("%s (%s, %s): %s", f.Rule, f.By, f.Section, f.Text))
		}
	}
	return errors.Join(wrong...)
}
