package roster

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// formulas are what makes a spreadsheet take a cell for a formula, in their wide
// forms too, which East Asian versions accept.
const formulas = "=+-@\t\r\n＝＋－＠"

// isFormula tells whether a spreadsheet would take a cell for a formula.
func isFormula(cell string) bool {
	cell = strings.TrimLeftFunc(cell, func(r rune) bool {
		return !strings.ContainsRune(formulas, r) && (unicode.IsSpace(r) || !unicode.IsPrint(r))
	})
	return cell != "" && strings.ContainsRune(formulas, []rune(cell)[0])
}

// harmless is a cell that a spreadsheet shows as it is (SECURITY.md, row 27).
func harmless(cell string) string {
	if isFormula(cell) {
		return "'" + cell
	}
	return cell
}

// restored takes off what harmless put before a cell.
func restored(cell string) string {
	if rest, marked := strings.CutPrefix(cell, "'"); marked && isFormula(rest) {
		return rest
	}
	return cell
}

// Sheet writes CSV for spreadsheets: UTF-8 with a byte order mark, without which
// they read it in the character set of the machine; lines end as RFC 4180 says;
// each cell is in quotation marks, and none is a formula.
type Sheet struct {
	w     *bufio.Writer
	begun bool
}

// NewSheet returns a Sheet. [Sheet.Close] ends it.
func NewSheet(w io.Writer) *Sheet { return &Sheet{w: bufio.NewWriter(w)} }

// Row writes one line. An error is told again by Close.
func (s *Sheet) Row(cells ...string) error {
	if !s.begun {
		s.begun = true
		_, _ = s.w.Write(utf8BOM) // its error stays with the writer
	}
	for i, cell := range cells {
		if i > 0 {
			_ = s.w.WriteByte(',')
		}
		cell = strings.ToValidUTF8(strings.ReplaceAll(cell, "\x00", ""), "\ufffd")
		fmt.Fprintf(s.w, `"%s"`, strings.ReplaceAll(harmless(cell), `"`, `""`))
	}
	_, err := s.w.WriteString("\r\n")
	return err
}

// Close writes what is left. It does not close what is below.
func (s *Sheet) Close() error { return s.w.Flush() }

// WriteProblems writes the problems of a list as a sheet, in a language.
func WriteProblems(w io.Writer, l *List, language string) error {
	s := NewSheet(w)
	head := []string{"line", "column", "what is wrong", "what to do"}
	if language == "ja" {
		head = []string{"行", "列", "問題", "対処"}
	}
	_ = s.Row(head...)
	for _, p := range l.Problems {
		_ = s.Row(number(p.Line), number(p.Column), p.What(language), p.Advice(language))
	}
	return s.Close()
}

// number writes a place, or nothing for none.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
