package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pebbleca "github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"golang.org/x/net/dns/dnsmessage"
)

// freePort finds a port that nobody has.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// loopbackDNS answers, over TCP (RFC 7766), that every name is on this machine.
func loopbackDNS(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for answerDNS(conn) == nil {
				}
			}()
		}
	}()
	return l.Addr().String()
}

func answerDNS(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// startPebble runs the ACME server that Let's Encrypt tests clients with, and
// returns the address of its directory and the root of what it issues.
func startPebble(t *testing.T, i *installation, httpPort, tlsPort int) (directory string, root *x509.CertPool) {
	t.Helper()
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20"} {
		t.Setenv(name, value)
	}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := pebbleca.New(quiet, store, "", "ecdsa", 0, 1, map[string]pebbleca.Profile{"default": {Description: "default"}})
	validator := va.New(quiet, httpPort, tlsPort, true, loopbackDNS(t), store)
	front := wfe.New(quiet, store, validator, authority, []string{"pebble.example.org"}, true, false, 1, 1)
	pair, err := tls.LoadX509KeyPair(filepath.Join(i.dir, "cert.pem"), filepath.Join(i.dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: front.Handler(), ErrorLog: quiet}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	root = x509.NewCertPool()
	root.AddCert(authority.GetRootCert(0).Cert)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://localhost:" + port + wfe.DirectoryPath, root
}

// TestACME gets the portal's certificate from a real ACME server, by each of the
// two challenges alone, and finds it again after a restart.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			i := install(t, "")
			httpPort, tlsPort := freePort(t), freePort(t)
			// What pebble looks for at the port of the other challenge is not there.
			lookHTTP, lookTLS := httpPort, 1
			if challenge == "tls-alpn-01" {
				lookHTTP, lookTLS = 1, tlsPort
			}
			i.localhostPair()
			directory, root := startPebble(t, i, lookHTTP, lookTLS)
			i.configure(fmt.Sprintf(`data: %[1]s/data
portal:
  url: "https://%[2]s"
  listen: "127.0.0.1:%[3]d"
  acme: {directory: "%[4]s", contact: operator@example.org, accept-terms: true, trust: %[1]s/cert.pem}
repository: {listen: "127.0.0.1:%[5]d"}
metrics: {listen: "127.0.0.1:000"}
mail: {from: ca@example.org, relay: "127.0.0.1:1", tls: none}
`, i.dir, host, tlsPort, directory, httpPort))
			i.trust = root
			var first string
			i.run(func() {
				i.waitForLog("TLS certificate is there")
				if first = serialOf(t, i); first == "" {
					t.Error("no certificate")
				}
				// Without a server name too (RFC 6066 §3 lets a client leave it out).
				conn, err := tls.Dial("tcp", i.doors[doorPortal].String(), &tls.Config{InsecureSkipVerify: true, ServerName: ""})
				if err != nil {
					t.Errorf("without a name: %v", err)
				} else {
					_ = conn.Close()
				}
				if _, text := i.get(doorMetrics, "http://127.0.0.1/metrics"); !strings.Contains(text, `mailseal_certificate_end_seconds{certificate="tls"}`) {
					t.Error("metrics do not know when it ends")
				}
				for _, other := range []string{"other.example.org", "x." + host} {
					if _, err := tls.Dial("tcp", i.doors[doorPortal].String(), &tls.Config{ServerName: other, RootCAs: root}); err == nil {
						t.Errorf("a certificate for %s", other)
					}
				}
			})
			i.log = &syncBuffer{}
			i.config.Log = NewLog(i.log, "json", "debug")
			i.run(func() {
				i.waitForLog("TLS certificate is there")
				if again := serialOf(t, i); again != first {
					t.Errorf("after a restart another certificate: %s, then %s", first, again)
				}
			})
			info, err := os.Stat(filepath.Join(i.dir, "data", "acme", host))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("key on disk: %v, %v", info, err)
			}
		})
	}
}

// localhostPair makes the certificate with which pebble itself is served.
func (i *installation) localhostPair() {
	i.t.Helper()
	i.writePairFor("localhost", "cert.pem", "key.pem", 9)
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
