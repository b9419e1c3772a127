package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Keeper takes checkpoints to where whoever can write the database cannot go.
type Keeper interface {
	Keep(ctx context.Context, c *Checkpoint) error
}

// AppendTo adds each checkpoint to a file, which may lie on another machine's
// file system, or be a pipe to a program that takes it there.
type AppendTo string

// Keep implements [Keeper].
func (path AppendTo) Keep(_ context.Context, c *Checkpoint) error {
	f, err := os.OpenFile(string(path), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(c.String() + "\n")
	if info, statErr := f.Stat(); statErr == nil && info.Mode().IsRegular() {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

// GiveTo starts a program for each checkpoint and gives it the note as standard
// input: one that mails it, posts it or prints it.
type GiveTo string

// giveTimeout bounds how long that program may take.
const giveTimeout = 30 * time.Second

// Keep implements [Keeper].
func (path GiveTo) Keep(ctx context.Context, c *Checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, giveTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, string(path))
	cmd.Stdin = strings.NewReader(c.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.200s", string(path), err, out)
	}
	return nil
}
