// Command bench measures mailseal beside OpenSSL, in the same run on the same files,
// and prints ratios: they mean more than seconds, which are those of one machine.
//
// For each task and size it runs both programs as whole processes, in turn, and our
// library in this process, and reports the fastest of several runs. Nothing is
// simulated: each result is verified or decrypted by the next task.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	mailseal := flag.String("mailseal", "bin/mailseal", "the program to measure")
	openssl := flag.String("openssl", "openssl", "the program to measure it against")
	rounds := flag.Int("rounds", 5, "runs of each cell, of which the fastest counts")
	flag.Parse()
	if err := run(*mailseal, *openssl, *rounds, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(mailseal, openssl string, rounds int, out io.Writer) error {
	program, err := filepath.Abs(mailseal)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mailseal-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, mailseal: program, openssl: openssl, rounds: rounds}
	if err := b.makeKeys(); err != nil {
		return fmt.Errorf("make keys: %w", err)
	}
	version, err := exec.Command(openssl, "version").Output()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "S/MIME mails, RSA-2048, SHA-256, AES-256-CBC, against %s\n", strings.TrimSpace(string(version)))
	fmt.Fprintf(out, "best of %d runs; whole processes unless it says otherwise; ratio above 1: mailseal is faster\n\n", rounds)
	// All whole processes first: a child's peak memory counts from its parent's, and
	// the library's work in this process would be added to both.
	var rows []*row
	for _, size := range []int{4 << 10, 16 << 20} {
		measured, err := b.processes(size)
		if err != nil {
			return err
		}
		rows = append(rows, measured...)
	}
	for i := 0; i < len(rows); i += tasks {
		if err := b.inProcess(rows[i : i+tasks]); err != nil {
			return fmt.Errorf("in process: %w", err)
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "task\tsize\tmailseal\topenssl\tratio\tin process\tmailseal MiB\topenssl MiB\t")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%d KiB\t%s\t%s\t%.2f\t%s\t%d\t%d\t\n", r.task, r.size>>10, ms(r.ours), ms(r.theirs),
			float64(r.theirs)/float64(r.ours), ms(r.library), r.ourMemory>>20, r.theirMemory>>20)
	}
	return table.Flush()
}

// row is one line of the table.
type row struct {
	task                   string
	size                   int
	ours, theirs, library  time.Duration
	ourMemory, theirMemory int64
}

type bench struct {
	dir, mailseal, openssl string
	rounds                 int
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// makeKeys makes a root and a mail certificate under it with OpenSSL.
func (b *bench) makeKeys() error {
	ext := "subjectAltName=email:alice@example.com\nkeyUsage=critical,digitalSignature,keyEncipherment\n" +
		"extendedKeyUsage=emailProtection\nbasicConstraints=CA:false\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
	if err := os.WriteFile(b.path("ext"), []byte(ext), 0o600); err != nil {
		return err
	}
	for _, line := range []string{
		"req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -subj /CN=Bench -addext keyUsage=critical,keyCertSign,cRLSign",
		"req -newkey rsa:2048 -nodes -keyout alice.key -out alice.csr -subj /CN=Alice",
		"x509 -req -in alice.csr -CA root.pem -CAkey root.key -CAcreateserial -out alice.pem -days 20 -extfile ext",
	} {
		if _, _, err := b.exec(b.openssl, strings.Fields(line)...); err != nil {
			return err
		}
	}
	var both []byte
	for _, name := range []string{"alice.pem", "alice.key"} {
		data, err := os.ReadFile(b.path(name))
		if err != nil {
			return err
		}
		both = append(both, data...)
	}
	return os.WriteFile(b.path("alice.both"), both, 0o600)
}

// tasks is how many there are for each size.
const tasks = 4

// processes measures both programs on a mail of one size.
func (b *bench) processes(size int) ([]*row, error) {
	if err := b.writeLetter(size); err != nil {
		return nil, err
	}
	var rows []*row
	for _, t := range [tasks]struct{ name, mailseal, openssl string }{
		{"sign", "sign --as alice.both -o ours.signed letter.eml",
			"cms -sign -in letter.eml -signer alice.pem -inkey alice.key -md sha256 -out theirs.signed"},
		{"verify", "verify --trust root.pem --content content ours.signed",
			"cms -verify -in theirs.signed -CAfile root.pem -purpose smimesign -out content2"},
		{"encrypt", "encrypt --to alice.pem -o ours.enc letter.eml",
			"cms -encrypt -aes256 -in letter.eml -out theirs.enc alice.pem"},
		{"decrypt", "decrypt --as alice.both -o content ours.enc",
			"cms -decrypt -in theirs.enc -recip alice.pem -inkey alice.key -out content2"},
	} {
		r := &row{task: t.name, size: size, ours: time.Hour, theirs: time.Hour, library: time.Hour}
		for range b.rounds { // in turn, so that a busy machine disturbs both
			d, memory, err := b.exec(b.mailseal, strings.Fields(t.mailseal)...)
			if err != nil {
				return nil, err
			}
			r.ours, r.ourMemory = min(r.ours, d), max(r.ourMemory, memory)
			if d, memory, err = b.exec(b.openssl, strings.Fields(t.openssl)...); err != nil {
				return nil, err
			}
			r.theirs, r.theirMemory = min(r.theirs, d), max(r.theirMemory, memory)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// inProcess measures the library on a mail of the size of these rows.
func (b *bench) inProcess(rows []*row) error {
	if err := b.writeLetter(rows[0].size); err != nil {
		return err
	}
	lib, err := b.library()
	if err != nil {
		return err
	}
	for i, work := range [tasks]func() error{lib.sign, lib.verify, lib.encrypt, lib.decrypt} {
		for range b.rounds {
			begin := time.Now()
			if err := work(); err != nil {
				return fmt.Errorf("%s: %w", rows[i].task, err)
			}
			rows[i].library = min(rows[i].library, time.Since(begin))
		}
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

// exec runs a program in the folder and returns its time and its peak memory.
func (b *bench) exec(program string, args ...string) (time.Duration, int64, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "MAILSEAL_HOME="+b.path("home"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin := time.Now()
	err := cmd.Run()
	d := time.Since(begin)
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, stderr.Bytes())
		}
		return 0, 0, err
	}
	return d, peakMemory(cmd.ProcessState), nil
}

// writeLetter writes a mail with an attachment of random bytes, so that it has the
// size, a line at a time.
func (b *bench) writeLetter(size int) error {
	f, err := os.Create(b.path("letter.eml"))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprint(w, "From: alice@example.com\r\nTo: bob@example.com\r\nSubject: bench\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	const width = 57 // 76 characters of base64
	var line [width]byte
	for range size / 78 {
		_, _ = rand.Read(line[:])
		fmt.Fprintf(w, "%s\r\n", base64.StdEncoding.EncodeToString(line[:]))
	}
	return errors.Join(w.Flush(), f.Close())
}
