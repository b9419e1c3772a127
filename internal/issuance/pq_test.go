package issuance

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/oid"
)

// Certificates of RFC 9881 and RFC 9935, and ML-DSA authorities above them.
// Where OPENSSL names a program that knows the algorithms, it builds the
// chains too.
func TestPostQuantum(t *testing.T) {
	signers, others := pqKeys(t)
	root, is := authorities(t, signers["ML-DSA-87"], signers["ML-DSA-65"])
	if root.SignatureAlgorithm.Algorithm != oid.MLDSA87 || is.Certificate().SPKIAlgorithm.Algorithm != oid.MLDSA65 {
		t.Fatalf("root signed by %s, issuing key %s", root.SignatureAlgorithm.Algorithm.Name(), is.Certificate().SPKIAlgorithm.Algorithm.Name())
	}
	keys := map[string]crypto.PublicKey{"P-256": ecKey(t, elliptic.P256()).Public()}
	for name, key := range signers {
		keys[name] = key.Public()
	}
	for name, key := range others {
		keys[name] = key
	}
	var issued []*cert.Certificate
	for name, key := range keys {
		c := typeConfig(IndividualValidated, Multipurpose, Dual)
		c.Algorithms = allAlgorithms
		got := issueNames(t, profile(t, c), is, key, namesFor(t, IndividualValidated))
		issued = append(issued, got)
		want, purposes := cert.KeyUsageDigitalSignature, 2
		switch {
		case algorithmOf(key) == MLKEM:
			want, purposes = cert.KeyUsageKeyEncipherment, 1
		case algorithmOf(key) == P256:
			want |= cert.KeyUsageKeyAgreement
		}
		if got.KeyUsage != want || len(got.ExtKeyUsage) != purposes || got.SPKIAlgorithm.Parameters != nil && algorithmOf(key) != P256 {
			t.Errorf("%s: keyUsage %v, purposes %v, parameters %x", name, got.KeyUsage, got.ExtKeyUsage, got.SPKIAlgorithm.Parameters)
		}
		chain, err := certpath.Verify(got, &certpath.Options{
			Anchors: []*cert.Certificate{root}, Intermediates: []*cert.Certificate{is.Certificate()},
			At: now, Purpose: certpath.Email,
		})
		if err != nil || len(chain) != 3 {
			t.Errorf("%s: %d certificates, %v", name, len(chain), err)
		}
		goChain(t, got, root, is.Certificate(), x509.ExtKeyUsageEmailProtection, true)
	}
	if os.Getenv("OPENSSL") != "" {
		opensslChain(t, root, is.Certificate(), issued)
	}
	if _, err := is.IssueAuthority(AuthorityRequest{
		Subject: Subject{"XX", "A", "B"}, Key: others["ML-KEM-768"], Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
	}); err == nil {
		t.Error("an authority with a key that cannot sign")
	}
}

// An authority for timestamps, and a signer below it: RFC 3161 §2.3.
func TestTimestampAuthority(t *testing.T) {
	rootKey, key := ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256())
	root, err := NewRoot(rootKey, AuthorityRequest{
		Subject: Subject{"XX", "Example", "Example Root"}, Serial: serial(t), NotBefore: now, NotAfter: now.AddDate(20, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	above, err := NewIssuer(root, rootKey, "http://ca.example.org/crl/root.crl", "http://ca.example.org/ca/root.cer")
	if err != nil {
		t.Fatal(err)
	}
	c, err := above.IssueAuthority(AuthorityRequest{
		Subject: Subject{"XX", "Example", "Example Timestamps"}, Serial: serial(t), Key: key.Public(), Timestamps: true,
		NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.ExtKeyUsage, []oid.OID{oid.TimeStamping}) {
		t.Errorf("purposes %v", c.ExtKeyUsage)
	}
	is, err := NewIssuer(c, key, "http://ca.example.org/crl/tsa.crl", "http://ca.example.org/ca/tsa.cer")
	if err != nil {
		t.Fatal(err)
	}
	p := profile(t, ProfileConfig{Name: "timestamps", Type: TimestampSigner, ValidityDays: 730, KeyUse: Signing})
	signer := issueNames(t, p, is, ecKey(t, elliptic.P256()).Public(), Names{Service: &Subject{"XX", "Example", "Example Timestamp Signer"}})
	goChain(t, signer, root, c, x509.ExtKeyUsageTimeStamping, true)
	goChain(t, signer, root, c, x509.ExtKeyUsageEmailProtection, false)
	if found := lint.Check(&lint.Subject{Certificate: signer}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}
