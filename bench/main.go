// Command bench measures mailseal beside other software that does the same, in
// one run on the same files, and reports ratios: they mean more than seconds,
// which are those of one machine.
//
// Each cell is measured in rounds in which every program has its turn, and the
// best counts. Whole processes come first, then the library in this process, and
// the floors: what the machine needs for the bare digest, cipher, key operation,
// reading and writing. Nothing is simulated: what is verified and decrypted is
// what the other tasks made.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func main() {
	var b bench
	var store, report, filter string
	var full, rate bool
	flag.StringVar(&b.mailseal, "mailseal", "../bin/mailseal", "the program to measure")
	flag.BoolVar(&full, "full", false, "measure 1 GiB too, and many recipients at every size")
	flag.StringVar(&store, "results", "", "`FILE` that keeps what was measured, to go on later; empty keeps nothing")
	flag.StringVar(&report, "report", "", "`FILE` to write the tables to, beside standard output")
	flag.StringVar(&filter, "only", "", "measure only the cells whose name has all of these words")
	flag.BoolVar(&rate, "rate", false, "measure only how fast one process opens many mails")
	flag.IntVar(&b.most, "rounds", 6, "rounds for the smallest messages; larger ones have fewer")
	flag.Parse()
	run := func() error { return b.run(full, store, report, filter) }
	if rate {
		run = b.onlyRates
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	dir, mailseal string
	java          string // the driver of Bouncy Castle
	most          int    // rounds
	size          int64  // of the content at hand
	programs      []program
	operations    map[string]func() error // of keys, alone
	results       *results
}

// ramDisk is a folder in memory, where there is one with room for the largest
// cells: what is measured are programs, not a disk. Otherwise it is "", the
// folder for temporary files.
func ramDisk() string {
	const dir, room = "/dev/shm", 10 * gib
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || int64(fs.Bavail)*fs.Bsize < room {
		return ""
	}
	return dir
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// onlyRates needs no peers and keeps nothing.
func (b *bench) onlyRates() (err error) {
	if b.results, err = load(""); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "mailseal-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if _, err := b.makeSenders(); err != nil {
		return fmt.Errorf("make keys: %w", err)
	}
	return b.rates()
}

func (b *bench) run(full bool, store, report, filter string) (err error) {
	if b.mailseal, err = filepath.Abs(b.mailseal); err != nil {
		return err
	}
	if b.results, err = load(store); err != nil {
		return err
	}
	// A short path: gpg-agent's socket lies below and must fit 108 octets.
	if b.dir, err = os.MkdirTemp(ramDisk(), "mailseal-bench-"); err != nil {
		return err
	}
	if b.java, err = filepath.Abs("BouncyCastle.java"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.makeKeys(); err != nil {
		return fmt.Errorf("make keys: %w", err)
	}
	defer b.endPeers()
	b.results.Origin = b.origin()
	if err := b.processes(selected(cells("process", full), filter)); err != nil {
		return err
	}
	if b.results.Inits, err = b.initializations(); err != nil {
		return err
	}
	if b.operations, err = keyOperations(); err != nil {
		return err
	}
	if err := b.library(selected(cells("library", full), filter)); err != nil {
		return err
	}
	if err := b.rates(); err != nil {
		return err
	}
	if err := b.floors(); err != nil {
		return fmt.Errorf("floors: %w", err)
	}
	if err := b.results.save(); err != nil {
		return err
	}
	text := b.results.markdown()
	fmt.Print(text)
	if report == "" {
		return nil
	}
	return os.WriteFile(report, []byte(text), 0o644)
}
