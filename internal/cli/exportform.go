package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/identity"
)

// exportForm is a form of PKCS #12 and the software that imports it.
type exportForm struct {
	name    string
	options identity.PKCS12Options
	why     string
	clients []exportClient
}

// exportClient is one name that --for knows.
type exportClient struct{ name, what string }

// exportForms is the table behind --for: what each client really imports. The first
// form, and in it the first name, is the default.
func exportForms() []exportForm {
	return []exportForm{
		{
			name: "AES-256, MAC with SHA-256",
			why:  "what today's software reads",
			clients: []exportClient{
				{"any", "the default"},
				{"thunderbird", "Thunderbird, Firefox, Evolution: all with NSS"},
				{"outlook", "Outlook on Windows 10 (1709), Server 2019 or newer"},
				{"openssl", "OpenSSL 1.0 or newer, mutt, curl, ..."},
				{"java", "keytool of JDK 8u301, 11.0.12 or newer"},
			},
		},
		{
			name:    "3DES, MAC with SHA-1",
			options: identity.PKCS12Options{Compatible: true},
			why:     "older encryption, for those that refuse the newer: choose a long passphrase",
			clients: []exportClient{
				{"apple", "Keychain and Mail on macOS: several versions call the newer form a wrong password"},
				{"ios", "Mail on iPhone and iPad"},
				{"android", "Android's own store of certificates, FairEmail"},
				{"gnupg", "gpgsm, Kleopatra, KMail, Claws: GnuPG 2.2 reads no other; RSA keys only"},
				{"windows-2016", "Windows before 10 (1709), Server 2016"},
			},
		},
		{
			name:    "AES-256, PBMAC1 (RFC 9879)",
			options: identity.PKCS12Options{PBMAC1: true},
			why:     "no part of it is older than PKCS #5; few read it yet",
			clients: []exportClient{{"pbmac1", "OpenSSL 3.4 or newer, and where FIPS 140 rules"}},
		},
	}
}

func exportFormFor(client string) (*exportForm, error) {
	var names []string
	for _, f := range exportForms() {
		for _, c := range f.clients {
			names = append(names, c.name)
		}
		if slices.ContainsFunc(f.clients, func(c exportClient) bool { return c.name == strings.ToLower(client) }) {
			return &f, nil
		}
	}
	return nil, usage(fmt.Errorf("--for %s: not known", client), "one of %s; see mailseal id export --help", strings.Join(names, ", "))
}

// exportHelp is the table for people.
func exportHelp() string {
	var b strings.Builder
	for _, f := range exportForms() {
		fmt.Fprintf(&b, "\n  %s: %s\n", f.name, f.why)
		for _, c := range f.clients {
			fmt.Fprintf(&b, "    %-13s %s\n", c.name, c.what)
		}
	}
	return b.String()
}
