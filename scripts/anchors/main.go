// Command anchors writes internal/anchors/email.pem and email.der, the authorities
// that are trusted for mail by default, from the list that an installed Thunderbird has
// compiled in, which is Mozilla's and newer than that of Debian's libnss3:
//
//	go run ./scripts/anchors           writes the list anew
//	go run ./scripts/anchors -check    tells whether it is in order and not too old
//
// Dates of distrust are not shown by Thunderbird. They stand in Mozilla's
// certdata.txt as CKA_NSS_EMAIL_DISTRUST_AFTER: whoever updates the list looks
// there and writes them into email.pem by hand, and they are carried over.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/anchors"
)

// The list for people, and the same as it is embedded.
const (
	file     = "internal/anchors/email.pem"
	embedded = "internal/anchors/email.der"
)

// maxAge is how old the list may grow before make check asks for a new one.
const maxAge = 270 * 24 * time.Hour

func main() {
	check := flag.Bool("check", false, "tell whether the list is in order")
	flag.Parse()
	run := update
	if *check {
		run = inOrder
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/anchors: error:", err)
		os.Exit(1)
	}
}

func inOrder() error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	list, err := anchors.Parse(string(text))
	if err != nil {
		return err
	}
	if list.Format() != string(text) {
		return errors.New(file + " is not as this script writes it; run go run ./scripts/anchors")
	}
	der, err := list.Encode()
	if err != nil {
		return err
	}
	if found, err := os.ReadFile(embedded); err != nil || !bytes.Equal(found, der) {
		return fmt.Errorf("%s is not what %s says; run go run ./scripts/anchors", embedded, file)
	}
	if age := time.Since(list.Date); age > maxAge {
		return fmt.Errorf("%s is %d days old; update Thunderbird, then run go run ./scripts/anchors", file, int(age.Hours()/24))
	}
	return nil
}

func update() error {
	known, err := knownDates()
	if err != nil {
		return err
	}
	version, err := exec.Command("thunderbird", "--version").Output()
	if err != nil {
		return fmt.Errorf("thunderbird: %w (on Debian: apt-get install thunderbird)", err)
	}
	found, err := askThunderbird()
	if err != nil {
		return err
	}
	list := &anchors.List{Source: strings.TrimSpace(string(version)), Date: time.Now().UTC()}
	for _, f := range found {
		der, err := base64.StdEncoding.DecodeString(f.DER)
		if err != nil {
			return err
		}
		list.Entries = append(list.Entries, anchors.Entry{Label: f.Label, DER: der, DistrustAfter: known[string(der)]})
	}
	return write(list)
}

// write writes both forms. The embedded one has the order of the other.
func write(list *anchors.List) error {
	text := list.Format()
	ordered, err := anchors.Parse(text)
	if err != nil {
		return err
	}
	der, err := ordered.Encode()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(file, []byte(text), 0o644), os.WriteFile(embedded, der, 0o644))
}

// knownDates are the dates of distrust in the list as it is.
func knownDates() (map[string]time.Time, error) {
	dates := map[string]time.Time{}
	text, err := os.ReadFile(file)
	if len(text) == 0 {
		return dates, err
	}
	list, err := anchors.Parse(string(text))
	if err != nil {
		return nil, err
	}
	for _, e := range list.Entries {
		dates[string(e.DER)] = e.DistrustAfter
	}
	return dates, nil
}

// found is what the question below returns for each authority.
type found struct{ Label, DER string }

// question asks Thunderbird for the authorities of its own list that it trusts
// for mail.
const question = `
const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
return db.getCerts()
  .filter(c => c.tokenName == "Builtin Object Token" &&
    db.isCertTrusted(c, Ci.nsIX509Cert.CA_CERT, Ci.nsIX509CertDB.TRUSTED_EMAIL))
  .map(c => ({Label: c.displayName, DER: c.getBase64DERString()}));`

// askThunderbird starts one without a screen, in a profile of its own, and puts
// the question through Marionette, Mozilla's door for tests.
func askThunderbird() ([]found, error) {
	profile, err := os.MkdirTemp("", "anchors")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(profile)
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	prefs := fmt.Sprintf("user_pref(\"marionette.port\", %d);\n", port)
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("thunderbird", "--headless", "--profile", profile, "--marionette", "-remote-allow-system-access")
	cmd.Env = append(os.Environ(), "HOME="+profile)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	m, err := dial(port, time.Minute)
	if err != nil {
		return nil, err
	}
	defer m.conn.Close()
	return m.ask()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// marionette speaks its protocol: each packet is a length, a colon and JSON.
type marionette struct {
	conn net.Conn
	in   *bufio.Reader
	sent int
}

func dial(port int, patience time.Duration) (*marionette, error) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			m := &marionette{conn: conn, in: bufio.NewReader(conn)}
			_, err = m.packet() // the greeting
			return m, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("thunderbird did not open its door: %w", err)
		}
	}
}

func (m *marionette) ask() (list []found, err error) {
	var answer struct{ Value []found }
	for _, step := range []struct {
		name   string
		params map[string]any
	}{
		{"WebDriver:NewSession", map[string]any{}},
		{"Marionette:SetContext", map[string]any{"value": "chrome"}},
		{"WebDriver:ExecuteScript", map[string]any{"script": question, "args": []any{}, "sandbox": "system", "newSandbox": true}},
	} {
		result, err := m.command(step.name, step.params)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		if step.name == "WebDriver:ExecuteScript" {
			if err := json.Unmarshal(result, &answer); err != nil {
				return nil, err
			}
		}
	}
	if len(answer.Value) == 0 {
		return nil, errors.New("thunderbird names no authority")
	}
	return answer.Value, nil
}

func (m *marionette) command(name string, params any) (json.RawMessage, error) {
	m.sent++
	packet, err := json.Marshal([]any{0, m.sent, name, params})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(packet), packet); err != nil {
		return nil, err
	}
	packet, err = m.packet()
	if err != nil {
		return nil, err
	}
	var reply []json.RawMessage // type, number, error, result
	if err := json.Unmarshal(packet, &reply); err != nil || len(reply) != 4 {
		return nil, fmt.Errorf("not a reply: %.200s", packet)
	}
	if string(reply[2]) != "null" {
		return nil, fmt.Errorf("%.500s", reply[2])
	}
	return reply[3], nil
}

func (m *marionette) packet() ([]byte, error) {
	length, err := m.in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil || n < 0 || n > 16<<20 {
		return nil, fmt.Errorf("a packet of length %q", length)
	}
	packet := make([]byte, n)
	_, err = io.ReadFull(m.in, packet)
	return packet, err
}
