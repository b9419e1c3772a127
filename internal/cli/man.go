package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeManual writes a manual page for every command into a folder, from the same
// words as --help: mailseal.1, mailseal-sign.1, mailseal-id-request.1. No date is in
// them, so that two builds give the same files.
func (p *program) writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, cmd := range allCommands(root) {
		if cmd.Hidden || cmd.Name() == "help" {
			continue
		}
		page := manualPage(cmd, p.env.Version)
		if err := writeFile(filepath.Join(dir, manualName(cmd)+".1"), []byte(page), modePublic); err != nil {
			return err
		}
	}
	return nil
}

func manualName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manualPage is one page in man(7).
func manualPage(cmd *cobra.Command, version string) string {
	var b strings.Builder
	name := manualName(cmd)
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"mailseal %s\" \"mailseal\"\n.ad l\n", roff(strings.ToUpper(name)), roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nf\n.B %s\n.fi\n", roff(cmd.UseLine()))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", paragraphs(cmd.Long, cmd.Short))
	if below := visible(cmd.Commands()); len(below) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, c := range below {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
		}
	}
	b.WriteString(options(cmd))
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", literal(cmd.Example))
	}
	b.WriteString(exitStatusPage())
	b.WriteString(environmentPage)
	b.WriteString(seeAlso(cmd))
	return b.String()
}

// exitStatusPage says what exitStatusHelp says.
func exitStatusPage() string {
	title, text, _ := strings.Cut(strings.TrimSpace(exitStatusHelp), "\n")
	return ".SH " + title + "\n.nf\n" + literal(text) + "\n.fi\n"
}

const environmentPage = `.SH ENVIRONMENT
.TP
.B MAILSEAL_HOME
folder of keys, trusted roots and the address book; without it, mailseal/ in the
platform's folder for settings
.TP
.B MAILSEAL_PASSPHRASE
passphrase of keys, for programs; it is seen by every program of the same user
.TP
.B MAILSEAL_LANG
language of what is printed about a mail, en or ja; without it LC_ALL, LC_MESSAGES
and LANG are asked
.TP
.B NO_COLOR
no colours, if it is not empty
`

func options(cmd *cobra.Command) string {
	var b strings.Builder
	write := func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n.B ")
		if f.Shorthand != "" {
			b.WriteString(roff("-"+f.Shorthand) + ", ")
		}
		b.WriteString(roff("--" + f.Name))
		if value != "" {
			b.WriteString(" " + roff(value))
		}
		b.WriteString("\n" + roff(text))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			b.WriteString(" (default " + roff(f.DefValue) + ")")
		}
		b.WriteString("\n")
	}
	cmd.InitDefaultHelpFlag()
	cmd.LocalFlags().VisitAll(write)
	cmd.InheritedFlags().VisitAll(write)
	if b.Len() == 0 {
		return ""
	}
	return ".SH OPTIONS\n" + b.String()
}

func seeAlso(cmd *cobra.Command) string {
	var names []string
	if cmd.HasParent() {
		names = append(names, manualName(cmd.Parent()))
	}
	for _, c := range visible(cmd.Commands()) {
		names = append(names, manualName(c))
	}
	if len(names) == 0 {
		return ""
	}
	for i, name := range names {
		names[i] = ".BR " + roff(name) + " (1)"
	}
	return ".SH SEE ALSO\n" + strings.Join(names, ",\n") + "\n"
}

func visible(list []*cobra.Command) (shown []*cobra.Command) {
	for _, c := range list {
		if !c.Hidden && c.Name() != "help" {
			shown = append(shown, c)
		}
	}
	return shown
}

// paragraphs writes text; what is indented in it is kept line by line.
func paragraphs(long, short string) string {
	if long == "" {
		long = short
	}
	var b strings.Builder
	for _, p := range strings.Split(strings.TrimSpace(long), "\n\n") {
		if strings.HasPrefix(p, " ") {
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", literal(p))
			continue
		}
		fmt.Fprintf(&b, ".PP\n%s\n", literal(p))
	}
	return b.String()
}

// literal is roff for each line.
func literal(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = roff(line)
	}
	return strings.Join(lines, "\n")
}

// roff keeps a text from acting on the formatter: no escapes, no requests at the
// beginning of a line, hyphens that can be copied as options, and no letters that it
// would read octet by octet.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "\n", " ").Replace(text)
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	text = b.String()
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
