package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/smime"
)

// sheet is what a person reads in one look: a headline, then labelled lines. What
// comes from mails and certificates goes through row, and so can neither act on the
// terminal nor turn the direction of writing (UAX #9).
type sheet struct {
	*tongue
	b     strings.Builder
	w     io.Writer
	paint painter
	mute  func(string) string // for labels
	width int                 // 0: lines are not broken
}

const labelWidth = 12

// newSheet is for one writer: colours and broken lines are for a terminal.
func (p *program) newSheet(w io.Writer) *sheet {
	s := &sheet{tongue: p.words(), w: w, paint: p.painter(w), mute: func(text string) string { return text }}
	if f, ok := w.(*os.File); ok && p.isTerminal(w) {
		s.width, _, _ = term.GetSize(int(f.Fd()))
	}
	if p.colours(w) {
		s.mute = func(text string) string { return "\x1b[2m" + text + "\x1b[0m" }
	}
	return s
}

// headline is the one word and what it means.
func (s *sheet) headline(c smime.Conclusion, word, meaning string) {
	fmt.Fprintf(&s.b, "%s  %s\n\n", s.paint(c, s.say(strings.ToUpper(word))), s.say(meaning))
}

// row writes one labelled line, or none for an empty text. The label is translated,
// the text is as it is.
func (s *sheet) row(label, text string) { s.painted(label, "", text) }

// note is a row whose text is a sentence in English.
func (s *sheet) note(label, text string) { s.row(label, s.translate(text)) }

// painted is a row that begins with words of our own, which may have a colour.
func (s *sheet) painted(label, head, text string) {
	if head+text == "" {
		return
	}
	label = s.say(label)
	pad := strings.Repeat(" ", max(0, labelWidth-columns(label)))
	lines := s.broken(inspect.Visible(text), columns(plain(head)))
	fmt.Fprintf(&s.b, "  %s%s %s%s\n", s.mute(label), pad, head, lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(&s.b, "  %s %s\n", strings.Repeat(" ", labelWidth), line)
	}
}

// print writes the sheet.
func (s *sheet) print() error {
	_, err := io.WriteString(s.w, s.b.String())
	return err
}

// plain takes our colours off again.
func plain(text string) string {
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		if !found {
			return text
		}
		_, after, _ = strings.Cut(after, "m")
		text = before + after
	}
}

// columns is the width of a text on a terminal (UAX #11).
func columns(text string) (n int) {
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// broken breaks a text into lines that fit beside the labels, the first of which has
// used columns already: at a space, or between two letters of a writing without spaces.
func (s *sheet) broken(text string, used int) []string {
	room := s.width - labelWidth - 3
	if s.width == 0 || room < 20 {
		return []string{text}
	}
	var lines []string
	line := []rune{}
	at, stop := used, -1 // columns so far; where the line may be broken
	for _, r := range text {
		if len(line) > 0 && (r == ' ' || runeColumns(r) == 2 && !strings.ContainsRune("、。）」：", r)) {
			stop = len(line)
		}
		if at+runeColumns(r) > room && stop > 0 {
			rest := []rune(strings.TrimLeft(string(line[stop:]), " "))
			lines = append(lines, strings.TrimRight(string(line[:stop]), " "))
			line, at, stop = rest, columns(string(rest)), -1
		}
		if len(lines) > 0 && len(line) == 0 && r == ' ' {
			continue
		}
		line = append(line, r)
		at += runeColumns(r)
	}
	return append(lines, string(line))
}
