// Command bench measures mailseal beside OpenSSL, in the same run on the same files,
// and prints ratios: they mean more than seconds, which are those of one machine.
//
// For each task and size it runs both programs as whole processes, in turn, and our
// library in this process, and reports the fastest of several runs. Nothing is
// simulated: each result is verified or decrypted by the next task.
package main

import (
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
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "task\tsize\tmailseal\topenssl\tratio\tin process\tmailseal MiB\topenssl MiB\t")
	for _, size := range []int{4 << 10, 16 << 20} {
		if err := b.size(table, size); err != nil {
			return err
		}
	}
	return table.Flush()
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

// task is the same work for both programs and for the library.
type task struct {
	name     string
	mailseal []string
	openssl  []string
	library  func() error
}

func (b *bench) size(table io.Writer, size int) error {
	if err := os.WriteFile(b.path("letter.eml"), letter(size), 0o600); err != nil {
		return err
	}
	lib, err := b.library()
	if err != nil {
		return err
	}
	for _, t := range []task{
		{"sign", words("sign --as alice.both -o ours.signed letter.eml"),
			words("cms -sign -in letter.eml -signer alice.pem -inkey alice.key -md sha256 -out theirs.signed"), lib.sign},
		{"verify", words("verify --trust root.pem --content content ours.signed"),
			words("cms -verify -in theirs.signed -CAfile root.pem -purpose smimesign -out content2"), lib.verify},
		{"encrypt", words("encrypt --to alice.pem -o ours.enc letter.eml"),
			words("cms -encrypt -aes256 -in letter.eml -out theirs.enc alice.pem"), lib.encrypt},
		{"decrypt", words("decrypt --as alice.both -o content ours.enc"),
			words("cms -decrypt -in theirs.enc -recip alice.pem -inkey alice.key -out content2"), lib.decrypt},
	} {
		if err := b.measure(table, t, size); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

func words(line string) []string { return strings.Fields(line) }

// measure runs both programs in turn, so that a busy machine disturbs both.
func (b *bench) measure(table io.Writer, t task, size int) error {
	ours, theirs, library := time.Hour, time.Hour, time.Hour
	var ourMemory, theirMemory int64
	for range b.rounds {
		d, memory, err := b.exec(b.mailseal, t.mailseal...)
		if err != nil {
			return err
		}
		ours, ourMemory = min(ours, d), max(ourMemory, memory)
		if d, memory, err = b.exec(b.openssl, t.openssl...); err != nil {
			return err
		}
		theirs, theirMemory = min(theirs, d), max(theirMemory, memory)
		begin := time.Now()
		if err := t.library(); err != nil {
			return fmt.Errorf("in process: %w", err)
		}
		library = min(library, time.Since(begin))
	}
	_, err := fmt.Fprintf(table, "%s\t%d KiB\t%s\t%s\t%.2f\t%s\t%d\t%d\t\n", t.name, size>>10, ms(ours), ms(theirs),
		float64(theirs)/float64(ours), ms(library), ourMemory>>20, theirMemory>>20)
	return err
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

// letter is a mail with an attachment of random bytes, so that it has the size.
func letter(size int) []byte {
	attachment := make([]byte, size*3/4)
	_, _ = rand.Read(attachment)
	var b bytes.Buffer
	b.WriteString("From: alice@example.com\r\nTo: bob@example.com\r\nSubject: bench\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(attachment)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}
