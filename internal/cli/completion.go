package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mailseal/mailseal/cms"
)

// completing tells whether a shell asks what could come next; cobra's scripts call
// the program so. Only then is it worth knowing what flags can be given.
func completing(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// addCompletions tells what the values of flags and arguments can be. Where a file can
// be given too, the shell offers files when nothing here fits.
func (p *program) addCompletions(root *cobra.Command) {
	values := map[string]func() []string{
		"as":         p.ownAddresses,
		"to":         p.knownAddresses,
		"address":    p.ownAddresses,
		"local-user": p.ownAddresses,
		"lang":       fixed(languages...),
		"cipher":     cipherNames,
		"digest":     func() []string { return strings.Split(digestNames(), ", ") },
		"oaep":       func() []string { return strings.Split(digestNames(), ", ") },
		"revocation": fixed("off", "online"),
	}
	for _, cmd := range allCommands(root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if list := values[f.Name]; list != nil {
				// The one error says that the flag is not there, and it is.
				_ = cmd.RegisterFlagCompletionFunc(f.Name, completeWith(list))
			}
		})
		switch cmd.CommandPath() {
		case "mailseal id show", "mailseal id export", "mailseal id remove":
			cmd.ValidArgsFunction = completeFirst(p.ownAddresses)
		case "mailseal book show", "mailseal book accept", "mailseal book remove":
			cmd.ValidArgsFunction = completeFirst(p.bookAddresses)
		}
	}
	_ = root.RegisterFlagCompletionFunc("lang", completeWith(fixed(languages...)))
}

func fixed(list ...string) func() []string { return func() []string { return list } }

func completeWith(list func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return beginningWith(list(), typed), cobra.ShellCompDirectiveDefault
	}
}

// completeFirst is for commands with a single argument that is no file.
func completeFirst(list func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return beginningWith(list(), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// beginningWith leaves out what a shell would not take as one plain word.
func beginningWith(list []string, typed string) []string {
	return slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(list))), func(s string) bool {
		return !strings.HasPrefix(s, typed) || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	})
}

// ownAddresses are those that the key store has keys for. A shell can do nothing with
// an error, so there is none.
func (p *program) ownAddresses() (list []string) {
	store, err := p.store()
	if err != nil {
		return nil
	}
	entries, err := store.List()
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !e.Pending {
			list = append(list, e.Address.String())
		}
	}
	return list
}

func (p *program) bookAddresses() (list []string) {
	book, err := p.book()
	if err != nil {
		return nil
	}
	contacts, err := book.List()
	if err != nil {
		return nil
	}
	for _, c := range contacts {
		list = append(list, c.Address.String())
	}
	return list
}

func (p *program) knownAddresses() []string { return append(p.ownAddresses(), p.bookAddresses()...) }

func cipherNames() (list []string) {
	for _, c := range cms.Ciphers() {
		list = append(list, c.String())
	}
	return list
}

// allCommands are root and all below it.
func allCommands(root *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{root}
	for _, c := range root.Commands() {
		list = append(list, allCommands(c)...)
	}
	return list
}
