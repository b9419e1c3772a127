package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestScanner opens every link of the mail with the code as scanners do, by
// GET, HEAD and OPTIONS and in a browser that runs scripts, goes on through
// what it finds, and sends every form with the code in each field. Without the
// session that asked, nothing of this may prove the address; with it, the code
// still works afterwards.
func TestScanner(t *testing.T) {
	s := serve(t)
	asking := newClient(t, s)
	asking.post("/apply", url.Values{"email": {"alice@example.com"}})
	mail, code := s.mails("alice@example.com")[0], s.code("alice@example.com")
	links := regexp.MustCompile(`https?://[^\s<>"]+`).FindAllString(mail.Text, -1)
	if len(links) == 0 {
		t.Fatalf("no link in the mail, the test would prove nothing:\n%s", mail.Text)
	}

	t.Run("requests", func(t *testing.T) {
		scanner := newClient(t, s)
		pages, forms := scanner.crawl(append(links, s.url+"/code", s.url+"/key"), code)
		if pages < 8 || forms < 6 {
			t.Errorf("only %d pages and %d forms found: the test sees too little", pages, forms)
		}
		asking.waits()
	})
	t.Run("browser", func(t *testing.T) {
		p := visit(t, s, "en")
		pressed := 0
		for _, link := range append(links, s.url+"/apply", s.url+"/code", s.url+"/key") {
			pressed += p.pressAll(strings.TrimPrefix(link, s.url), code)
		}
		if pressed < 8 {
			t.Errorf("only %d buttons found: the test sees too little", pressed)
		}
		asking.waits()
	})
	t.Run("blind posts", func(t *testing.T) {
		scanner := newClient(t, s)
		for _, path := range []string{"/code", "/code/resend", "/key", "/admin/claim", "/admin/sign-in"} {
			status := scanner.post(path, url.Values{"code": {code}, "email": {"alice@example.com"}, "password": {"x"}, "again": {"x"}})
			if status == http.StatusOK || status == http.StatusCreated {
				t.Errorf("POST %s: %d", path, status)
			}
		}
		asking.waits()
		if mails := s.mails("alice@example.com"); len(mails) != 1 {
			t.Errorf("%d mails to the address, want the one: %q", len(mails), mails)
		}
	})
	t.Run("asking session", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			asking.request(method, "/code?code="+code, nil)
		}
		asking.waits()
		asking.post("/code", url.Values{"code": {code}})
		if path := asking.place(); path != "/key" {
			t.Errorf("the right code from the asking session leads to %s, want /key", path)
		}
	})
	if strings.Contains(s.logs.String(), code) {
		t.Error("the code is in the log")
	}
}

// client is a program with cookies of its own.
type client struct {
	t    *testing.T
	site *site
	http *http.Client
}

func newClient(t *testing.T, s *site) *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, s, &http.Client{Jar: jar}}
}

func (c *client) request(method, path string, form url.Values) (int, *url.URL, []byte) {
	c.t.Helper()
	request, err := http.NewRequest(method, c.site.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, answer.Request.URL, body
}

func (c *client) post(path string, form url.Values) int {
	c.t.Helper()
	status, _, _ := c.request(http.MethodPost, path, form)
	return status
}

// place is the page that the client's order is on.
func (c *client) place() string {
	c.t.Helper()
	_, at, _ := c.request(http.MethodGet, "/code", nil)
	return at.Path
}

// waits holds that the order still waits for its code.
func (c *client) waits() {
	c.t.Helper()
	if path := c.place(); path != "/code" {
		c.t.Fatalf("the address was proven by somebody else: the order is at %s", path)
	}
}

// crawl follows every link from the starts within the site and sends every form
// that it meets with the code in each field.
func (c *client) crawl(starts []string, code string) (pages, forms int) {
	c.t.Helper()
	seen, queue := map[string]bool{}, starts
	for len(queue) > 0 {
		link := queue[0]
		queue = queue[1:]
		path, inside := strings.CutPrefix(link, c.site.url)
		if !inside || seen[path] || strings.Contains(path, "/static/") {
			continue
		}
		seen[path] = true
		c.request(http.MethodHead, path, nil)
		c.request(http.MethodOptions, path, nil)
		_, at, body := c.request(http.MethodGet, path, nil)
		pages++
		found, filled := scan(c.t, at, body, code)
		queue = append(queue, found...)
		for action, form := range filled {
			c.request(http.MethodPost, strings.TrimPrefix(action, c.site.url), form)
			forms++
		}
	}
	return pages, forms
}

// scan gives the links of a page, and its forms with the code in each field.
func scan(t *testing.T, at *url.URL, body []byte, code string) (links []string, forms map[string]url.Values) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	forms = map[string]url.Values{}
	action := ""
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "a":
			links = append(links, resolve(at, attribute(node, "href")))
		case "form":
			action = resolve(at, attribute(node, "action"))
			forms[action] = url.Values{}
		case "input":
			if name := attribute(node, "name"); name != "" && action != "" {
				forms[action].Set(name, code)
			}
		}
	}
	return links, forms
}

func resolve(at *url.URL, reference string) string {
	u, err := at.Parse(reference)
	if err != nil {
		return ""
	}
	u.Fragment = ""
	return u.String()
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// pressAll opens a page once for each of its buttons, writes the code into every
// field and presses the button, as a scanner with a browser does.
func (p *person) pressAll(path, code string) (pressed int) {
	p.t.Helper()
	p.open(path)
	for i := range eval[int](p, "document.querySelectorAll('form button').length") {
		p.open(path)
		eval[int](p, fmt.Sprintf(`(() => {
			for (const input of document.querySelectorAll("input:not([type=hidden])")) input.value = %q;
			document.querySelectorAll("form button")[%d].id = "scanned";
			return 0;
		})()`, code, i))
		p.follow("#scanned")
		pressed++
	}
	return pressed
}
