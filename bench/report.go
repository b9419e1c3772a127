package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// markdown is the page of benchmarks.
func (r *results) markdown() string {
	var s strings.Builder
	o := r.Origin
	fmt.Fprintf(&s, `# Benchmarks

Written by `+"`make bench`"+`; edit bench/ instead. %s on %s.

Peers: %s; smallstep/pkcs7 v0.2.3 in process.

Each figure is the best of several rounds in which every program has its turn on the same files, which lie %s; before each turn as
much memory as the output and what is held back need was in use once, so that none has to ask a virtual machine's host for it. "CPU" is user
and system time, "wall" the time that a person waits; mailseal lets both cores work where that helps. A ratio is the other's time
divided by mailseal's, wall first and CPU behind it: above 1, mailseal is faster. The floor is the sum of what one core of the same
machine took in the same run for reading, writing, base64, digest, cipher and key operations alone, with Go's own primitives; "of
floor" is how many times that mailseal's wall time was. Go's RSA private operation takes about three times OpenSSL's, which the
4 KiB rows show. mailseal writes its output to disk (fsync) before it says that it is there, which no peer does.
`, o.Date, o.Machine, strings.Join(o.Programs, "; "), o.Files)
	s.WriteString("\n## Whole processes\n\nPeak is the resident memory. The CPU time of gpgsm's private-key operations is its agent's and is not counted. Verifying ends with the verdict; opening writes what was signed, too.\n")
	r.table(&s, "process", true)
	s.WriteString("\n## In process\n\nsmallstep/pkcs7 verifies the chain each time, all of its signatures. Of raw CMS mailseal verifies the signature; of mail the chain too, whose signatures it knows (certpath.Known) after the first time. \"Of key\" is how many times the wall time of the key operation of a short message alone, which has its turn in each round, its own was; the digest of 4 KiB is in it.\n")
	r.table(&s, "library", false)
	r.rateTable(&s)
	r.floorTable(&s)
	r.initTable(&s)
	return s.String()
}

func (r *results) table(s *strings.Builder, where string, peaks bool) {
	all := slices.DeleteFunc(cells(where, true), func(c cell) bool { return r.Cells[c.String()] == nil })
	peers := r.peers(all)
	fmt.Fprintf(s, "\n| task | form | with | size | to | CPU | wall | of floor |")
	if peaks {
		s.WriteString(" peak |")
	} else {
		s.WriteString(" of key |")
	}
	for _, p := range peers {
		fmt.Fprintf(s, " %s |", p)
	}
	fmt.Fprintf(s, "\n|%s\n", strings.Repeat("---|", 9+len(peers)))
	for _, c := range all {
		row := r.Cells[c.String()]
		ours := row["mailseal"]
		if ours == nil {
			continue
		}
		fmt.Fprintf(s, "| %s | %s | %s | %s | %s | %s | %s | %.2f |", c.task, c.form, c.variant, sizeName(c.size), c.crowd(),
			milliseconds(ours.CPU), milliseconds(ours.Wall), ratio(ours.Wall, r.floor(c)))
		if peaks {
			fmt.Fprintf(s, " %d MiB |", ours.Peak/mib)
		} else if key := row[keyAlone]; key != nil {
			fmt.Fprintf(s, " %.2f |", ratio(ours.Wall, key.Wall))
		} else {
			s.WriteString(" |")
		}
		for _, p := range peers {
			s.WriteString(" " + against(ours, row[p], peaks) + " |")
		}
		s.WriteString("\n")
	}
}

func (c cell) crowd() string {
	if c.signs() {
		return ""
	}
	return fmt.Sprint(c.recipients)
}

func against(ours, theirs *result, peak bool) string {
	if theirs == nil {
		return ""
	}
	out := fmt.Sprintf("%.2f, %.2f", ratio(theirs.Wall, ours.Wall), ratio(theirs.CPU, ours.CPU))
	if peak {
		out += fmt.Sprintf(" (%d MiB)", theirs.Peak/mib)
	}
	return out
}

// peers are all that have a figure, mailseal apart.
func (r *results) peers(all []cell) []string {
	var names []string
	for _, c := range all {
		for name := range r.Cells[c.String()] {
			if name != "mailseal" && name != keyAlone && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func (r *results) floorTable(s *strings.Builder) {
	s.WriteString("\n## The floors\n\n| primitive | CPU |\n|---|---|\n")
	var names []string
	for name := range r.Floors {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		ns := r.Floors[name]
		if ns > 100 { // an operation
			fmt.Fprintf(s, "| %s | %.0f µs |\n", name, ns/1000)
		} else {
			fmt.Fprintf(s, "| %s | %.0f MB/s |\n", name, 1000/ns)
		}
	}
}

// shown is how many packages the table of start-up times has.
const shown = 15

func (r *results) initTable(s *strings.Builder) {
	var total time.Duration
	for _, i := range r.Inits {
		total += i.Clock
	}
	fmt.Fprintf(s, "\n## Start-up\n\nGo runs the initialization of every package that is linked: %d of them, %s together.\n\n| package | time | allocated |\n|---|---|---|\n",
		len(r.Inits), milliseconds(total))
	inits := slices.SortedFunc(slices.Values(r.Inits), func(a, b initialization) int { return cmp.Compare(b.Clock, a.Clock) })
	for _, i := range inits[:min(shown, len(inits))] {
		fmt.Fprintf(s, "| %s | %.3f ms | %d |\n", i.Package, float64(i.Clock)/float64(time.Millisecond), i.Bytes)
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 1:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.3f ms", ms)
}
