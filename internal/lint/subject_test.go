package lint

import (
	"testing"

	"github.com/weppos/publicsuffix-go/publicsuffix"
)

func TestOrganizationIdentifier(t *testing.T) {
	for _, good := range []string{
		"NTRJP-0100-01-000001", "NTRGB-12345678", "NTRUS+CA-12345678", "PSDBE-NBB-1234.567.890", "VATEL-123456789",
		"NTRDE-DER3306.HRB12345", "GOVUS", "GOVUS+CA", "GOVJP", "INTXG", "LEIXG-529900T8BM49AURSDO55",
	} {
		if err := CheckOrganizationIdentifier(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "NTR", "NTRJP", "NTRJP-", "ntrJP-1", "NTRjp-1", "XYZJP-1", "NTRQQ-1", "NTRXX-1", "NTRJP+ABCD-1", "NTRJP+-1",
		"INTJP", "LEIJP-529900T8BM49AURSDO55", "LEIXG-529900T8BM49AURSDO54", "LEIXG-1", "LEIXG", "NTREL-1", "VATJP", " NTRJP-1",
	} {
		if err := CheckOrganizationIdentifier(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, tt := range []struct {
		id, country string
		ok          bool
	}{
		{"NTRJP-1", "JP", true}, {"NTRJP-1", "US", false}, {"VATEL-1", "GR", true}, {"VATEL-1", "EL", true}, {"VATEL-1", "JP", false},
		{"INTXG", "CH", true}, {"LEIXG-529900T8BM49AURSDO55", "JP", true}, {"GOVUS+CA", "JP", false},
	} {
		if err := MatchIdentifierCountry(tt.id, tt.country); (err == nil) != tt.ok {
			t.Errorf("%s in %s: %v", tt.id, tt.country, err)
		}
	}
}

func TestCountries(t *testing.T) {
	for _, code := range []string{"AD", "BZ", "CA", "JP", "ZW", "XX"} {
		if !IsCountry(code) {
			t.Errorf("%s is none", code)
		}
	}
	for _, code := range []string{"", "J", "jp", "QQ", "UK", "EU", "JPN", "D ", " D", "E\n"} {
		if IsCountry(code) {
			t.Errorf("%q is one", code)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		if again, err := ParseKind(k.String()); err != nil || again != k {
			t.Errorf("%s: %v, %v", k, again, err)
		}
	}
	if _, err := ParseKind("sponsor"); err == nil {
		t.Error("a type alone was taken")
	}
	if got := (Kind{IndividualValidated, Strict}).ReservedPolicy(); got != "2.23.140.1.5.4.3" {
		t.Error(got)
	}
}

// The package that stands in for another one of the same path.
func TestPublicSuffix(t *testing.T) {
	strict := &publicsuffix.FindOptions{IgnorePrivate: true}
	lenient := &publicsuffix.FindOptions{IgnorePrivate: true, DefaultRule: publicsuffix.DefaultRule}
	for _, tt := range []struct {
		name    string
		options *publicsuffix.FindOptions
		want    publicsuffix.DomainName
	}{
		{"example.com", strict, publicsuffix.DomainName{TLD: "com", SLD: "example"}},
		{"a.b.Example.co.jp.", strict, publicsuffix.DomainName{TLD: "co.jp", SLD: "example", TRD: "a.b"}},
		{"www.example.github.io", strict, publicsuffix.DomainName{TLD: "io", SLD: "github", TRD: "www.example"}},
		{"www.example.github.io", &publicsuffix.FindOptions{}, publicsuffix.DomainName{TLD: "github.io", SLD: "example", TRD: "www"}},
		{"www.example.nowhere", lenient, publicsuffix.DomainName{TLD: "nowhere", SLD: "example", TRD: "www"}},
	} {
		if got, err := publicsuffix.ParseFromListWithOptions(publicsuffix.DefaultList, tt.name, tt.options); err != nil || *got != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	for _, bad := range []string{"", ".com", "com", "co.jp", "example.nowhere"} {
		if got, err := publicsuffix.ParseFromListWithOptions(publicsuffix.DefaultList, bad, strict); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
