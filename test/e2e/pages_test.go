package e2e

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"

	"github.com/mailseal/mailseal/internal/portal"
)

// looks are the pages that were looked at, by language: names of templates, and
// patterns of routes.
var looks = map[string]map[string]bool{}

// unseen are the routes and templates that the ways below do not come to, and
// why that is right.
var unseen = map[string]string{
	"GET /org/{org}/people.csv":                      "a file",
	"GET /org/{org}/audit.csv":                       "a file",
	"GET /admin/audit.csv":                           "a file",
	"GET /org/{org}/import/example.csv":              "a file",
	"GET /org/{org}/previews/{preview}/problems.csv": "a file",
	"GET /org/{org}/colleagues/authorities.sst":      "a file",
	"GET /org/{org}/colleagues/chain.pem":            "a file",
	"GET /org/{org}/colleagues/people.ldif":          "a file",
	"GET /org/{org}/colleagues/people.ps1":           "a file",
	"GET /org/{org}/lookup/{person}":                 "a file",
	"GET /install/{file}":                            "a file",
	"GET /dev/mail/{id}/raw":                         "a file",
	"GET /admin/evidence/{id}/document":              "a file",
	"GET /org/{org}/runs/{run}/events":               "events for a script",
	"GET /key/keepers":                               "for a script",
	"GET /sign-in/openid":                            "leads to the provider",
	"GET /sign-in/openid/back":                       "comes from the provider",
	"cameback":                                       "likewise; its markup is that of problem",
	"certificate":                                    "of the door for certificates, a site of its own; its markup is that of mine",
}

// parts are templates that pages are made of.
var parts = []string{"layout", "pieces", "fields", "passkey"}

// show looks at the page that is shown: axe finds nothing serious on it, light
// and dark, and with -screens its picture is taken.
func (p *person) show(language, name string) {
	p.t.Helper()
	if looks[language] == nil {
		looks[language] = map[string]bool{}
	}
	looks[language][eval[string](p, "document.querySelector('main').className.split(' ')[0]")] = true
	looks[language][patternOf(eval[string](p, "location.pathname"))] = true
	for _, scheme := range []string{"light", "dark"} {
		call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		if *screens != "" {
			p.accessible(name + ", " + scheme + ", " + language)
			p.picture(language, name, scheme)
			continue
		}
		var rules []string
		if scheme == "dark" { // the rest is the same in both
			rules = []string{"color-contrast"}
		}
		p.accessible(name+", "+scheme+", "+language, rules...)
	}
}

// patternOf is the route that a page came by.
func patternOf(path string) string {
	mux := http.NewServeMux()
	for _, pattern := range portal.Patterns() {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	_, pattern := mux.Handler(httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
	return pattern
}

// TestPages looks at every page: with axe in both schemes and, where -screens
// names a folder, in both languages, as pictures too. A page that none of the
// ways comes to fails it.
func TestPages(t *testing.T) {
	languages := map[string][]string{"way": {"en"}, "accounts": {"en"}, "organization": {"ja"}}
	if *screens != "" {
		both := []string{"en", "ja"}
		languages = map[string][]string{"way": both, "accounts": both, "organization": both}
	}
	for name, walk := range map[string]func(t *testing.T, language string){
		"way": func(t *testing.T, language string) {
			p := visit(t, serve(t), language)
			p.walkToCertificate(language)
			p.walkToOverview(language)
		},
		"accounts": func(t *testing.T, language string) {
			s := serve(t)
			s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1) // passkeys belong to names
			walkAccounts(t, s, language)
		},
		"organization": walkOrganization,
	} {
		for _, language := range languages[name] {
			t.Run(name+"/"+language, func(t *testing.T) { walk(t, language) })
		}
	}
	all := everyPage(t)
	for page := range unseen {
		if !slices.Contains(all, page) {
			t.Errorf("%s is listed as a page that is not looked at, and there is none", page)
		}
	}
	seen := []map[string]bool{}
	if *screens != "" {
		seen = append(seen, looks["en"], looks["ja"])
	} else { // each page in one of them
		together := map[string]bool{}
		for _, list := range looks {
			for page := range list {
				together[page] = true
			}
		}
		seen = append(seen, together)
	}
	for _, page := range all {
		for _, list := range seen {
			if !list[page] && unseen[page] == "" {
				t.Errorf("%s was not looked at: have a way come to it, or say in unseen why not", page)
			}
		}
	}
}

// everyPage are the templates of pages and the routes that show something.
func everyPage(t *testing.T) (list []string) {
	t.Helper()
	for _, pattern := range portal.Patterns() {
		if strings.HasPrefix(pattern, "GET ") {
			list = append(list, pattern)
		}
	}
	files, err := filepath.Glob("../../internal/portal/pages/*.html")
	if err != nil || len(files) == 0 {
		t.Fatal("no pages", err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".html"); !slices.Contains(parts, name) {
			list = append(list, name)
		}
	}
	return list
}
