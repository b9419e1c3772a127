package cli

import (
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/identity"
)

func exportFormFor(client string) (*identity.PKCS12Form, error) {
	if f, known := identity.PKCS12FormFor(client); known {
		return &f, nil
	}
	var names []string
	for _, f := range identity.PKCS12Forms() {
		for _, c := range f.Clients {
			names = append(names, c.Name)
		}
	}
	return nil, usage(fmt.Errorf("--for %s: not known", client), "one of %s; see mailseal id export --help", strings.Join(names, ", "))
}

// exportHelp is the table for people.
func exportHelp() string {
	var b strings.Builder
	for _, f := range identity.PKCS12Forms() {
		fmt.Fprintf(&b, "\n  %s: %s\n", f.Name, f.Why)
		for _, c := range f.Clients {
			fmt.Fprintf(&b, "    %-13s %s\n", c.Name, c.What)
		}
	}
	return b.String()
}
