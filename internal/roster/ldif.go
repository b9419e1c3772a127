package roster

import (
	"encoding/base64"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ReadLDIF reads entries of LDIF (RFC 2849) as a directory exports them. Entries
// of people (RFC 2798, and what Active Directory has) are taken; those without
// an address that are no people are passed over.
func ReadLDIF(r io.Reader, o Options) (*List, error) {
	raw, err := readAll(r)
	if err != nil {
		return nil, err
	}
	text, _, err := decode(raw, UTF8)
	if err != nil {
		return nil, err
	}
	j := newJudge(o)
	l := &ldifReader{j: j}
	for n, line := range unfolded(text) {
		if !l.line(n, line) {
			return j.list, nil
		}
	}
	if l.end() && !l.any {
		j.list.problem(0, 0, KeyEmpty)
	}
	return j.list, nil
}

// unfolded gives the lines with what RFC 2849 §2 folds joined, each with the
// number of its first; an empty one between records, comments left out.
func unfolded(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		begun, whole, any, n := 0, "", false, 0
		flush := func() bool {
			ok := !any || strings.HasPrefix(whole, "#") || yield(begun, whole)
			any = false
			return ok
		}
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimRight(line, "\r\n")
			if rest, folded := strings.CutPrefix(line, " "); folded && any && whole != "" {
				if len(whole) <= MaxCell*2 { // beyond that it is refused anyway
					whole += rest
				}
				continue
			}
			if !flush() {
				return
			}
			begun, whole, any = n, line, true
		}
		flush()
	}
}

// ldifReader gathers the attributes of one entry at a time.
type ldifReader struct {
	j      *judge
	e      entry
	any    bool     // there was an entry
	inside bool     // of one
	person bool     // and it is a person's
	bad    bool     // and has a line that cannot be read
	mails  []string // beyond the first
}

// line takes one line; false: the list is full.
func (l *ldifReader) line(n int, line string) bool {
	if line == "" {
		return l.end()
	}
	name, value, found := strings.Cut(line, ":")
	if !found || name == "" {
		l.wrong(n, KeyLDIF)
		return true
	}
	if !l.inside {
		if strings.EqualFold(name, "version") {
			return true
		}
		*l = ldifReader{j: l.j, e: entry{line: n}, any: true, inside: true}
	}
	switch {
	case strings.EqualFold(name, "changetype"):
		l.wrong(n, KeyLDIFChange)
	case len(value) > MaxCell*2:
		l.longAttribute(n, name)
	case strings.HasPrefix(value, "<"):
		if ldifField(name) != "" {
			l.wrong(n, KeyLDIFURL)
		}
	case strings.HasPrefix(value, ":"):
		decoded, err := base64.StdEncoding.DecodeString(trim(value[1:]))
		if ldifField(name) == "" && !strings.EqualFold(name, "objectClass") {
			return true // a picture, perhaps
		}
		if err != nil || !utf8.Valid(decoded) {
			l.wrong(n, KeyBase64)
			return true
		}
		l.attribute(n, name, string(decoded))
	default:
		l.attribute(n, name, value)
	}
	return true
}

func (l *ldifReader) longAttribute(n int, name string) {
	if ldifField(name) != "" {
		l.wrong(n, KeyLongCell, strconv.Itoa(MaxCell))
	}
}

func (l *ldifReader) wrong(n int, key string, args ...string) {
	l.bad = true
	l.any = true
	l.j.list.problem(n, 0, key, args...)
}

// ldifFields are the attributes that are read, the better ones first.
var ldifFields = []struct {
	name  string
	field Field
}{
	{"mail", FieldAddress},
	{"givenname", FieldGivenName},
	{"sn", FieldSurname},
	{"displayname;lang-ja", FieldLocalName},
	{"cn;lang-ja", FieldLocalName},
	{"displayname", FieldLocalName},
	{"employeenumber", FieldNumber},
	{"employeeid", FieldNumber},
	{"department", FieldDepartment},
	{"departmentnumber", FieldDepartment},
	{"ou", FieldDepartment},
	{"preferredlanguage", FieldLanguage},
}

func ldifField(name string) Field {
	if i := ldifRank(name); i >= 0 {
		return ldifFields[i].field
	}
	return ""
}

func ldifRank(name string) int {
	return slices.IndexFunc(ldifFields, func(f struct {
		name  string
		field Field
	}) bool {
		return strings.EqualFold(f.name, name)
	})
}

// attribute takes one value. Of those for one field the better attribute counts,
// and of one attribute the first value.
func (l *ldifReader) attribute(n int, name, value string) {
	value = trim(value)
	if strings.EqualFold(name, "objectClass") {
		class := strings.ToLower(value)
		l.person = l.person || class == "person" || class == "inetorgperson" || class == "user"
	}
	rank := ldifRank(name)
	if rank < 0 || value == "" {
		return
	}
	if strings.Contains(value, "\ufffd") {
		l.wrong(n, KeyEncoding)
		return
	}
	f := ldifFields[rank].field
	old, has := l.e.cells[f]
	switch {
	case has && f == FieldAddress:
		l.mails = append(l.mails, value)
		return
	case has && old.column <= rank+1:
		return
	}
	l.e.set(f, value, rank+1)
	c := l.e.cells[f]
	c.line = n
	l.e.cells[f] = c
}

// end judges the entry; false: the list is full.
func (l *ldifReader) end() bool {
	if !l.inside {
		return true
	}
	l.inside = false
	_, has := l.e.cells[FieldAddress]
	if l.bad || !has && !l.person {
		return true
	}
	for f, c := range l.e.cells { // the column was the rank
		c.column = 0
		l.e.cells[f] = c
	}
	if len(l.mails) > 0 {
		l.j.list.notice(l.e.line, 0, KeyMoreAddresses, l.e.cells[FieldAddress].text)
	}
	return l.j.take(l.e)
}
