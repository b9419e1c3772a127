// Command mailseal-pkcs11 uses keys in PKCS #11 tokens on behalf of mailseal, which
// starts it and talks to it over standard input and output. It loads C libraries
// and so is the one program here that is built with cgo; see package token.
package main

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/mailseal/mailseal/internal/token"
	"github.com/mailseal/mailseal/internal/token/cryptoki"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) > 1 || term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintf(os.Stderr, "%s is started by mailseal when an ID begins with pkcs11:, and is of no use alone.\n", token.Program)
		return 2
	}
	out, err := takeStdout()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", token.Program, err)
		return 3
	}
	if err := token.Serve(os.Stdin, out, cryptoki.Open); err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", token.Program, err)
		return 3
	}
	return 0
}
