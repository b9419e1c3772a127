package testca

import (
	"crypto/x509/pkix"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// element writes one DER value of the parts.
func element(tag cbasn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
	})
	return b.BytesOrPanic()
}

func integer(n int64) []byte {
	var b cryptobyte.Builder
	b.AddASN1Int64(n)
	return b.BytesOrPanic()
}

func oidDER(id oid.OID) []byte {
	var b cryptobyte.Builder
	oid.Add(&b, id)
	return b.BytesOrPanic()
}

// Policies sets certificatePolicies.
func Policies(ids ...oid.OID) Option {
	var list [][]byte
	for _, id := range ids {
		list = append(list, element(cbasn1.SEQUENCE, oidDER(id)))
	}
	return Extension(oid.ExtCertificatePolicies, false, element(cbasn1.SEQUENCE, list...))
}

// PolicyMappings sets policyMappings: pairs of the issuer's policy and the
// subject's.
func PolicyMappings(pairs ...oid.OID) Option {
	var list [][]byte
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, element(cbasn1.SEQUENCE, oidDER(pairs[i]), oidDER(pairs[i+1])))
	}
	return Extension(oid.ExtPolicyMappings, true, element(cbasn1.SEQUENCE, list...))
}

// PolicyConstraints sets policyConstraints; -1 leaves a number out.
func PolicyConstraints(requireExplicit, inhibitMapping int64) Option {
	var parts [][]byte
	for i, n := range []int64{requireExplicit, inhibitMapping} {
		if n >= 0 {
			parts = append(parts, element(cbasn1.Tag(i).ContextSpecific(), integer(n)[2:]))
		}
	}
	return Extension(oid.ExtPolicyConstraints, true, element(cbasn1.SEQUENCE, parts...))
}

// InhibitAnyPolicy sets inhibitAnyPolicy.
func InhibitAnyPolicy(n int64) Option {
	return Extension(oid.ExtInhibitAnyPolicy, true, integer(n))
}

// NameConstraints sets nameConstraints of names in DER: Mailbox, DNS, URI,
// Directory and others.
func NameConstraints(critical bool, permitted, excluded [][]byte) Option {
	list := func(tag uint8, names [][]byte) []byte {
		if len(names) == 0 {
			return nil
		}
		var all [][]byte
		for _, n := range names {
			all = append(all, element(cbasn1.SEQUENCE, n))
		}
		return element(cbasn1.Tag(tag).ContextSpecific().Constructed(), all...)
	}
	return Extension(oid.ExtNameConstraints, critical, element(cbasn1.SEQUENCE, list(0, permitted), list(1, excluded)))
}

// Directory is a directoryName for AltNames and NameConstraints.
func Directory(n pkix.Name) []byte {
	raw, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		panic("testca: " + err.Error()) // a constant of the test is wrong
	}
	return element(cbasn1.Tag(4).ContextSpecific().Constructed(), raw)
}
