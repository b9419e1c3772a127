package cert_test

import (
	"bytes"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func TestCapabilities(t *testing.T) {
	ca := testca.New(t)
	list := []oid.AlgorithmIdentifier{{Algorithm: oid.AES256GCM}, {Algorithm: oid.RC2CBC, Parameters: []byte{2, 1, 40}}}
	der, err := cert.EncodeCapabilities(list)
	if err != nil {
		t.Fatal(err)
	}
	many, err := cert.EncodeCapabilities(make([]oid.AlgorithmIdentifier, 0))
	if err != nil || !bytes.Equal(many, []byte{0x30, 0}) {
		t.Fatal(err, many)
	}
	for name, c := range map[string]struct {
		value []byte
		want  int
	}{"two": {der, 2}, "malformed": {[]byte{0x31, 0}, 0}, "data behind": {append(der, 0), 0}} {
		l := ca.Leaf("a@example.com", testca.P256, testca.Extension(oid.ExtSMIMECapabilities, false, c.value))
		if got := l.Certificate.Capabilities(); len(got) != c.want || c.want > 0 && !got[1].Same(list[1]) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := ca.Leaf("a@example.com", testca.P256).Certificate.Capabilities(); got != nil {
		t.Errorf("absent: %v", got)
	}
	for len(list) < cert.MaxCapabilities {
		list = append(list, list[0])
	}
	for _, more := range []bool{false, true} {
		if more {
			list = append(list, list[0])
		}
		if der, err = cert.EncodeCapabilities(list); err != nil {
			t.Fatal(err)
		}
		if _, err := cert.ParseCapabilities(der); (err != nil) != more {
			t.Errorf("%d: %v", len(list), err)
		}
	}
}

func FuzzParseCapabilities(f *testing.F) {
	der, err := cert.EncodeCapabilities([]oid.AlgorithmIdentifier{{Algorithm: oid.AES256GCM}, {Algorithm: oid.RC2CBC, Parameters: []byte{2, 1, 40}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		list, err := cert.ParseCapabilities(der)
		if err != nil {
			return
		}
		again, err := cert.EncodeCapabilities(list)
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x: %v", der, again, err)
		}
	})
}
