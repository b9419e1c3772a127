package smime

import "time"

// Verdict is what may be believed about a message. Its JSON form is the contract of the command line.
type Verdict struct {
	Verdict   Conclusion `json:"verdict"`
	Encrypted bool       `json:"encrypted"`
	// From are the addresses of the From header, as far as they can be read without guessing.
	From []string `json:"from"`
	// Subject is the one to be shown: the protected one where the header is protected. Encoded words are decoded as far as
	// OpenOptions.DecodeHeader can.
	Subject string `json:"subject"`
	// HeaderProtection is what the message does for its header, and DifferingHeaders are the fields that somebody has changed on its
	// way.
	HeaderProtection HeaderProtection  `json:"header_protection"`
	DifferingHeaders []DifferingHeader `json:"differing_headers"`

	Coverage Coverage `json:"coverage"`
	// Signers of all layers, the outermost layer first.
	Signers []Signer `json:"signers"`
	// Layers from the outermost to the innermost.
	Layers []Layer `json:"layers"`
	// Warnings are for people: what does not change the verdict and should be known.
	Warnings []string `json:"warnings"`
}

// Conclusion is the one word about a message.
type Conclusion string

// Valid alone means that a person may believe that From wrote what is shown.
const (
	Valid     Conclusion = "valid"
	Invalid   Conclusion = "invalid"   // altered, signed by another than From, or by a revoked key
	Untrusted Conclusion = "untrusted" // intact, but nobody trusted says whose key it is
	Unsigned  Conclusion = "unsigned"  // nothing covers all of what is shown
	Unknown   Conclusion = "unknown"   // it cannot be told here
)

// Coverage is how much of what is shown the signatures cover.
type Coverage string

// A signature over a part of what is shown is as good as none: the attacker writes the rest.
const (
	CoverageWhole Coverage = "whole"
	CoveragePart  Coverage = "part"
	CoverageNone  Coverage = "none"
)

// Signer is one signature and who made it.
type Signer struct {
	Status Status `json:"status"`
	// Reason says in words why the status is not valid.
	Reason  string   `json:"reason"`
	Emails  []string `json:"emails"`
	Subject string   `json:"subject"`
	Issuer  string   `json:"issuer"`
	Serial  string   `json:"serial"` // hexadecimal
	SHA256  string   `json:"sha256"` // of the certificate, hexadecimal
	// Algorithm of the signature, for example "RSA-PKCS1v1.5 SHA-256".
	Algorithm string `json:"algorithm"`
	// SigningTime is the signer's own claim.
	SigningTime time.Time `json:"signing_time,omitzero"`
	// Timestamped is the time that a trusted third party confirms.
	Timestamped time.Time `json:"timestamped,omitzero"`
	// Validation is the CA/B Forum's type of the certificate, only where somebody vouches for the authority's practice.
	Validation string `json:"validation"`
}

// Status is what was found about one signature.
type Status string

// The statuses, from the best to the worst.
const (
	StatusValid             Status = "valid"
	StatusRevocationUnknown Status = "revocation-unknown"
	StatusUnsupported       Status = "unsupported"
	StatusWeak              Status = "weak"
	StatusExpired           Status = "expired"
	StatusUntrusted         Status = "untrusted"
	StatusAddressMismatch   Status = "address-mismatch"
	StatusRevoked           Status = "revoked"
	StatusInvalid           Status = "invalid"
)

// severity orders the statuses: where several apply to one signature, or several signatures to one message, the highest counts.
var severity = map[Status]int{
	StatusValid:             0,
	StatusRevocationUnknown: 1,
	StatusUnsupported:       2,
	StatusWeak:              3,
	StatusExpired:           4,
	StatusUntrusted:         5,
	StatusAddressMismatch:   6,
	StatusRevoked:           7,
	StatusInvalid:           8,
}

// worse returns the worse of two statuses. One that is not in the list is the worst of all.
func worse(a, b Status) Status {
	sa, oka := severity[a]
	sb, okb := severity[b]
	if !oka || !okb {
		return StatusInvalid
	}
	if sb > sa {
		return b
	}
	return a
}

// conclusion is what a message deserves whose worst signer has this status.
func (s Status) conclusion() Conclusion {
	switch s {
	case StatusValid:
		return Valid
	case StatusRevocationUnknown, StatusUnsupported:
		return Unknown
	case StatusWeak, StatusExpired, StatusUntrusted:
		return Untrusted
	}
	return Invalid
}

// LayerType is what a layer does.
type LayerType string

// The layers of RFC 8551 §3.
const (
	LayerSigned     LayerType = "signed"
	LayerEncrypted  LayerType = "encrypted"
	LayerCompressed LayerType = "compressed"
)

// Layer is one layer of the message.
type Layer struct {
	Type      LayerType `json:"type"`
	Algorithm string    `json:"algorithm"`
	// Recipients is how many keys open the layer; 0 unless it is encrypted.
	Recipients int `json:"recipients"`
}

// evidence is all that the conclusion about a message depends on.
type evidence struct {
	// layers from the outermost to the innermost, as far as they could be opened.
	layers []layerEvidence
	// closed: a layer is left that could not be opened, so what is inside is not known.
	closed bool
	// partSigned: what is shown has no signature of its own and somewhere inside it is a part that has one.
	partSigned bool
}

type layerEvidence struct {
	kind LayerType
	// signers are the statuses of the signatures of a signed layer. A layer without any, a certs-only message among them, signs
	// nothing.
	signers []Status
	// broken: the layer pretends to be signed and cannot be read.
	broken bool
}

// conclude is the verdict: a function of the evidence alone.
//
// Every signature must be valid, whatever its layer, and the worst one decides. What a signature covers depends on its place: one
// that lies outside of an encrypted layer covers the ciphertext. It shows who passed the ciphertext on, not who wrote what is
// inside or even knew it (RFC 2634 §1.1), so it never makes a message valid.
func conclude(e evidence) (Conclusion, Coverage) {
	worst, inside, outside := StatusValid, 0, 0
	for _, l := range e.layers {
		if l.kind == LayerEncrypted {
			// What was counted so far lies outside of this layer.
			inside, outside = 0, outside+inside
		}
		for _, s := range l.signers {
			worst = worse(worst, s)
			inside++
		}
		if l.broken {
			worst = StatusInvalid
		}
	}
	coverage := CoverageNone
	switch {
	case inside > 0 && !e.closed:
		coverage = CoverageWhole
	case inside > 0 || outside > 0 || e.partSigned:
		coverage = CoveragePart
	}
	switch {
	case worst.conclusion() == Invalid:
		return Invalid, coverage
	case e.closed:
		return Unknown, coverage
	case coverage != CoverageWhole:
		return Unsigned, coverage
	}
	return worst.conclusion(), coverage
}
