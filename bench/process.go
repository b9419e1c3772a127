package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// command is one program with its arguments, and what it reads from standard
// input. In a pipeline each reads the output of the one before.
type command struct {
	args  []string
	stdin string
}

// pipeline runs commands in the folder and returns what they took together: the
// sum of the CPU times, the largest peak.
func (b *bench) pipeline(commands []command) (result, error) {
	var r result
	running := make([]*exec.Cmd, len(commands))
	messages := make([]bytes.Buffer, len(commands))
	var previous *os.File
	begin := time.Now()
	for i, c := range commands {
		cmd := exec.Command(c.args[0], c.args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stderr = b.dir, b.environment(), &messages[i]
		if previous != nil {
			cmd.Stdin = previous
		} else if c.stdin != "" {
			cmd.Stdin = strings.NewReader(c.stdin)
		}
		var read, write *os.File
		if i < len(commands)-1 {
			var err error
			if read, write, err = os.Pipe(); err != nil {
				return r, err
			}
			cmd.Stdout = write
		}
		if err := cmd.Start(); err != nil {
			return r, err
		}
		if write != nil {
			_ = write.Close()
		}
		if previous != nil {
			_ = previous.Close()
		}
		running[i], previous = cmd, read
	}
	var failures []error
	for i, cmd := range running {
		if err := cmd.Wait(); err != nil {
			failures = append(failures, fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:min(len(cmd.Args), 20)], " "), err, messages[i].Bytes()))
			continue
		}
		r.CPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		r.Peak = max(r.Peak, peakMemory(cmd.ProcessState))
	}
	r.Wall = time.Since(begin)
	return r, errors.Join(failures...)
}

func (b *bench) environment() []string {
	return append(os.Environ(), "MAILSEAL_HOME="+b.path("home"), "GNUPGHOME="+b.path("gnupg"), "TMPDIR="+b.dir)
}

// peakMemory is the largest resident size of an ended process, in octets. A
// child's count begins with its parent's, so this program stays small while
// whole processes are measured.
func peakMemory(s *os.ProcessState) int64 {
	if usage, ok := s.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10
	}
	return 0
}

// cpu is the time that this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processes measures the cells that the results lack, every program in turn in
// each round, so that a busy machine disturbs all of them.
func (b *bench) processes(all []cell) error {
	for _, c := range all {
		if b.results.Cells[c.String()] != nil {
			continue
		}
		if err := b.process(c); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		if err := b.results.save(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) process(c cell) error {
	if err := b.writeContent(c.size); err != nil {
		return err
	}
	// What is verified or decrypted is the same file for all, made by mailseal.
	if make := c.maker(); make != nil {
		if _, err := b.pipeline(b.mailsealCommands(*make, "input")); err != nil {
			return fmt.Errorf("make its input: %w", err)
		}
	}
	measured := map[string]*result{}
	failed := map[string]bool{}
	for range b.rounds(c) {
		for _, p := range b.programs {
			commands := p.commands(c, "output")
			if commands == nil || failed[p.name] {
				continue
			}
			if err := b.warm(c.size); err != nil {
				return err
			}
			run, err := b.pipeline(commands)
			if err != nil && p.name == "mailseal" {
				return err
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "bench: %s: %s fails and is left out: %v\n", c, p.name, err)
				failed[p.name] = true
				delete(measured, p.name)
				continue
			}
			if measured[p.name] == nil {
				measured[p.name] = &result{}
			}
			measured[p.name].add(run)
		}
	}
	b.results.Cells[c.String()] = measured
	fmt.Fprintf(os.Stderr, "%-52s %s\n", c, summary(measured))
	return nil
}

// warm takes as much memory as a run needs and gives it back: a virtual machine may have
// to ask its host for it first, which is not to be one program's time. An output is up
// to one and a half times the content, and so is what is held back until it is verified.
func (b *bench) warm(size int64) error {
	f, err := os.Create(b.path("output"))
	if err != nil {
		return err
	}
	for left := 3 * size; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:])
	}
	return errors.Join(err, f.Close(), os.Remove(b.path("output")))
}

// zeros are no memory of a run's own, of which the peak of a child begins with its
// parent's.
var zeros [64 << 10]byte

// maker is the cell whose output this one reads.
func (c cell) maker() *cell {
	switch c.task {
	case "verify", "open":
		c.task = "sign"
	case "decrypt":
		c.task = "encrypt"
	default:
		return nil
	}
	return &c
}

// rounds are fewer where a run takes long.
func (b *bench) rounds(c cell) int {
	switch {
	case c.size >= gib:
		return 3
	case c.size >= 64*mib:
		return max(3, b.most*2/3)
	case c.size >= mib || c.recipients > 1:
		return max(2, b.most/2)
	}
	return b.most
}
