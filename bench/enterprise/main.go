// Command enterprise measures what it costs to equip one person of many: for each
// number of people it runs `mailseal demo --enterprise N --json` and writes a table.
// The cost for each person is CPU time, because the machine may have other work;
// it must not grow with the number of people.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/bench/machine"
)

// growth is how much dearer a person may be among the most people than among the
// fewest, whose share of what is done once is larger.
const growth = 1.15

const heading = `# What it costs to equip a person

Written by ` + "`make bench-enterprise`" + `; edit bench/enterprise instead. %s on %s.

` + "`mailseal demo --enterprise N --json`" + `, the whole process: an organization, its domain and its list of people through the REST API, and
for each of them a P-256 key, a certificate that was linted and entered in the audit log, a PKCS #12 file and a mail, on SQLite; the
authority's own key is RSA-4096. The seconds are from the first request until the last mail is queued. A person among the most people may
cost no more than 1.15 times the CPU of one among the fewest. The load is the average of the last minute when the run ended, the run's own
share of about 2 among it: where there was more, other work went on, the seconds are disturbed, and the CPU is what compares.

`

// facts are what the program prints.
type facts struct {
	People  int     `json:"people"`
	Issued  int     `json:"issued"`
	Seconds float64 `json:"seconds"`
	PeakRSS int     `json:"peak_rss_mib"`
}

func main() {
	program := flag.String("mailseal", "../bin/mailseal", "the program")
	people := flag.String("people", "1000 10000 100000", "how many people, the fewest first")
	report := flag.String("report", "", "file to write the table to, too")
	flag.Parse()
	if err := run(*program, strings.Fields(*people), *report); err != nil {
		fmt.Fprintln(os.Stderr, "enterprise:", err)
		os.Exit(1)
	}
}

func run(program string, people []string, report string) error {
	if len(people) == 0 {
		return errors.New("-people names no number")
	}
	here := machine.This()
	table := "| people | issued | seconds | ms for each | CPU seconds | CPU ms for each | load | peak MiB |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
	fmt.Print(table)
	var first, last float64
	for i, text := range people {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		f, cpu, err := measure(program, n)
		if err != nil {
			return fmt.Errorf("%d people: %w", n, err)
		}
		each := cpu * 1000 / float64(n)
		line := fmt.Sprintf("| %d | %d | %.1f | %.1f | %.1f | %.1f | %s | %d |\n", f.People, f.Issued, f.Seconds, f.Seconds*1000/float64(n), cpu, each, machine.This().Load, f.PeakRSS)
		fmt.Print(line)
		table += line
		if i == 0 {
			first = each
		}
		last = each
	}
	if report != "" {
		page := fmt.Sprintf(heading, time.Now().UTC().Format(time.DateOnly), here) + table
		if err := os.WriteFile(report, []byte(page), 0o644); err != nil {
			return err
		}
	}
	if last > growth*first {
		return fmt.Errorf("a person costs %.1f ms among the most people and %.1f among the fewest", last, first)
	}
	return nil
}

// measure runs the program once and says what it printed and the CPU time that
// it took.
func measure(program string, people int) (f facts, cpu float64, err error) {
	cmd := exec.Command(program, "demo", "--enterprise", strconv.Itoa(people), "--json")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return f, 0, err
	}
	if err := json.Unmarshal(out, &f); err != nil {
		return f, 0, err
	}
	if f.Issued != people {
		return f, 0, fmt.Errorf("%d were issued", f.Issued)
	}
	return f, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}
