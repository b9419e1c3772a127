package interop

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" // as nginx names certificates
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/repository"
)

func p256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// loginSite is nginx, which lets people in by certificates of one authority: at
// one port it looks into the lists, at the other it asks the OCSP responder.
type loginSite struct {
	dir       string
	list, ask string // addresses of the ports
}

// visitor is a person with a certificate, as files.
type visitor struct {
	name        string
	certificate *cert.Certificate
}

const nginxConfig = `daemon off; master_process off; pid %[1]s/nginx.pid; error_log %[1]s/error.log info;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  ssl_certificate %[1]s/site.pem; ssl_certificate_key %[1]s/site.key;
  ssl_client_certificate %[1]s/authorities.pem; ssl_verify_client on; ssl_verify_depth 3;
  server { listen %[2]s ssl; ssl_crl %[1]s/crls.pem; location / { return 200 "welcome $ssl_client_verify $ssl_client_fingerprint\n"; } }
  server { listen %[3]s ssl; ssl_ocsp leaf; ssl_ocsp_responder %[4]s; location / { return 200 "welcome $ssl_client_verify $ssl_client_fingerprint\n"; } }
}
`

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startNginx opens the site for what the office issues.
func startNginx(t *testing.T, o *office) *loginSite {
	t.Helper()
	program := tool(t, "/usr/sbin/nginx", "nginx-light")
	s := &loginSite{dir: t.TempDir(), list: freeAddress(t), ask: freeAddress(t)}
	responder := httptest.NewServer(repository.New(o.authority, time.Now, slog.New(slog.DiscardHandler), http.NotFoundHandler()))
	t.Cleanup(responder.Close)
	siteCertificate(t, s.dir)
	put(t, s.dir, "authorities.pem", append(o.authority.Root().PEM(), o.authority.Chain()[0].PEM()...))
	put(t, s.dir, "crls.pem", o.crls(t))
	put(t, s.dir, "nginx.conf", fmt.Appendf(nil, nginxConfig, s.dir, s.list, s.ask, responder.URL+"/ocsp"))
	cmd := exec.Command(program, "-p", s.dir, "-c", filepath.Join(s.dir, "nginx.conf"), "-e", filepath.Join(s.dir, "error.log"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.ask)
		if err == nil {
			_ = conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %s %s", out.Bytes(), get(t, filepath.Join(s.dir, "error.log")))
		}
	}
}

// siteCertificate makes the TLS certificate of the site itself.
func siteCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := p256()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "site.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	put(t, dir, "site.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// newVisitor gets a certificate, and writes it as a web client wants it.
func newVisitor(t *testing.T, o *office, dir, name string) visitor {
	t.Helper()
	key, err := p256()
	if err != nil {
		t.Fatal(err)
	}
	issued := o.enrol(t, name+"@example.org", key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, name+".pem", issued.Certificate.PEM())
	put(t, dir, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	p12, err := identity.EncodePKCS12([]*identity.Identity{{Key: key, Certificate: issued.Certificate, Chain: issued.Chain}}, []byte("pass phrase of the file"), nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, name+".p12", p12)
	return visitor{name, issued.Certificate}
}

// TestClientAuthentication logs people in to nginx with curl, OpenSSL and
// Chromium: whoever has a certificate of ours gets in, whoever's was revoked or
// comes from another authority does not.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	o, other := newOfficeWith(t, p256), newOfficeWith(t, p256)
	dir := t.TempDir()
	good, revoked, foreign := newVisitor(t, o, dir, "good"), newVisitor(t, o, dir, "revoked"), newVisitor(t, other, dir, "foreign")
	if err := o.authority.Revoke(t.Context(), revoked.certificate.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	site := startNginx(t, o)
	welcome := fmt.Sprintf("welcome SUCCESS %x", sha1.Sum(good.certificate.Raw))
	for _, tc := range []struct {
		visitor
		in      bool
		browser string // which port the browser goes to; it starts slowly
	}{{good, true, site.ask}, {revoked, false, site.list}, {foreign, false, site.list}} {
		for kind, address := range map[string]string{"list": site.list, "OCSP": site.ask} {
			answers := map[string]string{
				"curl":     curl(t, site, dir, tc.name, address),
				"s_client": sClient(t, site, dir, tc.name, address),
			}
			if address == tc.browser {
				answers["Chromium"] = chromium(t, site, dir, tc.name, address)
			}
			for client, answer := range answers {
				if in := strings.Contains(answer, welcome); in != tc.in || !in && !strings.Contains(answer, "400 ") {
					t.Errorf("%s, %s, %s: got in: %v\n%s", tc.name, kind, client, in, answer)
				}
			}
		}
	}
	if answer := curl(t, site, dir, "", site.list); !strings.Contains(answer, "No required SSL certificate was sent") {
		t.Errorf("without a certificate: %s", answer)
	}
}

func curl(t *testing.T, s *loginSite, dir, name, address string) string {
	t.Helper()
	args := []string{"--silent", "--show-error", "--include", "--max-time", "30", "--cacert", filepath.Join(s.dir, "site.pem")}
	if name != "" {
		args = append(args, "--cert", name+".pem", "--key", name+".key")
	}
	out, err := call(t, dir, nil, nil, tool(t, "curl", "curl"), append(args, "https://"+address+"/")...)
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

func sClient(t *testing.T, s *loginSite, dir, name, address string) string {
	t.Helper()
	// What s_client prints of a connection that the other side ends is an answer too.
	out, _ := call(t, dir, []byte("GET / HTTP/1.0\r\n\r\n"), nil, tool(t, "openssl", "openssl"), "s_client", "-quiet", "-ign_eof",
		"-connect", address, "-CAfile", filepath.Join(s.dir, "site.pem"), "-verify_return_error", "-cert", name+".pem", "-key", name+".key")
	return string(out)
}

// chromium visits with the certificate installed as a person installs it, and a
// policy that shows it without asking.
func chromium(t *testing.T, s *loginSite, dir, name, address string) string {
	t.Helper()
	home := t.TempDir()
	database := "sql:" + filepath.Join(home, ".pki", "nssdb")
	policies := filepath.Join(home, "chromium", "policies", "managed")
	for _, folder := range []string{filepath.Join(home, ".pki", "nssdb"), policies} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	certutil, pk12util := tool(t, "certutil", "libnss3-tools"), tool(t, "pk12util", "libnss3-tools")
	for _, step := range [][]string{
		{certutil, "-d", database, "-N", "--empty-password"},
		{certutil, "-d", database, "-A", "-n", "site", "-t", "C,,", "-i", filepath.Join(s.dir, "site.pem")},
		{pk12util, "-d", database, "-i", name + ".p12", "-W", "pass phrase of the file", "-K", ""},
	} {
		if _, err := call(t, dir, nil, nil, step[0], step[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	policy, err := json.Marshal(map[string]any{"AutoSelectCertificateForUrls": []string{`{"pattern":"https://` + address + `","filter":{}}`}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, policies, "select.json", policy)
	// Chromium reads policies from one folder of the system: here of its own.
	script := `mount --bind "$HOME/chromium" /etc/chromium && exec "$0" --headless --no-sandbox --disable-gpu --no-first-run ` +
		`--disable-background-networking --disable-component-update --user-data-dir="$HOME/profile" --dump-dom "$1"`
	out, err := call(t, dir, nil, []string{"HOME=" + home}, tool(t, "unshare", "util-linux"), "--map-root-user", "--mount",
		"sh", "-c", script, tool(t, "chromium", "chromium"), "https://"+address+"/")
	if err != nil {
		t.Error(err)
	}
	return string(out)
}
