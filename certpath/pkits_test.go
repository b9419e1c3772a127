package certpath

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// pkitsTest is a case of NIST's PKITS as the Go distribution carries it.
type pkitsTest struct {
	Name                        string
	CertPath                    []string // anchor first
	ShouldValidate              bool
	InitialPolicySet            []string
	InitialPolicyMappingInhibit bool
	InitialExplicitPolicy       bool
	InitialAnyPolicyInhibit     bool
}

// pkitsByRevocation tells whether the case is decided by revocation lists,
// which the distribution leaves out: without them its path is valid.
func pkitsByRevocation(name string) bool {
	if strings.HasPrefix(name, "4.5.8 ") {
		return false // its path leads through a certificate that is no authority's
	}
	for _, section := range []string{"4.4.", "4.5.", "4.14.", "4.15.", "4.7.4 ", "4.7.5 "} {
		if strings.HasPrefix(name, section) {
			return true
		}
	}
	return false
}

// pkitsDeviations are cases that are judged otherwise here.
var pkitsDeviations = map[string]string{
	"4.1.4 Valid DSA Signatures Test4":            "DSA is not supported (historic by RFC 8550 appendix B)",
	"4.1.5 Valid DSA Parameter Inheritance Test5": "likewise",
}

// TestPKITS runs the paths of NIST's public test suite.
func TestPKITS(t *testing.T) {
	dir := pkitsFolder(t)
	data, err := os.ReadFile(filepath.Join(dir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tests []pkitsTest
	if err := json.Unmarshal(data, &tests); err != nil {
		t.Fatal(err)
	}
	if len(tests) < 200 {
		t.Fatalf("only %d cases", len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.Name, func(t *testing.T) { runPKITS(t, dir, tt) })
	}
}

func pkitsFolder(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	dir := filepath.Join(strings.TrimSpace(string(root)), "src", "crypto", "x509", "testdata", "nist-pkits")
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the Go distribution has no PKITS: %v", err)
		}
		t.Skipf("the Go distribution has no PKITS: %v", err)
	}
	return dir
}

func runPKITS(t *testing.T, dir string, tt pkitsTest) {
	var path []*cert.Certificate
	for _, name := range tt.CertPath {
		data, err := os.ReadFile(filepath.Join(dir, "certs", name))
		if err != nil {
			t.Fatal(err)
		}
		c, err := cert.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, c)
	}
	o := &Options{
		Anchors: path[:1], Intermediates: path[1 : len(path)-1], At: testca.Now,
		InhibitPolicyMapping: tt.InitialPolicyMappingInhibit,
		ExplicitPolicy:       tt.InitialExplicitPolicy,
		InhibitAnyPolicy:     tt.InitialAnyPolicyInhibit,
	}
	for _, policy := range tt.InitialPolicySet {
		o.Policies = append(o.Policies, pkitsPolicy(policy))
	}
	_, err := Verify(path[len(path)-1], o)
	want := tt.ShouldValidate || pkitsByRevocation(tt.Name)
	if why, deviates := pkitsDeviations[tt.Name]; deviates {
		t.Log(why)
		want = !want
	}
	if want != (err == nil) {
		t.Errorf("should validate: %v, error: %v", want, err)
	}
}

func pkitsPolicy(name string) oid.OID {
	if number, ok := strings.CutPrefix(name, "NIST-test-policy-"); ok {
		return "2.16.840.1.101.3.2.1.48." + oid.OID(number)
	}
	return oid.AnyPolicy
}
