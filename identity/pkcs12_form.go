package identity

import (
	"slices"
	"strings"
)

// PKCS12Form is a form of PKCS #12 and the software that imports it.
type PKCS12Form struct {
	Name    string
	Options PKCS12Options
	Why     string
	Clients []PKCS12Client
}

// PKCS12Client is software that imports a form, by the name that people choose it by.
type PKCS12Client struct{ Name, What string }

// PKCS12Forms says what each client really imports. The first form, and in it the
// first name, is the default.
func PKCS12Forms() []PKCS12Form {
	return []PKCS12Form{
		{
			Name: "AES-256, MAC with SHA-256",
			Why:  "what today's software reads",
			Clients: []PKCS12Client{
				{"any", "the default"},
				{"thunderbird", "Thunderbird, Firefox, Evolution: all with NSS"},
				{"outlook", "Outlook on Windows 10 (1709), Server 2019 or newer"},
				{"openssl", "OpenSSL 1.0 or newer, mutt, curl, ..."},
				{"java", "keytool of JDK 8u301, 11.0.12 or newer"},
			},
		},
		{
			Name:    "3DES, MAC with SHA-1",
			Options: PKCS12Options{Compatible: true},
			Why:     "older encryption, for those that refuse the newer: choose a long passphrase",
			Clients: []PKCS12Client{
				{"apple", "Keychain and Mail on macOS: several versions call the newer form a wrong password"},
				{"ios", "Mail on iPhone and iPad"},
				{"android", "Android's own store of certificates, FairEmail"},
				{"gnupg", "gpgsm, Kleopatra, KMail, Claws: GnuPG 2.2 reads no other; RSA keys only"},
				{"windows-2016", "Windows before 10 (1709), Server 2016"},
			},
		},
		{
			Name:    "AES-256, PBMAC1 (RFC 9879)",
			Options: PKCS12Options{PBMAC1: true},
			Why:     "no part of it is older than PKCS #5; few read it yet",
			Clients: []PKCS12Client{{"pbmac1", "OpenSSL 3.4 or newer, and where FIPS 140 rules"}},
		},
	}
}

// PKCS12FormFor returns the form that a client imports; false: no such client is
// known.
func PKCS12FormFor(client string) (PKCS12Form, bool) {
	for _, f := range PKCS12Forms() {
		if slices.ContainsFunc(f.Clients, func(c PKCS12Client) bool { return c.Name == strings.ToLower(client) }) {
			return f, true
		}
	}
	return PKCS12Form{}, false
}
