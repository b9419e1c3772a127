package roster

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// entry is one person as a file has them.
type entry struct {
	line  int
	cells map[Field]cell
}

type cell struct {
	text   string
	column int // 0: the file has no columns
	line   int // 0: that of the entry
}

func (e *entry) set(f Field, text string, column int) {
	if e.cells == nil {
		e.cells = map[Field]cell{}
	}
	e.cells[f] = cell{text: restored(trim(text)), column: column}
}

// trim takes off the space around a cell, wide ones and those that do not break
// lines too.
func trim(text string) string { return strings.TrimFunc(text, unicode.IsSpace) }

// judge makes a list of entries.
type judge struct {
	o       Options
	list    *List
	lines   map[string]int // of mailboxes
	numbers map[string]int
}

func newJudge(o Options) *judge {
	return &judge{o: o, list: &List{}, lines: map[string]int{}, numbers: map[string]int{}}
}

// take judges one entry; false: the list has more people than it may.
func (j *judge) take(e entry) bool {
	f := &form{j: j, e: e, p: Person{Line: e.line}}
	f.address()
	f.p.GivenName = f.name(FieldGivenName)
	f.p.Surname = f.name(FieldSurname)
	f.p.LocalName = f.name(FieldLocalName)
	f.p.Department = f.name(FieldDepartment)
	f.p.Number = f.name(FieldNumber)
	f.p.Language = f.language()
	if j.o.Names && f.p.Surname == "" { // who has one name only has it there (S/MIME BR §7.1.4.2.2 (e))
		f.wrong(FieldSurname, KeyNoName)
	}
	f.number()
	switch {
	case f.bad || f.out:
	case len(j.list.People) >= MaxPeople:
		j.list.problem(e.line, 0, KeyTooMany, strconv.Itoa(MaxPeople))
		return false
	default:
		j.list.People = append(j.list.People, f.p)
	}
	return true
}

// form is an entry that is being judged.
type form struct {
	j   *judge
	e   entry
	p   Person
	bad bool // it has a problem
	out bool // it is left out without one
}

func (f *form) wrong(field Field, key string, args ...string) {
	f.bad = true
	line, column := f.place(field)
	f.j.list.problem(line, column, key, args...)
}

func (f *form) place(field Field) (line, column int) {
	c := f.e.cells[field]
	if c.line != 0 {
		return c.line, c.column
	}
	return f.e.line, c.column
}

func (f *form) address() {
	typed := f.e.cells[FieldAddress].text
	if typed == "" {
		f.wrong(FieldAddress, KeyNoAddress)
		return
	}
	m, err := mailbox.Parse(typed)
	switch {
	case err != nil || strings.Contains(typed, `"`):
		f.wrong(FieldAddress, whyNoAddress(typed), typed)
		return
	case !m.ASCII() && !f.j.o.UTF8:
		f.wrong(FieldAddress, KeyASCII, typed)
		return
	case f.j.o.Covers != nil && !f.j.o.Covers(m.Domain()):
		f.wrong(FieldAddress, KeyDomain, m.Domain())
	}
	if first, twice := f.j.lines[m.Key()]; twice {
		f.wrong(FieldAddress, KeyTwice, m.String(), strconv.Itoa(first))
		return
	}
	f.j.lines[m.Key()] = f.e.line
	f.p.Address = m
	if f.j.o.Standing == nil || f.bad {
		return
	}
	line, column := f.place(FieldAddress)
	switch f.j.o.Standing(m) {
	case Equipped:
		f.out = true
		f.j.list.notice(line, column, KeyEquipped, m.String())
	case Known:
		f.p.Known = true
		f.j.list.notice(line, column, KeyKnown, m.String())
	}
}

// whyNoAddress finds the most helpful thing to say of what is no address.
func whyNoAddress(typed string) string {
	switch {
	case strings.ContainsAny(typed, "<>"):
		return KeyDisplayName
	case norm.NFKC.String(typed) != typed:
		return KeyWide
	case strings.ContainsFunc(typed, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return KeySpace
	case !strings.Contains(typed, "@"):
		return KeyNoAt
	case strings.Count(typed, "@") > 1:
		return KeyTwoAts
	}
	return KeyAddress
}

// name reads what is text for people: composed, short, and all of it to be seen.
func (f *form) name(field Field) string {
	text := norm.NFC.String(f.e.cells[field].text)
	switch {
	case text == "":
	case strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\u3000' || unicode.In(r, unicode.Bidi_Control)
	}):
		f.wrong(field, KeyInvisible, text)
	case utf8.RuneCountInString(text) > MaxName:
		f.wrong(field, KeyLongName, text, strconv.Itoa(MaxName))
	case isFormula(text):
		f.wrong(field, KeyFormula, text)
	case strings.Contains(text, "@") && field != FieldDepartment && field != FieldNumber:
		f.wrong(field, KeyAtInName, text)
	}
	return text
}

// number: each person has one of their own.
func (f *form) number() {
	if f.p.Number == "" || f.bad || f.out {
		return
	}
	if first, twice := f.j.numbers[f.p.Number]; twice {
		f.wrong(FieldNumber, KeyNumberTwice, f.p.Number, strconv.Itoa(first))
		return
	}
	f.j.numbers[f.p.Number] = f.e.line
}

// language reads a language tag (RFC 5646) or its name.
func (f *form) language() string {
	typed := f.e.cells[FieldLanguage].text
	tag := plain(typed)
	switch {
	case tag == "":
		return ""
	case tag == "ja", tag == "japanese", tag == "日本語", tag == "jp", strings.HasPrefix(strings.ToLower(typed), "ja-"), strings.HasPrefix(strings.ToLower(typed), "ja_"):
		return "ja"
	case tag == "en", tag == "english", tag == "英語", strings.HasPrefix(strings.ToLower(typed), "en-"), strings.HasPrefix(strings.ToLower(typed), "en_"):
		return "en"
	}
	f.wrong(FieldLanguage, KeyLanguage, typed)
	return ""
}
