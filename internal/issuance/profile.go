package issuance

import (
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/weakkey"
)

// MaxValidityDays is one less than S/MIME BR §6.3.2 allows, because a second
// too many counts as a day.
const MaxValidityDays = lint.MaxValidityDays - 1

// Type is what was validated: the four types of the S/MIME BR §1.2.1, and two
// more for the authority's own services.
type Type = lint.Type

// The types. A service's certificate names the service, and no mailbox.
const (
	MailboxValidated      = lint.MailboxValidated
	OrganizationValidated = lint.OrganizationValidated
	SponsorValidated      = lint.SponsorValidated
	IndividualValidated   = lint.IndividualValidated

	OCSPSigner      Type = "ocsp-signer"      // answers for one authority (RFC 6960 §4.2.2.2)
	TimestampSigner Type = "timestamp-signer" // signs timestamps (RFC 3161 §2.3)
)

// Generation is how strict the S/MIME BR are with the certificate.
type Generation = lint.Generation

// The generations. Multipurpose certificates may also authenticate a TLS
// client.
const (
	Multipurpose = lint.Multipurpose
	Strict       = lint.Strict
)

// KeyUse is what the key of a certificate is for.
type KeyUse string

// The uses: one key for both, or a pair of certificates with a key each. What
// is escrowed is the encryption key alone.
const (
	Dual       KeyUse = "dual"
	Signing    KeyUse = "signing"
	Encryption KeyUse = "encryption"
)

// CommonName is what stands in commonName (S/MIME BR §7.1.4.2.2 (a)).
type CommonName string

// The choices. The last one is the person's name, or the pseudonym of somebody
// who goes by one.
const (
	NameMailbox      CommonName = "mailbox"
	NameOrganization CommonName = "organization"
	NamePerson       CommonName = "person"
)

// commonNames lists the choices of each type, the usual one first.
var commonNames = map[Type][]CommonName{
	MailboxValidated:      {NameMailbox},
	OrganizationValidated: {NameOrganization, NameMailbox},
	SponsorValidated:      {NamePerson, NameMailbox},
	IndividualValidated:   {NamePerson, NameMailbox},
}

// ProfileConfig is a profile as it is written down; orders keep it. It is what
// all certificates of one kind have in common.
type ProfileConfig struct {
	Name         string     `json:"name"`
	Type         Type       `json:"type"`
	Generation   Generation `json:"generation"`    // none for services
	Policy       oid.OID    `json:"policy"`        // under the operator's own arc; none for services
	ValidityDays int        `json:"validity_days"` // at most MaxValidityDays
	Capabilities []oid.OID  `json:"capabilities"`  // content encryption that subscribers can read, best first

	KeyUse       KeyUse      `json:"key_use,omitempty"`        // empty: Dual
	Algorithms   []Algorithm `json:"algorithms,omitempty"`     // of the key; none: RSA, P-256, P-384, Ed25519
	CommonName   CommonName  `json:"common_name,omitempty"`    // empty: the usual one of the type
	NoClientAuth bool        `json:"no_client_auth,omitempty"` // a multipurpose certificate for mail alone

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
	wrong := []error{c.checkValidity(), c.checkKeys()}
	if c.Name == "" {
		wrong = append(wrong, errors.New("no name"))
	}
	if c.service() {
		wrong = append(wrong, c.checkService())
	} else {
		wrong = append(wrong, c.checkSubscriber())
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("profile %q: %w", c.Name, err)
	}
	c.Capabilities, c.Algorithms = slices.Clone(c.Capabilities), slices.Clone(c.Algorithms)
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", c.Name, err)
	}
	return &Profile{c, text}, nil
}

// service tells whether the certificates are the authority's own tools.
func (c *ProfileConfig) service() bool { return c.Type == OCSPSigner || c.Type == TimestampSigner }

func (c *ProfileConfig) kind() lint.Kind {
	if c.service() {
		return lint.Kind{}
	}
	return lint.Kind{Type: c.Type, Generation: c.Generation}
}

func (c *ProfileConfig) checkValidity() error {
	if c.ValidityDays < 1 || c.ValidityDays > MaxValidityDays {
		return fmt.Errorf("validity of %d days is not 1 to %d (S/MIME BR §6.3.2)", c.ValidityDays, MaxValidityDays)
	}
	return nil
}

// checkKeys: the uses that are known, and algorithms that serve the use.
func (c *ProfileConfig) checkKeys() error {
	uses := []KeyUse{"", Dual, Signing, Encryption}
	if !slices.Contains(uses, c.KeyUse) {
		return fmt.Errorf("key use %q is not one of %q", c.KeyUse, uses[1:])
	}
	for i, a := range c.Algorithms {
		switch {
		case !slices.Contains(allAlgorithms, a) || slices.Contains(c.Algorithms[:i], a):
			return fmt.Errorf("algorithm %q is repeated or not one of %q", a, allAlgorithms)
		case c.KeyUse == Signing && !a.canSign():
			return fmt.Errorf("algorithm %s cannot sign", a)
		case c.KeyUse == Encryption && !a.canEncrypt():
			return fmt.Errorf("algorithm %s cannot encrypt", a)
		}
	}
	return nil
}

func (c *ProfileConfig) checkSubscriber() error {
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	names, known := commonNames[c.Type]
	if !known {
		refuse("type %q is not one of %q", c.Type, lint.Types)
	}
	if c.Generation != Multipurpose && c.Generation != Strict {
		refuse("generation %q is not one of %q, %q", c.Generation, Multipurpose, Strict)
	}
	if known && c.CommonName != "" && !slices.Contains(names, c.CommonName) {
		refuse("common name %q is not one of %q, which %s allows (S/MIME BR §7.1.4.2.2)", c.CommonName, names, c.Type)
	}
	aes := []oid.OID{oid.AES256CBC, oid.AES192CBC, oid.AES128CBC, oid.AES256GCM, oid.AES192GCM, oid.AES128GCM}
	for i, capability := range c.Capabilities {
		if !slices.Contains(aes, capability) || slices.Contains(c.Capabilities[:i], capability) {
			refuse("capability %s is repeated or no AES mode that mail knows", capability)
		}
	}
	return errors.Join(append(wrong, checkPolicy(c))...)
}

// checkService: what only a subscriber's certificate has stays out.
func (c *ProfileConfig) checkService() error {
	if c.Generation != "" || c.Policy != "" || len(c.Capabilities) > 0 || c.CommonName != "" || c.NoClientAuth || c.Compliance != "" {
		return fmt.Errorf("type %q has neither generation, policy, capabilities, common name nor compliance", c.Type)
	}
	if c.KeyUse != Signing {
		return fmt.Errorf("type %q needs key use %q", c.Type, Signing)
	}
	return nil
}

// checkPolicy lets the reserved identifier in only where it is the right one
// for type and generation and compliance was declared.
func checkPolicy(c *ProfileConfig) error {
	var b cryptobyte.Builder
	oid.Add(&b, c.Policy)
	if _, err := b.Bytes(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if !lint.IsReserved(c.Policy) {
		return nil
	}
	if c.Compliance == "" {
		return fmt.Errorf("policy %s is reserved by the CA/Browser Forum and needs a declaration of compliance", c.Policy)
	}
	if want := c.kind().ReservedPolicy(); c.Policy != want {
		return fmt.Errorf("policy %s is not %s, which is reserved for %s %s", c.Policy, want, c.Type, c.Generation)
	}
	return nil
}

// cabForumArc is the CA/Browser Forum's.
const cabForumArc = "2.23.140"

// CheckArc tells whether an operator's policies can be numbered below arc.
func CheckArc(arc oid.OID) error {
	var b cryptobyte.Builder
	oid.Add(&b, OperatorPolicy(arc, MailboxValidated, Multipurpose))
	if _, err := b.Bytes(); err != nil {
		return fmt.Errorf("policy arc %q: %w", arc, err)
	}
	if arc == cabForumArc || strings.HasPrefix(string(arc), cabForumArc+".") {
		return fmt.Errorf("policy arc %s belongs to the CA/Browser Forum", arc)
	}
	return nil
}

// ReservedPolicy returns the CA/Browser Forum's identifier of a type and
// generation (S/MIME BR §7.1.6.1), for declared authorities.
func ReservedPolicy(t Type, g Generation) oid.OID {
	return lint.Kind{Type: t, Generation: g}.ReservedPolicy()
}

// OperatorPolicy returns the identifier of a type and generation under an
// operator's own arc, numbered like the reserved ones.
func OperatorPolicy(arc oid.OID, t Type, g Generation) oid.OID {
	return arc + "." + oid.OID(lint.Kind{Type: t, Generation: g}.Number())
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

// KeyUse returns what the key is for.
func (p *Profile) KeyUse() KeyUse {
	if p.config.KeyUse == "" {
		return Dual
	}
	return p.config.KeyUse
}

// algorithms are the kinds of keys that the profile takes.
func (p *Profile) algorithms() (list []Algorithm) {
	if list = p.config.Algorithms; len(list) > 0 {
		return list
	}
	for _, a := range everydayAlgorithms {
		if p.signs(a) || p.encrypts(a) {
			list = append(list, a)
		}
	}
	return list
}

// CheckKey refuses a key that no certificate of this profile can have: its
// kind, its use, or a known weakness.
func (p *Profile) CheckKey(key crypto.PublicKey) error { return checkKey(key, p.algorithms()) }

// signs and encrypts tell what a key of that kind does under the profile.
func (p *Profile) signs(a Algorithm) bool    { return p.KeyUse() != Encryption && a.canSign() }
func (p *Profile) encrypts(a Algorithm) bool { return p.KeyUse() != Signing && a.canEncrypt() }

// notAfter: both ends are included (RFC 5280 §4.1.2.5).
func (p *Profile) notAfter(notBefore time.Time) time.Time {
	return notBefore.Add(time.Duration(p.config.ValidityDays)*24*time.Hour - time.Second)
}

// extKeyUsage: a key that only encrypts cannot log anybody in.
func (p *Profile) extKeyUsage(key crypto.PublicKey) []oid.OID {
	switch {
	case p.config.Type == OCSPSigner:
		return []oid.OID{oid.OCSPSigning}
	case p.config.Type == TimestampSigner:
		return []oid.OID{oid.TimeStamping}
	case p.config.Generation == Strict || p.config.NoClientAuth || !p.signs(algorithmOf(key)):
		return []oid.OID{oid.EmailProtection}
	}
	return []oid.OID{oid.EmailProtection, oid.ClientAuth}
}

// keyUsage is S/MIME BR §7.1.2.3 (e) for each kind of key (RFC 3279, RFC 5480
// §3, RFC 8410 §5, RFC 9881 §5, RFC 9935 §5).
func (p *Profile) keyUsage(key crypto.PublicKey) (cert.KeyUsage, error) {
	a := algorithmOf(key)
	var usage cert.KeyUsage
	if p.signs(a) {
		usage |= cert.KeyUsageDigitalSignature
	}
	if p.encrypts(a) {
		switch a {
		case RSA, MLKEM:
			usage |= cert.KeyUsageKeyEncipherment
		case P256, P384:
			usage |= cert.KeyUsageKeyAgreement
		}
	}
	if a == "" || usage == 0 {
		return 0, weakkey.Refuse("%s keys have no use under a profile for %s", a, p.KeyUse())
	}
	return usage, nil
}
