package main

import (
	"bufio"
	"bytes"
	"cmp"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/bench/machine"
)

// origin is where the figures come from.
type origin struct {
	machine.Machine
	Files    string   `json:"files"`
	Date     string   `json:"date"`
	Programs []string `json:"programs"`
}

func (b *bench) origin() origin {
	o := origin{Machine: machine.This(), Files: "in memory", Date: time.Now().UTC().Format(time.DateOnly)}
	if ramDisk() == "" {
		o.Files = "on a disk"
	}
	for _, p := range b.programs {
		if p.version != "" {
			o.Programs = append(o.Programs, p.version)
		}
	}
	return o
}

// initialization is what one package takes when the program starts.
type initialization struct {
	Package string        `json:"package"`
	Clock   time.Duration `json:"clock"`
	Bytes   int64         `json:"bytes"`
}

// initializations asks the runtime, several times, and keeps the best of each.
func (b *bench) initializations() ([]initialization, error) {
	best := map[string]initialization{}
	for range 10 {
		cmd := exec.Command(b.mailseal, "version")
		cmd.Env = append(b.environment(), "GODEBUG=inittrace=1")
		var trace bytes.Buffer
		cmd.Stderr = &trace
		if err := cmd.Run(); err != nil {
			return nil, err
		}
		for in := bufio.NewScanner(&trace); in.Scan(); {
			// init time @0.5 ms, 0.02 ms clock, 1024 bytes, 3 allocs
			words := strings.Fields(in.Text())
			if len(words) < 8 || words[0] != "init" {
				continue
			}
			ms, err := strconv.ParseFloat(words[4], 64)
			if err != nil {
				return nil, err
			}
			octets, err := strconv.ParseInt(words[7], 10, 64)
			if err != nil {
				return nil, err
			}
			one := initialization{words[1], time.Duration(ms * float64(time.Millisecond)), octets}
			if old, ok := best[one.Package]; !ok || one.Clock < old.Clock {
				best[one.Package] = one
			}
		}
	}
	var all []initialization
	for _, one := range best {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b initialization) int {
		return cmp.Or(cmp.Compare(b.Clock, a.Clock), cmp.Compare(a.Package, b.Package))
	})
	return all, nil
}
