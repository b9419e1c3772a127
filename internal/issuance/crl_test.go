package issuance

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
)

func TestCRL(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), rsaKey(t, 2048))
	revoked := []Revoked{
		{serial(t), now.Add(-time.Hour), cert.Unspecified},
		{serial(t), now.Add(-time.Minute), cert.KeyCompromise},
		{serial(t), now, cert.PrivilegeWithdrawn},
	}
	for name, entries := range map[string][]Revoked{"empty": nil, "three": revoked} {
		der, err := is.CRL(RevocationList{Number: 7, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), Revoked: entries})
		if err != nil {
			t.Fatal(err)
		}
		checkList(t, name, der, is, entries)
		ours, err := cert.ParseCRL(der)
		if err != nil {
			t.Fatalf("%s: our own reader: %v", name, err)
		}
		if err := ours.CheckSignatureFrom(is.Certificate()); err != nil {
			t.Errorf("%s: our own reader: %v", name, err)
		}
	}
}

// checkList reads a list with crypto/x509.
func checkList(t *testing.T, name string, der []byte, is *Issuer, want []Revoked) {
	t.Helper()
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	issuer, err := x509.ParseCertificate(is.Certificate().Raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if list.Number.Cmp(big.NewInt(7)) != 0 || !list.ThisUpdate.Equal(now) || !list.NextUpdate.Equal(now.AddDate(0, 0, 7)) {
		t.Errorf("%s: number %v from %v to %v", name, list.Number, list.ThisUpdate, list.NextUpdate)
	}
	if !bytes.Equal(list.AuthorityKeyId, is.Certificate().SubjectKeyID) {
		t.Errorf("%s: key identifier of another authority", name)
	}
	if len(list.RevokedCertificateEntries) != len(want) {
		t.Fatalf("%s: %d entries, want %d", name, len(list.RevokedCertificateEntries), len(want))
	}
	for i, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(want[i].Serial) != 0 || !e.RevocationTime.Equal(want[i].At) || e.ReasonCode != int(want[i].Reason) {
			t.Errorf("%s: entry %d is %v, want %v", name, i, e, want[i])
		}
		if want[i].Reason == cert.Unspecified && len(e.Extensions) != 0 {
			t.Errorf("%s: entry %d writes the reason unspecified", name, i)
		}
	}
}

func TestCRLRefusals(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	next := now.AddDate(0, 0, 7)
	for name, list := range map[string]RevocationList{
		"no number":      {ThisUpdate: now, NextUpdate: next},
		"backwards":      {Number: 1, ThisUpdate: next, NextUpdate: now},
		"no serial":      {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: []Revoked{{nil, now, cert.Unspecified}}},
		"reason 7":       {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: []Revoked{{serial(t), now, 7}}},
		"reason below 0": {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: []Revoked{{serial(t), now, -1}}},
	} {
		if _, err := is.CRL(list); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050.
func TestTime(t *testing.T) {
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), "\x17\x0d491231235959Z"},
		{time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), "\x18\x0f20500101000000Z"},
		{time.Date(2026, 11, 23, 21, 0, 0, 0, time.FixedZone("JST", 9*3600)), "\x17\x0d261123120000Z"},
	} {
		var b cryptobyte.Builder
		addTime(&b, test.at)
		if got, err := b.Bytes(); err != nil || string(got) != test.want {
			t.Errorf("%v: %q, %v, want %q", test.at, got, err, test.want)
		}
	}
}

// X.690 §11.2.2: a named bit list has no zeros at its end.
func TestKeyUsageBits(t *testing.T) {
	for usage, want := range map[cert.KeyUsage]string{
		cert.KeyUsageDigitalSignature:                                "\x03\x02\x07\x80",
		cert.KeyUsageDigitalSignature | cert.KeyUsageKeyEncipherment: "\x03\x02\x05\xa0",
		cert.KeyUsageCertSign | cert.KeyUsageCRLSign:                 "\x03\x02\x01\x06",
		cert.KeyUsageEncipherOnly:                                    "\x03\x02\x00\x01",
		cert.KeyUsageKeyAgreement | cert.KeyUsageDecipherOnly:        "\x03\x03\x07\x08\x80",
	} {
		var b cryptobyte.Builder
		keyUsage(usage).value(&b)
		if got, err := b.Bytes(); err != nil || string(got) != want {
			t.Errorf("%v: %x, %v, want %x", usage, got, err, want)
		}
	}
}
