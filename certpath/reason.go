package certpath

import (
	"fmt"

	"github.com/mailseal/mailseal/cert"
)

// Reason is why a certificate was not accepted.
type Reason int

// The reasons, the mildest first: of several faults in one path the worst is
// reported, of several faulty paths the one with the mildest fault. So Expired
// means that nothing but time is wrong.
const (
	Expired         Reason = iota + 1 // a certificate had ended
	NotYetValid                       // a certificate had not begun
	Weak                              // SHA-1, MD5 or an RSA key below MinRSABits
	KeyUsage                          // the leaf's key is for other things
	WrongPurpose                      // extended key usage leaves out the purpose
	Policy                            // no acceptable certificate policy
	NameConstraint                    // an authority may not issue for this name
	PathLen                           // more authorities than one of them allows
	NotCA                             // an issuer is no authority, or its key may not sign certificates
	Distrusted                        // the anchor has lost trust before the leaf was made
	UnknownCritical                   // a critical extension is not known
	Malformed                         // a certificate breaks the standard and means nothing certain
	Unsupported                       // a signature cannot be checked: algorithm not known
	BadSignature                      // a signature was not made by the issuer
	NoPath                            // no trust anchor can be reached
	Budget                            // too much work: given up
)

var reasonNames = map[Reason]string{
	Expired: "expired", NotYetValid: "not yet valid", Weak: "weak", KeyUsage: "key usage",
	WrongPurpose: "purpose", Policy: "policy", NameConstraint: "name constraint", PathLen: "path length",
	NotCA: "not an authority", Distrusted: "distrusted", UnknownCritical: "unknown critical extension", Malformed: "malformed",
	Unsupported: "unsupported", BadSignature: "bad signature", NoPath: "no path", Budget: "too much work",
}

// String returns the reason in a word or two.
func (r Reason) String() string {
	if name, ok := reasonNames[r]; ok {
		return name
	}
	return fmt.Sprintf("reason %d", int(r))
}

// Error says which certificate failed and why. Its text is one line without
// control characters, whatever the certificate holds.
type Error struct {
	Reason      Reason
	Certificate *cert.Certificate // at fault, or from which no way led on
	Detail      string
}

// Error gives reason, subject and detail.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: certificate %s: %s", e.Reason, label(e.Certificate), e.Detail)
}

// label names a certificate for people, in bounded length.
func label(c *cert.Certificate) string {
	name := c.Subject.String()
	if name == "" {
		name = "serial " + c.SerialHex()
	}
	if runes := []rune(name); len(runes) > 120 {
		name = string(runes[:120]) + "..."
	}
	return name
}

// worse returns the fault that weighs more; nil is none.
func worse(a, b *Error) *Error {
	if a == nil || b != nil && b.Reason > a.Reason {
		return b
	}
	return a
}

func fault(r Reason, c *cert.Certificate, format string, args ...any) *Error {
	return &Error{Reason: r, Certificate: c, Detail: fmt.Sprintf(format, args...)}
}

func issuerLabel(c *cert.Certificate) string {
	return label(&cert.Certificate{Subject: c.Issuer, Serial: c.Serial})
}
