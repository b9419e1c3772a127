package portal

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"html/template"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed text/*.json
var textFiles embed.FS

//go:embed pages/*.html
var pageFiles embed.FS

// tags are the languages of the portal (BCP 47); the first is the default.
var tags = []string{"en", "ja"}

// tongue is one language: its texts, and the pages that are bound to them.
type tongue struct {
	tag   string
	texts map[string]text
	pages map[string]*template.Template
}

// text is one entry of text/*.json: a sentence, or a list of them. In it,
// {name} is filled in, **word** is strong and `word` is something to type.
type text []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = text{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("a text is a string or a list of strings")
	}
	*t = list
	return nil
}

// loadTongues reads what is embedded, once for all portals of the process.
var loadTongues = sync.OnceValues(func() ([]*tongue, error) {
	a, err := loadAssets()
	if err != nil {
		return nil, err
	}
	var all []*tongue
	for _, tag := range tags {
		t, err := loadTongue(tag, a)
		if err != nil {
			return nil, fmt.Errorf("portal: language %s: %w", tag, err)
		}
		all = append(all, t)
	}
	return all, nil
})

func loadTongue(tag string, a assets) (*tongue, error) {
	t := &tongue{tag: tag, texts: map[string]text{}, pages: map[string]*template.Template{}}
	if err := t.read(); err != nil {
		return nil, err
	}
	layout, err := template.New("layout.html").Funcs(t.functions(a)).ParseFS(pageFiles, frames...)
	if err != nil {
		return nil, err
	}
	entries, err := pageFiles.ReadDir("pages")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if slices.Contains(frames, "pages/"+entry.Name()) {
			continue
		}
		page, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if _, err := page.ParseFS(pageFiles, "pages/"+entry.Name()); err != nil {
			return nil, err
		}
		t.pages[strings.TrimSuffix(entry.Name(), ".html")] = page
	}
	return t, nil
}

// frames are what every page is made with: the layout, and pieces that pages
// put in by name.
var frames = []string{"pages/layout.html", "pages/pieces.html", "pages/fields.html", "pages/passkey.html"}

// read reads the texts of the language: text/TAG.json and text/NAME.TAG.json of
// each group of pages. A key belongs to one file.
func (t *tongue) read() error {
	entries, err := textFiles.ReadDir("text")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != t.tag+".json" && !strings.HasSuffix(entry.Name(), "."+t.tag+".json") {
			continue
		}
		data, err := textFiles.ReadFile("text/" + entry.Name())
		if err != nil {
			return err
		}
		texts := map[string]text{}
		if err := json.Unmarshal(data, &texts); err != nil {
			return fmt.Errorf("%s: %w", entry.Name(), err)
		}
		for key, value := range texts {
			if _, twice := t.texts[key]; twice {
				return fmt.Errorf("%s: %q has another text already", entry.Name(), key)
			}
			t.texts[key] = value
		}
	}
	return nil
}

// functions are what the pages call: t for a text, ts for a list of texts, and
// the rest for values whose form depends on the language.
func (t *tongue) functions(a assets) template.FuncMap {
	return template.FuncMap{
		"t":        t.say,
		"ts":       t.list,
		"plain":    t.plain,
		"asset":    a.url,
		"lang":     func() string { return t.tag },
		"tags":     func() []string { return tags },
		"steps":    func() []string { return steps },
		"before":   before,
		"date":     t.date,
		"datetime": t.dateTime,
		"group":    group,
		"explain":  t.explain,
		"has":      t.has,
		"count":    counted,
		"input":    newInput,
		"option":   newOption,
		"list":     func(items ...any) []any { return items },
	}
}

// say is the text of a key with names filled in: say("code.sent", "email", e),
// or say(key, pairs) with all of them in one list.
func (t *tongue) say(key string, pairs ...any) (template.HTML, error) {
	entry, err := t.entry(key)
	if err != nil {
		return "", err
	}
	var words []string
	for _, p := range pairs {
		switch p := p.(type) {
		case []string:
			words = append(words, p...)
		default:
			words = append(words, fmt.Sprint(p))
		}
	}
	return fill(entry[0], words), nil
}

// has tells whether there is a text of this key.
func (t *tongue) has(key string) bool { return len(t.texts[key]) > 0 }

// plain is say without marks, for attributes and for JSON.
func (t *tongue) plain(key string, pairs ...string) (string, error) {
	entry, err := t.entry(key)
	if err != nil {
		return "", err
	}
	return replacer(pairs, func(s string) string { return s }).Replace(entry[0]), nil
}

func (t *tongue) list(key string, pairs ...string) ([]template.HTML, error) {
	entry, err := t.entry(key)
	if err != nil {
		return nil, err
	}
	var lines []template.HTML
	for _, line := range entry {
		lines = append(lines, fill(line, pairs))
	}
	return lines, nil
}

func (t *tongue) entry(key string) (text, error) {
	entry, ok := t.texts[key]
	if !ok || len(entry) == 0 {
		return nil, fmt.Errorf("no text %q in %s", key, t.tag)
	}
	return entry, nil
}

var (
	strong = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\*\*(.+?)\*\*`) })
	typed  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("`(.+?)`") })
)

// fill marks up first and fills in afterwards, each value escaped, so that what
// a person entered never becomes markup.
func fill(line string, pairs []string) template.HTML {
	marked := html.EscapeString(line)
	marked = strong().ReplaceAllString(marked, "<strong>$1</strong>")
	marked = typed().ReplaceAllString(marked, "<code>$1</code>")
	return template.HTML(replacer(pairs, html.EscapeString).Replace(marked)) //nolint:gosec // escaped just above
}

func replacer(pairs []string, escape func(string) string) *strings.Replacer {
	var list []string
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, "{"+pairs[i]+"}", escape(pairs[i+1]))
	}
	return strings.NewReplacer(list...)
}

func (t *tongue) date(at time.Time) string {
	if t.tag == "ja" {
		return at.UTC().Format("2006年1月2日")
	}
	return at.UTC().Format("2 January 2006")
}

func (t *tongue) dateTime(at time.Time) string {
	return t.date(at) + at.UTC().Format(" 15:04 UTC")
}

// counted writes a number with its thousands apart.
func counted(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, r := range digits {
		if rest := len(digits) - i; i > 0 && rest%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

const groupSize = 4

// group puts a space after every fourth character of a fingerprint or serial
// number, so that it can be compared and wraps on small screens.
func group(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%groupSize == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
