package roster

import "strings"

// Problem is one thing that is wrong with a list, or worth knowing.
type Problem struct {
	Line   int      `json:"line"`             // of the file, from 1; 0: the list as a whole
	Column int      `json:"column,omitempty"` // of the line, from 1; 0: the line as a whole
	Key    string   `json:"key"`
	Args   []string `json:"args,omitempty"`
}

// What says in a language what is wrong.
func (p Problem) What(language string) string { return p.text(language, 0) }

// Advice says in a language what to do about it.
func (p Problem) Advice(language string) string { return p.text(language, 1) }

func (p Problem) text(language string, i int) string {
	t, known := texts()[p.Key]
	if !known {
		return p.Key
	}
	text := t.en[i]
	if language == "ja" {
		text = t.ja[i]
	}
	for n, arg := range p.Args {
		text = strings.ReplaceAll(text, "{"+string(rune('0'+n))+"}", arg)
	}
	return text
}

// The keys of problems.
const (
	KeyEmpty         = "roster.empty"
	KeyNoAddresses   = "roster.no-addresses"
	KeyHeaderTwice   = "roster.header-twice"
	KeyEncoding      = "roster.encoding"
	KeyQuote         = "roster.quote"
	KeyQuoteOpen     = "roster.quote-open"
	KeyAfterQuote    = "roster.after-quote"
	KeyCells         = "roster.cells"
	KeyTooManyCells  = "roster.too-many-cells"
	KeyLongCell      = "roster.long-cell"
	KeyTooMany       = "roster.too-many"
	KeyNoAddress     = "roster.no-address"
	KeyNoAt          = "roster.no-at"
	KeyTwoAts        = "roster.two-ats"
	KeySpace         = "roster.space"
	KeyWide          = "roster.wide"
	KeyDisplayName   = "roster.display-name"
	KeyAddress       = "roster.address"
	KeyASCII         = "roster.ascii"
	KeyDomain        = "roster.domain"
	KeyTwice         = "roster.twice"
	KeyNumberTwice   = "roster.number-twice"
	KeyNoName        = "roster.no-name"
	KeyLongName      = "roster.long-name"
	KeyInvisible     = "roster.invisible"
	KeyFormula       = "roster.formula"
	KeyAtInName      = "roster.at-in-name"
	KeyLanguage      = "roster.language"
	KeyLDIF          = "roster.ldif"
	KeyLDIFURL       = "roster.ldif-url"
	KeyLDIFChange    = "roster.ldif-change"
	KeyBase64        = "roster.base64"
	KeyJSON          = "roster.json"
	KeyUser          = "roster.user"
	KeyEquipped      = "roster.equipped"
	KeyKnown         = "roster.known"
	KeyIgnored       = "roster.ignored"
	KeyInactive      = "roster.inactive"
	KeyMoreAddresses = "roster.more-addresses"
	KeyPage          = "roster.page"
)

// limited appends a problem to a list that must not grow without end.
func (l *List) limited(to *[]Problem, p Problem) {
	if len(l.Problems)+len(l.Notices) >= MaxProblems {
		l.Unlisted++
		return
	}
	*to = append(*to, p)
}

func (l *List) problem(line, column int, key string, args ...string) {
	l.limited(&l.Problems, Problem{line, column, key, shown(args)})
}

func (l *List) notice(line, column int, key string, args ...string) {
	l.limited(&l.Notices, Problem{line, column, key, shown(args)})
}
