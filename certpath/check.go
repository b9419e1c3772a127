package certpath

import (
	"crypto/rsa"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// checkLeaf asks what the leaf alone can answer.
func (s *search) checkLeaf(leaf *cert.Certificate) *Error {
	found := worse(checkForm(leaf), checkLeafProfile(leaf))
	found = worse(found, checkValidity(leaf, s.o.At))
	found = worse(found, checkPurpose(leaf, s.o.Purpose, true))
	found = worse(found, checkKeyStrength(leaf))
	if s.o.KeyUsage != 0 && !leaf.Allows(s.o.KeyUsage) {
		found = worse(found, fault(KeyUsage, leaf, "keyUsage is %s, and none of %s", orNone(leaf.KeyUsage), s.o.KeyUsage))
	}
	return found
}

// checkIssuer asks whether parent may stand above path. The order of the
// checks is of no meaning: the worst fault counts.
func (s *search) checkIssuer(path []*cert.Certificate, parent candidate) *Error {
	c := parent.Certificate
	found := worse(checkForm(c), checkValidity(c, s.o.At))
	found = worse(found, checkAuthority(c, parent.anchor))
	found = worse(found, checkPurpose(c, s.o.Purpose, false))
	found = worse(found, checkKeyStrength(c))
	found = worse(found, checkPathLen(path, c))
	return worse(found, s.checkNameConstraints(path, c))
}

// checkForm refuses what cannot be understood: defects of the certificate, and
// critical extensions that nobody here processes (RFC 5280 §4.2, §6.1.4 (o),
// §6.1.5 (f)). Key identifiers are hints, and critical ones a contradiction
// (§4.2.1.1, §4.2.1.2).
func checkForm(c *cert.Certificate) *Error {
	if len(c.Defects) > 0 {
		return fault(Malformed, c, "%v", c.Defects[0])
	}
	for _, e := range c.Extensions {
		if e.Critical && (e.ID == oid.ExtAuthorityKeyID || e.ID == oid.ExtSubjectKeyID) {
			return fault(Malformed, c, "%s is critical", e.ID.Name())
		}
		if e.Critical && !processed(e.ID) {
			return fault(UnknownCritical, c, "%s", e.ID.Name())
		}
	}
	return nil
}

// processed lists the extensions that path validation looks at, or that are
// known to ask nothing of it. crlDistributionPoints is served by package
// revocation.
func processed(id oid.OID) bool {
	switch id {
	case oid.ExtKeyUsage, oid.ExtExtKeyUsage, oid.ExtBasicConstraints, oid.ExtSubjectAltName,
		oid.ExtNameConstraints, oid.ExtCertificatePolicies, oid.ExtPolicyMappings,
		oid.ExtPolicyConstraints, oid.ExtInhibitAnyPolicy, oid.ExtSubjectKeyID,
		oid.ExtAuthorityKeyID, oid.ExtCRLDistributionPoints, oid.ExtIssuerAltName,
		oid.ExtOCSPNoCheck, oid.ExtSMIMECapabilities:
		return true
	}
	return false
}

// checkValidity: RFC 5280 §6.1.3 (a) (2).
func checkValidity(c *cert.Certificate, at time.Time) *Error {
	switch stageOf(c, at) {
	case NotYetValid:
		return fault(NotYetValid, c, "begins %s", c.NotBefore.Format(time.RFC3339))
	case Expired:
		return fault(Expired, c, "ended %s", c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// stageOf tells where at lies to the period of a certificate, to which both ends
// belong; 0 is inside.
func stageOf(c *cert.Certificate, at time.Time) Reason {
	switch {
	case at.Before(c.NotBefore):
		return NotYetValid
	case at.After(c.NotAfter.Add(time.Second - 1)): // the last second is whole
		return Expired
	}
	return 0
}

// checkAuthority: RFC 5280 §6.1.4 (k), (n), and what package certpath asks of
// an anchor.
func checkAuthority(c *cert.Certificate, anchor bool) *Error {
	switch {
	case c.Subject.Empty():
		return fault(Malformed, c, "an authority without a name")
	case !c.BasicConstraints.CA && !(anchor && c.Version < 3 && c.SelfIssued()):
		return fault(NotCA, c, "basicConstraints does not say that it is an authority")
	case !c.Allows(cert.KeyUsageCertSign):
		return fault(NotCA, c, "keyUsage is %s, without keyCertSign", orNone(c.KeyUsage))
	}
	return nil
}

// checkPathLen: RFC 5280 §6.1.4 (l), (m). Self-issued authorities and the leaf
// do not count.
func checkPathLen(path []*cert.Certificate, c *cert.Certificate) *Error {
	if c.BasicConstraints.PathLen < 0 {
		return nil
	}
	below := 0
	for _, p := range path[1:] {
		if !p.SelfIssued() {
			below++
		}
	}
	if below > c.BasicConstraints.PathLen {
		return fault(PathLen, c, "allows %d authorities below it, the path has %d", c.BasicConstraints.PathLen, below)
	}
	return nil
}

// checkDistrust holds a path to the date after which its anchor issues nothing
// that is believed.
func checkDistrust(path []*cert.Certificate, store AnchorStore) *Error {
	if store == nil {
		return nil
	}
	leaf, anchor := path[0], path[len(path)-1]
	if date := store.DistrustAfter(anchor); !date.IsZero() && leaf.NotBefore.After(date) {
		return fault(Distrusted, leaf, "begins %s; %s is not believed after %s", leaf.NotBefore.Format(time.RFC3339), label(anchor), date.Format(time.RFC3339))
	}
	return nil
}

var purposeOIDs = map[Purpose]oid.OID{
	Email: oid.EmailProtection, ClientAuth: oid.ClientAuth,
	TimeStamping: oid.TimeStamping, OCSPSigning: oid.OCSPSigning,
}

// checkPurpose: RFC 8550 §4.4.4 for the leaf: without the extension, or with
// emailProtection or anyExtendedKeyUsage. What an authority names binds those
// below it (S/MIME BR §7.1.5), as all implementations have it.
func checkPurpose(c *cert.Certificate, p Purpose, leaf bool) *Error {
	if p == AnyPurpose {
		return nil
	}
	want, known := purposeOIDs[p]
	if !known {
		return fault(WrongPurpose, c, "purpose %d is not known", int(p))
	}
	named := slices.Contains(c.ExtKeyUsage, want)
	switch {
	case leaf && p == TimeStamping:
		e, _ := c.Extension(oid.ExtExtKeyUsage)
		if !named || !e.Critical || len(c.ExtKeyUsage) != 1 {
			return fault(WrongPurpose, c, "extKeyUsage is not timeStamping alone and critical")
		}
	case leaf && p == OCSPSigning:
		if !named {
			return fault(WrongPurpose, c, "extKeyUsage does not name OCSPSigning")
		}
	case c.HasExtKeyUsage && !named && !slices.Contains(c.ExtKeyUsage, oid.AnyExtendedKeyUsage):
		return fault(WrongPurpose, c, "extKeyUsage does not name %s", want.Name())
	}
	return nil
}

// checkKeyStrength refuses RSA keys that are too short.
func checkKeyStrength(c *cert.Certificate) *Error {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < MinRSABits {
		return fault(Weak, c, "RSA key of %d bits, less than %d", key.N.BitLen(), MinRSABits)
	}
	return nil
}

// checkSignatureStrength refuses digests for which two certificates with one
// signature can be made. An anchor's own signature is never asked for.
func checkSignatureStrength(child, parent *cert.Certificate) *Error {
	scheme, err := signature.Read(child.SignatureAlgorithm, oid.AlgorithmIdentifier{})
	if err == nil && scheme.Weak() {
		return fault(Weak, child, "signed with %s by %s", scheme, label(parent))
	}
	return nil
}

func orNone(u cert.KeyUsage) string {
	if u == 0 {
		return "empty"
	}
	return u.String()
}
