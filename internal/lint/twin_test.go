package lint

import (
	"bytes"
	"testing"

	"github.com/mailseal/mailseal/cert"
)

// The twin differs from the original in the policy and in nothing else.
func TestTwin(t *testing.T) {
	const private = "2.25.340282366920938463463374607431768211455.3.2"
	k := Kind{SponsorValidated, Multipurpose}
	d := subscriber(k)
	d.set(policies(private))
	original := parse(t, d.write())
	der, err := Twin(original.RawTBS, k.ReservedPolicy())
	if err != nil {
		t.Fatal(err)
	}
	twin := parse(t, der)
	if len(twin.Policies) != 1 || twin.Policies[0].ID != k.ReservedPolicy() {
		t.Errorf("policies %v", twin.Policies)
	}
	if !bytes.Equal(twin.Signature, make([]byte, 64)) {
		t.Error("the twin has a signature")
	}
	back, err := Twin(twin.RawTBS, private)
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, back); !bytes.Equal(got.RawTBS, original.RawTBS) {
		t.Error("with its own policy the twin is not the original again")
	}
	for name, tbs := range map[string][]byte{
		"nothing": nil, "no sequence": {2, 1, 0}, "cut": original.RawTBS[:100], "more": append(bytes.Clone(original.RawTBS), 0),
		"empty": {0x30, 0},
	} {
		if _, err := Twin(tbs, private); err == nil {
			t.Errorf("%s: a twin was made", name)
		}
	}
}

// FuzzCheck: whatever can be read as a certificate can be held against all
// rules, and has a twin of the same name.
func FuzzCheck(f *testing.F) {
	for _, k := range []Kind{{MailboxValidated, Strict}, {SponsorValidated, Multipurpose}} {
		f.Add(subscriber(k).write(), uint8(0))
	}
	f.Add(authority().write(), uint8(7))
	f.Fuzz(func(t *testing.T, der []byte, kind uint8) {
		c, err := cert.Parse(der)
		if err != nil {
			return
		}
		kinds := append(Kinds(), Kind{})
		Check(&Subject{Certificate: c, Kind: kinds[int(kind)%len(kinds)]})
		twin, err := Twin(c.RawTBS, "2.23.140.1.5.1.3")
		if err != nil {
			return // BER, for one
		}
		if again, err := cert.Parse(twin); err == nil && again.Subject.String() != c.Subject.String() {
			t.Errorf("the twin names %s, not %s", again.Subject, c.Subject)
		}
	})
}

// FuzzZLint: what zlint cannot bear is an error.
func FuzzZLint(f *testing.F) {
	f.Add(subscriber(Kind{SponsorValidated, Multipurpose}).write())
	f.Add(authority().write())
	f.Fuzz(func(t *testing.T, der []byte) {
		if found, err := ZLint(der); err != nil && found != nil {
			t.Error("findings beside an error")
		}
	})
}
