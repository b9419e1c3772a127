package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersionCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version [--json]",
		Short:   "print the version",
		GroupID: groupServer,
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return p.runVersion(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func (p *program) runVersion(asJSON bool) error {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if asJSON {
		return p.printJSON(map[string]string{"version": p.env.Version, "go": runtime.Version(), "platform": platform})
	}
	_, err := fmt.Fprintf(p.stdout, "mailseal %s (%s, %s)\n", p.env.Version, runtime.Version(), platform)
	return err
}

// printJSON writes one object to standard output, as every --json does.
func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
