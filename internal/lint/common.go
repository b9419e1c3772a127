package lint

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/weakkey"
)

// commonRules hold for every certificate, also for an authority's.
var commonRules = []rule{
	{"version", "S/MIME BR §7.1.1", Error, checkVersion},
	{"encoding", "RFC 5280 §4.1", Error, checkEncoding},
	{"serial-number", "S/MIME BR §7.1", Error, checkSerial},
	{"serial-number-entropy", "S/MIME BR §7.1", Warning, checkSerialLength},
	{"validity-order", "RFC 5280 §4.1.2.5", Error, checkValidityOrder},
	{"signature-algorithm", "S/MIME BR §7.1.3.2", Error, checkSignatureAlgorithm},
	{"key-algorithm", "S/MIME BR §7.1.3.1", Error, checkKeyAlgorithm},
	{"rsa-modulus", "S/MIME BR §6.1.5", Error, checkModulus},
	{"rsa-exponent", "S/MIME BR §6.1.6", Error, checkExponent},
	{"rsa-exponent-small", "S/MIME BR §6.1.6", Warning, checkSmallExponent},
	{"weak-key", "S/MIME BR §6.1.1.3", Error, checkWeakKey},
	{"key-point", "S/MIME BR §6.1.6", Error, checkPoint},
	{"key-usage-critical", "S/MIME BR §7.1.2", Warning, checkKeyUsageCritical},
	{"key-identifier-critical", "S/MIME BR §7.1.2", Error, checkIdentifiersCritical},
	{"authority-key-identifier-only", "S/MIME BR §7.1.2", Error, checkAuthorityKeyIDOnly},
	{"name-string-type", "RFC 5280 §4.1.2.4", Error, checkStringTypes},
	{"name-length", "RFC 5280 §A.1", Error, checkNameLengths},
	{"name-metadata", "S/MIME BR §7.1.4.2", Error, checkMetadata},
	{"country", "S/MIME BR §7.1.4.2.2 (n)", Error, checkCountry},
}

func checkVersion(s *Subject) string {
	if s.Version != 3 {
		return fmt.Sprintf("version %d, not 3", s.Version)
	}
	return ""
}

func checkEncoding(s *Subject) string {
	if len(s.Defects) > 0 {
		return strings.ReplaceAll(errors.Join(s.Defects...).Error(), "\n", "; ")
	}
	return ""
}

func checkSerial(s *Subject) string {
	if s.Serial.Sign() <= 0 || s.Serial.BitLen() > 159 {
		return fmt.Sprintf("serial number %s is not positive and below 2^159", s.SerialHex())
	}
	return ""
}

// checkSerialLength: 64 random bits are asked for. Fewer bits than that in the
// whole number happen to honest randomness, too, so it is no more than a sign.
func checkSerialLength(s *Subject) string {
	if bits := s.Serial.BitLen(); s.Serial.Sign() > 0 && bits < 64 {
		return fmt.Sprintf("serial number of %d bits, where 64 are to be random", bits)
	}
	return ""
}

func checkValidityOrder(s *Subject) string {
	if !s.NotAfter.After(s.NotBefore) {
		return fmt.Sprintf("ends (%s) before it begins (%s)", stamp(s.NotAfter), stamp(s.NotBefore))
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// signatureAlgorithms are the only encodings that an authority may use
// (S/MIME BR §7.1.3.2): PKCS #1 v1.5, PSS, ECDSA, EdDSA, ML-DSA.
var signatureAlgorithms = hexes(`
	300d06092a864886f70d01010b0500
	300d06092a864886f70d01010c0500
	300d06092a864886f70d01010d0500
	304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120
	304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130
	304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140
	300a06082a8648ce3d040302
	300a06082a8648ce3d040303
	300a06082a8648ce3d040304
	300506032b6570
	300506032b6571
	300b0609608648016503040311
	300b0609608648016503040312
	300b0609608648016503040313`)

// keyAlgorithms are the only encodings of a key's algorithm (S/MIME BR
// §7.1.3.1): RSA, three curves, EdDSA, ML-DSA, ML-KEM. Nothing else, so neither
// X25519 nor a key that is bound to PSS.
var keyAlgorithms = hexes(`
	300d06092a864886f70d0101010500
	301306072a8648ce3d020106082a8648ce3d030107
	301006072a8648ce3d020106052b81040022
	301006072a8648ce3d020106052b81040023
	300506032b6570
	300506032b6571
	300b0609608648016503040311
	300b0609608648016503040312
	300b0609608648016503040313
	300b0609608648016503040401
	300b0609608648016503040402
	300b0609608648016503040403`)

func hexes(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

func encoded(a oid.AlgorithmIdentifier) string {
	var b cryptobyte.Builder
	a.Add(&b)
	der, err := b.Bytes()
	if err != nil {
		return ""
	}
	return hex.EncodeToString(der)
}

func checkSignatureAlgorithm(s *Subject) string {
	if !signatureAlgorithms[encoded(s.SignatureAlgorithm)] {
		return fmt.Sprintf("signature algorithm %s, or the way it is written, is not on the list", s.SignatureAlgorithm.Algorithm.Name())
	}
	return ""
}

func checkKeyAlgorithm(s *Subject) string {
	if !keyAlgorithms[encoded(s.SPKIAlgorithm)] {
		return fmt.Sprintf("key algorithm %s, or the way it is written, is not on the list", s.SPKIAlgorithm.Algorithm.Name())
	}
	return ""
}

func checkModulus(s *Subject) string {
	if key, ok := s.PublicKey.(*rsa.PublicKey); ok {
		if bits := key.N.BitLen(); bits < weakkey.MinRSABits || bits%8 != 0 {
			return fmt.Sprintf("RSA modulus of %d bits, not at least %d and a multiple of 8", bits, weakkey.MinRSABits)
		}
	}
	return ""
}

// checkExponent: an even one or 1 makes the key unreadable.
func checkExponent(s *Subject) string {
	if s.PublicKey == nil && s.SPKIAlgorithm.Algorithm == oid.RSAEncryption {
		return "the RSA key is none: its exponent must be odd and at least 3, its modulus odd"
	}
	return ""
}

func checkSmallExponent(s *Subject) string {
	if key, ok := s.PublicKey.(*rsa.PublicKey); ok && key.E < weakkey.MinExponent {
		return fmt.Sprintf("RSA exponent %d, below 65537", key.E)
	}
	return ""
}

func checkWeakKey(s *Subject) string {
	if key, ok := s.PublicKey.(*rsa.PublicKey); ok {
		if err := weakkey.CheckModulus(key.N); err != nil {
			return err.Error()
		}
	}
	return ""
}

// checkPoint: points are written uncompressed (RFC 5480 §2.2; the lists above
// have no other form), on their curve.
func checkPoint(s *Subject) string {
	switch key := s.PublicKey.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil || !bytes.HasSuffix(s.RawSPKI, point) {
			return "the point of the key is not written uncompressed"
		}
	case nil:
		if s.SPKIAlgorithm.Algorithm == oid.ECPublicKey {
			return "the point of the key is not on a curve that is known here"
		}
	default:
		if err := weakkey.Check(key); err != nil && s.SPKIAlgorithm.Algorithm == oid.Ed25519 {
			return err.Error()
		}
	}
	return ""
}

func checkKeyUsageCritical(s *Subject) string {
	if e, present := s.Extension(oid.ExtKeyUsage); present && !e.Critical {
		return "keyUsage is not critical"
	}
	return ""
}

func checkIdentifiersCritical(s *Subject) string {
	return s.critical(oid.ExtAuthorityKeyID, oid.ExtSubjectKeyID)
}

// critical names the first of these extensions that is critical.
func (s *Subject) critical(never ...oid.OID) string {
	for _, e := range s.Extensions {
		if e.Critical && slices.Contains(never, e.ID) {
			return e.ID.Name() + " is critical"
		}
	}
	return ""
}

// checkAuthorityKeyIDOnly: keyIdentifier alone, [0] and nothing after it.
func checkAuthorityKeyIDOnly(s *Subject) string {
	e, present := s.Extension(oid.ExtAuthorityKeyID)
	if present && len(e.Value) >= 2 && len(e.Value) != 2+2+len(s.AuthorityKeyID) {
		return "authorityKeyIdentifier has more than a keyIdentifier"
	}
	return ""
}
