// Command mutation changes the code that decides what a person may believe, one
// small change at a time, and runs its package's tests: a change that no test
// notices is a rule that nobody holds. make mutation runs it.
//
//	go run ./scripts/mutation             all targets, report to standard output
//	go run ./scripts/mutation certpath    one of them
//
// Survivors that change nothing that anybody could see are explained in
// explained.txt, one on a line: the mutant's name (or its beginning and a star), a
// tab, why. Any other survivor
// fails the run when fewer than 90 percent are killed.
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// target is a package with the files that are changed and the tests that are run.
type target struct {
	dir   string
	files []string // none: all
	tests *regexp.Regexp
	leave *regexp.Regexp // tests that are not run: slow, and about time
}

var targets = []target{
	{dir: "certpath", leave: regexp.MustCompile(`^TestExampleFiles$`)},
	{dir: "smime", files: []string{"binding.go", "conclude.go", "judge.go", "protectedheader.go", "revoked.go", "signedlayer.go", "verdict.go"},
		leave: regexp.MustCompile(`^Test(ExampleFiles|CompressionBomb|Mutants|ManySlowChains)$`)},
	{dir: "internal/mailbox"},
}

// wanted is the share of mutants that must be killed, of those that are not
// explained as equivalent.
const wanted = 0.90

//go:embed runtime.go.txt
var runtimeText string

//go:embed tests.go.txt
var testsText string

//go:embed explained.txt
var explainedText string

func main() {
	ok := true
	for _, t := range targets {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], t.dir) {
			continue
		}
		good, err := t.run()
		if err != nil {
			fmt.Fprintln(os.Stderr, "scripts/mutation: error:", err)
			os.Exit(3)
		}
		ok = ok && good
	}
	if !ok {
		os.Exit(1)
	}
}

func (t target) run() (bool, error) {
	work, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	mutants, binary, err := t.build(work)
	if err != nil {
		return false, err
	}
	fate, err := t.judge(binary, mutants)
	if err != nil {
		return false, err
	}
	return report(t.dir, mutants, fate), nil
}

// build compiles all mutants into one binary. Those that do not compile, because
// a type does not allow them, are left out, and it is tried again.
func (t target) build(work string) ([]mutant, string, error) {
	disabled := map[string]bool{}
	binary := filepath.Join(work, "mutants.test")
	for range 12 {
		var mutants []mutant
		overlay, err := t.overlay(work, disabled, &mutants)
		if err != nil {
			return nil, "", err
		}
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", binary, "./"+t.dir)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return mutants, binary, nil
		}
		before := len(disabled)
		disable(string(out), work, mutants, disabled)
		if len(disabled) == before {
			return nil, "", fmt.Errorf("does not compile: %.2000s", out)
		}
	}
	return nil, "", errors.New("does not compile, whatever is left out")
}

// compileError has no column where the line is long; then its text has a mark.
var compileError = regexp.MustCompile(`(?m)([\w./-]+\.go):(\d+):(?:(\d+):)? (.*)`)

// disable leaves out the mutants at which the compiler complains: those with a
// mark on that line of the instrumented file.
func disable(out, work string, mutants []mutant, disabled map[string]bool) {
	for _, m := range compileError.FindAllStringSubmatch(out, -1) {
		source, err := os.ReadFile(filepath.Join(work, filepath.Base(m[1])))
		if err != nil {
			continue
		}
		n, _ := strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		lines := strings.Split(string(source), "\n")
		if n > len(lines) {
			continue
		}
		line := lines[n-1]
		if m[3] == "" {
			line = m[4]
		}
		if id := nearest(line, column); id > 0 && id <= len(mutants) {
			c := mutants[id-1]
			disabled[fmt.Sprintf("%s@%d", c.key(), c.begin)] = true
		}
	}
}

var mark = regexp.MustCompile(`(active|less|lessEqual|greater|greaterEqual|plus|minus|oneMore)\((\d+)`)

// nearest finds the mark next to a column; those that depend on types first.
func nearest(line string, column int) int {
	best, distance := 0, 1<<30
	for _, m := range mark.FindAllStringSubmatchIndex(line, -1) {
		d := max(m[0]-column+1, column-1-m[0])
		if line[m[2]:m[3]] == "active" {
			d += 1000
		}
		if d < distance {
			best, _ = strconv.Atoi(line[m[4]:m[5]])
			distance = d
		}
	}
	return best
}

// overlay writes the instrumented files and the file that puts them in place.
func (t target) overlay(work string, disabled map[string]bool, mutants *[]mutant) (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, t.dir)
	replace := map[string]string{}
	put := func(name string, data []byte) error {
		path := filepath.Join(work, name)
		replace[filepath.Join(dir, name)] = path
		return os.WriteFile(path, data, 0o600)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	pkg := filepath.Base(t.dir)
	var tests strings.Builder
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasSuffix(name, "_test.go"):
			if err := t.findTests(filepath.Join(dir, name), pkg, &tests); err != nil {
				return "", err
			}
		case strings.HasSuffix(name, ".go") && (t.files == nil || slices.Contains(t.files, name)):
			source, err := instrumentFile(filepath.Join(dir, name), disabled, mutants)
			if err == nil {
				err = put(name, source)
			}
			if err != nil {
				return "", err
			}
		}
	}
	fill := strings.NewReplacer("PACKAGE", pkg, "MUTANTS", strconv.Itoa(len(*mutants)), "TESTS", tests.String())
	if err := errors.Join(put("zz_mutation.go", []byte(fill.Replace(runtimeText))),
		put("zz_mutation_test.go", []byte(fill.Replace(testsText)))); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(work, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}

// findTests lists the tests of a file that is in the package itself.
func (t target) findTests(path, pkg string, tests *strings.Builder) error {
	tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil || tree.Name.Name != pkg {
		return err
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
			continue
		}
		if t.tests != nil && !t.tests.MatchString(f.Name.Name) || t.leave != nil && t.leave.MatchString(f.Name.Name) {
			continue
		}
		fmt.Fprintf(tests, "\t\t{Name: %q, F: %s},\n", f.Name.Name, f.Name.Name)
	}
	return nil
}

// patience is how long the tests of one mutant may take, beside three times what
// they take without it; a mutant that makes a loop endless ends so.
const patience = 15 * time.Second

// workers run at once.
const workers = 2

// judge runs the tests without a mutant, and then divides the mutants among the
// workers.
func (t target) judge(binary string, mutants []mutant) (map[int]string, error) {
	n := len(mutants)
	if _, err := t.share(binary, n+1, n, nil); err != nil {
		return nil, err
	}
	fate := map[int]string{}
	var lock sync.Mutex
	learn := func(id int, what string) {
		lock.Lock()
		defer lock.Unlock()
		fate[id] = what
		if !strings.HasPrefix(what, "killed") {
			fmt.Fprintf(os.Stderr, "%s: %s/%s:%d %s\n", what, t.dir, mutants[id-1].file, mutants[id-1].line, mutants[id-1].key())
		}
		if len(fate)%50 == 0 {
			fmt.Fprintf(os.Stderr, "%s: %d of %d\n", t.dir, len(fate), n)
		}
	}
	errs := make(chan error, workers)
	for w := range workers {
		go func() { errs <- t.all(binary, n*w/workers+1, n*(w+1)/workers, learn) }()
	}
	var err error
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return fate, err
}

// all judges a range. A mutant that crashes the process or does not end is
// killed, and the next process begins behind it.
func (t target) all(binary string, from, to int, learn func(int, string)) error {
	for from <= to {
		last, err := t.share(binary, from, to, learn)
		if err != nil {
			return err
		}
		from = last + 1
	}
	return nil
}

// share runs one process and returns the last mutant that it came to.
func (t target) share(binary string, from, to int, learn func(int, string)) (last int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd := exec.Command(binary, "-test.timeout=0", "-test.run=^TestMutants$")
	cmd.Dir, cmd.ExtraFiles = t.dir, []*os.File{w}
	cmd.Env = append(os.Environ(), "MUTATION_FROM="+strconv.Itoa(from), "MUTATION_TO="+strconv.Itoa(to),
		"MUTATION_PATIENCE="+patience.String(), "MUTATION_BASE="+binary+".base")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	w.Close()
	open := false // a mutant has begun and not ended
	for lines := bufio.NewScanner(r); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "fails" {
			return 0, fmt.Errorf("%s: a test %s", t.dir, lines.Text())
		}
		number, by, _ := strings.Cut(rest, " ")
		last, err = strconv.Atoi(number)
		if open = word == "begin"; !open {
			learn(last, strings.TrimSpace(word+" "+by))
		}
	}
	err = cmd.Wait()
	switch {
	case open:
		learn(last, "killed by a crash")
	case last == 0 && from <= to:
		return 0, fmt.Errorf("%s: the tests do not run: %w", t.dir, err)
	}
	return last, nil
}

// explain finds the line about a mutant: its name, or the beginning of it with a
// star.
func explain(explained map[string]string, name string) string {
	for key, why := range explained {
		if begin, open := strings.CutSuffix(key, "*"); key == name || open && strings.HasPrefix(name, begin) {
			return why
		}
	}
	return ""
}

// report prints the score and every survivor, and tells whether it is good enough.
func report(dir string, mutants []mutant, fate map[int]string) bool {
	explained := map[string]string{}
	for line := range strings.Lines(explainedText) {
		if key, why, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			explained[key] = why
		}
	}
	killed, equivalent := 0, 0
	var survivors []string
	for _, m := range mutants {
		name := dir + "/" + m.key()
		switch why := explain(explained, name); {
		case strings.HasPrefix(fate[m.id], "killed"):
			killed++
		case why != "":
			equivalent++
		default:
			survivors = append(survivors, fmt.Sprintf("%s:%d: %s (%s)", dir, m.line, name, fate[m.id]))
		}
	}
	score := float64(killed) / float64(max(1, len(mutants)-equivalent))
	fmt.Printf("%s: %d mutants, %d killed, %d explained as equivalent, %d survive: %.1f percent\n",
		dir, len(mutants), killed, equivalent, len(survivors), 100*score)
	for _, s := range survivors {
		fmt.Println("  " + s)
	}
	return score >= wanted
}
