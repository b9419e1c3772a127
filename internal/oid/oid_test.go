package oid

import (
	"encoding/asn1"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

func TestRoundTrip(t *testing.T) {
	for _, o := range []OID{
		"0.0", "0.39", "1.0", "1.39.1", "2.0", "2.5.29.15", "2.999.3", SHA256, MLKEM768,
		"2.25.329800735698586629295641978511506172918",             // a UUID arc (X.667)
		"2.25.329800735698586629295641978511506172918.4.294967296", // and more below it
		"1.2.9223372036854775807",
	} {
		var b cryptobyte.Builder
		Add(&b, o)
		der, err := b.Bytes()
		if err != nil {
			t.Fatalf("%s: %v", o, err)
		}
		s := cryptobyte.String(der)
		var got OID
		if !Read(&s, &got) || got != o || !s.Empty() {
			t.Errorf("%s came back as %q", o, got)
		}
	}
}

func TestAgreesWithStandardLibrary(t *testing.T) {
	for _, o := range []OID{SHA256, ExtKeyUsage, X25519, PBES2, CEKHKDFSHA256} {
		content, err := o.appendContent(nil)
		if err != nil {
			t.Fatal(err)
		}
		var std asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(append([]byte{6, byte(len(content))}, content...), &std); err != nil || std.String() != string(o) {
			t.Errorf("%s: standard library reads %v, %v", o, std, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty":             {},
		"unfinished":        {0x2a, 0x86},
		"leading zero":      {0x2a, 0x80, 0x01},
		"leading zero, top": {0x80, 0x01},
		"too long":          []byte(strings.Repeat("\x01", MaxLength+1)),
	} {
		if o, err := FromContent(content); err == nil {
			t.Errorf("%s: read as %q", name, o)
		}
	}
	for _, o := range []OID{"", "1", "3.1", "1.40", "1..2", "1.2.-3", "1.2.03", "a.b"} {
		var b cryptobyte.Builder
		Add(&b, o)
		if der, err := b.Bytes(); err == nil {
			t.Errorf("%q was encoded as %x", o, der)
		}
	}
}

func TestParametersAbsentAndNull(t *testing.T) {
	absent, null := AlgorithmIdentifier{Algorithm: SHA256}, AlgorithmIdentifier{Algorithm: SHA256, Parameters: Null}
	if !absent.Same(null) || !null.Same(absent) {
		t.Error("absent and NULL parameters differ")
	}
	if absent.Same(AlgorithmIdentifier{Algorithm: SHA256, Parameters: []byte{0x04, 0x00}}) {
		t.Error("other parameters count as absent")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{6, 3, 0x55, 0x1d, 0x0f})
	f.Fuzz(func(t *testing.T, der []byte) {
		s := cryptobyte.String(der)
		var o OID
		if !Read(&s, &o) {
			return
		}
		var b cryptobyte.Builder
		Add(&b, o)
		again, err := b.Bytes()
		if err != nil || string(again) != string(der[:len(der)-len(s)]) {
			t.Fatalf("%x -> %s -> %x, %v", der, o, again, err)
		}
	})
}

func TestParse(t *testing.T) {
	for text, want := range map[string]OID{
		"2.5.29.32.0": AnyPolicy, "0.0": "0.0", "2.999.1": "2.999.1",
		"": "", "2": "", "2.": "", "2.5.x": "", "3.1": "", "1.40": "", "anyPolicy": "", "2.5.-1": "", " 2.5": "",
	} {
		got, err := Parse(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestCommon: what is known by its octets is what they say.
func TestCommon(t *testing.T) {
	for _, o := range []OID{
		Data, SignedData, EnvelopedData, AttrContentType, AttrMessageDigest, AttrSigningTime, AttrSMIMECapabilities, AttrAlgorithmProtection,
		AttrEncryptionKeyPreference, AttrSigningCertificateV2, SHA256, SHA384, SHA512, RSAEncryption, SHA256WithRSA, ECDSAWithSHA256,
		AES128CBC, AES192CBC, AES256CBC, AES128GCM, AES256GCM,
	} {
		content, err := o.appendContent(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, known := common(content); !known || got != o {
			t.Errorf("the octets of %s are taken for %q", o, got)
		}
	}
}
