package validation

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// The form that programs rely on: 24 to 40 letters, digits and hyphens.
var codeForm = regexp.MustCompile(`^[A-Za-z0-9-]{24,40}$`)

func TestCode(t *testing.T) {
	if bits := codeSize * math.Log2(float64(len(alphabet))); bits < 112 {
		t.Errorf("a code has %.0f random bits, the BR ask for 112", bits)
	}
	for _, c := range "01ILOAEU" {
		if strings.ContainsRune(alphabet, c) {
			t.Errorf("%c looks like another letter or makes words", c)
		}
	}
	seen := map[string]bool{}
	counts := map[rune]int{}
	codes := 100_000
	if long := os.Getenv("MAILSEAL_ROWS"); long != "" { // row 17 of the table of threats
		codes = 1_000_000
	}
	for range codes {
		code, err := NewCode(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if !codeForm.MatchString(code) || seen[code] {
			t.Fatalf("code %q has the wrong form or came twice", code)
		}
		seen[code] = true
		letters, err := CanonicalCode(code)
		if err != nil || len(letters) != codeSize {
			t.Fatalf("%q reads as %q, %v", code, letters, err)
		}
		for _, c := range letters {
			counts[c]++
		}
	}
	// Each letter is as likely as the others, give or take ten standard
	// deviations.
	drawn := float64(codes * codeSize)
	for _, c := range alphabet {
		if n := counts[c]; math.Abs(float64(n)-drawn/27) > 10*math.Sqrt(drawn/27) {
			t.Errorf("letter %c came %d times", c, n)
		}
	}
}

func TestCodeNeedsRandomness(t *testing.T) {
	if _, err := NewCode(bytes.NewReader([]byte{1, 2, 3})); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("%v, want the end of randomness", err)
	}
	a, err := NewCode(bytes.NewReader(bytes.Repeat([]byte{255, 254, 243, 7}, 100)))
	if err != nil || strings.Trim(a, "-9") != "" {
		t.Errorf("%q, %v: bytes from 243 on are not thrown away", a, err)
	}
}

func TestCanonical(t *testing.T) {
	const want = "23456789BCDFGHJKMNPQRSTVWXZ234"
	for _, entered := range []string{
		"23456-789BC-DFGHJ-KMNPQ-RSTVW-XZ234", "  23456-789bc-dfghj-kmnpq-rstvw-xz234\r\n",
		want, "23456 789BC DFGHJ KMNPQ RSTVW XZ234", "23456\u2011789BC\u2010DFGHJ-KMNPQ\u00a0RSTVW\u3000XZ234",
	} {
		if got, err := CanonicalCode(entered); err != nil || got != want {
			t.Errorf("%q: %q, %v", entered, got, err)
		}
	}
	for _, entered := range []string{
		"", "-", want[1:], want + "2", "0" + want[1:], "I" + want[1:], want + "\x00", strings.Repeat("-", 200),
		"https://example.org/" + want, "\xff" + want,
	} {
		if got, err := CanonicalCode(entered); !errors.Is(err, ErrNotACode) {
			t.Errorf("%q: %q, %v", entered, got, err)
		}
	}
}

// Every field counts for the hash, and no two splits of the same text agree.
func TestHashCode(t *testing.T) {
	base := []string{"order", "alice@example.org", "secret", "CODE"}
	seen := map[string]bool{}
	for _, f := range [][]string{
		base, {"orde", "ralice@example.org", "secret", "CODE"}, {"order", "alice@example.or", "gsecret", "CODE"},
		{"order", "alice@example.org", "secre", "tCODE"}, {"order2", base[1], base[2], base[3]},
		{base[0], "bob@example.org", base[2], base[3]}, {base[0], base[1], "other", base[3]}, {base[0], base[1], base[2], "CODF"},
	} {
		h := string(hashCode(f[0], f[1], []byte(f[2]), f[3]))
		if seen[h] {
			t.Errorf("%q has the hash of another", f)
		}
		seen[h] = true
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("23456-789BC-DFGHJ-KMNPQ-RSTVW-XZ234")
	f.Add("\u0130\u017f\xff")
	f.Fuzz(func(t *testing.T, entered string) {
		letters, err := CanonicalCode(entered)
		if err != nil {
			return
		}
		if again, err := CanonicalCode(letters); err != nil || again != letters || len(letters) != codeSize {
			t.Errorf("%q reads as %q, then as %q, %v", entered, letters, again, err)
		}
	})
}

func TestMails(t *testing.T) {
	l := letter{Address: "alice@example.org", Name: "Alice Example", Code: "23456-789BC-DFGHJ-KMNPQ-RSTVW-XZ234", Site: "http://127.0.0.1:8080"}
	for language, words := range map[string][]string{
		"en": {"Alice Example", "alice@example.org", "asked", "works once", "24 hours", "proves nothing", "do nothing"},
		"ja": {"Alice Example", "alice@example.org", "申し込み", "一度だけ", "24時間", "証明にはなりません", "何もせずに"},
		"fr": {"asked"},
	} {
		m, err := compose(l, language)
		if err != nil {
			t.Fatal(err)
		}
		if m.To != l.Address || m.Subject == "" || strings.Contains(m.Subject, l.Code) {
			t.Errorf("%s: to %q, subject %q", language, m.To, m.Subject)
		}
		if lines := regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindAllString(m.Text, -1); len(lines) != 1 || lines[0] != l.Code {
			t.Errorf("%s: lines that are a code: %q", language, lines)
		}
		for _, w := range words {
			if !strings.Contains(m.Text, w) {
				t.Errorf("%s: the text does not say %q:\n%s", language, w, m.Text)
			}
		}
		for _, line := range strings.Split(m.Text, "\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\x00") {
				t.Errorf("%s: a line that mail cannot carry: %q", language, line)
			}
		}
		if links := regexp.MustCompile(`https?://\S+`).FindAllString(m.Text, -1); len(links) != 1 || links[0] != l.Site {
			t.Errorf("%s: links %q, want the site alone", language, links)
		}
	}
	m, err := compose(letter{Address: l.Address, Code: l.Code}, "en")
	if err != nil || strings.Contains(m.Text, "called") || strings.Contains(m.Text, " at ") || strings.Contains(m.Text, "http") {
		t.Errorf("without name and site: %v\n%s", err, m.Text)
	}
}

// Strangers choose the name and where the mail goes: it must not become their
// message.
func TestHarmless(t *testing.T) {
	for _, name := range []string{"", "Alice Example", "J. R. Doe", "J.R. Doe", "Dr.Alice", "O'Brien", "田中 花子", "Anne-Marie, née X"} {
		if got := harmless(name); got != name && name != "Dr.Alice" {
			t.Errorf("%q became %q", name, got)
		}
	}
	for _, name := range []string{
		"http://evil.example", "evil.example", "win at evil.example now", "a@evil.example", "<b>", "evil\u3002example", "evil\uff0eexample",
		"a\nb", "a\u202eb", strings.Repeat("a", 65), "call 0800=1", "\"x\"",
	} {
		if got := harmless(name); got != "" {
			t.Errorf("%q was let through", name)
		}
	}
}

// validator returns one with a store and an order in it.
func validator(t *testing.T) (*Validator, *store.DB, store.Order, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	db := storetest.Open(t)
	o := store.Order{
		ID: "order", State: "applied", SecretHash: []byte("secret"), ProfileHash: []byte("profile"),
		Created: now, Expires: now.Add(CodeLife), Addresses: []string{"alice@example.org", "alias@example.org"},
	}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.InsertProfile(o.ProfileHash, "{}", now), tx.InsertOrder(o),
			audit.Append(t.Context(), tx, audit.Entry{At: now, Act: store.ActApplied, Object: o.ID}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Validator{Clock: func() time.Time { return now }}, db, o, &now
}

func code(t *testing.T, m Mail) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindString(m.Text)
	if found == "" {
		t.Fatalf("no code in:\n%s", m.Text)
	}
	return found
}

// An order for two mailboxes is proven when both are.
func TestTwoMailboxes(t *testing.T) {
	v, db, o, now := validator(t)
	var mails []Mail
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, a := range o.Addresses {
			m, err := mailbox.Parse(a)
			if err != nil {
				return err
			}
			mail, err := v.Challenge(tx, store.Order{ID: o.ID, SecretHash: o.SecretHash}, m)
			if err != nil {
				return err
			}
			mails = append(mails, mail)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(entered string) (outcome Outcome, proofs []Proof, err error) {
		err = db.Update(t.Context(), func(tx *store.Tx) (err error) {
			outcome, err = v.Answer(tx, o, entered)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) (err error) {
			proofs, err = v.Proofs(tx, o)
			return err
		})
		return outcome, proofs, err
	}
	if outcome, _, err := answer(code(t, mails[1])); outcome != Right || !errors.Is(err, ErrUnproven) {
		t.Errorf("the first of two: %v, %v", outcome, err)
	}
	if outcome, _, err := answer(code(t, mails[1])); outcome != Wrong || !errors.Is(err, ErrUnproven) {
		t.Errorf("the same again: %v, %v", outcome, err)
	}
	outcome, proofs, err := answer(code(t, mails[0]))
	if outcome != Right || err != nil || len(proofs) != 2 {
		t.Fatalf("the second of two: %v, %d proofs, %v", outcome, len(proofs), err)
	}
	for i, p := range proofs {
		if p.Address().String() != o.Addresses[i] || p.Order() != o.ID || p.Method() != "3.2.2.2" {
			t.Errorf("proof %d is %+v", i, p)
		}
	}
	if outcome, _, _ := answer(code(t, mails[0])); outcome != Closed {
		t.Errorf("with nothing open: %v", outcome)
	}
	*now = now.Add(ProofLife)
	if _, proofs, err := answer(code(t, mails[0])); !errors.Is(err, ErrUnproven) {
		t.Errorf("after 30 days: %d proofs, %v", len(proofs), err)
	}
	if (Proof{}).Valid(*now) {
		t.Error("the zero proof is valid")
	}
}

func TestProofsOfNothing(t *testing.T) {
	v, db, o, now := validator(t)
	for name, row := range map[string]store.Order{
		"no address": {ID: o.ID}, "unproven": o, "not canonical": {ID: o.ID, Addresses: []string{"Alice <alice@example.org>"}},
	} {
		err := db.View(t.Context(), func(tx *store.Tx) error { _, err := v.Proofs(tx, row); return err })
		if !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A clock that was set back makes no proof valid that lies ahead.
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertProof(store.Proof{OrderID: o.ID, Address: o.Addresses[0], Proven: now.Add(time.Hour), Expires: now.Add(2 * time.Hour)}),
			tx.InsertProof(store.Proof{OrderID: o.ID, Address: o.Addresses[1], Proven: *now, Expires: now.Add(time.Hour)}))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx *store.Tx) error { _, err := v.Proofs(tx, o); return err })
	if !errors.Is(err, ErrUnproven) {
		t.Errorf("a proof from the future: %v", err)
	}
}
