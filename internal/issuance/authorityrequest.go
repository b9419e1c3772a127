package issuance

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// RequestAuthority makes the certification request (RFC 2986) of an issuing
// authority whose root is elsewhere: its name, its key, the domains of mail that
// it is to be limited to.
func RequestAuthority(key crypto.Signer, r AuthorityRequest) ([]byte, error) {
	self, err := newSigner(key)
	if err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	subject, err := r.Subject.name()
	if err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	domains, err := ParseDomains(r.Domains)
	if err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	if err := CheckKey(key.Public()); err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	spki, err := encodeKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	wanted := []extension{
		basicConstraints(issuingPathLen), keyUsage(cert.KeyUsageCertSign | cert.KeyUsageCRLSign), mailOnly(domains),
	}
	if r.Timestamps {
		wanted = append(wanted, extKeyUsage(r.purposes()...))
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(subject)
		b.AddBytes(spki)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { // attributes
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				oid.Add(b, oid.AttrExtensionRequest)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					addExtensions(b, wanted)
				})
			})
		})
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	der, err := self.signDER(info)
	if err != nil {
		return nil, fmt.Errorf("request authority: %w", err)
	}
	return der, nil
}

// issuingPathLen: no authorities below an issuing one.
const issuingPathLen = 0

// ReadAuthorityRequest reads what [RequestAuthority] made, DER or PEM, and checks
// that its sender has the key. Serial number and validity are the issuer's to
// fill in. A request that asks for anything else is refused: nobody should believe
// that it was granted.
func ReadAuthorityRequest(data []byte) (AuthorityRequest, error) {
	r, err := cert.ParseRequest(data)
	if err != nil {
		return AuthorityRequest{}, fmt.Errorf("request of an authority: %w", err)
	}
	out := AuthorityRequest{Key: r.PublicKey}
	if out.Subject, err = readSubject(r.Subject, r.RawSubject); err != nil {
		return AuthorityRequest{}, fmt.Errorf("request of an authority: %w", err)
	}
	if err := CheckKey(r.PublicKey); err != nil {
		return AuthorityRequest{}, fmt.Errorf("request of an authority: %w", err)
	}
	if out.Domains, out.Timestamps, err = requestedLimits(r); err != nil {
		return AuthorityRequest{}, fmt.Errorf("request of an authority: %w", err)
	}
	return out, nil
}

// readSubject takes a name that has the form of ours, byte for byte.
func readSubject(n cert.Name, raw []byte) (Subject, error) {
	one := func(id oid.OID) string {
		if values := n.Get(id); len(values) == 1 {
			return values[0]
		}
		return ""
	}
	s := Subject{Country: one(oid.Country), Organization: one(oid.Organization), CommonName: one(oid.CommonName)}
	again, err := s.name()
	if err != nil {
		return Subject{}, err
	}
	if !bytes.Equal(again, raw) {
		return Subject{}, fmt.Errorf("its name %s is more than country, organization and common name, or in another form", n)
	}
	return s, nil
}

// isTimestamping tells whether an extKeyUsage names timestamps and nothing else.
func isTimestamping(value []byte) bool {
	s := cryptobyte.String(value)
	var list cryptobyte.String
	var purpose oid.OID
	return s.ReadASN1(&list, asn1.SEQUENCE) && s.Empty() && oid.Read(&list, &purpose) && list.Empty() && purpose == oid.TimeStamping
}

func requestedLimits(r *cert.Request) (domains []string, timestamps bool, err error) {
	for _, e := range r.Extensions {
		switch e.ID {
		case oid.ExtBasicConstraints, oid.ExtKeyUsage, oid.ExtNameConstraints:
		case oid.ExtExtKeyUsage:
			if timestamps = isTimestamping(e.Value); !timestamps {
				return nil, false, errors.New("it asks for key purposes other than timestamps alone")
			}
		default:
			return nil, false, fmt.Errorf("it asks for the extension %s, which is not given", e.ID.Name())
		}
	}
	if r.NameConstraints == nil {
		return nil, false, errors.New("it asks for no name constraints")
	}
	for _, n := range r.NameConstraints.Permitted {
		if n.Kind != cert.RFC822Name {
			return nil, false, errors.New("it asks for names other than mail domains")
		}
		domains = append(domains, n.Text)
	}
	domains, err = ParseDomains(domains)
	return domains, timestamps, err
}
