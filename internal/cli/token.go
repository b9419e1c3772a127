package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/token"
)

// openToken is a token whose process runs until the end of the command.
type openToken struct {
	client     *token.Client
	identities []*identity.Identity
}

// tokenIdentities opens the token that a pkcs11: URI names. Each is opened once,
// however often a command names it: the PIN is asked for once, and counted once.
func (p *program) tokenIdentities(id string, pass *passphraseSource) ([]*identity.Identity, error) {
	if open := p.tokens[id]; open != nil {
		return open.identities, nil
	}
	uri, err := token.ParseURI(id)
	if err != nil {
		return nil, usage(err, "pkcs11:token=LABEL;object=LABEL; the PIN is asked for, or comes with --passphrase-file or in MAILSEAL_PASSPHRASE")
	}
	program, err := token.FindProgram()
	if err != nil {
		return nil, broken(err, "it comes beside mailseal; from source: make pkcs11 (needs a C compiler)")
	}
	client, err := token.Start(context.Background(), program, p.tokenEnviron(), p.stderr)
	if err != nil {
		return nil, err
	}
	fallback, _ := p.env.LookupEnv("MAILSEAL_PKCS11_MODULE")
	found, notice, err := openWithPIN(client, uri.Module(fallback), uri, func() ([]byte, error) { return pass.read(id) })
	if err != nil {
		return nil, tokenFault(errors.Join(err, client.Close()))
	}
	if notice != "" {
		p.say("mailseal: warning: %s", notice)
	}
	if p.tokens == nil {
		p.tokens = map[string]*openToken{}
	}
	p.tokens[id] = &openToken{client, found}
	return found, nil
}

// openWithPIN asks for the PIN when the token does, and tries once.
func openWithPIN(client *token.Client, module string, uri *token.URI, ask func() ([]byte, error)) ([]*identity.Identity, string, error) {
	found, notice, err := client.Open(module, uri, nil)
	if !errors.Is(err, token.ErrPINNeeded) {
		return found, notice, err
	}
	pin, err := ask()
	if err != nil {
		return nil, "", err
	}
	defer clear(pin)
	return client.Open(module, uri, pin)
}

// tokenEnviron is the environment without the secret that is not for the modules.
func (p *program) tokenEnviron() []string {
	if p.env.Environ == nil {
		return []string{}
	}
	return slices.DeleteFunc(p.env.Environ(), func(s string) bool { return strings.HasPrefix(s, "MAILSEAL_PASSPHRASE=") })
}

func tokenFault(err error) error {
	switch {
	case errors.Is(err, token.ErrPIN):
		return broken(err, "the token counts wrong PINs and locks itself after a few: be sure before the next try")
	case errors.Is(err, token.ErrPINLocked):
		return broken(err, "unlock it with its own tool and the PUK or security officer's PIN")
	case errors.Is(err, token.ErrAmbiguous), errors.Is(err, token.ErrNotFound):
		return broken(err, "pkcs11:token=LABEL;object=LABEL?module-path=/path/to/module.so; p11-kit list-tokens or pkcs11-tool -L shows what there is")
	}
	return err
}

// closeTokens ends the processes of all tokens.
func (p *program) closeTokens() {
	for id, open := range p.tokens {
		if err := open.client.Close(); err != nil {
			p.say("mailseal: warning: %s: %v", id, fmt.Errorf("close the token: %w", err))
		}
	}
	p.tokens = nil
}
