package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var example = []byte(Example)

const good = `data: /var/lib/mailseal
portal:
  url: https://ca.example.org
  certificate: /etc/cert.pem
  key: /etc/key.pem
mail:
  from: ca@example.org
  relay: smtp.example.org:587
  user: ca
  password: credential:relay
  bounces: {domain: bounces.example.org, listen: ":25"}
audit: {file: /srv/checkpoints}
`

// TestExample holds that the example is accepted as it is, also with every
// comment taken off, and that it speaks of every key.
func TestExample(t *testing.T) {
	f, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(); err != nil {
		t.Error(err)
	}
	all := regexp.MustCompile(`(?m)^( *)# ((  )*(- )?[a-z-]+:( .*)?)$`).ReplaceAllString(string(example), "$1$2")
	f, err = Parse([]byte(all))
	if err != nil {
		t.Fatalf("%v\n%s", err, all)
	}
	for _, key := range everyKey(reflect.TypeFor[Settings](), "") {
		if f.lines[key] == 0 {
			t.Errorf("the example does not speak of %s", key)
		}
	}
	if _, err := f.Check(); err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "portal.acme: the certificate comes from files already") {
		t.Errorf("with everything on: %v", err)
	}
}

// TestExampleDefaults holds that a default which the example shows is one.
func TestExampleDefaults(t *testing.T) {
	plain, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^( *)# ((listen: (":443"|":80"|127.*)|tls:|second-factor:|format:|level:|connections:|stop:).*)$`)
	if n := len(shown.FindAll(example, -1)); n != 9 {
		t.Errorf("%d defaults are shown, not 9", n)
	}
	on, err := Parse(shown.ReplaceAll(example, []byte("$1$2")))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plain.Settings, on.Settings) {
		t.Errorf("defaults are not as shown:\n%+v\n%+v", plain.Settings, on.Settings)
	}
}

func everyKey(t reflect.Type, prefix string) (keys []string) {
	for i := range t.NumField() {
		key := prefix + t.Field(i).Tag.Get("yaml")
		if kind := t.Field(i).Type; kind.Kind() == reflect.Struct && kind != reflect.TypeFor[Secret]() {
			keys = append(keys, everyKey(kind, key+".")...)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"misspelt":         {"  relay:", "  rely:", "line 8: mail.rely: there is no such key: did you mean relay?"},
		"misspelt section": {"portal:", "protal:", "line 2: protal: there is no such key: did you mean portal?"},
		"far off":          {"  relay:", "  xyzzy:", "known here: from, name, relay"},
		"twice":            {"  from:", "  relay: a:1\n  from:", "line 9: mail.relay: given twice"},
		"list for value":   {"https://ca.example.org", "[1, 2]", "line 3: portal.url: one value is wanted"},
		"value for keys":   {"portal:\n", "portal: 7\nx:\n", "line 2: portal: keys are wanted here: url, listen"},
		"alias":            {"ca@example.org", "&a ca@example.org", "anchors and aliases"},
		"no YAML":          {"data:", "data: [", "not YAML"},
		"secret in it":     {"credential:relay", "hunter2", "line 10: mail.password: a secret does not stand in this file"},
		"credential path":  {"credential:relay", "credential:../x", "without slashes"},
		"relative":         {"/var/lib/mailseal", "var", "line 1: data: the folder"},
		"http":             {"https://ca", "http://ca", "line 3: portal.url: not the https address"},
		"slash":            {"ca.example.org\n", "ca.example.org/\n", "without a final slash"},
		"half a pair":      {"  key: /etc/key.pem\n", "", "certificate and key belong together"},
		"no TLS":           {"  certificate: /etc/cert.pem\n  key: /etc/key.pem\n", "", "line 2: portal: there is no TLS"},
		"both":             {"mail:", "  acme: {directory: \"https://a/d\", accept-terms: true}\nmail:", "remove one of the two"},
		"all proxies":      {"mail:", "  trusted-proxies: [0.0.0.0/0]\nmail:", "the whole world"},
		"no resolver":      {"mail:", "dns: {server: resolver.example.org:53}\nmail:", "dns.server: not the IP address and port"},
		"no port of it":    {"mail:", "dns: {server: 127.0.0.1}\nmail:", "dns.server: not the IP address and port"},
		"no name for CAA":  {"mail:", "dns: {caa: [CA.example.org]}\nmail:", "dns.caa: CA.example.org is no domain name in lower case"},
		"no proxy":         {"mail:", "  trusted-proxies: [proxy]\nmail:", "not an IP address"},
		"one port":         {"mail:", "  listen: \":80\"\nmail:", "repository.listen: the same address as portal.listen"},
		"no port":          {"mail:", "  listen: example\nmail:", "line 6: portal.listen: not an address to listen on"},
		"no relay":         {"  relay: smtp.example.org:587\n", "", "line 6: mail.relay: the relay"},
		"clear":            {"  relay:", "  tls: none\n  relay:", "codes must not travel in the clear"},
		"tls":              {"  relay:", "  tls: yes please\n  relay:", "starttls, implicit or none"},
		"no password":      {"  password: credential:relay\n", "", "mail.user: there is no password"},
		"no user":          {"  user: ca\n", "", "mail.password: there is no user"},
		"half a bounce":    {", listen: \":25\"", "", "mail.bounces: domain and listen belong together"},
		"own host":         {"mail:", "  client-certificates: {url: \"https://other.example.org:8443\", listen: \":8443\"}\nmail:", "the portal's host with another port"},
		"number":           {"mail:", "limits: {connections: many}\nmail:", "not a whole number"},
		"duration":         {"mail:", "limits: {stop: 20}\nmail:", "not a duration"},
		"database":         {"mail:", "database: {url: \"postgres://a:b@c/d\"}\nmail:", "the password does not belong here"},
		"log":              {"mail:", "log: {format: xml, level: loud}\nmail:", "xml is not a format"},
		"audit":            {"/srv/checkpoints", "checkpoints", "audit.file: not an absolute path"},
		"second factor":    {"mail:", "sign-in: {second-factor: maybe}\nmail:", "line 6: sign-in.second-factor: maybe is not known"},
		"provider by http": {"mail:", "sign-in: {openid: {issuer: \"http://login.example.org\", client: a}}\nmail:", "not the https address of a provider"},
		"no provider":      {"mail:", "sign-in: {openid: {domains: [example.org]}}\nmail:", "there is no provider that it belongs to"},
		"no client":        {"mail:", "sign-in: {openid: {issuer: \"https://login.example.org\"}}\nmail:", "register https://ca.example.org/sign-in/openid/back"},
		"no domain":        {"mail:", "sign-in: {openid: {issuer: \"https://a.example.org\", client: a, domains: [\"a b\"]}}\nmail:", "a b is not a mail domain"},
		"no acr":           {"mail:", "sign-in: {openid: {issuer: \"https://a.example.org\", client: a, acr: [\"a b\"]}}\nmail:", "a context is one word"},
		"terms":            {"  certificate: /etc/cert.pem\n  key: /etc/key.pem\n", "  acme: {directory: \"https://a/d\"}\n", "wants its terms accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, tc.from, tc.to, 1)
			if text == good {
				t.Fatal("nothing was replaced")
			}
			f, err := Parse([]byte(text))
			if err == nil {
				_, err = f.Check()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want one that says %q", err, tc.want)
			}
		})
	}
	if f, err := Parse([]byte(good)); err != nil {
		t.Error(err)
	} else if warnings, err := f.Check(); err != nil || len(warnings) != 0 {
		t.Error(warnings, err)
	}
}

// TestAllAtOnce: a person mends a file once, not line by line.
func TestAllAtOnce(t *testing.T) {
	_, err := Parse([]byte("dta: x\nportal: {ulr: y}\nmail: {port: 1}\n"))
	if err == nil || strings.Count(err.Error(), "no such key") != 3 {
		t.Errorf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	if _, err := Parse(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("size: %v", err)
	}
	if _, err := Parse([]byte("portal: {trusted-proxies: [" + strings.Repeat("1,", maxItems+1) + "]}")); err == nil {
		t.Error("items: accepted")
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "word")
	if err := os.WriteFile(path, []byte("two words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, credential := Secret{path}, Secret{credentialScheme + "word"}
	for _, s := range []Secret{file, credential} {
		if got, err := s.Read(dir); err != nil || string(got) != "two words" {
			t.Errorf("%v: %q, %v", s, got, err)
		}
	}
	if _, err := credential.Read(""); err == nil || !strings.Contains(err.Error(), "LoadCredential=word") {
		t.Errorf("no folder: %v", err)
	}
	for _, mode := range []os.FileMode{0o604, 0o620, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Read(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := credential.Read(dir); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("empty: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add(example)
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if (file == nil) == (err == nil) {
			t.Fatal("neither a file nor an error, or both")
		}
		if err == nil {
			_, _ = file.Check()
		}
	})
}
