package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/smime"
)

// addProfileFlag adds --profile, which says what it is for where it is used.
func addProfileFlag(cmd *cobra.Command, name *string, use string) {
	var names []string
	for _, p := range smime.Profiles() {
		names = append(names, p.Name)
	}
	cmd.Flags().StringVar(name, "profile", names[0], fmt.Sprintf("`NAME` of the choices %s: %s", use, strings.Join(names, ", ")))
}

// profile is what --profile names.
func profile(name string) (*smime.Profile, error) {
	p, err := smime.ParseProfile(name)
	if err == nil {
		return p, nil
	}
	var about []string
	for _, known := range smime.Profiles() {
		about = append(about, known.Name+" ("+known.About+")")
	}
	return nil, usage(fmt.Errorf("no profile %q", name), "%s", strings.Join(about, "; "))
}

// writingProfile is profile for what writes a mail.
func writingProfile(name string) (*smime.Profile, error) {
	p, err := profile(name)
	if err == nil && p.ReadOnly() {
		return nil, usage(fmt.Errorf("profile %s reads old mail and writes none", p.Name), "leave --profile out, or name another")
	}
	return p, err
}
