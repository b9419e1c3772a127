package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/internal/store"
)

// record is the paper of one step of a key ceremony: what was made, by which
// program, when, who was there. It is printed, and signed by hand.
type record struct {
	p       *program
	o       *caOptions
	step    string // in English; translated when it is printed
	began   time.Time
	entries []recordEntry
}

// recordEntry is something that was made or taken in.
type recordEntry struct {
	what string
	rows [][2]string
}

func (p *program) newRecord(o *caOptions, step string) *record {
	return &record{p: p, o: o, step: step, began: p.env.Now()}
}

func (r *record) add(what string, rows ...[2]string) {
	r.entries = append(r.entries, recordEntry{what, rows})
}

func (r *record) certificate(what string, c *cert.Certificate) {
	key := sha256.Sum256(c.RawSPKI)
	r.add(what,
		[2]string{"Subject name", c.Subject.String()},
		[2]string{"Issuer name", c.Issuer.String()},
		[2]string{"Serial number", c.SerialHex()},
		[2]string{"Valid", c.NotBefore.UTC().Format(time.RFC3339) + " - " + c.NotAfter.UTC().Format(time.RFC3339)},
		[2]string{"Public key", inspect.KeyName(c.PublicKey, c.SPKIAlgorithm)},
		[2]string{"SHA-256 of the key", hex.EncodeToString(key[:])},
		[2]string{"SHA-256", c.SHA256()})
}

func (r *record) key(name, uri string) {
	r.add("Key", [2]string{"Key name", name}, [2]string{"Kept at", uri})
}

func (r *record) request(name string, der []byte) error {
	request, err := cert.ParseRequest(der)
	if err != nil {
		return err
	}
	key := sha256.Sum256(request.RawSPKI)
	r.add("Certification request",
		[2]string{"Key name", name},
		[2]string{"Subject name", request.Subject.String()},
		[2]string{"Public key", inspect.KeyName(request.PublicKey, request.SPKIAlgorithm)},
		[2]string{"SHA-256 of the key", hex.EncodeToString(key[:])})
	return nil
}

func (r *record) list(l *cert.CRL) {
	sum := sha256.Sum256(l.Raw)
	number := ""
	if l.Number != nil {
		number = l.Number.String()
	}
	r.add("Revocation list",
		[2]string{"Issuer name", l.Issuer.String()},
		[2]string{"Number", number},
		[2]string{"Entries", strconv.Itoa(l.Len())},
		[2]string{"Valid", l.ThisUpdate.UTC().Format(time.RFC3339) + " - " + l.NextUpdate.UTC().Format(time.RFC3339)},
		[2]string{"SHA-256", hex.EncodeToString(sum[:])})
}

// file writes a file to be carried, and notes the digest of its octets, which any
// program can compare: sha256sum FILE.
func (r *record) file(path string, data []byte) error {
	if err := r.p.writeResult(path, modePublic, data); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	r.add("File written", [2]string{"File name", filepath.Base(path)}, [2]string{"SHA-256", hex.EncodeToString(sum[:])})
	return nil
}

// text is the whole paper in the language of the run.
func (r *record) text() string {
	var b strings.Builder
	t := r.p.words()
	title := t.say("Record of a key ceremony")
	fmt.Fprintf(&b, "%s\n%s\n\n", title, strings.Repeat("=", columns(title)))
	r.rows(&b, "",
		[2]string{"Step", t.say(r.step)},
		[2]string{"Began", r.began.UTC().Format(time.RFC3339)},
		[2]string{"Ended", r.p.env.Now().UTC().Format(time.RFC3339)},
		[2]string{"Software", fmt.Sprintf("mailseal %s (%s, %s/%s)", r.p.env.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)},
		[2]string{"SHA-256 of it", ownDigest()})
	for i, e := range r.entries {
		fmt.Fprintf(&b, "\n%d. %s\n", i+1, t.say(e.what))
		r.rows(&b, "   ", e.rows...)
	}
	fmt.Fprintf(&b, "\n%s\n", t.say("Present"))
	for i, name := range r.o.present {
		fmt.Fprintf(&b, "\n%d. %s\n\n   %s ______________________________\n", i+1, inspect.Visible(name), t.say("Signature"))
	}
	fmt.Fprintf(&b, "\n%s ______________________________\n", t.say("Place and date"))
	return b.String()
}

func (r *record) rows(b *strings.Builder, indent string, rows ...[2]string) {
	const label = 20
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		name := r.p.words().say(row[0])
		fmt.Fprintf(b, "%s%s%s %s\n", indent, name, strings.Repeat(" ", max(0, label-columns(name))), inspect.Visible(row[1]))
	}
}

// ownDigest is that of the running program, so that the paper tells which one.
func ownDigest() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// finish hands out the paper: to the person, into the folder, and its digest into
// the audit log, so that the paper can be held against it.
func (r *record) finish(ctx context.Context, room *caRoom) error {
	text := []byte(r.text())
	sum := sha256.Sum256(text)
	err := room.store.Update(ctx, func(tx *store.Tx) error {
		return audit.Append(ctx, tx, audit.Entry{At: r.p.env.Now(), Act: audit.ActCeremony, Details: map[string]string{
			"step": r.step, "record": hex.EncodeToString(sum[:]), "present": strconv.Itoa(len(r.o.present)),
		}})
	})
	if err != nil {
		return err
	}
	folder := filepath.Join(r.o.data, "ceremony")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	name := r.began.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(sum[:4]) + ".txt"
	if err := writeFile(filepath.Join(folder, name), text, modeSecret); err != nil {
		return err
	}
	return r.p.writeResult(r.o.record, modePublic, text)
}
