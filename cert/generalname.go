package cert

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// MaxGeneralNames limits one list of names; the largest mail certificates in
// use name a few hundred.
const MaxGeneralNames = 10000

// Kind is the choice in a GeneralName. The values are the tags of RFC 5280
// §4.2.1.6.
type Kind uint8

// The nine kinds.
const (
	OtherName Kind = iota
	RFC822Name
	DNSName
	X400Address
	DirectoryName
	EDIPartyName
	URI
	IPAddress
	RegisteredID
)

// GeneralName is one name of a list. Which fields are set depends on Kind.
type GeneralName struct {
	Kind      Kind
	Text      string  // RFC822Name, DNSName, URI as written; an OtherName that is SmtpUTF8Mailbox
	Type      oid.OID // OtherName's type; RegisteredID
	Directory Name    // DirectoryName
	Bytes     []byte  // IPAddress: the octets; OtherName, X400Address, EDIPartyName: the content in DER
}

// GeneralNames is RFC 5280 §4.2.1.6: a list of names, in order.
type GeneralNames []GeneralName

// Emails returns the values of rfc822Name and SmtpUTF8Mailbox (RFC 9598) in
// order, as written.
func (g GeneralNames) Emails() []string {
	var list []string
	for _, n := range g {
		if n.Kind == RFC822Name || n.IsSmtpUTF8Mailbox() {
			list = append(list, n.Text)
		}
	}
	return list
}

// URIs returns the values of uniformResourceIdentifier in order.
func (g GeneralNames) URIs() []string {
	var list []string
	for _, n := range g {
		if n.Kind == URI {
			list = append(list, n.Text)
		}
	}
	return list
}

// IsSmtpUTF8Mailbox tells whether the name is an internationalized mail
// address (RFC 9598 §3); Text then has it.
func (n GeneralName) IsSmtpUTF8Mailbox() bool {
	return n.Kind == OtherName && n.Type == oid.SmtpUTF8Mailbox
}

// ParseGeneralNames reads GeneralNames (RFC 5280 §4.2.1.6), which other formats
// have too.
func ParseGeneralNames(der []byte) (GeneralNames, error) { return parseGeneralNames(der) }

func parseGeneralNames(der []byte) (GeneralNames, error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, err
	}
	return readGeneralNames(seq)
}

// readGeneralNames reads names that fill all of s. An empty list is refused:
// the standard has none (SIZE (1..MAX)).
func readGeneralNames(s cryptobyte.String) (GeneralNames, error) {
	var list GeneralNames
	for !s.Empty() {
		if len(list) == MaxGeneralNames {
			return nil, errors.New("too many names")
		}
		var n GeneralName
		if !readGeneralName(&s, &n) {
			return nil, malformed("name")
		}
		list = append(list, n)
	}
	if len(list) == 0 {
		return nil, errors.New("empty list of names")
	}
	return list, nil
}

func readGeneralName(s *cryptobyte.String, n *GeneralName) bool {
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return false
	}
	switch tag {
	case constructedTag(0):
		n.Kind = OtherName
		return n.parseOtherName(content)
	case contextTag(1), contextTag(2), contextTag(6):
		n.Kind, n.Text = Kind(tag&0x1f), string(content)
	case constructedTag(3), constructedTag(5):
		n.Kind, n.Bytes = Kind(tag&0x1f), content
	case constructedTag(4):
		n.Kind = DirectoryName
		var err error
		_, n.Directory, err = readName(&content)
		return err == nil && content.Empty()
	case contextTag(7):
		n.Kind, n.Bytes = IPAddress, content
	case contextTag(8):
		id, err := oid.FromContent(content)
		n.Kind, n.Type = RegisteredID, id
		return err == nil
	default:
		return false
	}
	return true
}

// parseOtherName reads type-id and [0] EXPLICIT value.
func (n *GeneralName) parseOtherName(s cryptobyte.String) bool {
	var value cryptobyte.String
	if !oid.Read(&s, &n.Type) || !s.ReadASN1(&value, constructedTag(0)) || !s.Empty() {
		return false
	}
	n.Bytes = value
	if n.Type != oid.SmtpUTF8Mailbox {
		return true
	}
	var text cryptobyte.String // RFC 9598 §3: UTF8String and nothing else
	if !value.ReadASN1(&text, asn1.UTF8String) || !value.Empty() {
		return false
	}
	n.Text = string(text)
	return true
}

// NameConstraints is RFC 5280 §4.2.1.10. In a subtree the text of RFC822Name
// is a mailbox, a host or a domain with a leading dot, and the octets of
// IPAddress are an address and a mask.
type NameConstraints struct {
	Permitted, Excluded GeneralNames
}

func parseNameConstraints(der []byte) (*NameConstraints, error) {
	// Empty subtrees allow nothing that is constrained; on errors the caller
	// refuses the certificate by its defect.
	nc := &NameConstraints{}
	seq, err := readSequence(der, "value")
	if err != nil {
		return nc, err
	}
	for i, list := range []*GeneralNames{&nc.Permitted, &nc.Excluded} {
		var subtrees cryptobyte.String
		var present bool
		if !seq.ReadOptionalASN1(&subtrees, &present, constructedTag(uint8(i))) {
			return nc, malformed("subtrees")
		}
		if present {
			if *list, err = readSubtrees(subtrees); err != nil {
				return nc, err
			}
		}
	}
	if !seq.Empty() || nc.Permitted == nil && nc.Excluded == nil {
		return nc, malformed("value")
	}
	return nc, nil
}

// readSubtrees reads GeneralSubtrees. minimum must be 0 and maximum absent.
func readSubtrees(s cryptobyte.String) (GeneralNames, error) {
	var list GeneralNames
	for !s.Empty() {
		var subtree cryptobyte.String
		var n GeneralName
		if len(list) == MaxGeneralNames {
			return nil, errors.New("too many subtrees")
		}
		if !s.ReadASN1(&subtree, asn1.SEQUENCE) || !readGeneralName(&subtree, &n) {
			return nil, malformed("subtree")
		}
		var minimum cryptobyte.String
		var present bool
		if !subtree.ReadOptionalASN1(&minimum, &present, contextTag(0)) || present && integer(minimum).Sign() != 0 {
			return nil, errors.New("subtree with a minimum")
		}
		if !subtree.Empty() {
			return nil, errors.New("subtree with a maximum")
		}
		list = append(list, n)
	}
	if len(list) == 0 {
		return nil, errors.New("empty list of subtrees")
	}
	return list, nil
}
