package cli

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// Languages that verdicts are printed in; the first is the one that everything is
// written in.
var languages = []string{"en", "ja"}

// japanese has every sentence that a verdict is made of, in English as the code has
// it and in Japanese. In both {} is filled in, in the order of the English one; the
// Japanese names a blank by its number where the order differs.
//
//go:embed text/ja.json
var japanese []byte

// tongue is one language. The zero value is English. Only what people read goes
// through it: JSON is the same in every language.
type tongue struct {
	texts    map[string]string
	patterns []pattern
}

// pattern recognizes a finished sentence by the text between its blanks.
type pattern struct {
	key    string
	pieces []string // around the blanks: one more than there are blanks
	fixed  int      // octets of all pieces
}

// match returns what stands in the blanks, each as short as it can be but the last.
func (p pattern) match(text string) (values []string, ok bool) {
	last := len(p.pieces) - 1
	text, begins := strings.CutPrefix(text, p.pieces[0])
	text, ends := strings.CutSuffix(text, p.pieces[last])
	if !begins || !ends {
		return nil, false
	}
	for _, piece := range p.pieces[1:last] {
		before, after, found := strings.Cut(text, piece)
		if !found {
			return nil, false
		}
		values, text = append(values, before), after
	}
	return append(values, text), true
}

// loadTongue reads the texts of a language.
func loadTongue(tag string) (*tongue, error) {
	t := &tongue{}
	if tag == languages[0] {
		return t, nil
	}
	if err := json.Unmarshal(japanese, &t.texts); err != nil {
		return nil, fmt.Errorf("texts in %s: %w", tag, err)
	}
	for key := range t.texts {
		if pieces := strings.Split(key, "{}"); len(pieces) > 1 {
			t.patterns = append(t.patterns, pattern{key, pieces, len(strings.Join(pieces, ""))})
		}
	}
	// The sentence that says most is tried first.
	slices.SortFunc(t.patterns, func(a, b pattern) int {
		if a.fixed != b.fixed {
			return b.fixed - a.fixed
		}
		return strings.Compare(a.key, b.key)
	})
	return t, nil
}

// say is a text of this package with its blanks filled in.
func (t *tongue) say(key string, values ...string) string {
	text, found := t.texts[key]
	if !found {
		text = key
	}
	return fillBlanks(text, values)
}

var blank = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{[0-9]*\}`) })

func fillBlanks(text string, values []string) string {
	next := 0
	return blank().ReplaceAllStringFunc(text, func(b string) string {
		i := next
		if n, err := strconv.Atoi(b[1 : len(b)-1]); err == nil {
			i = n - 1
		}
		next++
		if i < 0 || i >= len(values) {
			return b
		}
		return values[i]
	})
}

const (
	// maxSentences is the length above which a text is none of ours.
	maxSentences = 4 << 10
	// maxTries is how many patterns are held to one text and what is in its blanks.
	maxTries = 20000
)

// translate turns what a library said into this language: it recognizes the sentence,
// then the sentences in its blanks. Names, and what is not known, stay as they are.
// Where a sentence comes from decides nothing, so a hostile name can choose no more
// than what it could write itself.
func (t *tongue) translate(text string) string {
	if t.texts == nil || len(text) > maxSentences {
		return text
	}
	x := translation{t, maxTries}
	return x.sentences(text)
}

// translation is one text's; tries are left.
type translation struct {
	*tongue
	tries int
}

const joint = "; "

// sentences translates what semicolons join. Some sentences have one of their own, so
// the longest beginning that is known is taken first.
func (x *translation) sentences(text string) string {
	var out []string
	for {
		part, rest, more := x.longest(text)
		out = append(out, part)
		if !more {
			return strings.Join(out, x.say(joint))
		}
		text = rest
	}
}

// longest translates the longest beginning of text that is known, or leaves the first
// sentence as it is.
func (x *translation) longest(text string) (translated, rest string, more bool) {
	for end := len(text); end > 0; end = strings.LastIndex(text[:end], joint) {
		if translated, ok := x.sentence(text[:end]); ok {
			rest, more = strings.CutPrefix(text[end:], joint)
			return translated, rest, more
		}
	}
	return strings.Cut(text, joint)
}

// sentence translates one sentence; ok tells whether it is known.
func (x *translation) sentence(text string) (translated string, ok bool) {
	if translated, ok = x.texts[text]; ok {
		return translated, true
	}
	for _, p := range x.patterns {
		if x.tries--; x.tries < 0 {
			return text, false
		}
		values, ok := p.match(text)
		if !ok || slices.ContainsFunc(values, func(s string) bool { return strings.Contains(s, joint) }) {
			continue
		}
		known := p.fixed > len(": ") // a colon alone is no sentence
		for i, v := range values {
			inside, ok := x.sentence(v)
			values[i], known = inside, known || ok
		}
		if known {
			return fillBlanks(x.texts[p.key], values), true
		}
	}
	return text, false
}

// addLanguageFlag is for every command.
func (p *program) addLanguageFlag(root *cobra.Command) {
	root.PersistentFlags().StringVar(&p.language, "lang", "", "`LANGUAGE` of verdicts and of what is wrong with a mail or a command for one: en or ja (default from MAILSEAL_LANG, LC_ALL, LC_MESSAGES, LANG)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if p.language != "" && !slices.Contains(languages, p.language) {
			return usage(fmt.Errorf("no language %q", p.language), "one of %s", strings.Join(languages, ", "))
		}
		return nil
	}
}

// words is the language of this run. The texts are read when the first is needed:
// most commands print none.
func (p *program) words() *tongue {
	if p.tongue == nil {
		t, err := loadTongue(p.chosenLanguage())
		if err != nil {
			panic(err) // the texts are part of the program, and tested
		}
		p.tongue = t
	}
	return p.tongue
}

// chosenLanguage follows POSIX (XBD 8.2) after the two that are mailseal's own.
func (p *program) chosenLanguage() string {
	if slices.Contains(languages, p.language) {
		return p.language
	}
	for _, name := range []string{"MAILSEAL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if value, _ := p.env.LookupEnv(name); value != "" {
			return languageOf(value)
		}
	}
	return languages[0]
}

// languageOf reads a name like ja_JP.UTF-8. A terminal in another character set than
// UTF-8 cannot show Japanese as it is written here.
func languageOf(locale string) string {
	locale, _, _ = strings.Cut(locale, "@")
	locale, charset, named := strings.Cut(locale, ".")
	if named && !strings.EqualFold(strings.ReplaceAll(charset, "-", ""), "utf8") {
		return languages[0]
	}
	tag, _, _ := strings.Cut(strings.ReplaceAll(locale, "-", "_"), "_")
	if tag = strings.ToLower(tag); slices.Contains(languages, tag) {
		return tag
	}
	return languages[0]
}
