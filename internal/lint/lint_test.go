package lint

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"crypto/ecdsa"

	zlint "github.com/zmap/zlint/v3/lint"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

func parse(t *testing.T, der []byte) *cert.Certificate {
	t.Helper()
	c, err := cert.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rules(list []Finding) (names []string) {
	for _, f := range list {
		if f.Severity != Notice {
			names = append(names, f.Rule)
		}
	}
	return names
}

// What keeps every rule is left alone by ours and by zlint's.
func TestConforming(t *testing.T) {
	for _, k := range Kinds() {
		der := subscriber(k).write()
		if found := Check(&Subject{Certificate: parse(t, der), Kind: k}); len(found) > 0 {
			t.Errorf("%s: %+v", k, found)
		}
		others, err := ZLint(der)
		if err != nil || len(rules(others)) > 0 {
			t.Errorf("%s: zlint: %+v, %v", k, others, err)
		}
	}
	for name, d := range map[string]*draft{"authority": authority(), "root": root()} {
		der := d.write()
		if found := Check(&Subject{Certificate: parse(t, der)}); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
		if others, err := ZLint(der); err != nil || len(rules(others)) > 0 {
			t.Errorf("%s: zlint: %+v, %v", name, others, err)
		}
	}
}

// breach breaks one rule of ours. zlint is the rule of zlint's that must see it
// too, where it has one.
type breach struct {
	rule   string
	kind   string // of the certificate; authority or root
	change func(*draft)
	zlint  string
}

const (
	mv, mvStrict = "mailbox-multipurpose", "mailbox-strict"
	ov, ovStrict = "organization-multipurpose", "organization-strict"
	sv, svStrict = "sponsor-multipurpose", "sponsor-strict"
	iv, ivStrict = "individual-multipurpose", "individual-strict"
)

func set(e extra) func(*draft)     { return func(d *draft) { d.set(e) } }
func drop(id oid.OID) func(*draft) { return func(d *draft) { d.drop(id) } }
func critical(id oid.OID, v bool) func(*draft) {
	return func(d *draft) { d.critical(id, v) }
}
func add(parts ...part) func(*draft)      { return func(d *draft) { d.add(parts...) } }
func without(ids ...oid.OID) func(*draft) { return func(d *draft) { d.without(ids...) } }
func replace(id oid.OID, value string) func(*draft) {
	return func(d *draft) {
		d.subject = slices.Clone(d.subject)
		for i := range d.subject {
			if d.subject[i].id == id {
				d.subject[i].value = value
			}
		}
	}
}
func all(changes ...func(*draft)) func(*draft) {
	return func(d *draft) {
		for _, c := range changes {
			c(d)
		}
	}
}
func key(der []byte, u cert.KeyUsage) func(*draft) {
	return func(d *draft) { d.spki = der; d.set(usage(u)) }
}

// extension makes one that nobody needs to understand.
func extension(id oid.OID, critical bool) func(*draft) {
	return set(extra{id, critical, []byte{0x30, 0}})
}

const (
	signs      = cert.KeyUsageDigitalSignature
	enciphers  = cert.KeyUsageKeyEncipherment
	agrees     = cert.KeyUsageKeyAgreement
	enciphersD = cert.KeyUsageDataEncipherment
)

func breaches() []breach {
	email := func(text string) part { return part{oid.EmailAddress, casn1.IA5String, text} }
	modulus := func(n *big.Int, e int) func(*draft) {
		return key(spki(&rsa.PublicKey{N: n, E: e}), signs|enciphers)
	}
	good := rsaKey().N
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	compressed := slices.Concat(unhex("3039301306072a8648ce3d020106082a8648ce3d030107032200"), elliptic.MarshalCompressed(elliptic.P256(), ecKey().X, ecKey().Y))
	directory := func(parts ...part) []byte { return element(0xa4, name(parts)) }
	return []breach{
		{"version", mv, func(d *draft) { d.version = 2 }, "e_cert_extensions_version_not_3"},
		{"encoding", mv, func(d *draft) { d.extensions = append(d.extensions, d.extensions[0]) }, ""}, // zcrypto does not read it
		{"serial-number", mv, func(d *draft) { d.serial = big.NewInt(-1 << 40) }, "e_serial_number_not_positive"},
		{"serial-number", mv, func(d *draft) { d.serial = new(big.Int).Lsh(big.NewInt(1), 160) }, ""},
		{"serial-number-entropy", mv, func(d *draft) { d.serial = big.NewInt(1 << 40) }, ""},
		{"validity-order", mv, func(d *draft) { d.notAfter = d.notBefore.Add(-time.Hour) }, ""},
		{"signature-algorithm", mv, func(d *draft) { d.algorithm = unhex("300d06092a864886f70d0101050500") }, ""}, // SHA-1
		{"signature-algorithm", mv, func(d *draft) { d.algorithm = unhex("300c06082a8648ce3d0403020500") }, ""},   // NULL after ECDSA
		{"key-algorithm", mv, key(unhex("302a300506032b656e032100"+strings.Repeat("09", 32)), agrees), "e_invalid_spki_algoid"},
		{"key-algorithm", mv, key(slices.Concat(unhex("304e301006072a8648ce3d020106052b81040021033a00"), must(p224.PublicKey.Bytes())), signs), "e_invalid_spki_algoid"},
		{"rsa-modulus", mv, modulus(new(big.Int).Rsh(good, 1).SetBit(new(big.Int).Rsh(good, 1), 0, 1), 65537), ""},
		{"rsa-exponent", mv, modulus(good, 2), ""},
		{"rsa-exponent-small", mv, modulus(good, 3), ""},
		{"weak-key", mv, modulus(new(big.Int).Mul(big.NewInt(3), new(big.Int).Div(good, big.NewInt(3)).SetBit(new(big.Int).Div(good, big.NewInt(3)), 0, 1)), 65537), ""},
		{"key-point", mv, func(d *draft) { d.spki = compressed }, ""},
		{"key-point", mv, key(slices.Concat(unhex("302a300506032b6570032100"), make([]byte, 32)), signs), ""},
		{"key-usage-critical", mv, critical(oid.ExtKeyUsage, false), "w_key_usage_criticality"},
		{"key-identifier-critical", mv, critical(oid.ExtSubjectKeyID, true), "e_ext_subject_key_identifier_critical"},
		{"key-identifier-critical", mv, critical(oid.ExtAuthorityKeyID, true), "e_authority_key_identifier_correct"},
		{"authority-key-identifier-only", mv, set(extra{oid.ExtAuthorityKeyID, false, sequence(element(0x80, make([]byte, 20)), element(0xa1, element(0xa4, name(nil))), element(0x82, []byte{1}))}), "e_authority_key_identifier_correct"},
		{"name-string-type", ov, func(d *draft) {
			d.without(oid.Locality)
			d.add(part{oid.Locality, casn1.T61String, "Minato"})
		}, ""},
		{"name-length", ov, replace(oid.OrganizationalUnit, strings.Repeat("x", 65)), "e_subject_organizational_unit_name_max_length"},
		{"name-metadata", ov, replace(oid.Locality, "-"), ""},
		{"country", ov, all(replace(oid.Country, "QQ"), replace(oid.OrganizationIdentifier, "INTXG")), "e_subject_country_name"},

		{"san-present", mv, all(drop(oid.ExtSubjectAltName), without(oid.CommonName, oid.EmailAddress)), "e_san_shall_be_present"},
		{"san-mailbox", mv, all(set(altNames(directory(part{oid.SerialNumber, casn1.PrintableString, "1"}))), without(oid.CommonName, oid.EmailAddress)), ""},
		{"san-mailbox-form", mv, all(set(altNames(rfc822("alice"))), without(oid.CommonName, oid.EmailAddress)), "e_single_email_if_present"},
		{"san-mailbox-form", mv, set(altNames(smtpUTF8("alice@example.org"))), ""},
		{"san-mailbox-form", mv, all(set(altNames(smtpUTF8("田中@例え.jp"))), without(oid.CommonName, oid.EmailAddress)), ""},
		{"san-repeats-subject", sv, all(without(oid.EmailAddress), add(email("bob@example.org"))), "e_mailbox_address_shall_contain_an_rfc822_name"},
		{"san-repeats-subject", sv, set(altNames(rfc822("alice@example.org"), directory(email("bob@example.org")))), "e_mailbox_address_shall_contain_an_rfc822_name"},
		{"san-not-critical", mv, critical(oid.ExtSubjectAltName, true), "w_san_should_not_be_critical"},
		{"san-critical-without-subject", mv, func(d *draft) { d.subject = nil }, "e_ext_san_not_critical_without_subject"},
		{"email-single", mv, all(set(altNames(rfc822("alice@example.org"), rfc822("bob@example.org"))), add(email("bob@example.org"))), ""},
		{"email-single", mv, replace(oid.EmailAddress, "alice@example.org, bob@example.org"), "e_single_email_subject_if_present"},
		{"eku-email", mv, set(purposes(oid.ClientAuth)), "e_smime_legacy_multipurpose_eku_check"},
		{"eku-forbidden", mv, set(purposes(oid.EmailProtection, oid.ServerAuth)), "e_smime_legacy_multipurpose_eku_check"},
		{"eku-forbidden", mv, set(purposes(oid.EmailProtection, oid.CodeSigning)), "e_smime_legacy_multipurpose_eku_check"},
		{"eku-forbidden", mv, set(purposes(oid.EmailProtection, oid.TimeStamping)), "e_smime_legacy_multipurpose_eku_check"},
		{"eku-forbidden", mv, set(purposes(oid.EmailProtection, oid.AnyExtendedKeyUsage)), "e_smime_legacy_multipurpose_eku_check"},
		{"eku-2027", mv, all(set(purposes(oid.EmailProtection, "1.3.6.1.4.1.311.10.3.12")), func(d *draft) { d.notBefore, d.notAfter = clientAuthOnly, clientAuthOnly.AddDate(1, 0, 0) }), ""},
		{"key-usage-present", mv, drop(oid.ExtKeyUsage), "e_key_usage_presence"},
		{"policy-present", mv, drop(oid.ExtCertificatePolicies), ""}, // zlint cannot tell what it looks at
		{"policy-present", mv, set(policies("2.23.140.1.5.1.2", "2.23.140.1.5.1.3")), "e_exactly_one_smime_policy"},
		{"policy-present", mv, set(policies("2.23.140.1.5.2.2")), ""},
		{"policy-not-critical", mv, critical(oid.ExtCertificatePolicies, true), ""},
		{"crl-present", mv, drop(oid.ExtCRLDistributionPoints), "e_subscribers_shall_have_crl_distribution_points"},
		{"crl-not-critical", mv, critical(oid.ExtCRLDistributionPoints, true), "w_ext_crl_distribution_marked_critical"},
		{"aia-present", mv, drop(oid.ExtAuthorityInfoAccess), ""},
		{"aia-not-critical", mv, critical(oid.ExtAuthorityInfoAccess, true), "e_ext_aia_marked_critical"},
		{"aia-ca-issuers", mv, set(access(string(oid.AccessOCSP), "http://ocsp.example.org")), ""},
		{"authority-key-identifier", mv, drop(oid.ExtAuthorityKeyID), "e_authority_key_identifier_correct"},
		{"subject-key-identifier", mv, drop(oid.ExtSubjectKeyID), "w_ext_subject_key_identifier_missing_sub_cert"},
		{"not-an-authority", mv, set(extra{oid.ExtBasicConstraints, true, sequence(pathLen)}), ""},
		{"not-an-authority", mv, set(usage(signs | agrees | cert.KeyUsageCertSign)), "e_ecpublickey_key_usages"},
		{"capabilities", mv, set(extra{oid.ExtSMIMECapabilities, false, []byte{5, 0}}), ""},
		{"capabilities", mv, extension(oid.ExtSMIMECapabilities, true), ""},
		{"qc-statements-not-critical", mv, extension(extQCStatements, true), "e_smime_qc_statements_must_not_be_critical"},
		{"extension-unknown", mv, extension("1.2.3.4", false), ""},

		{"legacy-generation", "mailbox-legacy", func(d *draft) { d.notBefore = legacyEnd }, "e_legacy_generation_deprecated"},
		{"validity", mv, func(d *draft) { d.notAfter = d.notAfter.Add(time.Second) }, ""}, // zlint has no such rule
		{"validity", "mailbox-legacy", func(d *draft) { d.notAfter = d.notAfter.Add(time.Second) }, ""},
		{"key-usage-bits", mv, key(spki(rsaKey().Public()), signs|agrees), "e_rsa_key_usage_legacy_multipurpose"},
		{"key-usage-bits", mvStrict, key(spki(rsaKey().Public()), enciphers|enciphersD), "e_rsa_key_usage_strict"},
		{"key-usage-bits", mv, key(spki(rsaKey().Public()), enciphersD), "e_rsa_other_key_usages"},
		{"key-usage-bits", mv, set(usage(signs | enciphers)), "e_ecpublickey_key_usages"},
		{"key-usage-bits", mv, set(usage(cert.KeyUsageEncipherOnly)), "e_ec_other_key_usages"},
		{"key-usage-bits", mv, key(spki(edKey()), signs|agrees), "e_edwardspublickey_key_usages"},
		{"key-usage-bits", mv, key(slices.Concat(unhex("30820532300b0609608648016503040312038205210"+"0"), make([]byte, 1312)), signs|enciphers), ""},
		{"key-usage-bits", mv, key(slices.Concat(unhex("30820332300b06096086480165030404010382032100"), make([]byte, 800)), enciphers|signs), ""},
		{"eku-strict", mvStrict, set(purposes(oid.EmailProtection, oid.ClientAuth)), "e_smime_strict_eku_check"},
		{"crl-http", mv, set(crlAt("ldap://ca.example.org/a")), "e_subscribers_crl_distribution_points_are_http"},
		{"crl-http", mv, set(crlAt("http://ca.example.org/a.crl", "https://ca.example.org/a.crl")), "e_subscribers_crl_distribution_points_are_http"},
		{"crl-http", "mailbox-legacy", set(crlAt("ldap://ca.example.org/a")), "e_subscribers_crl_distribution_points_are_http"},
		{"aia-http", mvStrict, set(access(string(oid.AccessCAIssuers), "ldap://ca.example.org/a.cer")), "e_smime_strict_aia_shall_have_http_only"},
		{"aia-http", mv, set(access(string(oid.AccessCAIssuers), "http://ca.example.org/a.cer", string(oid.AccessOCSP), "https://ocsp.example.org")), ""},
		{"aia-http", "mailbox-legacy", set(access(string(oid.AccessCAIssuers), "ldap://ca.example.org/a.cer")), "e_smime_legacy_aia_shall_have_one_http"},
		{"san-type", mv, set(altNames(rfc822("alice@example.org"), element(0x82, []byte("www.example.org")))), ""},
		{"san-type", mvStrict, set(altNames(rfc822("alice@example.org"), otherName("1.3.6.1.4.1.311.20.2.3", element(casn1.UTF8String, []byte("alice"))))), ""},
		{"san-directory-name", mv, set(altNames(rfc822("alice@example.org"), directory(utf8String(oid.Organization, "Example")))), ""},
		{"subject-directory-attributes", mv, extension(oid.ExtSubjectDirectoryAttributes, false), "e_strict_multipurpose_smime_ext_subject_directory_attr"},
		{"adobe-extensions", mvStrict, extension(extAdobeTimestamp, false), "e_adobe_extensions_strict_presence"},
		{"adobe-extensions", mv, extension(extAdobeRevInfo, true), "e_adobe_extensions_legacy_multipurpose_criticality"},
		{"lei-extension", mv, extension(extLEI, false), "e_legal_entity_identifier"},
		{"lei-extension", iv, extension(extLEIRole, false), ""},
		{"lei-extension", ov, extension(extLEIRole, false), "e_legal_entity_identifier"},
		{"lei-extension", sv, extension(extLEI, true), "e_legal_entity_identifier"},

		{"subject-attribute", mv, add(utf8String(oid.GivenName, "Alice")), "e_mailbox_validated_enforce_subject_field_restrictions"},
		{"subject-attribute", mvStrict, add(part{oid.Country, casn1.PrintableString, "JP"}), "e_mailbox_validated_allowed_subjectdn_attributes"},
		{"subject-attribute", ov, add(utf8String(oid.Surname, "田中")), ""},
		{"subject-attribute", ov, add(utf8String(oid.Pseudonym, "nobody")), ""},
		{"subject-attribute", ov, add(utf8String(oid.Title, "部長")), ""},
		{"subject-attribute", ovStrict, add(utf8String(oid.StreetAddress, "1-2-3 Shiba")), ""},
		{"subject-attribute", ivStrict, add(utf8String(oid.PostalCode, "105-0011")), ""},
		{"subject-attribute", svStrict, add(utf8String(oid.PostalCode, "105-0011")), ""},
		{"subject-attribute", iv, add(utf8String(oid.Organization, "Example")), ""},
		{"subject-attribute", iv, add(utf8String(oid.OrganizationIdentifier, "INTXG")), ""},
		{"subject-attribute", iv, add(utf8String(oid.OrganizationalUnit, "Example")), ""},
		{"subject-attribute", sv, add(part{oid.UserID, casn1.UTF8String, "alice"}), ""},
		{"common-name", mv, replace(oid.CommonName, "Alice Example"), "e_commonname_mailbox_validated"},
		{"common-name", ov, replace(oid.CommonName, "Alice Example"), "e_org_validated_invalid_cn"},
		{"common-name", sv, all(without(oid.Surname, oid.GivenName), add(utf8String(oid.Pseudonym, "nobody"))), ""},
		{"organization-required", ov, all(without(oid.Organization), replace(oid.CommonName, "alice@example.org")), ""},
		{"organization-required", svStrict, without(oid.Organization), ""},
		{"organization-identifier-required", ov, without(oid.OrganizationIdentifier), ""},
		{"organization-identifier-required", sv, without(oid.OrganizationIdentifier), ""},
		{"organization-identifier-syntax", ov, replace(oid.OrganizationIdentifier, "JP-0100-01-000001"), ""},
		{"organization-identifier-country", ov, replace(oid.OrganizationIdentifier, "NTRDE-DER3306.HRB12345"), "e_registration_scheme_id_matches_subject_country"},
		{"personal-name-required", iv, without(oid.Surname, oid.GivenName), "e_invalid_individual_identity"},
		{"personal-name-required", svStrict, without(oid.Surname, oid.GivenName), "e_invalid_individual_identity"},
		{"pseudonym-alone", iv, add(utf8String(oid.Pseudonym, "田中")), ""},
		{"country-required", iv, without(oid.Country), ""},
		{"street-needs-place", iv, without(oid.Locality, oid.StateOrProvince), ""},

		{"ca-basic-constraints-critical", "authority", critical(oid.ExtBasicConstraints, false), "e_basic_constraints_not_critical"},
		{"ca-key-usage", "authority", set(usage(cert.KeyUsageCertSign)), ""},
		{"ca-key-usage", "root", set(usage(cert.KeyUsageCertSign | cert.KeyUsageCRLSign | agrees)), ""},
		{"ca-subject-key-identifier", "authority", drop(oid.ExtSubjectKeyID), "e_ext_subject_key_identifier_missing_ca"},
		{"ca-name", "authority", without(oid.Organization), ""},
		{"ca-rsa-size", "authority", func(d *draft) { d.spki = spki(rsaKey().Public()) }, ""},
		{"root-eku", "root", set(purposes(oid.EmailProtection)), ""},
		{"root-policies", "root", set(policies(oid.AnyPolicy)), ""},
		{"root-path-length", "root", set(constraints(caTrue, pathLen)), ""},
		{"ca-policies", "authority", drop(oid.ExtCertificatePolicies), ""},
		{"ca-crl", "authority", drop(oid.ExtCRLDistributionPoints), ""},
		{"ca-crl", "authority", set(crlAt("ldap://ca.example.org/a")), ""},
		{"ca-aia-not-critical", "authority", critical(oid.ExtAuthorityInfoAccess, true), "e_ext_aia_marked_critical"},
		{"ca-aia-present", "authority", drop(oid.ExtAuthorityInfoAccess), ""},
		{"ca-eku", "authority", drop(oid.ExtExtKeyUsage), ""},
		{"ca-eku", "authority", set(purposes(oid.EmailProtection, oid.ServerAuth)), ""},
		{"ca-eku", "authority", set(purposes(oid.AnyExtendedKeyUsage)), ""},
		{"ca-eku-2027", "authority", all(set(purposes(oid.EmailProtection, "1.2.3.4")), func(d *draft) { d.notBefore = clientAuthOnly }), ""},
		{"ca-authority-key-identifier", "authority", drop(oid.ExtAuthorityKeyID), "e_ext_authority_key_identifier_no_key_identifier"},
		{"ca-name-constraints", "authority", set(extra{oid.ExtNameConstraints, true, sequence(element(0xa0, sequence(rfc822("alice@example.org"))))}), ""},
	}
}

// Each rule has a certificate that breaks it. Where zlint has the same
// rule, it says so as well.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range breaches() {
		seen[b.rule] = true
		t.Run(b.rule, func(t *testing.T) {
			s := &Subject{}
			var d *draft
			switch b.kind {
			case "authority":
				d = authority()
			case "root":
				d = root()
			default:
				s.Kind = must(ParseKind(b.kind))
				d = subscriber(s.Kind)
			}
			b.change(d)
			der := d.write()
			s.Certificate = parse(t, der)
			if got := rules(Check(s)); !slices.Contains(got, b.rule) {
				t.Errorf("%s: found %q", b.kind, got)
			}
			if b.zlint == "" {
				return
			}
			others, err := ZLint(der)
			if err != nil || !slices.Contains(rules(others), b.zlint) {
				t.Errorf("%s: zlint found %q (%v), not %s", b.kind, rules(others), err, b.zlint)
			}
		})
	}
	for _, r := range slices.Concat(commonRules, mailRules, kindRules, authorityRules, rootRules, subordinateRules) {
		if !seen[r.name] {
			t.Errorf("no certificate breaks rule %s", r.name)
		}
	}
}

// zlintAlone are lints of the S/MIME BR that no case above names, with the
// reason.
var zlintAlone = map[string]string{
	"e_invalid_legacy_spki_algoid":        "for certificates before 2025-08-22; its successor is named",
	"w_smime_aia_contains_internal_names": "a list of top-level domains; ours have none, and a private authority may serve a private network",
}

func TestZLintIsCovered(t *testing.T) {
	named := map[string]bool{}
	for _, b := range breaches() {
		named[b.zlint] = true
	}
	for _, l := range zlint.GlobalRegistry().CertificateLints().BySource(zlint.CABFSMIMEBaselineRequirements) {
		if named[l.Name] == (zlintAlone[l.Name] != "") {
			t.Errorf("%s: named by a case: %v; excused: %q", l.Name, named[l.Name], zlintAlone[l.Name])
		}
	}
}

// Certificates are linted by many at a time.
func TestParallel(t *testing.T) {
	der := subscriber(Kind{SponsorValidated, Multipurpose}).write()
	for range 4 {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			for range 20 {
				if found, err := ZLint(der); err != nil || len(rules(found)) > 0 {
					t.Errorf("%+v, %v", found, err)
				}
			}
		})
	}
}
