package keys

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/token"
)

// Tokens says how keys in PKCS #11 tokens are reached.
type Tokens struct {
	Program string    // of the process that loads modules; empty: mailseal-pkcs11 beside this program or on the path
	Module  string    // where the URI names none
	Environ []string  // of that process
	Stderr  io.Writer // where modules write; nil: nowhere
}

// fromToken opens the one private key that a PKCS #11 URI means.
func (k *Keys) fromToken(text string) (crypto.Signer, error) {
	uri, err := token.ParseURI(text)
	if err != nil {
		return nil, err
	}
	program := k.Tokens.Program
	if program == "" {
		if program, err = token.FindProgram(); err != nil {
			return nil, err
		}
	}
	// The process lives as long as its keys: until Close.
	client, err := token.Start(context.Background(), program, append([]string{}, k.Tokens.Environ...), k.Tokens.Stderr)
	if err != nil {
		return nil, err
	}
	signer, err := k.unlock(client, uri)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	k.mutex.Lock()
	k.clients = append(k.clients, client)
	k.mutex.Unlock()
	return signer, nil
}

// unlock gives the PIN when the token asks for it, and once: it counts.
func (k *Keys) unlock(client *token.Client, uri *token.URI) (crypto.Signer, error) {
	module := uri.Module(k.Tokens.Module)
	found, _, err := client.Open(module, uri, nil)
	if errors.Is(err, token.ErrPINNeeded) {
		if k.Secrets == nil {
			return nil, ErrNoSecret
		}
		pin, err := k.Secrets.PIN("token " + uri.Token)
		if err != nil {
			return nil, err
		}
		defer clear(pin)
		if found, _, err = client.Open(module, uri, pin); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return theSigner(found)
}

// theSigner takes the one key out of the identities, of which there is one for
// each certificate of a key. An authority's key must be named without doubt.
func theSigner(found []*identity.Identity) (crypto.Signer, error) {
	var keys [][]byte
	var signer crypto.Signer
	for _, id := range found {
		s, ok := id.Key.(crypto.Signer)
		if !ok {
			continue
		}
		public, err := cert.MarshalPublicKey(s.Public())
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(b []byte) bool { return bytes.Equal(b, public) }) {
			keys, signer = append(keys, public), s
		}
	}
	switch len(keys) {
	case 0:
		return nil, errors.New("keys: no key that can sign matches the PKCS #11 URI")
	case 1:
		return signer, nil
	}
	return nil, fmt.Errorf("keys: %d keys match the PKCS #11 URI: name one with object= or id=", len(keys))
}

func isToken(uri string) bool { return strings.HasPrefix(strings.ToLower(uri), token.Scheme) }

// Close ends the processes of tokens, which log out.
func (k *Keys) Close() error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	var err error
	for _, c := range k.clients {
		err = errors.Join(err, c.Close())
	}
	k.clients = nil
	return err
}
