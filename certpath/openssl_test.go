package certpath

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// opensslCases are paths over the certificates that OpenSSL publishes for its
// own tests, with what must come out. The folder has no recipe: the judgements
// are ours, from what the certificates say.
var opensslCases = []struct {
	leaf, anchors, intermediates string
	want                         Reason
	change                       func(*Options)
}{
	{"ee-cert", "root-cert", "ca-cert", 0, nil},
	{"ee-cert", "root-cert", "", NoPath, nil},
	{"ee-cert", "root-cert", "ca-nonca", NotCA, nil},
	{"ee-cert", "root-cert", "ca-nonbc", NotCA, nil},
	{"ee-cert", "root-nonca", "ca-cert", NotCA, nil},
	{"ee-cert", "root-cert", "ca-root2", NoPath, nil},
	{"ee-cert", "root-cert", "ca-name2", NoPath, nil},
	{"ee-cert", "root-cert2", "ca-cert", NoPath, nil}, // another key under the root's name
	{"ee-cert", "root-name2", "ca-cert", NoPath, nil},
	{"ee-cert", "root-expired", "ca-cert", Expired, nil},
	{"ee-cert", "root-cert", "ca-expired", Expired, nil},
	{"ee-expired", "root-cert", "ca-cert", Expired, nil},
	{"ee-cert", "ca-cert", "", 0, nil},
	{"ee-cert", "ee-cert", "", 0, nil},
	{"ee-cert2", "root-cert", "ca-cert", NoPath, nil},
	{"ee-name2", "root-cert", "ca-cert", NoPath, nil},
	{"ee-cert-768", "root-cert", "ca-cert", Weak, nil},
	{"ee-cert", "root-cert", "ca-cert-768", NoPath, nil},
	{"ee-cert-768i", "root-cert", "ca-cert-768", Weak, nil},
	{"ee-cert-1024", "root-cert", "ca-cert", Weak, nil},
	{"ee-cert-3072", "root-cert", "ca-cert", 0, nil},
	{"ee-cert-4096", "root-cert", "ca-cert", 0, nil},
	{"ee-cert-8192", "root-cert", "ca-cert", 0, nil},
	{"ee-cert-md5", "root-cert", "ca-cert", Weak, nil},
	{"ee-cert", "root-cert", "ca-cert-md5", Weak, nil},
	{"ee-cert", "root-cert-md5", "ca-cert", 0, nil},
	{"ee-cert-crit-unknown-ext", "root-cert", "ca-cert", UnknownCritical, nil},
	{"ee-cert-noncrit-unknown-ext", "root-cert", "ca-cert", 0, nil},
	{"ee-clientAuth", "root-cert", "ca-cert", 0, purpose(ClientAuth)},
	{"ee-serverAuth", "root-cert", "ca-cert", WrongPurpose, purpose(ClientAuth)},
	{"ee-client", "root-cert", "ca-serverAuth", 0, purpose(AnyPurpose)},

	// RSA-PSS
	{"ee-pss-cert", "root-cert", "ca-pss-cert", 0, nil},
	{"ee-pss-sha1-cert", "root-cert", "ca-cert", Weak, nil},
	{"ee-pss-sha256-cert", "root-cert", "ca-cert", 0, nil},
	{"ee-pss-wrong1.5-cert", "root-cert", "ca-pss-cert", BadSignature, nil},

	// curves
	{"ee-cert-ec-named-named", "root-cert", "ca-cert-ec-named", 0, nil},
	{"ee-ed25519", "root-ed25519", "", 0, nil},

	// name constraints
	{"alt1-cert", "root-cert", "ncca1-cert", 0, nil},
	{"alt2-cert", "root-cert", "ncca2-cert", 0, nil},
	{"alt3-cert", "root-cert", "ncca1-cert ncca3-cert", 0, nil},
	{"goodcn1-cert", "root-cert", "ncca1-cert", 0, nil},
	{"badalt1-cert", "root-cert", "ncca1-cert", NameConstraint, nil},
	{"badalt2-cert", "root-cert", "ncca2-cert", NameConstraint, nil},
	{"badalt3-cert", "root-cert", "ncca1-cert", NameConstraint, nil},
	{"badalt4-cert", "root-cert", "ncca1-cert", NameConstraint, nil},
	{"badalt5-cert", "root-cert", "ncca1-cert", NameConstraint, nil},
	// Their fault is a common name that OpenSSL takes for a host. Here a common
	// name names nobody, and so it needs no permission.
	{"badcn1-cert", "root-cert", "ncca1-cert", 0, nil},
	{"badalt6-cert", "root-cert", "ncca1-cert", 0, nil},
	{"badalt7-cert", "root-cert", "ncca1-cert", 0, nil},
	{"badalt8-cert", "root-cert", "ncca1-cert ncca3-cert", NameConstraint, nil},
	{"badalt9-cert", "root-cert", "ncca1-cert ncca3-cert", NameConstraint, nil},
	{"badalt10-cert", "root-cert", "ncca1-cert ncca3-cert", NameConstraint, nil},
	{"bad-othername-namec", "bad-othername-namec-inter", "", Malformed, nil},
	{"some-names1", "many-constraints", "", 0, nil},
	{"some-names2", "many-constraints", "", 0, nil},
	{"some-names3", "many-constraints", "", 0, nil},
	{"many-names1", "many-constraints", "", Budget, nil},
	{"many-names2", "many-constraints", "", Budget, nil},
	{"many-names3", "many-constraints", "", Budget, nil},

	// policies
	{"ee-cert-policies", "root-cert", "ca-pol-cert", 0, policy("1.3.6.1.4.1.16604.998855.1")},
	{"ee-cert-policies", "root-cert", "ca-pol-cert", Policy, policy("1.3.6.1.4.1.16604.998855.2")},
	{"ee-cert-policies-bad", "root-cert", "ca-pol-cert", Malformed, policy("1.3.6.1.4.1.16604.998855.1")},

	// proxy certificates are not for mail
	{"pc1-cert", "root-cert", "ee-client ca-cert", UnknownCritical, nil},

	// time stamping
	{"ee-timestampsign-rfc3161", "root-cert", "ca-cert", 0, purpose(TimeStamping)},
	{"ee-timestampsign-rfc3161-noncritxku", "root-cert", "ca-cert", WrongPurpose, purpose(TimeStamping)},
	{"ee-timestampsign-CABforum-serverauth", "root-cert", "ca-cert", WrongPurpose, purpose(TimeStamping)},
}

func purpose(p Purpose) func(*Options) { return func(o *Options) { o.Purpose = p } }

func policy(id oid.OID) func(*Options) {
	return func(o *Options) { o.ExplicitPolicy, o.Policies = true, []oid.OID{id} }
}

func TestOpenSSLCertificates(t *testing.T) {
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
	read := func(t *testing.T, names string) (list []*cert.Certificate) {
		for _, name := range strings.Fields(names) {
			data, err := os.ReadFile(filepath.Join(dir, "openssl", "test", "certs", name+".pem"))
			if err != nil {
				t.Fatal(err)
			}
			found, err := cert.ParseAll(data)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, found...)
		}
		return list
	}
	for _, tt := range opensslCases {
		t.Run(tt.leaf+" "+tt.intermediates+" "+tt.anchors, func(t *testing.T) {
			p := pki{read(t, tt.leaf)[0], read(t, tt.intermediates), read(t, tt.anchors)}
			o := options(p)
			o.Purpose, o.At = AnyPurpose, testca.Now
			if tt.change != nil {
				tt.change(o)
			}
			check(t, p, o, tt.want)
		})
	}
}
