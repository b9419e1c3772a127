package interop

import (
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// nss is cmsutil of Network Security Services, the library of Thunderbird.
type nss struct {
	certutil, pk12util, cmsutil, dir string
}

func newNSS(t testing.TB, ca *testca.CA, parties []*party) *nss {
	const debian = "libnss3-tools"
	n := &nss{certutil: tool(t, "certutil", debian), pk12util: tool(t, "pk12util", debian), cmsutil: tool(t, "cmsutil", debian), dir: t.TempDir()}
	n.must(t, n.certutil, "-N", "-d", "sql:.", "--empty-password")
	put(t, n.dir, "root.pem", ca.Root.Certificate.PEM())
	n.must(t, n.certutil, "-A", "-d", "sql:.", "-n", "root", "-t", ",C,", "-a", "-i", "root.pem")
	for _, p := range parties {
		put(t, n.dir, p.name+".p12", p.pkcs12(t, "passphrase"))
		n.must(t, n.pk12util, "-i", p.name+".p12", "-d", "sql:.", "-W", "passphrase", "-K", "")
	}
	return n
}

func (n *nss) must(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	out, err := call(t, n.dir, nil, nil, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// can: NSS learned key agreement in CMS with version 3.100; Debian 12 has 3.87.
func (n *nss) can(op operation, kind testca.Kind) bool {
	return op == signs || op == verifies || isRSA(kind)
}

// ciphers: cmsutil has no option for it and reads what the test for others
// covers; it writes AES-128-CBC or what the recipient's strength asks for.
func (n *nss) ciphers() []cms.Cipher { return []cms.Cipher{cms.AES128CBC, cms.AES256CBC} }

func (n *nss) sign(t testing.TB, p *party, content []byte, detached bool) []byte {
	t.Helper()
	put(t, n.dir, "content", content)
	args := []string{"-S", "-d", "sql:.", "-N", p.name, "-H", "SHA256", "-G", "-i", "content", "-o", "signed"}
	if detached {
		args = append(args, "-T")
	}
	n.must(t, n.cmsutil, args...)
	return get(t, n.dir+"/signed")
}

func (n *nss) verify(t testing.TB, message, content []byte) ([]byte, error) {
	t.Helper()
	put(t, n.dir, "message", message)
	args := []string{"-D", "-d", "sql:.", "-i", "message", "-u", "4"}
	if content != nil {
		args = append(args, "-c", put(t, n.dir, "content", content))
	}
	return call(t, n.dir, nil, nil, n.cmsutil, args...)
}

func (n *nss) encrypt(t testing.TB, to []*party, content []byte, _ cms.Cipher) []byte {
	t.Helper()
	put(t, n.dir, "content", content)
	args := []string{"-E", "-d", "sql:.", "-i", "content", "-o", "encrypted"}
	for _, p := range to {
		args = append(args, "-r", p.email)
	}
	n.must(t, n.cmsutil, args...)
	return get(t, n.dir+"/encrypted")
}

func (n *nss) decrypt(t testing.TB, _ *party, message []byte) ([]byte, error) {
	t.Helper()
	put(t, n.dir, "message", message)
	return call(t, n.dir, nil, nil, n.cmsutil, "-D", "-d", "sql:.", "-i", "message")
}

func TestNSS(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	all := parties(ca)
	exchange(t, newNSS(t, ca, all), all)
}
