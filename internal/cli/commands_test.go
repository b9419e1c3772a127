package cli

import "testing"

// TestCommands: a command that is made alone is the one that is called, and is
// like the one among all.
func TestCommands(t *testing.T) {
	all := newRootCommand(&program{}, nil)
	for _, c := range commands() {
		alone := newRootCommand(&program{}, []string{c.name, "--help"})
		made, _, err := alone.Find([]string{c.name})
		if err != nil || made.Name() != c.name {
			t.Errorf("%s calls %v: %v", c.name, made.Name(), err)
			continue
		}
		among, _, err := all.Find([]string{c.name})
		if err != nil || among.UsageString() != made.UsageString() {
			t.Errorf("%s has another usage when it is made alone: %v\n%s\n%s", c.name, err, made.UsageString(), among.UsageString())
		}
		if len(made.Aliases) > 0 {
			t.Errorf("%s has aliases, by which it is not found", c.name)
		}
	}
	if n := len(all.Commands()); n < len(commands())+1 {
		t.Errorf("%d commands of %d", n, len(commands()))
	}
}
