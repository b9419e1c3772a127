package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/internal/inspect"
)

// Exit statuses, the contract with the programs that call us.
const (
	statusYes    = 0 // done; or the answer is yes
	statusNo     = 1 // the answer is no: not valid, nothing here can decrypt it
	statusUsage  = 2 // wrong usage
	statusBroken = 3 // input or environment broken: unreadable, malformed, no such file
)

// exitError is an error that knows its exit status and what the person can do. Any
// other error that reaches report means status 3.
type exitError struct {
	status int
	err    error // nil: the answer was already printed in full
	hint   string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks err as the caller's mistake; the hint says what to write instead.
func usage(err error, hint string, args ...any) error {
	return &exitError{status: statusUsage, err: err, hint: fmt.Sprintf(hint, args...)}
}

// no marks err as an answer: the input was understood and the answer is no.
func no(err error, hint string, args ...any) error {
	return &exitError{status: statusNo, err: err, hint: fmt.Sprintf(hint, args...)}
}

// broken marks err as a fault of input or environment, with a hint.
func broken(err error, hint string, args ...any) error {
	return &exitError{status: statusBroken, err: err, hint: fmt.Sprintf(hint, args...)}
}

// errAnsweredNo ends a command whose printed answer was no.
var errAnsweredNo = &exitError{status: statusNo}

// report prints err, if it was not printed yet, and returns the exit status.
func (p *program) report(err error) int {
	if err == nil {
		return statusYes
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{status: statusBroken}
		if errors.Is(err, context.Canceled) {
			e.hint = "interrupted; no file was left half written"
		}
		p.complain(err, e.hint)
		return e.status
	}
	if e.err != nil {
		// err, not e.err: what was wrapped around it says where.
		p.complain(err, e.hint)
	}
	return e.status
}

// complain writes the two lines that every failure has: what is wrong, and what
// can be done about it.
func (p *program) complain(err error, hint string) {
	p.printf("mailseal: error: {}", p.words().translate(withoutPackages(err.Error())))
	if hint != "" {
		p.printf("mailseal: hint: {}", p.words().translate(hint))
	}
}

var packagePrefix = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^|: )(cms|smime|entity|identity|cades|evidence|ahead|ber): `)
})

// withoutPackages is an error for people, who need not know which package found it.
func withoutPackages(text string) string { return packagePrefix().ReplaceAllString(text, "$1") }

// printf writes a text to standard error. A name in an error may come from a mail.
func (p *program) printf(text, value string) {
	lines := strings.Split(value, "\n")
	for i, line := range lines {
		lines[i] = inspect.Visible(strings.ReplaceAll(line, "\t", "  "))
	}
	fmt.Fprintln(p.stderr, p.words().say(text, strings.Join(lines, "\n")))
}

// say writes a line of talk: never part of a result, so always to standard error.
func (p *program) say(format string, args ...any) {
	fmt.Fprintln(p.stderr, p.words().translate(fmt.Sprintf(format, args...)))
}
