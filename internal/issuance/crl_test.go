package issuance

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"iter"
	"math/big"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
)

// each yields the entries as a store does.
func each(entries []Revoked) iter.Seq2[Revoked, error] {
	return func(yield func(Revoked, error) bool) {
		for _, r := range entries {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func list(t *testing.T, is *Issuer, l RevocationList) []byte {
	t.Helper()
	der, err := is.SignCRL(l)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Lists of every length of a DER header, of every kind of signature.
func TestCRL(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"RSA": rsaKey(t, 4096), "P-256": ecKey(t, elliptic.P256()), "Ed25519": edKey(t),
	} {
		_, is := authorities(t, ecKey(t, elliptic.P256()), key)
		high := serial(t).Bytes()
		high[0] |= 0x80
		revoked := []Revoked{
			{serial(t).Bytes(), now.Add(-time.Hour), cert.Unspecified},
			{serial(t).Bytes(), now.Add(-time.Minute), cert.KeyCompromise},
			{high, now, cert.PrivilegeWithdrawn},
			{[]byte{1}, time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), cert.Superseded},
			{append([]byte{0x7f}, make([]byte, 19)...), now, cert.CessationOfOperation},
		}
		for _, n := range []int{0, 1, 3, 5, 200, 30000} {
			var entries []Revoked
			for len(entries) < n {
				entries = append(entries, revoked[:min(len(revoked), n-len(entries))]...)
			}
			checkList(t, name, list(t, is, RevocationList{
				Number: 7, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), Revoked: each(entries),
			}), is, entries)
		}
	}
}

// A certificate names the partition that it is in, and the partition names
// itself in the same words (RFC 5280 §5.2.5).
func TestCRLPartitions(t *testing.T) {
	_, is := authorities(t, ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	if got := is.PartitionURL(0); got != "http://ca.example.org/crl/issuing.crl" {
		t.Errorf("one partition is at %s", got)
	}
	for _, n := range []int{0, MaxPartitions + 1} {
		if err := is.Publish("", n); err == nil {
			t.Errorf("%d partitions were accepted", n)
		}
	}
	if err := is.Publish("http://ca.example.org/ocsp", 3); err != nil {
		t.Fatal(err)
	}
	p, seen := profile(t, config()), map[int]bool{}
	for range 20 {
		c := issue(t, p, is, ecKey(t, elliptic.P256()).Public(), "alice@example.org")
		at := is.Partition(c.Serial)
		seen[at] = true
		if want := []string{is.PartitionURL(at)}; !slices.Equal(c.CRLDistributionPoints, want) {
			t.Errorf("the certificate names %q, want %q", c.CRLDistributionPoints, want)
		}
		if !slices.Equal(c.OCSPServer, []string{"http://ca.example.org/ocsp"}) {
			t.Errorf("the certificate names %q for OCSP", c.OCSPServer)
		}
	}
	if len(seen) != 3 {
		t.Errorf("20 certificates are in %d of 3 partitions", len(seen))
	}
	l, err := cert.ParseCRL(list(t, is, RevocationList{Number: 1, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Partition: 2}))
	if err != nil {
		t.Fatal(err)
	}
	idp := l.IssuingDistributionPoint
	if idp == nil || len(idp.FullName) != 1 || idp.FullName[0].Text != "http://ca.example.org/crl/issuing/2.crl" || idp.IndirectCRL {
		t.Errorf("issuingDistributionPoint %+v", idp)
	}
}

// checkList reads a list with crypto/x509.
func checkList(t *testing.T, name string, der []byte, is *Issuer, want []Revoked) {
	t.Helper()
	ours, err := cert.ParseCRL(der)
	if err != nil {
		t.Fatalf("%s: our own reader: %v", name, err)
	}
	if err := ours.CheckSignatureFrom(is.Certificate()); err != nil {
		t.Errorf("%s: our own reader: %v", name, err)
	}
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
		if !bytes.Equal(e.SerialNumber.Bytes(), want[i].Serial) || !e.RevocationTime.Equal(want[i].At) || e.ReasonCode != int(want[i].Reason) {
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
	one := func(serial []byte, reason cert.Reason) iter.Seq2[Revoked, error] {
		return each([]Revoked{{serial, now, reason}})
	}
	broken := func(yield func(Revoked, error) bool) { yield(Revoked{}, errors.New("database gone")) }
	for name, list := range map[string]RevocationList{
		"no number":       {ThisUpdate: now, NextUpdate: next},
		"backwards":       {Number: 1, ThisUpdate: next, NextUpdate: now},
		"partition":       {Number: 1, ThisUpdate: now, NextUpdate: next, Partition: 1},
		"store breaks":    {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: broken},
		"no serial":       {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one(nil, 0)},
		"serial zero":     {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one([]byte{0}, 0)},
		"serial long":     {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one(bytes.Repeat([]byte{1}, 21), 0)},
		"21 octets":       {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one(bytes.Repeat([]byte{0x80}, 20), 0)},
		"reason 7":        {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one([]byte{1}, 7)},
		"hold":            {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one([]byte{1}, cert.CertificateHold)},
		"removeFromCRL":   {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one([]byte{1}, 8)},
		"reason below 0":  {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one([]byte{1}, -1)},
		"reason above 10": {Number: 1, ThisUpdate: now, NextUpdate: next, Revoked: one([]byte{1}, 11)},
	} {
		if der, err := is.SignCRL(list); err == nil || der != nil {
			t.Errorf("%s: %v, and %d octets", name, err, len(der))
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
