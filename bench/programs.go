package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// program is one of those that are measured as whole processes.
type program struct {
	name    string
	version string
	// commands are the command lines for a cell; nil where it has none.
	commands func(c cell, out string) []command
}

func line(format string, args ...any) command {
	return command{args: strings.Fields(fmt.Sprintf(format, args...))}
}

func (b *bench) mailsealCommands(c cell, out string) []command {
	prefix, content := b.mailseal, "letter.eml"
	if c.form == "cms" {
		prefix, content = b.mailseal+" cms", "content"
	}
	as, to, cipher := c.variant+".both", fmt.Sprintf("to%d.pem", c.recipients), "aes-256-"+c.variant
	switch c.form + " " + c.task {
	case "cms sign":
		return []command{line("%s sign --as %s --detached -o %s %s", prefix, as, out, content)}
	case "mail sign":
		return []command{line("%s sign --as %s -o %s %s", prefix, as, out, content)}
	case "cms verify":
		return []command{line("%s verify --trust root.pem --content content input", prefix)}
	case "mail verify":
		return []command{line("%s verify --trust root.pem input", prefix)}
	case "mail open":
		return []command{line("%s verify --trust root.pem --content %s input", prefix, out)}
	case "cms encrypt", "mail encrypt":
		return []command{line("%s encrypt --to %s --cipher %s -o %s %s", prefix, to, cipher, out, content)}
	case "cms decrypt", "mail decrypt":
		return []command{line("%s decrypt --as rsa.both -o %s input", prefix, out)}
	case "mail seal":
		return []command{line("%s seal --as rsa.both --to %s -o %s %s", prefix, to, out, content)}
	}
	return []command{
		line("%s sign --as rsa.both --indefinite %s", prefix, content),
		line("%s encrypt --to %s --indefinite -o %s", prefix, to, out),
	}
}

// openssl is given -stream where it makes it faster, and everywhere what
// mailseal does too: a trust anchor, and the same algorithms.
func (b *bench) openssl(path string) (program, error) {
	version, err := exec.Command(path, "version").Output()
	if err != nil {
		return program{}, err
	}
	words := strings.Fields(string(version))
	return program{"openssl " + words[1], strings.TrimSpace(string(version)), func(c cell, out string) []command {
		form, content := "-outform SMIME", "letter.eml"
		if c.form == "cms" {
			form, content = "-binary -outform DER", "content"
		}
		in := strings.ReplaceAll(strings.TrimPrefix(form, "-binary "), "out", "in")
		cipher := map[string]string{"cbc": "-aes-256-cbc", "gcm": "-aes-256-gcm"}[c.variant]
		var to strings.Builder
		for i := 1; i < c.recipients; i++ {
			fmt.Fprintf(&to, " bob%d.pem", i)
		}
		to.WriteString(" rsa.pem")
		switch c.task {
		case "sign":
			return []command{line("%s cms -sign -md sha256 %s -in %s -signer %s.pem -inkey %[4]s.key -certfile issuing.pem -out %[5]s", path, form, content, c.variant, out)}
		case "verify", "open":
			detached := ""
			if c.form == "cms" {
				detached = "-binary -content content"
			}
			if c.task == "verify" {
				out = os.DevNull
			}
			return []command{line("%s cms -verify %s -in input %s -CAfile root.pem -purpose smimesign -out %s", path, in, detached, out)}
		case "encrypt":
			return []command{line("%s cms -encrypt %s -stream %s -in %s -out %s %s", path, cipher, form, content, out, to.String())}
		case "decrypt":
			return []command{line("%s cms -decrypt %s -in input -recip rsa.pem -inkey rsa.key -out %s", path, in, out)}
		}
		opaque := "-nodetach -stream"
		return []command{
			line("%s cms -sign -md sha256 %s %s -in %s -signer rsa.pem -inkey rsa.key -certfile issuing.pem", path, opaque, form, content),
			line("%s cms -encrypt -aes-256-cbc -stream %s -out %s %s", path, form, out, to.String()),
		}
	}}, nil
}

// gpgsm knows CBC and no mail. Its private-key operations happen in gpg-agent
// and are not in its CPU time.
func (b *bench) gpgsm() program {
	version, _ := exec.Command("gpgsm", "--version").Output()
	first, _, _ := strings.Cut(string(version), "\n")
	const common = "gpgsm --homedir gnupg --batch --yes --no-tty --disable-crl-checks --disable-dirmngr"
	const unlock = common + " --pinentry-mode loopback --passphrase-fd 0"
	return program{"gpgsm", first, func(c cell, out string) []command {
		if c.form != "cms" || c.variant == "p256" || c.variant == "gcm" || c.recipients > 1 {
			return nil
		}
		withKey := func(format string, args ...any) command {
			l := line(unlock+" "+format, args...)
			l.stdin = "passphrase\n"
			return l
		}
		switch c.task {
		case "sign":
			return []command{withKey("--detach-sign -u alice@example.com --digest-algo SHA256 -o %s content", out)}
		case "verify":
			return []command{line(common + " --verify input content")}
		case "encrypt":
			return []command{line(common+" --cipher-algo AES256 --encrypt -r alice@example.com -o %s content", out)}
		case "decrypt":
			return []command{withKey("--decrypt -o %s input", out)}
		}
		return []command{
			withKey("--sign -u alice@example.com --digest-algo SHA256 content"),
			line(common+" --cipher-algo AES256 --encrypt -r alice@example.com -o %s", out),
		}
	}}
}

// nss is cmsutil, which holds messages in memory, 10 GiB for one of 1 GiB, and
// chooses AES-128.
func (b *bench) nss() program {
	return program{"nss", "cmsutil of NSS", func(c cell, out string) []command {
		if c.form != "cms" || c.variant == "p256" || c.variant == "gcm" || c.recipients > 1 || c.size >= gib {
			return nil
		}
		switch c.task {
		case "sign":
			return []command{line("cmsutil -S -d sql:nss -N alice -T -H SHA256 -G -i content -o %s", out)}
		case "verify":
			return []command{line("cmsutil -D -d sql:nss -i input -c content -u 4")}
		case "encrypt":
			return []command{line("cmsutil -E -d sql:nss -i content -o %s -r alice@example.com", out)}
		case "decrypt":
			return []command{line("cmsutil -D -d sql:nss -i input -o %s", out)}
		}
		return nil
	}}
}

// jars are Debian's, with Bouncy Castle 1.72.
const jars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar"

func (b *bench) prepareBouncyCastle() error {
	return b.must("", "javac", "-nowarn", "-Xlint:none", "-cp", jars, "-d", b.path("java"), b.java)
}

// bouncyCastle is the library of Java programs, with its classes for streams and
// the start of Java, which its signatures do without checking a chain. It has no
// such classes for GCM.
func (b *bench) bouncyCastle() program {
	return program{"bouncy castle", "Bouncy Castle 1.72 (with Java's start)", func(c cell, out string) []command {
		if c.form != "cms" || c.variant == "p256" || c.variant == "gcm" || c.task == "seal" {
			return nil
		}
		keys := "rsa.both"
		if c.task == "encrypt" {
			keys = fmt.Sprintf("to%d.pem", c.recipients)
		}
		return []command{line("java -cp java:%s BouncyCastle %s %s content input %s", jars, c.task, keys, out)}
	}}
}

// preparePeers finds the programs that are here and gives them Alice's key.
func (b *bench) preparePeers() error {
	b.programs = []program{{"mailseal", "", b.mailsealCommands}}
	for _, path := range []string{"openssl", os.Getenv("OPENSSL")} {
		if path == "" {
			continue
		}
		p, err := b.openssl(path)
		if err != nil {
			return err
		}
		b.programs = append(b.programs, p)
	}
	export := "pkcs12 -export -in rsa.pem -inkey rsa.key -name alice -passout pass:passphrase -out alice.p12 -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1"
	if err := b.must("", "openssl", strings.Fields(export)...); err != nil {
		return err
	}
	for _, peer := range []struct {
		tool    string
		prepare func() error
		program func() program
	}{{"gpgsm", b.prepareGPGSM, b.gpgsm}, {"cmsutil", b.prepareNSS, b.nss}, {"javac", b.prepareBouncyCastle, b.bouncyCastle}} {
		if _, err := exec.LookPath(peer.tool); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s is not here\n", peer.tool)
			continue
		}
		if err := peer.prepare(); err != nil {
			return err
		}
		b.programs = append(b.programs, peer.program())
	}
	return nil
}

func (b *bench) prepareGPGSM() error {
	if err := os.Mkdir(b.path("gnupg"), 0o700); err != nil {
		return err
	}
	data, err := os.ReadFile(b.path("root.pem"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(data)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	name := sha1.Sum(root.Raw) // as trustlist.txt wants it
	trust := hex.EncodeToString(name[:]) + " S relax\n"
	if err := os.WriteFile(b.path("gnupg/trustlist.txt"), []byte(trust), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(b.path("gnupg/gpg-agent.conf"), []byte("allow-loopback-pinentry\n"), 0o600); err != nil {
		return err
	}
	common := strings.Fields("--homedir gnupg --batch --no-tty --disable-crl-checks --disable-dirmngr --pinentry-mode loopback --passphrase-fd 0 --import")
	for _, authority := range []string{"root.pem", "issuing.pem"} {
		if err := b.must("", "gpgsm", append(common, authority)...); err != nil {
			return err
		}
	}
	return b.must("passphrase\n", "gpgsm", append(common, "alice.p12")...)
}

// endPeers ends the agent, whose folder goes.
func (b *bench) endPeers() {
	_ = exec.Command("gpgconf", "--homedir", b.path("gnupg"), "--kill", "all").Run()
}

func (b *bench) prepareNSS() error {
	if err := os.Mkdir(b.path("nss"), 0o700); err != nil {
		return err
	}
	for _, l := range []string{
		"certutil -N -d sql:nss --empty-password", "certutil -A -d sql:nss -n root -t ,C, -a -i root.pem",
		"certutil -A -d sql:nss -n issuing -t ,, -a -i issuing.pem",
		"pk12util -i alice.p12 -d sql:nss -W passphrase",
	} {
		words := strings.Fields(l)
		if words[0] == "pk12util" {
			words = append(words, "-K", "")
		}
		if err := b.must("", words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// summary is one line for who watches.
func summary(measured map[string]*result) string {
	var s bytes.Buffer
	ours := measured["mailseal"]
	fmt.Fprintf(&s, "%s, %d MiB", milliseconds(ours.CPU), ours.Peak/mib)
	for name, r := range measured {
		if name != "mailseal" {
			fmt.Fprintf(&s, "; %s %.2f", name, float64(r.CPU)/float64(ours.CPU))
		}
	}
	return s.String()
}
