package export

import (
	"crypto/sha1" // what Windows shows and people compare; nothing rests on it
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/mailseal/mailseal/cert"
)

//go:embed thunderbird.sh
var thunderbird string

//go:embed windows.ps1
var windows string

// Thunderbird is the setup script for Thunderbird on Linux and macOS.
func Thunderbird(root *cert.Certificate, issuing []*cert.Certificate) []byte {
	var b strings.Builder
	add := func(kind, trust string, c *cert.Certificate) {
		fmt.Fprintf(&b, "certutil -A -d \"sql:$profile\" -n 'mailseal %s %s' -t %s -a <<'END'\n%sEND\n", kind, c.SHA256()[:16], trust, c.PEM())
	}
	add("root", ",C,", root)
	for _, c := range issuing {
		add("issuing", ",,", c)
	}
	return []byte(strings.ReplaceAll(thunderbird, "@CERTIFICATES@", strings.TrimSuffix(b.String(), "\n")))
}

// Windows is the setup script for Windows and Outlook (PowerShell 5.1 and later).
func Windows(root *cert.Certificate, issuing []*cert.Certificate) []byte {
	var b strings.Builder
	add := func(store string, c *cert.Certificate) {
		fmt.Fprintf(&b, "Add-Authority '%s' '%s'\n", store, base64.StdEncoding.EncodeToString(c.Raw))
	}
	add("Root", root)
	for _, c := range issuing {
		add("CA", c)
	}
	script := strings.NewReplacer(
		"@CERTIFICATES@", strings.TrimSuffix(b.String(), "\n"), "@THUMBPRINT@", fmt.Sprintf("%X", sha1.Sum(root.Raw)),
	).Replace(windows)
	return []byte(strings.ReplaceAll(script, "\n", "\r\n"))
}

//go:embed activedirectory.ps1
var activeDirectory string

// ActiveDirectoryHead begins a script that writes people's certificates into
// Active Directory, from where Exchange has them.
func ActiveDirectoryHead(w io.Writer) error {
	_, err := io.WriteString(w, strings.ReplaceAll(activeDirectory, "\n", "\r\n"))
	return err
}

// ActiveDirectoryPerson adds a person to it. An address is written in base64, so
// that nothing in it is a command.
func ActiveDirectoryPerson(w io.Writer, address string, c *cert.Certificate) error {
	_, err := fmt.Fprintf(w, "Set-Certificate '%s' '%s'\r\n",
		base64.StdEncoding.EncodeToString([]byte(address)), base64.StdEncoding.EncodeToString(c.Raw))
	return err
}
