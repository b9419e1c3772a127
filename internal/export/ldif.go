package export

import (
	"bufio"
	"encoding/base64"
	"io"
	"strings"
)

// Entry is one person in an LDIF file.
type Entry struct {
	Name         string   // common name
	Surname      string   // "" repeats Name: inetOrgPerson has to have one
	GivenName    string   // may be empty
	Mail         string   // also what the entry is named by
	Certificates [][]byte // DER, the newest first
}

// LDIF writes entries of inetOrgPerson (RFC 2798) below a base, for address
// books of colleagues (RFC 2849). The certificates stand in userCertificate, as
// RFC 4523 §4.1 has them transferred.
type LDIF struct {
	w    *bufio.Writer
	base string
}

// NewLDIF begins a file; base is the distinguished name below which the entries
// are, such as ou=people,dc=example,dc=com.
func NewLDIF(w io.Writer, base string) *LDIF {
	l := &LDIF{bufio.NewWriter(w), base}
	_, _ = l.w.WriteString("version: 1\n") // an error stays in w until Close
	return l
}

// Write adds an entry.
func (l *LDIF) Write(e Entry) error {
	_ = l.w.WriteByte('\n') // likewise
	l.line("dn", "mail="+escapeRDN(e.Mail)+","+l.base)
	for _, class := range []string{"top", "person", "organizationalPerson", "inetOrgPerson"} {
		l.line("objectClass", class)
	}
	if e.Surname == "" {
		e.Surname = e.Name
	}
	l.line("cn", e.Name)
	l.line("sn", e.Surname)
	if e.GivenName != "" {
		l.line("givenName", e.GivenName)
	}
	l.line("mail", e.Mail)
	for _, der := range e.Certificates {
		l.fold("userCertificate;binary:: " + base64.StdEncoding.EncodeToString(der))
	}
	return l.w.Flush()
}

func (l *LDIF) line(name, value string) {
	if safe(value) {
		l.fold(name + ": " + value)
		return
	}
	l.fold(name + ":: " + base64.StdEncoding.EncodeToString([]byte(value)))
}

// width is where lines are folded: RFC 2849 note 2 leaves it open, and 76 is
// what others do.
const width = 76

func (l *LDIF) fold(line string) {
	for limit := width; len(line) > limit; limit = width - 1 {
		_, _ = l.w.WriteString(line[:limit] + "\n ") // likewise
		line = line[limit:]
	}
	_, _ = l.w.WriteString(line + "\n") // likewise
}

// safe tells whether a value is a SAFE-STRING (RFC 2849) without a space at its
// end; everything else is written in base64.
func safe(value string) bool {
	if value == "" || strings.HasSuffix(value, " ") || strings.ContainsAny(value[:1], " :<") {
		return value == ""
	}
	for i := range len(value) {
		if c := value[i]; c == 0 || c == '\n' || c == '\r' || c > 0x7e {
			return false
		}
	}
	return true
}

// escapeRDN escapes a value in a distinguished name (RFC 4514 §2.4).
func escapeRDN(value string) string {
	var b strings.Builder
	for i, r := range value {
		edge := i == 0 && (r == ' ' || r == '#') || i == len(value)-1 && r == ' '
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case edge || strings.ContainsRune(`"+,;<>\=`, r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
