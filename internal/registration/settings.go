package registration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/mailseal/mailseal/internal/issuance"
)

// The kinds of certificates: what was validated, by the name that people know.
const (
	KindBasic = "basic" // the mailbox
	KindIV    = "iv"    // and the person
	KindOV    = "ov"    // and the organization
	KindIVOV  = "iv-ov" // and both: the organization vouches for its person
)

// Choices of [Settings].
const (
	KeysBrowser = "browser" // each person makes a key of their own
	KeysServer  = "server"  // the server makes it, and forgets it when it was picked up

	NamesLatin = "latin" // commonName is the name in Latin letters
	NamesLocal = "local" // commonName is the name in the person's own script

	IssuerLocal    = "local"    // our own authority
	IssuerExternal = "external" // one outside: request out, certificate in
)

// Settings are what an organization has chosen for its certificates.
type Settings struct {
	Kind       string `json:"kind"`       // basic, iv, ov, iv-ov
	Generation string `json:"generation"` // multipurpose, strict
	Issuer     string `json:"issuer"`     // local, external
	Keys       string `json:"keys"`       // browser, server
	Algorithm  string `json:"algorithm"`  // p256, p384, rsa-2048, rsa-3072
	Split      bool   `json:"split"`      // a certificate to sign and one to encrypt
	Escrow     bool   `json:"escrow"`     // of the encryption key; needs Split
	Names      string `json:"names"`      // latin, local
	Language   string `json:"language"`   // of mails to people who have chosen none: en, ja
	Approval   bool   `json:"approval"`   // orders need somebody other than who asked
	Renew      bool   `json:"renew"`      // without anybody asking
	Validity   int    `json:"validity"`   // days
}

// DefaultSettings are those of a new organization: what every mail client takes.
func DefaultSettings() Settings {
	return Settings{
		Kind: KindBasic, Generation: string(issuance.Multipurpose), Issuer: IssuerLocal, Keys: KeysBrowser,
		Algorithm: "rsa-3072", Names: NamesLatin, Language: "en", Renew: true, Validity: 365,
	}
}

// keyChoice is what an algorithm of the settings means for a key.
type keyChoice struct {
	algorithm issuance.Algorithm
	bits      int // at least; of RSA
}

var keyChoices = map[string]keyChoice{
	"p256": {issuance.P256, 0}, "p384": {issuance.P384, 0}, "rsa-2048": {issuance.RSA, 2048}, "rsa-3072": {issuance.RSA, 3072},
}

// Algorithms lists what [Settings].Algorithm can be.
func Algorithms() []string { return []string{"rsa-3072", "rsa-2048", "p256", "p384"} }

// check says everything that is wrong.
func (s Settings) check() error {
	var all []error
	among := func(field, value string, values ...string) {
		if !slices.Contains(values, value) {
			all = append(all, wrong(field, "input.choice", value, values))
		}
	}
	among("kind", s.Kind, KindBasic, KindIV, KindOV, KindIVOV)
	among("generation", s.Generation, string(issuance.Multipurpose), string(issuance.Strict))
	among("issuer", s.Issuer, IssuerLocal, IssuerExternal)
	among("keys", s.Keys, KeysBrowser, KeysServer)
	among("algorithm", s.Algorithm, Algorithms()...)
	among("names", s.Names, NamesLatin, NamesLocal)
	among("language", s.Language, "en", "ja")
	if s.Escrow && !s.Split {
		all = append(all, wrong("escrow", "input.escrow.split"))
	}
	if s.Validity < 1 || s.Validity > issuance.MaxValidityDays {
		all = append(all, wrong("validity", "input.validity", issuance.MaxValidityDays))
	}
	return errors.Join(all...)
}

// Warnings are the texts that somebody who chooses these settings should read.
func (s Settings) Warnings() (keys []string) {
	if s.Algorithm == "p256" || s.Algorithm == "p384" {
		keys = append(keys, "settings.warn.curve")
	}
	if !s.Escrow {
		keys = append(keys, "settings.warn.backup")
	}
	if s.Escrow {
		keys = append(keys, "settings.warn.escrow")
	}
	return keys
}

// Uses are the certificates that a person gets at a time.
func (s Settings) Uses() []issuance.KeyUse {
	if s.Split {
		return []issuance.KeyUse{issuance.Signing, issuance.Encryption}
	}
	return []issuance.KeyUse{issuance.Dual}
}

// Keeps tells whether a copy of an order's key is kept that its holder makes and
// seals: of one that decrypts, and when the mailboxes are proven. Only then is it
// anybody's business who keeps it.
func (s Settings) Keeps(o Order) bool {
	return s.Escrow && s.Keys == KeysBrowser && o.Organization != "" && o.Use == string(issuance.Encryption) &&
		(o.State == StateProven || o.State == StateIssued) // issued: the answer may have been lost
}

// ParseSettings reads settings from JSON. What is left out is as in
// [DefaultSettings]; fields that are not known are refused.
func ParseSettings(text []byte) (Settings, error) {
	s := DefaultSettings()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return Settings{}, wrong("settings", "input.settings", err.Error())
	}
	return s, s.check()
}

func (s Settings) text() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, numbers and truths
	}
	return string(text)
}
