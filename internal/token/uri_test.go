package token

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	seven := uint64(7)
	for text, want := range map[string]URI{
		"pkcs11:":            {},
		"PKCS11:token=Alice": {Token: "Alice"},
		"pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.;object=my-key;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial=": {Token: "Software PKCS#11 softtoken", Manufacturer: "Snake Oil, Inc.", Object: "my-key", ID: []byte("\x69\x95\x3e\x5c\xf4\xbd\xec\x91")},
		"pkcs11:object=%E9%8D%B5;slot-id=7;slot-description=Reader%201":                                                                                 {Object: "鍵", SlotID: &seven, SlotDescription: "Reader 1"},
		"pkcs11:model=x;library-version=3.1;library-manufacturer=m;library-description=d;slot-manufacturer=s;type=cert?module-path=/usr/lib/x.so":       {Model: "x", LibraryVersion: "3.1", LibraryManufacturer: "m", LibraryDescription: "d", SlotManufacturer: "s", ModulePath: "/usr/lib/x.so"},
		"pkcs11:token=a?module-name=softhsm2": {Token: "a", ModuleName: "softhsm2"},
	} {
		got, err := ParseURI(text)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestParseURIRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"":                                    "does not begin",
		"file:x":                              "does not begin",
		"pkcs11:token":                        "no value",
		"pkcs11:token=a;token=b":              "repeated",
		"pkcs11:token=a;":                     "no value",
		"pkcs11:colour=red":                   "not known",
		"pkcs11:x-vendor=1":                   "not known",
		"pkcs11:token=%4":                     "incomplete escape",
		"pkcs11:token=%zz":                    "bad escape",
		"pkcs11:token=a b":                    "must be written %20",
		"pkcs11:token=é":                      "must be written %C3",
		"pkcs11:token=%ff":                    "not UTF-8",
		"pkcs11:object=a%0ab":                 "control characters",
		"pkcs11:type=secret-key":              "not a key with its certificate",
		"pkcs11:slot-id=-1":                   "not a number",
		"pkcs11:token=a?pin-value=1234":       "never taken from an argument",
		"pkcs11:token=a?pin-source=file:/pin": "never taken from an argument",
		"pkcs11:token=a?module-path=x.so":     "not an absolute path",
		"pkcs11:token=a?module-name=../x":     "name without path",
		"pkcs11:token=a?unknown=x":            "not known",
		"pkcs11:token=a?module-path=/a&module-path=/b": "repeated",
		"pkcs11:token=" + strings.Repeat("a", MaxURI):  "at most",
	} {
		if _, err := ParseURI(text); !errors.Is(err, ErrURI) || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60s: %v, want %q", text, err, why)
		}
	}
}

func TestModule(t *testing.T) {
	for _, tt := range []struct {
		uri            URI
		fallback, want string
	}{
		{URI{ModulePath: "/a.so", ModuleName: "b"}, "/c.so", "/a.so"},
		{URI{ModuleName: "b"}, "/c.so", "libb.so"},
		{URI{}, "/c.so", "/c.so"},
	} {
		if got := tt.uri.Module(tt.fallback); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.uri, got, tt.want)
		}
	}
	if (&URI{}).Module("") == "" {
		t.Error("no module at all")
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=Alice;object=%E9%8D%B5;id=%00;slot-id=7?module-path=/usr/lib/x.so&module-name=x")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURI(text)
		if err == nil && strings.ContainsAny(u.Token+u.Object+u.ModulePath, "\x00\n\x1b") {
			t.Errorf("%q: control characters came through", text)
		}
	})
}
