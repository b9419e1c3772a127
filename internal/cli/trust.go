package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/anchors"
)

// trustAnchors returns the certificates at which trust begins: those of the files that
// --trust names, or else every PEM file in the trust folder of the person's home, and
// as the store the authorities that Mozilla trusts for mail.
func (p *program) trustAnchors(files []string) ([]*cert.Certificate, certpath.AnchorStore, error) {
	if len(files) > 0 {
		named, err := readCertificates(files)
		return named, nil, err
	}
	dir, err := p.trustFolder()
	if err != nil {
		return nil, nil, err
	}
	if files, err = pemFiles(dir); err != nil {
		return nil, nil, err
	}
	own, err := readCertificates(files)
	if err != nil {
		return nil, nil, err
	}
	list, err := anchors.Email()
	return own, list, err
}

// timestampAnchors are the roots that are trusted for timestamps alone: those of the
// files, and without --trust those in the person's home.
func (p *program) timestampAnchors(trust, files []string) ([]*cert.Certificate, error) {
	if len(trust) == 0 {
		dir, err := p.trustFolder()
		if err != nil {
			return nil, err
		}
		own, err := pemFiles(filepath.Join(dir, "timestamps"))
		if err != nil {
			return nil, err
		}
		files = slices.Concat(files, own)
	}
	return readCertificates(files)
}

func (p *program) trustFolder() (string, error) {
	home, err := p.home()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "trust"), nil
}

// pemFiles lists the PEM files of a folder, which need not be there.
func pemFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".pem" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// trustRoot makes a root a default anchor and returns the file that does so.
func (p *program) trustRoot(root *cert.Certificate) (string, error) {
	dir, err := p.trustFolder()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, root.SHA256()[:16]+".pem")
	return path, writeFile(path, root.PEM(), modePublic)
}

// readIntermediates is readCertificates for files that may be empty, also /dev/null
// and pipes: a program that has no intermediates to offer may still name the place
// where they would be.
func readIntermediates(files []string) ([]*cert.Certificate, error) {
	return readBundles(files, true)
}

// readCertificates reads every certificate of every file.
func readCertificates(files []string) ([]*cert.Certificate, error) { return readBundles(files, false) }

func readBundles(files []string, mayBeEmpty bool) ([]*cert.Certificate, error) {
	var all []*cert.Certificate
	for _, file := range files {
		data, err := readSmall(file)
		if err != nil {
			return nil, err
		}
		if mayBeEmpty && len(data) == 0 {
			continue
		}
		certs, err := cert.ParseAll(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, certs...)
	}
	return all, nil
}

func readCRLs(files []string) ([]*cert.CRL, error) {
	var all []*cert.CRL
	for _, file := range files {
		data, err := readSmall(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, broken(err, "--crl takes a file; fetch the CRL first")
		}
		if err != nil {
			return nil, err
		}
		crls, err := cert.ParseCRLs(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, crls...)
	}
	return all, nil
}

// fingerprint writes a certificate's SHA-256 as people compare it.
func fingerprint(c *cert.Certificate) string {
	hex := strings.ToUpper(c.SHA256())
	var b strings.Builder
	for i := 0; i < len(hex); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(hex[i:min(i+4, len(hex))])
	}
	return b.String()
}
