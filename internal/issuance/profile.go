package issuance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// MaxValidityDays is one less than S/MIME BR §6.3.2 allows, because a second
// too many counts as a day.
const MaxValidityDays = 824

// reservedArc holds the CA/Browser Forum's own policy identifiers for S/MIME.
const reservedArc = "2.23.140.1.5."

// Type is what was validated: the four types of the S/MIME BR §1.2.1. Only
// mailbox-validated certificates can be made today.
type Type string

// The one type that can be made.
const MailboxValidated Type = "mailbox-validated"

// Known tells whether t is one of the four types.
func (t Type) Known() bool {
	return slices.Contains([]Type{MailboxValidated, "organization-validated", "sponsor-validated", "individual-validated"}, t)
}

// Generation is how strict the S/MIME BR are with the certificate.
type Generation string

// The generations. Multipurpose certificates may also authenticate a TLS
// client.
const (
	Multipurpose Generation = "multipurpose"
	Strict       Generation = "strict"
)

// ProfileConfig is a profile as it is written down; orders keep it. It is what
// all certificates of one kind have in common.
type ProfileConfig struct {
	Name         string     `json:"name"`
	Type         Type       `json:"type"`
	Generation   Generation `json:"generation"`
	Policy       oid.OID    `json:"policy"`        // under the operator's own arc
	ValidityDays int        `json:"validity_days"` // at most MaxValidityDays
	Capabilities []oid.OID  `json:"capabilities"`  // content encryption that subscribers can read, best first

	// Compliance names the recorded declaration of compliance that the CA/B
	// Forum's reserved policy identifiers need (S/MIME BR §7.1.6.1).
	Compliance string `json:"compliance,omitempty"`
}

// Profile is a ProfileConfig that was checked.
type Profile struct {
	config ProfileConfig
	text   []byte
}

// NewProfile checks a configuration. Everything that is wrong is told at once.
func NewProfile(c ProfileConfig) (*Profile, error) {
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		refuse("no name")
	}
	if c.Type != MailboxValidated {
		refuse("type %q is not one of %q", c.Type, MailboxValidated)
	}
	if c.Generation != Multipurpose && c.Generation != Strict {
		refuse("generation %q is not one of %q, %q", c.Generation, Multipurpose, Strict)
	}
	if c.ValidityDays < 1 || c.ValidityDays > MaxValidityDays {
		refuse("validity of %d days is not 1 to %d (S/MIME BR §6.3.2)", c.ValidityDays, MaxValidityDays)
	}
	if err := checkPolicy(c); err != nil {
		wrong = append(wrong, err)
	}
	known := []oid.OID{oid.AES256CBC, oid.AES192CBC, oid.AES128CBC, oid.AES256GCM, oid.AES192GCM, oid.AES128GCM}
	for i, capability := range c.Capabilities {
		if !slices.Contains(known, capability) || slices.Contains(c.Capabilities[:i], capability) {
			refuse("capability %s is repeated or no AES mode that mail knows", capability)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("profile %q: %w", c.Name, err)
	}
	c.Capabilities = slices.Clone(c.Capabilities)
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", c.Name, err)
	}
	return &Profile{c, text}, nil
}

// checkPolicy lets the reserved identifier in only where it is the right one
// for type and generation and compliance was declared.
func checkPolicy(c ProfileConfig) error {
	var b cryptobyte.Builder
	oid.Add(&b, c.Policy)
	if _, err := b.Bytes(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if !strings.HasPrefix(string(c.Policy), reservedArc) {
		return nil
	}
	if c.Compliance == "" {
		return fmt.Errorf("policy %s is reserved by the CA/Browser Forum and needs a declaration of compliance", c.Policy)
	}
	if want := ReservedPolicy(c.Type, c.Generation); c.Policy != want {
		return fmt.Errorf("policy %s is not %s, which is reserved for %s %s", c.Policy, want, c.Type, c.Generation)
	}
	return nil
}

// ReservedPolicy returns the CA/Browser Forum's identifier of a type and
// generation (S/MIME BR §7.1.6.1), for lint twins and declared authorities.
func ReservedPolicy(t Type, g Generation) oid.OID { return oid.OID(reservedArc + policySuffix(t, g)) }

// OperatorPolicy returns the identifier of a type and generation under an
// operator's own arc, numbered like the reserved ones.
func OperatorPolicy(arc oid.OID, t Type, g Generation) oid.OID {
	return arc + "." + oid.OID(policySuffix(t, g))
}

func policySuffix(_ Type, g Generation) string {
	if g == Strict {
		return "1.3"
	}
	return "1.2"
}

// ParseProfile reads back what [Profile.Text] wrote.
func ParseProfile(text []byte) (*Profile, error) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	var c ProfileConfig
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return NewProfile(c)
}

// Text returns the profile as it is stored: JSON, always the same bytes.
func (p *Profile) Text() []byte { return slices.Clone(p.text) }

// Hash returns the SHA-256 of Text.
func (p *Profile) Hash() []byte {
	sum := sha256.Sum256(p.text)
	return sum[:]
}

// Name returns the name of the profile.
func (p *Profile) Name() string { return p.config.Name }

// Type returns what is validated.
func (p *Profile) Type() Type { return p.config.Type }

// notAfter: both ends are included (RFC 5280 §4.1.2.5).
func (p *Profile) notAfter(notBefore time.Time) time.Time {
	return notBefore.Add(time.Duration(p.config.ValidityDays)*24*time.Hour - time.Second)
}

func (p *Profile) extKeyUsage() []oid.OID {
	if p.config.Generation == Strict {
		return []oid.OID{oid.EmailProtection}
	}
	return []oid.OID{oid.EmailProtection, oid.ClientAuth}
}

// keyUsage is the dual use of S/MIME BR §7.1.2.3(e) for each kind of key: one
// key signs and decrypts, except Ed25519, which can only sign.
func (p *Profile) keyUsage(key crypto.PublicKey) (cert.KeyUsage, error) {
	switch key.(type) {
	case *rsa.PublicKey:
		return cert.KeyUsageDigitalSignature | cert.KeyUsageKeyEncipherment, nil
	case *ecdsa.PublicKey:
		return cert.KeyUsageDigitalSignature | cert.KeyUsageKeyAgreement, nil
	case ed25519.PublicKey:
		return cert.KeyUsageDigitalSignature, nil
	}
	return 0, weak("no key usage is defined for keys of type %T", key)
}
