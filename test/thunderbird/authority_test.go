package thunderbird

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// kinds issues a certificate of each of the eight kinds as the authority does,
// to the address KIND@example.com, below a root of its own. Strict ones have a
// key on P-256, the others RSA.
func kinds(t *testing.T) (root *cert.Certificate, leaves map[string]*testca.Leaf) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	serial := func() *big.Int { return new(big.Int).SetBytes(append([]byte{0x40}, randomBytes(t, 15)...)) }
	curve := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(err)
		return key
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	check(err)
	rootKey, key := curve(), curve()
	root, err = issuance.NewRoot(rootKey, issuance.AuthorityRequest{
		Subject: issuance.Subject{Country: "JP", Organization: "Example", CommonName: "Example Authority Root"},
		Serial:  serial(), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
	})
	check(err)
	above, err := issuance.NewIssuer(root, rootKey, "http://ca.example.org/crl/root.crl", "http://ca.example.org/ca/root.cer")
	check(err)
	issuing, err := above.IssueAuthority(issuance.AuthorityRequest{
		Subject: issuance.Subject{Country: "JP", Organization: "Example", CommonName: "Example Authority Issuing"},
		Serial:  serial(), Key: key.Public(), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
	})
	check(err)
	is, err := issuance.NewIssuer(issuing, key, "http://ca.example.org/crl/issuing.crl", "http://ca.example.org/ca/issuing.cer")
	check(err)
	leaves = map[string]*testca.Leaf{}
	for _, kind := range lint.Kinds() {
		if kind.Generation == lint.Legacy {
			continue
		}
		p, err := issuance.NewProfile(issuance.ProfileConfig{
			Name: kind.String(), Type: kind.Type, Generation: kind.Generation, ValidityDays: 730, Capabilities: []oid.OID{oid.AES256CBC},
			Policy: issuance.OperatorPolicy("2.25.340282366920938463463374607431768211455", kind.Type, kind.Generation),
		})
		check(err)
		var private crypto.Signer = long
		if kind.Generation == lint.Strict {
			private = curve()
		}
		prepared, err := issuance.Prepare(p, is, issuance.Request{
			Key: private.Public(), Serial: serial(), NotBefore: now.Add(-time.Hour), Names: namesOf(t, kind, now),
		})
		check(err)
		c, err := is.Issue(prepared)
		check(err)
		leaves[kind.String()] = &testca.Leaf{Certificate: c, Key: private, Chain: []*cert.Certificate{issuing}}
	}
	return root, leaves
}

func randomBytes(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func namesOf(t *testing.T, kind lint.Kind, now time.Time) (n issuance.Names) {
	t.Helper()
	m, err := mailbox.Parse(kind.String() + "@example.com")
	if err != nil {
		t.Fatal(err)
	}
	n.Mailboxes = []mailbox.Mailbox{m}
	address := issuance.Address{Country: "JP", StateOrProvince: "東京都", Locality: "港区", Street: "芝1-2-3", PostalCode: "105-0011"}
	if kind.Type == lint.OrganizationValidated || kind.Type == lint.SponsorValidated {
		n.Organization, err = issuance.NewOrganization(issuance.OrganizationConfig{
			Name: "株式会社見本", Identifier: "NTRJP-0100-01-000001", Address: address,
			Evidence: issuance.Evidence{Method: "3.2.3", Reference: "file 1", Validated: now},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if kind.Type == lint.SponsorValidated || kind.Type == lint.IndividualValidated {
		n.Individual, err = issuance.NewIndividual(issuance.IndividualConfig{
			GivenName: "太郎", Surname: "田中", Display: "田中 太郎", Address: address,
			Evidence: issuance.Evidence{Method: "3.2.4", Reference: "file 2", Validated: now},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}
