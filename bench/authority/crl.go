package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// A large list, as a process that ends: what it took of the processor and of
// memory is what the system says of it.
//
// mailseal's revokes one more certificate in a store that has the entries: it
// opens the store, reads them, signs the list and stores it. OpenSSL's reads
// them from its index and writes a file. Go's has them in memory and signs.

// listing is what one list took.
type listing struct {
	cpu, wall time.Duration
	peak      int64 // resident, octets
}

// storeFile is mailseal's database in its data folder.
const storeFile = "mailseal.db"

// goListCommand is the argument with which this program is Go's process.
const goListCommand = "-list-by-go"

// measureLists returns the best of the rounds by name. Memory is the largest
// that a round took.
func measureLists(ctx context.Context, o options, dir string) (map[string]listing, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ours, err := largeStore(ctx, o, filepath.Join(dir, "data"))
	if err != nil {
		return nil, fmt.Errorf("mailseal: %w", err)
	}
	openssl, err := largeIndex(o, filepath.Join(dir, "openssl"))
	if err != nil {
		return nil, fmt.Errorf("openssl: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	best := map[string]listing{}
	for round := range o.rounds {
		for name, args := range map[string][]string{
			"mailseal": append(slices.Clone(ours), goodSerial(round)),
			"Go":       {self, goListCommand, strconv.Itoa(o.entries)},
			"OpenSSL":  openssl,
		} {
			if name == "OpenSSL" && round > 0 {
				continue // takes as long every time
			}
			l, err := runListing(ctx, args)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(os.Stderr, "%-10s list of %d: %s of CPU, %s, %d MiB\n", name, o.entries, l.cpu, l.wall, l.peak>>20)
			if b, before := best[name]; before {
				l.peak = max(l.peak, b.peak)
				l.cpu, l.wall = min(l.cpu, b.cpu), min(l.wall, b.wall)
			}
			best[name] = l
		}
	}
	return best, checkStoredList(ctx, filepath.Join(dir, "data"), o.entries+o.rounds+1)
}

func runListing(ctx context.Context, args []string) (listing, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return listing{}, fmt.Errorf("%w: %.300s", err, out)
	}
	l := listing{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), wall: time.Since(begin)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		l.peak = usage.Maxrss << 10
	}
	return l, nil
}

// largeStore makes an authority with many revoked certificates, and some that
// are not, whose serial numbers are 01 and their number in hexadecimal. It
// returns the command that revokes one, without the serial number.
func largeStore(ctx context.Context, o options, data string) ([]string, error) {
	create := exec.CommandContext(ctx, o.mailseal, "ca", "init", "--dev", "--yes", "--data", data, "--algorithm", "p-256",
		"--operator", "Bench", "--base-url", "http://127.0.0.1:1")
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ca init: %w: %s", err, out)
	}
	db, err := sql.Open("sqlite", filepath.Join(data, storeFile))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	now := time.Now().Unix()
	for _, statement := range []string{
		`PRAGMA synchronous = OFF`,
		`INSERT INTO profiles (hash, config, first_used) VALUES (x'00', '{}', 0) ON CONFLICT DO NOTHING`,
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1)
			INSERT INTO certificates (id, authority_id, serial, state, profile_hash, key_hash, der, not_after, reserved_at, issued_at,
				revoked_at, revoked_for, note, ocsp_due)
			SELECT printf('c%%08d', i), a.id, CAST(unhex(printf('40%%08x', i)) || randomblob(11) AS BLOB), 'issued', x'00',
				CAST(printf('%%032d', i) AS BLOB), x'3000', %[2]d + 31536000, %[2]d, %[2]d, %[2]d - i %% 10000000, (i %% 2) * 4, '', NULL
			FROM n, authorities a WHERE a.name = 'issuing'`, o.entries, now),
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1)
			INSERT INTO certificates (id, authority_id, serial, state, profile_hash, key_hash, der, not_after, reserved_at, issued_at, note, ocsp_due)
			SELECT 'good' || i, a.id, unhex(printf('01%%030x', i)), 'issued', x'00', CAST('good' || i AS BLOB), x'3000',
				%[2]d + 31536000, %[2]d, %[2]d, '', NULL
			FROM n, authorities a WHERE a.name = 'issuing'`, o.rounds+1, now),
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("fill the store: %w", err)
		}
	}
	// There is a list, as there always is: the authority's first one was signed
	// when it was made.
	revoke := []string{o.mailseal, "ca", "revoke", "--dev", "--data", data, "--reason", "superseded"}
	_, err = runListing(ctx, append(slices.Clone(revoke), goodSerial(o.rounds)))
	return revoke, err
}

// goodSerial is the serial number of a certificate that is not revoked yet.
func goodSerial(i int) string { return fmt.Sprintf("01%030x", i) }

// checkStoredList reads the newest list with another program than the one that
// made it.
func checkStoredList(ctx context.Context, data string, entries int) error {
	db, err := sql.Open("sqlite", filepath.Join(data, storeFile))
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT octets FROM crl_pieces p, authorities a
		WHERE a.name = 'issuing' AND p.authority_id = a.id AND p.number = a.crl_number ORDER BY position`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var der []byte
	for rows.Next() {
		var piece []byte
		if err := rows.Scan(&piece); err != nil {
			return err
		}
		der = append(der, piece...)
	}
	list, err := x509.ParseRevocationList(der)
	if err := errors.Join(err, rows.Err()); err != nil {
		return fmt.Errorf("read mailseal's list: %w", err)
	}
	if len(list.RevokedCertificateEntries) != entries {
		return fmt.Errorf("mailseal's list has %d entries, want %d", len(list.RevokedCertificateEntries), entries)
	}
	return nil
}

// largeIndex writes what `openssl ca` reads.
func largeIndex(o options, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := newHierarchy(dir); err != nil {
		return nil, err
	}
	var index bytes.Buffer
	for i := range o.entries {
		reason := ""
		if i%2 == 1 {
			reason = ",superseded"
		}
		fmt.Fprintf(&index, "R\t491231235959Z\t%s%s\t%s\tunknown\t/CN=%d\n", time.Now().UTC().Format("060102150405Z"), reason, listSerial(i).Text(16), i)
	}
	config := fmt.Sprintf(`[ca]
default_ca = bench
[bench]
database = %[1]s/index.txt
certificate = %[1]s/issuing.pem
private_key = %[1]s/issuing.key
crlnumber = %[1]s/number
default_md = sha256
default_crl_days = 7
`, dir)
	for name, data := range map[string][]byte{"index.txt": index.Bytes(), "ca.cnf": []byte(config), "number": []byte("01\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return []string{"openssl", "ca", "-config", filepath.Join(dir, "ca.cnf"), "-gencrl", "-out", filepath.Join(dir, "crl.pem")}, nil
}

// listSerial is a serial number of 16 octets.
func listSerial(i int) *big.Int {
	n := big.NewInt(int64(i) + 0x40<<24)
	return n.Lsh(n, 96)
}

// listByGo is Go's process.
func listByGo(entries int) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	issuer := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bench"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7)}
	for i := range entries {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: listSerial(i), RevocationTime: now, ReasonCode: i % 2 * 4,
		})
	}
	_, err = x509.CreateRevocationList(rand.Reader, template, issuer, key)
	return err
}
