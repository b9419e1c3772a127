package interop

import (
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// openssl is the command line of OpenSSL.
type openssl struct {
	path, dir string
}

func newOpenSSL(t testing.TB, ca *testca.CA) *openssl {
	o := &openssl{path: tool(t, "openssl", "openssl"), dir: t.TempDir()}
	put(t, o.dir, "root.pem", ca.Root.Certificate.PEM())
	return o
}

func (o *openssl) can(operation, testca.Kind) bool { return true }

func (o *openssl) ciphers() []cms.Cipher {
	return []cms.Cipher{cms.AES128CBC, cms.AES192CBC, cms.AES256CBC, cms.AES128GCM, cms.AES256GCM}
}

// files writes the party's certificate, key and chain.
func (o *openssl) files(t testing.TB, p *party) (cert, key, chain string) {
	var issuing []byte
	for _, c := range p.leaf.Chain {
		issuing = append(issuing, c.PEM()...)
	}
	return put(t, o.dir, p.name+".pem", p.leaf.Certificate.PEM()),
		put(t, o.dir, p.name+".key", p.keyPEM(t)),
		put(t, o.dir, p.name+".chain", issuing)
}

func (o *openssl) sign(t testing.TB, p *party, content []byte, detached bool) []byte {
	t.Helper()
	cert, key, chain := o.files(t, p)
	args := []string{"cms", "-sign", "-binary", "-outform", "DER", "-signer", cert, "-inkey", key, "-certfile", chain}
	if !detached {
		args = append(args, "-nodetach")
	}
	out, err := call(t, o.dir, content, nil, o.path, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (o *openssl) verify(t testing.TB, message, content []byte) ([]byte, error) {
	t.Helper()
	args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-CAfile", "root.pem", "-purpose", "smimesign"}
	if content != nil {
		args = append(args, "-content", put(t, o.dir, "content", content))
	}
	return call(t, o.dir, message, nil, o.path, args...)
}

func (o *openssl) encrypt(t testing.TB, to []*party, content []byte, c cms.Cipher) []byte {
	t.Helper()
	args := []string{"cms", "-encrypt", "-binary", "-outform", "DER", "-" + c.String()}
	if c.Authenticates() {
		args[len(args)-1] = map[cms.Cipher]string{cms.AES128GCM: "-aes-128-gcm", cms.AES256GCM: "-aes-256-gcm"}[c]
	}
	for _, p := range to {
		cert, _, _ := o.files(t, p)
		args = append(args, cert)
	}
	out, err := call(t, o.dir, content, nil, o.path, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (o *openssl) decrypt(t testing.TB, p *party, message []byte) ([]byte, error) {
	t.Helper()
	cert, key, _ := o.files(t, p)
	return call(t, o.dir, message, nil, o.path, "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", cert, "-inkey", key)
}

func TestOpenSSL(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	exchange(t, newOpenSSL(t, ca), parties(ca))
}

func TestOpenSSLHundredRecipients(t *testing.T) {
	ca := testca.New(t, validNow())
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256} {
		encryptBothWays(t, newOpenSSL(t, ca), crowd(ca, kind, 100), message, cms.AES256CBC)
	}
}
