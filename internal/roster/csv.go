package roster

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// ReadCSV reads a list whose first line names the columns, or a list of nothing
// but addresses. An error means that there is no list at all: it could not be
// read, is too long, or the options make no sense.
func ReadCSV(r io.Reader, o Options) (*List, error) {
	raw, err := readAll(r)
	if err != nil {
		return nil, err
	}
	text, encoding, err := decode(raw, o.Encoding)
	if err != nil {
		return nil, err
	}
	c := &csvReader{text: text, line: 1}
	if c.separator, err = c.separated(o.Separator); err != nil {
		return nil, err
	}
	j := newJudge(o)
	j.list.Encoding, j.list.Separator = encoding, string(c.separator)
	c.read(j)
	return j.list, nil
}

// csvReader reads RFC 4180, with other separators and line ends, and goes on
// after what is wrong.
type csvReader struct {
	text      string
	at        int // in text
	line      int // of text, at at
	separator byte
}

// separated finds the separator: what was asked for, what the first line says as
// spreadsheets write it (sep=;), or what it has most of outside quotes.
func (c *csvReader) separated(asked string) (byte, error) {
	first, rest, _ := strings.Cut(c.text, "\n")
	first = strings.TrimSuffix(first, "\r")
	if s, said := strings.CutPrefix(strings.ToLower(first), "sep="); said && len(s) == 1 {
		c.text, c.line, first = rest, 2, ""
		if asked == "" {
			asked = s
		}
	}
	switch asked {
	case "":
	case ",", ";", "\t":
		return asked[0], nil
	default:
		return 0, fmt.Errorf("roster: separator %q: a comma, a semicolon or a tab", asked)
	}
	best, most := byte(','), 0
	quoted := false
	counts := map[byte]int{}
	for i := range len(first) {
		if first[i] == '"' {
			quoted = !quoted
		} else if !quoted {
			counts[first[i]]++
		}
	}
	for _, s := range []byte{'\t', ';', ','} {
		if counts[s] > most {
			best, most = s, counts[s]
		}
	}
	return best, nil
}

// read reads the header and then every line.
func (c *csvReader) read(j *judge) {
	header, line, fault := c.next()
	for fault == nil && header != nil && blank(header) {
		header, line, fault = c.next()
	}
	switch {
	case fault != nil:
		j.list.problem(line, fault.column, fault.key, fault.args...)
		return
	case header == nil:
		j.list.problem(0, 0, KeyEmpty)
		return
	}
	fields, bare := j.header(header, line)
	if fields == nil {
		return
	}
	if bare {
		c.take(j, fields, header, line)
	}
	for {
		record, line, fault := c.next()
		switch {
		case fault != nil:
			j.list.problem(line, fault.column, fault.key, fault.args...)
		case record == nil:
			return
		case blank(record):
		case len(record) != len(fields):
			j.list.problem(line, 0, KeyCells, strconv.Itoa(len(record)), strconv.Itoa(len(fields)))
		case !c.take(j, fields, record, line):
			return
		}
	}
}

// take judges one line; false: the list is full.
func (c *csvReader) take(j *judge, fields []Field, record []string, line int) bool {
	e := entry{line: line}
	for i, f := range fields {
		if f != "" {
			e.set(f, record[i], i+1)
		}
	}
	if strings.Contains(strings.Join(record, ""), "\ufffd") {
		column := slices.IndexFunc(record, func(cell string) bool { return strings.Contains(cell, "\ufffd") })
		j.list.problem(line, column+1, KeyEncoding)
		return true
	}
	return j.take(e)
}

// header understands the first line. No fields: it cannot be. Bare: the list has
// none, and the first line is a person's.
func (j *judge) header(cells []string, line int) (fields []Field, bare bool) {
	if len(cells) == 1 {
		if _, err := mailbox.Parse(trim(cells[0])); err == nil {
			j.list.Columns = []Column{{"", FieldAddress}}
			return []Field{FieldAddress}, true
		}
	}
	column := map[Field]int{}
	good := true
	for i, cell := range cells {
		f := fieldNamed(cell)
		if first, twice := column[f]; twice && f != "" {
			j.list.problem(line, i+1, KeyHeaderTwice, trim(cells[first]), trim(cell))
			good = false
		}
		if f == "" && trim(cell) != "" {
			j.list.notice(line, i+1, KeyIgnored, trim(cell))
		}
		column[f] = i
		fields = append(fields, f)
		j.list.Columns = append(j.list.Columns, Column{trim(cell), f})
	}
	if _, has := column[FieldAddress]; !has {
		j.list.problem(line, 0, KeyNoAddresses)
		good = false
	}
	if !good {
		return nil, false
	}
	return fields, false
}

func blank(record []string) bool {
	return !slices.ContainsFunc(record, func(cell string) bool { return trim(cell) != "" })
}

// fault is what makes a line unreadable.
type fault struct {
	column int
	key    string
	args   []string
}

// next reads one record and the line that it begins in; no record: the end.
// After a fault it goes on with the line after the one in which the faulty cell
// began, so that one quotation mark too few costs one line.
func (c *csvReader) next() (record []string, line int, wrong *fault) {
	if c.at >= len(c.text) {
		return nil, c.line, nil
	}
	line = c.line
	for {
		at, begun := c.at, c.line
		cell, key := c.cell()
		switch {
		case key == "" && len(cell) > MaxCell:
			key = KeyLongCell
			wrong = &fault{len(record) + 1, key, []string{strconv.Itoa(MaxCell)}}
		case key == "" && len(record) == MaxCells:
			key = KeyTooManyCells
			wrong = &fault{0, key, []string{strconv.Itoa(MaxCells)}}
		case key != "":
			wrong = &fault{len(record) + 1, key, nil}
		}
		if wrong != nil {
			c.at, c.line = at, begun
			c.skipLine()
			return nil, begun, wrong
		}
		record = append(record, cell)
		if c.at < len(c.text) && c.text[c.at] == c.separator {
			c.at++
			continue
		}
		c.endLine()
		return record, line, nil
	}
}

// cell reads one cell, up to its separator or the end of its line. A key says
// what is wrong with it.
func (c *csvReader) cell() (text, key string) {
	if c.at < len(c.text) && c.text[c.at] == '"' {
		return c.quoted()
	}
	end := c.at
	for end < len(c.text) && c.text[end] != c.separator && c.text[end] != '\n' && c.text[end] != '\r' {
		end++
	}
	text = c.text[c.at:end]
	c.at = end
	if strings.Contains(text, `"`) {
		return "", KeyQuote
	}
	return text, ""
}

func (c *csvReader) quoted() (text, key string) {
	var b strings.Builder
	for i := c.at + 1; i < len(c.text) && b.Len() <= MaxCell; {
		end := strings.IndexByte(c.text[i:min(len(c.text), i+MaxCell+2)], '"')
		if end < 0 {
			return "", KeyQuoteOpen
		}
		inner := c.text[i : i+end]
		b.WriteString(inner)
		c.line += lineEnds(inner)
		i += end + 1
		if i < len(c.text) && c.text[i] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		c.at = i
		if i < len(c.text) && c.text[i] != c.separator && c.text[i] != '\n' && c.text[i] != '\r' {
			return "", KeyAfterQuote
		}
		return b.String(), ""
	}
	return "", KeyQuoteOpen
}

// lineEnds counts CR LF, LF and CR.
func lineEnds(s string) int {
	return strings.Count(s, "\n") + strings.Count(s, "\r") - strings.Count(s, "\r\n")
}

// endLine goes past the end of the line that is here.
func (c *csvReader) endLine() {
	if c.at < len(c.text) {
		if strings.HasPrefix(c.text[c.at:], "\r\n") {
			c.at++
		}
		c.at++
		c.line++
	}
}

// skipLine goes past the end of the line that is next.
func (c *csvReader) skipLine() {
	end := strings.IndexAny(c.text[c.at:], "\r\n")
	if end < 0 {
		c.at = len(c.text)
		return
	}
	c.at += end
	c.endLine()
}
