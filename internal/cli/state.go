package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
)

// stateFlags say where an authority's state is.
type stateFlags struct {
	data string
	db   string
}

func (s *stateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.data, "data", "./var", "`DIR` of the database and the authority's keys")
	cmd.Flags().StringVar(&s.db, "db", "", "postgres:// `URL` of the database, when it is not in --data (or: MAILSEAL_DB)")
}

// source names the database.
func (s *stateFlags) source(p *program) (string, error) {
	db, err := p.database(s.db)
	if err == nil && db == "" {
		db = filepath.Join(s.data, "mailseal.db")
	}
	return db, err
}

// look opens the database for looking.
func (s *stateFlags) look(ctx context.Context, p *program) (*store.DB, error) {
	source, err := s.source(p)
	if err != nil {
		return nil, err
	}
	db, err := store.OpenToLook(ctx, source)
	if errors.Is(err, os.ErrNotExist) {
		return nil, broken(err, "name the folder of the authority with --data DIR, or its database with --db URL")
	}
	return db, err
}

// open opens a database that is there, and that a server of this version may be
// using: its tables are not brought to another version.
func (s *stateFlags) open(ctx context.Context, p *program) (*store.DB, error) {
	look, err := s.look(ctx, p)
	if err != nil {
		return nil, err
	}
	version, err := look.Version(ctx)
	if err := errors.Join(err, look.Close()); err != nil {
		return nil, err
	}
	if newest, err := store.Newest(); err != nil {
		return nil, err
	} else if version != newest {
		return nil, broken(fmt.Errorf("the database has tables of version %d, and this program makes version %d", version, newest),
			"use the program that serves it")
	}
	source, err := s.source(p)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, source)
}

// keyFlags say where the secrets come from that open an authority's keys.
type keyFlags struct {
	passphrase string
	pin        string
}

func (k *keyFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&k.passphrase, "passphrase-file", "", "`FILE` (mode 0600) whose first line is the passphrase of the folder's keys (else the systemd credential "+keys.PassphraseCredential+", else a prompt)")
	f.StringVar(&k.pin, "pin-file", "", "`FILE` (mode 0600) whose first line is the PIN of the token (else the systemd credential "+keys.PINCredential+", else a prompt)")
}

// authorityKeys opens keys with what the command line and systemd gave.
func (p *program) authorityKeys(dir string, k *keyFlags, plaintext bool) *keys.Keys {
	credentials, _ := p.env.LookupEnv(credentialsVariable)
	module, _ := p.env.LookupEnv("MAILSEAL_PKCS11_MODULE")
	return &keys.Keys{
		Dir: dir, Plaintext: plaintext,
		Secrets: &keys.Secrets{PassphraseFile: k.passphrase, PINFile: k.pin, Credentials: credentials, Ask: p.askSecret},
		Tokens:  keys.Tokens{Module: module, Environ: p.tokenEnviron(), Stderr: p.stderr},
	}
}
