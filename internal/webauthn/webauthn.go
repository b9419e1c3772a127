package webauthn

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Limits of what a browser sends.
const (
	MaxResponse  = 32 << 10 // octets of JSON
	maxHandle    = 64       // octets of a user handle, §5.4.3
	maxID        = 1023     // octets of a credential's id, §4
	challengeMin = 16       // octets, §13.4.3
)

// The ways in which an answer is refused.
var (
	ErrMalformed = errors.New("webauthn: the answer cannot be read")
	ErrChallenge = errors.New("webauthn: the answer is to another challenge")
	ErrOrigin    = errors.New("webauthn: the answer is for another site")
	ErrUser      = errors.New("webauthn: the user was not verified")
	ErrSignature = errors.New("webauthn: the signature is wrong")
	ErrCounter   = errors.New("webauthn: the counter went back: the passkey may have been copied")
)

// Site is the relying party.
type Site struct {
	ID      string   // a domain, without port
	Name    string   // for people
	Origins []string // of pages that may use its passkeys, such as "https://ca.example.org"
}

// User is whose passkey is to be made.
type User struct {
	Handle []byte // at most 64 octets, nothing about the person
	Name   string // sign-in name
	Shown  string // for people
}

// Key is a passkey as the site keeps it.
type Key struct {
	ID        []byte
	PublicKey []byte // SubjectPublicKeyInfo
	Count     uint32
}

// Creation are the options for navigator.credentials.create, as
// PublicKeyCredential.parseCreationOptionsFromJSON reads them (§5.1.9). Known are
// the ids of passkeys that the user has: their authenticators make no second one.
func (s Site) Creation(challenge []byte, u User, known [][]byte) ([]byte, error) {
	if len(challenge) < challengeMin || len(u.Handle) == 0 || len(u.Handle) > maxHandle {
		return nil, errors.New("webauthn: options are not complete")
	}
	parameters := make([]map[string]any, len(algorithms))
	for i, algorithm := range algorithms {
		parameters[i] = map[string]any{"type": "public-key", "alg": algorithm}
	}
	return json.Marshal(map[string]any{
		"rp":               map[string]string{"id": s.ID, "name": s.Name},
		"user":             map[string]string{"id": encode(u.Handle), "name": u.Name, "displayName": u.Shown},
		"challenge":        encode(challenge),
		"pubKeyCredParams": parameters,
		"attestation":      "none",
		"authenticatorSelection": map[string]any{
			"residentKey": "required", "requireResidentKey": true, "userVerification": "required",
		},
		"excludeCredentials": descriptors(known),
		"timeout":            300_000,
	})
}

// Request are the options for navigator.credentials.get: any passkey of the site.
func (s Site) Request(challenge []byte) ([]byte, error) {
	if len(challenge) < challengeMin {
		return nil, errors.New("webauthn: options are not complete")
	}
	return json.Marshal(map[string]any{
		"challenge": encode(challenge), "rpId": s.ID, "userVerification": "required",
		"allowCredentials": []any{}, "timeout": 300_000,
	})
}

func descriptors(ids [][]byte) []map[string]string {
	list := make([]map[string]string, len(ids))
	for i, id := range ids {
		list[i] = map[string]string{"type": "public-key", "id": encode(id)}
	}
	return list
}

// answer is what PublicKeyCredential.toJSON gives (§5.1.8).
type answer struct {
	Type     string  `json:"type"`
	RawID    encoded `json:"rawId"`
	Response struct {
		ClientData        encoded `json:"clientDataJSON"`
		Attestation       encoded `json:"attestationObject"`
		AuthenticatorData encoded `json:"authenticatorData"`
		Signature         encoded `json:"signature"`
		UserHandle        encoded `json:"userHandle"`
	} `json:"response"`
}

// encoded are octets in base64url without padding.
type encoded []byte

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// UnmarshalJSON implements json.Unmarshaler.
func (e *encoded) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err != nil || s == nil {
		return err
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(*s)
	*e = b
	return err
}

func parseAnswer(raw []byte) (a answer, err error) {
	if len(raw) > MaxResponse {
		return a, fmt.Errorf("%w: more than %d octets", ErrMalformed, MaxResponse)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if a.Type != "public-key" || len(a.RawID) == 0 || len(a.RawID) > maxID {
		return a, ErrMalformed
	}
	return a, nil
}

// The ceremonies, as client data names them (§5.8.1).
const (
	create = "webauthn.create"
	get    = "webauthn.get"
)

// clientData is what the browser says of the page (§5.8.1).
type clientData struct {
	Type        string  `json:"type"`
	Challenge   encoded `json:"challenge"`
	Origin      string  `json:"origin"`
	CrossOrigin bool    `json:"crossOrigin"`
}

// Challenge reads which challenge an answer says it is to, so that the caller
// finds what it kept of it. Nothing is checked yet.
func Challenge(raw []byte) ([]byte, error) {
	a, err := parseAnswer(raw)
	if err != nil {
		return nil, err
	}
	var c clientData
	if err := json.Unmarshal(a.Response.ClientData, &c); err != nil || len(c.Challenge) == 0 {
		return nil, ErrMalformed
	}
	return c.Challenge, nil
}

// KeyID reads which passkey an answer says it is of.
func KeyID(raw []byte) ([]byte, error) {
	a, err := parseAnswer(raw)
	return a.RawID, err
}

// page checks what the browser says of the page: §7.1 steps 7 to 11, §7.2 steps
// 10 to 14.
func (s Site) page(raw []byte, ceremony string, challenge []byte) error {
	var c clientData
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case c.Type != ceremony:
		return ErrMalformed
	case len(challenge) < challengeMin || subtle.ConstantTimeCompare(c.Challenge, challenge) != 1:
		return ErrChallenge
	case !slices.Contains(s.Origins, c.Origin) || c.CrossOrigin:
		return ErrOrigin
	}
	return nil
}

// Flags of authenticator data (§6.1).
const (
	flagPresent    = 0x01
	flagVerified   = 0x04
	flagKey        = 0x40
	flagExtensions = 0x80
)

// authenticatorData is §6.1's.
type authenticatorData struct {
	flags byte
	count uint32
	rest  []byte // from the attested credential data on
}

// authenticator reads authenticator data and checks what it says of site and
// user: §7.1 steps 13 to 16, §7.2 steps 15 to 17.
func (s Site) authenticator(raw []byte) (d authenticatorData, err error) {
	const fixed = sha256.Size + 1 + 4
	if len(raw) < fixed {
		return d, ErrMalformed
	}
	site := sha256.Sum256([]byte(s.ID))
	if !bytes.Equal(raw[:sha256.Size], site[:]) {
		return d, ErrOrigin
	}
	d = authenticatorData{flags: raw[sha256.Size], count: binary.BigEndian.Uint32(raw[sha256.Size+1:]), rest: raw[fixed:]}
	if d.flags&flagPresent == 0 || d.flags&flagVerified == 0 {
		return d, ErrUser
	}
	return d, nil
}

// Register checks the answer to [Site.Creation] (§7.1).
func (s Site) Register(raw, challenge []byte) (Key, error) {
	a, err := parseAnswer(raw)
	if err != nil {
		return Key{}, err
	}
	if err := s.page(a.Response.ClientData, create, challenge); err != nil {
		return Key{}, err
	}
	object, rest, err := decodeMap(a.Response.Attestation)
	if err != nil || len(rest) != 0 {
		return Key{}, fmt.Errorf("%w: attestation object", ErrMalformed)
	}
	data, _ := object["authData"].([]byte)
	d, err := s.authenticator(data)
	if err != nil {
		return Key{}, err
	}
	return d.key(a.RawID)
}

// key reads the attested credential data (§6.5.1).
func (d authenticatorData) key(id []byte) (Key, error) {
	const aaguid = 16
	if d.flags&flagKey == 0 || len(d.rest) < aaguid+2 {
		return Key{}, fmt.Errorf("%w: no key in it", ErrMalformed)
	}
	size := int(binary.BigEndian.Uint16(d.rest[aaguid:]))
	rest := d.rest[aaguid+2:]
	if size == 0 || size > maxID || size > len(rest) || !bytes.Equal(rest[:size], id) {
		return Key{}, fmt.Errorf("%w: id of the key", ErrMalformed)
	}
	cose, rest, err := decodeMap(rest[size:])
	if err != nil || (len(rest) != 0) != (d.flags&flagExtensions != 0) {
		return Key{}, fmt.Errorf("%w: key", ErrMalformed)
	}
	public, err := coseKey(cose)
	if err != nil {
		return Key{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", errKey, err)
	}
	return Key{ID: bytes.Clone(id), PublicKey: spki, Count: d.count}, nil
}

// Authenticate checks the answer to [Site.Request] with the passkey that it is of
// and the handle of the user whose passkey that is (§7.2). It returns what the
// counter says now.
func (s Site) Authenticate(raw, challenge []byte, k Key, handle []byte) (count uint32, err error) {
	a, err := parseAnswer(raw)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(a.RawID, k.ID) {
		return 0, ErrMalformed
	}
	// §7.2 step 6: who was not known before has to be named by the answer.
	if !bytes.Equal(a.Response.UserHandle, handle) || len(handle) == 0 {
		return 0, ErrSignature
	}
	if err := s.page(a.Response.ClientData, get, challenge); err != nil {
		return 0, err
	}
	d, err := s.authenticator(a.Response.AuthenticatorData)
	if err != nil {
		return 0, err
	}
	public, err := x509.ParsePKIXPublicKey(k.PublicKey)
	if err != nil {
		return 0, fmt.Errorf("webauthn: stored key: %w", err)
	}
	page := sha256.Sum256(a.Response.ClientData)
	signed := append(bytes.Clone(a.Response.AuthenticatorData), page[:]...)
	if !verify(public, signed, a.Response.Signature) {
		return 0, ErrSignature
	}
	// §7.2 step 22: a counter that does not rise tells of a copy. Synchronized
	// passkeys have none and say zero.
	if (d.count != 0 || k.Count != 0) && d.count <= k.Count {
		return 0, ErrCounter
	}
	return d.count, nil
}
