package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

const doorURL = "https://" + host + ":8443"

// enrol gets a certificate through the API, and the code from the relay.
func (i *installation) enrol(address string) (tls.Certificate, *cert.Certificate) {
	i.t.Helper()
	call := func(path, token, mediaType string, body []byte, into any) {
		i.t.Helper()
		request, err := http.NewRequest(http.MethodPost, "https://"+host+"/api/v1/orders"+path, bytes.NewReader(body))
		if err != nil {
			i.t.Fatal(err)
		}
		request.Header.Set("Content-Type", mediaType)
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := i.client(doorPortal).Do(request)
		if err != nil {
			i.t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode/100 != 2 {
			i.t.Fatalf("%s: %s %s %v", path, answer.Status, text, err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			i.t.Fatal(err)
		}
	}
	var order struct{ ID, Token string }
	call("", "", "application/json", fmt.Appendf(nil, `{"email":%q}`, address), &order)
	mails, err := i.relay.List(1)
	if err != nil || len(mails) != 1 {
		i.t.Fatal(mails, err)
	}
	call("/"+order.ID+"/code", order.Token, "application/json", fmt.Appendf(nil, `{"code":%q}`, codeIn(mails[0].Text)), &struct{}{})
	key, err := quickKey()
	if err != nil {
		i.t.Fatal(err)
	}
	csr, err := cert.CreateRequest(i.config.Rand, key, &cert.RequestTemplate{Emails: []string{address}})
	if err != nil {
		i.t.Fatal(err)
	}
	var enrolled struct {
		Certificate string
		Chain       []string
	}
	call("/"+order.ID+"/certificate", order.Token, "application/pkcs10", csr, &enrolled)
	block, _ := pem.Decode([]byte(enrolled.Certificate))
	leaf, err := cert.Parse(block.Bytes)
	if err != nil {
		i.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: crypto.PrivateKey(key)}, leaf
}

// browser keeps cookies and shows one certificate, to whoever asks for any.
type browser struct {
	*http.Client
	t *testing.T
}

func (i *installation) browser(certificate *tls.Certificate, jar http.CookieJar) browser {
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	c.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: i.trust, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if certificate == nil {
				return &tls.Certificate{}, nil
			}
			return certificate, nil
		}},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			door := doorPortal
			if strings.HasSuffix(address, ":8443") {
				door = doorClient
			}
			return new(net.Dialer).DialContext(ctx, "tcp", i.doors[door].String())
		},
		DisableKeepAlives: true,
	}
	return browser{c, i.t}
}

func (b browser) do(method, address string, form url.Values) (int, string) {
	b.t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// revoke revokes in the database of the installation, beside the server.
func (i *installation) revoke(c *cert.Certificate) {
	i.t.Helper()
	source, err := Source(i.config.Settings, "")
	if err != nil {
		i.t.Fatal(err)
	}
	db, err := store.Open(i.t.Context(), source)
	if err != nil {
		i.t.Fatal(err)
	}
	defer db.Close()
	a, err := authority.Open(i.t.Context(), authority.Options{
		Store: db, Keys: i.config.Keys, Clock: time.Now, Validation: &validation.Validator{Clock: time.Now},
	})
	if err != nil {
		i.t.Fatal(err)
	}
	if err := a.Revoke(i.t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		i.t.Fatal(err)
	}
}

// TestSignInByCertificate: an administrator adds a certificate while signed in by
// password, and signs in with it from then on, until it is revoked. Nobody else's
// certificate does, whatever address it names.
func TestSignInByCertificate(t *testing.T) {
	i := install(t, "")
	i.config.Settings.Portal.ClientCertificates.Listen = "127.0.0.1:0000"
	i.config.Settings.Portal.ClientCertificates.URL = doorURL
	other := install(t, "")
	var foreign tls.Certificate
	other.run(func() { foreign, _ = other.enrol("root@example.org") })
	i.run(func() {
		mine, certificate := i.enrol("root@example.org")
		twin, _ := i.enrol("root@example.org") // the same address: who takes the mailbox over gets one
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		code := regexp.MustCompile(`(?m)^  ([A-Z0-9-]{24,40})$`).FindStringSubmatch(i.out.String())
		b := i.browser(&mine, jar)
		if status, text := b.do(http.MethodGet, doorURL+"/", nil); status != http.StatusOK || strings.Contains(text, `action="/enter"`) {
			t.Errorf("before it was added: %d %s", status, text)
		}
		if status, _ := b.do(http.MethodPost, doorURL+"/enter", nil); status != http.StatusForbidden {
			t.Errorf("entering before it was added: %d", status)
		}
		status, text := b.do(http.MethodPost, "https://"+host+"/admin/claim", url.Values{
			"code": {code[1]}, "email": {"root@example.org"}, "name": {"Root"}, "password": {"correct horse battery"}, "again": {"correct horse battery"},
		})
		if status != http.StatusOK || !strings.Contains(text, doorURL) || !strings.Contains(text, "wait for a second factor") {
			t.Fatalf("claim: %d %s", status, text)
		}
		if _, text := b.do(http.MethodGet, "https://"+host+"/admin/reports", nil); !strings.Contains(text, "wait for a second factor") {
			t.Errorf("a page of the operator's, with a password alone: %s", text)
		}
		if status, text := b.do(http.MethodGet, doorURL+"/", nil); status != http.StatusOK || !strings.Contains(text, `action="/add"`) {
			t.Errorf("signed in: %d %s", status, text)
		}
		if status, text := b.do(http.MethodPost, doorURL+"/add", nil); status != http.StatusOK || !strings.Contains(text, "was added") {
			t.Errorf("add: %d %s", status, text)
		}
		// A second one takes more than the password of this session, shown at the portal.
		if status, text := i.browser(&twin, jar).do(http.MethodPost, doorURL+"/add", nil); status != http.StatusForbidden || !strings.Contains(text, `href="https://`+host+`/admin/sign-in"`) {
			t.Errorf("adding a second one: %d %s", status, text)
		}

		in := func(c *tls.Certificate) (bool, string) {
			jar, _ := cookiejar.New(nil)
			b := i.browser(c, jar)
			_, text := b.do(http.MethodPost, doorURL+"/enter", nil)
			_, page := b.do(http.MethodGet, "https://"+host+"/admin", nil)
			return strings.Contains(page, `action="/admin/sign-out"`) && strings.Contains(page, "<h1>Overview"), text
		}
		// Whoever got a certificate here is let in as a person by it.
		asPerson := func(c *tls.Certificate) string {
			jar, _ := cookiejar.New(nil)
			_, text := i.browser(c, jar).do(http.MethodPost, doorURL+"/person", nil)
			u, _ := url.Parse("https://" + host + "/")
			for _, cookie := range jar.Cookies(u) {
				text += cookie.Name
			}
			return text
		}
		for name, c := range map[string]*tls.Certificate{"mine": &mine, "another for the address": &twin} {
			if text := asPerson(c); !strings.Contains(text, "__Host-mailseal-person") {
				t.Errorf("as a person with %s: %s", name, text)
			}
		}
		if text := asPerson(&foreign); strings.Contains(text, "__Host-mailseal-person") {
			t.Errorf("as a person with a certificate of another authority: %s", text)
		}
		if ok, text := in(&mine); !ok {
			t.Errorf("with the certificate: %s", text)
		}
		for name, c := range map[string]*tls.Certificate{"none": nil, "of another authority": &foreign, "another for the address": &twin} {
			if ok, text := in(c); ok {
				t.Errorf("with a certificate %s: %s", name, text)
			}
		}
		i.revoke(certificate)
		if ok, text := in(&mine); ok || !strings.Contains(text, "not accepted") {
			t.Errorf("revoked: %s", text)
		}
		if text := asPerson(&mine); strings.Contains(text, "__Host-mailseal-person") {
			t.Errorf("as a person with a revoked one: %s", text)
		}
	})
}
