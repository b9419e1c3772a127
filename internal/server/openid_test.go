package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/testnpm"
)

// provider is oidc-provider in a process of its own.
type provider struct {
	t      *testing.T
	issuer string
}

func startProvider(t *testing.T, secret string) *provider {
	t.Helper()
	folder := testnpm.Folder(t, "testdata/openid")
	script, err := os.ReadFile("testdata/openid/provider.js")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, fmt.Sprintf("provider-%x.js", sha256.Sum256(script))[:24]+".js")
	if err := os.WriteFile(path, script, 0o644); err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", path, "https://"+host+"/sign-in/openid/back", secret)
	var trouble bytes.Buffer
	node.Stderr = &trouble
	in, err1 := node.StdinPipe() // it ends when this is closed
	out, err2 := node.StdoutPipe()
	if err := errors.Join(err1, err2, node.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = node.Wait() })
	issuer, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = in.Close()
		_ = node.Wait()
		t.Fatalf("provider: %v\n%s", err, &trouble)
	}
	return &provider{t, strings.TrimSpace(issuer)}
}

// become says who is signed in at the provider from now on.
func (p *provider) become(person url.Values) {
	p.t.Helper()
	answer, err := http.Get(p.issuer + "/become?" + person.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	_ = answer.Body.Close()
}

// visitor is a browser that reaches the portal by its name, and the provider.
func (i *installation) visitor() (browser, *cookiejar.Jar) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		i.t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: i.trust},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			if strings.HasPrefix(address, host) {
				address = i.doors[doorPortal].String()
			}
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}}
	return browser{c, i.t}, jar
}

const (
	openIDSite = "https://" + host
	mfa        = "urn:example:mfa"
)

// TestOpenID signs in by a real provider, oidc-provider: as an account and as a
// person whose address it vouches for, strong where it says so, and not when the
// answer was changed, used before, or is somebody else's.
func TestOpenID(t *testing.T) {
	const secret = "a secret that both know"
	p := startProvider(t, secret)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := install(t, fmt.Sprintf("sign-in: {openid: {issuer: %q, name: Example login, client: mailseal, secret: %q, domains: [example.org], acr: [%q]}}\n",
		p.issuer, file, mfa))
	i.run(func() {
		i.claims()
		i.holds("alice@example.org")
		enter := func(purpose string, person url.Values) (string, browser, *cookiejar.Jar) {
			p.become(person)
			b, jar := i.visitor()
			_, text := b.do(http.MethodGet, openIDSite+"/sign-in/openid?for="+purpose, nil)
			return text, b, jar
		}
		root := url.Values{"who": {"root"}, "verified": {"yes"}, "acr": {mfa}}
		text, b, _ := enter("account", root)
		if !strings.Contains(text, "That worked") || !strings.Contains(text, `href="/admin"`) {
			t.Fatalf("account: %s", text)
		}
		if _, page := b.do(http.MethodGet, openIDSite+"/admin", nil); !strings.Contains(page, "<h1>Overview") {
			t.Errorf("the operator's page: %s", page)
		}
		i.again(p, b, root)
		// Linked by now: the address may change, the subject does not.
		text, _, _ = enter("account", url.Values{"who": {"root"}, "verified": {"no"}, "email": {"x@example.com"}, "acr": {mfa}})
		if !strings.Contains(text, "That worked") {
			t.Errorf("the subject again: %s", text)
		}
		text, b, _ = enter("account", url.Values{"who": {"root"}, "verified": {"yes"}, "acr": {"urn:example:pwd"}})
		if _, page := b.do(http.MethodGet, openIDSite+"/admin", nil); !strings.Contains(page, "wait for a second factor") {
			t.Errorf("without the context that counts as a second factor: %s", text)
		}
		text, b, jar := enter("person", url.Values{"who": {"alice"}, "verified": {"yes"}})
		if !strings.Contains(text, `href="/mine"`) || !has(jar, "__Host-mailseal-person") || has(jar, "__Host-mailseal-admin") {
			t.Errorf("person: %s", text)
		}
		_ = b
		for name, test := range map[string]struct {
			purpose string
			person  url.Values
			want    string
		}{
			"an address that was not verified": {"person", url.Values{"who": {"alice"}, "verified": {"no"}}, "Nobody here by this name"},
			"an address of another domain":     {"person", url.Values{"who": {"a"}, "verified": {"yes"}, "email": {"alice@example.com"}}, "Nobody here by this name"},
			"nobody's mailbox":                 {"person", url.Values{"who": {"bob"}, "verified": {"yes"}}, "Nobody here by this name"},
			"a person as an account":           {"account", url.Values{"who": {"alice"}, "verified": {"yes"}, "acr": {mfa}}, "Nobody here by this name"},
			"who said no":                      {"person", url.Values{"who": {"alice"}, "deny": {"yes"}}, "did not sign you in"},
		} {
			text, _, jar := enter(test.purpose, test.person)
			if !strings.Contains(text, test.want) || has(jar, "__Host-mailseal-person") || has(jar, "__Host-mailseal-admin") {
				t.Errorf("%s: %s", name, text)
			}
		}
		i.openIDAttacks(p)
	})
}

// again shows by the provider who is in a session: it must be asked anew, and mean
// the same account, by more than a password.
func (i *installation) again(p *provider, b browser, root url.Values) {
	i.t.Helper()
	portal, _ := url.Parse(openIDSite + "/")
	cookies := b.Jar.Cookies(portal)
	session := func(jar http.CookieJar) string {
		for _, c := range jar.Cookies(portal) {
			if c.Name == "__Host-mailseal-admin" {
				return c.Value
			}
		}
		return ""
	}
	for _, test := range []struct {
		name   string
		person url.Values
		worked bool
	}{
		{"somebody else", url.Values{"who": {"alice"}, "verified": {"yes"}, "acr": {mfa}}, false},
		{"a password", url.Values{"who": {"root"}, "verified": {"yes"}, "acr": {"urn:example:pwd"}}, false},
		{"the same, anew", root, true},
		{"in the session of before", root, false},
	} {
		// A browser that the provider does not know, with the session.
		other, jar := i.visitor()
		for _, c := range cookies {
			c.Path, c.Secure = "/", true
		}
		jar.SetCookies(portal, cookies)
		before := session(jar)
		p.become(test.person)
		_, text := other.do(http.MethodGet, openIDSite+"/sign-in/openid?for=again", nil)
		if strings.Contains(text, "That worked") != test.worked || (session(jar) != before) != test.worked {
			i.t.Errorf("%s: another session: %v, %s", test.name, session(jar) != before, text)
		}
	}
	p.become(root)
}

func has(jar *cookiejar.Jar, name string) bool {
	u, _ := url.Parse(openIDSite + "/")
	for _, c := range jar.Cookies(u) {
		if c.Name == name {
			return true
		}
	}
	return false
}

// openIDAttacks leads answers of the provider back that are not as it gave them.
func (i *installation) openIDAttacks(p *provider) {
	i.t.Helper()
	p.become(url.Values{"who": {"alice"}, "verified": {"yes"}})
	// come goes to the provider and stops before the way back.
	come := func() (back *url.URL, b browser, jar *cookiejar.Jar) {
		b, jar = i.visitor()
		b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path == "/sign-in/openid/back" {
				back = r.URL
				return http.ErrUseLastResponse
			}
			return nil
		}
		b.do(http.MethodGet, openIDSite+"/sign-in/openid?for=person", nil)
		if back == nil {
			i.t.Fatal("the provider did not lead back")
		}
		b.CheckRedirect = nil
		return back, b, jar
	}
	change := func(u *url.URL, key, value string) string {
		q := u.Query()
		q.Set(key, value)
		return u.Scheme + "://" + u.Host + u.Path + "?" + q.Encode()
	}
	for name, attack := range map[string]func(back *url.URL) string{
		"another state":  func(u *url.URL) string { return change(u, "state", "guessed") },
		"no state":       func(u *url.URL) string { return change(u, "state", "") },
		"another code":   func(u *url.URL) string { return change(u, "code", "guessed") },
		"another issuer": func(u *url.URL) string { return change(u, "iss", "https://evil.example") },
		"a code of another sign-in": func(u *url.URL) string {
			other, _, _ := come()
			return change(u, "code", other.Query().Get("code")) // PKCE and nonce are the other's
		},
	} {
		back, b, jar := come()
		if _, text := b.do(http.MethodGet, attack(back), nil); has(jar, "__Host-mailseal-person") || !strings.Contains(text, "did not sign you in") {
			i.t.Errorf("%s: %s", name, text)
		}
		// The step is used up: the right answer comes too late.
		if b.do(http.MethodGet, back.String(), nil); has(jar, "__Host-mailseal-person") {
			i.t.Errorf("%s, then the right one: signed in", name)
		}
	}
	back, _, _ := come()
	victim, jar := i.visitor() // login CSRF: the attacker's answer in another browser
	if victim.do(http.MethodGet, back.String(), nil); has(jar, "__Host-mailseal-person") {
		i.t.Error("an answer signed in another browser")
	}
	back, b, jar := come()
	if b.do(http.MethodGet, back.String(), nil); !has(jar, "__Host-mailseal-person") {
		i.t.Error("the unchanged answer did not sign in")
	}
}

// claims makes root@example.org the first operator, with a password.
func (i *installation) claims() {
	i.t.Helper()
	code := regexp.MustCompile(`(?m)^  ([A-Z0-9-]{24,40})$`).FindStringSubmatch(i.out.String())
	b, _ := i.visitor()
	status, text := b.do(http.MethodPost, openIDSite+"/admin/claim", url.Values{
		"code": {code[1]}, "email": {"root@example.org"}, "password": {"correct horse battery"}, "again": {"correct horse battery"},
	})
	if status != http.StatusOK {
		i.t.Fatalf("claim: %d %s", status, text)
	}
}

// holds makes somebody who holds a mailbox, in the database beside the server.
func (i *installation) holds(address string) {
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
	m, err := mailbox.Parse(address)
	if err != nil {
		i.t.Fatal(err)
	}
	err = db.Update(i.t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.InsertPerson(store.Person{ID: address, Name: address, Language: "en", Created: time.Now()}),
			tx.HoldMailbox(m.Key(), address, address, time.Now()))
	})
	if err != nil {
		i.t.Fatal(err)
	}
}
