package smime

import (
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestLearnedEncryption: whose certificate mail to a signer is encrypted with (RFC 8551 §2.5.3).
func TestLearnedEncryption(t *testing.T) {
	w := newWorld(t)
	const who = "alice@example.com"
	both, signs, reads := w.ca.Leaf(who, testca.P256), w.ca.Leaf(who, testca.Ed25519), w.ca.Leaf(who, testca.X25519)
	stranger := testca.NewRoot(t, "Stranger").Leaf(who, testca.X25519)
	for _, c := range []struct {
		name         string
		sign, wanted *testca.Leaf // wanted is named in the signature
		want         *testca.Leaf
	}{
		{"one key for both", both, nil, both},
		{"one key for both, another preferred", both, reads, reads},
		{"signs only", signs, nil, nil},
		{"two keys", signs, reads, reads},
		{"a stranger's", both, stranger, nil},
		{"of another address", both, w.ca.Leaf("bob@example.org", testca.X25519), nil},
		{"expired", both, w.ca.Leaf(who, testca.X25519, testca.Expired()), nil},
		{"short", both, w.ca.Leaf(who, testca.RSA1024), nil},
	} {
		s := signerOf(c.sign)
		if c.wanted != nil {
			s.Encryption = c.wanted.Certificate
		}
		m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{s}}), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		l := m.Learned.Signers[0]
		if c.want == nil {
			if l.Encryption != nil {
				t.Errorf("%s: %s", c.name, l.Encryption.Subject)
			}
			continue
		}
		if !l.Encryption.Equal(c.want.Certificate) || len(l.EncryptionChain) != 3 || !l.EncryptionChain[0].Equal(l.Encryption) {
			t.Errorf("%s: %v", c.name, l.Encryption)
		}
	}
	// A revoked one is nobody's.
	s := signerOf(both)
	s.Encryption = reads.Certificate
	o := w.options()
	o.CRLs = crls(t, w.ca.Issuing.CRL([]testca.Revoked{{SerialNumber: reads.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1)}}), w.ca.Root.CRL(nil))
	m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{s}}), o)
	wantVerdict(t, m, Valid, CoverageWhole)
	if m.Learned.Signers[0].Encryption != nil {
		t.Error("a revoked certificate is learned")
	}
}

func crls(t testing.TB, lists ...[]byte) []*cert.CRL {
	t.Helper()
	var out []*cert.CRL
	for _, der := range lists {
		c, err := cert.ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}
