package cert

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// testdata returns the folder of vectors published by others.
func testdata(t testing.TB) string {
	dir := os.Getenv("MAILSEAL_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the external vectors are missing: %v", err)
		}
		t.Skipf("no external vectors: %v", err)
	}
	return dir
}

// vector is one element of a file: a PEM block, or all of a binary file under
// the type "".
type vector struct {
	name, kind string
	der        []byte
}

// vectors walks the testdata.
func vectors(t *testing.T) (list []vector) {
	dir := testdata(t)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(data, []byte{0x30}) {
			list = append(list, vector{name, "", data})
		}
		for rest := data; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return nil
			}
			list = append(list, vector{name, block.Type, block.Bytes})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// refused are the certificates in the vectors that must not parse.
var refused = map[string]string{
	"pyca-vectors/vectors/cryptography_vectors/x509/custom/invalid_version.pem": "version 8",
}

// TestCertificateVectors reads every certificate in the vectors, also those
// that crypto/x509 does not, and holds what both read against each other.
func TestCertificateVectors(t *testing.T) {
	parsed, compared := 0, 0
	for _, v := range vectors(t) {
		std, stdErr := x509.ParseCertificate(v.der)
		if v.kind != "CERTIFICATE" && v.kind != "X509 CERTIFICATE" && (v.kind != "" || stdErr != nil) {
			continue
		}
		c, err := Parse(v.der)
		if why, bad := refused[v.name]; bad {
			if err == nil {
				t.Errorf("%s: parsed, want an error: %s", v.name, why)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v (crypto/x509: %v)", v.name, err, stdErr)
			continue
		}
		parsed++
		if stdErr == nil && len(c.Defects) == 0 {
			compared++
			compare(t, v.name, c, std)
		}
	}
	t.Logf("%d parsed, %d compared with crypto/x509", parsed, compared)
	if parsed < 300 || compared < 280 {
		t.Errorf("only %d certificates parsed and %d compared", parsed, compared)
	}
}

// compare holds our reading against crypto/x509's.
func compare(t *testing.T, name string, c *Certificate, std *x509.Certificate) {
	t.Helper()
	check := func(what string, ok bool) {
		if !ok {
			t.Errorf("%s: %s differs from crypto/x509", name, what)
		}
	}
	check("raw", bytes.Equal(c.Raw, std.Raw) && bytes.Equal(c.RawTBS, std.RawTBSCertificate) &&
		bytes.Equal(c.RawIssuer, std.RawIssuer) && bytes.Equal(c.RawSubject, std.RawSubject) &&
		bytes.Equal(c.RawSPKI, std.RawSubjectPublicKeyInfo) && bytes.Equal(c.Signature, std.Signature))
	check("version", c.Version == std.Version)
	check("serial", c.Serial.Cmp(std.SerialNumber) == 0)
	check("validity", c.NotBefore.Equal(std.NotBefore) && c.NotAfter.Equal(std.NotAfter))
	check("keyUsage", int(c.KeyUsage) == int(std.KeyUsage))
	check("extKeyUsage", len(c.ExtKeyUsage) == len(std.ExtKeyUsage)+len(std.UnknownExtKeyUsage))
	check("cA", c.BasicConstraints.CA == std.IsCA)
	if std.IsCA && std.MaxPathLen >= 0 {
		check("pathLen", c.BasicConstraints.PathLen == std.MaxPathLen)
	}
	check("subjectKeyIdentifier", bytes.Equal(c.SubjectKeyID, std.SubjectKeyId))
	check("authorityKeyIdentifier", bytes.Equal(c.AuthorityKeyID, std.AuthorityKeyId))
	var emails []string
	for _, n := range c.AltNames {
		if n.Kind == RFC822Name {
			emails = append(emails, n.Text)
		}
	}
	check("rfc822Name", slices.Equal(emails, std.EmailAddresses))
	check("policies", len(c.Policies) == len(std.PolicyIdentifiers) || len(c.Policies) == len(std.Policies))
	check("CRL distribution points", slices.Equal(c.CRLDistributionPoints, std.CRLDistributionPoints))
	check("OCSP", slices.Equal(c.OCSPServer, std.OCSPServer))
	check("caIssuers", slices.Equal(c.IssuingCertificateURL, std.IssuingCertificateURL))
	if key, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && std.PublicKey != nil {
		check("key", key.Equal(std.PublicKey))
	}
}

// TestCRLVectors reads every revocation list in the vectors.
func TestCRLVectors(t *testing.T) {
	parsed := 0
	for _, v := range vectors(t) {
		std, stdErr := x509.ParseRevocationList(v.der)
		if v.kind != "X509 CRL" && (v.kind != "" || stdErr != nil) {
			continue
		}
		l, err := ParseCRL(v.der)
		if err != nil {
			t.Errorf("%s: %v (crypto/x509: %v)", v.name, err, stdErr)
			continue
		}
		parsed++
		if stdErr != nil {
			t.Logf("%s: crypto/x509: %v", v.name, stdErr)
			continue
		}
		if !l.ThisUpdate.Equal(std.ThisUpdate) || !l.NextUpdate.Equal(std.NextUpdate) || l.Len() != len(std.RevokedCertificateEntries) {
			t.Errorf("%s: differs from crypto/x509", v.name)
		}
		i := 0
		for e := range l.Entries() {
			want := std.RevokedCertificateEntries[i]
			if e.Serial.Cmp(want.SerialNumber) != 0 || !e.RevokedAt.Equal(want.RevocationTime) || int(e.Reason) != want.ReasonCode {
				t.Errorf("%s: entry %d differs from crypto/x509", v.name, i)
			}
			if found, ok := l.Lookup(e.Issuer, e.Serial); !ok || found.Serial.Cmp(e.Serial) != 0 {
				t.Errorf("%s: entry %d is not found", v.name, i)
			}
			i++
		}
	}
	t.Logf("%d parsed", parsed)
	if parsed < 10 {
		t.Errorf("only %d lists parsed", parsed)
	}
}

// TestRequestVectors reads every certification request in the vectors.
func TestRequestVectors(t *testing.T) {
	parsed := 0
	for _, v := range vectors(t) {
		std, stdErr := x509.ParseCertificateRequest(v.der)
		if v.kind != "CERTIFICATE REQUEST" && v.kind != "NEW CERTIFICATE REQUEST" && (v.kind != "" || stdErr != nil) {
			continue
		}
		r, err := ParseRequest(v.der)
		if err != nil {
			t.Logf("%s: %v (crypto/x509: %v)", v.name, err, stdErr)
			if stdErr == nil && std.CheckSignature() == nil {
				t.Errorf("%s: crypto/x509 takes it", v.name)
			}
			continue
		}
		parsed++
		if stdErr != nil || !bytes.Equal(r.RawSubject, std.RawSubject) || len(r.AltNames) < len(std.EmailAddresses) {
			t.Errorf("%s: differs from crypto/x509: %v", v.name, stdErr)
		}
	}
	t.Logf("%d parsed", parsed)
	if parsed < 18 {
		t.Errorf("only %d requests parsed", parsed)
	}
}

// blocks returns what is in the PEM blocks of data.
func blocks(data []byte) (list [][]byte) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return list
		}
		list = append(list, block.Bytes)
	}
}
