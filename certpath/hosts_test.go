package certpath

import (
	"strings"
	"testing"
)

func TestHost(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Repeat("a.", 126) + "a" // 253 octets
	for in, want := range map[string]string{
		"example.com": "example.com", "A.Z": "a.z", "a.z0.9": "a.z0.9", "_dmarc.a-b.c": "_dmarc.a-b.c",
		"*.a": "*.a", "a": "a", label + ".b": label + ".b", long: long,
		"": "", ".": "", "a.": "", ".a": "", "a..b": "", "*": "", "*.": "", "*a.b": "", "a*.b": "", "a.*": "", "*.*": "",
		label + "a.b": "", "b." + label + "a": "", long + ".b": "", long + "b": "", "a b": "", "a@b": "", "a/b": "", "a:1": "", "[::1]": "",
		"é.example": "", "a\x00b": "", "a{": "", "a`": "",
	} {
		got, ok := host(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("host(%q) = %q, %v", in, got, ok)
		}
	}
}

func TestDNSWithin(t *testing.T) {
	for _, tt := range []struct {
		name, base string
		want       answer
	}{
		{"example.com", "example.com", inside},
		{"a.example.com", "example.com", inside},
		{"aexample.com", "example.com", outside},
		{"com", "example.com", outside},
		{"example.com", ".example.com", unclear},
		{"a.example.com", ".example.com", unclear},
		{"example.com", "", inside},
		{"example.com", ".", unclear},
		{"example.com", "*.example.com", unclear},
		{"example.com", "a..b", unclear},
		{"a..b", "example.com", unclear},
		{"*.example.com", "example.com", inside},
		{"*.a.example.com", "example.com", inside},
		{"*.example.com", "a.example.com", unclear},
		{"*.example.com", "example.org", outside},
		{"*.example.com", "aexample.com", outside},
	} {
		if got := dnsWithin(tt.name, tt.base); got != tt.want {
			t.Errorf("%q within %q: %v, want %v", tt.name, tt.base, got, tt.want)
		}
	}
}

func TestURIWithin(t *testing.T) {
	for _, tt := range []struct {
		uri, base string
		want      answer
	}{
		{"https://example.com/", "example.com", inside},
		{"https://EXAMPLE.com:8443/a?b", "example.com", inside},
		{"https://user:pw@example.com", "example.com", inside},
		{"https://example.com@example.org/", "example.com", outside},
		{"https://a.example.com", "example.com", outside},
		{"https://a.example.com", ".example.com", inside},
		{"https://example.com", ".example.com", outside},
		{"https://example.com", "", inside},
		{"https://example.com", "a b", unclear},
		{"https://*.example.com", "example.com", unclear},
		{"https://192.0.2.1", "", unclear},
		{"https://[2001:db8::1]", "", unclear},
		{"example.com", "example.com", unclear},
		{"mailto:alice@example.com", "example.com", unclear},
		{"http://a\x00b", "", unclear},
		{"", "", unclear},
	} {
		if got := uriWithin(tt.uri, tt.base); got != tt.want {
			t.Errorf("%q within %q: %v, want %v", tt.uri, tt.base, got, tt.want)
		}
	}
}

func TestIPWithin(t *testing.T) {
	four := func(b ...byte) []byte { return b }
	for _, tt := range []struct {
		ip, base []byte
		want     answer
	}{
		{four(192, 0, 2, 1), four(192, 0, 2, 0, 255, 255, 255, 0), inside},
		{four(192, 0, 2, 1), four(192, 0, 2, 9, 255, 255, 255, 0), inside}, // host bits in the base
		{four(192, 0, 3, 1), four(192, 0, 2, 0, 255, 255, 255, 0), outside},
		{four(192, 0, 2, 1), four(0, 0, 0, 0, 0, 0, 0, 0), inside},
		{four(192, 0, 2, 1), four(192, 0, 2, 1, 255, 255, 255, 255), inside},
		{four(192, 0, 2, 127), four(192, 0, 2, 0, 255, 255, 255, 128), inside},
		{four(192, 0, 2, 128), four(192, 0, 2, 0, 255, 255, 255, 128), outside},
		{four(192, 0, 2, 1), four(192, 0, 2, 0, 255, 255, 0, 255), unclear},
		{four(192, 0, 2, 1), four(192, 0, 2, 0, 255, 255, 255, 1), unclear},
		{four(192, 0, 2, 1), four(192, 0, 2, 0, 254, 255, 255, 0), unclear},
		{four(192, 0, 2, 1), four(192, 0, 2, 0, 127, 255, 255, 0), unclear},
		{four(192, 0, 2, 1), four(192, 0, 2, 0), unclear},
		{four(192, 0, 2), four(192, 0, 2, 0, 255, 255, 255, 0), unclear},
		{nil, four(192, 0, 2, 0, 255, 255, 255, 0), unclear},
		{make([]byte, 16), four(0, 0, 0, 0, 0, 0, 0, 0), outside},
		{make([]byte, 16), make([]byte, 32), inside},
		{four(192, 0, 2, 1), make([]byte, 32), outside},
	} {
		if got := ipWithin(tt.ip, tt.base); got != tt.want {
			t.Errorf("%v within %v: %v, want %v", tt.ip, tt.base, got, tt.want)
		}
	}
}
